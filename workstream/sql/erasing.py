"""The narrow doors through which an erasure or a redaction may empty what is otherwise kept as it was."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from django.db import connection
from django.db.models import F, Func, TextField, Value
from django.db.models.functions import Cast, Concat

_DOORS = """
SELECT set_config('flowledger.payload_door', %(payload)s, true),
       set_config('flowledger.proposal_door', %(proposal)s, true)
"""


@contextmanager
def doors_open() -> Iterator[None]:
    """Let payloads be emptied, and the texts of proposals that were sent be redacted, until the block ends."""
    with connection.cursor() as cursor:
        cursor.execute(_DOORS, {"payload": "redaction", "proposal": "redaction"})
    yield
    # Not after an error: the rollback closes them, and until then nothing can be asked.
    with connection.cursor() as cursor:
        cursor.execute(_DOORS, {"payload": "", "proposal": ""})


def instead_of_id() -> Any:
    """A text of each row's own in the place of one that named somebody: "erased-17"."""
    return Concat(Value("erased-"), Cast(F("id"), TextField()), output_field=TextField())


def instead_of_digest() -> Any:
    """Likewise in the place of a SHA-256."""
    number = Func(Cast(F("id"), TextField()), Value("UTF8"), function="convert_to")
    return Func(Func(number, function="sha256"), Value("hex"), function="encode", output_field=TextField())
