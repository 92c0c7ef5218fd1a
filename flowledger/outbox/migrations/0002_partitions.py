"""Work events in partitions: one for what is open, one per month for what is processed; and the guards of their facts.

The table is partitioned by `processed_at`. Pending events and dead letters have none, so they lie in the default
partition, and the update that completes an event moves it into its month: the claim never meets history, however long it
is, history is written once and never vacuumed, and a month can be dropped without losing a dead letter (ADR 0018).
"""

from django.conf import settings
from django.db import migrations

# Facts never change and never go away. The trigger fires only for statements that name a fact column, so delivery pays
# nothing for it. Two doors, open for one transaction each by SET LOCAL flowledger.outbox_door:
#   'redaction'  blanks texts: payload and actor_label may change, and redacted_at must say so;
#   'retention'  deletes, after archiving.
FACTS = (
    "id, org_id, event_name, item_type, item_id, payload, actor_kind, actor_id, actor_label, actor_user_id, origin, "
    "occurred_at, recorded_at, dedupe_key, correlation_id, causation_id, redacted_at"
)
REDACTABLE = ("payload", "actor_label", "redacted_at")
KEPT = [name for name in FACTS.split(", ") if name not in REDACTABLE]


def _row(names: list[str], version: str) -> str:
    return "ROW(" + ", ".join(f"{version}.{name}" for name in names) + ")"


# The open partition is the table that migration 0001 made. Only there the organisation is checked by a foreign key: every
# event is written there, and moving it is no reason to look again.
PARTITION = """
ALTER TABLE outbox_workevent RENAME TO outbox_workevent_open;
ALTER TABLE outbox_workevent_open ALTER COLUMN id DROP IDENTITY;
CREATE SEQUENCE outbox_workevent_id_seq AS bigint;
ALTER TABLE outbox_workevent_open ALTER COLUMN id SET DEFAULT nextval('outbox_workevent_id_seq');
CREATE TABLE outbox_workevent (LIKE outbox_workevent_open INCLUDING DEFAULTS INCLUDING CONSTRAINTS)
    PARTITION BY RANGE (processed_at);
ALTER SEQUENCE outbox_workevent_id_seq OWNED BY outbox_workevent.id;
ALTER TABLE outbox_workevent ATTACH PARTITION outbox_workevent_open DEFAULT;

-- The trail of an item goes through history; the open partition's own index is taken in.
CREATE INDEX work_event_history ON outbox_workevent (org_id, item_type, item_id, id) WHERE org_id > 0;

-- Every event is updated twice while it is open: keep the versions on their page, vacuum by number and not by share.
ALTER TABLE outbox_workevent_open SET (fillfactor = 70,
    autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 5000, autovacuum_vacuum_cost_delay = 0,
    autovacuum_vacuum_insert_scale_factor = 0, autovacuum_vacuum_insert_threshold = 20000,
    autovacuum_analyze_scale_factor = 0, autovacuum_analyze_threshold = 20000);
"""

GUARD_FACTS = f"""
CREATE FUNCTION outbox_guard_facts() RETURNS trigger LANGUAGE plpgsql AS $guard$
BEGIN
    IF coalesce(current_setting('flowledger.outbox_door', true), '') = 'redaction' AND NEW.redacted_at IS NOT NULL
            AND {_row(KEPT, "OLD")} IS NOT DISTINCT FROM {_row(KEPT, "NEW")} THEN
        -- A month that is being archived holds this lock for itself: the archive would keep what is blanked here. Refused
        -- rather than made to wait, which takes minutes and would hold others up.
        IF NOT pg_try_advisory_xact_lock_shared(hashtext('outbox_archive'), TG_RELID::integer) THEN
            RAISE EXCEPTION 'Event % is being archived.', OLD.id USING ERRCODE = 'lock_not_available';
        END IF;
        RETURN NEW;
    END IF;
    RAISE EXCEPTION 'The facts of a work event never change (event %).', OLD.id
        USING ERRCODE = 'integrity_constraint_violation', CONSTRAINT = 'work_event_facts';
END
$guard$;
CREATE TRIGGER work_event_facts_stay BEFORE UPDATE OF {FACTS} ON outbox_workevent
    FOR EACH ROW WHEN ({_row(FACTS.split(", "), "OLD")} IS DISTINCT FROM {_row(FACTS.split(", "), "NEW")})
    EXECUTE FUNCTION outbox_guard_facts();

-- For the statement, not for the row: a row that moves to another partition is deleted there, by an UPDATE.
CREATE FUNCTION outbox_guard_rows() RETURNS trigger LANGUAGE plpgsql AS $guard$
BEGIN
    IF coalesce(current_setting('flowledger.outbox_door', true), '') <> 'retention' THEN
        RAISE EXCEPTION 'A work event is never deleted.'
            USING ERRCODE = 'integrity_constraint_violation', CONSTRAINT = 'work_event_facts';
    END IF;
    RETURN NULL;
END
$guard$;
CREATE TRIGGER work_event_stays BEFORE DELETE ON outbox_workevent
    FOR EACH STATEMENT EXECUTE FUNCTION outbox_guard_rows();
"""

