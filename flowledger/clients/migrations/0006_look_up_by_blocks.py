"""Company names are looked up by their blocks alone, however few there are."""

from django.db import migrations

from flowledger.clients.sql.matching import replace_company_candidates


class Migration(migrations.Migration):
    dependencies = [("clients", "0005_matching_indexes")]

    operations = [migrations.RunSQL(replace_company_candidates(), migrations.RunSQL.noop)]
