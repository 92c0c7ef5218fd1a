"""Looking up who or what may be meant: functions and indexes that find few candidates however many there are.

Trigram and text operators are not leakproof, so under row-level security they miss their indexes: as with word search
(`flowledger.tenancy.search`), SECURITY DEFINER functions filter by the scope's organisation themselves.

Company names are looked up among the company_name keys, which are folded already, by their blocks: hashes of the name
with one quarter left out, so that a slip anywhere leaves one of them whole (the pigeonhole of Manku, Jain and Das
Sarma, WWW 2007), of its first word and of pairs of its words. Candidates are ordered by their trigram likeness. People
are looked up among the contacts of a client and by the words of their name in any order.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import combinations

from django.conf import settings
from django.db import connection

COMPANY_CANDIDATES = 8
CONTACT_CANDIDATES = 12
# Contacts of one client that are looked through, the newest.
NEWEST_COLLEAGUES = 300
# People on one line that are looked at, the newest.
SHARING_A_LINE = 50


def company_blocks(name: str) -> list[str]:
    """The blocks that a company name asks for: those of the stored name, allowing for one letter more or less."""
    compact, words = name.replace(" ", ""), name.split()
    size = len(compact)
    found = {f"c:{compact}"}
    for stored in (size - 1, size, size + 1):
        if stored >= 6:
            for quarter in range(1, 5):
                head, tail = (quarter - 1) * stored // 4, stored - quarter * stored // 4
                found.add(f"{quarter}:{compact[:head]}|{compact[size - tail :] if tail else ''}")
    if words and len(words[0]) >= 3:
        found.add(f"w:{words[0]}")
    for one, other in combinations(sorted(words[:4]), 2):
        found.add(f"p:{one} {other}")
    return sorted(found)


def stored_blocks(name: str) -> frozenset[str]:
    """The blocks of a stored name, as the function `match_company_blocks` hashes them."""
    compact, words = name.replace(" ", ""), name.split()
    size = len(compact)
    found = {f"c:{compact}"}
    if size >= 6:
        for quarter in range(1, 5):
            found.add(f"{quarter}:{compact[: (quarter - 1) * size // 4]}|{compact[quarter * size // 4 :]}")
    if words and len(words[0]) >= 3:
        found.add(f"w:{words[0]}")
    found.update(f"p:{one} {other}" for one, other in combinations(sorted(words[:4]), 2))
    return frozenset(found)


def trigrams(name: str) -> frozenset[str]:
    """The trigrams of a folded name, as pg_trgm makes them."""
    padded = (f"  {word} " for word in name.split())
    return frozenset(text[place : place + 3] for text in padded for place in range(len(text) - 2))


def likeness(one: str, other: str) -> float:
    """Trigrams in common over trigrams in all, as pg_trgm's `similarity`."""
    ours, theirs = trigrams(one), trigrams(other)
    return len(ours & theirs) / (len(ours | theirs) or 1)


def find_companies(names: Sequence[str]) -> list[list[int]]:
    """For each company_name key the clients with a name like it, most alike first; needs an organisation's scope."""
    found: list[list[int]] = [[] for _ in names]
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT place, client_id FROM public.company_candidates(%s::text[], %s::text[]) "
            "ORDER BY place, likeness DESC, client_id",
            [list(names), ["\n".join(company_blocks(name)) for name in names]],
        )
        for place, client_id in cursor.fetchall():
            if client_id not in found[place]:
                found[place].append(client_id)
    return found


def find_contacts(
    *, colleagues: Iterable[tuple[int, int, str]], names: Iterable[tuple[int, str]]
) -> dict[int, list[int]]:
    """Contacts by the place of their question, most alike first; needs an organisation's scope.

    `colleagues` are (place, client, name or mailbox in Latin letters); `names` are (place, the sorted words of a name).
    """
    of_clients, of_names = list(colleagues), list(names)
    found: dict[int, list[int]] = {}
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT place, contact_id FROM public.contact_candidates(%s::bigint[], %s::bigint[], %s::text[], "
            "%s::bigint[], %s::text[]) ORDER BY place, likeness DESC, contact_id",
            [
                [place for place, _, _ in of_clients],
                [client for _, client, _ in of_clients],
                [text for _, _, text in of_clients],
                [place for place, _ in of_names],
                [text for _, text in of_names],
            ],
        )
        for place, contact_id in cursor.fetchall():
            rows = found.setdefault(place, [])
            if contact_id not in rows:
                rows.append(contact_id)
    return found


