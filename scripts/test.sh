#!/usr/bin/env bash
# Everything that must hold, in the order of how soon it tells: lint and format, types, dead code, tests.
set -euo pipefail
cd "$(dirname "$0")/.."
export PATH="$PWD/node_modules/.bin:$PATH"

echo '== lint and format (biome)'
biome check --error-on-warnings .
echo '== types (tsc)'
tsc --noEmit
echo '== dead exports and unused dependencies (knip)'
knip
echo '== tests (vitest)'
exec vitest run "$@"
