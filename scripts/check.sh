#!/usr/bin/env bash
# Checks within a minute whether a change is worth the whole of `make test`: lint, types and unit tests.
set -euo pipefail
cd "$(dirname "$0")/.."

bash scripts/lint.sh
echo '== unit tests (vitest)'
exec node_modules/.bin/vitest run --project unit "$@"
