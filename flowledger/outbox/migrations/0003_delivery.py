"""The statements of delivery as functions: what waits, the claims, and the end of a batch.

Functions, because their plans are kept per session whatever sits between application and server, and because a claim by
turns is several statements that must not be several round trips. They run with the caller's rights: the claims inside a
system scope, the end of a batch inside its organisation's. The planner's choices are narrowed: statistics of a table that
fills and empties within seconds are always wrong, and every access has one right index.
"""

from django.db import migrations

_NARROW = """SET enable_seqscan = off SET enable_bitmapscan = off SET enable_hashjoin = off SET enable_mergejoin = off
    SET plan_cache_mode = force_generic_plan"""
# A claim needs no durability: one that a crash of the server forgets fails at its fence. And a worker that is frozen between
# its claim and the end of the transaction must not keep the lock from the others: the server ends its session.
_BRIEFLY = """PERFORM set_config('synchronous_commit', 'off', true),
        set_config('idle_in_transaction_session_timeout', '30s', true)"""
_PENDING = "{0}.processed_at IS NULL AND {0}.dead_letter_at IS NULL"
_UNCLAIMED = _PENDING + " AND {0}.claimed_at IS NULL"
_FRESH = _UNCLAIMED + " AND {0}.attempts = 0 AND {0}.crashes = 0 AND {0}.available_at <= statement_timestamp()"
_WAITING = _UNCLAIMED + " AND {0}.attempts > 0 AND {0}.crashes = 0 AND {0}.available_at <= statement_timestamp()"
_CRASHED = _UNCLAIMED + " AND {0}.crashes > 0 AND {0}.available_at <= statement_timestamp()"
# A scalar sub-select rather than NOT EXISTS: the planner cannot turn it into a join of the backlog.
_HELD = f"""(SELECT true FROM outbox_workevent_open held
         WHERE held.org_id = e.org_id AND held.item_type = e.item_type AND held.item_id = e.item_id
           AND {_PENDING.format("held")} AND (held.claimed_at IS NOT NULL
                OR held.crashes > 0 AND held.available_at <= statement_timestamp()){{more}} LIMIT 1)"""
_CLAIMED_COLUMNS = (
    "id bigint, org_id bigint, event_name text, item_type text, item_id bigint, payload text, actor_kind text, "
    "actor_id bigint, actor_label text, actor_user_id bigint, origin text, occurred_at text, "
    "recorded_at text, correlation_id text, causation_id bigint, attempts integer, handled_by text[], "
    "waited double precision"
)
_RETURNED = (
    "w.id, w.org_id, w.event_name::text, w.item_type::text, w.item_id, w.payload::text, w.actor_kind::text, "
    "w.actor_id, w.actor_label::text, w.actor_user_id, w.origin::text, w.occurred_at::text, "
    "w.recorded_at::text, w.correlation_id::text, w.causation_id, w.attempts::integer, w.handled_by, "
    "extract(epoch FROM statement_timestamp() - w.recorded_at)::float8"
)

# Which organisations have events that were never tried, from the one after `p_after` round to the one before; by hops
# through the index, so that it costs by organisations and not by events. And whether the other lanes have work.
LOOK = f"""
CREATE FUNCTION outbox_look(p_after bigint, p_limit integer,
    OUT orgs bigint[], OUT waiting boolean, OUT crashed boolean)
LANGUAGE plpgsql {_NARROW} AS $look$
DECLARE
    step bigint := p_after;
    wrapped boolean := p_after <= 0;
BEGIN
    orgs := '{{}}';
    WHILE cardinality(orgs) < p_limit LOOP
        SELECT e.org_id INTO step FROM outbox_workevent_open e
         WHERE {_FRESH.format("e")} AND e.org_id > step ORDER BY e.org_id LIMIT 1;
        IF step IS NULL AND NOT wrapped THEN
            wrapped := true;
            step := 0;
            CONTINUE;
        END IF;
        EXIT WHEN step IS NULL OR step = ANY(orgs);
        orgs := orgs || step;
    END LOOP;
    waiting := EXISTS (SELECT FROM outbox_workevent_open e WHERE {_WAITING.format("e")} ORDER BY e.available_at LIMIT 1);
    crashed := EXISTS (SELECT FROM outbox_workevent_open e WHERE {_CRASHED.format("e")} ORDER BY e.available_at LIMIT 1);
END
$look$;
"""

