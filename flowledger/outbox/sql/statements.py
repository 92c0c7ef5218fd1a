"""What the statements of the outbox share."""

from __future__ import annotations

from typing import Any

from django.db import connection

# 1, 2, 4 … minutes give or take a fifth, at most sixty with the jitter included.
BACKOFF = """statement_timestamp()
    + least(interval '60 minutes', interval '1 minute' * 2 ^ (attempts - 1) * (0.8 + 0.4 * random()))"""


def execute(statement: str, parameters: dict[str, Any]) -> int:
    """Run one statement; answers the number of rows it touched."""
    with connection.cursor() as cursor:
        cursor.execute(statement, parameters)
        return int(cursor.rowcount)
