"""Where a text stands in the database: in any column of any table, as text or as bytes, and in its statistics."""

from __future__ import annotations

import base64
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any

from django.conf import settings
from django.db import connection

from flowledger.tenancy.scope import current_org_id, system_scope

_TABLES = """
SELECT quote_ident(c.relname), c.relrowsecurity FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
 WHERE n.nspname = 'public' AND c.relkind IN ('r', 'p') AND NOT c.relispartition ORDER BY c.relname
"""
_STATISTICS = """
SELECT tablename || '.' || attname FROM pg_stats WHERE schemaname = 'public'
   AND concat_ws(' ', most_common_vals::text, histogram_bounds::text, most_common_elems::text) ILIKE %s
"""


def rows_with(token: str, *, besides: Iterable[str] = ()) -> dict[str, int]:
    """How many rows of each table hold the token anywhere: as it is, as bytes, or as bytes in base64."""
    found: dict[str, int] = {}
    with _everywhere() as cursor:
        cursor.execute(_TABLES)
        for table, has_walls in cursor.fetchall():
            if table in set(besides):
                continue
            # The login role sees no tenant's row, and the system role none of the framework's.
            cursor.execute("SELECT set_config('role', %s, true)", [settings.SYSTEM_DB_ROLE if has_walls else "none"])
            cursor.execute(
                f"SELECT count(*) FROM {table} t WHERE t::text ILIKE ANY(%s)", [[f"%{form}%" for form in _forms(token)]]
            )
            (number,) = cursor.fetchone()
            if number:
                found[table] = number
    return found


def statistics_with(token: str) -> list[str]:
    """The columns whose statistics show the token."""
    with _everywhere() as cursor:
        cursor.execute(_STATISTICS, [f"%{token}%"])
        return sorted(name for (name,) in cursor.fetchall())


@contextmanager
def _everywhere() -> Iterator[Any]:
    """A cursor that may read every table in one role or the other."""
    assert current_org_id() is None
    with system_scope("tests"), connection.cursor() as cursor:
        cursor.execute("SELECT set_config('role', 'none', true)")
        yield cursor
        cursor.execute("SELECT set_config('role', %s, true)", [settings.SYSTEM_DB_ROLE])


def _forms(token: str) -> list[str]:
    """The token, and in hexadecimal as bytes are shown: as it is, with a capital, and in the three phases of base64."""
    plain = [token, token.capitalize(), token.upper()]
    encoded = [base64.b64encode(b" " * phase + token.encode())[4 if phase else 0 : -4].decode() for phase in range(3)]
    return [token, *(form.encode().hex() for form in (*plain, *(each for each in encoded if len(each) > 6)))]
