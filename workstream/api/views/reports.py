"""`/api/workstream/funnel`, `/velocity`, `/outcomes` and the other reports, each as JSON or as a CSV file."""

from __future__ import annotations

from datetime import date
from typing import Any, ClassVar

from django.http.response import HttpResponseBase
from django.utils.timezone import now
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, OpenApiResponse, extend_schema, inline_serializer
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from flowledger.api.base import OrgAPIView
from flowledger.api.exports import (
    EXPORT_PARAMETERS,
    FORMATS,
    ExportFilter,
    csv_response,
    rows_in_batches,
    wants_bom,
    wants_csv,
)
from flowledger.api.filters import ChoicesFilter, DayFilter, IdsFilter, OrgFilterSet, YesNoFilter, refuse_unknown
from flowledger.api.mixins import ListModelMixin
from flowledger.api.viewsets import OrgViewSet
from flowledger.errors import InvalidInput
from workstream import reports
from workstream.api.serializers import reports as shapes
from workstream.machines import OPEN_STAGES

FORMAT = OpenApiParameter(
    "format", str, enum=FORMATS, description="`csv` answers a file; so does `Accept: text/csv`.", default="json"
)
BOM = OpenApiParameter("bom", bool, description="Begin the CSV file with a byte-order mark, as older Excel wants it.")
DAYS = [
    OpenApiParameter("from", OpenApiTypes.DATE, description="First day, in the organisation's time zone."),
    OpenApiParameter("to", OpenApiTypes.DATE, description="Last day; today when left out."),
]


def describe(name: str, row: type[serializers.Serializer[Any]], *extra: OpenApiParameter, **members: Any) -> Any:
    """The documentation of a report: its parameters, its rows and further members, and the file."""
    answer = inline_serializer(
        name,
        {
            "data": row(many=True),
            "period": shapes.PeriodSerializer(allow_null=True),
            "health": shapes.HealthFigureSerializer(many=True),
            **members,
        },
    )
    file = OpenApiResponse(OpenApiTypes.STR, description="The rows as a file.")
    return extend_schema(
        parameters=[FORMAT, BOM, *extra],
        responses={(200, "application/json"): answer, (200, "text/csv"): file},
    )


class ReportView(OrgAPIView):
    """Base of the reports: `report()` asks, the rest is the same for all."""

    scope = "workstream"
    file_name: ClassVar[str]
    row_serializer: ClassVar[type[serializers.Serializer[Any]]]
    totals_serializer: ClassVar[type[serializers.Serializer[Any]] | None] = None
    parameters: ClassVar[tuple[str, ...]] = ()

    def report(self) -> reports.Report:
        """The figures of this request."""
        raise NotImplementedError

    def answer(self) -> HttpResponseBase:
        """The report in the form that was asked for. Raises InvalidInput for parameters that it does not know."""
        if unknown := refuse_unknown(self.request.query_params, [*EXPORT_PARAMETERS, "org_id", *self.parameters]):
            name, sentences = next(iter(unknown.items()))
            raise InvalidInput(f"{name}: {sentences[0]}", fields=unknown)
        as_file, report = wants_csv(self.request), self.report()
        rows = self.row_serializer(report.rows, many=True).data
        if as_file:
            return csv_response(self.file_name, self.columns(), map(self.line, rows), bom=wants_bom(self.request))
        body: dict[str, Any] = {
            "data": rows,
            "period": shapes.PeriodSerializer(report.period).data if report.period else None,
            "health": shapes.HealthFigureSerializer(report.health, many=True).data,
        }
        if self.totals_serializer:
            body["totals"] = self.totals_serializer(report.totals).data
        return Response(body)

    def columns(self) -> list[str]:
        """The columns of the file."""
        return list(self.row_serializer().fields)

    def line(self, row: dict[str, Any]) -> dict[str, Any]:
        """A row as a line of the file."""
        return row

    def period(self, *, months: int) -> reports.Period:
        """`from` and `to`, else the last so many months."""
        return reports.period_of(self.org, self._day("from"), self._day("to"), months=months, at=now())

    def _day(self, name: str) -> date | None:
        text = self.request.query_params.get(name)
        if not text:
            return None
        try:
            return DayFilter().convert(text)
        except ValueError as error:
            raise InvalidInput(f"{name}: {error}", fields={name: [str(error)]}) from None

    def choices(self, name: str, known: list[str]) -> list[str]:
        """The values of a parameter that takes several. Raises InvalidInput for others."""
        given = [part for text in self.request.query_params.getlist(name) for part in text.split(",") if part]
        if strange := [part for part in given if part not in known]:
            sentence = f"'{strange[0]}' is not one of: {', '.join(known)}."
            raise InvalidInput(f"{name}: {sentence}", fields={name: [sentence]})
        return given


class FunnelView(ReportView):
    """Where candidates and pursuits stand."""

    file_name = "funnel"
    row_serializer = shapes.FunnelRowSerializer

    def report(self) -> reports.Report:
        return reports.funnel(org=self.org, at=now())

    @describe("FunnelReport", shapes.FunnelRowSerializer)
    def get(self, request: Request) -> HttpResponseBase:
        """Candidates and pursuits per stage, counted now."""
        return self.answer()


class VelocityView(ReportView):
    """How fast stages are passed."""

    file_name = "velocity"
    row_serializer = shapes.VelocityRowSerializer
    parameters = ("from", "to")

    def report(self) -> reports.Report:
        return reports.velocity(org=self.org, period=self.period(months=reports.VELOCITY_MONTHS))

    @describe("VelocityReport", shapes.VelocityRowSerializer, *DAYS)
    def get(self, request: Request) -> HttpResponseBase:
        """Per stage and month of entry: median and p90 hours, conversion and drop-off; three months by default."""
        return self.answer()


