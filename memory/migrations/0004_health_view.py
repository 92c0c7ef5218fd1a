"""The view of the health of memory, and the model that reads it."""

from pathlib import Path

import django.db.models.deletion
import django.db.models.manager
from django.db import migrations, models

from flowledger.sqlviews import InstallSql, read_view

SQL = Path(__file__).resolve().parents[1] / "reports" / "sql"


class Migration(migrations.Migration):
    dependencies = [("memory", "0003_versions_kept"), ("tenancy", "0001_initial")]

    operations = [
        InstallSql(read_view(SQL, "v_memory_health", 1)),
        migrations.CreateModel(
            name='MemoryHealth',
            fields=[
                ('org', models.OneToOneField(on_delete=django.db.models.deletion.DO_NOTHING, primary_key=True, related_name='+', serialize=False, to='tenancy.organization')),
                ('active', models.BigIntegerField()),
                ('superseded', models.BigIntegerField()),
                ('archived', models.BigIntegerField()),
                ('redacted', models.BigIntegerField()),
                ('pinned', models.BigIntegerField()),
                ('decisions', models.BigIntegerField()),
                ('risks', models.BigIntegerField()),
                ('preferences', models.BigIntegerField()),
                ('notes', models.BigIntegerField()),
                ('statuses', models.BigIntegerField()),
                ('last_written_at', models.DateTimeField(null=True)),
                ('due', models.BigIntegerField()),
                ('oldest_due_seconds', models.DecimalField(decimal_places=1, max_digits=12, null=True)),
                ('conflicts', models.BigIntegerField()),
                ('holds', models.BigIntegerField()),
                ('cards', models.BigIntegerField()),
                ('marks', models.BigIntegerField()),
                ('marks_due', models.BigIntegerField()),
                ('oldest_mark_seconds', models.DecimalField(decimal_places=1, max_digits=12, null=True)),
                ('jobs_waiting', models.BigIntegerField()),
                ('jobs_failed', models.BigIntegerField()),
                ('oldest_job_seconds', models.DecimalField(decimal_places=1, max_digits=12, null=True)),
                ('embedded', models.BigIntegerField()),
                ('open_to_all', models.BigIntegerField()),
                ('epoch', models.BigIntegerField(null=True)),
                ('terms_refreshed_at', models.DateTimeField(null=True)),
                ('redactions', models.BigIntegerField()),
                ('unerased', models.BigIntegerField()),
                ('oldest_unerased_at', models.DateTimeField(null=True)),
            ],
            options={
                'db_table': 'v_memory_health',
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
