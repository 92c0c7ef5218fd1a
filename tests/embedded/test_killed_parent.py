"""A process that dies without saying goodbye leaves nothing that blocks the next start."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import psycopg
import pytest

from flowledger.embedded import discover
from flowledger.embedded.places import runtime_directory
from flowledger.embedded.processes import is_alive, wait_until
from flowledger.embedded.servers import EmbeddedServers, throw_away_servers

CHECKOUT = Path(__file__).resolve().parents[2]

HOLDER = """
import sys
from pathlib import Path
from flowledger.embedded.servers import EmbeddedServers

servers = EmbeddedServers(Path(sys.argv[1]), durable=False)
servers.start()
print(servers.postgres.pid, servers.redis.pid, flush=True)
sys.stdin.read()
"""


def start_holder(data_dir: Path) -> tuple["subprocess.Popen[str]", list[int]]:
    """A process that holds the servers of `data_dir`, and the ids of its servers."""
    holder = subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(data_dir)],
        cwd=CHECKOUT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    pids = [int(pid) for pid in holder.stdout.readline().split()]
    assert len(pids) == 2
    return holder, pids


@pytest.fixture
def holder(data_dir):
    holder, pids = start_holder(data_dir)
    yield holder, pids
    holder.kill()
    holder.wait()


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells a process that its parent died")
def test_its_servers_end(holder, data_dir):
    process, pids = holder

    process.kill()
    process.wait()

    assert wait_until(lambda: not any(is_alive(pid) for pid in pids), seconds=30)
    assert discover(data_dir) == {}


def test_the_next_start_waits_for_nothing_but_their_end(holder, data_dir):
    process, pids = holder
    with psycopg.connect(discover(data_dir)["DATABASE_URL"]) as connection:
        connection.execute("CREATE TABLE kept (word text)")

    process.kill()
    process.wait()
    with EmbeddedServers(data_dir, durable=False) as servers:
        assert not any(is_alive(pid) for pid in pids)
        with psycopg.connect(servers.database_url) as connection:
            assert connection.execute("SELECT count(*) FROM kept").fetchone() == (0,)


def test_servers_that_do_not_notice_are_ended_by_the_next_start(holder, data_dir):
    """As on a system where the kernel does not tell them: they are stopped, and sleep through it."""
    process, pids = holder
    for pid in pids:
        os.kill(pid, signal.SIGSTOP)

    process.kill()
    process.wait()
    try:
        assert all(is_alive(pid) for pid in pids)
        with EmbeddedServers(data_dir, durable=False) as servers:
            assert not any(is_alive(pid) for pid in pids)
            assert servers.dead() is None
    finally:
        for pid in pids:
            if is_alive(pid):
                os.kill(pid, signal.SIGKILL)


def test_a_throw_away_directory_is_swept_by_the_next_run():
    program = (
        "import sys\n"
        "from flowledger.embedded.servers import throw_away_servers\n"
        "with throw_away_servers() as servers:\n"
        "    print(servers.data_dir, flush=True)\n"
        "    sys.stdin.read()\n"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", program], cwd=CHECKOUT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    directory = Path(process.stdout.readline().strip())
    assert directory.is_dir()
    process.kill()
    process.wait()

    with throw_away_servers() as servers:
        assert not directory.exists()
        assert not runtime_directory(directory).exists()
        assert servers.data_dir.is_dir()
    assert not servers.data_dir.exists()
