"""How a measured process speaks with the benchmark: readiness, handler starts, counts of handled tasks."""

from __future__ import annotations

import mmap
import os
import struct
import sys
import time
from pathlib import Path

# Lines "<number> <seconds since the epoch>" of handler starts.
STAMPS = "BENCH_STAMPS"
# A directory with one file per process: count, first start, last end.
TALLIES = "BENCH_TALLIES"
# A file that appears when the worker takes work.
READY = "BENCH_READY"

_TALLY = struct.Struct("=Qdd")


def wait_for_the_word() -> None:
    """Say that this process is ready and wait until the benchmark lets it begin."""
    print("ready", flush=True)
    sys.stdin.readline()


def say_ready() -> None:
    """For workers that begin as soon as there is work."""
    Path(os.environ[READY]).touch()


def stamp(number: int) -> None:
    """Note the start of a handler; the first thing that the handler does."""
    now = time.time()
    # One write below the size of a pipe buffer into a file opened for appending: lines never mix.
    os.write(_stamps(), f"{number} {now!r}\n".encode())


_descriptor: int | None = None


def _stamps() -> int:
    global _descriptor
    if _descriptor is None:
        _descriptor = os.open(os.environ[STAMPS], os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    return _descriptor


class Tally:
    """Counts tasks in shared memory, with the time of the first start and the last end of this process."""

    def __init__(self) -> None:
        self._pid = 0
        self._memory: mmap.mmap | None = None
        self._count = 0
        self._first = 0.0

    def count(self, started: float) -> None:
        if self._memory is None or self._pid != os.getpid():
            self._open()
            self._first = started
        assert self._memory is not None
        self._count += 1
        _TALLY.pack_into(self._memory, 0, self._count, self._first, time.time())

    def _open(self) -> None:
        # A forked child begins its own.
        self._pid, self._count = os.getpid(), 0
        path = Path(os.environ[TALLIES]) / str(self._pid)
        path.write_bytes(b"\0" * _TALLY.size)
        with path.open("r+b") as file:
            self._memory = mmap.mmap(file.fileno(), _TALLY.size)


def read_tallies(directory: Path) -> tuple[int, float]:
    """How many tasks all processes have done, and the seconds from the first start to the last end."""
    tallies = [_TALLY.unpack(path.read_bytes()) for path in directory.iterdir() if path.stat().st_size == _TALLY.size]
    started = [tally for tally in tallies if tally[0]]
    if not started:
        return 0, 0.0
    return sum(tally[0] for tally in started), max(tally[2] for tally in started) - min(tally[1] for tally in started)


def read_stamps(path: Path) -> dict[int, float]:
    """The first handler start of each number."""
    starts: dict[int, float] = {}
    if path.exists():
        for line in path.read_text().splitlines():
            number, at = line.split()
            starts.setdefault(int(number), float(at))
    return starts