# Claims by turns: of each organisation up to half of the batch, so that one with a backlog gets its share and not more; of
# a single one all of it. Claims of one organisation exclude each other until they are committed: what the statement after the lock
# sees is then settled, and no younger event of an item can pass an older one that is being claimed this moment.
#
# After the events of an organisation comes a row without a name. Its id is the first one that is left, from which the next
# claim may look: not behind the last one claimed, because what was passed over for the sake of order comes before it.
CLAIM = f"""
CREATE FUNCTION outbox_claim(p_token uuid, p_limit integer, p_orgs bigint[], p_marks bigint[])
RETURNS TABLE ({_CLAIMED_COLUMNS})
LANGUAGE plpgsql {_NARROW} SET lock_timeout = '2s' AS $claim$
#variable_conflict use_column
DECLARE
    taken integer := 0;
    more integer;
    key bigint;
    locked boolean := false;
BEGIN
    {_BRIEFLY};
    FOR turn IN 1..cardinality(p_orgs) LOOP
        key := hashtextextended('outbox_claim', p_orgs[turn]);
        IF NOT pg_try_advisory_xact_lock(key) THEN
            -- Wait only for the last one, and only empty-handed: two claims can never wait for each other.
            CONTINUE WHEN locked OR turn < cardinality(p_orgs);
            PERFORM pg_advisory_xact_lock(key);
        END IF;
        locked := true;
        RETURN QUERY
        WITH pick AS MATERIALIZED (
            SELECT e.ctid AS place FROM outbox_workevent_open e
             WHERE e.org_id = p_orgs[turn] AND e.id >= p_marks[turn] AND {_FRESH.format("e")}
               AND (e.item_id IS NULL OR {_HELD.format(more="")} IS NULL)
             ORDER BY e.org_id, e.id
             LIMIT least(p_limit - taken, CASE WHEN cardinality(p_orgs) = 1 THEN p_limit ELSE (p_limit + 1) / 2 END)
             FOR NO KEY UPDATE OF e SKIP LOCKED
        )
        UPDATE outbox_workevent_open w
           SET claimed_by = p_token, claimed_at = statement_timestamp(), attempts = w.attempts + 1
          FROM pick WHERE w.ctid = pick.place
        RETURNING {_RETURNED};
        GET DIAGNOSTICS more = ROW_COUNT;
        taken := taken + more;
        org_id := p_orgs[turn];
        id := (SELECT e.id FROM outbox_workevent_open e
                WHERE e.org_id = p_orgs[turn] AND e.id >= p_marks[turn] AND {_FRESH.format("e")}
                ORDER BY e.org_id, e.id LIMIT 1);
        RETURN NEXT;
        EXIT WHEN taken >= p_limit;
    END LOOP;
END
$claim$;
"""

CLAIM_WAITING = f"""
CREATE FUNCTION outbox_claim_waiting(p_token uuid, p_limit integer) RETURNS TABLE ({_CLAIMED_COLUMNS})
LANGUAGE plpgsql {_NARROW} AS $claim$
#variable_conflict use_column
BEGIN
    {_BRIEFLY};
    RETURN QUERY
    WITH pick AS MATERIALIZED (
        SELECT e.ctid AS place FROM outbox_workevent_open e
         WHERE {_WAITING.format("e")} AND (e.item_id IS NULL OR {_HELD.format(more="")} IS NULL)
         ORDER BY e.available_at, e.id
         LIMIT p_limit
         FOR NO KEY UPDATE OF e SKIP LOCKED
    )
    UPDATE outbox_workevent_open w
       SET claimed_by = p_token, claimed_at = statement_timestamp(), attempts = w.attempts + 1
      FROM pick WHERE w.ctid = pick.place
    RETURNING {_RETURNED};
END
$claim$;
"""

