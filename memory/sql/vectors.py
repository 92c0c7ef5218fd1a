"""The statements that read, check and store the vectors of atoms."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

from django.db import connection

# Rows that are read at a time when a matrix is loaded.
_READ = 20_000
# Of what is not for everyone, archived or redacted no vector is made; nothing of it is sent anywhere.
_STAMP = """
SELECT coalesce((SELECT epoch FROM memory_memoryledger WHERE org_id = %(org)s), 0),
       coalesce((SELECT max(id) FROM memory_atomvector WHERE org_id = %(org)s AND model = %(model)s), 0)
"""
_STORED = """
SELECT id, atom_id, scale, vector FROM memory_atomvector
 WHERE org_id = %(org)s AND model = %(model)s AND id > %(after)s ORDER BY id LIMIT %(most)s
"""
_CURRENT = """
SELECT atom.id FROM memory_atom atom
  JOIN memory_atomvector v
    ON v.org_id = atom.org_id AND v.atom_id = atom.id AND v.model = %(model)s AND v.content_hash = atom.content_hash
 WHERE atom.org_id = %(org)s AND atom.id = ANY(%(atoms)s) AND atom.audience = 'everyone'
   AND (atom.state = 'active' OR NOT %(only_active)s AND atom.state <> 'redacted')
"""
# The window of atoms that is looked at, newest first, and what of it has no vector of its present text.
_FLOOR = """
SELECT min(id), count(*) FROM (
    SELECT id FROM memory_atom WHERE org_id = %(org)s AND id < %(before)s ORDER BY id DESC LIMIT %(window)s) page
"""
_WANTED = """
SELECT atom.id, atom.content, atom.content_hash FROM memory_atom atom
 WHERE atom.org_id = %(org)s AND atom.id >= %(floor)s AND atom.id < %(before)s
   AND atom.state = 'active' AND atom.audience = 'everyone'
   AND NOT EXISTS (SELECT FROM memory_atomvector v
                    WHERE v.org_id = atom.org_id AND v.atom_id = atom.id AND v.model = %(model)s
                      AND v.content_hash = atom.content_hash)
 ORDER BY atom.id DESC LIMIT %(most)s
"""
# Writers of one organisation's vectors follow each other: so the keys of rows grow in the order of commits, and who has
# read up to a key has missed nothing below it.
_TAKE_TURNS = "SELECT pg_advisory_xact_lock(hashtextextended('memory.vectors', %(org)s))"
_FORGET = "DELETE FROM memory_atomvector WHERE org_id = %(org)s AND atom_id = ANY(%(atoms)s)"
_FORGET_MODEL = f"{_FORGET} AND model = %(model)s"
_STORE = """
INSERT INTO memory_atomvector (
    org_id, created_at, updated_at, row_version, atom_id, model, content_hash, scale, vector)
SELECT %(org)s, now(), now(), 1, new.atom_id, %(model)s, new.content_hash, new.scale, new.vector
  FROM unnest(%(atoms)s::bigint[], %(hashes)s::text[], %(scales)s::float8[], %(vectors)s::bytea[])
       AS new (atom_id, content_hash, scale, vector)
  JOIN memory_atom atom ON atom.org_id = %(org)s AND atom.id = new.atom_id
   AND atom.content_hash = new.content_hash AND atom.state = 'active' AND atom.audience = 'everyone'
 ORDER BY new.atom_id
"""
# Models that are not used any more; of the one in use what is refused has no numbers.
_DROP_OTHERS = """
DELETE FROM memory_atomvector WHERE id IN (
    SELECT id FROM memory_atomvector WHERE org_id = %(org)s AND model <> %(model)s LIMIT %(most)s)
"""


class WantedText(NamedTuple):
    """An atom whose text has no vector yet."""

    atom_id: int
    content: str
    content_hash: str


class NewVector(NamedTuple):
    """A vector to be stored; without numbers the text was refused and is not asked for again."""

    atom_id: int
    content_hash: str
    scale: float
    numbers: bytes


def stamp(*, org_id: int, model: str) -> tuple[int, int]:
    """The epoch of redactions and the key of the newest vector."""
    with connection.cursor() as cursor:
        cursor.execute(_STAMP, {"org": org_id, "model": model})
        epoch, newest = cursor.fetchone()
        return int(epoch), int(newest)


def stored(*, org_id: int, model: str, after: int) -> Iterator[tuple[int, int, float, bytes]]:
    """(key, atom, scale, numbers) of the vectors of a model with keys above `after`, in their order."""
    while True:
        with connection.cursor() as cursor:
            cursor.execute(_STORED, {"org": org_id, "model": model, "after": after, "most": _READ})
            rows = cursor.fetchall()
        yield from ((pk, atom_id, scale, bytes(numbers)) for pk, atom_id, scale, numbers in rows)
        if len(rows) < _READ:
            return
        after = rows[-1][0]


def current(*, org_id: int, model: str, atom_ids: Sequence[int], only_active: bool) -> set[int]:
    """Which of these atoms stand as their vectors say: not redacted, for everyone, with the same text."""
    with connection.cursor() as cursor:
        wanted: dict[str, Any] = {"org": org_id, "model": model, "atoms": list(atom_ids), "only_active": only_active}
        cursor.execute(_CURRENT, wanted)
        return {pk for (pk,) in cursor.fetchall()}


def wanted_texts(
    *, org_id: int, model: str, before: int, window: int, most: int
) -> tuple[list[WantedText], int | None]:
    """At most so many texts without a vector among the `window` atoms with keys below `before`, and where to go on.

    None: there are no older atoms.
    """
    with connection.cursor() as cursor:
        place = {"org": org_id, "before": before, "window": window}
        cursor.execute(_FLOOR, place)
        floor, count = cursor.fetchone()
        if floor is None:
            return [], None
        cursor.execute(_WANTED, {**place, "floor": floor, "model": model, "most": most})
        texts = [WantedText(*row) for row in cursor.fetchall()]
    if len(texts) == most:
        return texts, texts[-1].atom_id
    return texts, floor if count == window else None


def store(*, org_id: int, model: str, vectors: Sequence[NewVector]) -> int:
    """Store vectors in the place of what these atoms had, where their texts still are the same; answers how many."""
    with connection.cursor() as cursor:
        atoms = [each.atom_id for each in vectors]
        cursor.execute(_FORGET_MODEL, {"org": org_id, "model": model, "atoms": atoms})
        cursor.execute(
            _STORE,
            {
                "org": org_id,
                "model": model,
                "atoms": atoms,
                "hashes": [each.content_hash for each in vectors],
                "scales": [each.scale for each in vectors],
                "vectors": [each.numbers for each in vectors],
            },
        )
        return int(cursor.rowcount)


def take_turns(*, org_id: int) -> None:
    """Wait until nobody else writes vectors of the organisation, to the end of the transaction."""
    with connection.cursor() as cursor:
        cursor.execute(_TAKE_TURNS, {"org": org_id})


def forget(*, org_id: int, atom_ids: Sequence[int]) -> int:
    """Delete the vectors of atoms, of every model; answers how many."""
    with connection.cursor() as cursor:
        cursor.execute(_FORGET, {"org": org_id, "atoms": list(atom_ids)})
        return int(cursor.rowcount)


def drop_other_models(*, org_id: int, model: str, most: int) -> int:
    """Delete at most so many vectors of other models; answers how many."""
    with connection.cursor() as cursor:
        cursor.execute(_DROP_OTHERS, {"org": org_id, "model": model, "most": most})
        return int(cursor.rowcount)
