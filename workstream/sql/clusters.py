"""The statements behind clusters of signals: the neighbours of many signals, and their move between clusters.

Whoever moves signals between clusters of an organisation holds its lock (`lock_clusters`); the statements after it see
what was committed before.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import NamedTuple

from django.db import connection

_LOCK = "SELECT pg_advisory_xact_lock(hashtextextended('signal_clusters', %(org)s))"
# One look into the index of the contact or client for every span, however many signals it has.
_NEIGHBOURS = """
SELECT found.id
  FROM unnest(%(keys)s::bigint[], %(begins)s::timestamptz[], %(ends)s::timestamptz[]) AS span (key, begins, ends)
 CROSS JOIN LATERAL (
    SELECT signal.id FROM workstream_signal signal
     WHERE signal.org_id = %(org)s AND signal.{column} = span.key
       AND signal.ts >= span.begins AND signal.ts <= span.ends
     ORDER BY signal.ts DESC LIMIT %(most)s) AS found
"""
_MOVE = """
UPDATE workstream_signal signal
   SET cluster_id = moved.cluster_id, row_version = signal.row_version + 1, updated_at = %(at)s
  FROM unnest(%(signals)s::bigint[], %(clusters)s::bigint[]) AS moved (signal_id, cluster_id)
 WHERE signal.org_id = %(org)s AND signal.id = moved.signal_id
"""
_LABELS = """
SELECT DISTINCT ON (signal.cluster_id)
       signal.cluster_id, signal.problem_phrase, signal.snippet,
       coalesce(nullif(client.name, ''), nullif(signal.company_name, ''), nullif(contact.name, ''),
                nullif(signal.contact_name, ''), nullif(contact.email, ''), nullif(signal.contact_email, ''), '')
  FROM workstream_signal signal
  LEFT JOIN clients_client client ON client.org_id = signal.org_id AND client.id = signal.client_id
  LEFT JOIN clients_contact contact ON contact.org_id = signal.org_id AND contact.id = signal.contact_id
 WHERE signal.org_id = %(org)s AND signal.cluster_id = ANY(%(clusters)s)
 ORDER BY signal.cluster_id, signal.ts, signal.id
"""


class Span(NamedTuple):
    """The time in which signals of one contact or client are neighbours."""

    key: int
    begins: datetime
    ends: datetime


class First(NamedTuple):
    """The earliest signal of a cluster: what it says and who it is from, for the cluster's label."""

    cluster_id: int
    problem_phrase: str
    snippet: str
    who: str


def lock_clusters(*, org_id: int) -> None:
    """Wait until nobody else clusters the organisation's signals; others wait until the transaction ends."""
    with connection.cursor() as cursor:
        cursor.execute(_LOCK, {"org": org_id})


def neighbours(*, org_id: int, party: str, spans: Sequence[Span], most: int) -> set[int]:
    """Keys of the signals of these contacts or clients (`party`) in their spans, of each span the `most` newest."""
    if party not in {"contact", "client"}:
        raise ValueError(f"Signals have no neighbours by {party}.")
    if not spans:
        return set()
    with connection.cursor() as cursor:
        cursor.execute(
            _NEIGHBOURS.format(column=f"{party}_id"),
            {
                "org": org_id,
                "keys": [span.key for span in spans],
                "begins": [span.begins for span in spans],
                "ends": [span.ends for span in spans],
                "most": most,
            },
        )
        return {pk for (pk,) in cursor.fetchall()}


def move(*, org_id: int, clusters: Mapping[int, int], at: datetime) -> None:
    """Put signals into clusters, in one statement; the caller has locked them in the order of their keys."""
    with connection.cursor() as cursor:
        cursor.execute(_MOVE, {"org": org_id, "signals": list(clusters), "clusters": list(clusters.values()), "at": at})


def first_of(*, org_id: int, clusters: Sequence[int]) -> list[First]:
    """The earliest signal of each cluster."""
    with connection.cursor() as cursor:
        cursor.execute(_LABELS, {"org": org_id, "clusters": list(clusters)})
        return [First(*row) for row in cursor.fetchall()]
