"""Something for every SQL view to show; a new view adds what it reads here."""

from __future__ import annotations

from datetime import timedelta

from flowledger.configuration.models import ConfigValue
from flowledger.tenancy.models import Organization
from flowledger.tenancy.scope import system_scope
from tests.spotlight.factories import SpotlightFactory
from tests.workstream.factories import AT, PursuitFactory, SignalFactory, StageHistoryFactory
from tests.workstream.report_rows import clock, closed_pursuit, panel_row, pending_event


def fill(org: Organization) -> None:
    """Store rows of the organisation that every view counts or shows."""
    with system_scope("tests"):
        panel_row(org)
        PursuitFactory(org=org)
        StageHistoryFactory(org=org, left_at=AT + timedelta(hours=2), left_for="pink")
        clock(org)
        SignalFactory(org=org)
        SpotlightFactory(org=org)
        closed_pursuit(org, "won", promoted_at=AT - timedelta(days=3), closed_at=AT)
        pending_event(org)
        ConfigValue.all_orgs.create(
            org=org,
            rule_type="sla_rule",
            key="untouched_hours",
            version=1,
            change="set",
            value=48,
            effective_from=AT,
            reason="Tests",
            changed_by_kind="system",
            origin="system",
            changed_at=AT,
        )
