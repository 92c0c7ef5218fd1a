"""`make run`: from nothing to an answering web process, and back to nothing.

The checkout is a stand-in, with a `manage.py` and a Procfile that take no time; launcher, servers and processes are
the real ones.
"""

import http.client
import os
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from flowledger.embedded import discover
from flowledger.embedded.processes import is_alive, wait_until
from flowledger.embedded.servers import EmbeddedServers

CHECKOUT = Path(__file__).resolve().parents[2]

MANAGE = """
import os, sys
from pathlib import Path
import psycopg
with psycopg.connect(os.environ["DATABASE_URL"]) as connection:
    if sys.argv[1] == "migrate":
        connection.execute("CREATE TABLE IF NOT EXISTS kept (word text)")
    connection.execute("INSERT INTO kept VALUES (%s)", [sys.argv[1]])
if Path("refuse").exists():
    sys.exit(5)
print("done:", *sys.argv[1:], flush=True)
"""
WEB = """
import http.server, os
from pathlib import Path
class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.end_headers()
Path("web.pid").write_text(str(os.getpid()))
http.server.HTTPServer((os.environ["BIND_HOST"], int(os.environ["PORT"])), Handler).serve_forever()
"""
PROCFILE = "web: python web.py\nworker: sh -c 'echo broker is $REDIS_URL; exec sleep 1000'\nrelease: false\n"


@pytest.fixture
def port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


class Application:
    """A stand-in checkout, and `make run` in it."""

    def __init__(self, directory: Path, port: int) -> None:
        self.directory = directory
        self.data_dir = directory / ".data"
        self.port = port
        self.processes: list[subprocess.Popen[str]] = []
        shutil.copytree(CHECKOUT / "flowledger" / "embedded", directory / "flowledger" / "embedded")
        (directory / "flowledger" / "__init__.py").touch()
        (directory / "manage.py").write_text(MANAGE)
        (directory / "web.py").write_text(WEB)
        (directory / "Procfile").write_text(PROCFILE)
        self.environment = {
            name: value
            for name, value in os.environ.items()
            if name not in {"DATABASE_URL", "REDIS_URL", "CACHE_URL", "FLOWLEDGER_DATA_DIR", "BIND_HOST"}
        } | {"PORT": str(port)}

    def run(self, *prefix: str, **variables: str) -> "subprocess.Popen[str]":
        """Start it; what it prints goes to a file of its own."""
        with self._output_of(len(self.processes)).open("w") as output:
            process = subprocess.Popen(
                [*prefix, sys.executable, "-m", "flowledger.embedded", "--die-with-parent", "run"],
                cwd=self.directory,
                env=self.environment | variables,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                text=True,
            )
        self.processes.append(process)
        return process

    def run_until_up(self, *prefix: str, **variables: str) -> "subprocess.Popen[str]":
        """Start it and wait until it says where to look."""
        process = self.run(*prefix, **variables)
        up = f"Back office   http://127.0.0.1:{self.port}/admin/"
        assert wait_until(lambda: up in self.output(process) or process.poll() is not None, seconds=60)
        assert process.poll() is None, self.output(process)
        return process

    def answers(self) -> bool:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=5)
        try:
            connection.request("GET", "/healthz")
            return connection.getresponse().status == 200
        except OSError:
            return False
        finally:
            connection.close()

    def words(self) -> list[str]:
        """What the management commands left in the database that runs now."""
        with psycopg.connect(discover(self.data_dir)["DATABASE_URL"]) as connection:
            return [word for (word,) in connection.execute("SELECT word FROM kept")]

    def everything_ended(self) -> bool:
        web = int((self.directory / "web.pid").read_text())
        return not self.answers() and not is_alive(web) and discover(self.data_dir) == {}

    def finish(self, process: "subprocess.Popen[str]") -> tuple[int, str]:
        return process.wait(60), self.output(process)

    def output(self, process: "subprocess.Popen[str]") -> str:
        return self._output_of(self.processes.index(process)).read_text()

    def _output_of(self, number: int) -> Path:
        return self.directory.with_name(f"output-{number}.txt")


