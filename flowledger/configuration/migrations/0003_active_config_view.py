"""The view of what organisations have set and what of it holds now."""

from pathlib import Path

from django.db import migrations

from flowledger.sqlviews import InstallSql, read_view

SQL = Path(__file__).resolve().parents[1] / "sql"


class Migration(migrations.Migration):
    dependencies = [("configuration", "0002_immutable_facts")]

    operations = [InstallSql(read_view(SQL, "v_active_config", 1))]
