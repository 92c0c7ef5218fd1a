"""SQL for the migration that makes atoms searchable: their words, the indexes over them, and the function that asks.

Text operators are not leakproof, so under row-level security no text index is ever used (`flowledger.tenancy.search`).
One SECURITY DEFINER function therefore finds the candidates of a question; its organisation is the scope's, never an
argument, and without a scope it fails. Everything else that search reads goes through the policies.

Every lexeme begins with the organisation's id: `7xprice` is a stem, `7wacme` a name or code as it was written. A
question of one organisation cannot meet a lexeme of another, even if a filter were forgotten.
"""

from __future__ import annotations

from django.conf import settings

from memory.models.entities import ENTITY_MODELS

# Beyond this a text is not indexed, and a lexeme is not told from another.
INDEXED_CHARACTERS = 20_000
LEXEME_CHARACTERS = 200

# Up to so many atoms in scope every one that shares a word with the question is looked at, and words are counted on
# the spot. Beyond, the words that tell most decide who is: together they may lead to so many atoms,
SMALL_SCOPE = 5_000
POSTINGS = 6_000
# of which so many, the best by those words, are compared by all words of the question.
COMPARED = 500
# Atoms of the entities that a question names which are compared whatever words they share, the newest of each.
OF_NAMED = 1_000
# A word that more clients, or contacts, carry names nobody.
CARRIERS = 12
# What being linked to somebody whom the question names is worth, in shares of the best agreement of words.
NAMED_WORTH = 0.6

# Configurations of PostgreSQL by ISO 639-1 code; other languages are not stemmed.
LANGUAGES = {
    "da": "danish",
    "de": "german",
    "el": "greek",
    "en": "english",
    "es": "spanish",
    "fi": "finnish",
    "fr": "french",
    "hu": "hungarian",
    "it": "italian",
    "lt": "lithuanian",
    "nl": "dutch",
    "no": "norwegian",
    "pt": "portuguese",
    "ro": "romanian",
    "ru": "russian",
    "sv": "swedish",
    "tr": "turkish",
}

SEARCH_ARGUMENTS = (
    "text[], integer[], real[], boolean[], text[], text[], bigint[], text[], bigint[], text[], text[], bigint, "
    "timestamptz, timestamptz, boolean, bigint, boolean, integer"
)


def create_words() -> str:
    """How a text becomes words; the same functions read documents and questions."""
    stemmed = " ".join(
        f"WHEN '{code}' THEN to_tsvector('pg_catalog.{name}'::regconfig, folded)" for code, name in LANGUAGES.items()
    )
    return f"""
        -- Small letters without accents, and single spaces for all that is neither letter nor digit.
        CREATE FUNCTION public.memory_fold(document text) RETURNS text
        LANGUAGE sql IMMUTABLE PARALLEL SAFE
        RETURN btrim(regexp_replace(
            regexp_replace(
                normalize(lower(document COLLATE public.search_letters), NFKD) COLLATE public.search_letters,
                '[\\u0300-\\u036f]+', '', 'g'
            ),
            '[^[:alnum:]]+' COLLATE public.search_letters, ' ', 'g'
        ));

        CREATE FUNCTION public.memory_stems(language text, folded text) RETURNS tsvector
        LANGUAGE sql IMMUTABLE PARALLEL SAFE
        RETURN CASE language {stemmed} ELSE to_tsvector('pg_catalog.simple'::regconfig, folded) END;

        -- 'Ask Will (RFP-2024/17)' → {{ask, will, rfp202417}}: what may be a name or a code.
        CREATE FUNCTION public.memory_exact(document text) RETURNS SETOF text
        LANGUAGE sql IMMUTABLE PARALLEL SAFE
        BEGIN ATOMIC
            SELECT replace(public.memory_fold(
                regexp_replace(token, '[''’][sS][^[:alnum:]]*$' COLLATE public.search_letters, '')), ' ', '')
            FROM regexp_split_to_table(document, '\\s+') AS tokens (token)
            WHERE token ~ ('[[:upper:][:digit:]]' COLLATE public.search_letters);
        END;

        CREATE FUNCTION public.memory_words(org bigint, language text, document text) RETURNS tsvector
        LANGUAGE sql IMMUTABLE PARALLEL SAFE
        RETURN coalesce((
            SELECT array_to_tsvector(array_agg(DISTINCT org::text || left(word, {LEXEME_CHARACTERS})))
            FROM (
                SELECT 'x' || stem AS word
                FROM unnest(tsvector_to_array(public.memory_stems(
                    language, public.memory_fold(left(document, {INDEXED_CHARACTERS}))))) AS stems (stem)
                UNION ALL
                SELECT 'w' || exact FROM public.memory_exact(left(document, {INDEXED_CHARACTERS})) AS names (exact)
                WHERE exact <> ''
            ) AS words
        ), ''::tsvector);
    """