def find_by_phone(org_id: int, phones: Sequence[str]) -> dict[str, list[int]]:
    """The newest contacts of each number; several people share the line of a company."""
    found: dict[str, list[int]] = {}
    with connection.cursor() as cursor:
        cursor.execute(
            f"""
            SELECT asked.phone, near.id FROM unnest(%s::text[]) AS asked (phone),
            LATERAL (
                SELECT c.id FROM clients_contact c
                WHERE c.org_id = %s AND c.phone = asked.phone AND c.phone <> '' AND c.canonical_id IS NULL
                ORDER BY c.id DESC LIMIT {SHARING_A_LINE}
            ) AS near
            """,  # noqa: S608  (a number of ours)
            [list(phones), org_id],
        )
        for phone, contact_id in cursor.fetchall():
            found.setdefault(phone, []).append(contact_id)
    return found


def create_functions() -> str:
    """SQL for a migration: the blocks, which indexes hold, and the functions that look candidates up."""
    return f"""
        CREATE EXTENSION IF NOT EXISTS pg_trgm WITH SCHEMA public;

        CREATE FUNCTION public.match_company_blocks(org bigint, name text) RETURNS bigint[]
        LANGUAGE sql IMMUTABLE PARALLEL SAFE
        RETURN (
            SELECT array_agg(DISTINCT hashtextextended(piece COLLATE "C", org))
            FROM (SELECT replace(name, ' ', '') AS compact, string_to_array(name, ' ') AS words) AS texts,
            LATERAL (
                SELECT 'c:' || compact
                UNION ALL
                SELECT quarter::text || ':' || left(compact, (quarter - 1) * length(compact) / 4) || '|'
                    || right(compact, length(compact) - quarter * length(compact) / 4)
                FROM generate_series(1, 4) AS quarter
                WHERE length(compact) >= 6
                UNION ALL
                SELECT 'w:' || words[1] WHERE length(words[1]) >= 3
                UNION ALL
                SELECT 'p:' || least(words[a] COLLATE "C", words[b] COLLATE "C") || ' '
                    || greatest(words[a] COLLATE "C", words[b] COLLATE "C")
                FROM generate_series(1, least(4, cardinality(words))) AS a,
                    generate_series(1, least(4, cardinality(words))) AS b
                WHERE a < b
            ) AS pieces (piece)
        );

        -- 'Dr. Lee, Ännchen' → 'annchen dr lee'
        CREATE FUNCTION public.match_person_words(name text) RETURNS text
        LANGUAGE sql IMMUTABLE PARALLEL SAFE
        RETURN (
            SELECT string_agg(word, ' ' ORDER BY word COLLATE "C")
            FROM regexp_split_to_table(
                regexp_replace(
                    normalize(lower(name COLLATE public.search_letters), NFKD) COLLATE public.search_letters,
                    '[\\u0300-\\u036f''’]+', '', 'g'
                ),
                '[^[:alpha:]]+' COLLATE public.search_letters
            ) AS words (word)
            WHERE word <> ''
        );

        {_company_candidates()}

        CREATE FUNCTION public.contact_candidates(
            client_places bigint[], client_ids bigint[], client_texts text[], name_places bigint[], name_words text[]
        )
        RETURNS TABLE (place bigint, contact_id bigint, likeness real)
        LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
        SET enable_seqscan = off ROWS 100
        AS $body$
        DECLARE
            scope_org CONSTANT bigint := current_setting('flowledger.org_id')::bigint;
        BEGIN
            RETURN QUERY
            SELECT asked.place, near.id, near.likeness
            FROM unnest(client_places, client_ids, client_texts) AS asked (place, client_id, text),
            LATERAL (
                SELECT newest.id, greatest(
                    public.similarity(public.match_person_words(newest.name), asked.text),
                    public.similarity(split_part(newest.email, '@', 1), asked.text)
                ) AS likeness
                FROM (
                    SELECT c.id, c.name, c.email FROM public.clients_contact c
                    WHERE c.org_id = scope_org AND c.client_id = asked.client_id AND c.canonical_id IS NULL
                    ORDER BY c.org_id, c.client_id, c.id DESC LIMIT {NEWEST_COLLEAGUES}
                ) AS newest
                ORDER BY likeness DESC, newest.id LIMIT {CONTACT_CANDIDATES}
            ) AS near
            WHERE near.likeness > 0.1;
            RETURN QUERY
            SELECT asked.place, near.id, 1::real
            FROM unnest(name_places, name_words) AS asked (place, words),
            LATERAL (
                SELECT c.id FROM public.clients_contact c
                WHERE c.org_id = scope_org AND c.canonical_id IS NULL AND c.name <> ''
                    AND public.match_person_words(c.name) = asked.words
                LIMIT {CONTACT_CANDIDATES}
            ) AS near;
        END
        $body$;

        {_owned("contact_candidates(bigint[], bigint[], text[], bigint[], text[])")}
        GRANT SELECT ON public.clients_identitykey TO "{settings.SEARCH_DB_ROLE}";
        CREATE POLICY search_access ON public.clients_identitykey
            FOR SELECT TO "{settings.SEARCH_DB_ROLE}" USING (true);
    """  # noqa: S608  (the names are ours)


