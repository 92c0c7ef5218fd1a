"""The tables of spotlight."""

import django.db.models.deletion
import django.db.models.manager
import django_fsm
import flowledger.tenancy.constraints
import flowledger.tenancy.fields
from django.conf import settings
from django.db import migrations, models


class Migration(migrations.Migration):

    initial = True

    dependencies = [
        ('clients', '0005_matching_indexes'),
        ('tenancy', '0001_initial'),
        ('workstream', '0015_intake_indexes'),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        migrations.CreateModel(
            name='ScoreSummary',
            fields=[
                ('pk', models.CompositePrimaryKey('org_id', 'spotlight_id', 'item_type', blank=True, editable=False, primary_key=True, serialize=False)),
                ('spotlight_id', models.BigIntegerField()),
                ('spotlight_name', models.CharField(max_length=120)),
                ('active', models.BooleanField()),
                ('version', models.PositiveIntegerField()),
                ('item_type', models.CharField(max_length=10)),
                ('items', models.BigIntegerField()),
                ('high_match', models.BigIntegerField()),
                ('medium_match', models.BigIntegerField()),
                ('low_match', models.BigIntegerField()),
                ('no_match', models.BigIntegerField()),
                ('match_rate_percent', models.DecimalField(decimal_places=1, max_digits=4, null=True)),
                ('mean_score', models.DecimalField(decimal_places=4, max_digits=5, null=True)),
                ('mean_coverage', models.DecimalField(decimal_places=4, max_digits=5, null=True)),
                ('outdated', models.BigIntegerField()),
                ('overridden', models.BigIntegerField()),
                ('last_evaluated_at', models.DateTimeField(null=True)),
            ],
            options={
                'db_table': 'v_spotlight_score_summary',
                'abstract': False,
                'managed': False,
                'base_manager_name': 'all_orgs',
                'default_manager_name': 'all_orgs',
            },
            managers=[
                ('all_orgs', django.db.models.manager.Manager()),
            ],
        ),
        migrations.CreateModel(
            name='Spotlight',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('created_at', models.DateTimeField(auto_now_add=True)),
                ('updated_at', models.DateTimeField(auto_now=True)),
                ('row_version', models.PositiveIntegerField(default=1, editable=False)),
                ('name', models.CharField(max_length=120)),
                ('domain', models.CharField(max_length=60)),
                ('description', models.TextField(blank=True, max_length=2000)),
                ('active', models.BooleanField(default=True)),
                ('version', models.PositiveIntegerField(default=1, editable=False)),
                ('org', models.ForeignKey(db_index=False, editable=False, on_delete=django.db.models.deletion.PROTECT, related_name='+', to='tenancy.organization')),
            ],
            options={
                'abstract': False,
                'base_manager_name': 'all_orgs',
                'default_manager_name': 'all_orgs',
            },
            managers=[
                ('all_orgs', django.db.models.manager.Manager()),
            ],
        ),
        migrations.CreateModel(
            name='ScoreOverride',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('created_at', models.DateTimeField(auto_now_add=True)),
                ('updated_at', models.DateTimeField(auto_now=True)),
                ('row_version', models.PositiveIntegerField(default=1, editable=False)),
                ('match_score', models.DecimalField(decimal_places=4, max_digits=5)),
                ('recommendation', models.CharField(choices=[('high_match', 'High match'), ('medium_match', 'Medium match'), ('low_match', 'Low match'), ('no_match', 'No match')], max_length=12)),
                ('reason', models.CharField(max_length=500)),
                ('set_at', models.DateTimeField()),
                ('set_by_label', models.CharField(blank=True, max_length=200)),
                ('expires_at', models.DateTimeField()),
                ('ended_at', models.DateTimeField(blank=True, null=True)),
                ('ended_by_label', models.CharField(blank=True, max_length=200)),
                ('candidate', flowledger.tenancy.fields.OrgForeignKey(blank=True, db_constraint=False, db_index=False, null=True, on_delete=django.db.models.deletion.CASCADE, related_name='+', to='workstream.candidate')),
                ('org', models.ForeignKey(db_index=False, editable=False, on_delete=django.db.models.deletion.PROTECT, related_name='+', to='tenancy.organization')),
                ('set_by', models.ForeignKey(blank=True, db_index=False, null=True, on_delete=django.db.models.deletion.SET_NULL, related_name='+', to=settings.AUTH_USER_MODEL)),
                ('signal', flowledger.tenancy.fields.OrgForeignKey(blank=True, db_constraint=False, db_index=False, null=True, on_delete=django.db.models.deletion.CASCADE, related_name='+', to='workstream.signal')),
                ('spotlight', flowledger.tenancy.fields.OrgForeignKey(db_constraint=False, db_index=False, on_delete=django.db.models.deletion.CASCADE, related_name='overrides', to='spotlight.spotlight')),
            ],
            options={
                'abstract': False,
                'base_manager_name': 'all_orgs',
                'default_manager_name': 'all_orgs',
            },
            managers=[
                ('all_orgs', django.db.models.manager.Manager()),
            ],
        ),
        migrations.CreateModel(
            name='RoutedSignal',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('created_at', models.DateTimeField(auto_now_add=True)),
                ('updated_at', models.DateTimeField(auto_now=True)),
                ('row_version', models.PositiveIntegerField(default=1, editable=False)),
                ('recommendation', models.CharField(choices=[('high_match', 'High match'), ('medium_match', 'Medium match'), ('low_match', 'Low match'), ('no_match', 'No match')], max_length=12)),
                ('match_score', models.DecimalField(decimal_places=4, max_digits=5)),
                ('action', models.CharField(choices=[('candidate', 'Open a candidate, first in line'), ('nurture', 'Open a candidate in nurture'), ('review', 'Put it into the review queue'), ('none', 'Leave it as a signal')], max_length=9)),
                ('review_status', django_fsm.FSMField(choices=[('settled', 'Settled by its rule'), ('waiting', 'Waiting for review'), ('accepted', 'Accepted'), ('dismissed', 'Dismissed')], default='settled', max_length=9, protected=True)),
                ('reason', models.CharField(blank=True, max_length=500)),
                ('routed_at', models.DateTimeField()),
                ('decided_at', models.DateTimeField(blank=True, editable=False, null=True)),
                ('decision_note', models.CharField(blank=True, editable=False, max_length=500)),
                ('candidate', flowledger.tenancy.fields.OrgForeignKey(blank=True, db_constraint=False, db_index=False, null=True, on_delete=django.db.models.deletion.SET_NULL, related_name='+', to='workstream.candidate')),
                ('decided_by', models.ForeignKey(blank=True, db_index=False, null=True, on_delete=django.db.models.deletion.SET_NULL, related_name='+', to=settings.AUTH_USER_MODEL)),
                ('org', models.ForeignKey(db_index=False, editable=False, on_delete=django.db.models.deletion.PROTECT, related_name='+', to='tenancy.organization')),
                ('signal', flowledger.tenancy.fields.OrgForeignKey(db_constraint=False, db_index=False, on_delete=django.db.models.deletion.CASCADE, related_name='+', to='workstream.signal')),
                ('spotlight', flowledger.tenancy.fields.OrgForeignKey(blank=True, db_constraint=False, db_index=False, null=True, on_delete=django.db.models.deletion.SET_NULL, related_name='+', to='spotlight.spotlight')),
            ],
            options={
                'abstract': False,
                'base_manager_name': 'all_orgs',
                'default_manager_name': 'all_orgs',
            },
            managers=[
                ('all_orgs', django.db.models.manager.Manager()),
            ],
        ),
        migrations.CreateModel(
            name='RescoreRun',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('created_at', models.DateTimeField(auto_now_add=True)),
                ('updated_at', models.DateTimeField(auto_now=True)),
                ('row_version', models.PositiveIntegerField(default=1, editable=False)),
                ('cause', models.CharField(choices=[('new', 'New item'), ('item', 'The item changed'), ('client', 'Its client or contact changed'), ('enrichment', 'Enrichment'), ('profile', 'The profile changed'), ('override', 'Set by hand'), ('manual', 'Asked for')], max_length=10)),
                ('reason', models.CharField(blank=True, max_length=500)),
                ('status', django_fsm.FSMField(choices=[('running', 'Running'), ('done', 'Done'), ('superseded', 'Superseded by a newer one'), ('cancelled', 'Cancelled')], default='running', max_length=10, protected=True)),
                ('item_type', models.CharField(choices=[('signal', 'Signals'), ('candidate', 'Candidates')], default='signal', max_length=9)),
                ('cursor', models.BigIntegerField(default=0)),
                ('fires_rules', models.BooleanField(default=True)),
                ('items_total', models.PositiveIntegerField(default=0)),
                ('done_count', models.PositiveIntegerField(default=0)),
                ('changed_count', models.PositiveIntegerField(default=0)),
                ('started_at', models.DateTimeField()),
                ('finished_at', models.DateTimeField(blank=True, editable=False, null=True)),
                ('failure', models.CharField(blank=True, editable=False, max_length=500)),
                ('client', flowledger.tenancy.fields.OrgForeignKey(blank=True, db_constraint=False, db_index=False, null=True, on_delete=django.db.models.deletion.CASCADE, related_name='+', to='clients.client')),
                ('contact', flowledger.tenancy.fields.OrgForeignKey(blank=True, db_constraint=False, db_index=False, null=True, on_delete=django.db.models.deletion.CASCADE, related_name='+', to='clients.contact')),
                ('org', models.ForeignKey(db_index=False, editable=False, on_delete=django.db.models.deletion.PROTECT, related_name='+', to='tenancy.organization')),
                ('started_by', models.ForeignKey(blank=True, db_index=False, null=True, on_delete=django.db.models.deletion.SET_NULL, related_name='+', to=settings.AUTH_USER_MODEL)),
                ('spotlight', flowledger.tenancy.fields.OrgForeignKey(blank=True, db_constraint=False, db_index=False, null=True, on_delete=django.db.models.deletion.CASCADE, related_name='rescores', to='spotlight.spotlight')),
            ],
            options={
                'abstract': False,
                'base_manager_name': 'all_orgs',
                'default_manager_name': 'all_orgs',
            },
            managers=[
                ('all_orgs', django.db.models.manager.Manager()),
            ],
        ),
        migrations.CreateModel(
            name='MatchAlert',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('created_at', models.DateTimeField(auto_now_add=True)),
                ('updated_at', models.DateTimeField(auto_now=True)),
                ('row_version', models.PositiveIntegerField(default=1, editable=False)),
                ('match_rate', models.DecimalField(decimal_places=4, max_digits=5)),
                ('least_rate', models.DecimalField(decimal_places=4, max_digits=5)),
                ('signals', models.PositiveIntegerField()),
                ('window_days', models.PositiveSmallIntegerField()),
                ('began_at', models.DateTimeField()),
                ('ended_at', models.DateTimeField(blank=True, null=True)),
                ('org', models.ForeignKey(db_index=False, editable=False, on_delete=django.db.models.deletion.PROTECT, related_name='+', to='tenancy.organization')),
                ('spotlight', flowledger.tenancy.fields.OrgForeignKey(db_constraint=False, db_index=False, on_delete=django.db.models.deletion.CASCADE, related_name='match_alerts', to='spotlight.spotlight')),
            ],
            options={
                'abstract': False,
                'base_manager_name': 'all_orgs',
                'default_manager_name': 'all_orgs',
            },
            managers=[
                ('all_orgs', django.db.models.manager.Manager()),
            ],
        ),
        migrations.CreateModel(
            name='SpotlightField',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('created_at', models.DateTimeField(auto_now_add=True)),
                ('updated_at', models.DateTimeField(auto_now=True)),
                ('row_version', models.PositiveIntegerField(default=1, editable=False)),
                ('domain', models.CharField(max_length=60)),
                ('field_name', models.CharField(max_length=60)),
                ('label', models.CharField(blank=True, max_length=120)),
                ('field_type', models.CharField(choices=[('text', 'Text'), ('number', 'Number'), ('boolean', 'Yes or no'), ('enum', 'One of a list'), ('date', 'Date')], max_length=7)),
                ('is_required', models.BooleanField(default=False)),
                ('display_order', models.PositiveIntegerField(default=0)),
                ('enum_values', models.JSONField(blank=True, default=list)),
                ('aliases', models.JSONField(blank=True, default=list)),
                ('org', models.ForeignKey(db_index=False, editable=False, on_delete=django.db.models.deletion.PROTECT, related_name='+', to='tenancy.organization')),
            ],
            options={
                'abstract': False,
                'base_manager_name': 'all_orgs',
                'default_manager_name': 'all_orgs',
            },
            managers=[
                ('all_orgs', django.db.models.manager.Manager()),
            ],
        ),
        migrations.CreateModel(
            name='SpotlightCriterion',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('created_at', models.DateTimeField(auto_now_add=True)),
                ('updated_at', models.DateTimeField(auto_now=True)),
                ('row_version', models.PositiveIntegerField(default=1, editable=False)),
                ('operator', models.CharField(choices=[('=', 'is'), ('!=', 'is not'), ('>', 'above'), ('>=', 'at least'), ('<', 'below'), ('<=', 'at most'), ('between', 'between'), ('in', 'one of'), ('contains', 'contains'), ('matches', 'matches the pattern')], max_length=8)),
                ('value', models.JSONField()),
                ('weight', models.DecimalField(decimal_places=3, max_digits=7)),
                ('required', models.BooleanField(default=False)),
                ('position', models.PositiveIntegerField(default=0)),
                ('org', models.ForeignKey(db_index=False, editable=False, on_delete=django.db.models.deletion.PROTECT, related_name='+', to='tenancy.organization')),
                ('spotlight', flowledger.tenancy.fields.OrgForeignKey(db_constraint=False, db_index=False, on_delete=django.db.models.deletion.CASCADE, related_name='criteria', to='spotlight.spotlight')),
                ('field', flowledger.tenancy.fields.OrgForeignKey(db_constraint=False, db_index=False, on_delete=django.db.models.deletion.PROTECT, related_name='criteria', to='spotlight.spotlightfield')),
            ],
            options={
                'verbose_name_plural': 'spotlight criteria',
                'abstract': False,
                'base_manager_name': 'all_orgs',
                'default_manager_name': 'all_orgs',
            },
            managers=[
                ('all_orgs', django.db.models.manager.Manager()),
            ],
        ),
        migrations.CreateModel(
            name='FieldRule',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('created_at', models.DateTimeField(auto_now_add=True)),
                ('updated_at', models.DateTimeField(auto_now=True)),
                ('row_version', models.PositiveIntegerField(default=1, editable=False)),
                ('operator', models.CharField(choices=[('=', 'is'), ('!=', 'is not'), ('>', 'above'), ('>=', 'at least'), ('<', 'below'), ('<=', 'at most'), ('between', 'between'), ('in', 'one of'), ('contains', 'contains'), ('matches', 'matches the pattern')], max_length=8)),
                ('condition_value', models.JSONField()),
                ('effect', models.CharField(choices=[('show', 'Show'), ('require', 'Require'), ('hide', 'Hide')], max_length=7)),
                ('org', models.ForeignKey(db_index=False, editable=False, on_delete=django.db.models.deletion.PROTECT, related_name='+', to='tenancy.organization')),
                ('condition_field', flowledger.tenancy.fields.OrgForeignKey(db_constraint=False, db_index=False, on_delete=django.db.models.deletion.CASCADE, related_name='conditions', to='spotlight.spotlightfield')),
                ('field', flowledger.tenancy.fields.OrgForeignKey(db_constraint=False, db_index=False, on_delete=django.db.models.deletion.CASCADE, related_name='rules', to='spotlight.spotlightfield')),
            ],
            options={
                'abstract': False,
                'base_manager_name': 'all_orgs',
                'default_manager_name': 'all_orgs',
            },
            managers=[
                ('all_orgs', django.db.models.manager.Manager()),
            ],
        ),
        migrations.CreateModel(
            name='SpotlightFit',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('created_at', models.DateTimeField(auto_now_add=True)),
                ('updated_at', models.DateTimeField(auto_now=True)),
                ('row_version', models.PositiveIntegerField(default=1, editable=False)),
                ('match_score', models.DecimalField(decimal_places=4, max_digits=5)),
                ('recommendation', models.CharField(choices=[('high_match', 'High match'), ('medium_match', 'Medium match'), ('low_match', 'Low match'), ('no_match', 'No match')], max_length=12)),
                ('coverage', models.DecimalField(decimal_places=4, max_digits=5)),
                ('is_override', models.BooleanField(default=False)),
                ('evaluated_at', models.DateTimeField()),
                ('candidate', flowledger.tenancy.fields.OrgForeignKey(blank=True, db_constraint=False, db_index=False, null=True, on_delete=django.db.models.deletion.CASCADE, related_name='+', to='workstream.candidate')),
                ('org', models.ForeignKey(db_index=False, editable=False, on_delete=django.db.models.deletion.PROTECT, related_name='+', to='tenancy.organization')),
                ('signal', flowledger.tenancy.fields.OrgForeignKey(blank=True, db_constraint=False, db_index=False, null=True, on_delete=django.db.models.deletion.CASCADE, related_name='+', to='workstream.signal')),
                ('spotlight', flowledger.tenancy.fields.OrgForeignKey(db_constraint=False, db_index=False, on_delete=django.db.models.deletion.CASCADE, related_name='+', to='spotlight.spotlight')),
            ],
            options={
                'abstract': False,
                'base_manager_name': 'all_orgs',
                'default_manager_name': 'all_orgs',
            },
            managers=[
                ('all_orgs', django.db.models.manager.Manager()),
            ],
        ),
        migrations.CreateModel(
            name='SpotlightScore',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('created_at', models.DateTimeField(auto_now_add=True)),
                ('updated_at', models.DateTimeField(auto_now=True)),
                ('row_version', models.PositiveIntegerField(default=1, editable=False)),
                ('spotlight_version', models.PositiveIntegerField()),
                ('match_score', models.DecimalField(decimal_places=4, max_digits=5)),
                ('recommendation', models.CharField(choices=[('high_match', 'High match'), ('medium_match', 'Medium match'), ('low_match', 'Low match'), ('no_match', 'No match')], max_length=12)),
                ('coverage', models.DecimalField(decimal_places=4, max_digits=5)),
                ('matched_fields', models.PositiveSmallIntegerField()),
                ('total_fields', models.PositiveSmallIntegerField()),
                ('components', models.JSONField()),
                ('algorithm_version', models.CharField(max_length=20)),
                ('evaluated_at', models.DateTimeField()),
                ('candidate', flowledger.tenancy.fields.OrgForeignKey(blank=True, db_constraint=False, db_index=False, null=True, on_delete=django.db.models.deletion.CASCADE, related_name='+', to='workstream.candidate')),
                ('org', models.ForeignKey(db_index=False, editable=False, on_delete=django.db.models.deletion.PROTECT, related_name='+', to='tenancy.organization')),
                ('signal', flowledger.tenancy.fields.OrgForeignKey(blank=True, db_constraint=False, db_index=False, null=True, on_delete=django.db.models.deletion.CASCADE, related_name='+', to='workstream.signal')),
                ('spotlight', flowledger.tenancy.fields.OrgForeignKey(db_constraint=False, db_index=False, on_delete=django.db.models.deletion.CASCADE, related_name='scores', to='spotlight.spotlight')),
            ],
            options={
                'abstract': False,
                'base_manager_name': 'all_orgs',
                'default_manager_name': 'all_orgs',
            },
            managers=[
                ('all_orgs', django.db.models.manager.Manager()),
            ],
        ),
        migrations.CreateModel(
            name='SpotlightScoreChange',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('created_at', models.DateTimeField(auto_now_add=True)),
                ('updated_at', models.DateTimeField(auto_now=True)),
                ('row_version', models.PositiveIntegerField(default=1, editable=False)),
                ('happened_at', models.DateTimeField()),
                ('cause', models.CharField(choices=[('new', 'New item'), ('item', 'The item changed'), ('client', 'Its client or contact changed'), ('enrichment', 'Enrichment'), ('profile', 'The profile changed'), ('override', 'Set by hand'), ('manual', 'Asked for')], max_length=10)),
                ('previous_score', models.DecimalField(decimal_places=4, max_digits=5)),
                ('match_score', models.DecimalField(decimal_places=4, max_digits=5)),
                ('previous_recommendation', models.CharField(choices=[('high_match', 'High match'), ('medium_match', 'Medium match'), ('low_match', 'Low match'), ('no_match', 'No match')], max_length=12)),
                ('recommendation', models.CharField(choices=[('high_match', 'High match'), ('medium_match', 'Medium match'), ('low_match', 'Low match'), ('no_match', 'No match')], max_length=12)),
                ('previous_version', models.PositiveIntegerField()),
                ('spotlight_version', models.PositiveIntegerField()),
                ('components', models.JSONField(default=list)),
                ('candidate', flowledger.tenancy.fields.OrgForeignKey(blank=True, db_constraint=False, db_index=False, null=True, on_delete=django.db.models.deletion.CASCADE, related_name='+', to='workstream.candidate')),
                ('org', models.ForeignKey(db_index=False, editable=False, on_delete=django.db.models.deletion.PROTECT, related_name='+', to='tenancy.organization')),
                ('signal', flowledger.tenancy.fields.OrgForeignKey(blank=True, db_constraint=False, db_index=False, null=True, on_delete=django.db.models.deletion.CASCADE, related_name='+', to='workstream.signal')),
                ('spotlight', flowledger.tenancy.fields.OrgForeignKey(db_constraint=False, db_index=False, on_delete=django.db.models.deletion.CASCADE, related_name='changes', to='spotlight.spotlight')),
            ],
            options={
                'abstract': False,
                'base_manager_name': 'all_orgs',
                'default_manager_name': 'all_orgs',
            },
            managers=[
                ('all_orgs', django.db.models.manager.Manager()),
            ],
        ),
        migrations.CreateModel(
            name='SpotlightVersion',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('created_at', models.DateTimeField(auto_now_add=True)),
                ('updated_at', models.DateTimeField(auto_now=True)),
                ('row_version', models.PositiveIntegerField(default=1, editable=False)),
                ('version', models.PositiveIntegerField()),
                ('definition', models.JSONField()),
                ('origin', models.CharField(choices=[('edited', 'Edited'), ('cloned', 'Cloned'), ('learned', 'Learned from outcomes'), ('reverted', 'Went back to an earlier version')], default='edited', max_length=8)),
                ('note', models.CharField(blank=True, max_length=500)),
                ('made_at', models.DateTimeField()),
                ('made_by_label', models.CharField(blank=True, max_length=200)),
                ('made_by', models.ForeignKey(blank=True, db_index=False, null=True, on_delete=django.db.models.deletion.SET_NULL, related_name='+', to=settings.AUTH_USER_MODEL)),
                ('org', models.ForeignKey(db_index=False, editable=False, on_delete=django.db.models.deletion.PROTECT, related_name='+', to='tenancy.organization')),
                ('spotlight', flowledger.tenancy.fields.OrgForeignKey(db_constraint=False, db_index=False, on_delete=django.db.models.deletion.CASCADE, related_name='versions', to='spotlight.spotlight')),
            ],
            options={
                'abstract': False,
                'base_manager_name': 'all_orgs',
                'default_manager_name': 'all_orgs',
            },
            managers=[
                ('all_orgs', django.db.models.manager.Manager()),
            ],
        ),
        migrations.CreateModel(
            name='WeightProposal',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('created_at', models.DateTimeField(auto_now_add=True)),
                ('updated_at', models.DateTimeField(auto_now=True)),
                ('row_version', models.PositiveIntegerField(default=1, editable=False)),
                ('base_version', models.PositiveIntegerField()),
                ('weights', models.JSONField(default=dict)),
                ('evidence', models.JSONField(default=dict)),
                ('status', django_fsm.FSMField(choices=[('proposed', 'Proposed'), ('accepted', 'Accepted'), ('rejected', 'Rejected'), ('superseded', 'Superseded'), ('reverted', 'Reverted')], default='proposed', max_length=10, protected=True)),
                ('made_at', models.DateTimeField()),
                ('decided_at', models.DateTimeField(blank=True, editable=False, null=True)),
                ('applied_version', models.PositiveIntegerField(blank=True, editable=False, null=True)),
                ('decided_by', models.ForeignKey(blank=True, db_index=False, null=True, on_delete=django.db.models.deletion.SET_NULL, related_name='+', to=settings.AUTH_USER_MODEL)),
                ('made_by', models.ForeignKey(blank=True, db_index=False, null=True, on_delete=django.db.models.deletion.SET_NULL, related_name='+', to=settings.AUTH_USER_MODEL)),
                ('org', models.ForeignKey(db_index=False, editable=False, on_delete=django.db.models.deletion.PROTECT, related_name='+', to='tenancy.organization')),
                ('spotlight', flowledger.tenancy.fields.OrgForeignKey(db_constraint=False, db_index=False, on_delete=django.db.models.deletion.CASCADE, related_name='proposals', to='spotlight.spotlight')),
            ],
            options={
                'abstract': False,
                'base_manager_name': 'all_orgs',
                'default_manager_name': 'all_orgs',
            },
            managers=[
                ('all_orgs', django.db.models.manager.Manager()),
            ],
        ),
        migrations.CreateModel(
            name='EnrichedFact',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('created_at', models.DateTimeField(auto_now_add=True)),
                ('updated_at', models.DateTimeField(auto_now=True)),
                ('row_version', models.PositiveIntegerField(default=1, editable=False)),
                ('field_name', models.CharField(max_length=60)),
                ('value', models.JSONField()),
                ('provider', models.CharField(max_length=60)),
                ('confidence', models.DecimalField(decimal_places=2, default=1, max_digits=3)),
                ('fetched_at', models.DateTimeField()),
                ('client', flowledger.tenancy.fields.OrgForeignKey(blank=True, db_constraint=False, db_index=False, null=True, on_delete=django.db.models.deletion.CASCADE, related_name='enriched_facts', to='clients.client')),
                ('contact', flowledger.tenancy.fields.OrgForeignKey(blank=True, db_constraint=False, db_index=False, null=True, on_delete=django.db.models.deletion.CASCADE, related_name='enriched_facts', to='clients.contact')),
                ('org', models.ForeignKey(db_index=False, editable=False, on_delete=django.db.models.deletion.PROTECT, related_name='+', to='tenancy.organization')),
            ],
            options={
                'abstract': False,
                'base_manager_name': 'all_orgs',
                'default_manager_name': 'all_orgs',
                'constraints': [flowledger.tenancy.constraints.RowSecurity(column='org_id', name='enriched_fact_row_security'), models.UniqueConstraint(fields=('org', 'id'), name='enriched_fact_org_id'), flowledger.tenancy.constraints.OrgForeignKeyConstraint(field='client', name='enriched_fact_client_same_org', to='clients.Client'), flowledger.tenancy.constraints.OrgForeignKeyConstraint(field='contact', name='enriched_fact_contact_same_org', to='clients.Contact'), models.CheckConstraint(condition=models.Q(models.Q(('client__isnull', False), ('contact__isnull', True)), models.Q(('client__isnull', True), ('contact__isnull', False)), _connector='OR'), name='enriched_fact_one_subject'), models.UniqueConstraint(condition=models.Q(('client__isnull', False)), fields=('org', 'client', 'field_name', 'provider'), name='enriched_fact_of_client'), models.UniqueConstraint(condition=models.Q(('contact__isnull', False)), fields=('org', 'contact', 'field_name', 'provider'), name='enriched_fact_of_contact'), models.CheckConstraint(condition=models.Q(('confidence__gte', 0), ('confidence__lte', 1)), name='enriched_fact_confidence'), models.CheckConstraint(condition=models.Q(models.Q(('provider', ''), _negated=True), models.Q(('field_name', ''), _negated=True)), name='enriched_fact_named')],
            },
            managers=[
                ('all_orgs', django.db.models.manager.Manager()),
            ],
        ),
        migrations.AddConstraint(
            model_name='spotlight',
            constraint=flowledger.tenancy.constraints.RowSecurity(column='org_id', name='spotlight_row_security'),
        ),
        migrations.AddConstraint(
            model_name='spotlight',
            constraint=models.UniqueConstraint(fields=('org', 'id'), name='spotlight_org_id'),
        ),
        migrations.AddConstraint(
            model_name='spotlight',
            constraint=models.UniqueConstraint(fields=('org', 'name'), name='spotlight_name'),
        ),
        migrations.AddConstraint(
            model_name='spotlight',
            constraint=models.CheckConstraint(condition=models.Q(('name', ''), _negated=True), name='spotlight_has_name'),
        ),
        migrations.AddConstraint(
            model_name='spotlight',
            constraint=models.CheckConstraint(condition=models.Q(('domain__regex', '^[a-z0-9][a-z0-9_-]*$')), name='spotlight_domain'),
        ),
        migrations.AddConstraint(
            model_name='spotlight',
            constraint=models.CheckConstraint(condition=models.Q(('version__gte', 1)), name='spotlight_version_counts'),
        ),
        migrations.AddIndex(
            model_name='scoreoverride',
            index=models.Index(condition=models.Q(('ended_at__isnull', True)), fields=['expires_at'], name='score_override_due'),
        ),
        migrations.AddConstraint(
            model_name='scoreoverride',
            constraint=flowledger.tenancy.constraints.RowSecurity(column='org_id', name='score_override_row_security'),
        ),
        migrations.AddConstraint(
            model_name='scoreoverride',
            constraint=models.UniqueConstraint(fields=('org', 'id'), name='score_override_org_id'),
        ),
        migrations.AddConstraint(
            model_name='scoreoverride',
            constraint=flowledger.tenancy.constraints.OrgForeignKeyConstraint(field='spotlight', name='score_override_spotlight_same_org', to='spotlight.Spotlight'),
        ),
        migrations.AddConstraint(
            model_name='scoreoverride',
            constraint=flowledger.tenancy.constraints.OrgForeignKeyConstraint(field='signal', name='score_override_signal_same_org', to='workstream.Signal'),
        ),
        migrations.AddConstraint(
            model_name='scoreoverride',
            constraint=flowledger.tenancy.constraints.OrgForeignKeyConstraint(field='candidate', name='score_override_candidate_same_org', to='workstream.Candidate'),
        ),
        migrations.AddConstraint(
            model_name='scoreoverride',
            constraint=models.CheckConstraint(condition=models.Q(models.Q(('candidate__isnull', True), ('signal__isnull', False)), models.Q(('candidate__isnull', False), ('signal__isnull', True)), _connector='OR'), name='score_override_one_item'),
        ),
        migrations.AddConstraint(
            model_name='scoreoverride',
            constraint=models.CheckConstraint(condition=models.Q(('reason', ''), _negated=True), name='score_override_has_reason'),
        ),
        migrations.AddConstraint(
            model_name='scoreoverride',
            constraint=models.CheckConstraint(condition=models.Q(('match_score__gte', 0), ('match_score__lte', 1)), name='score_override_range'),
        ),
        migrations.AddConstraint(
            model_name='scoreoverride',
            constraint=models.CheckConstraint(condition=models.Q(('recommendation__in', ['high_match', 'medium_match', 'low_match', 'no_match'])), name='score_override_recommendation'),
        ),
        migrations.AddConstraint(
            model_name='scoreoverride',
            constraint=models.UniqueConstraint(condition=models.Q(('ended_at__isnull', True), ('signal__isnull', False)), fields=('org', 'signal', 'spotlight'), name='score_override_of_signal'),
        ),
        migrations.AddConstraint(
            model_name='scoreoverride',
            constraint=models.UniqueConstraint(condition=models.Q(('candidate__isnull', False), ('ended_at__isnull', True)), fields=('org', 'candidate', 'spotlight'), name='score_override_of_candidate'),
        ),
        migrations.AddIndex(
            model_name='routedsignal',
            index=models.Index(condition=models.Q(('review_status', 'waiting')), fields=['org', '-match_score', 'id'], name='routed_signal_waiting'),
        ),
        migrations.AddIndex(
            model_name='routedsignal',
            index=models.Index(condition=models.Q(('candidate__isnull', False)), fields=['org', 'candidate'], name='routed_signal_of_candidate'),
        ),
        migrations.AddConstraint(
            model_name='routedsignal',
            constraint=flowledger.tenancy.constraints.RowSecurity(column='org_id', name='routed_signal_row_security'),
        ),
        migrations.AddConstraint(
            model_name='routedsignal',
            constraint=models.UniqueConstraint(fields=('org', 'id'), name='routed_signal_org_id'),
        ),
        migrations.AddConstraint(
            model_name='routedsignal',
            constraint=flowledger.tenancy.constraints.OrgForeignKeyConstraint(field='signal', name='routed_signal_signal_same_org', to='workstream.Signal'),
        ),
        migrations.AddConstraint(
            model_name='routedsignal',
            constraint=flowledger.tenancy.constraints.OrgForeignKeyConstraint(field='spotlight', name='routed_signal_spotlight_same_org', to='spotlight.Spotlight'),
        ),
        migrations.AddConstraint(
            model_name='routedsignal',
            constraint=flowledger.tenancy.constraints.OrgForeignKeyConstraint(field='candidate', name='routed_signal_candidate_same_org', to='workstream.Candidate'),
        ),
        migrations.AddConstraint(
            model_name='routedsignal',
            constraint=models.UniqueConstraint(fields=('org', 'signal'), name='routed_signal_once'),
        ),
        migrations.AddConstraint(
            model_name='routedsignal',
            constraint=models.CheckConstraint(condition=models.Q(('action__in', ['candidate', 'nurture', 'review', 'none'])), name='routed_signal_action'),
        ),
        migrations.AddConstraint(
            model_name='routedsignal',
            constraint=models.CheckConstraint(condition=models.Q(('review_status__in', ['settled', 'waiting', 'accepted', 'dismissed'])), name='routed_signal_review'),
        ),
        migrations.AddConstraint(
            model_name='routedsignal',
            constraint=models.CheckConstraint(condition=models.Q(('recommendation__in', ['high_match', 'medium_match', 'low_match', 'no_match'])), name='routed_signal_recommendation'),
        ),
        migrations.AddIndex(
            model_name='rescorerun',
            index=models.Index(fields=['org', '-id'], name='rescore_run_list'),
        ),
        migrations.AddIndex(
            model_name='rescorerun',
            index=models.Index(condition=models.Q(('status', 'running')), fields=['id'], name='rescore_run_to_do'),
        ),
        migrations.AddConstraint(
            model_name='rescorerun',
            constraint=flowledger.tenancy.constraints.RowSecurity(column='org_id', name='rescore_run_row_security'),
        ),
        migrations.AddConstraint(
            model_name='rescorerun',
            constraint=models.UniqueConstraint(fields=('org', 'id'), name='rescore_run_org_id'),
        ),
        migrations.AddConstraint(
            model_name='rescorerun',
            constraint=flowledger.tenancy.constraints.OrgForeignKeyConstraint(field='spotlight', name='rescore_run_spotlight_same_org', to='spotlight.Spotlight'),
        ),
        migrations.AddConstraint(
            model_name='rescorerun',
            constraint=flowledger.tenancy.constraints.OrgForeignKeyConstraint(field='client', name='rescore_run_client_same_org', to='clients.Client'),
        ),
        migrations.AddConstraint(
            model_name='rescorerun',
            constraint=flowledger.tenancy.constraints.OrgForeignKeyConstraint(field='contact', name='rescore_run_contact_same_org', to='clients.Contact'),
        ),
        migrations.AddConstraint(
            model_name='rescorerun',
            constraint=models.CheckConstraint(condition=models.Q(('status__in', ['running', 'done', 'superseded', 'cancelled'])), name='rescore_run_status'),
        ),
        migrations.AddConstraint(
            model_name='rescorerun',
            constraint=models.CheckConstraint(condition=models.Q(('cause__in', ['new', 'item', 'client', 'enrichment', 'profile', 'override', 'manual'])), name='rescore_run_cause'),
        ),
        migrations.AddIndex(
            model_name='matchalert',
            index=models.Index(fields=['org', '-began_at', '-id'], name='match_alert_list'),
        ),
        migrations.AddConstraint(
            model_name='matchalert',
            constraint=flowledger.tenancy.constraints.RowSecurity(column='org_id', name='match_alert_row_security'),
        ),
        migrations.AddConstraint(
            model_name='matchalert',
            constraint=models.UniqueConstraint(fields=('org', 'id'), name='match_alert_org_id'),
        ),
        migrations.AddConstraint(
            model_name='matchalert',
            constraint=flowledger.tenancy.constraints.OrgForeignKeyConstraint(field='spotlight', name='match_alert_spotlight_same_org', to='spotlight.Spotlight'),
        ),
        migrations.AddConstraint(
            model_name='matchalert',
            constraint=models.UniqueConstraint(condition=models.Q(('ended_at__isnull', True)), fields=('org', 'spotlight'), name='match_alert_standing'),
        ),
        migrations.AddConstraint(
            model_name='matchalert',
            constraint=models.CheckConstraint(condition=models.Q(('match_rate__gte', 0), ('match_rate__lte', 1)), name='match_alert_rate'),
        ),
        migrations.AddConstraint(
            model_name='matchalert',
            constraint=models.CheckConstraint(condition=models.Q(('ended_at__isnull', True), ('ended_at__gte', models.F('began_at')), _connector='OR'), name='match_alert_range'),
        ),
        migrations.AddConstraint(
            model_name='spotlightfield',
            constraint=flowledger.tenancy.constraints.RowSecurity(column='org_id', name='spotlight_field_row_security'),
        ),
        migrations.AddConstraint(
            model_name='spotlightfield',
            constraint=models.UniqueConstraint(fields=('org', 'id'), name='spotlight_field_org_id'),
        ),
        migrations.AddConstraint(
            model_name='spotlightfield',
            constraint=models.UniqueConstraint(fields=('org', 'domain', 'field_name'), name='spotlight_field_name'),
        ),
        migrations.AddConstraint(
            model_name='spotlightfield',
            constraint=models.CheckConstraint(condition=models.Q(('field_type__in', ['text', 'number', 'boolean', 'enum', 'date'])), name='spotlight_field_type'),
        ),
        migrations.AddConstraint(
            model_name='spotlightfield',
            constraint=models.CheckConstraint(condition=models.Q(('field_name__regex', '^[a-z][a-z0-9_]*$')), name='spotlight_field_name_shape'),
        ),
        migrations.AddConstraint(
            model_name='spotlightfield',
            constraint=models.CheckConstraint(condition=models.Q(('domain__regex', '^[a-z0-9][a-z0-9_-]*$')), name='spotlight_field_domain'),
        ),
        migrations.AddConstraint(
            model_name='spotlightfield',
            constraint=models.CheckConstraint(condition=models.Q(models.Q(('field_type', 'enum'), _negated=True), models.Q(('enum_values', []), _negated=True), _connector='OR'), name='spotlight_field_enum_has_values'),
        ),
        migrations.AddIndex(
            model_name='spotlightcriterion',
            index=models.Index(fields=['org', 'spotlight', 'position', 'id'], name='spotlight_criterion_list'),
        ),
        migrations.AddIndex(
            model_name='spotlightcriterion',
            index=models.Index(fields=['org', 'field'], name='spotlight_criterion_of_field'),
        ),
        migrations.AddConstraint(
            model_name='spotlightcriterion',
            constraint=flowledger.tenancy.constraints.RowSecurity(column='org_id', name='spotlight_criterion_row_security'),
        ),
        migrations.AddConstraint(
            model_name='spotlightcriterion',
            constraint=models.UniqueConstraint(fields=('org', 'id'), name='spotlight_criterion_org_id'),
        ),
        migrations.AddConstraint(
            model_name='spotlightcriterion',
            constraint=flowledger.tenancy.constraints.OrgForeignKeyConstraint(field='spotlight', name='spotlight_criterion_spotlight_same_org', to='spotlight.Spotlight'),
        ),
        migrations.AddConstraint(
            model_name='spotlightcriterion',
            constraint=flowledger.tenancy.constraints.OrgForeignKeyConstraint(field='field', name='spotlight_criterion_field_same_org', to='spotlight.SpotlightField'),
        ),
        migrations.AddConstraint(
            model_name='spotlightcriterion',
            constraint=models.CheckConstraint(condition=models.Q(('operator__in', ['=', '!=', '>', '>=', '<', '<=', 'between', 'in', 'contains', 'matches'])), name='spotlight_criterion_operator'),
        ),
        migrations.AddConstraint(
            model_name='spotlightcriterion',
            constraint=models.CheckConstraint(condition=models.Q(('weight__gte', 0), ('weight__lte', 1000)), name='spotlight_criterion_weight'),
        ),
        migrations.AddIndex(
            model_name='fieldrule',
            index=models.Index(fields=['org', 'field', 'id'], name='field_rule_of_field'),
        ),
        migrations.AddConstraint(
            model_name='fieldrule',
            constraint=flowledger.tenancy.constraints.RowSecurity(column='org_id', name='field_rule_row_security'),
        ),
        migrations.AddConstraint(
            model_name='fieldrule',
            constraint=models.UniqueConstraint(fields=('org', 'id'), name='field_rule_org_id'),
        ),
        migrations.AddConstraint(
            model_name='fieldrule',
            constraint=flowledger.tenancy.constraints.OrgForeignKeyConstraint(field='field', name='field_rule_field_same_org', to='spotlight.SpotlightField'),
        ),
        migrations.AddConstraint(
            model_name='fieldrule',
            constraint=flowledger.tenancy.constraints.OrgForeignKeyConstraint(field='condition_field', name='field_rule_condition_field_same_org', to='spotlight.SpotlightField'),
        ),
        migrations.AddConstraint(
            model_name='fieldrule',
            constraint=models.CheckConstraint(condition=models.Q(('operator__in', ['=', '!=', '>', '>=', '<', '<=', 'between', 'in', 'contains', 'matches'])), name='field_rule_operator'),
        ),
        migrations.AddConstraint(
            model_name='fieldrule',
            constraint=models.CheckConstraint(condition=models.Q(('effect__in', ['show', 'require', 'hide'])), name='field_rule_effect'),
        ),
        migrations.AddConstraint(
            model_name='fieldrule',
            constraint=models.CheckConstraint(condition=models.Q(('field', models.F('condition_field')), _negated=True), name='field_rule_of_another'),
        ),
        migrations.AddIndex(
            model_name='spotlightfit',
            index=models.Index(condition=models.Q(('signal__isnull', False)), fields=['org', 'recommendation', '-match_score', '-id'], name='spotlight_fit_ranked'),
        ),
        migrations.AddConstraint(
            model_name='spotlightfit',
            constraint=flowledger.tenancy.constraints.RowSecurity(column='org_id', name='spotlight_fit_row_security'),
        ),
        migrations.AddConstraint(
            model_name='spotlightfit',
            constraint=models.UniqueConstraint(fields=('org', 'id'), name='spotlight_fit_org_id'),
        ),
        migrations.AddConstraint(
            model_name='spotlightfit',
            constraint=flowledger.tenancy.constraints.OrgForeignKeyConstraint(field='spotlight', name='spotlight_fit_spotlight_same_org', to='spotlight.Spotlight'),
        ),
        migrations.AddConstraint(
            model_name='spotlightfit',
            constraint=flowledger.tenancy.constraints.OrgForeignKeyConstraint(field='signal', name='spotlight_fit_signal_same_org', to='workstream.Signal'),
        ),
        migrations.AddConstraint(
            model_name='spotlightfit',
            constraint=flowledger.tenancy.constraints.OrgForeignKeyConstraint(field='candidate', name='spotlight_fit_candidate_same_org', to='workstream.Candidate'),
        ),
        migrations.AddConstraint(
            model_name='spotlightfit',
            constraint=models.CheckConstraint(condition=models.Q(models.Q(('candidate__isnull', True), ('signal__isnull', False)), models.Q(('candidate__isnull', False), ('signal__isnull', True)), _connector='OR'), name='spotlight_fit_one_item'),
        ),
        migrations.AddConstraint(
            model_name='spotlightfit',
            constraint=models.UniqueConstraint(condition=models.Q(('signal__isnull', False)), fields=('org', 'signal'), name='spotlight_fit_of_signal'),
        ),
        migrations.AddConstraint(
            model_name='spotlightfit',
            constraint=models.UniqueConstraint(condition=models.Q(('candidate__isnull', False)), fields=('org', 'candidate'), name='spotlight_fit_of_candidate'),
        ),
        migrations.AddConstraint(
            model_name='spotlightfit',
            constraint=models.CheckConstraint(condition=models.Q(('recommendation__in', ['high_match', 'medium_match', 'low_match', 'no_match'])), name='spotlight_fit_recommendation'),
        ),
        migrations.AddIndex(
            model_name='spotlightscore',
            index=models.Index(condition=models.Q(('signal__isnull', False)), fields=['org', 'spotlight', '-match_score', '-id'], include=('recommendation', 'spotlight_version'), name='spotlight_score_ranked'),
        ),
        migrations.AddConstraint(
            model_name='spotlightscore',
            constraint=flowledger.tenancy.constraints.RowSecurity(column='org_id', name='spotlight_score_row_security'),
        ),
        migrations.AddConstraint(
            model_name='spotlightscore',
            constraint=models.UniqueConstraint(fields=('org', 'id'), name='spotlight_score_org_id'),
        ),
        migrations.AddConstraint(
            model_name='spotlightscore',
            constraint=flowledger.tenancy.constraints.OrgForeignKeyConstraint(field='spotlight', name='spotlight_score_spotlight_same_org', to='spotlight.Spotlight'),
        ),
        migrations.AddConstraint(
            model_name='spotlightscore',
            constraint=flowledger.tenancy.constraints.OrgForeignKeyConstraint(field='signal', name='spotlight_score_signal_same_org', to='workstream.Signal'),
        ),
        migrations.AddConstraint(
            model_name='spotlightscore',
            constraint=flowledger.tenancy.constraints.OrgForeignKeyConstraint(field='candidate', name='spotlight_score_candidate_same_org', to='workstream.Candidate'),
        ),
        migrations.AddConstraint(
            model_name='spotlightscore',
            constraint=models.CheckConstraint(condition=models.Q(models.Q(('candidate__isnull', True), ('signal__isnull', False)), models.Q(('candidate__isnull', False), ('signal__isnull', True)), _connector='OR'), name='spotlight_score_one_item'),
        ),
        migrations.AddConstraint(
            model_name='spotlightscore',
            constraint=models.UniqueConstraint(condition=models.Q(('signal__isnull', False)), fields=('org', 'signal', 'spotlight'), name='spotlight_score_of_signal'),
        ),
        migrations.AddConstraint(
            model_name='spotlightscore',
            constraint=models.UniqueConstraint(condition=models.Q(('candidate__isnull', False)), fields=('org', 'candidate', 'spotlight'), name='spotlight_score_of_candidate'),
        ),
        migrations.AddConstraint(
            model_name='spotlightscore',
            constraint=models.CheckConstraint(condition=models.Q(('match_score__gte', 0), ('match_score__lte', 1)), name='spotlight_score_range'),
        ),
        migrations.AddConstraint(
            model_name='spotlightscore',
            constraint=models.CheckConstraint(condition=models.Q(('coverage__gte', 0), ('coverage__lte', 1)), name='spotlight_score_coverage'),
        ),
        migrations.AddConstraint(
            model_name='spotlightscore',
            constraint=models.CheckConstraint(condition=models.Q(('recommendation__in', ['high_match', 'medium_match', 'low_match', 'no_match'])), name='spotlight_score_recommendation'),
        ),
        migrations.AddIndex(
            model_name='spotlightscorechange',
            index=models.Index(condition=models.Q(('signal__isnull', False)), fields=['org', 'signal', '-happened_at', '-id'], name='spotlight_change_of_signal'),
        ),
        migrations.AddIndex(
            model_name='spotlightscorechange',
            index=models.Index(condition=models.Q(('candidate__isnull', False)), fields=['org', 'candidate', '-happened_at', '-id'], name='spotlight_change_of_candidate'),
        ),
        migrations.AddConstraint(
            model_name='spotlightscorechange',
            constraint=flowledger.tenancy.constraints.RowSecurity(column='org_id', name='spotlight_score_change_row_security'),
        ),
        migrations.AddConstraint(
            model_name='spotlightscorechange',
            constraint=models.UniqueConstraint(fields=('org', 'id'), name='spotlight_score_change_org_id'),
        ),
        migrations.AddConstraint(
            model_name='spotlightscorechange',
            constraint=flowledger.tenancy.constraints.OrgForeignKeyConstraint(field='spotlight', name='spotlight_score_change_spotlight_same_org', to='spotlight.Spotlight'),
        ),
        migrations.AddConstraint(
            model_name='spotlightscorechange',
            constraint=flowledger.tenancy.constraints.OrgForeignKeyConstraint(field='signal', name='spotlight_score_change_signal_same_org', to='workstream.Signal'),
        ),
        migrations.AddConstraint(
            model_name='spotlightscorechange',
            constraint=flowledger.tenancy.constraints.OrgForeignKeyConstraint(field='candidate', name='spotlight_score_change_candidate_same_org', to='workstream.Candidate'),
        ),
        migrations.AddConstraint(
            model_name='spotlightscorechange',
            constraint=models.CheckConstraint(condition=models.Q(models.Q(('candidate__isnull', True), ('signal__isnull', False)), models.Q(('candidate__isnull', False), ('signal__isnull', True)), _connector='OR'), name='spotlight_score_change_one_item'),
        ),
        migrations.AddConstraint(
            model_name='spotlightscorechange',
            constraint=models.CheckConstraint(condition=models.Q(('cause__in', ['new', 'item', 'client', 'enrichment', 'profile', 'override', 'manual'])), name='spotlight_score_change_cause'),
        ),
        migrations.AddConstraint(
            model_name='spotlightversion',
            constraint=flowledger.tenancy.constraints.RowSecurity(column='org_id', name='spotlight_version_row_security'),
        ),
        migrations.AddConstraint(
            model_name='spotlightversion',
            constraint=models.UniqueConstraint(fields=('org', 'id'), name='spotlight_version_org_id'),
        ),
        migrations.AddConstraint(
            model_name='spotlightversion',
            constraint=flowledger.tenancy.constraints.OrgForeignKeyConstraint(field='spotlight', name='spotlight_version_spotlight_same_org', to='spotlight.Spotlight'),
        ),
        migrations.AddConstraint(
            model_name='spotlightversion',
            constraint=models.UniqueConstraint(fields=('org', 'spotlight', 'version'), name='spotlight_version_once'),
        ),
        migrations.AddConstraint(
            model_name='spotlightversion',
            constraint=models.CheckConstraint(condition=models.Q(('origin__in', ['edited', 'cloned', 'learned', 'reverted'])), name='spotlight_version_origin'),
        ),
        migrations.AddIndex(
            model_name='weightproposal',
            index=models.Index(fields=['org', 'spotlight', '-id'], name='weight_proposal_list'),
        ),
        migrations.AddConstraint(
            model_name='weightproposal',
            constraint=flowledger.tenancy.constraints.RowSecurity(column='org_id', name='weight_proposal_row_security'),
        ),
        migrations.AddConstraint(
            model_name='weightproposal',
            constraint=models.UniqueConstraint(fields=('org', 'id'), name='weight_proposal_org_id'),
        ),
        migrations.AddConstraint(
            model_name='weightproposal',
            constraint=flowledger.tenancy.constraints.OrgForeignKeyConstraint(field='spotlight', name='weight_proposal_spotlight_same_org', to='spotlight.Spotlight'),
        ),
        migrations.AddConstraint(
            model_name='weightproposal',
            constraint=models.CheckConstraint(condition=models.Q(('status__in', ['proposed', 'accepted', 'rejected', 'superseded', 'reverted'])), name='weight_proposal_status'),
        ),
        migrations.AddConstraint(
            model_name='weightproposal',
            constraint=models.UniqueConstraint(condition=models.Q(('status', 'proposed')), fields=('org', 'spotlight'), name='weight_proposal_waiting'),
        ),
    ]
