"""The funnel reads the tally instead of counting."""

from pathlib import Path

from django.db import migrations

from flowledger.sqlviews import InstallSql, read_view

SQL = Path(__file__).resolve().parents[1] / "reports" / "sql"


class Migration(migrations.Migration):

    dependencies = [("workstream", "0012_report_indexes")]

    operations = [
        InstallSql(read_view(SQL, "v_workstream_funnel", 2), replaces=read_view(SQL, "v_workstream_funnel", 1)),
    ]