def drop_words() -> str:
    """The reverse of `create_words`."""
    return """
        DROP FUNCTION public.memory_words(bigint, text, text);
        DROP FUNCTION public.memory_exact(text);
        DROP FUNCTION public.memory_stems(text, text);
        DROP FUNCTION public.memory_fold(text);
    """


def create_search() -> str:
    """The function that finds the candidates of a question, and its rights."""
    return _linked() + _named() + _search() + _rights()


def _linked() -> str:
    branches = " UNION ALL ".join(
        f"(SELECT l.atom_id FROM public.memory_atomlink l WHERE l.org_id = org AND l.{name}_id = ANY "
        f"(ARRAY(SELECT e.id FROM unnest(types, ids) AS e (type, id) WHERE e.type = '{name}')) "
        f"ORDER BY l.occurred_at DESC LIMIT most)"
        for name in ENTITY_MODELS
    )
    return f"""
        -- Atoms that are linked to any of the entities, the newest of each type of entity.
        CREATE FUNCTION public.memory_linked(org bigint, types text[], ids bigint[], most integer)
        RETURNS bigint[] LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp
        BEGIN ATOMIC
            SELECT coalesce(array_agg(DISTINCT linked.atom_id), '{{}}') FROM ({branches}) AS linked;
        END;
    """


def _named() -> str:
    columns = {"client": "clients_client", "contact": "clients_contact"}
    branches = " UNION ALL ".join(
        f"(SELECT '{name}', coalesce(e.canonical_id, e.id), e.name::text, e.org_id FROM public.{table} e "
        f"WHERE e.search_words @@ asked.question LIMIT {CARRIERS} + 1)"
        for name, table in columns.items()
    )
    return f"""
        -- Clients and contacts with all words of a phrase; none for a phrase that many have.
        CREATE FUNCTION public.memory_named(phrases text[])
        RETURNS TABLE (entity_type text, entity_id bigint, name text)
        LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
        SET enable_seqscan = off SET jit = off ROWS 20
        AS $body$
        DECLARE
            scope_org CONSTANT bigint := current_setting('flowledger.org_id')::bigint;
        BEGIN
            RETURN QUERY
            SELECT found.type, found.id, found.name FROM (
                SELECT carrier.*, count(*) OVER (PARTITION BY asked.no, carrier.type) AS carriers
                FROM (
                    SELECT plainto_tsquery('pg_catalog.simple'::regconfig, public.search_text(scope_org, p.phrase)),
                        p.no
                    FROM unnest(phrases) WITH ORDINALITY AS p (phrase, no)
                ) AS asked (question, no),
                LATERAL ({branches}) AS carrier (type, id, name, org_id)
                WHERE numnode(asked.question) > 0 AND carrier.org_id = scope_org
            ) AS found
            WHERE found.carriers <= {CARRIERS};
        END
        $body$;
    """


