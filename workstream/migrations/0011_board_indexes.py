"""Indexes of the boards; `pursuit_board` takes the place of `pursuit_by_stage`, which it begins with."""

from django.contrib.postgres.operations import AddIndexConcurrently, RemoveIndexConcurrently
from django.db import migrations, models
from django.db.models import Q


class Migration(migrations.Migration):
    # Built beside the traffic; a failed one is dropped by hand and the migration run again.
    atomic = False

    dependencies = [("workstream", "0010_count_items")]

    operations = [
        AddIndexConcurrently(
            "candidate",
            models.Index(
                fields=["org", "status", "next_step_due", "id"],
                include=("currency", "estimated_value", "owner"),
                name="candidate_board",
            ),
        ),
        AddIndexConcurrently(
            "candidate",
            models.Index(
                condition=Q(status__in=["promoted", "archived"]),
                fields=["org", "status", "-state_entered_at", "-id"],
                name="candidate_board_closed",
            ),
        ),
        AddIndexConcurrently(
            "pursuit",
            models.Index(
                fields=["org", "stage", "due_date", "id"],
                include=("owner", "currency", "forecast_value", "probability"),
                name="pursuit_board",
            ),
        ),
        AddIndexConcurrently(
            "pursuit",
            models.Index(
                condition=Q(stage__in=("won", "lost")),
                fields=["org", "stage", "-state_entered_at", "-id"],
                name="pursuit_board_closed",
            ),
        ),
        AddIndexConcurrently(
            "slaclock",
            models.Index(
                condition=Q(candidate__isnull=False, stopped_at__isnull=True, warned_at__isnull=False),
                fields=["org", "candidate"],
                name="sla_clock_warned_candidate",
            ),
        ),
        AddIndexConcurrently(
            "slaclock",
            models.Index(
                condition=Q(pursuit__isnull=False, stopped_at__isnull=True, warned_at__isnull=False),
                fields=["org", "pursuit"],
                name="sla_clock_warned_pursuit",
            ),
        ),
        AddIndexConcurrently(
            "todayitem",
            models.Index(
                fields=["org", "state", "badge", "tier", "due_order", "last_touch_at", "id"],
                include=("candidate", "pursuit"),
                name="today_item_board",
            ),
        ),
        RemoveIndexConcurrently("pursuit", "pursuit_by_stage"),
    ]