# A partition named directly has walls of its own: nothing for the tenant role, and for the system role what it has
# through the parent.
GUARD_PARTITION = f"""
CREATE FUNCTION outbox_guard_partition(partition regclass) RETURNS void LANGUAGE plpgsql AS $guard$
BEGIN
    EXECUTE format('REVOKE ALL ON %s FROM {settings.TENANT_DB_ROLE}', partition);
    EXECUTE format('ALTER TABLE %s ENABLE ROW LEVEL SECURITY', partition);
    EXECUTE format('ALTER TABLE %s FORCE ROW LEVEL SECURITY', partition);
    EXECUTE format('DROP POLICY IF EXISTS org_isolation ON %s', partition);
    EXECUTE format('DROP POLICY IF EXISTS system_access ON %s', partition);
    EXECUTE format('CREATE POLICY system_access ON %s TO {settings.SYSTEM_DB_ROLE} '
        'USING (current_user = %L) WITH CHECK (current_user = %L)',
        partition, '{settings.SYSTEM_DB_ROLE}', '{settings.SYSTEM_DB_ROLE}');
    EXECUTE format('CREATE TRIGGER work_event_stays BEFORE DELETE ON %s '
        'FOR EACH STATEMENT EXECUTE FUNCTION outbox_guard_rows()', partition);
END
$guard$;
"""

WALLS = f"""
ALTER TABLE outbox_workevent ENABLE ROW LEVEL SECURITY;
ALTER TABLE outbox_workevent FORCE ROW LEVEL SECURITY;
CREATE POLICY org_isolation ON outbox_workevent TO {settings.TENANT_DB_ROLE}
    USING (org_id = nullif(current_setting('flowledger.org_id', true), '')::bigint)
    WITH CHECK (org_id = nullif(current_setting('flowledger.org_id', true), '')::bigint);
CREATE POLICY system_access ON outbox_workevent TO {settings.SYSTEM_DB_ROLE}
    USING (current_user = '{settings.SYSTEM_DB_ROLE}') WITH CHECK (current_user = '{settings.SYSTEM_DB_ROLE}');
SELECT outbox_guard_partition('outbox_workevent_open');
"""