# One, and only at the head of its item; claims of this lane exclude each other, so two cannot take two of one item.
CLAIM_CRASHED = f"""
CREATE FUNCTION outbox_claim_crashed(p_token uuid) RETURNS TABLE ({_CLAIMED_COLUMNS})
LANGUAGE plpgsql {_NARROW} SET lock_timeout = '2s' AS $claim$
#variable_conflict use_column
BEGIN
    {_BRIEFLY};
    PERFORM pg_advisory_xact_lock(hashtextextended('outbox_claim_crashed', 0));
    RETURN QUERY
    WITH pick AS MATERIALIZED (
        SELECT e.ctid AS place FROM outbox_workevent_open e
         WHERE {_CRASHED.format("e")}
           AND (e.item_id IS NULL
                OR {_HELD.format(more=" AND (held.claimed_at IS NOT NULL OR held.id < e.id)")} IS NULL)
         ORDER BY e.available_at, e.id
         LIMIT 1
         FOR NO KEY UPDATE OF e SKIP LOCKED
    )
    UPDATE outbox_workevent_open w
       SET claimed_by = p_token, claimed_at = statement_timestamp(), attempts = w.attempts + 1
      FROM pick WHERE w.ctid = pick.place
    RETURNING {_RETURNED};
END
$claim$;
"""

# The fence, the receipts and the completion of many events in one statement: `p_handlers` are the names for each event,
# separated by commas. Answers how many the token still held.
FINISH = f"""
CREATE FUNCTION outbox_finish(p_org bigint, p_token uuid, p_ids bigint[], p_handlers text[]) RETURNS integer
LANGUAGE plpgsql {_NARROW} AS $finish$
DECLARE
    finished integer;
BEGIN
    UPDATE outbox_workevent w
       SET processed_at = statement_timestamp(), handled_by = w.handled_by || string_to_array(done.handlers, ',')
      FROM unnest(p_ids, p_handlers) AS done (id, handlers)
     WHERE w.org_id = p_org AND w.id = done.id AND w.claimed_by = p_token AND {_PENDING.format("w")};
    GET DIAGNOSTICS finished = ROW_COUNT;
    RETURN finished;
END
$finish$;
"""

# Events from workers that have died. A renewed lease is young, so only what a dead worker held is found.
GIVE_BACK_EXPIRED = f"""
CREATE FUNCTION outbox_give_back_expired(p_lease double precision, p_crash_limit integer)
RETURNS TABLE (id bigint, org_id bigint, event_name text, crashes integer, dead boolean)
LANGUAGE plpgsql {_NARROW} AS $give$
#variable_conflict use_column
BEGIN
    RETURN QUERY
    WITH expired AS MATERIALIZED (
        SELECT e.ctid AS place FROM outbox_workevent_open e
         WHERE {_PENDING.format("e")} AND (e.claimed_at IS NOT NULL OR e.crashes > 0)
           AND e.claimed_at < statement_timestamp() - p_lease * interval '1 second'
         ORDER BY e.org_id, e.item_type, e.item_id, e.id
         LIMIT 500
         FOR NO KEY UPDATE OF e SKIP LOCKED
    )
    UPDATE outbox_workevent_open w
       SET claimed_by = NULL, claimed_at = NULL, available_at = statement_timestamp(), crashes = w.crashes + 1,
           dead_letter_at = CASE WHEN w.crashes + 1 >= p_crash_limit THEN statement_timestamp() END,
           last_error = CASE WHEN w.crashes + 1 >= p_crash_limit
               THEN 'Its worker died ' || w.crashes + 1 || ' times while handling it. ' || w.last_error
               ELSE coalesce(nullif(w.last_error, ''), 'Its worker died while holding it.') END
      FROM expired WHERE w.ctid = expired.place
    RETURNING w.id, w.org_id, w.event_name::text, w.crashes::integer, w.dead_letter_at IS NOT NULL;
END
$give$;
"""


def _drop(signature: str) -> str:
    return f"DROP FUNCTION {signature};"


class Migration(migrations.Migration):

    dependencies = [("outbox", "0002_partitions")]

    operations = [
        migrations.RunSQL(LOOK, _drop("outbox_look(bigint, integer)")),
        migrations.RunSQL(CLAIM, _drop("outbox_claim(uuid, integer, bigint[], bigint[])")),
        migrations.RunSQL(CLAIM_WAITING, _drop("outbox_claim_waiting(uuid, integer)")),
        migrations.RunSQL(CLAIM_CRASHED, _drop("outbox_claim_crashed(uuid)")),
        migrations.RunSQL(FINISH, _drop("outbox_finish(bigint, uuid, bigint[], text[])")),
        migrations.RunSQL(GIVE_BACK_EXPIRED, _drop("outbox_give_back_expired(double precision, integer)")),
    ]
