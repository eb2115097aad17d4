#!/usr/bin/env bash
# Installs the real programs for test/real: routers, Dynamo, vLLM, SGLang, Mooncake from PyPI (each version and hash is
# pinned in test/real/requirements), nginx and Prometheus' node exporter from Debian.
#
#   scripts/real/setup.sh [ENVIRONMENT…]     default: all of them
#
# Installs everything below .srtctl/real. An environment whose requirements have not changed stays as it is.
# Exit code 3: PyPI or Debian could not be reached, so nothing can be installed.
set -euo pipefail
script=$(cd "$(dirname "$0")" && pwd)/setup.sh
cd "$(dirname "$script")/../.."
requirements=test/real/requirements
home=.srtctl/real
mkdir -p "$home"
home=$(cd "$home" && pwd -P)

say() { echo "real programs: $*"; }

cannot() { # WHAT: says what to do, and ends
  cat >&2 <<MESSAGE
real programs: $1
  The tests with real routers and engines (test/real) need PyPI and Debian's packages, python3 with venv, and about 9 GB.
  - Debian: sudo apt-get install python3 python3-venv
  - without them, run the other tests alone: REAL=no make test
MESSAGE
  exit 3
}

# One set-up at a time, because two would write the same environments.
exec 9>"$home/lock"
flock 9

# Debian's own Python when there is one, because a version manager's python3 may change from directory to directory.
python=python3
for candidate in /usr/bin/python3; do
  "$candidate" -c 'import ensurepip, venv' 2>/dev/null && python=$candidate && break
done
if ! "$python" -c 'import ensurepip, venv' 2>/dev/null; then
  if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
    say "installing Debian's packages python3 and python3-venv"
    (apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends python3 python3-venv) >/dev/null 2>&1 || true
    python=/usr/bin/python3
  fi
  "$python" -c 'import ensurepip, venv' 2>/dev/null || cannot 'python3 with its module venv is not here'
fi

# uv installs ten times as fast as pip. It uses the system's certificates, as pip does when they are set for it.
uv=$home/uv/bin/uv
if [ ! -x "$uv" ] || ! cmp -s "$requirements/uv.txt" "$home/uv/requirements"; then
  rm -rf "$home/uv"
  "$python" -m venv "$home/uv"
  "$home/uv/bin/pip" install -q --disable-pip-version-check --require-hashes -r "$requirements/uv.txt" ||
    cannot 'PyPI could not be reached'
  cp "$requirements/uv.txt" "$home/uv/requirements"
fi

site() { "$home/$1/bin/python" -c 'import sysconfig; print(sysconfig.get_paths()["purelib"])'; }

install() { # ENVIRONMENT [uv's options] -- FILE…
  local name=$1 options=()
  shift
  while [ "$1" != -- ]; do options+=("$1"); shift; done
  shift
  for file in "$@"; do
    VIRTUAL_ENV=$home/$name "$uv" pip install -q --native-tls --require-hashes --link-mode hardlink "${options[@]}" \
      -r "$requirements/$file" || cannot "the environment $name could not be installed"
  done
}

wanted() { # ENVIRONMENT FILE…: false when the environment is there and was made from these files
  local name=$1 files=()
  shift
  for file in "$@"; do files+=("$requirements/$file"); done
  sum=$(cat "${files[@]}" "$script" | sha256sum)
  [ "$(cat "$home/$name/made-from" 2>/dev/null)" = "$sum" ] && return 1
  say "installing $name"
  rm -rf "${home:?}/$name"
  "$python" -m venv --without-pip "$home/$name"
}

made() { echo "$sum" >"$home/$1/made-from"; }

# A distribution under another name than its module: vLLM and Dynamo look for the version of `vllm`.
name_vllm() { # ENVIRONMENT VERSION
  local info
  info="$(site "$1")/vllm-$2+cpu.dist-info"
  mkdir -p "$info"
  printf 'Metadata-Version: 2.1\nName: vllm\nVersion: %s+cpu\n' "$2" >"$info/METADATA"
  touch "$info/RECORD"
}

# lm-eval, which evaluates answers.
make_accuracy() {
  case "${REAL:-}:$asked" in full:* | rest:* | *:yes) ;; *) return 0 ;; esac
  wanted accuracy accuracy.txt || return 0
  install accuracy -- accuracy.txt
  made accuracy
}

make_routers() {
  wanted routers routers.txt || return 0
  install routers -- routers.txt
  made routers
}

make_dynamo() {
  wanted dynamo dynamo.txt dynamo-needs.txt || return 0
  install dynamo --no-deps -- dynamo.txt dynamo-needs.txt
  made dynamo
}

make_dynamo-old() {
  wanted dynamo-old dynamo-old.txt || return 0
  install dynamo-old --no-deps -- dynamo-old.txt
  made dynamo-old
}

make_vllm() {
  wanted vllm vllm.txt || return 0
  install vllm --no-deps -- vllm.txt
  name_vllm vllm 0.32.0
  made vllm
}

