"""Where embedded servers keep their files, and which account may reach them.

Two directories belong to every pair of servers. The *data directory* (`.data/`) holds the cluster, the Redis
files, the lock and the state file; it may lie at any depth, under directories that only root may enter. The
*runtime directory* (`/tmp/fl-<uid>-<hash>`) holds the sockets, whose paths the kernel limits to 107 bytes; its
name follows from the data directory, so that two checkouts never meet, and it is made anew on every start.
"""

import hashlib
import os
import pwd
import shutil
import stat
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from flowledger.embedded.errors import EmbeddedServerError

SOCKET_PATH_LIMIT = 107
LONGEST_SOCKET_NAME = "/s/.s.PGSQL.5432.lock"
THROW_AWAY_PREFIX = "flowledger-throw-away"

_CHECKOUT = Path(__file__).resolve().parents[2]
_ROOT_UID = 0
_ACCOUNTS_FOR_ROOT = ("nobody", "daemon", "bin")


def data_directory() -> Path:
    """The data directory of this checkout: FLOWLEDGER_DATA_DIR, or `.data` beside `manage.py`."""
    configured = os.environ.get("FLOWLEDGER_DATA_DIR", "").strip()
    return _CHECKOUT / configured if configured else _CHECKOUT / ".data"


@dataclass(frozen=True)
class Account:
    """The operating-system account that server processes run as."""

    uid: int
    gid: int
    name: str


def server_account(cluster: Path) -> Account:
    """The account for the servers: ours, or an unprivileged one when we are root, whom PostgreSQL refuses.

    A cluster that already belongs to somebody unprivileged keeps its owner, so that `sudo make run` in a
    developer's checkout leaves it usable without sudo. No account is ever created.
    """
    if os.geteuid() != _ROOT_UID:
        return _account_by_uid(os.geteuid())
    for path in (cluster, cluster.parent):
        if path.exists() and path.stat().st_uid != _ROOT_UID:
            return _account_by_uid(path.stat().st_uid)
    for name in _ACCOUNTS_FOR_ROOT:
        try:
            return _account_by_uid(pwd.getpwnam(name).pw_uid)
        except KeyError:
            continue
    raise EmbeddedServerError(
        f"PostgreSQL does not run as root, and this system has none of the accounts {', '.join(_ACCOUNTS_FOR_ROOT)}. "
        "Run as another user, or set DATABASE_URL and REDIS_URL to servers of your own."
    )


def _account_by_uid(uid: int) -> Account:
    try:
        entry = pwd.getpwuid(uid)
    except KeyError:
        raise EmbeddedServerError(
            f"PostgreSQL needs a named account, but user id {uid} has no entry in the password file. "
            "Run as a named user, or set DATABASE_URL and REDIS_URL to servers of your own."
        ) from None
    return Account(uid=entry.pw_uid, gid=entry.pw_gid, name=entry.pw_name)


def runtime_directory(data_dir: Path) -> Path:
    """The short path that belongs to this data directory and this user; it need not exist."""
    key = hashlib.sha256(os.fsencode(data_dir.resolve())).hexdigest()[:12]
    name = f"fl-{os.geteuid()}-{key}"
    for base in _temporary_bases():
        path = base / name
        if len(os.fsencode(path)) + len(LONGEST_SOCKET_NAME) <= SOCKET_PATH_LIMIT:
            return path
    raise EmbeddedServerError("No temporary directory with a short path is writable; tried /tmp, TMPDIR, /var/tmp.")


def _temporary_bases() -> Iterator[Path]:
    for base in map(Path, dict.fromkeys(("/tmp", tempfile.gettempdir(), "/var/tmp", "/dev/shm"))):  # noqa: S108
        if not base.is_dir() or not os.access(base, os.W_OK | os.X_OK):
            continue
        if os.geteuid() == _ROOT_UID and os.statvfs(base).f_flag & os.ST_NOEXEC:
            continue  # root may have to copy the programs there
        yield base


def make_runtime_directory(path: Path, account: Account) -> Path:
    """Make the runtime directory anew and return its socket directory, which only `account` and root may enter.

    The outer directory is ours, so that nobody else can put a socket of his own in the place; a path that
    somebody else made first is refused and left as it is. The caller holds the lock of the data directory.
    """
    remove_runtime_directory(path)
    path.mkdir(mode=0o700)
    sockets = path / "s"
    sockets.mkdir(mode=0o700)
    if account.uid != os.geteuid():
        path.chmod(0o711)
        os.chown(sockets, account.uid, account.gid)
    return sockets


def remove_runtime_directory(path: Path) -> None:
    """Remove what an earlier run left; refuses a path that is not a directory of ours."""
    try:
        found = path.lstat()
    except FileNotFoundError:
        return
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.geteuid():
        raise EmbeddedServerError(
            f"{path} exists and is not a directory of user id {os.geteuid()}. Somebody else may be trying to stand "
            "between you and your database: look at it, remove it, and start again."
        )
    shutil.rmtree(path)


def throw_away_base() -> Path:
    """Where throw-away clusters go: memory when two gigabytes are free there, else the temporary directory."""
    memory = Path("/dev/shm")  # noqa: S108
    if memory.is_dir() and os.access(memory, os.W_OK | os.X_OK) and shutil.disk_usage(memory).free > 2 * 1024**3:
        return memory
    return Path(tempfile.gettempdir())
