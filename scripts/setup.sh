#!/usr/bin/env bash
# Makes nats-server and etcd available: from PATH, else Debian's packages unpacked into .srtctl/bin (no root, and
# no service is started), else a message that says what to do.
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