make_dynamo-vllm() {
  make_vllm
  wanted dynamo-vllm vllm.txt dynamo-vllm.txt || return 0
  install dynamo-vllm --no-deps -- dynamo-vllm.txt
  name_vllm dynamo-vllm 0.31.0
  site vllm >"$(site dynamo-vllm)/zz-base.pth"
  made dynamo-vllm
}

make_sglang() {
  make_vllm
  wanted sglang vllm.txt sglang.txt || { copy_stub; return 0; }
  install sglang --no-deps -- sglang.txt
  site vllm >"$(site sglang)/zz-base.pth"
  # SGLang's kernels for CPUs are in no registry. test/real/sglang/stub has the kernels that a small dense model calls.
  echo "$home/sglang/stub" >"$(site sglang)/zz-stub.pth"
  copy_stub
  made sglang
}

# The stub is copied at each set-up, because it is part of this repository and may have changed.
copy_stub() {
  [ -d test/real/sglang/stub ] || return 0
  rm -rf "$home/sglang/stub" && cp -r test/real/sglang/stub "$home/sglang/stub"
}

make_mooncake() {
  wanted mooncake mooncake.txt || return 0
  install mooncake -- mooncake.txt
  made mooncake
}

# NVIDIA's client, which is held against srtctl's load generator.
make_aiperf() {
  wanted aiperf aiperf.txt || return 0
  install aiperf -- aiperf.txt
  made aiperf
}

# Clients of NATS: Python's, and its own tool, which is built where Go is there (minutes, so `make test` leaves it out).
make_bus() {
  if wanted bus bus.txt; then
    install bus -- bus.txt
    made bus
  fi
  case "${REAL:-}" in full | rest) ;; *) return 0 ;; esac
  [ -x "$home/bus/bin/nats" ] && return 0
  if ! command -v go >/dev/null; then
    say "go is not here: the test with NATS' own tool is left out"
    return 0
  fi
  say "building NATS' own tool"
  GOBIN=$home/bus/bin GOFLAGS=-mod=mod go install github.com/nats-io/natscli/nats@v0.1.6 >/dev/null 2>&1 ||
    cannot "NATS' own tool could not be built"
}

# Readers of Parquet files, for a slow test alone.
make_parquet() {
  case "${REAL:-}:$asked" in full:* | rest:* | *:yes) ;; *) return 0 ;; esac
  wanted parquet parquet.txt || return 0
  install parquet -- parquet.txt
  made parquet
}

# What receives metrics and traces: Debian's Prometheus, and OpenTelemetry's collector, which is built where Go is there
# (minutes, so `make test` leaves both out).
make_monitoring() {
  case "${REAL:-}:$asked" in full:* | rest:* | *:yes) ;; *) return 0 ;; esac
  local at=$home/monitoring
  mkdir -p "$at/bin"
  if [ ! -x "$at/bin/prometheus" ]; then
    say "taking prometheus from Debian"
    take prometheus "$at/debian"
    ln -sf "$at/debian/usr/bin/prometheus" "$at/debian/usr/bin/promtool" "$at/bin/"
  fi
  touch "$at/made-from"
  [ -x "$at/bin/otelcol" ] && return 0
  if ! command -v go >/dev/null; then
    say "go is not here: the test with OpenTelemetry's collector is left out"
    return 0
  fi
  say "building OpenTelemetry's collector"
  (cd "$at" && go run go.opentelemetry.io/collector/cmd/builder@v0.165.0 --config "$OLDPWD/test/real/monitoring/collector.yaml" >/dev/null 2>&1) ||
    cannot "OpenTelemetry's collector could not be built"
  mv "$at/build/otelcol" "$at/bin/" && rm -rf "$at/build"
}

take() { # PACKAGE DIRECTORY: unpacks Debian's package, and installs nothing
  local deb=$home/deb-$1
  rm -rf "$deb" && mkdir "$deb"
  if ! (cd "$deb" && apt-get download -q "$1" >/dev/null 2>&1); then
    [ "$(id -u)" = 0 ] && apt-get update -qq >/dev/null 2>&1
    (cd "$deb" && apt-get download -q "$1" >/dev/null 2>&1) || cannot "Debian's package $1 could not be had"
  fi
  dpkg-deb -x "$deb"/*.deb "$2"
  rm -rf "$deb"
}

# Unpacked and not installed, so that Debian starts no service.
make_debian() {
  local package
  mkdir -p "$home/debian"
  for package in nginx prometheus-node-exporter libibverbs1 libnl-3-200 libnl-route-3-200; do
    [ -e "$home/debian/.$package" ] && continue
    say "taking $package from Debian"
    take "$package" "$home/debian"
    touch "$home/debian/.$package"
  done
}

begin=$SECONDS
asked=$([ $# -gt 0 ] && echo yes || echo no)
all=(debian bus monitoring parquet routers dynamo dynamo-old mooncake aiperf accuracy vllm dynamo-vllm sglang)
for name in "${@:-${all[@]}}"; do "make_$name"; done
[ $((SECONDS - begin)) -lt 2 ] || say "ready after $((SECONDS - begin)) s, in $home"