@pytest.fixture
def application(tmp_path: Path, port: int) -> Iterator[Application]:
    application = Application(tmp_path / "checkout", port)
    yield application
    for process in application.processes:
        process.kill()
        process.wait()
    if (application.directory / "web.pid").exists():
        assert wait_until(application.everything_ended, seconds=30)
    if application.data_dir.exists():
        EmbeddedServers(application.data_dir, durable=False).discard(patience=30)


class TestRun:
    def test_prepares_starts_says_where_to_look_and_stops_in_order(self, application):
        process = application.run_until_up()
        assert application.words() == ["migrate", "sla", "demo_org"]
        assert wait_until(lambda: discover(application.data_dir) != {}, seconds=5)

        process.send_signal(signal.SIGINT)
        status, output = application.finish(process)

        assert status == 0
        assert application.everything_ended()
        lines = output.splitlines()
        done = [line for line in lines if line.startswith("done: ")]
        assert done == ["done: migrate --no-input", "done: sla backfill", "done: demo_org"]
        assert any(line.startswith("worker | broker is redis+socket:///") for line in lines)
        assert lines[-1] == "Stopping the servers."

    def test_keeps_the_data_for_the_next_time(self, application):
        process = application.run_until_up()
        process.terminate()
        application.finish(process)

        application.run_until_up()

        assert application.words() == ["migrate", "sla", "demo_org"] * 2

    def test_a_second_one_in_the_same_checkout_is_refused_and_told_where_the_first_is(self, application, port):
        first = application.run_until_up()

        status, output = application.finish(application.run(PORT=str(port + 1)))

        assert status == 1
        assert f"already runs on {application.data_dir} (process {first.pid})" in output
        assert f"Web: http://127.0.0.1:{port}" in output
        assert application.answers()

    def test_a_taken_port_is_refused_and_leaves_nothing_running(self, application, port):
        with socket.socket() as other:
            other.bind(("127.0.0.1", port))
            other.listen()

            status, output = application.finish(application.run())

        assert status == 1
        assert f"Port {port} of 127.0.0.1 is taken" in output
        assert f"PORT={port + 1} make run" in output
        assert discover(application.data_dir) == {}

    def test_production_is_refused_without_servers_of_its_own(self, application):
        status, output = application.finish(application.run(FLOWLEDGER_ENV="production"))

        assert status == 1
        assert "Production runs on servers of its own: set DATABASE_URL and REDIS_URL." in output
        assert not application.data_dir.exists()

    @pytest.mark.parametrize("wrong", ["eighty", "0", "70000"])
    def test_a_port_that_is_none_is_refused(self, application, wrong):
        status, output = application.finish(application.run(PORT=wrong))

        assert status == 1
        assert f"PORT is '{wrong}'" in output
        assert not application.data_dir.exists()

    def test_a_failed_preparation_starts_no_process_and_leaves_nothing_running(self, application):
        (application.directory / "refuse").touch()

        status, output = application.finish(application.run())

        assert status == 1
        assert "`manage.py migrate --no-input` failed with status 5" in output
        assert not (application.directory / "web.pid").exists()
        assert discover(application.data_dir) == {}

    def test_a_dead_server_ends_the_rest(self, application):
        process = application.run_until_up()
        pid = int((application.data_dir / "redis" / "redis.pid").read_text())

        os.kill(pid, signal.SIGKILL)
        status, output = application.finish(process)

        assert status == 1
        assert f"redis ended by itself; its log is {application.data_dir}/redis.log" in output
        assert application.everything_ended()

    def test_embeds_nothing_when_the_environment_names_both(self, application, servers):
        servers.start()

        application.run_until_up(**servers.environment)

        assert not application.data_dir.exists()
        with psycopg.connect(servers.database_url) as connection:
            assert connection.execute("SELECT count(*) FROM kept").fetchone() == (3,)


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells a process that its parent died")
class TestKilled:
    def test_the_next_start_is_not_blocked(self, application):
        process = application.run_until_up()

        process.kill()
        process.wait()
        application.run_until_up()

        assert application.words() == ["migrate", "sla", "demo_org"] * 2

    def test_a_killed_parent_takes_everything_with_it(self, application):
        # As make does: the launcher is its child, and nobody tells it that make is gone.
        make = application.run_until_up("/bin/sh", "-c", '"$@"; exit', "make")

        make.kill()
        make.wait()

        assert wait_until(application.everything_ended, seconds=60)
