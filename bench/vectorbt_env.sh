#!/usr/bin/env bash
# Makes .venv-vectorbt: the peer of the benchmark `backtest_vectorbt`, whose pandas is newer than the platform's.
set -euo pipefail

repo="$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)"
venv="${repo}/.venv-vectorbt"
wanted="vectorbt==1.2.0"

if [[ -f "${venv}/.ready" && "$(cat "${venv}/.ready")" == "${wanted}" ]]; then
  exit 0
fi
rm -rf "${venv}"
"${PYTHON:-python3.11}" -m venv "${venv}"
"${venv}/bin/python" -m pip install --quiet --disable-pip-version-check "${wanted}"
echo "${wanted}" > "${venv}/.ready"
