"""`/api/memory/patterns`: how often deals with a trait were won, as JSON or as a CSV file."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from django.http.response import HttpResponseBase
from django.utils.timezone import now
from drf_spectacular.utils import OpenApiParameter
from rest_framework.request import Request

from memory import services
from memory.api.serializers.patterns import PatternFiguresSerializer, PatternRowSerializer
from memory.intervals import Interval
from memory.rules import PATTERNS
from memory.services.patterns import TRAITS, Pattern, Rate
from workstream.api.views.reports import DAYS, ReportView, describe
from workstream.reports import Report


class OutcomePatternsView(ReportView):
    """What won deals have in common."""

    scope = "memory"
    file_name = "outcome-patterns"
    row_serializer = PatternRowSerializer
    totals_serializer = PatternFiguresSerializer
    parameters = ("from", "to", "trait", "value")

    def report(self) -> Report:
        period = self.period(months=PATTERNS.of(self.org).months)
        found = services.outcome_patterns(
            org=self.org,
            since=period.since,
            until=period.until,
            traits=self.choices("trait", list(TRAITS)),
            value=self.request.query_params.get("value", ""),
            actor=self.actor,
            at=now(),
        )
        totals = {"won": found.won, "lost": found.lost, "compared": found.compared, "by_chance": found.by_chance}
        return Report(rows=[_row(pattern) for pattern in found.patterns], period=period, totals=totals)

    @describe(
        "OutcomePatternsReport",
        PatternRowSerializer,
        *DAYS,
        OpenApiParameter("trait", str, enum=list(TRAITS), many=True, description="These only; all when left out."),
        OpenApiParameter("value", str, description="Of one trait this value only, however few pursuits have it."),
        totals=PatternFiguresSerializer(),
    )
    def get(self, request: Request) -> HttpResponseBase:
        """Win rates with and without each trait, the surest first; over the months that the rule says by default."""
        return self.answer()


def _row(pattern: Pattern) -> dict[str, Any]:
    rate, other = pattern.rate_with, pattern.rate_without
    points = rate.share - other.share if rate and other else None
    return {
        **{name: getattr(pattern, name) for name in ("trait", "value", "label", "verdict", "sentence", "unknown")},
        **{name: getattr(pattern, name) for name in ("with_won", "with_lost", "without_won", "without_lost")},
        **_shown("win_rate_with", "with", rate),
        **_shown("win_rate_without", "without", other),
        "difference_points": _percent(points),
        "difference_low_points": _percent(pattern.difference.low if pattern.difference else None),
        "difference_high_points": _percent(pattern.difference.high if pattern.difference else None),
    }


def _shown(name: str, side: str, rate: Rate | None) -> dict[str, Decimal | None]:
    interval: Interval | None = rate.interval if rate else None
    return {
        f"{name}_percent": _percent(rate.share if rate else None),
        f"{side}_low_percent": _percent(interval.low if interval else None),
        f"{side}_high_percent": _percent(interval.high if interval else None),
    }


def _percent(share: float | None) -> Decimal | None:
    """With one decimal."""
    return None if share is None else (100 * Decimal(share)).quantize(Decimal("0.1"))
