# shellcheck shell=bash
# The official Node from npm, for scripts that source this file.

# node_from_npm PACKAGE VERSION INTEGRITY DIRECTORY: unpacks bin/node and its license there, unless that version exists.
node_from_npm() {
  local package=$1 version=$2 integrity=$3 dir=$4 work file digest
  [ "$(cat "$dir/version" 2>/dev/null)" = "$version" ] && return 0
  work=$(mktemp -d)
  trap 'rm -rf "$work"; trap - RETURN' RETURN
  file=$(cd "$work" && npm pack --silent "$package@$version") || return 1
  digest=sha512-$(node -p 'require("crypto").createHash("sha512").update(require("fs").readFileSync(process.argv[1])).digest("base64")' "$work/$file") || return 1
  if [ "$digest" != "$integrity" ]; then
    echo "$package@$version is not what it was: $digest" >&2
    return 1
  fi
  mkdir -p "$dir"
  tar -xzf "$work/$file" -C "$dir" --strip-components=1 package/bin/node package/LICENSE
  echo "$version" >"$dir/version"
}
