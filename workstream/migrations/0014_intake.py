"""Ways in: sources, rejects, CSV imports, submissions and email threads; deliveries tell their channel."""

import django.db.models.deletion
import django.db.models.expressions
import django.db.models.manager
import django_fsm
import flowledger.tenancy.constraints
import flowledger.tenancy.fields
from django.conf import settings
from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('clients', '0003_conflicts_and_merges'),
        ('tenancy', '0001_initial'),
        ('workstream', '0013_funnel_of_tallies'),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        migrations.CreateModel(
            name='FormSubmission',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('created_at', models.DateTimeField(auto_now_add=True)),
                ('updated_at', models.DateTimeField(auto_now=True)),
                ('row_version', models.PositiveIntegerField(default=1, editable=False)),
                ('body', models.BinaryField()),
                ('content_type', models.CharField(max_length=100)),
                ('fields', models.JSONField(default=dict)),
                ('sender', models.CharField(blank=True, max_length=200)),
                ('email', models.CharField(max_length=254)),
                ('token_sha256', models.CharField(max_length=64)),
                ('received_at', models.DateTimeField()),
                ('expires_at', models.DateTimeField()),
                ('confirmed_at', models.DateTimeField(blank=True, null=True)),
            ],
            options={
                'abstract': False,
                'base_manager_name': 'all_orgs',
                'default_manager_name': 'all_orgs',
                'constraints': [
                    flowledger.tenancy.constraints.RowSecurity(column='org_id', name='form_submission_row_security'),
                ],
            },
            managers=[
                ('all_orgs', django.db.models.manager.Manager()),
            ],
        ),
        migrations.CreateModel(
            name='ImportChange',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('created_at', models.DateTimeField(auto_now_add=True)),
                ('updated_at', models.DateTimeField(auto_now=True)),
                ('row_version', models.PositiveIntegerField(default=1, editable=False)),
                ('row_number', models.PositiveIntegerField()),
                ('model', models.CharField(max_length=60)),
                ('item_id', models.BigIntegerField()),
                ('is_creation', models.BooleanField()),
                ('before', models.JSONField(blank=True, default=dict)),
                ('after', models.JSONField(blank=True, default=dict)),
                ('version_after', models.PositiveIntegerField()),
                ('undone_at', models.DateTimeField(blank=True, null=True)),
                ('kept_reason', models.CharField(blank=True, max_length=300)),
            ],
            options={
                'abstract': False,
                'base_manager_name': 'all_orgs',
                'default_manager_name': 'all_orgs',
                'constraints': [
                    flowledger.tenancy.constraints.RowSecurity(column='org_id', name='import_change_row_security'),
                ],
            },
            managers=[
                ('all_orgs', django.db.models.manager.Manager()),
            ],
        ),
        migrations.CreateModel(
            name='ImportRow',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('created_at', models.DateTimeField(auto_now_add=True)),
                ('updated_at', models.DateTimeField(auto_now=True)),
                ('row_version', models.PositiveIntegerField(default=1, editable=False)),
                ('number', models.PositiveIntegerField()),
                ('cells', models.JSONField()),
                ('outcome', models.CharField(choices=[('pending', 'Not yet'), ('created', 'Created'), ('updated', 'Updated'), ('unchanged', 'Nothing new'), ('rejected', 'Rejected'), ('undone', 'Undone'), ('kept', 'Kept by the undo')], default='pending', max_length=9)),
                ('item_id', models.BigIntegerField(blank=True, null=True)),
                ('errors', models.JSONField(blank=True, default=dict)),
            ],
            options={
                'abstract': False,
                'base_manager_name': 'all_orgs',
                'default_manager_name': 'all_orgs',
                'constraints': [
                    flowledger.tenancy.constraints.RowSecurity(column='org_id', name='import_row_row_security'),
                    models.CheckConstraint(condition=models.Q(('outcome__in', ['pending', 'created', 'updated', 'unchanged', 'rejected', 'undone', 'kept'])), name='import_row_outcome'),
                ],
            },
            managers=[
                ('all_orgs', django.db.models.manager.Manager()),
            ],
        ),
        migrations.CreateModel(
            name='ImportRun',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('created_at', models.DateTimeField(auto_now_add=True)),
                ('updated_at', models.DateTimeField(auto_now=True)),
                ('row_version', models.PositiveIntegerField(default=1, editable=False)),
                ('kind', models.CharField(choices=[('signals', 'Signals'), ('contacts', 'Contacts'), ('clients', 'Clients')], max_length=8)),
                ('mode', models.CharField(choices=[('create', 'Create only'), ('update', 'Update only'), ('upsert', 'Create and update')], default='create', max_length=6)),
                ('file_name', models.CharField(max_length=255)),
                ('file_sha256', models.CharField(max_length=64)),
                ('file_bytes', models.BigIntegerField()),
                ('encoding', models.CharField(max_length=40)),
                ('delimiter', models.CharField(max_length=1)),
                ('headers', models.JSONField(default=list)),
                ('mapping', models.JSONField(blank=True, default=dict)),
                ('fires_rules', models.BooleanField(default=False)),
                ('status', django_fsm.FSMField(choices=[('uploaded', 'Uploaded'), ('running', 'Running'), ('done', 'Done'), ('cancelled', 'Cancelled'), ('undoing', 'Being undone'), ('undone', 'Undone')], default='uploaded', max_length=9, protected=True)),
                ('rows_total', models.PositiveIntegerField(default=0)),
                ('created_count', models.PositiveIntegerField(default=0)),
                ('updated_count', models.PositiveIntegerField(default=0)),
                ('unchanged_count', models.PositiveIntegerField(default=0)),
                ('rejected_count', models.PositiveIntegerField(default=0)),
                ('undone_count', models.PositiveIntegerField(default=0)),
                ('kept_count', models.PositiveIntegerField(default=0)),
                ('started_at', models.DateTimeField(blank=True, editable=False, null=True)),
                ('finished_at', models.DateTimeField(blank=True, editable=False, null=True)),
                ('undo_started_at', models.DateTimeField(blank=True, editable=False, null=True)),
                ('undone_at', models.DateTimeField(blank=True, editable=False, null=True)),
                ('failure', models.CharField(blank=True, editable=False, max_length=500)),
            ],
            options={
                'abstract': False,
                'base_manager_name': 'all_orgs',
                'default_manager_name': 'all_orgs',
                'constraints': [
                    flowledger.tenancy.constraints.RowSecurity(column='org_id', name='import_run_row_security'),
                    models.CheckConstraint(condition=models.Q(('kind__in', ['signals', 'contacts', 'clients'])), name='import_run_kind'),
                    models.CheckConstraint(condition=models.Q(('mode__in', ['create', 'update', 'upsert'])), name='import_run_mode'),
                    models.CheckConstraint(condition=models.Q(('status__in', ['uploaded', 'running', 'done', 'cancelled', 'undoing', 'undone'])), name='import_run_status'),
                    models.CheckConstraint(condition=models.Q(('rows_total__gte', django.db.models.expressions.CombinedExpression(django.db.models.expressions.CombinedExpression(django.db.models.expressions.CombinedExpression(models.F('created_count'), '+', models.F('updated_count')), '+', models.F('unchanged_count')), '+', models.F('rejected_count')))), name='import_run_counts'),
                ],
                'indexes': [
                    models.Index(condition=models.Q(('status__in', ['running', 'undoing'])), fields=['id'], name='import_run_to_do'),
                ],
            },
            managers=[
                ('all_orgs', django.db.models.manager.Manager()),
            ],
        ),
        migrations.CreateModel(
            name='IntakeReject',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('created_at', models.DateTimeField(auto_now_add=True)),
                ('updated_at', models.DateTimeField(auto_now=True)),
                ('row_version', models.PositiveIntegerField(default=1, editable=False)),
                ('channel', models.CharField(choices=[('rest', 'REST, one'), ('bulk', 'REST, many'), ('csv', 'CSV import'), ('form', 'Web form'), ('email', 'Email'), ('webhook', 'Webhook'), ('hand', 'By hand')], max_length=10)),
                ('body', models.BinaryField()),
                ('content_type', models.CharField(blank=True, max_length=100)),
                ('sha256', models.CharField(max_length=64)),
                ('sender', models.CharField(blank=True, max_length=200)),
                ('received_at', models.DateTimeField()),
                ('last_received_at', models.DateTimeField()),
                ('occurrences', models.PositiveIntegerField(default=1)),
                ('code', models.CharField(max_length=40)),
                ('reason', models.CharField(max_length=500)),
                ('errors', models.JSONField(blank=True, default=dict)),
                ('fields', models.JSONField(blank=True, default=dict)),
                ('status', django_fsm.FSMField(choices=[('open', 'To be fixed'), ('replayed', 'Replayed'), ('discarded', 'Discarded')], default='open', max_length=9, protected=True)),
                ('closed_at', models.DateTimeField(blank=True, editable=False, null=True)),
                ('note', models.CharField(blank=True, max_length=500)),
            ],
            options={
                'abstract': False,
                'base_manager_name': 'all_orgs',
                'default_manager_name': 'all_orgs',
                'constraints': [
                    flowledger.tenancy.constraints.RowSecurity(column='org_id', name='intake_reject_row_security'),
                    models.CheckConstraint(condition=models.Q(('channel__in', ['rest', 'bulk', 'csv', 'form', 'email', 'webhook', 'hand'])), name='intake_reject_channel'),
                    models.CheckConstraint(condition=models.Q(('sha256__regex', '^[0-9a-f]{64}$')), name='intake_reject_sha256'),
                    models.CheckConstraint(condition=models.Q(('reason', ''), _negated=True), name='intake_reject_has_reason'),
                    models.CheckConstraint(condition=models.Q(models.Q(('closed_at__isnull', True), ('status', 'open')), models.Q(('closed_at__isnull', False), ('status__in', ['replayed', 'discarded'])), _connector='OR'), name='intake_reject_closed_or_open'),
                ],
            },
            managers=[
                ('all_orgs', django.db.models.manager.Manager()),
            ],
        ),
        migrations.CreateModel(
            name='IntakeSource',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('created_at', models.DateTimeField(auto_now_add=True)),
                ('updated_at', models.DateTimeField(auto_now=True)),
                ('row_version', models.PositiveIntegerField(default=1, editable=False)),
                ('kind', models.CharField(choices=[('web_form', 'Web form'), ('webhook', 'Webhook'), ('mail_hook', 'Mail provider'), ('mailbox', 'IMAP mailbox')], max_length=9)),
                ('name', models.CharField(max_length=100)),
                ('source_type', models.CharField(choices=[('email', 'Email'), ('web_form', 'Web form'), ('api', 'API'), ('ad', 'Advertisement'), ('call', 'Call'), ('note', 'Note'), ('import', 'Import'), ('webhook', 'Webhook')], help_text='The source type that its signals get.', max_length=10)),
                ('token', models.CharField(editable=False, max_length=60)),
                ('options', models.JSONField(blank=True, default=dict)),
                ('sealed_secret', models.TextField(blank=True, default='', editable=False)),
                ('previous_sealed_secret', models.TextField(blank=True, default='', editable=False)),
                ('previous_secret_until', models.DateTimeField(blank=True, editable=False, null=True)),
                ('is_active', models.BooleanField(default=True)),
                ('state', models.JSONField(blank=True, default=dict, editable=False)),
                ('polled_at', models.DateTimeField(blank=True, editable=False, null=True)),
                ('failed_at', models.DateTimeField(blank=True, editable=False, null=True)),
                ('failure', models.CharField(blank=True, editable=False, max_length=500)),
            ],
            options={
                'abstract': False,
                'base_manager_name': 'all_orgs',
                'default_manager_name': 'all_orgs',
                'constraints': [
                    flowledger.tenancy.constraints.RowSecurity(column='org_id', name='intake_source_row_security'),
                    models.CheckConstraint(condition=models.Q(('name', ''), _negated=True), name='intake_source_has_name'),
                    models.CheckConstraint(condition=models.Q(('token', ''), _negated=True), name='intake_source_has_token'),
                    models.CheckConstraint(condition=models.Q(('kind__in', ['web_form', 'webhook', 'mail_hook', 'mailbox'])), name='intake_source_kind'),
                    models.CheckConstraint(condition=models.Q(('source_type__in', ['email', 'web_form', 'api', 'ad', 'call', 'note', 'import', 'webhook'])), name='intake_source_type'),
                ],
                'indexes': [
                    models.Index(condition=models.Q(('is_active', True), ('kind', 'mailbox')), fields=['polled_at'], name='intake_source_to_poll'),
                ],
            },
            managers=[
                ('all_orgs', django.db.models.manager.Manager()),
            ],
        ),
        migrations.CreateModel(
            name='MailMessage',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('created_at', models.DateTimeField(auto_now_add=True)),
                ('updated_at', models.DateTimeField(auto_now=True)),
                ('row_version', models.PositiveIntegerField(default=1, editable=False)),
                ('message_id', models.CharField(max_length=250)),
                ('sent_at', models.DateTimeField(blank=True, null=True)),
            ],
            options={
                'abstract': False,
                'base_manager_name': 'all_orgs',
                'default_manager_name': 'all_orgs',
                'constraints': [
                    flowledger.tenancy.constraints.RowSecurity(column='org_id', name='mail_message_row_security'),
                    models.CheckConstraint(condition=models.Q(('message_id', ''), _negated=True), name='mail_message_has_id'),
                ],
            },
            managers=[
                ('all_orgs', django.db.models.manager.Manager()),
            ],
        ),
        migrations.CreateModel(
            name='MailThread',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('created_at', models.DateTimeField(auto_now_add=True)),
                ('updated_at', models.DateTimeField(auto_now=True)),
                ('row_version', models.PositiveIntegerField(default=1, editable=False)),
                ('subject', models.CharField(blank=True, max_length=300)),
            ],
            options={
                'abstract': False,
                'base_manager_name': 'all_orgs',
                'default_manager_name': 'all_orgs',
                'constraints': [
                    flowledger.tenancy.constraints.RowSecurity(column='org_id', name='mail_thread_row_security'),
                ],
            },
            managers=[
                ('all_orgs', django.db.models.manager.Manager()),
            ],
        ),
        migrations.AddField(
            model_name='signaldelivery',
            name='channel',
            field=models.CharField(blank=True, choices=[('rest', 'REST, one'), ('bulk', 'REST, many'), ('csv', 'CSV import'), ('form', 'Web form'), ('email', 'Email'), ('webhook', 'Webhook'), ('hand', 'By hand')], db_default='', default='', max_length=10),
        ),
        migrations.AddField(
            model_name='formsubmission',
            name='org',
            field=models.ForeignKey(db_index=False, editable=False, on_delete=django.db.models.deletion.PROTECT, related_name='+', to='tenancy.organization'),
        ),
        migrations.AddField(
            model_name='formsubmission',
            name='signal',
            field=flowledger.tenancy.fields.OrgForeignKey(blank=True, db_constraint=False, db_index=False, null=True, on_delete=django.db.models.deletion.SET_NULL, related_name='+', to='workstream.signal'),
        ),
        migrations.AddField(
            model_name='importchange',
            name='org',
            field=models.ForeignKey(db_index=False, editable=False, on_delete=django.db.models.deletion.PROTECT, related_name='+', to='tenancy.organization'),
        ),
        migrations.AddField(
            model_name='importrow',
            name='org',
            field=models.ForeignKey(db_index=False, editable=False, on_delete=django.db.models.deletion.PROTECT, related_name='+', to='tenancy.organization'),
        ),
        migrations.AddField(
            model_name='importrun',
            name='org',
            field=models.ForeignKey(db_index=False, editable=False, on_delete=django.db.models.deletion.PROTECT, related_name='+', to='tenancy.organization'),
        ),
        migrations.AddField(
            model_name='importrun',
            name='started_by',
            field=models.ForeignKey(blank=True, db_index=False, null=True, on_delete=django.db.models.deletion.SET_NULL, related_name='+', to=settings.AUTH_USER_MODEL),
        ),
        migrations.AddField(
            model_name='importrow',
            name='run',
            field=flowledger.tenancy.fields.OrgForeignKey(db_constraint=False, db_index=False, on_delete=django.db.models.deletion.CASCADE, related_name='rows', to='workstream.importrun'),
        ),
        migrations.AddField(
            model_name='importchange',
            name='run',
            field=flowledger.tenancy.fields.OrgForeignKey(db_constraint=False, db_index=False, on_delete=django.db.models.deletion.CASCADE, related_name='changes', to='workstream.importrun'),
        ),
        migrations.AddField(
            model_name='intakereject',
            name='closed_by',
            field=models.ForeignKey(blank=True, db_index=False, null=True, on_delete=django.db.models.deletion.SET_NULL, related_name='+', to=settings.AUTH_USER_MODEL),
        ),
        migrations.AddField(
            model_name='intakereject',
            name='org',
            field=models.ForeignKey(db_index=False, editable=False, on_delete=django.db.models.deletion.PROTECT, related_name='+', to='tenancy.organization'),
        ),
        migrations.AddField(
            model_name='intakereject',
            name='signal',
            field=flowledger.tenancy.fields.OrgForeignKey(blank=True, db_constraint=False, db_index=False, null=True, on_delete=django.db.models.deletion.SET_NULL, related_name='rejects', to='workstream.signal'),
        ),
        migrations.AddField(
            model_name='intakesource',
            name='created_by',
            field=models.ForeignKey(blank=True, db_index=False, null=True, on_delete=django.db.models.deletion.SET_NULL, related_name='+', to=settings.AUTH_USER_MODEL),
        ),
        migrations.AddField(
            model_name='intakesource',
            name='org',
            field=models.ForeignKey(db_index=False, editable=False, on_delete=django.db.models.deletion.PROTECT, related_name='+', to='tenancy.organization'),
        ),
        migrations.AddField(
            model_name='intakereject',
            name='source',
            field=flowledger.tenancy.fields.OrgForeignKey(blank=True, db_constraint=False, db_index=False, null=True, on_delete=django.db.models.deletion.SET_NULL, related_name='rejects', to='workstream.intakesource'),
        ),
        migrations.AddField(
            model_name='formsubmission',
            name='source',
            field=flowledger.tenancy.fields.OrgForeignKey(db_constraint=False, db_index=False, on_delete=django.db.models.deletion.CASCADE, related_name='submissions', to='workstream.intakesource'),
        ),
        migrations.AddField(
            model_name='signaldelivery',
            name='source',
            field=flowledger.tenancy.fields.OrgForeignKey(blank=True, db_constraint=False, db_index=False, null=True, on_delete=django.db.models.deletion.SET_NULL, related_name='deliveries', to='workstream.intakesource'),
        ),
        migrations.AddField(
            model_name='mailmessage',
            name='org',
            field=models.ForeignKey(db_index=False, editable=False, on_delete=django.db.models.deletion.PROTECT, related_name='+', to='tenancy.organization'),
        ),
        migrations.AddField(
            model_name='mailmessage',
            name='signal',
            field=flowledger.tenancy.fields.OrgForeignKey(blank=True, db_constraint=False, db_index=False, null=True, on_delete=django.db.models.deletion.CASCADE, related_name='mail_messages', to='workstream.signal'),
        ),
        migrations.AddField(
            model_name='mailthread',
            name='org',
            field=models.ForeignKey(db_index=False, editable=False, on_delete=django.db.models.deletion.PROTECT, related_name='+', to='tenancy.organization'),
        ),
        migrations.AddField(
            model_name='mailmessage',
            name='thread',
            field=flowledger.tenancy.fields.OrgForeignKey(db_constraint=False, db_index=False, on_delete=django.db.models.deletion.CASCADE, related_name='messages', to='workstream.mailthread'),
        ),
        migrations.AddIndex(
            model_name='importrun',
            index=models.Index(fields=['org', '-id'], name='import_run_list'),
        ),
        migrations.AddConstraint(
            model_name='importrun',
            constraint=models.UniqueConstraint(fields=('org', 'id'), name='import_run_org_id'),
        ),
        migrations.AddIndex(
            model_name='importrow',
            index=models.Index(fields=['org', 'run', 'outcome', 'number'], name='import_row_by_outcome'),
        ),
        migrations.AddConstraint(
            model_name='importrow',
            constraint=models.UniqueConstraint(fields=('org', 'id'), name='import_row_org_id'),
        ),
        migrations.AddConstraint(
            model_name='importrow',
            constraint=flowledger.tenancy.constraints.OrgForeignKeyConstraint(field='run', name='import_row_run_same_org', to='workstream.ImportRun'),
        ),
        migrations.AddConstraint(
            model_name='importrow',
            constraint=models.UniqueConstraint(fields=('org', 'run', 'number'), name='import_row_number'),
        ),
        migrations.AddIndex(
            model_name='importchange',
            index=models.Index(condition=models.Q(('undone_at__isnull', True)), fields=['org', 'run', 'model', 'item_id', 'id'], name='import_change_to_undo'),
        ),
        migrations.AddIndex(
            model_name='importchange',
            index=models.Index(condition=models.Q(('kept_reason', ''), _negated=True), fields=['org', 'run', 'row_number', 'id'], name='import_change_kept'),
        ),
        migrations.AddConstraint(
            model_name='importchange',
            constraint=models.UniqueConstraint(fields=('org', 'id'), name='import_change_org_id'),
        ),
        migrations.AddConstraint(
            model_name='importchange',
            constraint=flowledger.tenancy.constraints.OrgForeignKeyConstraint(field='run', name='import_change_run_same_org', to='workstream.ImportRun'),
        ),
        migrations.AddConstraint(
            model_name='intakesource',
            constraint=models.UniqueConstraint(fields=('org', 'id'), name='intake_source_org_id'),
        ),
        migrations.AddConstraint(
            model_name='intakesource',
            constraint=models.UniqueConstraint(fields=('org', 'token'), name='intake_source_token'),
        ),
        migrations.AddConstraint(
            model_name='intakesource',
            constraint=models.UniqueConstraint(fields=('org', 'name'), name='intake_source_name'),
        ),
        migrations.AddIndex(
            model_name='intakereject',
            index=models.Index(fields=['org', 'status', '-last_received_at', '-id'], name='intake_reject_queue'),
        ),
        migrations.AddIndex(
            model_name='intakereject',
            index=models.Index(fields=['org', 'channel', 'source', '-last_received_at'], name='intake_reject_of_source'),
        ),
        migrations.AddConstraint(
            model_name='intakereject',
            constraint=models.UniqueConstraint(fields=('org', 'id'), name='intake_reject_org_id'),
        ),
        migrations.AddConstraint(
            model_name='intakereject',
            constraint=flowledger.tenancy.constraints.OrgForeignKeyConstraint(field='source', name='intake_reject_source_same_org', to='workstream.IntakeSource'),
        ),
        migrations.AddConstraint(
            model_name='intakereject',
            constraint=flowledger.tenancy.constraints.OrgForeignKeyConstraint(field='signal', name='intake_reject_signal_same_org', to='workstream.Signal'),
        ),
        migrations.AddConstraint(
            model_name='intakereject',
            constraint=models.UniqueConstraint(condition=models.Q(('status', 'open')), fields=('org', 'channel', 'source', 'sha256'), name='intake_reject_open_once', nulls_distinct=False),
        ),
        migrations.AddIndex(
            model_name='formsubmission',
            index=models.Index(fields=['org', 'source', '-received_at'], name='form_submission_of_source'),
        ),
        migrations.AddConstraint(
            model_name='formsubmission',
            constraint=models.UniqueConstraint(fields=('org', 'id'), name='form_submission_org_id'),
        ),
        migrations.AddConstraint(
            model_name='formsubmission',
            constraint=flowledger.tenancy.constraints.OrgForeignKeyConstraint(field='source', name='form_submission_source_same_org', to='workstream.IntakeSource'),
        ),
        migrations.AddConstraint(
            model_name='formsubmission',
            constraint=flowledger.tenancy.constraints.OrgForeignKeyConstraint(field='signal', name='form_submission_signal_same_org', to='workstream.Signal'),
        ),
        migrations.AddConstraint(
            model_name='formsubmission',
            constraint=models.UniqueConstraint(fields=('org', 'token_sha256'), name='form_submission_token'),
        ),
        migrations.AddConstraint(
            model_name='mailthread',
            constraint=models.UniqueConstraint(fields=('org', 'id'), name='mail_thread_org_id'),
        ),
        migrations.AddIndex(
            model_name='mailmessage',
            index=models.Index(fields=['org', 'thread', 'sent_at', 'id'], name='mail_message_of_thread'),
        ),
        migrations.AddIndex(
            model_name='mailmessage',
            index=models.Index(condition=models.Q(('signal__isnull', False)), fields=['org', 'signal'], name='mail_message_of_signal'),
        ),
        migrations.AddConstraint(
            model_name='mailmessage',
            constraint=models.UniqueConstraint(fields=('org', 'id'), name='mail_message_org_id'),
        ),
        migrations.AddConstraint(
            model_name='mailmessage',
            constraint=flowledger.tenancy.constraints.OrgForeignKeyConstraint(field='thread', name='mail_message_thread_same_org', to='workstream.MailThread'),
        ),
        migrations.AddConstraint(
            model_name='mailmessage',
            constraint=flowledger.tenancy.constraints.OrgForeignKeyConstraint(field='signal', name='mail_message_signal_same_org', to='workstream.Signal'),
        ),
        migrations.AddConstraint(
            model_name='mailmessage',
            constraint=models.UniqueConstraint(fields=('org', 'message_id'), name='mail_message_once'),
        ),
    ]
