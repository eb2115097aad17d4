#!/usr/bin/env bash
# fetch-source.sh REPOSITORY REVISION DIRECTORY
# Has a commit, a tag or refs/pull/N/head of a repository in DIRECTORY. What is there already is not fetched again.
set -euo pipefail

if [[ $# -ne 3 ]]; then
  echo 'usage: fetch-source.sh REPOSITORY REVISION DIRECTORY' >&2
  exit 2
fi
repository=$1 revision=$2 directory=$3
mark=$directory/.git/srtctl-fetched
if [[ -f $mark && $(<"$mark") == "$repository $revision" ]]; then
  echo "$revision of $repository is there"
  exit 0
fi
command -v git >/dev/null || { echo 'git is not installed on this node, or not in this image' >&2; exit 1; }
export GIT_TERMINAL_PROMPT=0
rm -rf -- "$directory"
mkdir -p "$directory"
cd "$directory"
git init --quiet
git remote add origin -- "$repository"
# A server gives single commits by their whole names alone, and some give none.
if [[ $revision =~ ^[0-9a-f]{4,39}$ ]] || ! git fetch --quiet --depth 1 origin "$revision" 2>/dev/null; then
  echo "fetching all of $repository, because $revision alone is not given"
  git fetch --quiet origin '+refs/heads/*:refs/remotes/origin/*' '+refs/tags/*:refs/tags/*'
  git checkout --quiet --detach "$revision"
else
  git checkout --quiet --detach FETCH_HEAD
fi
git submodule update --quiet --init --recursive --depth 1
echo "commit $(git rev-parse HEAD) of $repository"
printf '%s\n' "$repository $revision" >"$mark"