# What the filters and the audience let through. The organisation is compared here, outside of what an index answers.
_ALLOWED = """
    a.org_id = scope_org
    AND (a.state = 'active' OR with_past AND a.state IN ('archived', 'superseded'))
    AND (a.audience = 'everyone' OR a.audience = 'managers' AND sees_managers
         OR a.audience = 'author' AND a.author_id = reader)
    AND (cardinality(wanted_kinds) = 0 OR a.kind = ANY (wanted_kinds))
    AND (cardinality(wanted_tags) = 0 OR a.tags::text[] && wanted_tags)
    AND (wanted_author IS NULL OR a.author_id = wanted_author)
    AND (since IS NULL OR a.occurred_at >= since)
    AND (until IS NULL OR a.occurred_at < until)
"""

# Atoms with one lexeme, from the inverted indexes alone: OFFSET 0 keeps the conditions, and other indexes, out.
_WITH_LEXEME = f"""
    LATERAL (
        (SELECT a.* FROM public.memory_atom a WHERE a.state = 'active' AND a.words @@ l.query LIMIT {POSTINGS})
        UNION ALL
        (SELECT a.* FROM public.memory_atom a
         WHERE with_past AND a.state IN ('archived', 'superseded') AND a.words @@ l.query LIMIT {POSTINGS})
        OFFSET 0
    ) AS a
"""

# Every atom of a small scope that shares a word with the question.
_MET_ANYWHERE = f"""
    SELECT l.no, a.id FROM unnest(queries) WITH ORDINALITY AS l (query, no), {_WITH_LEXEME} WHERE {_ALLOWED}
"""

# Which words of the question each of the chosen atoms has.
_MET_BY_COMPARED = f"""
    SELECT l.no, a.id
    FROM (
        SELECT a.id, a.words FROM (SELECT DISTINCT unnest(compared) AS id) AS c
        JOIN public.memory_atom a ON a.id = c.id WHERE {_ALLOWED} OFFSET 0
    ) AS a
    JOIN unnest(queries) WITH ORDINALITY AS l (query, no) ON a.words @@ l.query
"""


def _best(met: str) -> str:
    """The best candidates of pairs (lexeme, atom): for each word of the question the best of its lexemes counts."""
    return f"""
        RETURN QUERY
        WITH met AS MATERIALIZED ({met}),
        counted AS MATERIALIZED (
            SELECT m.no, (weights[m.no] * ln(1
                + (greatest(total - df.df, 0) + 0.5::float8) / (df.df + 0.5::float8)))::real AS worth
            FROM (SELECT met.no, count(*) AS here FROM met GROUP BY met.no) AS m,
            LATERAL (SELECT coalesce(dfs[m.no], m.here) AS df) AS df
        ),
        answered AS (
            SELECT met.id, lexeme_places[met.no] AS place, max(counted.worth) AS worth
            FROM met JOIN counted ON counted.no = met.no GROUP BY met.id, lexeme_places[met.no]
        ),
        scored AS (
            SELECT answered.id, sum(answered.worth) AS words, array_agg(answered.place) AS places
            FROM answered GROUP BY answered.id
        ),
        pool AS (
            SELECT coalesce(scored.id, named.id) AS id, coalesce(scored.words, 0)::real AS words,
                named.id IS NOT NULL AS is_named, coalesce(scored.places, '{{}}') AS places
            FROM scored FULL JOIN unnest(named_atoms) AS named (id) ON named.id = scored.id
        ),
        best AS (
            SELECT pool.*, pool.words / greatest(max(pool.words) OVER (), 0.001::real)
                + CASE WHEN pool.is_named THEN {NAMED_WORTH}::real ELSE 0 END AS rank
            FROM pool ORDER BY rank DESC, pool.id DESC LIMIT most
        )
        SELECT a.id, best.words, best.is_named, best.places, a.kind::text, a.base_score, a.last_seen_at
        FROM best JOIN public.memory_atom a ON a.id = best.id AND a.org_id = scope_org
        ORDER BY best.rank DESC, a.id DESC;
    """


