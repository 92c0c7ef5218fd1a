"""The statements of re-scores."""

from __future__ import annotations

from django.db import connection

_HOLD = "SELECT id FROM spotlight_spotlight WHERE org_id = %s ORDER BY id FOR KEY SHARE"


def hold_profiles(*, org_id: int) -> None:
    """Keep the profiles of an organisation from being deleted until the end of the transaction; edits go on."""
    with connection.cursor() as cursor:
        cursor.execute(_HOLD, [org_id])
