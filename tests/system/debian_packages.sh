#!/usr/bin/env bash
# Installs the Debian packages that the system tests need and that are missing. Without root or apt-get it names them
# and ends with 0: their tests are skipped, or fail under CI=true.
set -euo pipefail

needed() {  # the program that shows a package is there, the package
  command -v redis-server >/dev/null || echo redis-server
  command -v chromium >/dev/null || command -v google-chrome >/dev/null || echo chromium fonts-dejavu
  command -v initdb >/dev/null || compgen -G '/usr/lib/postgresql/*/bin/initdb' >/dev/null || echo postgresql
}

mapfile -t missing < <(needed | tr ' ' '\n')
if [[ ${#missing[@]} -eq 0 ]]; then
  exit 0
fi
if [[ "$(id -u)" -ne 0 ]] || ! command -v apt-get >/dev/null; then
  echo "for the whole of the system tests: apt-get install ${missing[*]}" >&2
  exit 0
fi
export DEBIAN_FRONTEND=noninteractive
apt-get update -qq
apt-get install -y -qq --no-install-recommends "${missing[@]}" >/dev/null
echo "installed: ${missing[*]}"
