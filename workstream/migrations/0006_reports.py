"""Views and functions of the reports, and what velocity reads: the state that followed a stay."""

from pathlib import Path

from django.db import migrations, models

from flowledger.sqlviews import InstallSql, read_function, read_view

SQL = Path(__file__).resolve().parents[1] / "reports" / "sql"

FUNCTIONS = [
    read_function(
        SQL,
        "workstream_velocity",
        1,
        signature="since timestamptz, until timestamptz",
        columns="org_id bigint, item_type text, stage text, month date, entered bigint, finished bigint, "
        "measured bigint, advanced bigint, dropped bigint, seconds double precision[]",
    ),
    read_function(
        SQL,
        "workstream_sla_compliance",
        1,
        signature="since timestamptz, until timestamptz",
        columns="org_id bigint, metric text, met bigint, breached bigint, open bigint, open_breaches bigint",
    ),
    read_function(
        SQL,
        "workstream_user_workload",
        1,
        signature="at timestamptz, stale_after interval",
        columns="org_id bigint, owner_id bigint, items bigint, urgent bigint, high bigint, medium bigint, low bigint, "
        "breaches bigint, stale bigint, snoozed bigint, mean_seconds double precision, oldest_touch_at timestamptz",
    ),
]
VIEWS = [
    "v_today_panel",
    "v_today_panel_enhanced",
    "v_pursuit_checklist_ready",
    "v_workstream_funnel",
    "v_workstream_funnel_velocity",
    "v_sla_compliance_summary",
    "v_user_workload",
    "v_identity_resolution_status",
    "v_sales_outcome",
]


class Migration(migrations.Migration):

    dependencies = [("clients", "0002_search"), ("workstream", "0005_today_search")]

    operations = [
        migrations.AddField(
            model_name="stagehistory",
            name="left_for",
            field=models.CharField(blank=True, db_default="", default="", max_length=20),
        ),
        *(InstallSql(each) for each in FUNCTIONS),
        *(InstallSql(read_view(SQL, name, 1)) for name in VIEWS),
    ]
