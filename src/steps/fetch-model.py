"""fetch-model.py REPO: a model of the Hugging Face hub is in HF_HOME afterwards.

Looks first without the network; clears locks that a download left which was killed; tries a few times.
"""

import glob
import os
import sys
import time

TRIES = 5
# A running download writes to its files; a lock that was quiet for so long is stale (seconds).
QUIET = 120


def main(repo):
    try:
        from huggingface_hub import constants, snapshot_download
    except ImportError:
        print("fetch-model: the image has no huggingface_hub: install it, or name the model by its directory", file=sys.stderr)
        return 1
    path = there(snapshot_download, repo)
    if path is not None:
        print(f"{repo} is already in the cache: {path}")
        return 0
    if constants.HF_HUB_OFFLINE:
        print(f"fetch-model: {repo} is not in {constants.HF_HUB_CACHE}, and HF_HUB_OFFLINE forbids the download", file=sys.stderr)
        return 1
    pause = float(os.environ.get("SRTCTL_FETCH_PAUSE", "10"))
    for attempt in range(1, TRIES + 1):
        clear_stale_locks(constants.HF_HUB_CACHE, repo)
        try:
            print(f"fetching {repo} to {constants.HF_HUB_CACHE}", flush=True)
            print(f"{repo} is in the cache: {snapshot_download(repo)}")
            return 0
        except Exception as error:  # any error of the hub, the network or the disk
            print(f"fetch-model: attempt {attempt} of {TRIES}: {type(error).__name__}: {error}", file=sys.stderr, flush=True)
            if is_final(error):
                return 1
            if attempt < TRIES:
                time.sleep(pause * attempt)
    return 1


def there(snapshot_download, repo):
    """A snapshot does not list missing files, but unfinished files remain beside it."""
    try:
        path = snapshot_download(repo, local_files_only=True)
    except Exception:
        return None
    begun = glob.glob(os.path.join(os.path.dirname(os.path.dirname(path)), "blobs", "*.incomplete"))
    return None if begun else path


def is_final(error):
    return type(error).__name__ in ("RepositoryNotFoundError", "GatedRepoError", "RevisionNotFoundError", "HFValidationError")


def clear_stale_locks(cache, repo):
    name = "models--" + repo.replace("/", "--")
    parts = glob.glob(os.path.join(cache, name, "blobs", "*.incomplete"))
    if any(time.time() - os.path.getmtime(part) < QUIET for part in parts):
        return
    for lock in glob.glob(os.path.join(cache, ".locks", name, "*.lock")):
        if time.time() - os.path.getmtime(lock) < QUIET:
            continue
        try:
            os.unlink(lock)
            print(f"removed a stale lock: {lock}")
        except OSError as error:
            print(f"fetch-model: cannot remove {lock}: {error}", file=sys.stderr)


if __name__ == "__main__":
    if len(sys.argv) != 2:
        print("usage: fetch-model.py REPO", file=sys.stderr)
        sys.exit(2)
    sys.exit(main(sys.argv[1]))
