"""Words, inverted index and search function of the Today panel."""

from django.db import migrations

from flowledger.tenancy.search import make_searchable


class Migration(migrations.Migration):
    dependencies = [("workstream", "0004_sla_and_today")]

    operations = make_searchable(
        table="workstream_todayitem",
        columns=["label", "client_name"],
        function="today_search",
        index="today_item_words",
    )