# Answers how many rows it moved out of the open partition; NULL when the month exists. What was processed in a month before
# its partition existed lies in the open one and has to leave it first: a default partition may not hold rows that belong
# elsewhere. All of it is one transaction, whatever the number of rows: a reader sees each of them once, and nothing remains
# of one that is killed. For the table's owner outside of any scope; the owner itself sees no row (row-level security is
# forced), so the rows are moved as the system role.
#
# The first pass fills the new table while everybody works. The next ones ask for the lock, and under it take what was
# completed meanwhile (only in a month that is not over) and attach the table; its CHECK spares the scan of it. Everybody
# else waits behind who waits for that lock, so it is asked for briefly and often. It is on the whole table, which ATTACH
# would not need: a reader that waits for the open partition alone has planned without the new one, and would find the
# events in neither.
ADD_PARTITION = f"""
CREATE FUNCTION outbox_add_partition(month date, patience interval DEFAULT '30 seconds') RETURNS bigint
LANGUAGE plpgsql AS $add$
DECLARE
    starts CONSTANT timestamptz := date_trunc('month', month::timestamp) AT TIME ZONE 'UTC';
    ends CONSTANT timestamptz := (date_trunc('month', month::timestamp) + interval '1 month') AT TIME ZONE 'UTC';
    name CONSTANT text := to_char(month, '"outbox_workevent_y"YYYY"m"MM');
    batch CONSTANT integer := 20000;
    old_timeout CONSTANT text := current_setting('lock_timeout');
    filled boolean := false;
    until timestamptz := clock_timestamp() + patience;
    pause double precision := 0.05;
    number bigint;
    last_id bigint;
    moved bigint := 0;
    moved_now bigint;
BEGIN
    PERFORM pg_advisory_xact_lock(hashtextextended('outbox_add_partition', 0));
    IF to_regclass(name) IS NOT NULL THEN
        RETURN NULL;
    END IF;
    EXECUTE format('CREATE TABLE %I (LIKE outbox_workevent INCLUDING ALL, PRIMARY KEY (id), CONSTRAINT in_month '
        'CHECK (processed_at IS NOT NULL AND processed_at >= %L AND processed_at < %L))', name, starts, ends);
    PERFORM outbox_guard_partition(name::regclass);
    PERFORM set_config('lock_timeout', '300ms', true);
    LOOP
        BEGIN
            moved_now := 0;
            IF filled THEN
                LOCK TABLE ONLY outbox_workevent IN ACCESS EXCLUSIVE MODE;
                LOCK TABLE ONLY outbox_workevent_open IN ACCESS EXCLUSIVE MODE;
            END IF;
            IF NOT filled OR ends > clock_timestamp() THEN
                PERFORM set_config('role', '{settings.SYSTEM_DB_ROLE}', true),
                    set_config('flowledger.outbox_door', 'retention', true);
                last_id := 0;
                LOOP
                    EXECUTE format(
                        'WITH gone AS (DELETE FROM outbox_workevent_open WHERE ctid = ANY (ARRAY('
                        'SELECT ctid FROM outbox_workevent_open WHERE processed_at >= $1 AND processed_at < $2 '
                        'AND id > $3 ORDER BY id LIMIT $4)) RETURNING *), put AS (INSERT INTO %I SELECT * FROM gone '
                        'RETURNING id) SELECT count(*), max(id) FROM put', name)
                        INTO number, last_id USING starts, ends, last_id, batch;
                    moved_now := moved_now + number;
                    EXIT WHEN number < batch;
                END LOOP;
                PERFORM set_config('role', 'none', true), set_config('flowledger.outbox_door', '', true);
            END IF;
            IF filled THEN
                EXECUTE format('ALTER TABLE outbox_workevent ATTACH PARTITION %I FOR VALUES FROM (%L) TO (%L)',
                    name, starts, ends);
                EXECUTE format('ALTER TABLE %I DROP CONSTRAINT in_month', name);
                PERFORM set_config('lock_timeout', old_timeout, true);
                RETURN moved + moved_now;
            END IF;
            filled := true;
            moved := moved_now;
            until := clock_timestamp() + patience;
        EXCEPTION WHEN lock_not_available OR deadlock_detected THEN
            IF clock_timestamp() > until THEN
                RAISE;
            END IF;
            PERFORM pg_sleep(pause);
            pause := least(2 * pause, 2);
        END;
    END LOOP;
END
$add$;
REVOKE ALL ON FUNCTION outbox_add_partition(date, interval) FROM PUBLIC;
SELECT outbox_add_partition((date_trunc('month', now() AT TIME ZONE 'UTC') + ahead * interval '1 month')::date)
  FROM generate_series(0, 3) AS ahead;
"""


class Migration(migrations.Migration):

    dependencies = [("outbox", "0001_initial")]

    operations = [
        migrations.RunSQL(PARTITION),
        migrations.RunSQL(GUARD_FACTS),
        migrations.RunSQL(GUARD_PARTITION),
        migrations.RunSQL(WALLS),
        migrations.RunSQL(ADD_PARTITION),
    ]
