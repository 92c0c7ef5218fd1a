"""Starting a server so that it cannot outlive its parent, and finding one that did."""

import contextlib
import ctypes
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import IO

from flowledger.embedded.errors import EmbeddedServerError
from flowledger.embedded.places import Account

_PR_SET_PDEATHSIG = 1
POLL_SECONDS = 0.02

_libc = ctypes.CDLL(None, use_errno=True) if sys.platform == "linux" else None


def die_with_parent(sig: signal.Signals) -> None:
    """Ask the kernel to send this process `sig` when the thread that started it ends, however it ends.

    Only Linux has this. Elsewhere a server can outlive a killed parent; the next start ends it (`end_orphan`).
    """
    if _libc is not None:
        _libc.prctl(_PR_SET_PDEATHSIG, sig.value, 0, 0, 0)


def server_environment() -> dict[str, str]:
    """The variables a server gets: none of ours, so that no PG… variable or locale changes what it does."""
    return {"PATH": os.defpath, "LC_ALL": "C", "TZ": "UTC"}


def spawn(
    command: Sequence[str],
    *,
    directory: Path,
    account: Account,
    output: IO[bytes],
    on_parent_death: signal.Signals,
    environment: Mapping[str, str] | None = None,
) -> subprocess.Popen[bytes]:
    """Start a server in `directory` as `account`, out of reach of the terminal's Ctrl-C.

    The directory is entered before the privileges are dropped, so its ancestors may be closed to the account.
    """
    foreign = account.uid != os.geteuid()
    try:
        return subprocess.Popen(
            command,
            cwd=directory,
            env=dict(environment or server_environment()),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            user=account.uid if foreign else None,
            group=account.gid if foreign else None,
            extra_groups=[] if foreign else None,
            umask=0o077,
            # Runs after the change of user, which would have cleared the request.
            preexec_fn=lambda: die_with_parent(on_parent_death),
        )
    except (OSError, subprocess.SubprocessError) as error:
        raise EmbeddedServerError(f"Cannot start {command[0]} as {account.name}: {error}") from error


def wait_until(condition: Callable[[], bool], *, seconds: float) -> bool:
    """Poll until the condition holds; False when it did not within `seconds`."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(POLL_SECONDS)
    return True


def is_alive(pid: int) -> bool:
    """Whether a process with this id exists and is more than a zombie."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    with contextlib.suppress(OSError):
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in {"Z", "X"}
    return True


def runs_in(pid: int, directory: Path) -> bool:
    """Whether the process is alive and has its working directory there: ids are reused, directories are not.

    Where there is no /proc the id alone has to do.
    """
    if not is_alive(pid):
        return False
    if not Path("/proc/self").is_dir():
        return True
    try:
        return Path(f"/proc/{pid}/cwd").samefile(directory)
    except OSError:
        return False


def end_orphan(pid: int, *, directory: Path, gently: signal.Signals, patience: float = 15) -> None:
    """End a server that outlived its parent: gently, and by force when that takes too long.

    A process with this id that does not run in `directory` is somebody else's and is left alone.
    """
    for sig, seconds in ((None, 1.0), (gently, patience), (signal.SIGKILL, 5.0)):
        if not runs_in(pid, directory):
            return
        if sig is not None:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, sig)
                os.kill(pid, signal.SIGCONT)  # a stopped process hears nothing else
        if wait_until(lambda: not runs_in(pid, directory), seconds=seconds):
            return
    raise EmbeddedServerError(f"Process {pid} still runs in {directory} and does not end.")


def last_lines(path: Path, count: int = 15) -> str:
    """The end of a server's log, for an error message."""
    try:
        return "\n".join(path.read_text(errors="replace").splitlines()[-count:])
    except OSError:
        return ""


def open_log(path: Path, *, limit: int = 5_000_000) -> IO[bytes]:
    """Open a server's log for appending; starts it anew once it is past `limit` bytes."""
    if path.exists() and path.stat().st_size > limit:
        path.replace(path.with_suffix(".log.old"))
    return path.open("ab", buffering=0)
