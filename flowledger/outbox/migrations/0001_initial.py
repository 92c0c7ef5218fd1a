"""Work events with their trigger, receipts, failures and outgoing emails."""

import django.contrib.postgres.fields
import django.db.models.deletion
import django.db.models.functions.datetime
import django.db.models.manager
from django.db import migrations, models

import flowledger.tenancy.constraints

# Facts never change and never go away. The trigger fires only for statements that name a fact column, so delivery
# pays nothing for it. Two doors, open for one transaction each by SET LOCAL flowledger.outbox_door:
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


GUARD_FACTS = f"""
CREATE FUNCTION outbox_guard_facts() RETURNS trigger LANGUAGE plpgsql AS $guard$
DECLARE
    door text := coalesce(current_setting('flowledger.outbox_door', true), '');
BEGIN
    IF TG_OP = 'DELETE' THEN
        IF door = 'retention' THEN
            RETURN OLD;
        END IF;
        RAISE EXCEPTION 'A work event is never deleted (event %).', OLD.id
            USING ERRCODE = 'integrity_constraint_violation', CONSTRAINT = 'work_event_facts';
    END IF;
    IF door = 'redaction' AND NEW.redacted_at IS NOT NULL
            AND {_row(KEPT, "OLD")} IS NOT DISTINCT FROM {_row(KEPT, "NEW")} THEN
        RETURN NEW;
    END IF;
    RAISE EXCEPTION 'The facts of a work event never change (event %).', OLD.id
        USING ERRCODE = 'integrity_constraint_violation', CONSTRAINT = 'work_event_facts';
END
$guard$;
CREATE TRIGGER work_event_facts_stay BEFORE UPDATE OF {FACTS} ON outbox_workevent
    FOR EACH ROW WHEN ({_row(FACTS.split(", "), "OLD")} IS DISTINCT FROM {_row(FACTS.split(", "), "NEW")})
    EXECUTE FUNCTION outbox_guard_facts();
CREATE TRIGGER work_event_stays BEFORE DELETE ON outbox_workevent
    FOR EACH ROW EXECUTE FUNCTION outbox_guard_facts();
"""
UNGUARD_FACTS = """
DROP TRIGGER work_event_stays ON outbox_workevent;
DROP TRIGGER work_event_facts_stay ON outbox_workevent;
DROP FUNCTION outbox_guard_facts();
"""

# Every event is updated twice in its life: keep the versions on their page and vacuum by number, not by share.
HOT_TABLE = """
ALTER TABLE outbox_workevent SET (fillfactor = 70,
    autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 5000, autovacuum_vacuum_cost_delay = 0,
    autovacuum_analyze_scale_factor = 0, autovacuum_analyze_threshold = 20000);
"""
COOL_TABLE = """
ALTER TABLE outbox_workevent RESET (fillfactor,
    autovacuum_vacuum_scale_factor, autovacuum_vacuum_threshold, autovacuum_vacuum_cost_delay,
    autovacuum_analyze_scale_factor, autovacuum_analyze_threshold);
"""