def _search() -> str:
    return f"""
        CREATE FUNCTION public.memory_search(
            asked text[], asked_places integer[], asked_weights real[], asked_exact boolean[], languages text[],
            entity_types text[], entity_ids bigint[], named_types text[], named_ids bigint[],
            wanted_kinds text[], wanted_tags text[], wanted_author bigint, since timestamptz, until timestamptz,
            with_past boolean, reader bigint, sees_managers boolean, most integer
        )
        RETURNS TABLE (
            atom_id bigint, words real, is_named boolean, places integer[], kind text, points smallint,
            last_seen_at timestamptz
        )
        LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
        SET enable_seqscan = off SET jit = off SET plan_cache_mode = force_generic_plan ROWS 200
        AS $body$
        DECLARE
            scope_org CONSTANT bigint := current_setting('flowledger.org_id')::bigint;
            lexemes text[];
            queries tsquery[];
            lexeme_places integer[];
            weights real[];
            -- In how many atoms each lexeme stands; counted among what is found where there are no statistics.
            dfs bigint[];
            named_atoms bigint[] := '{{}}';
            compared bigint[];
            total bigint;
            chosen tsquery[];
            worths real[];
        BEGIN
            SELECT array_agg(l.lexeme), array_agg(l.place), array_agg(l.weight),
                array_agg(('''' || l.lexeme || '''')::tsquery)
            INTO lexemes, lexeme_places, weights, queries
            FROM (
                SELECT found.lexeme, a.place, max(a.weight) AS weight
                FROM unnest(asked, asked_places, asked_weights, asked_exact) AS a (word, place, weight, is_exact),
                LATERAL (
                    SELECT scope_org::text || 'x' || left(stem, {LEXEME_CHARACTERS}) AS lexeme
                    FROM unnest(languages) AS spoken (language), unnest(tsvector_to_array(
                        public.memory_stems(spoken.language, public.memory_fold(a.word)))) AS stems (stem)
                    WHERE NOT a.is_exact
                    UNION
                    SELECT scope_org::text || 'w' || left(exact, {LEXEME_CHARACTERS})
                    FROM replace(public.memory_fold(a.word), ' ', '') AS names (exact)
                    WHERE a.is_exact AND exact <> ''
                ) AS found
                GROUP BY found.lexeme, a.place
            ) AS l;

            IF cardinality(named_ids) > 0 THEN
                named_atoms := public.memory_linked(scope_org, named_types, named_ids, {OF_NAMED});
                SELECT coalesce(array_agg(a.id), '{{}}') INTO named_atoms FROM public.memory_atom a
                WHERE a.id = ANY (named_atoms) AND {_ALLOWED};
            END IF;

            IF cardinality(entity_ids) > 0 THEN
                compared := public.memory_linked(scope_org, entity_types, entity_ids, {SMALL_SCOPE});
                SELECT coalesce(array_agg(named.id), '{{}}') INTO named_atoms
                FROM unnest(named_atoms) AS named (id) WHERE named.id = ANY (compared);
                total := cardinality(compared);
            ELSE
                SELECT max(ledger.atom_count) INTO total FROM public.memory_memoryledger ledger
                WHERE ledger.org_id = scope_org;
                IF coalesce(total, 0) <= {SMALL_SCOPE} THEN
                    SELECT count(*) INTO total FROM (
                        SELECT FROM public.memory_atom a WHERE a.org_id = scope_org LIMIT {SMALL_SCOPE} + 1
                    ) AS few;
                END IF;
                IF total <= {SMALL_SCOPE} THEN
                    {_best(_MET_ANYWHERE)}
                    RETURN;
                END IF;

                SELECT array_agg(coalesce(stat.df, 1) ORDER BY l.no) INTO dfs
                FROM unnest(lexemes) WITH ORDINALITY AS l (lexeme, no) LEFT JOIN public.memory_termstat stat
                    ON stat.org_id = scope_org AND stat.lexeme = substr(l.lexeme, length(scope_org::text) + 1);
                -- The words that tell most, for as many atoms as may be looked at.
                SELECT array_agg(l.query), array_agg(l.worth) INTO chosen, worths
                FROM (
                    SELECT l.query, l.worth, sum(l.df) OVER (ORDER BY l.worth DESC, l.no) AS upto
                    FROM (
                        SELECT l.query, l.no, dfs[l.no] AS df, (weights[l.no] * ln(1
                            + (greatest(total - dfs[l.no], 0) + 0.5::float8) / (dfs[l.no] + 0.5::float8)))::real
                            AS worth
                        FROM unnest(queries) WITH ORDINALITY AS l (query, no)
                    ) AS l
                ) AS l
                WHERE l.upto <= {POSTINGS};
                IF cardinality(chosen) = cardinality(lexemes) THEN
                    -- All of them: nothing is left to compare.
                    {_best(_MET_ANYWHERE)}
                    RETURN;
                END IF;
                SELECT coalesce(array_agg(best.id), '{{}}') || named_atoms INTO compared FROM (
                    SELECT a.id FROM unnest(chosen, worths) AS l (query, worth), {_WITH_LEXEME}
                    WHERE {_ALLOWED}
                    GROUP BY a.id ORDER BY sum(l.worth) DESC, a.id DESC LIMIT {COMPARED}
                ) AS best;
                IF cardinality(compared) < most AND cardinality(lexemes) > 0 THEN
                    -- Words that stand nearly everywhere: what was said last is looked through.
                    SELECT compared || coalesce(array_agg(newest.id), '{{}}') INTO compared FROM (
                        SELECT a.id FROM public.memory_atom a WHERE a.org_id = scope_org
                        ORDER BY a.org_id, a.occurred_at DESC, a.id DESC LIMIT {SMALL_SCOPE}
                    ) AS newest;
                END IF;
            END IF;
            {_best(_MET_BY_COMPARED)}
        END
        $body$;
    """


