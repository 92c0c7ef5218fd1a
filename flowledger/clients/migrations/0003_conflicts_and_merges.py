"""Pairs of contacts or clients that want a judgement, and merges with what undoing them needs."""

import django.db.models.deletion
import django.db.models.lookups
import django.db.models.manager
import flowledger.tenancy.constraints
import flowledger.tenancy.fields
from django.conf import settings
from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('clients', '0002_search'),
        ('tenancy', '0001_initial'),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        migrations.CreateModel(
            name='MergeRecord',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('created_at', models.DateTimeField(auto_now_add=True)),
                ('updated_at', models.DateTimeField(auto_now=True)),
                ('row_version', models.PositiveIntegerField(default=1, editable=False)),
                ('entity_type', models.CharField(choices=[('contact', 'Contact'), ('client', 'Client')], max_length=7)),
                ('survivor_id', models.BigIntegerField()),
                ('loser_id', models.BigIntegerField()),
                ('choices', models.JSONField(blank=True, default=dict)),
                ('survivor_before', models.JSONField()),
                ('loser_before', models.JSONField()),
                ('survivor_after', models.JSONField()),
                ('moved', models.JSONField(blank=True, default=dict)),
                ('left', models.JSONField(blank=True, default=dict)),
                ('merged_at', models.DateTimeField()),
                ('merged_by_label', models.CharField(blank=True, max_length=200)),
                ('reason', models.CharField(blank=True, max_length=500)),
                ('undone_at', models.DateTimeField(blank=True, null=True)),
                ('undo_report', models.JSONField(blank=True, default=dict)),
                ('merged_by', models.ForeignKey(blank=True, db_index=False, null=True, on_delete=django.db.models.deletion.SET_NULL, related_name='+', to=settings.AUTH_USER_MODEL)),
                ('org', models.ForeignKey(db_index=False, editable=False, on_delete=django.db.models.deletion.PROTECT, related_name='+', to='tenancy.organization')),
                ('undone_by', models.ForeignKey(blank=True, db_index=False, null=True, on_delete=django.db.models.deletion.SET_NULL, related_name='+', to=settings.AUTH_USER_MODEL)),
            ],
            options={
                'abstract': False,
                'base_manager_name': 'all_orgs',
                'default_manager_name': 'all_orgs',
                'constraints': [
                    flowledger.tenancy.constraints.RowSecurity(column='org_id', name='merge_record_row_security'),
                    models.UniqueConstraint(fields=('org', 'id'), name='merge_record_org_id'),
                    models.CheckConstraint(condition=models.Q(('entity_type__in', ['contact', 'client'])), name='merge_record_entity_type'),
                    models.CheckConstraint(condition=models.Q(('survivor_id', models.F('loser_id')), _negated=True), name='merge_record_two'),
                    models.CheckConstraint(condition=django.db.models.lookups.Exact(models.Func(models.F('choices'), function='jsonb_typeof', output_field=models.TextField()), models.Value('object')), name='merge_record_choices_object'),
                    models.CheckConstraint(condition=django.db.models.lookups.Exact(models.Func(models.F('survivor_before'), function='jsonb_typeof', output_field=models.TextField()), models.Value('object')), name='merge_record_survivor_before_object'),
                    models.CheckConstraint(condition=django.db.models.lookups.Exact(models.Func(models.F('loser_before'), function='jsonb_typeof', output_field=models.TextField()), models.Value('object')), name='merge_record_loser_before_object'),
                    models.CheckConstraint(condition=django.db.models.lookups.Exact(models.Func(models.F('survivor_after'), function='jsonb_typeof', output_field=models.TextField()), models.Value('object')), name='merge_record_survivor_after_object'),
                    models.CheckConstraint(condition=django.db.models.lookups.Exact(models.Func(models.F('moved'), function='jsonb_typeof', output_field=models.TextField()), models.Value('object')), name='merge_record_moved_object'),
                    models.CheckConstraint(condition=django.db.models.lookups.Exact(models.Func(models.F('left'), function='jsonb_typeof', output_field=models.TextField()), models.Value('object')), name='merge_record_left_object'),
                    models.CheckConstraint(condition=django.db.models.lookups.Exact(models.Func(models.F('undo_report'), function='jsonb_typeof', output_field=models.TextField()), models.Value('object')), name='merge_record_undo_report_object'),
                    models.UniqueConstraint(condition=models.Q(('undone_at__isnull', True)), fields=('org', 'entity_type', 'loser_id'), name='merge_record_standing'),
                ],
                'indexes': [
                    models.Index(fields=['org', '-merged_at', '-id'], name='merge_record_list'),
                    models.Index(fields=['org', 'entity_type', 'survivor_id'], name='merge_record_of_survivor'),
                ],
            },
            managers=[
                ('all_orgs', django.db.models.manager.Manager()),
            ],
        ),
        migrations.CreateModel(
            name='MergedRow',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('created_at', models.DateTimeField(auto_now_add=True)),
                ('updated_at', models.DateTimeField(auto_now=True)),
                ('row_version', models.PositiveIntegerField(default=1, editable=False)),
                ('model', models.CharField(max_length=100)),
                ('field', models.CharField(max_length=60)),
                ('row_id', models.BigIntegerField()),
                ('version_before', models.PositiveIntegerField()),
                ('version_after', models.PositiveIntegerField()),
                ('updated_before', models.DateTimeField()),
                ('org', models.ForeignKey(db_index=False, editable=False, on_delete=django.db.models.deletion.PROTECT, related_name='+', to='tenancy.organization')),
                ('merge', flowledger.tenancy.fields.OrgForeignKey(db_constraint=False, db_index=False, on_delete=django.db.models.deletion.CASCADE, related_name='rows', to='clients.mergerecord')),
            ],
            options={
                'abstract': False,
                'base_manager_name': 'all_orgs',
                'default_manager_name': 'all_orgs',
                'constraints': [
                    flowledger.tenancy.constraints.RowSecurity(column='org_id', name='merged_row_row_security'),
                    models.UniqueConstraint(fields=('org', 'id'), name='merged_row_org_id'),
                    flowledger.tenancy.constraints.OrgForeignKeyConstraint(field='merge', name='merged_row_merge_same_org', to='clients.MergeRecord'),
                    models.UniqueConstraint(fields=('org', 'merge', 'model', 'field', 'row_id'), name='merged_row_once'),
                ],
            },
            managers=[
                ('all_orgs', django.db.models.manager.Manager()),
            ],
        ),
        migrations.CreateModel(
            name='IdentityConflict',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('created_at', models.DateTimeField(auto_now_add=True)),
                ('updated_at', models.DateTimeField(auto_now=True)),
                ('row_version', models.PositiveIntegerField(default=1, editable=False)),
                ('kind', models.CharField(choices=[('conflict', 'Keys contradict'), ('suggestion', 'May be the same')], max_length=10)),
                ('score', models.DecimalField(decimal_places=2, max_digits=3)),
                ('explanation', models.JSONField(blank=True, default=dict)),
                ('occurrences', models.PositiveIntegerField(default=1)),
                ('first_seen', models.DateTimeField()),
                ('last_seen', models.DateTimeField()),
                ('status', models.CharField(choices=[('open', 'To be decided'), ('merged', 'Merged'), ('kept_apart', 'Not the same')], default='open', max_length=10)),
                ('resolved_at', models.DateTimeField(blank=True, editable=False, null=True)),
                ('note', models.CharField(blank=True, max_length=500)),
                ('client', flowledger.tenancy.fields.OrgForeignKey(blank=True, db_constraint=False, db_index=False, null=True, on_delete=django.db.models.deletion.CASCADE, related_name='+', to='clients.client')),
                ('contact', flowledger.tenancy.fields.OrgForeignKey(blank=True, db_constraint=False, db_index=False, null=True, on_delete=django.db.models.deletion.CASCADE, related_name='+', to='clients.contact')),
                ('org', models.ForeignKey(db_index=False, editable=False, on_delete=django.db.models.deletion.PROTECT, related_name='+', to='tenancy.organization')),
                ('other_client', flowledger.tenancy.fields.OrgForeignKey(blank=True, db_constraint=False, db_index=False, null=True, on_delete=django.db.models.deletion.CASCADE, related_name='+', to='clients.client')),
                ('other_contact', flowledger.tenancy.fields.OrgForeignKey(blank=True, db_constraint=False, db_index=False, null=True, on_delete=django.db.models.deletion.CASCADE, related_name='+', to='clients.contact')),
                ('resolved_by', models.ForeignKey(blank=True, db_index=False, null=True, on_delete=django.db.models.deletion.SET_NULL, related_name='+', to=settings.AUTH_USER_MODEL)),
            ],
            options={
                'abstract': False,
                'base_manager_name': 'all_orgs',
                'default_manager_name': 'all_orgs',
                'indexes': [models.Index(fields=['org', 'status', '-last_seen', '-id'], name='identity_conflict_queue'), models.Index(condition=models.Q(('other_contact__isnull', False)), fields=['org', 'other_contact'], name='identity_conflict_contact'), models.Index(condition=models.Q(('other_client__isnull', False)), fields=['org', 'other_client'], name='identity_conflict_client')],
                'constraints': [flowledger.tenancy.constraints.RowSecurity(column='org_id', name='identity_conflict_row_security'), models.UniqueConstraint(fields=('org', 'id'), name='identity_conflict_org_id'), flowledger.tenancy.constraints.OrgForeignKeyConstraint(field='contact', name='identity_conflict_contact_same_org', to='clients.Contact'), flowledger.tenancy.constraints.OrgForeignKeyConstraint(field='other_contact', name='identity_conflict_other_contact_same_org', to='clients.Contact'), flowledger.tenancy.constraints.OrgForeignKeyConstraint(field='client', name='identity_conflict_client_same_org', to='clients.Client'), flowledger.tenancy.constraints.OrgForeignKeyConstraint(field='other_client', name='identity_conflict_other_client_same_org', to='clients.Client'), models.UniqueConstraint(condition=models.Q(('contact__isnull', False)), fields=('org', 'contact', 'other_contact'), name='identity_conflict_contacts'), models.UniqueConstraint(condition=models.Q(('client__isnull', False)), fields=('org', 'client', 'other_client'), name='identity_conflict_clients'), models.CheckConstraint(condition=models.Q(models.Q(('client__isnull', True), ('contact__isnull', False), ('contact__lt', models.F('other_contact')), ('other_client__isnull', True), ('other_contact__isnull', False)), models.Q(('client__isnull', False), ('client__lt', models.F('other_client')), ('contact__isnull', True), ('other_client__isnull', False), ('other_contact__isnull', True)), _connector='OR'), name='identity_conflict_one_pair'), models.CheckConstraint(condition=models.Q(('kind__in', ['conflict', 'suggestion'])), name='identity_conflict_kind'), models.CheckConstraint(condition=models.Q(('score__gte', 0), ('score__lte', 1)), name='identity_conflict_score'), models.CheckConstraint(condition=django.db.models.lookups.Exact(models.Func(models.F('explanation'), function='jsonb_typeof', output_field=models.TextField()), models.Value('object')), name='identity_conflict_explanation_object'), models.CheckConstraint(condition=models.Q(models.Q(('resolved_at__isnull', True), ('status', 'open')), models.Q(('resolved_at__isnull', False), ('status__in', ['merged', 'kept_apart'])), _connector='OR'), name='identity_conflict_resolved_or_open')],
            },
            managers=[
                ('all_orgs', django.db.models.manager.Manager()),
            ],
        ),
    ]