def replace_company_candidates() -> str:
    """SQL for a migration: the function as it is now in place of the one that an earlier migration made."""
    return f"""
        SET LOCAL ROLE "{settings.SEARCH_DB_ROLE}";
        DROP FUNCTION public.company_candidates(text[], text[]);
        RESET ROLE;
        {_company_candidates()}
    """


def _company_candidates() -> str:
    return f"""
        CREATE FUNCTION public.company_candidates(names text[], blocks text[])
        RETURNS TABLE (place integer, client_id bigint, likeness real)
        LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
        SET enable_seqscan = off ROWS 100
        AS $body$
        DECLARE
            scope_org CONSTANT bigint := current_setting('flowledger.org_id')::bigint;
        BEGIN
            RETURN QUERY
            SELECT asked.place::integer - 1, near.client_id, near.likeness
            FROM unnest(names, blocks) WITH ORDINALITY AS asked (name, blocks, place),
            LATERAL (
                SELECT array_agg(hashtextextended(b.block COLLATE "C", scope_org)) AS hashes
                FROM unnest(string_to_array(asked.blocks, E'\\n')) AS b (block)
            ) AS wanted,
            LATERAL (
                SELECT found.client_id, public.similarity(found.key_value, asked.name) AS likeness
                FROM (
                    -- The hashes are the organisation's own. OFFSET 0 keeps other indexes out of this look-up,
                    -- which would read all that the organisation has.
                    SELECT k.org_id, k.client_id, k.key_value FROM public.clients_identitykey k
                    WHERE k.key_type = 'company_name'
                        AND public.match_company_blocks(k.org_id, k.key_value) && wanted.hashes OFFSET 0
                ) AS found
                WHERE found.org_id = scope_org AND found.client_id IS NOT NULL
                ORDER BY likeness DESC, found.client_id LIMIT {COMPANY_CANDIDATES}
            ) AS near;
        END
        $body$;
        {_owned("company_candidates(text[], text[])")}
    """  # noqa: S608  (the names are ours)


def drop_functions() -> str:
    """The reverse of `create_functions`; the extensions stay."""
    return f"""
        DROP POLICY search_access ON public.clients_identitykey;
        REVOKE SELECT ON public.clients_identitykey FROM "{settings.SEARCH_DB_ROLE}";
        SET LOCAL ROLE "{settings.SEARCH_DB_ROLE}";
        DROP FUNCTION public.contact_candidates(bigint[], bigint[], text[], bigint[], text[]);
        DROP FUNCTION public.company_candidates(text[], text[]);
        RESET ROLE;
        DROP FUNCTION public.match_person_words(text);
        DROP FUNCTION public.match_company_blocks(bigint, text);
    """  # noqa: S608  (the names are ours)


# Built without blocking writers, each in a statement of its own; see migration 0005.
INDEXES = {
    "identity_key_blocks": (
        "ON public.clients_identitykey USING gin (public.match_company_blocks(org_id, key_value)) "
        "WITH (fastupdate = off) WHERE key_type = 'company_name'"
    ),
    "contact_by_words": (
        "ON public.clients_contact (org_id, public.match_person_words(name)) WHERE name <> '' AND canonical_id IS NULL"
    ),
}


def _owned(function: str) -> str:
    """For the tenant role to call, in the name of the role that may read past the policies."""
    role = settings.SEARCH_DB_ROLE
    return f"""
        REVOKE ALL ON FUNCTION public.{function} FROM PUBLIC;
        GRANT EXECUTE ON FUNCTION public.{function} TO "{settings.TENANT_DB_ROLE}";
        -- The new owner needs CREATE for the moment in which it becomes the owner.
        GRANT CREATE ON SCHEMA public TO "{role}";
        ALTER FUNCTION public.{function} OWNER TO "{role}";
        REVOKE CREATE ON SCHEMA public FROM "{role}";
    """
