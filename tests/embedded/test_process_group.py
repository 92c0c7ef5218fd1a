"""Processes of a Procfile start together, are heard together and end together."""

import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from flowledger.embedded import EmbeddedServerError
from flowledger.embedded.processes import is_alive, wait_until
from flowledger.embedded.procfile import read_procfile

CHECKOUT = Path(__file__).resolve().parents[2]

PROGRAM = """
import os, sys
from pathlib import Path
from flowledger.embedded.procfile import ProcessGroup, StopSignals, read_procfile

directory = Path(sys.argv[1])
with StopSignals() as signals:
    group = ProcessGroup(read_procfile(directory / "Procfile"), directory=directory, environment=os.environ)
    sys.exit(group.run(signals, check=lambda: "something is gone" if (directory / "gone").exists() else None))
"""
# Says its id, then works until it is told to stop, and says so.
WORKER = """sh -c 'trap "echo bye; exit 0" TERM; echo $$ > {name}.pid; echo up; while :; do sleep 0.05; done'"""


class Runner:
    """A process that runs a Procfile in a directory of its own."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.process: subprocess.Popen[str] | None = None

    def start(self, **commands: str) -> None:
        lines = (f"{name}: {command.format(name=name)}\n" for name, command in commands.items())
        (self.directory / "Procfile").write_text("".join(lines))
        self.process = subprocess.Popen(
            [sys.executable, "-c", PROGRAM, str(self.directory)],
            cwd=CHECKOUT,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def pid_of(self, name: str) -> int:
        path = self.directory / f"{name}.pid"
        assert wait_until(lambda: path.exists() and path.read_text().endswith("\n"), seconds=20)
        return int(path.read_text())

    def finish(self) -> tuple[int, list[str]]:
        """Wait for its end: the exit status and the lines it printed."""
        output, _ = self.process.communicate(timeout=60)
        return self.process.returncode, output.splitlines()


@pytest.fixture
def runner(tmp_path: Path) -> Iterator[Runner]:
    runner = Runner(tmp_path)
    yield runner
    if runner.process is not None:
        runner.process.kill()
        runner.process.wait()


class TestRun:
    @pytest.mark.parametrize("sig", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
    def test_a_signal_ends_all_in_good_order(self, runner, sig):
        runner.start(web=WORKER, worker=WORKER)
        pids = [runner.pid_of("web"), runner.pid_of("worker")]

        runner.process.send_signal(sig)
        status, lines = runner.finish()

        assert status == 0
        assert sorted(lines) == ["web    | bye", "web    | up", "worker | bye", "worker | up"]
        assert not any(is_alive(pid) for pid in pids)

    def test_one_that_ends_by_itself_ends_the_others_and_gives_its_status(self, runner):
        runner.start(web=WORKER, worker="sh -c 'while [ ! -e web.pid ]; do sleep 0.05; done; echo broken; exit 7'")
        pid = runner.pid_of("web")

        status, lines = runner.finish()

        assert status == 7
        assert "worker | broken" in lines
        assert "worker ended by itself with status 7; stopping the others." in lines
        assert "web    | bye" in lines
        assert not is_alive(pid)

    def test_one_that_ends_early_without_complaint_is_a_failure_too(self, runner):
        runner.start(web="true")

        assert runner.finish() == (1, ["web ended by itself with status 0; stopping the others."])

    def test_a_failed_check_ends_all(self, runner):
        runner.start(web=WORKER)
        runner.pid_of("web")

        (runner.directory / "gone").touch()

        assert runner.finish() == (1, ["web | up", "something is gone", "web | bye"])

    def test_a_second_signal_does_not_wait(self, runner):
        runner.start(web="""sh -c 'trap "" TERM; echo $$ > {name}.pid; while :; do sleep 0.05; done'""")
        pid = runner.pid_of("web")

        runner.process.send_signal(signal.SIGINT)
        with pytest.raises(subprocess.TimeoutExpired):
            runner.process.wait(1)
        runner.process.send_signal(signal.SIGINT)

        assert runner.finish()[0] == 0
        assert not is_alive(pid)

    @pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells a process that its parent died")
    def test_the_processes_of_a_killed_runner_end(self, runner):
        runner.start(web=WORKER, worker=WORKER)
        pids = [runner.pid_of("web"), runner.pid_of("worker")]

        runner.process.kill()

        assert wait_until(lambda: not any(is_alive(pid) for pid in pids), seconds=30)

    def test_a_reader_that_went_away_ends_all(self, runner):
        runner.start(web="""sh -c 'echo $$ > {name}.pid; while :; do echo line; sleep 0.05; done'""")
        pid = runner.pid_of("web")

        runner.process.stdout.close()

        assert runner.process.wait(60) == 0
        assert not is_alive(pid)


class TestReadProcfile:
    def test_keeps_the_order_and_leaves_out_comments(self, tmp_path):
        (tmp_path / "Procfile").write_text("# processes\n\nweb: serve --port $PORT\nworker:  work\n")

        assert list(read_procfile(tmp_path / "Procfile").items()) == [
            ("web", "serve --port $PORT"),
            ("worker", "work"),
        ]

    def test_names_a_line_that_is_none(self, tmp_path):
        (tmp_path / "Procfile").write_text("web: serve\nnonsense\n")

        with pytest.raises(EmbeddedServerError, match=r"line 2.*nonsense"):
            read_procfile(tmp_path / "Procfile")

    def test_reads_ours(self):
        assert list(read_procfile(CHECKOUT / "Procfile")) == ["web", "worker", "beat", "release"]
