"""The statements that follow the graph of entities, and that write and renew the links of atoms.

`{entity}` is the column of a kind of entity.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import NamedTuple

from django.db import connection

from memory.models.entities import ENTITY_MODELS

# What each kind of entity belongs to. A conversation is left only where one began: what its messages belong to.
_WALK = """
WITH RECURSIVE walk (root_type, root_id, entity_type, entity_id) AS (
    SELECT asked.type, asked.id, asked.type, asked.id
      FROM unnest(%(types)s::text[], %(ids)s::bigint[]) AS asked (type, id)
     WHERE CASE asked.type
           WHEN 'client' THEN EXISTS (SELECT FROM clients_client WHERE org_id = %(org)s AND id = asked.id)
           WHEN 'contact' THEN EXISTS (SELECT FROM clients_contact WHERE org_id = %(org)s AND id = asked.id)
           WHEN 'signal' THEN EXISTS (SELECT FROM workstream_signal WHERE org_id = %(org)s AND id = asked.id)
           WHEN 'candidate' THEN EXISTS (SELECT FROM workstream_candidate WHERE org_id = %(org)s AND id = asked.id)
           WHEN 'pursuit' THEN EXISTS (SELECT FROM workstream_pursuit WHERE org_id = %(org)s AND id = asked.id)
           WHEN 'proposal' THEN EXISTS (SELECT FROM workstream_proposal WHERE org_id = %(org)s AND id = asked.id)
           WHEN 'engagement' THEN EXISTS (SELECT FROM workstream_engagement WHERE org_id = %(org)s AND id = asked.id)
           WHEN 'thread' THEN EXISTS (SELECT FROM workstream_mailthread WHERE org_id = %(org)s AND id = asked.id)
           END
    UNION
    SELECT walk.root_type, walk.root_id, parent.type, parent.id FROM walk, LATERAL (
        SELECT edge.type, edge.id FROM workstream_signal s,
               LATERAL (VALUES ('contact', s.contact_id), ('client', s.client_id)) AS edge (type, id)
         WHERE walk.entity_type = 'signal' AND s.org_id = %(org)s AND s.id = walk.entity_id
        UNION ALL
        SELECT 'thread', m.thread_id FROM workstream_mailmessage m
         WHERE walk.entity_type = 'signal' AND m.org_id = %(org)s AND m.signal_id = walk.entity_id
        UNION ALL
        SELECT 'candidate', l.candidate_id FROM workstream_candidatesignal l
         WHERE walk.entity_type = 'signal' AND l.org_id = %(org)s AND l.signal_id = walk.entity_id
        UNION ALL
        SELECT edge.type, edge.id
          FROM workstream_mailmessage m
          JOIN workstream_signal s ON s.org_id = m.org_id AND s.id = m.signal_id
          LEFT JOIN workstream_candidatesignal l ON l.org_id = s.org_id AND l.signal_id = s.id,
               LATERAL (VALUES ('contact', s.contact_id), ('client', s.client_id), ('candidate', l.candidate_id))
                    AS edge (type, id)
         WHERE walk.entity_type = 'thread' AND walk.root_type = 'thread' AND m.org_id = %(org)s
           AND m.thread_id = walk.entity_id
        UNION ALL
        SELECT edge.type, edge.id FROM workstream_candidate c,
               LATERAL (VALUES ('contact', c.contact_id), ('client', c.client_id)) AS edge (type, id)
         WHERE walk.entity_type = 'candidate' AND c.org_id = %(org)s AND c.id = walk.entity_id
        UNION ALL
        SELECT 'pursuit', p.id FROM workstream_pursuit p
         WHERE walk.entity_type = 'candidate' AND p.org_id = %(org)s AND p.candidate_id = walk.entity_id
        UNION ALL
        SELECT edge.type, edge.id FROM workstream_pursuit p,
               LATERAL (VALUES ('candidate', p.candidate_id), ('contact', p.contact_id), ('client', p.client_id))
                    AS edge (type, id)
         WHERE walk.entity_type = 'pursuit' AND p.org_id = %(org)s AND p.id = walk.entity_id
        UNION ALL
        SELECT 'pursuit', o.pursuit_id FROM workstream_proposal o
         WHERE walk.entity_type = 'proposal' AND o.org_id = %(org)s AND o.id = walk.entity_id
        UNION ALL
        SELECT edge.type, edge.id FROM workstream_engagement e,
               LATERAL (VALUES ('pursuit', e.pursuit_id), ('client', e.client_id)) AS edge (type, id)
         WHERE walk.entity_type = 'engagement' AND e.org_id = %(org)s AND e.id = walk.entity_id
    ) AS parent (type, id)
     WHERE parent.id IS NOT NULL
)
SELECT * FROM walk
UNION ALL
-- The company of a contact, unless what the atom is about names one itself.
SELECT walk.root_type, walk.root_id, 'client', contact.client_id
  FROM walk JOIN clients_contact contact ON contact.org_id = %(org)s AND contact.id = walk.entity_id
 WHERE walk.entity_type = 'contact' AND contact.client_id IS NOT NULL
   AND NOT EXISTS (SELECT FROM walk own WHERE own.root_type = walk.root_type AND own.root_id = walk.root_id
                                          AND own.entity_type = 'client')
