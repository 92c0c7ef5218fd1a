"""Work events, their dedupe keys, failures of handlers and outgoing emails."""

import django.contrib.postgres.fields
import django.db.models.deletion
import django.db.models.functions.datetime
import django.db.models.manager
import flowledger.tenancy.constraints
from django.db import migrations, models


class Migration(migrations.Migration):

    initial = True

    dependencies = [
        ('tenancy', '0001_initial'),
    ]

    operations = [
        migrations.CreateModel(
            name='DedupeKey',
            fields=[
                ('pk', models.CompositePrimaryKey('org_id', 'event_name', 'key', blank=True, editable=False, primary_key=True, serialize=False)),
                ('event_name', models.CharField(max_length=100)),
                ('key', models.CharField(max_length=200)),
                ('recorded_at', models.DateTimeField(db_default=django.db.models.functions.datetime.Now())),
                ('org', models.ForeignKey(db_index=False, editable=False, on_delete=django.db.models.deletion.PROTECT, related_name='+', to='tenancy.organization')),
            ],
            options={
                'base_manager_name': 'all_orgs',
                'default_manager_name': 'all_orgs',
                'constraints': [flowledger.tenancy.constraints.RowSecurity(column='org_id', name='dedupe_key_row_security')],
            },
            managers=[
                ('all_orgs', django.db.models.manager.Manager()),
            ],
        ),
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
                ('handled_by', django.contrib.postgres.fields.ArrayField(base_field=models.TextField(), db_default=models.Value([], output_field=django.contrib.postgres.fields.ArrayField(base_field=models.TextField(), size=None)), default=list, help_text='Receipts: handlers whose effects are in the database, written in the transaction of the effects.', size=None)),
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
                'indexes': [models.Index(condition=models.Q(('dead_letter_at__isnull', True), ('processed_at__isnull', True), ('claimed_at__isnull', True), ('attempts', 0), ('crashes', 0)), fields=['org', 'id'], name='work_event_fresh'), models.Index(condition=models.Q(('dead_letter_at__isnull', True), ('processed_at__isnull', True), ('claimed_at__isnull', True), ('attempts__gt', 0), ('crashes', 0)), fields=['available_at', 'id'], name='work_event_waiting'), models.Index(condition=models.Q(('dead_letter_at__isnull', True), ('processed_at__isnull', True), ('claimed_at__isnull', True), ('crashes__gt', 0)), fields=['available_at', 'id'], name='work_event_crashed'), models.Index(condition=models.Q(('dead_letter_at__isnull', True), ('processed_at__isnull', True), models.Q(('claimed_at__isnull', False), ('crashes__gt', 0), _connector='OR')), fields=['org', 'item_type', 'item_id', 'id'], name='work_event_held'), models.Index(condition=models.Q(('org__gt', 0)), fields=['org', 'item_type', 'item_id', 'id'], name='work_event_trail'), models.Index(condition=models.Q(('dead_letter_at__isnull', False), ('discarded_at__isnull', True)), fields=['org', '-dead_letter_at', '-id'], name='work_event_dead')],
                'constraints': [flowledger.tenancy.constraints.RowSecurity(column='org_id', name='work_event_row_security'), models.CheckConstraint(condition=models.Q(('processed_at__isnull', True), ('dead_letter_at__isnull', True), _connector='OR'), name='work_event_one_end'), models.CheckConstraint(condition=models.Q(models.Q(('claimed_at__isnull', True), ('claimed_by__isnull', True)), models.Q(('claimed_at__isnull', False), ('claimed_by__isnull', False)), _connector='OR'), name='work_event_whole_claim'), models.CheckConstraint(condition=models.Q(('discarded_at__isnull', True), models.Q(('dead_letter_at__isnull', False), models.Q(('discarded_by', ''), _negated=True), models.Q(('discard_reason', ''), _negated=True)), _connector='OR'), name='work_event_whole_discard'), models.CheckConstraint(condition=models.Q(('origin__in', ['user', 'api', 'import', 'rule', 'assistant', 'system'])), name='work_event_origin'), models.CheckConstraint(condition=models.Q(('actor_kind__in', ['user', 'api_key', 'assistant', 'rule', 'system'])), name='work_event_actor_kind'), models.CheckConstraint(condition=models.Q(('item_id__isnull', True), models.Q(('item_type', ''), _negated=True), _connector='OR'), name='work_event_item_has_type')],
            },
            managers=[
                ('all_orgs', django.db.models.manager.Manager()),
            ],
        ),
    ]
