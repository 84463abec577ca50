#!/usr/bin/env bash
# Makes .venv-emulator: a BigQuery emulator that needs Python 3.13 and its own packages.
# Without Python 3.13 it says so and ends with 0 (the tests are skipped), under CI=true with 1.
set -euo pipefail

repo="$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)"
venv="${repo}/.venv-emulator"
requirements=(
  local-bigquery==0.3.2
  duckdb==1.5.5
  duckdb-extension-icu==1.5.5
  duckdb-extension-ducklake==1.5.5
  duckdb-extension-spatial==1.5.5
)

find_python() {
  local candidate
  for candidate in "$(command -v python3.13 || true)" "${HOME}"/.pyenv/versions/3.13*/bin/python3.13 /usr/bin/python3.13; do
    # A pyenv shim stands on PATH also when its version is not active: only one that answers counts.
    if [[ -n "${candidate}" && -x "${candidate}" ]] && "${candidate}" -c 'import ensurepip, venv' 2>/dev/null; then
      echo "${candidate}"
      return 0
    fi
  done
  return 1
}

wanted="${requirements[*]}"
if [[ -f "${venv}/.ready" && "$(cat "${venv}/.ready")" == "${wanted}" ]] && "${venv}/bin/python" -c 'import local_bigquery'; then
  exit 0
fi

if ! python="$(find_python)"; then
  echo "BigQuery was NOT tested: the emulator needs Python 3.13, and none was found on PATH or in ~/.pyenv" >&2
  [[ "${CI:-}" == "true" ]] && exit 1
  exit 0
fi

rm -rf "${venv}"
"${python}" -m venv "${venv}"
"${venv}/bin/python" -m pip install --quiet --disable-pip-version-check "${requirements[@]}"

# The emulator loads these extensions by name; DuckDB looks for them in its own folder and would download them otherwise.
"${venv}/bin/python" - <<'PYTHON'
import shutil
from importlib.metadata import files
from pathlib import Path

import duckdb

platform = duckdb.sql("PRAGMA platform").fetchone()[0]
target = Path.home() / ".duckdb" / "extensions" / f"v{duckdb.__version__}" / platform
target.mkdir(parents=True, exist_ok=True)
for name in ("icu", "ducklake", "spatial"):
    found = [entry for entry in files(f"duckdb-extension-{name}") if entry.name == f"{name}.duckdb_extension"]
    if not found:
        raise SystemExit(f"duckdb-extension-{name} ships no {name}.duckdb_extension for {platform}")
    shutil.copy2(found[0].locate(), target / found[0].name)
PYTHON
echo "${wanted}" > "${venv}/.ready"
echo "emulator environment ready: ${venv}"