class SlaComplianceView(ReportView):
    """How the SLA was kept."""

    file_name = "sla-compliance"
    row_serializer = shapes.ComplianceRowSerializer
    totals_serializer = shapes.ComplianceFiguresSerializer
    parameters = ("from", "to")

    def report(self) -> reports.Report:
        return reports.sla_compliance(org=self.org, period=self.period(months=reports.COMPLIANCE_MONTHS))

    @describe("SlaComplianceReport", shapes.ComplianceRowSerializer, *DAYS, totals=shapes.ComplianceFiguresSerializer())
    def get(self, request: Request) -> HttpResponseBase:
        """Per metric: met, breached, open and compliance; this month and the two before unless days are given."""
        return self.answer()


class WorkloadView(ReportView):
    """Who has how much to do."""

    file_name = "workload"
    row_serializer = shapes.WorkloadRowSerializer

    def report(self) -> reports.Report:
        return reports.workload(org=self.org, at=now())

    @describe("WorkloadReport", shapes.WorkloadRowSerializer)
    def get(self, request: Request) -> HttpResponseBase:
        """Per owner what stands on the Today panel: items by tier, breaches, stale items, hours since touch."""
        return self.answer()


class IdentityStatusView(ReportView):
    """How well the senders of signals are known."""

    file_name = "identity-status"
    row_serializer = shapes.IdentityRowSerializer
    totals_serializer = shapes.IdentityFiguresSerializer

    def report(self) -> reports.Report:
        return reports.identity_status(org=self.org)

    @describe("IdentityStatusReport", shapes.IdentityRowSerializer, totals=shapes.IdentityFiguresSerializer())
    def get(self, request: Request) -> HttpResponseBase:
        """Signals per status of identity resolution."""
        return self.answer()


class OutboxHealthView(ReportView):
    """Whether events are delivered in time."""

    file_name = "outbox-health"
    row_serializer = shapes.OutboxRowSerializer

    def report(self) -> reports.Report:
        return reports.outbox(org=self.org)

    @describe("OutboxHealthReport", shapes.OutboxRowSerializer)
    def get(self, request: Request) -> HttpResponseBase:
        """The organisation's own backlog of events: one row."""
        return self.answer()


class OutcomesView(ReportView):
    """Won and lost."""

    file_name = "outcomes"
    row_serializer = shapes.OutcomeRowSerializer
    totals_serializer = shapes.OutcomeFiguresSerializer
    parameters = ("from", "to", "group_by", "step")

    def report(self) -> reports.Report:
        steps = self.choices("step", [each.value for each in reports.Step]) or [reports.Step.MONTH]
        return reports.outcomes(
            org=self.org,
            period=self.period(months=reports.OUTCOME_MONTHS),
            by=self.groupings(),
            step=reports.Step(steps[-1]),
            at=now(),
        )

    def groupings(self) -> list[reports.Grouping]:
        """What the rows are told apart by; periods unless said otherwise."""
        given = self.choices("group_by", [each.value for each in reports.Grouping])
        return [reports.Grouping(each) for each in given] or [reports.Grouping.PERIOD]

    def columns(self) -> list[str]:
        return reports.columns_of(self.groupings()) + list(shapes.OutcomeFiguresSerializer().fields)

    def line(self, row: dict[str, Any]) -> dict[str, Any]:
        elsewhere = [f"{each['currency']} {each['revenue']}" for each in row["other_revenue"]]
        return {**row, "other_revenue": elsewhere}

    @describe(
        "OutcomesReport",
        shapes.OutcomeRowSerializer,
        *DAYS,
        OpenApiParameter("group_by", str, enum=[each.value for each in reports.Grouping], many=True),
        OpenApiParameter("step", str, enum=[each.value for each in reports.Step], default="month"),
        totals=shapes.OutcomeFiguresSerializer(),
    )
    def get(self, request: Request) -> HttpResponseBase:
        """Won and lost, win rate, revenue and days to close, by period, product and agent; twelve months by default."""
        return self.answer()


class ChecklistReadyFilters(OrgFilterSet):
    stage = ChoicesFilter(choices=[(stage.value, stage.label) for stage in OPEN_STAGES])
    owner_user_id = IdsFilter("owner_id")
    is_ready = YesNoFilter("is_ready")
    due_from = DayFilter("due_date", lookup_expr="gte")
    due_to = DayFilter("due_date", lookup_expr="lte")
    format = ExportFilter("stage")
    bom = ExportFilter("stage")


class ChecklistReadyViewSet(OrgViewSet, ListModelMixin):
    """Open pursuits and whether their checklists let them go on."""

    model = reports.PursuitChecklistReady
    resource = "pursuit"
    scope = "workstream"
    serializer_class = shapes.ChecklistReadySerializer
    filterset_class = ChecklistReadyFilters

    def scoped_queryset(self, rows: Any) -> Any:
        return rows.order_by("due_date", "pk")

    @extend_schema(
        responses={
            (200, "application/json"): shapes.ChecklistReadySerializer(many=True),
            (200, "text/csv"): OpenApiResponse(OpenApiTypes.STR, description="Every row of the list, by key."),
        }
    )
    def list(self, request: Request) -> HttpResponseBase:  # type: ignore[override]  # a file is an answer, too
        """A page of open pursuits, soonest first; as a file all of them."""
        rows = self.filter_queryset(self.get_queryset())
        if not wants_csv(request):
            return self.reply_list(rows)
        columns = list(shapes.ChecklistReadySerializer().fields)
        all_rows = rows_in_batches(self.org, rows, lambda row: shapes.ChecklistReadySerializer(row).data)
        return csv_response("checklist-ready", columns, all_rows, bom=wants_bom(request))
