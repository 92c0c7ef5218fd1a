"""The administrator's SQL of the deploy recipe, on a server of its own: a login role that can create no role."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import psycopg
import pytest

from flowledger.embedded.servers import throw_away_servers

CHECKOUT = Path(__file__).resolve().parents[2]
RECIPE = (CHECKOUT / "docs" / "recipes" / "deploy.md").read_text()
FOUND = re.search(r"^```sql prepared\n(.*?)^```", RECIPE, re.DOTALL | re.MULTILINE)
assert FOUND
STATEMENTS = [statement.strip() for statement in FOUND[1].split(";") if statement.strip()]


def migrate(url: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "manage.py", "migrate", "--no-input", "--verbosity", "0"],
        cwd=CHECKOUT,
        env={**os.environ, "DATABASE_URL": url},
        capture_output=True,
        text=True,
        check=False,
    )


def prepare(superuser_url: str, statements: list[str]) -> None:
    with psycopg.connect(superuser_url, autocommit=True) as connection:
        for statement in statements:
            connection.execute(statement)


@pytest.mark.parametrize("without", ["", "INHERIT FALSE"])
def test_prepared_roles_suffice_and_an_inherited_search_role_is_refused(without: str):
    statements = [text.replace(" WITH INHERIT FALSE, SET TRUE", "") if without else text for text in STATEMENTS]
    with throw_away_servers(with_redis=False) as servers:
        assert servers.postgres is not None
        prepare(servers.postgres.superuser_url, statements)
        url = servers.environment["DATABASE_URL"].replace("//flowledger@/flowledger", "//sales@/sales")
        run = migrate(url)
        with psycopg.connect(url) as connection:
            applied = connection.execute("SELECT count(*) FROM django_migrations WHERE app = 'workstream'").fetchone()

    if without:
        assert run.returncode != 0
        assert "inherits the role flowledger_search" in run.stderr
        assert applied == (0,)
    else:
        assert run.returncode == 0, run.stderr
        assert applied and applied[0] >= 3
