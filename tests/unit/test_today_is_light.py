"""`tradehits today` only reads: it must not wait for libraries that score or train."""

from __future__ import annotations

import subprocess
import sys


def test_today_imports_neither_the_feature_store_nor_the_registry() -> None:
    code = "import sys, flows.today; print([name for name in ('feast', 'mlflow', 'prefect') if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120, check=True)
    assert done.stdout.strip() == "[]"
