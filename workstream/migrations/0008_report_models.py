"""The views of the reports, as read-only models."""

import django.db.models.manager
from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('workstream', '0007_stage_history_left_for'),
    ]

    operations = [
        migrations.CreateModel(
            name='FunnelStage',
            fields=[
                ('pk', models.CompositePrimaryKey('org_id', 'item_type', 'stage', blank=True, editable=False, primary_key=True, serialize=False)),
                ('item_type', models.CharField(max_length=10)),
                ('stage', models.CharField(max_length=20)),
                ('place', models.PositiveSmallIntegerField()),
                ('items', models.BigIntegerField()),
            ],
            options={
                'db_table': 'v_workstream_funnel',
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
            name='FunnelVelocity',
            fields=[
                ('pk', models.CompositePrimaryKey('org_id', 'stage', 'month', blank=True, editable=False, primary_key=True, serialize=False)),
                ('item_type', models.CharField(max_length=10)),
                ('stage', models.CharField(max_length=20)),
                ('month', models.DateField()),
                ('entered', models.BigIntegerField()),
                ('finished', models.BigIntegerField()),
                ('measured', models.BigIntegerField()),
                ('advanced', models.BigIntegerField()),
                ('dropped', models.BigIntegerField()),
                ('median_hours', models.DecimalField(decimal_places=2, max_digits=12, null=True)),
                ('p90_hours', models.DecimalField(decimal_places=2, max_digits=12, null=True)),
                ('conversion_percent', models.DecimalField(decimal_places=1, max_digits=4)),
                ('drop_off_percent', models.DecimalField(decimal_places=1, max_digits=4)),
            ],
            options={
                'db_table': 'v_workstream_funnel_velocity',
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
            name='IdentityStatus',
            fields=[
                ('pk', models.CompositePrimaryKey('org_id', 'status', blank=True, editable=False, primary_key=True, serialize=False)),
                ('status', models.CharField(max_length=20)),
                ('signals', models.BigIntegerField()),
                ('with_contact', models.BigIntegerField()),
                ('with_client', models.BigIntegerField()),
            ],
            options={
                'db_table': 'v_identity_resolution_status',
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
            name='PursuitChecklistReady',
            fields=[
                ('id', models.BigIntegerField(primary_key=True, serialize=False)),
                ('title', models.CharField(max_length=200)),
                ('stage', models.CharField(max_length=10)),
                ('owner_id', models.BigIntegerField(null=True)),
                ('client_id', models.BigIntegerField(null=True)),
                ('due_date', models.DateField(null=True)),
                ('pink_done', models.PositiveSmallIntegerField()),
                ('pink_required', models.PositiveSmallIntegerField()),
                ('pink_ready', models.BooleanField()),
                ('red_done', models.PositiveSmallIntegerField()),
                ('red_required', models.PositiveSmallIntegerField()),
                ('red_ready', models.BooleanField()),
                ('compliance_score', models.DecimalField(decimal_places=3, max_digits=4)),
                ('next_stage', models.CharField(max_length=10)),
                ('is_ready', models.BooleanField()),
            ],
            options={
                'verbose_name': 'open pursuit',
                'db_table': 'v_pursuit_checklist_ready',
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
            name='SalesOutcome',
            fields=[
                ('id', models.BigIntegerField(primary_key=True, serialize=False)),
                ('outcome', models.CharField(max_length=10)),
                ('closed_at', models.DateTimeField()),
                ('closed_on', models.DateField()),
                ('solution_id', models.BigIntegerField(null=True)),
                ('solution_name', models.CharField(max_length=200, null=True)),
                ('owner_id', models.BigIntegerField(null=True)),
                ('owner_name', models.CharField(max_length=301)),
                ('client_id', models.BigIntegerField(null=True)),
                ('value', models.DecimalField(decimal_places=2, max_digits=14)),
                ('currency', models.CharField(max_length=3)),
                ('seconds_to_close', models.FloatField(null=True)),
            ],
            options={
                'db_table': 'v_sales_outcome',
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
            name='SlaCompliance',
            fields=[
                ('pk', models.CompositePrimaryKey('org_id', 'metric', blank=True, editable=False, primary_key=True, serialize=False)),
                ('metric', models.CharField(max_length=20)),
                ('met', models.BigIntegerField()),
                ('breached', models.BigIntegerField()),
                ('open', models.BigIntegerField()),
                ('open_breaches', models.BigIntegerField()),
                ('compliance_percent', models.DecimalField(decimal_places=1, max_digits=4, null=True)),
            ],
            options={
                'db_table': 'v_sla_compliance_summary',
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
            name='TodayPanelEnhancedRow',
            fields=[
                ('today_item_id', models.BigIntegerField(primary_key=True, serialize=False)),
                ('item_type', models.CharField(max_length=10)),
                ('item_id', models.BigIntegerField()),
                ('label', models.CharField(max_length=200)),
                ('badge', models.CharField(max_length=10)),
                ('hours_since_touch', models.DecimalField(decimal_places=1, max_digits=12)),
                ('urgency', models.CharField(max_length=10)),
                ('urgency_points', models.SmallIntegerField()),
                ('value_points', models.SmallIntegerField()),
                ('stage_points', models.SmallIntegerField()),
                ('workload_penalty', models.SmallIntegerField()),
                ('priority_score', models.SmallIntegerField()),
                ('priority_tier', models.CharField(max_length=10)),
            ],
            options={
                'db_table': 'v_today_panel_enhanced',
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
            name='TodayPanelRow',
            fields=[
                ('today_item_id', models.BigIntegerField(primary_key=True, serialize=False)),
                ('item_type', models.CharField(max_length=10)),
                ('item_id', models.BigIntegerField()),
                ('label', models.CharField(max_length=200)),
                ('client_name', models.CharField(max_length=200)),
                ('state', models.CharField(max_length=20)),
                ('last_touch_at', models.DateTimeField()),
                ('due_date', models.DateField(null=True)),
                ('sla_metric', models.CharField(max_length=20)),
                ('sla_due_at', models.DateTimeField(null=True)),
                ('badge', models.CharField(max_length=10)),
                ('owner_id', models.BigIntegerField(null=True)),
                ('value_band', models.CharField(max_length=10)),
                ('icp_band', models.CharField(max_length=10)),
            ],
            options={
                'db_table': 'v_today_panel',
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
            name='UserWorkload',
            fields=[
                ('pk', models.CompositePrimaryKey('org_id', 'owner_id', blank=True, editable=False, primary_key=True, serialize=False)),
                ('owner_id', models.BigIntegerField()),
                ('owner_name', models.CharField(max_length=301)),
                ('items', models.BigIntegerField()),
                ('urgent', models.BigIntegerField()),
                ('high', models.BigIntegerField()),
                ('medium', models.BigIntegerField()),
                ('low', models.BigIntegerField()),
                ('breaches', models.BigIntegerField()),
                ('stale', models.BigIntegerField()),
                ('snoozed', models.BigIntegerField()),
                ('mean_hours_since_touch', models.DecimalField(decimal_places=1, max_digits=12, null=True)),
                ('longest_hours_since_touch', models.DecimalField(decimal_places=1, max_digits=12, null=True)),
            ],
            options={
                'db_table': 'v_user_workload',
                'abstract': False,
                'managed': False,
                'base_manager_name': 'all_orgs',
                'default_manager_name': 'all_orgs',
            },
            managers=[
                ('all_orgs', django.db.models.manager.Manager()),
            ],
        ),
    ]
