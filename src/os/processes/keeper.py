"""As keeper.pl, for nodes without perl: SRTCTL_KEPT=WORDS python3 -I -S keeper.py NAME"""

import ctypes
import os
import signal
import sys
import time

PR_SET_PDEATHSIG, PR_SET_CHILD_SUBREAPER = 1, 36
libc = ctypes.CDLL(None)
command = os.environ.pop("SRTCTL_KEPT").split("\x1f")[:-1]
keeper = os.getpid()
if libc.prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) != 0:
    os.execvp(command[0], command)

agent = 0


def end(*_):
    if agent:
        os.kill(agent, signal.SIGKILL)


for name in (signal.SIGHUP, signal.SIGINT, signal.SIGTERM):
    signal.signal(name, lambda *_: None)
signal.signal(signal.SIGUSR1, end)
agent = os.fork()
if agent == 0:
    # Python ignores SIGPIPE and SIGXFSZ, and exec would pass that on.
    for name in ("SIGHUP", "SIGINT", "SIGTERM", "SIGUSR1", "SIGPIPE", "SIGXFSZ"):
        signal.signal(getattr(signal, name), signal.SIG_DFL)
    libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    if os.getppid() != keeper:
        os._exit(137)
    os.environ["SRTCTL_KEEPER"] = str(keeper)
    try:
        os.execvp(command[0], command)
    except OSError as error:
        sys.stderr.write(f"srtctl: cannot start {command[0]}: {error}\n")
        sys.stderr.flush()
        os._exit(127)


def text(path):
    try:
        with open(path, "rb") as file:
            return file.read()
    except OSError:
        return b""


def children():
    path = f"/proc/{keeper}/task/{keeper}/children"
    if os.path.exists(path):
        return [int(pid) for pid in text(path).split()]
    parents = ((pid, text(f"/proc/{pid}/stat").rpartition(b") ")[2].split()[1:2]) for pid in os.listdir("/proc") if pid.isdigit())
    return [int(pid) for pid, parent in parents if parent == [str(keeper).encode()]]


status = None
while status is None:
    pid, how = os.waitpid(-1, 0)
    if pid == agent:
        status = how
pause, seen = 0.001, set()
while True:
    left = new = False
    for pid in children():
        if text(f"/proc/{pid}/comm") in (b"podman pause\n", b"catatonit\n"):
            continue
        left = True
        try:
            if b"guard.sh\0SRTCTL_AGENT=" in text(f"/proc/{pid}/cmdline"):
                os.kill(pid, signal.SIGCONT)
                continue
            os.kill(pid, signal.SIGKILL)
        except OSError:
            pass
        new = new or pid not in seen
        seen.add(pid)
    try:
        while (pid := os.waitpid(-1, os.WNOHANG)[0]) > 0:
            seen.discard(pid)
    except ChildProcessError:
        pass
    if not left:
        break
    pause = 0.001 if new else min(pause * 2, 0.03)
    time.sleep(pause)
if os.WIFSIGNALED(status):
    how = os.WTERMSIG(status)
    try:
        signal.signal(how, signal.SIG_DFL)
    except (OSError, ValueError):
        pass
    os.kill(keeper, how)
    os._exit(128 + how)
os._exit(os.WEXITSTATUS(status))
