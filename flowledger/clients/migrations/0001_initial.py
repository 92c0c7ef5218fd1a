"""Clients, contacts, onboarding tasks and identity keys."""


import django.db.models.deletion
import django.db.models.functions.text
import django.db.models.lookups
import django.db.models.manager
import flowledger.tenancy.constraints
import flowledger.tenancy.fields
from django.conf import settings
from django.db import migrations, models


class Migration(migrations.Migration):

    initial = True

    dependencies = [
        ('tenancy', '0001_initial'),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        migrations.CreateModel(
            name='Client',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('created_at', models.DateTimeField(auto_now_add=True)),
                ('updated_at', models.DateTimeField(auto_now=True)),
                ('row_version', models.PositiveIntegerField(default=1, editable=False)),
                ('name', models.CharField(max_length=200)),
                ('domain', models.CharField(blank=True, help_text='Registrable domain in lower case: acme.co.uk', max_length=253)),
                ('industry', models.CharField(blank=True, max_length=100)),
                ('size_band', models.CharField(blank=True, choices=[('1-10', '1–10'), ('11-50', '11–50'), ('51-200', '51–200'), ('201-1000', '201–1,000'), ('1001-5000', '1,001–5,000'), ('5001+', 'More than 5,000')], max_length=9)),
                ('annual_revenue', models.DecimalField(blank=True, decimal_places=2, help_text="In the organisation's currency.", max_digits=18, null=True)),
                ('country', models.CharField(blank=True, help_text='ISO 3166 code of two letters.', max_length=2)),
                ('is_active', models.BooleanField(default=True)),
                ('attributes', models.JSONField(blank=True, default=dict)),
                ('canonical', flowledger.tenancy.fields.OrgForeignKey(blank=True, db_constraint=False, db_index=False, editable=False, help_text='The survivor of a merge; this row is then only its tombstone.', null=True, on_delete=django.db.models.deletion.PROTECT, related_name='merged', to='clients.client')),
                ('org', models.ForeignKey(db_index=False, editable=False, on_delete=django.db.models.deletion.PROTECT, related_name='+', to='tenancy.organization')),
            ],
            options={
                'abstract': False,
                'base_manager_name': 'all_orgs',
                'default_manager_name': 'all_orgs',
                'indexes': [models.Index(fields=['org', 'name', 'id'], name='client_list_by_name'), models.Index(models.F('org'), django.db.models.functions.text.Lower('name'), models.F('id'), name='client_by_name'), models.Index(condition=models.Q(('domain', ''), _negated=True), fields=['org', 'domain'], name='client_by_domain'), models.Index(condition=models.Q(('industry', ''), _negated=True), fields=['org', 'industry', '-id'], name='client_by_industry'), models.Index(condition=models.Q(('country', ''), _negated=True), fields=['org', 'country', '-id'], name='client_by_country'), models.Index(condition=models.Q(('canonical__isnull', False)), fields=['org', 'canonical'], name='client_merged')],
                'constraints': [flowledger.tenancy.constraints.RowSecurity(column='org_id', name='client_row_security'), models.UniqueConstraint(fields=('org', 'id'), name='client_org_id'), flowledger.tenancy.constraints.OrgForeignKeyConstraint(field='canonical', name='client_canonical_same_org', to='clients.Client'), models.CheckConstraint(condition=models.Q(('name', ''), _negated=True), name='client_has_name'), models.CheckConstraint(condition=models.Q(('domain', ''), ('domain__regex', '^([a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?\\.)+[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$'), _connector='OR'), name='client_domain_shape'), models.CheckConstraint(condition=models.Q(('size_band__in', ['', '1-10', '11-50', '51-200', '201-1000', '1001-5000', '5001+'])), name='client_size_band'), models.CheckConstraint(condition=models.Q(('annual_revenue__isnull', True), ('annual_revenue__gte', 0), _connector='OR'), name='client_revenue'), models.CheckConstraint(condition=models.Q(('country', ''), ('country__regex', '^[A-Z]{2}$'), _connector='OR'), name='client_country'), models.CheckConstraint(condition=django.db.models.lookups.Exact(models.Func(models.F('attributes'), function='jsonb_typeof', output_field=models.TextField()), models.Value('object')), name='client_attributes_object'), models.CheckConstraint(condition=models.Q(('canonical', models.F('id')), _negated=True), name='client_canonical_other')],
            },
            managers=[
                ('all_orgs', django.db.models.manager.Manager()),
            ],
        ),
        migrations.CreateModel(
            name='Contact',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('created_at', models.DateTimeField(auto_now_add=True)),
                ('updated_at', models.DateTimeField(auto_now=True)),
                ('row_version', models.PositiveIntegerField(default=1, editable=False)),
                ('name', models.CharField(blank=True, max_length=200)),
                ('email', models.CharField(blank=True, max_length=254)),
                ('phone', models.CharField(blank=True, help_text='E.164: +4930123456', max_length=16)),
                ('title', models.CharField(blank=True, max_length=150, verbose_name='job title')),
                ('preferences', models.JSONField(blank=True, default=dict)),
                ('social_links', models.JSONField(blank=True, default=dict)),
                ('is_active', models.BooleanField(default=True)),
                ('canonical', flowledger.tenancy.fields.OrgForeignKey(blank=True, db_constraint=False, db_index=False, editable=False, help_text='The survivor of a merge; this row is then only its tombstone.', null=True, on_delete=django.db.models.deletion.PROTECT, related_name='merged', to='clients.contact')),
                ('client', flowledger.tenancy.fields.OrgForeignKey(blank=True, db_constraint=False, db_index=False, null=True, on_delete=django.db.models.deletion.CASCADE, related_name='contacts', to='clients.client')),
                ('org', models.ForeignKey(db_index=False, editable=False, on_delete=django.db.models.deletion.PROTECT, related_name='+', to='tenancy.organization')),
            ],
            options={
                'abstract': False,
                'base_manager_name': 'all_orgs',
                'default_manager_name': 'all_orgs',
                'indexes': [models.Index(fields=['org', 'name', 'id'], name='contact_list_by_name'), models.Index(condition=models.Q(('client__isnull', False)), fields=['org', 'client', '-id'], name='contact_by_client'), models.Index(condition=models.Q(('phone', ''), _negated=True), fields=['org', 'phone'], name='contact_by_phone'), models.Index(condition=models.Q(('canonical__isnull', False)), fields=['org', 'canonical'], name='contact_merged')],
                'constraints': [flowledger.tenancy.constraints.RowSecurity(column='org_id', name='contact_row_security'), models.UniqueConstraint(fields=('org', 'id'), name='contact_org_id'), flowledger.tenancy.constraints.OrgForeignKeyConstraint(field='client', name='contact_client_same_org', to='clients.Client'), flowledger.tenancy.constraints.OrgForeignKeyConstraint(field='canonical', name='contact_canonical_same_org', to='clients.Contact'), models.UniqueConstraint(condition=models.Q(models.Q(('email', ''), _negated=True), ('canonical__isnull', True)), fields=('org', 'email'), name='contact_email'), models.CheckConstraint(condition=models.Q(models.Q(('name', ''), _negated=True), models.Q(('email', ''), _negated=True), models.Q(('phone', ''), _negated=True), _connector='OR'), name='contact_is_somebody'), models.CheckConstraint(condition=models.Q(('email', ''), ('email__regex', '^[^A-Z@[:space:]][^A-Z[:space:]]*@[^A-Z@[:space:]]+$'), _connector='OR'), name='contact_email_shape'), models.CheckConstraint(condition=models.Q(('phone', ''), ('phone__regex', '^\\+[1-9][0-9]{6,14}$'), _connector='OR'), name='contact_phone_shape'), models.CheckConstraint(condition=django.db.models.lookups.Exact(models.Func(models.F('preferences'), function='jsonb_typeof', output_field=models.TextField()), models.Value('object')), name='contact_preferences_object'), models.CheckConstraint(condition=django.db.models.lookups.Exact(models.Func(models.F('social_links'), function='jsonb_typeof', output_field=models.TextField()), models.Value('object')), name='contact_social_links_object'), models.CheckConstraint(condition=models.Q(('canonical', models.F('id')), _negated=True), name='contact_canonical_other')],
            },
            managers=[
                ('all_orgs', django.db.models.manager.Manager()),
            ],
        ),
        migrations.CreateModel(
            name='IdentityKey',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('created_at', models.DateTimeField(auto_now_add=True)),
                ('updated_at', models.DateTimeField(auto_now=True)),
                ('row_version', models.PositiveIntegerField(default=1, editable=False)),
                ('key_type', models.CharField(choices=[('email', 'email'), ('phone', 'phone'), ('company_domain', 'company domain'), ('source_ref', 'source ref'), ('company_name', 'company name')], max_length=14)),
                ('key_value', models.CharField(max_length=255)),
                ('confidence', models.DecimalField(decimal_places=2, default=1, max_digits=3)),
                ('occurrences', models.PositiveIntegerField(default=1)),
                ('first_seen', models.DateTimeField()),
                ('last_seen', models.DateTimeField()),
                ('status', models.CharField(choices=[('unresolved', 'Points nowhere yet'), ('auto', 'Resolved by rule'), ('manual', 'Set by a person'), ('conflict', 'Contradicted another key')], default='unresolved', max_length=10)),
                ('client', flowledger.tenancy.fields.OrgForeignKey(blank=True, db_constraint=False, db_index=False, null=True, on_delete=django.db.models.deletion.CASCADE, related_name='identity_keys', to='clients.client')),
                ('contact', flowledger.tenancy.fields.OrgForeignKey(blank=True, db_constraint=False, db_index=False, null=True, on_delete=django.db.models.deletion.CASCADE, related_name='identity_keys', to='clients.contact')),
                ('org', models.ForeignKey(db_index=False, editable=False, on_delete=django.db.models.deletion.PROTECT, related_name='+', to='tenancy.organization')),
            ],
            options={
                'abstract': False,
                'base_manager_name': 'all_orgs',
                'default_manager_name': 'all_orgs',
                'indexes': [models.Index(condition=models.Q(('contact__isnull', False)), fields=['org', 'contact'], name='identity_key_by_contact'), models.Index(condition=models.Q(('client__isnull', False)), fields=['org', 'client'], name='identity_key_by_client'), models.Index(condition=models.Q(('status__in', ['unresolved', 'conflict'])), fields=['org', 'status', '-last_seen'], name='identity_key_to_review')],
                'constraints': [flowledger.tenancy.constraints.RowSecurity(column='org_id', name='identity_key_row_security'), models.UniqueConstraint(fields=('org', 'id'), name='identity_key_org_id'), flowledger.tenancy.constraints.OrgForeignKeyConstraint(field='contact', name='identity_key_contact_same_org', to='clients.Contact'), flowledger.tenancy.constraints.OrgForeignKeyConstraint(field='client', name='identity_key_client_same_org', to='clients.Client'), models.UniqueConstraint(fields=('org', 'key_type', 'key_value'), name='identity_key_once'), models.CheckConstraint(condition=models.Q(('key_type__in', ['email', 'phone', 'company_domain', 'source_ref', 'company_name'])), name='identity_key_type'), models.CheckConstraint(condition=models.Q(('key_value', ''), _negated=True), name='identity_key_has_value'), models.CheckConstraint(condition=models.Q(('status__in', ['unresolved', 'auto', 'manual', 'conflict'])), name='identity_key_status'), models.CheckConstraint(condition=models.Q(('confidence__gte', 0), ('confidence__lte', 1)), name='identity_key_confidence'), models.CheckConstraint(condition=models.Q(('first_seen__lte', models.F('last_seen'))), name='identity_key_seen_in_order'), models.CheckConstraint(condition=models.Q(models.Q(('client__isnull', True), ('contact__isnull', True), ('status', 'unresolved')), models.Q(models.Q(('status', 'unresolved'), _negated=True), models.Q(('contact__isnull', False), ('client__isnull', False), _connector='OR')), _connector='OR'), name='identity_key_resolved_or_not'), models.CheckConstraint(condition=models.Q(models.Q(('key_type__in', ['email', 'phone']), _negated=True), ('client__isnull', True), _connector='OR'), name='identity_key_of_person'), models.CheckConstraint(condition=models.Q(models.Q(('key_type__in', ['company_domain', 'company_name']), _negated=True), ('contact__isnull', True), _connector='OR'), name='identity_key_of_company')],
            },
            managers=[
                ('all_orgs', django.db.models.manager.Manager()),
            ],
        ),
        migrations.CreateModel(
            name='OnboardingTask',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('created_at', models.DateTimeField(auto_now_add=True)),
                ('updated_at', models.DateTimeField(auto_now=True)),
                ('row_version', models.PositiveIntegerField(default=1, editable=False)),
                ('title', models.CharField(max_length=200)),
                ('due_date', models.DateField(blank=True, null=True)),
                ('done_at', models.DateTimeField(blank=True, editable=False, null=True)),
                ('cancelled_at', models.DateTimeField(blank=True, editable=False, null=True)),
                ('status', models.GeneratedField(db_persist=True, expression=models.Case(models.When(done_at__isnull=False, then=models.Value('done')), models.When(cancelled_at__isnull=False, then=models.Value('cancelled')), default=models.Value('open')), output_field=models.CharField(choices=[('open', 'Open'), ('done', 'Done'), ('cancelled', 'Cancelled')], max_length=9))),
                ('assignee', models.ForeignKey(blank=True, db_index=False, null=True, on_delete=django.db.models.deletion.SET_NULL, related_name='+', to=settings.AUTH_USER_MODEL)),
                ('client', flowledger.tenancy.fields.OrgForeignKey(db_constraint=False, db_index=False, on_delete=django.db.models.deletion.CASCADE, related_name='onboarding_tasks', to='clients.client')),
                ('org', models.ForeignKey(db_index=False, editable=False, on_delete=django.db.models.deletion.PROTECT, related_name='+', to='tenancy.organization')),
            ],
            options={
                'abstract': False,
                'base_manager_name': 'all_orgs',
                'default_manager_name': 'all_orgs',
                'indexes': [models.Index(fields=['org', 'client', 'due_date', 'id'], name='onboarding_task_of_client'), models.Index(condition=models.Q(('assignee__isnull', False), ('cancelled_at__isnull', True), ('done_at__isnull', True)), fields=['org', 'assignee', 'due_date'], name='onboarding_task_open')],
                'constraints': [flowledger.tenancy.constraints.RowSecurity(column='org_id', name='onboarding_task_row_security'), models.UniqueConstraint(fields=('org', 'id'), name='onboarding_task_org_id'), flowledger.tenancy.constraints.OrgForeignKeyConstraint(field='client', name='onboarding_task_client_same_org', to='clients.Client'), models.CheckConstraint(condition=models.Q(('title', ''), _negated=True), name='onboarding_task_has_title'), models.CheckConstraint(condition=models.Q(('done_at__isnull', True), ('cancelled_at__isnull', True), _connector='OR'), name='onboarding_task_one_end')],
            },
            managers=[
                ('all_orgs', django.db.models.manager.Manager()),
            ],
        ),
    ]
