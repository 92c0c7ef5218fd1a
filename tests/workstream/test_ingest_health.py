"""Ingest health from the ledger itself: last success, last error, counts, repeats, open rejects and lag."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import pytest
from django.db import connection

from flowledger.tenancy.actors import Role
from flowledger.tenancy.scope import org_scope
from tests.queries import counted_queries
from tests.workstream.factories import AT, CLERK
from workstream import services
from workstream.models.imports import ImportRun
from workstream.models.intake import IntakeSource
from workstream.models.signals import Channel
from workstream.reports.ingest import Counts, Standing, WayIn, ingest_health
from workstream.services.receiving import Incoming


def source(org: Any, **changes: Any) -> IntakeSource:
    given = {"kind": "webhook", "name": "Shop", "source_type": "webhook", "token": f"{org.pk}-shop", **changes}
    return IntakeSource.all_orgs.create(org=org, **given)


def receive(org: Any, *rows: dict[str, Any], at: datetime = AT, **way: Any) -> None:
    items = [Incoming(fields=fields, body=repr((fields, at)).encode()) for fields in rows]
    services.receive_signals(org=org, items=items, actor=CLERK, at=at, **{"channel": Channel.BULK, **way})


def way(org: Any, channel: str, source_id: int | None = None, at: datetime = AT) -> WayIn:
    (found,) = [
        each for each in ingest_health(org=org, at=at) if (each.channel, each.source_id) == (channel, source_id)
    ]
    return found


@pytest.mark.django_db
class TestWaysIn:
    def test_every_channel_is_there_before_anything_came(self, org):
        found = ingest_health(org=org, at=AT)

        assert [each.channel for each in found] == [channel.value for channel in Channel]
        assert {each.standing for each in found} == {Standing.NEVER}
        assert found[0].received == Counts(0, 0, 0)

    def test_counts_what_came_in_the_last_hour_day_and_week(self, org):
        for number, ago in enumerate((timedelta(), timedelta(hours=2), timedelta(days=3), timedelta(days=9))):
            receive(org, {"source_type": "api", "source_ref": str(number)}, at=AT - ago)
        receive(org, {"source_type": "api", "source_ref": "1"}, at=AT - timedelta(minutes=30))
        found = way(org, "bulk", at=AT)

        assert (found.received, found.repeated) == (Counts(1, 2, 3), Counts(1, 1, 1))
        assert (found.last_success_at, found.standing) == (AT, Standing.OK)
        assert way(org, "rest").received == Counts()

    def test_the_lag_is_the_median_from_happening_to_receiving(self, org):
        rows = [{"source_type": "api", "ts": AT - timedelta(seconds=seconds)} for seconds in (10, 40, 400)]
        receive(org, *rows)

        assert way(org, "bulk").lag_seconds == 40.0

    def test_an_error_after_the_last_success_is_failing_until_the_next_success(self, org):
        receive(org, {"source_type": "api"}, at=AT - timedelta(minutes=2))
        receive(org, {"mood": "good"}, at=AT - timedelta(minutes=1))
        failing = way(org, "bulk")
        assert (failing.standing, failing.last_error) == (Standing.FAILING, "mood: Unknown field. (and 1 more)")
        assert (failing.last_error_at, failing.open_rejects) == (AT - timedelta(minutes=1), 1)
        assert failing.rejected == Counts(1, 1, 1)

        receive(org, {"source_type": "api"})
        assert way(org, "bulk").standing == Standing.OK

    def test_a_source_counts_for_itself(self, org):
        shop, off = source(org), source(org, name="Old", token=f"{org.pk}-old", is_active=False)
        receive(org, {"snippet": "Hello"}, {"mood": 1}, channel=Channel.WEBHOOK, source=shop)
        receive(org, {"snippet": "By no source"}, channel=Channel.WEBHOOK)

        found = way(org, "webhook", shop.pk)
        assert (found.name, found.received.hour, found.open_rejects) == ("Shop", 1, 1)
        assert (way(org, "webhook").received.hour, way(org, "webhook").open_rejects) == (1, 0)
        assert way(org, "webhook", off.pk).standing == Standing.OFF

    def test_trouble_of_the_source_itself_is_an_error(self, org):
        box = source(org, kind="mailbox", name="Info", failed_at=AT, failure="The log-in was refused.")
        found = way(org, "email", box.pk)

        assert (found.standing, found.last_error, found.last_error_at) == (
            Standing.FAILING,
            "The log-in was refused.",
            AT,
        )

    def test_rejected_rows_of_csv_imports_are_errors_of_their_channel(self, org):
        ImportRun.all_orgs.create(
            org=org,
            kind="signals",
            file_name="fair.csv",
            file_sha256="0" * 64,
            file_bytes=9,
            encoding="utf-8",
            delimiter=",",
            rows_total=5,
            rejected_count=3,
            started_at=AT - timedelta(hours=2),
        )
        found = way(org, "csv")

        assert (found.last_error, found.rejected) == ("3 rows of fair.csv were rejected.", Counts(0, 3, 3))

    def test_nothing_happened_for_a_week_is_quiet(self, org):
        receive(org, {"source_type": "api"}, at=AT - timedelta(days=8))
        assert way(org, "bulk").standing == Standing.IDLE

    def test_another_organisations_ledger_does_not_count(self, org, other_org):
        receive(other_org, {"source_type": "api"}, {"mood": 1})
        assert way(org, "bulk").standing == Standing.NEVER

    def test_costs_three_statements_that_read_by_index(self, org):
        shop = source(org)
        for number in range(30):
            receive(org, {"source_type": "api", "source_ref": str(number)}, {"mood": number})
            receive(org, {"snippet": str(number)}, channel=Channel.WEBHOOK, source=shop)
        with org_scope(org):
            with connection.cursor() as cursor:
                cursor.execute("SET LOCAL enable_seqscan = off")
            with counted_queries() as statements:
                ingest_health(org=org, at=AT)
            assert len(statements) == 3
            with connection.cursor() as cursor:
                cursor.execute(f"EXPLAIN {statements[0]}")
                plan = "\n".join(line for (line,) in cursor.fetchall())
        assert "signal_delivery_of_source" in plan, plan
        # Of its indexes, all of which lead with the organisation, any will do for a table as small as this.
        assert "using intake_reject_" in plan, plan
        assert "Seq Scan on workstream_signaldelivery" not in plan
        assert "Seq Scan on workstream_intakereject" not in plan


@pytest.mark.django_db
class TestOverRest:
    def test_names_every_way_and_costs_three_statements(self, as_viewer, org):
        source(org)
        receive(org, {"source_type": "api"}, {"mood": 1})
        with counted_queries() as statements:
            body = as_viewer.get("/api/intake/health").json()

        assert len([each for each in statements if "tenancy_" not in each.split("WHERE")[0]]) == 3, statements
        assert [each["channel"] for each in body["data"]] == [*(channel.value for channel in Channel), "webhook"]
        (bulk,) = [each for each in body["data"] if each["channel"] == "bulk"]
        assert (bulk["open_rejects"], bulk["received"]["week"] + bulk["rejected"]["week"]) == (1, 0)


class TestPage:
    def test_shows_every_way_with_a_link_to_what_is_to_be_fixed(self, home, as_role):
        with org_scope(home.org):
            shop = source(home.org)
            receive(home.org, {"snippet": "Hello"}, {"mood": 1}, channel=Channel.WEBHOOK, source=shop)
        page = as_role(Role.VIEWER).get("/admin/intake/health/")

        text = page.content.decode()
        assert page.status_code == 200
        assert "Shop" in text
        assert "mood: Unknown field." in text
        assert f"status__exact=open&amp;channel__exact=webhook&amp;source__id__exact={shop.pk}" in text
        listed = as_role(Role.VIEWER).get(
            f"/admin/workstream/intakereject/?status__exact=open&channel__exact=webhook&source__id__exact={shop.pk}"
        )
        assert listed.status_code == 200
        assert "mood: Unknown field." in listed.content.decode()

    def test_is_in_the_menu_between_pipeline_and_work(self, home, as_role):
        groups = [
            group["title"]
            for group in as_role(Role.VIEWER).get("/admin/intake/health/").context["sidebar_navigation"]
            if "title" in group
        ]
        assert groups[groups.index("Pipeline") + 1] == "Intake"