"""
_THREAD_KEYS = """
SELECT 'signal', m.signal_id, 'thread:' || min(m.thread_id) FROM workstream_mailmessage m
 WHERE m.org_id = %(org)s AND m.signal_id = ANY(%(signals)s) GROUP BY m.signal_id
UNION ALL
SELECT 'proposal', id, 'pursuit:' || pursuit_id FROM workstream_proposal
 WHERE org_id = %(org)s AND id = ANY(%(proposals)s)
UNION ALL
SELECT 'engagement', id, 'pursuit:' || pursuit_id FROM workstream_engagement
 WHERE org_id = %(org)s AND id = ANY(%(engagements)s)
"""
# Without a target: each kind of entity has a constraint of its own.
_INSERT_LINKS = """
INSERT INTO memory_atomlink (
    org_id, created_at, updated_at, row_version, atom_id, role, kind, occurred_at, client_id, contact_id, signal_id,
    candidate_id, pursuit_id, proposal_id, engagement_id, thread_id)
SELECT %(org)s, %(at)s, %(at)s, 1, new.atom_id, new.role, new.kind, new.occurred_at, one.client, one.contact,
       one.signal, one.candidate, one.pursuit, one.proposal, one.engagement, one.thread
  FROM unnest(%(atoms)s::bigint[], %(roles)s::text[], %(kinds)s::text[], %(moments)s::timestamptz[],
              %(ids)s::bigint[], %(types)s::text[]) AS new (atom_id, role, kind, occurred_at, id, type),
       LATERAL (SELECT CASE new.type WHEN 'client' THEN new.id END, CASE new.type WHEN 'contact' THEN new.id END,
                       CASE new.type WHEN 'signal' THEN new.id END, CASE new.type WHEN 'candidate' THEN new.id END,
                       CASE new.type WHEN 'pursuit' THEN new.id END, CASE new.type WHEN 'proposal' THEN new.id END,
                       CASE new.type WHEN 'engagement' THEN new.id END, CASE new.type WHEN 'thread' THEN new.id END)
            AS one (client, contact, signal, candidate, pursuit, proposal, engagement, thread)
 ORDER BY new.atom_id, new.type, new.id
ON CONFLICT DO NOTHING
"""
# Atoms about these entities, with the links that they have and do not choose themselves.
_ATOMS_ABOUT = """
SELECT atom.id, atom.{entity}_id, atom.kind, atom.occurred_at, atom.thread_key
  FROM memory_atom atom
 WHERE atom.org_id = %(org)s AND atom.{entity}_id = ANY(%(ids)s) AND atom.{entity}_id IS NOT NULL
 ORDER BY atom.id
