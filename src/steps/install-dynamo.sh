#!/usr/bin/env bash
# install-dynamo.sh VERSION | install-dynamo.sh --built DIRECTORY
# Installs Dynamo into the Python of this container: a release, or the wheels that build-dynamo.sh made.
# Wheels in /configs/wheels take precedence over those of an index.
set -euo pipefail

pip() { PIP_BREAK_SYSTEM_PACKAGES=1 PIP_ROOT_USER_ACTION=ignore python3 -m pip install --quiet "$@"; }

installed() {
  python3 -c 'import sys, importlib.metadata as m
try: sys.exit(0 if {m.version(p) for p in ("ai-dynamo", "ai-dynamo-runtime")} == {sys.argv[1]} else 1)
except m.PackageNotFoundError: sys.exit(1)' "$1"
}

if [[ $# -eq 2 && $1 == --built ]]; then
  directory=$(cat "$2/where-$(uname -m)")
  wheels=("$directory"/*.whl)
  echo "installing Dynamo from ${wheels[*]}"
  pip --force-reinstall --no-deps "${wheels[@]}"
  pip "${wheels[@]}"
elif [[ $# -eq 1 ]]; then
  if installed "$1"; then
    echo "Dynamo $1 is there"
    exit 0
  fi
  echo "installing Dynamo $1"
  own=()
  if [[ -d /configs/wheels ]]; then own=(--find-links /configs/wheels); fi
  pip "${own[@]}" --extra-index-url https://pypi.nvidia.com "ai-dynamo-runtime==$1" "ai-dynamo==$1"
else
  echo 'usage: install-dynamo.sh VERSION | --built DIRECTORY' >&2
  exit 2
fi
python3 -c 'import importlib.metadata as m; print("Dynamo", m.version("ai-dynamo"))'