def _rights() -> str:
    role, tenant = settings.SEARCH_DB_ROLE, settings.TENANT_DB_ROLE
    tables = {
        "memory_atom": "",
        "memory_atomlink": "",
        "memory_termstat": "",
        # Not its secret.
        "memory_memoryledger": "(org_id, atom_count)",
    }
    granted = "".join(
        f"""
        GRANT SELECT {columns} ON public.{table} TO "{role}";
        CREATE POLICY search_access ON public.{table} FOR SELECT TO "{role}" USING (true);
        """
        for table, columns in tables.items()
    )
    return f"""
        {granted}
        REVOKE ALL ON FUNCTION public.memory_linked(bigint, text[], bigint[], integer) FROM PUBLIC;
        REVOKE ALL ON FUNCTION public.memory_named(text[]) FROM PUBLIC;
        REVOKE ALL ON FUNCTION public.memory_search({SEARCH_ARGUMENTS}) FROM PUBLIC;
        GRANT EXECUTE ON FUNCTION public.memory_named(text[]) TO "{tenant}";
        GRANT EXECUTE ON FUNCTION public.memory_search({SEARCH_ARGUMENTS}) TO "{tenant}";
        -- The new owner needs CREATE for the moment in which it becomes the owner.
        GRANT CREATE ON SCHEMA public TO "{role}";
        ALTER FUNCTION public.memory_linked(bigint, text[], bigint[], integer) OWNER TO "{role}";
        ALTER FUNCTION public.memory_named(text[]) OWNER TO "{role}";
        ALTER FUNCTION public.memory_search({SEARCH_ARGUMENTS}) OWNER TO "{role}";
        REVOKE CREATE ON SCHEMA public FROM "{role}";
    """


def drop_search() -> str:
    """The reverse of `create_search`."""
    role = settings.SEARCH_DB_ROLE
    taken = "".join(
        f"""
        DROP POLICY search_access ON public.{table};
        REVOKE SELECT ON public.{table} FROM "{role}";
        """
        for table in ("memory_atom", "memory_atomlink", "memory_termstat")
    )
    return f"""
        SET LOCAL ROLE "{role}";
        DROP FUNCTION public.memory_search({SEARCH_ARGUMENTS});
        DROP FUNCTION public.memory_named(text[]);
        DROP FUNCTION public.memory_linked(bigint, text[], bigint[], integer);
        RESET ROLE;
        {taken}
        DROP POLICY search_access ON public.memory_memoryledger;
        REVOKE SELECT (org_id, atom_count) ON public.memory_memoryledger FROM "{role}";
    """
