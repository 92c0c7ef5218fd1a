"""Won and lost: counts, win rate, money and days to close, by period, product and agent; and against real files."""

from __future__ import annotations

import csv
import statistics
from collections import defaultdict
from collections.abc import Callable, Iterable
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from django.utils.timezone import now

from flowledger.tenancy.actors import Role
from flowledger.tenancy.models import Organization
from flowledger.tenancy.scope import org_scope
from tests.client import ApiClient, bearer
from tests.factories import MembershipFactory, OrganizationFactory
from tests.queries import counted_queries
from tests.workstream.exports import load
from tests.workstream.factories import AT, SolutionFactory
from tests.workstream.report_rows import closed_pursuit
from workstream import reports
from workstream.reports import Grouping, Step

OUTCOMES = "/api/workstream/outcomes"
MARCH = "?from=2026-03-01&to=2026-03-31"
DAY = timedelta(days=1)
REAL_EXPORT = Path(__file__).resolve().parents[2].parent / "shared" / "data" / "crm-sales-opportunities"


def answer(client: ApiClient, query: str) -> Any:
    found = client.get(OUTCOMES + query)
    assert found.status_code == 200, found.content
    return found.json()


@pytest.mark.django_db
class TestOutcomes:
    def test_totals_are_those_of_the_days(self, org, other_org, as_viewer):
        for days_taken, stage, value in ((10, "won", "100.10"), (20, "won", "0.20"), (60, "lost", "999")):
            closed_pursuit(org, stage, promoted_at=AT - days_taken * DAY, closed_at=AT, forecast_value=Decimal(value))
        closed_pursuit(org, "won", promoted_at=AT - 60 * DAY, closed_at=AT - 31 * DAY)
        closed_pursuit(other_org, "won", promoted_at=AT - DAY, closed_at=AT)
        totals = answer(as_viewer, MARCH)["totals"]
        assert (totals["won"], totals["lost"], totals["win_rate_percent"]) == (2, 1, 66.7)
        assert (totals["currency"], totals["revenue"], totals["other_revenue"]) == ("USD", "100.30", [])
        assert (totals["median_days_to_close"], totals["p90_days_to_close"]) == (20.0, 52.0)
        assert (totals["median_won_days_to_close"], totals["p90_won_days_to_close"]) == (15.0, 19.0)

    def test_rows_are_told_apart_by_what_was_asked_for(self, org, as_viewer):
        desk = SolutionFactory(org=org, name="Desk")
        ann = MembershipFactory(org=org, user__first_name="Ann", user__last_name="Moss").user
        for stage, solution, owner in (
            ("won", desk, ann),
            ("lost", desk, ann),
            ("won", desk, None),
            ("lost", None, ann),
        ):
            closed_pursuit(
                org,
                stage,
                promoted_at=AT - DAY,
                closed_at=AT,
                solution=solution,
                owner=owner,
                forecast_value=Decimal("5.00"),
            )
        by_product = answer(as_viewer, MARCH + "&group_by=product")["data"]
        assert [(row["solution_name"], row["won"], row["lost"], row["revenue"]) for row in by_product] == [
            ("Desk", 2, 1, "10.00"),
            (None, 0, 1, "0.00"),
        ]
        by_agent = answer(as_viewer, MARCH + "&group_by=agent")["data"]
        assert [(row["owner_name"], row["won"], row["lost"]) for row in by_agent] == [("Ann Moss", 1, 2), ("", 1, 0)]
        both = answer(as_viewer, MARCH + "&group_by=agent,product")["data"]
        assert [(row["solution_name"], row["owner_name"], row["revenue"]) for row in both] == [
            ("Desk", "Ann Moss", "5.00"),
            ("Desk", "", "5.00"),
            (None, "Ann Moss", "0.00"),
        ]

    def test_months_and_quarters_are_the_organisations(self, org, as_viewer):
        org.timezone = "America/New_York"
        org.save()
        closed_pursuit(org, "won", promoted_at=AT, closed_at=datetime(2026, 4, 1, 2, tzinfo=UTC))
        (row,) = answer(as_viewer, MARCH)["data"]
        assert row["period"] == "2026-03-01"
        (row,) = answer(as_viewer, MARCH + "&step=quarter")["data"]
        assert row["period"] == "2026-01-01"
        assert answer(as_viewer, "?from=2026-04-01&to=2026-04-30")["data"] == []

    def test_currencies_are_not_added_up(self, org, as_viewer):
        for currency, value in (("USD", "1.10"), ("EUR", "2.20"), ("EUR", "3.30")):
            closed_pursuit(
                org,
                "won",
                promoted_at=AT - DAY,
                closed_at=AT,
                currency=currency,
                forecast_value=Decimal(value),
            )
        found = answer(as_viewer, MARCH)
        for figures in (found["totals"], *found["data"]):
            assert (figures["won"], figures["revenue"]) == (3, "1.10")
            assert figures["other_revenue"] == [{"currency": "EUR", "revenue": "5.50"}]

    def test_an_empty_organisation_has_noughts(self, org, as_viewer):
        found = answer(as_viewer, MARCH)
        assert found["data"] == []
        assert (found["totals"]["won"], found["totals"]["win_rate_percent"], found["totals"]["revenue"]) == (
            0,
            None,
            "0.00",
        )

    def test_asks_the_same_for_few_and_many(self, org, as_viewer):
        closed_pursuit(org, "won", promoted_at=AT - DAY, closed_at=AT)
        query = MARCH + "&group_by=product,agent,period"
        with counted_queries() as few:
            answer(as_viewer, query)
        for _ in range(10):
            owner = MembershipFactory(org=org).user
            closed_pursuit(
                org, "lost", promoted_at=AT - DAY, closed_at=AT, owner=owner, solution=SolutionFactory(org=org)
            )
        with counted_queries() as many:
            assert len(answer(as_viewer, query)["data"]) == 11
        assert (len(few), len(many)) == (5, 5), "\n".join(many)

    @pytest.mark.parametrize("query", ["?step=week", "?group_by=country", "?by=product"])
    def test_refuses_what_it_does_not_know(self, as_viewer, query):
        assert as_viewer.get(OUTCOMES + query).status_code == 400


