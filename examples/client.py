"""A client of the TradeHits service in the standard library alone: read signals, ask for one symbol, score rows.

    python examples/client.py --url http://127.0.0.1:3000
    TRADEHITS_API_KEY=th_... python examples/client.py --url https://trading.example.com

Copy `TradeHits` into your own program: it sends the key, keeps answers that did not change (ETag), waits when it is
told to (429, 503), and raises `TradeHitsError` with the service's own message.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
import urllib.error
import urllib.parse
import urllib.request
from typing import Any

ATTEMPTS = 3
LONGEST_WAIT_SECONDS = 30.0


class TradeHitsError(Exception):
    """An answer with `status: error`; `field` names the parameter it is about, if any."""

    def __init__(self, status: int, message: str, field: str | None) -> None:
        """Keep the parts."""
        super().__init__(f"{status}: {message}")
        self.status = status
        self.field = field


class TradeHits:
    """The service at one address.

    Args:
        url: Its base address.
        key: An API key, where it wants one.
        timeout_seconds: Of one request.
    """

    def __init__(self, url: str, key: str | None = None, timeout_seconds: float = 30.0) -> None:
        """Nothing is asked yet."""
        self._url = url.rstrip("/")
        self._headers = {"Accept": "application/json"} | ({"Authorization": f"Bearer {key}"} if key else {})
        self._timeout_seconds = timeout_seconds
        self._kept: dict[str, tuple[str, Any]] = {}

    def high_confidence_signals(self, asset_type: str = "all", signal_type: str = "all", limit: int = 30) -> Any:
        """Signals of HIGH confidence; `note` says why there are none, which is common."""
        return self._get("/api/ml/high-confidence-signals", asset_type=asset_type, signal_type=signal_type, limit=limit)

    def symbol(self, symbol: str, asset_type: str = "stocks") -> Any:
        """A symbol's newest prediction and its history; `BTC/USDT` may keep its slash."""
        return self._get(f"/api/ml/symbol-prediction/{urllib.parse.quote(symbol, safe='')}", asset_type=asset_type)

    def ensemble(self, symbol: str, asset_type: str) -> Any:
        """XGBoost and Gemini together on a symbol's newest closed bar."""
        return self._post("/api/ml/ensemble-prediction", {"symbol": symbol, "asset_type": asset_type})

    def score(self, asset_type: str, rows: list[list[float | None]]) -> Any:
        """The champion's probabilities for feature vectors; the answer names the features in their order."""
        return self._post("/predict", {"asset_type": asset_type, "rows": rows})

    def _get(self, path: str, **parameters: Any) -> Any:
        target = f"{path}?{urllib.parse.urlencode(parameters)}"
        etag, content = self._kept.get(target, (None, None))
        status, headers, body = self._ask(target, None, {"If-None-Match": etag} if etag else {})
        if status == 304:
            return content
        content = json.loads(body)
        if "ETag" in headers:
            self._kept[target] = (headers["ETag"], content)
        return content

    def _post(self, path: str, body: dict[str, Any]) -> Any:
        return json.loads(self._ask(path, json.dumps(body).encode(), {"Content-Type": "application/json"})[2])

    def _ask(self, target: str, body: bytes | None, headers: dict[str, str]) -> tuple[int, Any, bytes]:
        request = urllib.request.Request(self._url + target, body, self._headers | headers)
        for attempt in range(1, ATTEMPTS + 1):
            try:
                with urllib.request.urlopen(request, timeout=self._timeout_seconds) as answer:
                    return answer.status, answer.headers, answer.read()
            except urllib.error.HTTPError as error:
                if error.code == 304:
                    return 304, error.headers, b""
                if error.code not in (429, 503) or attempt == ATTEMPTS:
                    raise _told(error) from error
                time.sleep(min(float(error.headers.get("Retry-After", "1")), LONGEST_WAIT_SECONDS))
        raise AssertionError("the last attempt returns or raises")


def _told(error: urllib.error.HTTPError) -> TradeHitsError:
    try:
        body = json.loads(error.read())
        return TradeHitsError(error.code, body["message"], body["field"])
    except (ValueError, KeyError, TypeError):
        return TradeHitsError(error.code, error.reason, None)


def main() -> int:
    """Today's strong signals, and one symbol."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--url", default="http://127.0.0.1:3000")
    parser.add_argument("--symbol", default="NVDA")
    parser.add_argument("--asset-type", default="stocks", choices=["stocks", "etf", "crypto"])
    given = parser.parse_args()
    service = TradeHits(given.url, os.environ.get("TRADEHITS_API_KEY"))
    strong = service.high_confidence_signals()
    for signal in strong["signals"]:
        sys.stdout.write("{date} {asset_type:<6} {symbol:<10} {signal:<4} {up_pct:5.1f}%\n".format(**signal))
    if strong["note"]:
        sys.stdout.write(f"{strong['note']}\n")
    try:
        newest = service.symbol(given.symbol, given.asset_type)["latest_prediction"]
    except TradeHitsError as error:
        sys.stderr.write(f"{error}\n")
        return 1
    direction = "up" if newest["direction"] else "down"
    sys.stdout.write(
        f"{given.symbol}: {direction}, probability of rising {newest['up_probability']:.3f} "
        f"({newest['confidence']} confidence), as of {newest['datetime']}\n"
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
