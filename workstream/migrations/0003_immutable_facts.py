"""Triggers that keep what came in and what went out: raw payloads, and proposals once they are sent.

Erasing a person's data will need a narrow door through the first: a transaction that sets
`flowledger.payload_door` to 'open' may delete payloads, never change them.
"""

from django.db import migrations

KEEP_PAYLOAD = """
    CREATE FUNCTION public.signal_payload_is_kept() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
        IF TG_OP = 'DELETE' AND current_setting('flowledger.payload_door', true) = 'open' THEN
            RETURN OLD;
        END IF;
        RAISE EXCEPTION 'A signal''s payload is kept as received; it can neither change nor go.' USING ERRCODE = 'check_violation';
    END $$;
    CREATE TRIGGER signal_payload_is_kept BEFORE UPDATE OR DELETE ON workstream_signalpayload
        FOR EACH ROW EXECUTE FUNCTION public.signal_payload_is_kept();
"""
FORGET_PAYLOAD = """
    DROP TRIGGER signal_payload_is_kept ON workstream_signalpayload;
    DROP FUNCTION public.signal_payload_is_kept();
"""
KEEP_PROPOSAL = """
    CREATE FUNCTION public.sent_proposal_is_kept() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
        RAISE EXCEPTION 'Version % of the proposal was sent and cannot change; create the next version.', OLD.version
            USING ERRCODE = 'check_violation';
    END $$;
    CREATE TRIGGER sent_proposal_is_kept BEFORE UPDATE ON workstream_proposal
        FOR EACH ROW WHEN (
            OLD.sent_at IS NOT NULL AND (
                OLD.version, OLD.pursuit_id, OLD.title, OLD.body, OLD.amount, OLD.currency, OLD.recipients, OLD.sent_at
            ) IS DISTINCT FROM (
                NEW.version, NEW.pursuit_id, NEW.title, NEW.body, NEW.amount, NEW.currency, NEW.recipients, NEW.sent_at
            )
        ) EXECUTE FUNCTION public.sent_proposal_is_kept();
"""
FORGET_PROPOSAL = """
    DROP TRIGGER sent_proposal_is_kept ON workstream_proposal;
    DROP FUNCTION public.sent_proposal_is_kept();
"""


class Migration(migrations.Migration):
    dependencies = [("workstream", "0002_search")]

    operations = [
        migrations.RunSQL(KEEP_PAYLOAD, FORGET_PAYLOAD),
        migrations.RunSQL(KEEP_PROPOSAL, FORGET_PROPOSAL),
    ]