ZONE = "America/New_York"
SPELLED = {"GTXPro": "GTX Pro"}


class Deal:
    """One closed line of the file, read by nothing of ours."""

    def __init__(self, line: dict[str, str]) -> None:
        self.is_won = line["deal_stage"] == "Won"
        self.product = SPELLED.get(line["product"], line["product"])
        self.agent = line["sales_agent"]
        self.revenue = Decimal(line["close_value"] or "0") if self.is_won else Decimal(0)
        begin, self.closed = (self.day(line[name]) for name in ("engage_date", "close_date"))
        self.days = (self.noon(self.closed) - self.noon(begin)).total_seconds() / 86_400

    @staticmethod
    def day(text: str) -> date:
        month, day, year = map(int, text.split("/"))
        return date(year, month, day)

    @staticmethod
    def noon(day: date) -> datetime:
        """In UTC: subtracting within one zone would forget the hour that a change of clocks takes or gives."""
        return datetime.combine(day, time(12), ZoneInfo(ZONE)).astimezone(UTC)

    @property
    def month(self) -> date:
        return self.closed.replace(day=1)

    @property
    def quarter(self) -> date:
        return date(self.closed.year, (self.closed.month - 1) // 3 * 3 + 1, 1)


def figures(deals: Iterable[Deal]) -> dict[str, Any]:
    """What the report must say of these deals, by the standard library."""
    deals = list(deals)
    lengths = [deal.days for deal in deals]
    won = sum(deal.is_won for deal in deals)
    p90 = statistics.quantiles(lengths, n=10, method="inclusive")[8] if len(lengths) > 1 else lengths[0]
    return {
        "won": won,
        "lost": len(deals) - won,
        "win_rate_percent": round(Decimal(100 * won) / len(deals), 1),
        "revenue": sum((deal.revenue for deal in deals), Decimal(0)),
        "median_hours": round(statistics.median(lengths) * 24),
        "p90_hours": round(p90 * 24),
    }


def said(row: dict[str, Any]) -> dict[str, Any]:
    """The same of a row of the report."""
    return {
        **{name: row[name] for name in ("won", "lost", "win_rate_percent", "revenue")},
        "median_hours": round(row["median_days_to_close"] * 24),
        "p90_hours": round(row["p90_days_to_close"] * 24),
    }


@pytest.mark.skipif(not REAL_EXPORT.is_dir(), reason=f"the public data set is not at {REAL_EXPORT}")
class TestRealHistory:
    """6,711 closed deals of a public data set, imported, against the files read by themselves."""

    def test_equals_the_files_to_the_cent_and_the_hour(self, transactional_db):
        org = OrganizationFactory(timezone=ZONE)
        report = load(REAL_EXPORT, org)
        assert report.bad_rows == []
        with (REAL_EXPORT / "sales_pipeline.csv").open(newline="") as file:
            deals = [Deal(line) for line in csv.DictReader(file) if line["deal_stage"] in {"Won", "Lost"}]
        assert len(deals) == 6711

        whole = self.asked(org, [])
        assert said(whole.totals) == figures(deals)
        self.compare(deals, self.asked(org, [Grouping.PRODUCT]), "solution_name", lambda deal: deal.product)
        self.compare(deals, self.asked(org, [Grouping.AGENT]), "owner_name", lambda deal: deal.agent)
        self.compare(deals, self.asked(org, [Grouping.PERIOD]), "period", lambda deal: deal.month)
        quarters = self.asked(org, [Grouping.PERIOD], step=Step.QUARTER)
        self.compare(deals, quarters, "period", lambda deal: deal.quarter)
        pairs = self.asked(org, [Grouping.PRODUCT, Grouping.AGENT])
        expected = defaultdict(Decimal)
        for deal in deals:
            expected[deal.product, deal.agent] += deal.revenue
        assert {(row["solution_name"], row["owner_name"]): row["revenue"] for row in pairs.rows} == dict(expected)
        self.over_http(org, whole)

    def asked(self, org: Organization, by: list[Grouping], step: Step = Step.MONTH) -> reports.Report:
        period = reports.period_of(org, date(2016, 1, 1), date(2018, 12, 31), months=1, at=now())
        with org_scope(org):
            return reports.outcomes(org=org, period=period, by=by, step=step, at=now())

    def compare(self, deals: list[Deal], report: reports.Report, column: str, key: Callable[[Deal], Any]) -> None:
        groups: dict[Any, list[Deal]] = defaultdict(list)
        for deal in deals:
            groups[key(deal)].append(deal)
        assert len(groups) > 1
        assert {row[column]: said(row) for row in report.rows} == {name: figures(each) for name, each in groups.items()}

    def over_http(self, org: Organization, whole: reports.Report) -> None:
        """The endpoint says what the report said."""
        member = MembershipFactory(org=org, role=Role.VIEWER)
        totals = answer(ApiClient(bearer(member)), "?from=2016-01-01&to=2018-12-31")["totals"]
        assert (totals["won"], totals["lost"]) == (whole.totals["won"], whole.totals["lost"])
        assert Decimal(totals["revenue"]) == whole.totals["revenue"]
