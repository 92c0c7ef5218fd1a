"""The first claim of a drain as one statement outside of any transaction block: scope, look, claim, organisations.

Who was woken by a commit wants to be quick, and round trips are what a claim of one event consists of. The role is set
for the statement's own transaction, as a system scope does it for a block.
"""

from importlib import import_module

from django.db import migrations

CLAIMED_COLUMNS = import_module("flowledger.outbox.migrations.0003_delivery")._CLAIMED_COLUMNS

# The first row tells of what waits, and of the organisations that wait; it has no id.
TAKE = f"""
CREATE FUNCTION outbox_take(p_role text, p_token uuid, p_limit integer, p_after bigint)
RETURNS TABLE ({CLAIMED_COLUMNS})
LANGUAGE plpgsql AS $take$
#variable_conflict use_column
DECLARE
    seen record;
BEGIN
    PERFORM set_config('role', p_role, true), set_config('flowledger.org_id', '', true);
    SELECT * INTO seen FROM outbox_look(p_after, 64);
    payload := jsonb_build_object('orgs', seen.orgs, 'retries', seen.waiting, 'crashed', seen.crashed,
        'organizations', (SELECT jsonb_agg(to_jsonb(o)) FROM tenancy_organization o WHERE o.id = ANY(seen.orgs)))::text;
    RETURN NEXT;
    IF cardinality(seen.orgs) > 0 THEN
        RETURN QUERY SELECT * FROM outbox_claim(p_token, p_limit, seen.orgs, array_fill(0::bigint, ARRAY[cardinality(seen.orgs)]));
    END IF;
END
$take$;
"""


class Migration(migrations.Migration):

    dependencies = [("outbox", "0005_health_view")]

    operations = [
        migrations.RunSQL(TAKE, "DROP FUNCTION outbox_take(text, uuid, integer, bigint);"),
    ]
