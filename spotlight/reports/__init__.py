"""Figures over many scores: what profiles match, what becomes of it, and what they know."""

from spotlight.reports.conversion import conversion
from spotlight.reports.field_usage import SAMPLE, field_usage
from spotlight.reports.matching import MATCH_MONTHS, Step, alerts, match_rates, recent_rates, score_summary
from spotlight.reports.views import ScoreSummary

__all__ = [
    "MATCH_MONTHS",
    "SAMPLE",
    "ScoreSummary",
    "Step",
    "alerts",
    "conversion",
    "field_usage",
    "match_rates",
    "recent_rates",
    "score_summary",
]
