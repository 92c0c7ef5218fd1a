"""Functions that look up who or what may be meant."""

from django.db import migrations

from flowledger.clients.sql.matching import create_functions, drop_functions


class Migration(migrations.Migration):
    dependencies = [("clients", "0003_conflicts_and_merges")]

    operations = [migrations.RunSQL(create_functions(), drop_functions())]
