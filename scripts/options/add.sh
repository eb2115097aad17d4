#!/usr/bin/env bash
# Adds a release to the tables of options (docs/reference/options.md).
#
#   PYTHON=… scripts/options/add.sh PACKAGE VERSION…     PACKAGE: sglang, vllm, ai-dynamo, sglang-router, smg, vllm-router
#
# Downloads the package from PyPI, and has its own code make its parsers. PYTHON needs pip, and msgspec, pydantic, packaging,
# typing_extensions, pyyaml, numpy, huggingface_hub, regex and uvloop; modules that it lacks have stand-ins. Where a release
# of vLLM needs more than stand-ins, PYTHON=.srtctl/real/vllm/bin/python and PIP=pip record it.
set -euo pipefail
cd "$(dirname "$0")/../.."
python=${PYTHON:-python3}
pip=${PIP:-$python -m pip}
package=$1
shift

case $package in
  sglang) programs=(sglang) ;;
  vllm) programs=(vllm vllm.engine) ;;
  ai-dynamo) programs=(dynamo.frontend dynamo.sglang dynamo.vllm dynamo.trtllm dynamo.mocker) ;;
  sglang-router | smg | vllm-router) programs=("$package") ;;
  *) echo "no table for $package" >&2 && exit 2 ;;
esac

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

fetch() { # VERSION: leaves the packages in $work/source
  local options=(--quiet --no-deps --disable-pip-version-check --ignore-requires-python -d "$work")
  mkdir -p "$work/source"
  if [ "$package" = vllm ]; then
    # Its wheels have 400 MB. pip unpacks the source archive, cannot build it here, and leaves it where it is.
    mkdir "$work/unpacked"
    TMPDIR=$work/unpacked $pip download "${options[@]}" --no-binary vllm --no-build-isolation --no-clean \
      "vllm==$1" >/dev/null 2>&1 || true
    mv "$work"/unpacked/pip-download-*/vllm_*/vllm "$work/source/vllm"
    return
  fi
  $pip download "${options[@]}" --only-binary :all: "$package==$1"
  for wheel in "$work"/*.whl; do "$python" -m zipfile -e "$wheel" "$work/source"; done
}

for version; do
  rm -rf "${work:?}"/*
  fetch "$version"
  for program in "${programs[@]}"; do
    "$python" scripts/options/record.py "$program" "$version" --source "$work/source" >"$work/$program.json" 2>"$work/errors" ||
      { tail -5 "$work/errors" >&2 && exit 1; }
    python3 scripts/options/merge.py "src/engine-options/tables/$program.json" "$work/$program.json"
    echo "$program $version"
  done
done
[ "$package" != ai-dynamo ] || echo 'now write its engines: scripts/options/dynamo-engines.py'
