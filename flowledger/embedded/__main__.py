"""`python -m flowledger.embedded`: the servers, and the whole application on them, from the command line."""

import argparse
import os
import shlex
import signal
import sys

from flowledger.embedded.errors import EmbeddedServerError
from flowledger.embedded.places import data_directory
from flowledger.embedded.processes import die_with_parent
from flowledger.embedded.runner import run_application, run_command, run_servers
from flowledger.embedded.servers import throw_away_servers
from flowledger.embedded.state import discover


def main() -> int:
    """Do what the command line says; the exit status."""
    parser = argparse.ArgumentParser(prog="python -m flowledger.embedded", description=__doc__)
    parser.add_argument(
        "--die-with-parent", action="store_true", help="stop in good order when the calling process is killed"
    )
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("run", help="servers, migrations, demo organisation, web, worker and beat, until Ctrl-C")
    commands.add_parser("servers", help="PostgreSQL and Redis alone, until Ctrl-C")
    commands.add_parser("env", help="shell assignments that lead to the servers that run now")
    execute = commands.add_parser("exec", help="run a command on throw-away servers: exec -- COMMAND …")
    execute.add_argument("argv", nargs=argparse.REMAINDER, metavar="COMMAND")
    options = parser.parse_args()

    if options.die_with_parent:
        parent = os.getppid()
        die_with_parent(signal.SIGTERM)
        if os.getppid() != parent:  # it died before the kernel knew
            return 1
    try:
        match options.command:
            case "run":
                return run_application()
            case "servers":
                return run_servers()
            case "env":
                return _print_environment()
            case _:
                return _execute(options.argv, parser)
    except EmbeddedServerError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1


def _execute(argv: list[str], parser: argparse.ArgumentParser) -> int:
    command = argv[1:] if argv[:1] == ["--"] else argv
    if not command:
        parser.error("exec needs a command")
    needed = {name: not os.environ.get(name) for name in ("DATABASE_URL", "REDIS_URL")}
    with throw_away_servers(with_postgres=needed["DATABASE_URL"], with_redis=needed["REDIS_URL"]) as servers:
        return run_command(command, servers)


def _print_environment() -> int:
    found = discover(data_directory())
    for name, value in found.items():
        print(f"export {name}={shlex.quote(value)}")
    return 0 if found else 1


if __name__ == "__main__":
    sys.exit(main())
