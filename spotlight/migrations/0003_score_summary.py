"""The view of the scores per profile."""

from pathlib import Path

from django.db import migrations

from flowledger.sqlviews import InstallSql, read_view

SQL = Path(__file__).resolve().parents[1] / "reports" / "sql"


class Migration(migrations.Migration):

    dependencies = [("spotlight", "0002_immutable_versions")]

    operations = [InstallSql(read_view(SQL, "v_spotlight_score_summary", 1))]
