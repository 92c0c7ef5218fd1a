"""`/api/spotlights/report` and what is below it: figures of profiles, each as JSON or as a CSV file."""

from __future__ import annotations

from django.http.response import HttpResponseBase
from django.utils.timezone import now
from drf_spectacular.utils import OpenApiParameter
from rest_framework.request import Request

from flowledger.errors import InvalidInput
from spotlight import reports
from spotlight.api.serializers import reports as shapes
from spotlight.models import Spotlight
from workstream.api.views.reports import DAYS, ReportView, describe
from workstream.reports import Period, Report

PROFILE = OpenApiParameter("spotlight_id", int, description="One profile; without, all active ones.")


class SpotlightReportView(ReportView):
    """Base of the reports about profiles."""

    def days(self) -> Period:
        """`from` and `to`, else this month and the two before."""
        return self.period(months=reports.MATCH_MONTHS)

    def spotlight_id(self) -> int | None:
        """The profile that was asked for. Raises InvalidInput for what is no profile of the organisation."""
        text = self.request.query_params.get("spotlight_id", "")
        if not text:
            return None
        is_id = text.isascii() and text.isdigit() and len(text) < 19
        if not is_id or not Spotlight.objects.for_org(self.org).filter(pk=int(text)).exists():
            sentence = f"There is no profile {text[:20]} in this organisation."
            raise InvalidInput(f"spotlight_id: {sentence}", fields={"spotlight_id": [sentence]})
        return int(text)


class ScoreSummaryView(SpotlightReportView):
    """What everything scores now."""

    file_name = "spotlight-scores"
    row_serializer = shapes.ScoreSummaryRowSerializer

    def report(self) -> Report:
        return reports.score_summary(org=self.org)

    @describe("SpotlightScoreReport", shapes.ScoreSummaryRowSerializer)
    def get(self, request: Request) -> HttpResponseBase:
        """Per profile and kind of item: recommendations, match rate, mean score and coverage, as they stand now."""
        return self.answer()


class MatchRateView(SpotlightReportView):
    """How much of what comes in matches."""

    file_name = "spotlight-match-rates"
    row_serializer = shapes.MatchRateRowSerializer
    totals_serializer = shapes.MatchFiguresSerializer
    parameters = ("from", "to", "step", "spotlight_id")

    def report(self) -> Report:
        steps = self.choices("step", [each.value for each in reports.Step]) or [reports.Step.WEEK]
        return reports.match_rates(
            org=self.org,
            period=self.days(),
            step=reports.Step(steps[-1]),
            spotlight_id=self.spotlight_id(),
            at=now(),
        )

    @describe(
        "SpotlightMatchRateReport",
        shapes.MatchRateRowSerializer,
        *DAYS,
        OpenApiParameter("step", str, enum=[each.value for each in reports.Step], default="week"),
        PROFILE,
        totals=shapes.MatchFiguresSerializer(),
    )
    def get(self, request: Request) -> HttpResponseBase:
        """Signals by profile and week, day or month, with their match rate; three months by default."""
        return self.answer()


class ConversionView(SpotlightReportView):
    """What becomes of the bands."""

    file_name = "spotlight-conversion"
    row_serializer = shapes.ConversionRowSerializer
    totals_serializer = shapes.ConversionFiguresSerializer
    parameters = ("from", "to", "spotlight_id")

    def report(self) -> Report:
        return reports.conversion(org=self.org, period=self.days(), spotlight_id=self.spotlight_id())

    @describe(
        "SpotlightConversionReport",
        shapes.ConversionRowSerializer,
        *DAYS,
        PROFILE,
        totals=shapes.ConversionFiguresSerializer(),
    )
    def get(self, request: Request) -> HttpResponseBase:
        """Signals of the period by band: candidates, pursuits and wins they led to; three months by default."""
        return self.answer()


class FieldUsageView(SpotlightReportView):
    """What profiles get to know."""

    file_name = "spotlight-fields"
    row_serializer = shapes.FieldUsageRowSerializer
    parameters = ("from", "to", "spotlight_id")

    def report(self) -> Report:
        return reports.field_usage(org=self.org, period=self.days(), spotlight_id=self.spotlight_id())

    @describe("SpotlightFieldReport", shapes.FieldUsageRowSerializer, *DAYS, PROFILE)
    def get(self, request: Request) -> HttpResponseBase:
        """Per criterion how often it is known, from where, and met, over the newest 2,000 signals of the period."""
        return self.answer()


class MatchAlertView(SpotlightReportView):
    """When profiles matched too little."""

    file_name = "spotlight-alerts"
    row_serializer = shapes.MatchAlertRowSerializer
    parameters = ("from", "to")

    def report(self) -> Report:
        return reports.alerts(org=self.org, period=self.days())

    @describe("SpotlightAlertReport", shapes.MatchAlertRowSerializer, *DAYS)
    def get(self, request: Request) -> HttpResponseBase:
        """Stretches of low match rates that stood in the period, newest first."""
        return self.answer()
