"""`make run`: servers, migrations, demo organisation, and the processes of the Procfile, until Ctrl-C."""

import contextlib
import http.client
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import environ

from flowledger.embedded.errors import EmbeddedServerError
from flowledger.embedded.places import data_directory
from flowledger.embedded.processes import wait_until
from flowledger.embedded.procfile import ProcessGroup, StopRequested, StopSignals, read_procfile, say
from flowledger.embedded.servers import EmbeddedServers

CHECKOUT = Path(__file__).resolve().parents[2]
_PREPARATIONS = (("migrate", "--no-input"), ("sla", "backfill"), ("demo_org",))
_NOT_RUN = ("release",)
_PORT_PATIENCE = 5.0


def run_application() -> int:
    """Run everything; the exit status. Servers that the environment names are used, the others are embedded."""
    environ.Env.read_env(CHECKOUT / ".env")
    host, port = _address()
    with StopSignals() as signals, contextlib.suppress(StopRequested), _servers() as servers:
        _refuse_taken_port(host, port)
        address = f"http://{'127.0.0.1' if host == '0.0.0.0' else host}:{port}"  # noqa: S104
        if servers is not None:
            servers.publish(Web=address)
        environment = application_environment(servers.environment if servers else {}, BIND_HOST=host, PORT=str(port))
        for command in _PREPARATIONS:
            signals.raise_if_set()
            _manage(command, environment, signals)
        commands = {
            name: command for name, command in read_procfile(CHECKOUT / "Procfile").items() if name not in _NOT_RUN
        }
        group = ProcessGroup(commands, directory=CHECKOUT, environment=environment)
        threading.Thread(target=_announce, args=(host, port, address), daemon=True).start()
        status = group.run(signals, check=lambda: _dead_server(servers))
        say("Stopping the servers.")
        return status
    return 0


def run_servers() -> int:
    """Run the servers alone, for work with `manage.py` in another terminal."""
    environ.Env.read_env(CHECKOUT / ".env")
    with StopSignals() as signals, _servers() as servers:
        if servers is None:
            say("DATABASE_URL and REDIS_URL are set: there is nothing to embed.")
            return 0
        for name, value in servers.environment.items():
            say(f"{name}={value}")
        say("Ctrl-C stops the servers.")
        while not signals.count:
            if reason := _dead_server(servers):
                say(reason)
                return 1
            time.sleep(0.25)
    return 0


def run_command(command: Sequence[str], servers: EmbeddedServers) -> int:
    """Run one command on these servers; its exit status. Ctrl-C reaches the command, and we wait for its end."""
    with StopSignals() as signals:
        process = subprocess.Popen(command, env=application_environment(servers.environment))
        passed_on = 0
        while process.poll() is None:
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(0.1)
            if signals.count > passed_on:
                passed_on = signals.count
                process.terminate()
    return process.returncode if process.returncode >= 0 else 128 - process.returncode


def application_environment(addresses: Mapping[str, str], **extra: str) -> dict[str, str]:
    """Our environment, with the servers' addresses where it names none, and this interpreter's programs first."""
    programs = str(Path(sys.executable).parent)
    return {
        **os.environ,
        **{name: value for name, value in addresses.items() if not os.environ.get(name)},
        **extra,
        "PATH": os.pathsep.join([programs, os.environ.get("PATH", os.defpath)]),
        "PYTHONUNBUFFERED": "1",
    }


@contextlib.contextmanager
def _servers() -> Iterator[EmbeddedServers | None]:
    """The embedded servers that the environment leaves room for; None when it names both."""
    needed = {name: not os.environ.get(name) for name in ("DATABASE_URL", "REDIS_URL")}
    if not any(needed.values()):
        yield None
        return
    if os.environ.get("FLOWLEDGER_ENV") == "production":
        missing = " and ".join(name for name, is_needed in needed.items() if is_needed)
        raise EmbeddedServerError(f"Production runs on servers of its own: set {missing}.")
    directory = data_directory()
    say(f"Starting PostgreSQL and Redis on {directory}.")
    with EmbeddedServers(directory, with_postgres=needed["DATABASE_URL"], with_redis=needed["REDIS_URL"]) as servers:
        yield servers


def _address() -> tuple[str, int]:
    port = os.environ.get("PORT", "") or "8000"
    if not port.isdecimal() or not 0 < int(port) < 65536:
        raise EmbeddedServerError(f"PORT is '{port}'; it must be a number between 1 and 65535.")
    return os.environ.get("BIND_HOST", "") or "127.0.0.1", int(port)


def _refuse_taken_port(host: str, port: int) -> None:
    """Refuse a port that somebody else has; a web process that is on its way out gets a moment."""
    if not wait_until(lambda: _is_free(host, port), seconds=_PORT_PATIENCE):
        raise EmbeddedServerError(
            f"Port {port} of {host} is taken by another program. Run with another one: PORT={port + 1} make run"
        )


def _is_free(host: str, port: int) -> bool:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind((host, port))
        except OSError:
            return False
    return True


def _manage(command: Sequence[str], environment: Mapping[str, str], signals: StopSignals) -> None:
    """Run a management command to its end; a signal ends it early."""
    process = subprocess.Popen(
        [sys.executable, "manage.py", *command],
        cwd=CHECKOUT,
        env=dict(environment),
        stdin=subprocess.DEVNULL,
        start_new_session=True,
    )
    while process.poll() is None:
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(0.1)
        if signals.count:
            process.send_signal(signal.SIGTERM)
            process.wait()
            raise StopRequested
    if process.returncode:
        raise EmbeddedServerError(f"`manage.py {' '.join(command)}` failed with status {process.returncode}.")


def _dead_server(servers: EmbeddedServers | None) -> str | None:
    if servers is None:
        return None
    dead = servers.dead()
    return f"{dead} ended by itself; its log is {servers.data_dir / dead}.log" if dead else None


def _announce(host: str, port: int, address: str) -> None:
    """Say where to look, once the web process answers."""
    while not _is_healthy(host, port):
        time.sleep(0.5)
    say(
        f"""
  FlowLedger is up.

    Back office   {address}/admin/
    API           {address}/api/docs
    Health        {address}/healthz

  The demo organisation's login is printed above. Ctrl-C stops everything; the data stays in
  {data_directory()}.
"""
    )


def _is_healthy(host: str, port: int) -> bool:
    connection = http.client.HTTPConnection(host, port, timeout=5)
    try:
        connection.request("GET", "/healthz")
        return connection.getresponse().status == http.HTTPStatus.OK
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()
