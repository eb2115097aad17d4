#!/usr/bin/env bash
# Checks that need no test: lint and format, types, dead code. They run in parallel and print in the order of this file.
set -euo pipefail
cd "$(dirname "$0")/.."
export PATH="$PWD/node_modules/.bin:$PATH"

said=$(mktemp -d)
trap 'rm -rf "$said"' EXIT
biome check --error-on-warnings . >"$said/biome" 2>&1 &
biome=$!
{ tsc --noEmit && tsc --noEmit -p src/report/browser; } >"$said/tsc" 2>&1 &
tsc=$!
knip >"$said/knip" 2>&1 &
knip=$!

failed=no
tell() { # WHAT PROGRAM PID
  echo "== $1 ($2)"
  wait "$3" || failed=yes
  cat "$said/$2"
}
tell 'lint and format' biome "$biome"
tell types tsc "$tsc"
tell 'dead exports and unused dependencies' knip "$knip"
[ "$failed" = no ]
