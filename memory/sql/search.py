"""The statements of a search, beside the function that migration 0002 makes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from django.db import connection

from memory.search.questions import Word
from memory.search.ranking import Candidate, Neighbour
from memory.search.types import Entity, Filters

# Candidates that are ranked, and those of them whose neighbours in the conversation are looked at.
CANDIDATES = 200
WITH_NEIGHBOURS = 60
# Beyond so many characters no word is highlighted.
READ_CHARACTERS = 5_000

_CANDIDATES = """
SELECT atom_id, kind, points, extract(epoch FROM last_seen_at)::float8, words, is_named, places
  FROM public.memory_search(
    %(words)s::text[], %(places)s::integer[], %(weights)s::real[], %(exact)s::boolean[], %(languages)s::text[],
    %(entity_types)s::text[], %(entity_ids)s::bigint[], %(named_types)s::text[], %(named_ids)s::bigint[],
    %(kinds)s::text[], %(tags)s::text[], %(author)s::bigint, %(since)s::timestamptz, %(until)s::timestamptz,
    %(past)s, %(reader)s::bigint, %(manager)s, %(most)s)
"""
_STEP = """
    (SELECT n.id, n.kind, n.base_score, extract(epoch FROM n.last_seen_at)::float8 AS seen,
            row_number() OVER (ORDER BY n.occurred_at {order}, n.id {order}) AS steps
       FROM memory_atom n
      WHERE n.org_id = %(org)s AND n.thread_key = c.thread_key AND (n.occurred_at, n.id) {beyond} (c.occurred_at, c.id)
        AND (n.state = 'active' OR %(past)s AND n.state IN ('archived', 'superseded'))
        AND (n.audience = 'everyone' OR n.audience = 'managers' AND %(manager)s
             OR n.audience = 'author' AND n.author_id = %(reader)s::bigint)
      ORDER BY n.occurred_at {order}, n.id {order} LIMIT 2)
"""
_NEIGHBOURS = f"""
SELECT c.id, n.steps, n.id, n.kind, n.base_score, n.seen
  FROM memory_atom c,
LATERAL (
    {_STEP.format(order="DESC", beyond="<")} UNION ALL {_STEP.format(order="ASC", beyond=">")}
) AS n
 WHERE c.org_id = %(org)s AND c.id = ANY (%(ids)s::bigint[])
"""
_ANSWERING = f"""
WITH asked AS (
    SELECT coalesce(array_agg(DISTINCT stem), '{{}}') AS stems
      FROM unnest(%(words)s::text[]) AS given (word), unnest(%(languages)s::text[]) AS spoken (language),
           unnest(tsvector_to_array(public.memory_stems(spoken.language, public.memory_fold(given.word)))) AS s (stem)
),
exact AS (
    SELECT coalesce(array_agg(replace(public.memory_fold(name), ' ', '')), '{{}}') AS names
      FROM unnest(%(exact)s::text[]) AS given (name)
)
SELECT said.id, array_agg(said.word)
  FROM asked, exact, (
    SELECT DISTINCT a.id, a.language, w.word
      FROM memory_atom a,
           unnest(string_to_array(public.memory_fold(left(a.content, {READ_CHARACTERS})), ' ')) AS w (word)
     WHERE a.org_id = %(org)s AND a.id = ANY (%(ids)s::bigint[])
  ) AS said
 WHERE said.word = ANY (exact.names)
    OR tsvector_to_array(public.memory_stems(said.language, said.word)) && asked.stems
 GROUP BY said.id
"""
_CARRIERS = "SELECT entity_type, entity_id, name FROM public.memory_named(%(phrases)s::text[])"


@dataclass(frozen=True)
class Reader:
    """Who reads: what the audience of an atom is compared with."""

    user_id: int | None
    sees_managers: bool


def candidates(
    *, words: Sequence[Word], languages: Sequence[str], named: Sequence[Entity], filters: Filters, reader: Reader
) -> list[Candidate]:
    """What shares words with the question or is linked to whom it names, as far as filters and audience let through.

    Needs an organisation's scope.
    """
    asked: dict[str, Any] = {
        "words": [word.text for word in words],
        "places": [word.place for word in words],
        "weights": [word.weight for word in words],
        "exact": [word.is_exact for word in words],
        "languages": list(languages),
        "entity_types": [kind for kind, _ in filters.entities],
        "entity_ids": [pk for _, pk in filters.entities],
        "named_types": [kind for kind, _ in named],
        "named_ids": [pk for _, pk in named],
        "kinds": list(filters.kinds),
        "tags": list(filters.tags),
        "author": filters.author_id,
        "since": filters.since,
        "until": filters.until,
        "past": filters.include_archived,
        "reader": reader.user_id,
        "manager": reader.sees_managers,
        "most": CANDIDATES,
    }
    with connection.cursor() as cursor:
        cursor.execute(_CANDIDATES, asked)
        return [
            Candidate(pk, kind, points, seen, found, is_named, tuple(sorted(places)))
            for pk, kind, points, seen, found, is_named, places in cursor.fetchall()
        ]


def neighbours(*, org_id: int, of: Sequence[int], reader: Reader, with_archived: bool) -> list[Neighbour]:
    """The two atoms before and after each of these in its conversation, as far as the reader may read them."""
    if not of:
        return []
    asked: dict[str, Any] = {
        "org": org_id,
        "ids": list(of),
        "past": with_archived,
        "reader": reader.user_id,
        "manager": reader.sees_managers,
    }
    with connection.cursor() as cursor:
        cursor.execute(_NEIGHBOURS, asked)
        return [Neighbour(row[0], row[1], Candidate(*row[2:])) for row in cursor.fetchall()]


def answering_words(
    *, org_id: int, atom_ids: Sequence[int], words: Sequence[Word], languages: Sequence[str]
) -> dict[int, set[str]]:
    """The folded words of each atom's text that answer words of the question."""
    asked: dict[str, Any] = {
        "org": org_id,
        "ids": list(atom_ids),
        "words": [word.text for word in words if not word.is_exact],
        "exact": [word.text for word in words if word.is_exact],
        "languages": list(languages),
    }
    with connection.cursor() as cursor:
        cursor.execute(_ANSWERING, asked)
        return {atom_id: set(found) for atom_id, found in cursor.fetchall()}


def carriers_of(phrases: Sequence[str]) -> list[tuple[str, int, str]]:
    """Clients and contacts whose words hold a phrase's, where few do; needs an organisation's scope."""
    with connection.cursor() as cursor:
        cursor.execute(_CARRIERS, {"phrases": list(phrases)})
        return [(entity_type, pk, name) for entity_type, pk, name in cursor.fetchall()]
