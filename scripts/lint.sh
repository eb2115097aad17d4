#!/usr/bin/env bash
# What needs no test to be found: lint and format, types, dead code. In the order of how soon each tells.
set -euo pipefail
cd "$(dirname "$0")/.."
export PATH="$PWD/node_modules/.bin:$PATH"

echo '== lint and format (biome)'
biome check --error-on-warnings .
echo '== types (tsc)'
tsc --noEmit
echo '== dead exports and unused dependencies (knip)'
knip
