#!/usr/bin/env bash
# The service from a shell. Usage: examples/curl.sh [base address]; a key, where one is needed, in TRADEHITS_API_KEY.
set -euo pipefail
BASE="${1:-http://127.0.0.1:3000}"

# A header on the command line would show the key to everybody who can list processes: curl reads it from a file.
CONFIG="$(mktemp)"
trap 'rm -f "$CONFIG"' EXIT
chmod 600 "$CONFIG"
if [ -n "${TRADEHITS_API_KEY:-}" ]; then
  printf 'header = "Authorization: Bearer %s"\n' "$TRADEHITS_API_KEY" > "$CONFIG"
fi
ask() { curl --silent --show-error --fail-with-body --config "$CONFIG" "$@"; echo; }

# The two requests that users of the earlier system run; only the host has changed.
ask "$BASE/api/ml/high-confidence-signals?asset_type=crypto&signal_type=buy"
ask "$BASE/api/ml/symbol-prediction/NVDA?asset_type=stocks" || true   # 404 with near names where NVDA was not ingested

# A symbol with a slash, plain and encoded.
ask "$BASE/api/ml/symbol-prediction/BTC/USDT?asset_type=crypto" || true
ask "$BASE/api/ml/symbol-prediction/BTC%2FUSDT?asset_type=crypto" || true

# Predictions with filters, and the record behind them.
ask "$BASE/api/ml/predictions?asset_type=all&confidence=HIGH&signal=buy&limit=5"
ask "$BASE/api/ml/walk-forward-summary"

# The ensemble on a symbol's newest closed bar. This one may call Gemini, within its budget.
ask --request POST "$BASE/api/ml/ensemble-prediction" --header 'Content-Type: application/json' \
  --data '{"symbol": "BTC/USDT", "asset_type": "crypto"}' || true

# An answer that did not change costs 304 and no body.
ETAG="$(curl --silent --config "$CONFIG" --dump-header - --output /dev/null "$BASE/api/ml/walk-forward-summary" \
  | tr -d '\r' | sed -n 's/^etag: //Ip')"
curl --silent --config "$CONFIG" --output /dev/null --write-out '%{http_code}\n' \
  --header "If-None-Match: $ETAG" "$BASE/api/ml/walk-forward-summary"
