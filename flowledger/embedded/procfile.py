"""Running the processes of a Procfile side by side, so that they end together and none is left behind."""

import contextlib
import os
import re
import selectors
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import BinaryIO, Self

from flowledger.embedded.errors import EmbeddedServerError
from flowledger.embedded.processes import die_with_parent

_LINE = re.compile(r"^(?P<name>[A-Za-z0-9_-]+):\s*(?P<command>\S.*)$")
_COLOURS = ("36", "33", "35", "32", "34")
_TICK_SECONDS = 0.25
_STOP_SECONDS = 25.0
_STOPPING_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


def read_procfile(path: Path) -> dict[str, str]:
    """Process names and their shell commands, in the file's order."""
    commands = {}
    for number, line in enumerate(path.read_text().splitlines(), start=1):
        if not line.strip() or line.startswith("#"):
            continue
        found = _LINE.match(line)
        if found is None:
            raise EmbeddedServerError(f"{path.name} line {number} is not `name: command`: {line}")
        commands[found["name"]] = found["command"].strip()
    return commands


class StopRequested(Exception):
    """The user or the system asked us to end; not an error."""


class StopSignals:
    """While entered, SIGINT, SIGTERM and SIGHUP set a flag and wake the selector instead of ending us.

    `raise_if_set` turns the flag into StopRequested at a place of the caller's choice. An ignored SIGHUP (nohup)
    stays ignored.
    """

    def __init__(self) -> None:
        self.count = 0
        self._previous: dict[signal.Signals, Callable[[int, FrameType | None], object] | int | None] = {}

    def __enter__(self) -> Self:
        self.reader, self._writer = os.pipe()
        for descriptor in (self.reader, self._writer):
            os.set_blocking(descriptor, False)
        for sig in _STOPPING_SIGNALS:
            previous = signal.getsignal(sig)
            if sig is signal.SIGHUP and previous is signal.SIG_IGN:
                continue
            self._previous[sig] = signal.signal(sig, self._note)
        return self

    def __exit__(self, *_: object) -> None:
        for sig, previous in self._previous.items():
            signal.signal(sig, previous)
        os.close(self.reader)
        os.close(self._writer)

    def _note(self, _signal: int, _frame: FrameType | None) -> None:
        self.count += 1
        with contextlib.suppress(OSError):
            os.write(self._writer, b"!")

    def raise_if_set(self) -> None:
        if self.count:
            raise StopRequested


@dataclass
class _Member:
    name: str
    process: subprocess.Popen[bytes]
    output: BinaryIO
    colour: str
    rest: bytes = b""


class ProcessGroup:
    """Processes whose output goes to our standard output, line by line, each under its name."""

    def __init__(self, commands: Mapping[str, str], *, directory: Path, environment: Mapping[str, str]) -> None:
        self._width = max(len(name) for name in commands)
        self._coloured = sys.stdout.isatty()
        self._members: list[_Member] = []
        self._commands = dict(commands)
        self._directory = directory
        self._environment = dict(environment)

    def run(self, signals: StopSignals, *, check: Callable[[], str | None]) -> int:
        """Start all, relay their output until one ends or a signal comes, end all; the exit status.

        `check` is called several times a second; text from it is a reason to stop with a failure.
        """
        with selectors.DefaultSelector() as selector:
            selector.register(signals.reader, selectors.EVENT_READ)
            try:
                for name, command in self._commands.items():
                    self._start(name, command, selector)
                status = self._watch(selector, signals, check)
            finally:
                self._stop(selector, signals)
        return status

    def _start(self, name: str, command: str, selector: selectors.BaseSelector) -> None:
        process = subprocess.Popen(
            ["/bin/sh", "-c", f"exec {command}"],
            cwd=self._directory,
            env=self._environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            # A terminal's Ctrl-C is for us alone: we end the others in good order.
            start_new_session=True,
            preexec_fn=lambda: die_with_parent(signal.SIGTERM),
        )
        assert process.stdout is not None
        output: BinaryIO = process.stdout  # type: ignore[assignment]
        os.set_blocking(output.fileno(), False)
        member = _Member(name, process, output, _COLOURS[len(self._members) % len(_COLOURS)])
        self._members.append(member)
        selector.register(output, selectors.EVENT_READ, member)

    def _watch(self, selector: selectors.BaseSelector, signals: StopSignals, check: Callable[[], str | None]) -> int:
        while True:
            self._relay(selector)
            if signals.count:
                return 0
            for member in self._members:
                status = member.process.poll()
                if status is not None:
                    say(f"{member.name} ended by itself with status {status}; stopping the others.")
                    return status if status > 0 else 1
            if reason := check():
                say(reason)
                return 1

    def _stop(self, selector: selectors.BaseSelector, signals: StopSignals) -> None:
        """End all; by force after a while, or at a second signal."""
        seen = signals.count
        for member in self._running():
            member.process.send_signal(signal.SIGTERM)
        deadline = time.monotonic() + _STOP_SECONDS
        while any(True for _ in self._running()):
            self._relay(selector)
            if time.monotonic() > deadline or signals.count > seen:
                break
        for member in self._members:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(member.process.pid, signal.SIGKILL)
            member.process.wait()
        self._relay(selector)
        for member in self._members:
            member.output.close()

    def _running(self) -> Iterator[_Member]:
        return (member for member in self._members if member.process.poll() is None)

    def _relay(self, selector: selectors.BaseSelector) -> None:
        for key, _ in selector.select(timeout=_TICK_SECONDS):
            if not isinstance(key.data, _Member):
                with contextlib.suppress(BlockingIOError):
                    os.read(key.fd, 1024)
                continue
            member = key.data
            try:
                content = os.read(key.fd, 65536)
            except BlockingIOError:
                continue
            if not content:
                selector.unregister(key.fileobj)
            *lines, member.rest = (member.rest + content).split(b"\n")
            if not content and member.rest:
                lines.append(member.rest)
            for line in lines:
                self._print(member, line)

    def _print(self, member: _Member, line: bytes) -> None:
        name = f"{member.name:<{self._width}} |"
        if self._coloured:
            name = f"\033[{member.colour}m{name}\033[0m"
        say(f"{name} {line.decode(errors='replace').rstrip()}")


def say(text: str) -> None:
    """Print at once; once nobody reads any more, go on in silence: stopping in order matters more."""
    try:
        print(text, flush=True)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        os.kill(os.getpid(), signal.SIGTERM)
