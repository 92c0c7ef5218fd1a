"""Figures and lists over many rows of the pipeline."""

from workstream.reports.funnel import VELOCITY_MONTHS, funnel, velocity
from workstream.reports.health import HealthFigure
from workstream.reports.outcomes import OUTCOME_MONTHS, Grouping, Step, columns_of, outcomes
from workstream.reports.periods import Period, last_days, period_of
from workstream.reports.pipeline import COUNTED, pipeline_counts
from workstream.reports.service_levels import COMPLIANCE_MONTHS, outbox, sla_compliance, workload
from workstream.reports.signals import identity_status
from workstream.reports.tables import Report
from workstream.reports.views import PursuitChecklistReady

__all__ = [
    "COMPLIANCE_MONTHS",
    "COUNTED",
    "OUTCOME_MONTHS",
    "VELOCITY_MONTHS",
    "Grouping",
    "HealthFigure",
    "Period",
    "PursuitChecklistReady",
    "Report",
    "Step",
    "columns_of",
    "funnel",
    "identity_status",
    "last_days",
    "outbox",
    "outcomes",
    "period_of",
    "pipeline_counts",
    "sla_compliance",
    "velocity",
    "workload",
]