"""
_LINKS_OF_ATOMS = """
SELECT id, atom_id, role, client_id, contact_id, signal_id, candidate_id, pursuit_id, proposal_id, engagement_id,
       thread_id
  FROM memory_atomlink WHERE org_id = %(org)s AND atom_id = ANY(%(atoms)s)
"""
_DROP_LINKS = """
DELETE FROM memory_atomlink WHERE org_id = %(org)s AND id = ANY(%(ids)s)
"""
_SET_ROLES = """
UPDATE memory_atomlink link SET role = new.role, updated_at = %(at)s, row_version = link.row_version + 1
  FROM unnest(%(ids)s::bigint[], %(roles)s::text[]) AS new (id, role)
 WHERE link.org_id = %(org)s AND link.id = new.id
"""
_SET_THREAD_KEYS = """
UPDATE memory_atom atom SET thread_key = new.thread_key, updated_at = %(at)s, row_version = atom.row_version + 1
  FROM unnest(%(ids)s::bigint[], %(keys)s::text[]) AS new (id, thread_key)
 WHERE atom.org_id = %(org)s AND atom.id = new.id
"""
_SUBJECTS_SEEN_FROM = """
SELECT DISTINCT ON (atom.id) atom.id, atom.client_id, atom.contact_id, atom.signal_id, atom.candidate_id,
       atom.pursuit_id, atom.proposal_id, atom.engagement_id, atom.thread_id
  FROM memory_atomlink link
  JOIN memory_atom atom ON atom.org_id = link.org_id AND atom.id = link.atom_id
 WHERE link.org_id = %(org)s AND link.{entity}_id = ANY(%(ids)s) AND link.{entity}_id IS NOT NULL
"""
_NAMED_CONTACTS = """
SELECT client_id, id, name FROM clients_contact
 WHERE org_id = %(org)s AND client_id = ANY(%(clients)s) AND canonical_id IS NULL AND name LIKE '%% %%'
 ORDER BY id DESC LIMIT %(most)s
"""
_SIGNALS_OF_THREADS_OF = """
SELECT DISTINCT other.signal_id FROM workstream_mailmessage mine
  JOIN workstream_mailmessage other ON other.org_id = mine.org_id AND other.thread_id = mine.thread_id
 WHERE mine.org_id = %(org)s AND mine.signal_id = ANY(%(signals)s) AND other.signal_id <> mine.signal_id
