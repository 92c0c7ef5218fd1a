"""Word search behind `?q=`: one function in the database per table, which row-level security cannot slow down.

Text operators are not leakproof, so under row-level security PostgreSQL never uses a text index: every search would
read every row of the organisation. A searched table therefore gets, by migration, a generated column with its words
and a SECURITY DEFINER function that filters by the scope's organisation itself. The function belongs to a role of its
own (`SEARCH_DB_ROLE`) that may read the searched tables, all rows of them, and do nothing else; no one inherits it.

Every word is stored as `<org>x<word>`: the inverted index leads with the organisation like every other index, and
neither its length nor the planner's statistics depend on the other organisations.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar, Self

from django.conf import settings
from django.db import connections, migrations, models
from django.db.models import F, Func

from flowledger.tenancy.querysets import OrgQuerySet
from flowledger.tenancy.roles import create_role

# A list in its plain order shows the newest matches; with filters or another order it needs to know more of them.
NEWEST_MATCHES = 500
ALL_MATCHES = 10_000

# Beyond this a document is not indexed further: PostgreSQL refuses a row whose words exceed 1 MB.
INDEXED_CHARACTERS = 20_000
QUERY_CHARACTERS = 200


class AmongKeys(Func):
    """`key = ANY(keys)`, written so that the planner looks the keys up instead of walking an index past the others."""

    output_field = models.BooleanField()

    def __init__(self, key: F, keys: Sequence[int]) -> None:
        super().__init__(key)
        self.keys = list(keys)

    def as_sql(self, compiler: Any, connection: Any, **extra: Any) -> tuple[str, list[Any]]:  # type: ignore[override]
        (key,) = self.get_source_expressions()
        sql, params = compiler.compile(key)
        return f"{sql} = ANY(ARRAY(SELECT unnest(%s::bigint[])))", [*params, self.keys]


class SearchMixin(OrgQuerySet[Any]):
    """Adds `.search()` to the queryset of a table that has a search function."""

    search_function: ClassVar[str]
    # The most rows that the search in this queryset can find, if it searches: a total that reaches it is a lower bound.
    capped_at: int | None = None
    # Whether the search stopped there.
    reached_cap = False

    def search(self, text: str, *, at_most: int = NEWEST_MATCHES) -> Self:
        """Rows with all words of `text`, the last one as a prefix: the `at_most` newest of them.

        A word with punctuation, such as an address or a domain, is found as a whole or by its parts, in their order.
        Needs an organisation's scope. A text without any letter or digit changes nothing. The search itself is asked
        at once and once, however often the queryset is evaluated afterwards (the rows of a page, their total).
        """
        words = text.replace("\x00", " ").encode(errors="ignore").decode()[:QUERY_CHARACTERS]
        if not any(character.isalnum() for character in words):
            return self
        with connections[self.db].cursor() as cursor:
            cursor.execute(f"SELECT {cursor.db.ops.quote_name(self.search_function)}(%s, %s)", [words, at_most])
            keys = [key for (key,) in cursor.fetchall()]
        found = self.filter(AmongKeys(F("pk"), keys))
        found.capped_at = at_most
        found.reached_cap = len(keys) >= at_most
        return found

    def _clone(self) -> Self:
        clone: Self = super()._clone()  # type: ignore[misc]
        clone.capped_at = self.capped_at
        clone.reached_cap = self.reached_cap
        return clone


def make_searchable(
    *, table: str, columns: Sequence[str], function: str, index: str
) -> list[migrations.operations.base.Operation]:
    """Operations for a migration after the table exists: words column, inverted index, search function.

    `columns` are text columns or SQL expressions over the row's own columns, immutable ones. The words column is no
    model field, so no query of Django's ever loads it.
    """
    return [
        migrations.RunSQL(_support(), migrations.RunSQL.noop),
        migrations.RunSQL(
            _words_column(table, columns, index),
            f'ALTER TABLE public."{table}" DROP COLUMN search_words;',
        ),
        migrations.RunSQL(
            _function(table, function),
            # The login role is a member of the search role without its privileges: it has to become it.
            f"""
            SET LOCAL ROLE "{settings.SEARCH_DB_ROLE}";
            DROP FUNCTION public."{function}"(text, integer);
            RESET ROLE;
            DROP POLICY search_access ON public."{table}";
            REVOKE SELECT ON public."{table}" FROM "{settings.SEARCH_DB_ROLE}";
            """,
        ),
    ]


def _support() -> str:
    """The search role and the two functions that turn text into words and into a question; may run many times."""
    role = settings.SEARCH_DB_ROLE
    return f"""
        {create_role(role, inherited=False)}
        DO $check$ BEGIN
            IF pg_has_role(session_user, '{role}', 'USAGE')
               AND NOT (SELECT rolsuper FROM pg_roles WHERE rolname = session_user) THEN
                RAISE EXCEPTION 'The database user % inherits the role {role} and could read past the policies.',
                    session_user USING HINT = 'Run as an administrator: GRANT "{role}" TO '
                        || quote_ident(session_user) || ' WITH INHERIT FALSE, SET TRUE;';
            END IF;
        END $check$;
        GRANT USAGE ON SCHEMA public TO "{role}";

        -- Letters and digits of every script, whatever the locale of the database.
        DO $collation$ BEGIN
            IF to_regcollation('public.search_letters') IS NULL THEN
                IF current_setting('server_version_num')::int >= 170000 THEN
                    CREATE COLLATION public.search_letters (provider = builtin, locale = 'C.UTF-8');
                ELSE
                    CREATE COLLATION public.search_letters (provider = icu, locale = 'und');
                END IF;
            END IF;
        END $collation$;

        CREATE OR REPLACE FUNCTION public.search_text(org bigint, document text) RETURNS text
        LANGUAGE sql IMMUTABLE PARALLEL SAFE
        RETURN org::text || 'x' || replace(btrim(regexp_replace(
            lower(document COLLATE public.search_letters),
            '[^[:alnum:]]+' COLLATE public.search_letters, ' ', 'g'
        )), ' ', ' ' || org::text || 'x'
        );

        CREATE OR REPLACE FUNCTION public.search_document(org bigint, document text) RETURNS tsvector
        LANGUAGE sql IMMUTABLE PARALLEL SAFE
        RETURN to_tsvector('pg_catalog.simple'::regconfig,
            public.search_text(org, left(document, {INDEXED_CHARACTERS})));

        -- 'ann@acme.co north' → '7xann' <-> '7xacme' <-> '7xco' & '7xnorth':*
        CREATE OR REPLACE FUNCTION public.search_question(org bigint, question text) RETURNS tsquery
        LANGUAGE sql IMMUTABLE PARALLEL SAFE
        RETURN (
            SELECT (string_agg(
                phraseto_tsquery('pg_catalog.simple'::regconfig, public.search_text(org, word))::text,
                ' & ' ORDER BY place) || ':*')::tsquery
            FROM regexp_split_to_table(question, '\\s+') WITH ORDINALITY AS words (word, place)
            WHERE word ~ ('[[:alnum:]]' COLLATE public.search_letters)
        );
    """


def _words_column(table: str, columns: Sequence[str], index: str) -> str:
    document = " || ' ' || ".join(f"coalesce({column}, '')" for column in columns)
    return f"""
        ALTER TABLE public."{table}" ADD COLUMN search_words tsvector
            GENERATED ALWAYS AS (public.search_document(org_id, {document})) STORED;
        -- Without fastupdate no search has to read a list of pending entries.
        CREATE INDEX "{index}" ON public."{table}" USING gin (search_words) WITH (fastupdate = off);
    """


def _function(table: str, function: str) -> str:
    """Newest matches first. How it reads depends on how common the words are among the organisation's newest rows.

    Common: walk the (org_id, id) index from the newest and stop at the limit. Else: the planner decides with the
    words' own statistics, which EXECUTE lets it see; for a rare word that is the inverted index.
    """
    role = settings.SEARCH_DB_ROLE
    return f"""
        CREATE FUNCTION public."{function}"(q text, max_rows integer) RETURNS SETOF bigint
        LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp ROWS 100
        AS $body$
        DECLARE
            scope_org CONSTANT bigint := current_setting('flowledger.org_id')::bigint;
            question CONSTANT tsquery := public.search_question(scope_org, q);
            seen integer;
            matching integer;
        BEGIN
            IF question IS NULL THEN
                RETURN;
            END IF;
            SELECT count(*), count(*) FILTER (WHERE newest.search_words @@ question) INTO seen, matching
            FROM (
                SELECT row.search_words FROM public."{table}" row
                WHERE row.org_id = scope_org ORDER BY row.org_id DESC, row.id DESC LIMIT 300
            ) newest;
            IF matching * 25 > seen THEN
                -- OFFSET 0 keeps the comparison out of the walk, so that the order of the index is the plan.
                RETURN QUERY EXECUTE $walk$
                    SELECT walked.id FROM (
                        SELECT row.id, row.search_words FROM public."{table}" row
                        WHERE row.org_id = $1 ORDER BY row.org_id DESC, row.id DESC OFFSET 0
                    ) walked
                    WHERE walked.search_words @@ $2 LIMIT $3
                $walk$ USING scope_org, question, max_rows;
            ELSIF seen > 0 THEN
                RETURN QUERY EXECUTE $look$
                    SELECT row.id FROM public."{table}" row
                    WHERE row.org_id = $1 AND row.search_words @@ $2
                    ORDER BY row.org_id DESC, row.id DESC LIMIT $3
                $look$ USING scope_org, question, max_rows;
            END IF;
        END
        $body$;
        REVOKE ALL ON FUNCTION public."{function}"(text, integer) FROM PUBLIC;
        GRANT EXECUTE ON FUNCTION public."{function}"(text, integer) TO "{settings.TENANT_DB_ROLE}";
        GRANT SELECT ON public."{table}" TO "{role}";
        CREATE POLICY search_access ON public."{table}" FOR SELECT TO "{role}" USING (true);
        -- The new owner needs CREATE for the moment in which it becomes the owner.
        GRANT CREATE ON SCHEMA public TO "{role}";
        ALTER FUNCTION public."{function}"(text, integer) OWNER TO "{role}";
        REVOKE CREATE ON SCHEMA public FROM "{role}";
    """
