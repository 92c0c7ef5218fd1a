"""Indexes that reports are read in alone."""

from django.contrib.postgres.operations import AddIndexConcurrently, RemoveIndexConcurrently
from django.db import migrations, models
from django.db.models import Q


class Migration(migrations.Migration):
    # Built beside the traffic; a failed one is dropped by hand and the migration run again.
    atomic = False

    dependencies = [("workstream", "0011_board_indexes")]

    operations = [
        AddIndexConcurrently(
            "stagehistory",
            models.Index(
                fields=["org", "entered_at"],
                include=("state", "left_at", "left_for", "is_inferred"),
                name="stage_history_velocity",
            ),
        ),
        AddIndexConcurrently(
            "candidate",
            models.Index(
                condition=Q(promoted_at__isnull=False),
                fields=["org", "id"],
                include=("promoted_at", "solution"),
                name="candidate_promoted",
            ),
        ),
        RemoveIndexConcurrently("gatecheck", "gate_check_pass_rate"),
        AddIndexConcurrently(
            "gatecheck",
            models.Index(fields=["org", "checked_at"], include=("passed",), name="gate_check_pass_rate"),
        ),
        AddIndexConcurrently(
            "pursuit",
            models.Index(
                condition=Q(closed_at__isnull=False),
                fields=["org", "closed_at"],
                include=("stage", "candidate", "owner", "forecast_value", "currency"),
                name="pursuit_by_closing",
            ),
        ),
    ]
