"""Doors for redaction in the triggers that keep payloads and sent proposals; texts of them are in no statistics.

A transaction that sets `flowledger.payload_door` to 'redaction' may empty a payload, never change it to something else.
One that sets `flowledger.proposal_door` to 'redaction' may change the texts and recipients of a proposal that was sent,
and nothing that says what was offered for how much and when.
"""

from django.db import migrations

KEEP_PAYLOAD = """
    CREATE OR REPLACE FUNCTION public.signal_payload_is_kept() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
        IF TG_OP = 'DELETE' AND current_setting('flowledger.payload_door', true) = 'open' THEN
            RETURN OLD;
        END IF;
        IF TG_OP = 'UPDATE' AND current_setting('flowledger.payload_door', true) = 'redaction'
                AND NEW.body = ''::bytea AND NEW.sha256 = encode(sha256(''::bytea), 'hex')
                AND (NEW.id, NEW.org_id, NEW.signal_id, NEW.content_type, NEW.received_at)
                    IS NOT DISTINCT FROM (OLD.id, OLD.org_id, OLD.signal_id, OLD.content_type, OLD.received_at) THEN
            RETURN NEW;
        END IF;
        RAISE EXCEPTION 'A signal''s payload is kept as received; it can neither change nor go.' USING ERRCODE = 'check_violation';
    END $$;
"""
KEEP_PAYLOAD_BEFORE = """
    CREATE OR REPLACE FUNCTION public.signal_payload_is_kept() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
        IF TG_OP = 'DELETE' AND current_setting('flowledger.payload_door', true) = 'open' THEN
            RETURN OLD;
        END IF;
        RAISE EXCEPTION 'A signal''s payload is kept as received; it can neither change nor go.' USING ERRCODE = 'check_violation';
    END $$;
"""
KEEP_PROPOSAL = """
    CREATE OR REPLACE FUNCTION public.sent_proposal_is_kept() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
        IF current_setting('flowledger.proposal_door', true) = 'redaction'
                AND (OLD.version, OLD.pursuit_id, OLD.amount, OLD.currency, OLD.sent_at)
                    IS NOT DISTINCT FROM (NEW.version, NEW.pursuit_id, NEW.amount, NEW.currency, NEW.sent_at) THEN
            RETURN NEW;
        END IF;
        RAISE EXCEPTION 'Version % of the proposal was sent and cannot change; create the next version.', OLD.version
            USING ERRCODE = 'check_violation';
    END $$;
"""
KEEP_PROPOSAL_BEFORE = """
    CREATE OR REPLACE FUNCTION public.sent_proposal_is_kept() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
        RAISE EXCEPTION 'Version % of the proposal was sent and cannot change; create the next version.', OLD.version
            USING ERRCODE = 'check_violation';
    END $$;
"""
# Nothing is planned by the texts themselves, and what is in no statistics need not be removed from them.
TEXTS = {
    "workstream_activity": ("body",),
    "workstream_signal": ("snippet", "problem_phrase", "solution_hint", "attributes"),
    "workstream_signalpayload": ("body",),
    "workstream_proposal": ("body",),
    "workstream_checklistitem": ("evidence",),
    "workstream_intakereject": ("body", "fields", "errors"),
    "workstream_formsubmission": ("body", "fields"),
    "workstream_importrow": ("cells", "errors"),
    "workstream_importchange": ("before", "after"),
}
COUNT_NONE = "\n".join(
    f'ALTER TABLE {table} ALTER COLUMN "{column}" SET STATISTICS 0;' for table, columns in TEXTS.items() for column in columns
)
COUNT_AGAIN = COUNT_NONE.replace("STATISTICS 0", "STATISTICS -1")


class Migration(migrations.Migration):
    dependencies = [("workstream", "0015_intake_indexes")]

    operations = [
        migrations.RunSQL(KEEP_PAYLOAD, KEEP_PAYLOAD_BEFORE),
        migrations.RunSQL(KEEP_PROPOSAL, KEEP_PROPOSAL_BEFORE),
        migrations.RunSQL(COUNT_NONE, COUNT_AGAIN),
    ]
