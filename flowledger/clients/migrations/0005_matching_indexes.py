"""Indexes behind the functions that look up who or what may be meant."""

from django.db import migrations

from flowledger.clients.sql.matching import INDEXES


class Migration(migrations.Migration):
    atomic = False
    dependencies = [("clients", "0004_matching")]

    operations = [
        migrations.RunSQL(
            f'CREATE INDEX CONCURRENTLY "{name}" {definition}', f'DROP INDEX CONCURRENTLY public."{name}"'
        )
        for name, definition in INDEXES.items()
    ]
