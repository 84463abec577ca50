"""Is the process of this container well? Exit code 0 when its health route answers 200, else 1 and the reason.

Slim images have no curl. Standard library only, so that a check every few seconds costs little.

    python deploy/healthcheck.py http://127.0.0.1:3000/livez
"""

from __future__ import annotations

import sys
import urllib.error
import urllib.request
from collections.abc import Sequence

TIMEOUT_SECONDS = 5.0


def fault(url: str) -> str:
    """What is wrong with a health route; empty when it answers 200. Proxies of the environment are not asked."""
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(url, timeout=TIMEOUT_SECONDS) as answer:
            return "" if answer.status == 200 else f"{url} answers {answer.status}"
    except urllib.error.HTTPError as error:
        return f"{url} answers {error.code}"
    except OSError as error:
        return f"{url} does not answer: {error}"


def main(arguments: Sequence[str]) -> int:
    """Ask the one URL given."""
    if len(arguments) != 1:
        sys.stderr.write("give one URL\n")
        return 2
    found = fault(arguments[0])
    if found:
        sys.stderr.write(f"{found}\n")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