class Migration(migrations.Migration):

    initial = True

    dependencies = [
        ('tenancy', '0001_initial'),
    ]

    operations = [
        migrations.CreateModel(
            name='HandlerFailure',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('event_id', models.BigIntegerField()),
                ('handler', models.CharField(max_length=100)),
                ('attempt', models.PositiveSmallIntegerField()),
                ('error', models.TextField(help_text='Kind and message of the exception.')),
                ('traceback', models.TextField()),
                ('failed_at', models.DateTimeField(db_default=django.db.models.functions.datetime.Now())),
                ('org', models.ForeignKey(db_index=False, editable=False, on_delete=django.db.models.deletion.PROTECT, related_name='+', to='tenancy.organization')),
            ],
            options={
                'base_manager_name': 'all_orgs',
                'default_manager_name': 'all_orgs',
                'constraints': [flowledger.tenancy.constraints.RowSecurity(column='org_id', name='handler_failure_row_security'), models.UniqueConstraint(fields=('org', 'event_id', 'handler'), name='handler_failure_once')],
            },
            managers=[
                ('all_orgs', django.db.models.manager.Manager()),
            ],
        ),
        migrations.CreateModel(
            name='HandlerReceipt',
            fields=[
                ('pk', models.CompositePrimaryKey('org_id', 'event_id', 'handler', blank=True, editable=False, primary_key=True, serialize=False)),
                ('event_id', models.BigIntegerField()),
                ('handler', models.CharField(max_length=100)),
                ('handled_at', models.DateTimeField(db_default=django.db.models.functions.datetime.Now())),
                ('org', models.ForeignKey(db_index=False, editable=False, on_delete=django.db.models.deletion.PROTECT, related_name='+', to='tenancy.organization')),
            ],
            options={
                'base_manager_name': 'all_orgs',
                'default_manager_name': 'all_orgs',
                'constraints': [flowledger.tenancy.constraints.RowSecurity(column='org_id', name='handler_receipt_row_security')],
            },
            managers=[
                ('all_orgs', django.db.models.manager.Manager()),
            ],
        ),
        migrations.CreateModel(
            name='OutgoingEmail',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('created_at', models.DateTimeField(auto_now_add=True)),
                ('updated_at', models.DateTimeField(auto_now=True)),
                ('row_version', models.PositiveIntegerField(default=1, editable=False)),
                ('key', models.CharField(help_text='Natural key: a second message with the same key is not queued.', max_length=200)),
                ('to', django.contrib.postgres.fields.ArrayField(base_field=models.EmailField(max_length=254), size=None)),
                ('subject', models.CharField(max_length=500)),
                ('body', models.TextField()),
                ('html', models.TextField(blank=True, default='')),
                ('from_email', models.CharField(blank=True, default='', max_length=320)),
                ('reply_to', django.contrib.postgres.fields.ArrayField(base_field=models.EmailField(max_length=254), blank=True, default=list, size=None)),
                ('causation_id', models.BigIntegerField(help_text='The event whose handler queued it.', null=True)),
                ('status', models.CharField(choices=[('queued', 'Queued'), ('sending', 'Sending'), ('sent', 'Sent'), ('dead', 'Given up')], default='queued', max_length=10)),
                ('available_at', models.DateTimeField(db_default=django.db.models.functions.datetime.Now())),
                ('attempts', models.PositiveSmallIntegerField(db_default=0, default=0)),
                ('claimed_at', models.DateTimeField(null=True)),
                ('claimed_by', models.UUIDField(null=True)),
                ('sent_at', models.DateTimeField(null=True)),
                ('message_id', models.CharField(blank=True, default='', help_text='As the provider reported it.', max_length=300)),
                ('last_error', models.TextField(blank=True, default='')),
                ('dead_letter_at', models.DateTimeField(null=True)),
                ('org', models.ForeignKey(db_index=False, editable=False, on_delete=django.db.models.deletion.PROTECT, related_name='+', to='tenancy.organization')),
            ],
            options={
                'abstract': False,
                'base_manager_name': 'all_orgs',
                'default_manager_name': 'all_orgs',
                'indexes': [models.Index(condition=models.Q(('dead_letter_at__isnull', True), ('sent_at__isnull', True), ('claimed_at__isnull', True)), fields=['available_at', 'id'], name='outgoing_email_ready'), models.Index(condition=models.Q(('dead_letter_at__isnull', True), ('sent_at__isnull', True), ('claimed_at__isnull', False)), fields=['claimed_at'], name='outgoing_email_inflight'), models.Index(fields=['org', '-id'], name='outgoing_email_latest')],
                'constraints': [flowledger.tenancy.constraints.RowSecurity(column='org_id', name='outgoing_email_row_security'), models.UniqueConstraint(fields=('org', 'id'), name='outgoing_email_org_id'), models.UniqueConstraint(fields=('org', 'key'), name='outgoing_email_key'), models.CheckConstraint(condition=models.Q(('to', []), _negated=True), name='outgoing_email_has_recipient'), models.CheckConstraint(condition=models.Q(models.Q(('claimed_at__isnull', True), ('dead_letter_at__isnull', True), ('sent_at__isnull', True), ('status', 'queued')), models.Q(('claimed_at__isnull', False), ('dead_letter_at__isnull', True), ('sent_at__isnull', True), ('status', 'sending')), models.Q(('claimed_at__isnull', True), ('dead_letter_at__isnull', True), ('sent_at__isnull', False), ('status', 'sent')), models.Q(('claimed_at__isnull', True), ('dead_letter_at__isnull', False), ('sent_at__isnull', True), ('status', 'dead')), _connector='OR'), name='outgoing_email_status')],
            },
            managers=[
                ('all_orgs', django.db.models.manager.Manager()),
            ],
        ),
        migrations.CreateModel(
            name='WorkEvent',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('event_name', models.CharField(max_length=100)),
                ('item_type', models.CharField(db_default='', max_length=50)),
                ('item_id', models.BigIntegerField(null=True)),
                ('payload', models.JSONField()),
                ('actor_kind', models.CharField(choices=[('user', 'User'), ('api_key', 'API key'), ('assistant', 'Assistant'), ('rule', 'Rule'), ('system', 'System')], max_length=20)),
                ('actor_id', models.BigIntegerField(help_text="Key of the actor's own row, by its kind.", null=True)),
                ('actor_label', models.CharField(max_length=200)),
                ('actor_user_id', models.BigIntegerField(help_text='The person behind the actor, if any.', null=True)),
                ('origin', models.CharField(choices=[('user', 'User'), ('api', 'API'), ('import', 'Import'), ('rule', 'Rule'), ('assistant', 'Assistant'), ('system', 'System')], max_length=20)),
                ('occurred_at', models.DateTimeField(help_text='When it happened in the business; historic for imports.')),
                ('recorded_at', models.DateTimeField(db_default=django.db.models.functions.datetime.Now(), help_text='Database time of writing.')),
                ('dedupe_key', models.CharField(max_length=200, null=True)),
                ('correlation_id', models.CharField(db_default='', help_text='The request or first event behind it.', max_length=100)),
                ('causation_id', models.BigIntegerField(help_text='The event whose handler recorded this one.', null=True)),
                ('redacted_at', models.DateTimeField(help_text='When texts of the payload were blanked, if they were.', null=True)),
                ('available_at', models.DateTimeField(db_default=django.db.models.functions.datetime.Now())),
                ('attempts', models.PositiveSmallIntegerField(db_default=0, default=0)),
                ('crashes', models.PositiveSmallIntegerField(db_default=0, default=0, help_text='Leases that ran out; above zero the event is tried alone.')),
                ('claimed_at', models.DateTimeField(null=True)),
                ('claimed_by', models.UUIDField(help_text='Token of the claim, new each time: the fence.', null=True)),
                ('processed_at', models.DateTimeField(null=True)),
                ('last_error', models.TextField(db_default='', default='')),
                ('dead_letter_at', models.DateTimeField(null=True)),
                ('retried_at', models.DateTimeField(null=True)),
                ('retried_by', models.CharField(db_default='', default='', max_length=200)),
                ('discarded_at', models.DateTimeField(null=True)),
                ('discarded_by', models.CharField(db_default='', default='', max_length=200)),
                ('discard_reason', models.TextField(db_default='', default='')),
                ('org', models.ForeignKey(db_index=False, editable=False, on_delete=django.db.models.deletion.PROTECT, related_name='+', to='tenancy.organization')),
            ],
            options={
                'base_manager_name': 'all_orgs',
                'default_manager_name': 'all_orgs',
                'indexes': [models.Index(condition=models.Q(('dead_letter_at__isnull', True), ('processed_at__isnull', True), ('claimed_at__isnull', True)), fields=['available_at', 'id'], name='work_event_ready'), models.Index(condition=models.Q(('dead_letter_at__isnull', True), ('processed_at__isnull', True), ('claimed_at__isnull', True), ('crashes__gt', 0)), fields=['available_at', 'id'], name='work_event_crashed'), models.Index(condition=models.Q(('dead_letter_at__isnull', True), ('processed_at__isnull', True), ('claimed_at__isnull', False)), fields=['claimed_at'], name='work_event_inflight'), models.Index(condition=models.Q(('dead_letter_at__isnull', True), ('processed_at__isnull', True), ('claimed_at__isnull', True), ('org__gt', 0)), fields=['org', 'available_at', 'id'], name='work_event_fair'), models.Index(condition=models.Q(('dead_letter_at__isnull', True), ('processed_at__isnull', True), ('item_id__isnull', False)), fields=['org', 'item_type', 'item_id', 'id'], name='work_event_in_the_way'), models.Index(condition=models.Q(('org__gt', 0)), fields=['org', 'item_type', 'item_id', 'id'], name='work_event_trail'), models.Index(condition=models.Q(('dead_letter_at__isnull', False), ('discarded_at__isnull', True)), fields=['org', '-dead_letter_at', '-id'], name='work_event_dead')],
                'constraints': [flowledger.tenancy.constraints.RowSecurity(column='org_id', name='work_event_row_security'), models.UniqueConstraint(condition=models.Q(('dedupe_key__isnull', False)), fields=('org', 'event_name', 'dedupe_key'), name='work_event_dedupe'), models.CheckConstraint(condition=models.Q(('processed_at__isnull', True), ('dead_letter_at__isnull', True), _connector='OR'), name='work_event_one_end'), models.CheckConstraint(condition=models.Q(models.Q(('claimed_at__isnull', True), ('claimed_by__isnull', True)), models.Q(('claimed_at__isnull', False), ('claimed_by__isnull', False)), _connector='OR'), name='work_event_whole_claim'), models.CheckConstraint(condition=models.Q(('discarded_at__isnull', True), models.Q(('dead_letter_at__isnull', False), models.Q(('discarded_by', ''), _negated=True), models.Q(('discard_reason', ''), _negated=True)), _connector='OR'), name='work_event_whole_discard'), models.CheckConstraint(condition=models.Q(('origin__in', ['user', 'api', 'import', 'rule', 'assistant', 'system'])), name='work_event_origin'), models.CheckConstraint(condition=models.Q(('actor_kind__in', ['user', 'api_key', 'assistant', 'rule', 'system'])), name='work_event_actor_kind'), models.CheckConstraint(condition=models.Q(('item_id__isnull', True), models.Q(('item_type', ''), _negated=True), _connector='OR'), name='work_event_item_has_type')],
            },
            managers=[
                ('all_orgs', django.db.models.manager.Manager()),
            ],
        ),
        migrations.RunSQL(GUARD_FACTS, UNGUARD_FACTS),
        migrations.RunSQL(HOT_TABLE, COOL_TABLE),
    ]
