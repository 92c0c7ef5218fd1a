"""The trigram index of company names, which no look-up uses any more."""

from django.db import migrations


class Migration(migrations.Migration):
    atomic = False
    dependencies = [("clients", "0006_look_up_by_blocks")]

    operations = [
        migrations.RunSQL(
            "DROP INDEX CONCURRENTLY IF EXISTS public.identity_key_trigrams", migrations.RunSQL.noop
        )
    ]
