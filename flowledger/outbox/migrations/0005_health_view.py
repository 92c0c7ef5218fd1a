"""The view of what waits and what is dead."""

from pathlib import Path

from django.db import migrations

from flowledger.sqlviews import InstallSql, read_view

SQL = Path(__file__).resolve().parents[1] / "sql"


class Migration(migrations.Migration):

    dependencies = [("outbox", "0004_claim_by_one_index")]

    operations = [InstallSql(read_view(SQL, "v_outbox_health", 1))]