"""

ENTITIES = tuple(ENTITY_MODELS)


class NewLink(NamedTuple):
    """A link to write."""

    atom_id: int
    role: str
    kind: str
    occurred_at: datetime
    entity_type: str
    entity_id: int


class AtomAbout(NamedTuple):
    """An atom of which the links are looked at."""

    atom_id: int
    entity_id: int
    kind: str
    occurred_at: datetime
    thread_key: str


class StoredLink(NamedTuple):
    """A link as it is stored."""

    link_id: int
    atom_id: int
    role: str
    entity_type: str
    entity_id: int


def walk(org_id: int, entities: Iterable[tuple[str, int]]) -> list[tuple[str, int, str, int]]:
    """Root and reached, in pairs: each entity that exists, and all that it belongs to."""
    asked = sorted(set(entities))
    with connection.cursor() as cursor:
        cursor.execute(_WALK, {"org": org_id, "types": [kind for kind, _ in asked], "ids": [pk for _, pk in asked]})
        return list(cursor.fetchall())


def thread_keys(org_id: int, entities: Iterable[tuple[str, int]]) -> dict[tuple[str, int], str]:
    """The conversations of signals, proposals and engagements; of a signal by mail only."""
    asked: dict[str, list[int]] = {"signal": [], "proposal": [], "engagement": []}
    for kind, pk in set(entities):
        if kind in asked:
            asked[kind].append(pk)
    if not any(asked.values()):
        return {}
    with connection.cursor() as cursor:
        cursor.execute(_THREAD_KEYS, {"org": org_id, **{f"{kind}s": ids for kind, ids in asked.items()}})
        return {(kind, pk): key for kind, pk, key in cursor.fetchall()}


def insert_links(org_id: int, links: Sequence[NewLink], *, at: datetime) -> int:
    """Write links that are not there yet; answers how many."""
    if not links:
        return 0
    names = ("atoms", "roles", "kinds", "moments", "types", "ids")
    columns = {name: list(column) for name, column in zip(names, zip(*links, strict=True), strict=True)}
    with connection.cursor() as cursor:
        cursor.execute(_INSERT_LINKS, {"org": org_id, "at": at, **columns})
        written: int = cursor.rowcount
    return written


def atoms_about(org_id: int, entity_type: str, ids: Sequence[int]) -> list[AtomAbout]:
    """All atoms whose subject is one of these, whatever their state."""
    with connection.cursor() as cursor:
        cursor.execute(_ATOMS_ABOUT.format(entity=entity_type), {"org": org_id, "ids": list(ids)})
        return [AtomAbout(*row) for row in cursor.fetchall()]


def links_of_atoms(org_id: int, atom_ids: Sequence[int]) -> list[StoredLink]:
    """Every link of these atoms."""
    with connection.cursor() as cursor:
        cursor.execute(_LINKS_OF_ATOMS, {"org": org_id, "atoms": list(atom_ids)})
        found = []
        for link_id, atom_id, role, *columns in cursor.fetchall():
            entity, pk = next((name, pk) for name, pk in zip(ENTITIES, columns, strict=True) if pk is not None)
            found.append(StoredLink(link_id, atom_id, role, entity, pk))
    return found


def drop_links(org_id: int, link_ids: Sequence[int]) -> None:
    """Remove links."""
    with connection.cursor() as cursor:
        cursor.execute(_DROP_LINKS, {"org": org_id, "ids": sorted(link_ids)})


def set_roles(org_id: int, roles: dict[int, str], *, at: datetime) -> None:
    """Change what links are."""
    with connection.cursor() as cursor:
        cursor.execute(_SET_ROLES, {"org": org_id, "ids": list(roles), "roles": list(roles.values()), "at": at})


def set_thread_keys(org_id: int, keys: dict[int, str], *, at: datetime) -> None:
    """Put atoms into other conversations."""
    with connection.cursor() as cursor:
        cursor.execute(_SET_THREAD_KEYS, {"org": org_id, "ids": list(keys), "keys": list(keys.values()), "at": at})


def subjects_seen_from(org_id: int, entity_type: str, ids: Sequence[int]) -> set[tuple[str, int]]:
    """What the atoms that are visible from these entities are about."""
    with connection.cursor() as cursor:
        cursor.execute(_SUBJECTS_SEEN_FROM.format(entity=entity_type), {"org": org_id, "ids": list(ids)})
        return {
            next((name, pk) for name, pk in zip(ENTITIES, columns, strict=True) if pk is not None)
            for _, *columns in cursor.fetchall()
        }


def named_contacts(org_id: int, client_ids: Sequence[int], *, most: int) -> list[tuple[int, int, str]]:
    """Client, id and name of the newest contacts of these clients that have more than one name."""
    with connection.cursor() as cursor:
        cursor.execute(_NAMED_CONTACTS, {"org": org_id, "clients": list(client_ids), "most": most})
        return list(cursor.fetchall())


def others_in_conversation(org_id: int, signal_ids: Sequence[int]) -> list[int]:
    """The signals that are in one conversation with one of these, which may be among them."""
    with connection.cursor() as cursor:
        cursor.execute(_SIGNALS_OF_THREADS_OF, {"org": org_id, "signals": list(signal_ids)})
        return [pk for (pk,) in cursor.fetchall()]
