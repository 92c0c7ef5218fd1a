"""A CRM's export becomes the pipeline: historic times, the same gates, nobody emailed, again without any change."""

from __future__ import annotations

import csv
from collections import Counter
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.db import connection
from django.db.models import Count, Sum

from flowledger.clients.models import Client
from flowledger.errors import PermissionRefused
from flowledger.outbox.drain import drain_all
from flowledger.outbox.models import OutgoingEmail, WorkEvent
from flowledger.tenancy.actors import Actor, Origin
from flowledger.tenancy.models import Membership, Organization, User
from flowledger.tenancy.scope import org_scope, system_scope
from tests.factories import OrganizationFactory
from tests.workstream.conftest import actor_of
from tests.workstream.exports import ACCOUNTS, IMPORTED_AT, TEAM, deal, load, write_export
from tests.workstream.trail import events_of, nothing_changes, stays_of
from workstream import services
from workstream.history.journeys import NO_REASON, WAIVE_REASON
from workstream.models import (
    Candidate,
    ChecklistItem,
    Engagement,
    GateCheck,
    Proposal,
    Pursuit,
    Signal,
    SignalDelivery,
    SignalPayload,
    SlaBreach,
    SlaClock,
    SlaRule,
    Solution,
    StageHistory,
    Task,
)
from workstream.services.sla_sweep import sweep

ENGAGED = datetime(2016, 10, 20, 12, tzinfo=UTC)
CLOSED = datetime(2017, 3, 1, 12, tzinfo=UTC)
REAL_EXPORT = Path(__file__).resolve().parents[2].parent / "shared" / "data" / "crm-sales-opportunities"


def pursuit_of(org: Organization, number: str) -> Pursuit:
    return Pursuit.all_orgs.get(org=org, candidate__signals__source_ref=number)


@pytest.mark.django_db
class TestImportedDeals:
    def test_a_won_deal_went_through_every_stage_at_its_time(self, org, tmp_path):
        report = load(write_export(tmp_path, [deal("1C1I7A6R", "Won")]), org)

        pursuit = pursuit_of(org, "1C1I7A6R")
        assert report.counts["won"] == 1
        assert (pursuit.stage, pursuit.forecast_value, pursuit.closed_at) == ("won", Decimal("4514.00"), CLOSED)
        assert pursuit.candidate.promoted_at == ENGAGED
        assert pursuit.owner.get_full_name() == "Anna Snelling"
        assert pursuit.client.name == "Cancity"
        assert pursuit.candidate.solution.name == "GTX Pro"
        quarter = (CLOSED - ENGAGED) / 4
        assert [(stay.state, stay.entered_at, stay.left_at, stay.is_inferred) for stay in stays_of(pursuit)] == [
            ("qual", ENGAGED, ENGAGED + quarter, True),
            ("pink", ENGAGED + quarter, ENGAGED + 2 * quarter, True),
            ("red", ENGAGED + 2 * quarter, ENGAGED + 3 * quarter, True),
            ("submit", ENGAGED + 3 * quarter, CLOSED, True),
            ("won", CLOSED, None, False),
        ]
        rows = StageHistory.all_orgs.filter(candidate=pursuit.candidate).order_by("pk")
        assert [(stay.state, stay.entered_at, stay.is_inferred) for stay in rows] == [
            ("new", ENGAGED, True),
            ("triaged", ENGAGED, True),
            ("promoted", ENGAGED, False),
        ]

    def test_it_passed_the_same_gates_with_recorded_waivers(self, org, tmp_path):
        load(write_export(tmp_path, [deal("1C1I7A6R", "Won")]), org)

        pursuit = pursuit_of(org, "1C1I7A6R")
        checks = GateCheck.all_orgs.filter(pursuit=pursuit).order_by("checked_at", "pk")
        assert [(check.gate, check.from_stage, check.passed, check.origin) for check in checks] == [
            ("red", "pink", True, "import"),
            ("submit", "red", True, "import"),
            ("won", "submit", True, "import"),
        ]
        items = ChecklistItem.all_orgs.filter(pursuit=pursuit)
        assert items.count() == 8
        assert {(item.is_done, item.waive_reason, item.waived_by_label) for item in items} == {
            (False, WAIVE_REASON, "history import")
        }
        assert (pursuit.pink_done, pursuit.red_done, pursuit.compliance_score) == (4, 4, Decimal("1.000"))

    def test_events_tell_it_in_order_as_history(self, org, tmp_path):
        load(write_export(tmp_path, [deal("1C1I7A6R", "Won")]), org)

        pursuit = pursuit_of(org, "1C1I7A6R")
        assert events_of(pursuit) == [
            "pursuit.created",
            "pursuit.stage_changed",
            *["gate.waived"] * 4,
            "pursuit.stage_changed",
            *["gate.waived"] * 4,
            "pursuit.submit",
            "pursuit.won",
        ]
        assert events_of(pursuit.candidate) == ["candidate.created", "candidate.triaged", "candidate.promoted"]
        assert events_of(pursuit.candidate.signals.get()) == ["signal.created", "signal.linked"]
        rows = WorkEvent.all_orgs.filter(org=org)
        assert set(rows.values_list("origin", flat=True)) == {Origin.IMPORT}
        assert rows.get(event_name="pursuit.won").occurred_at == CLOSED
        assert rows.get(event_name="candidate.promoted").occurred_at == ENGAGED

    def test_after_the_handlers_there_is_one_engagement_no_task_and_no_email(self, org, tmp_path):
        load(write_export(tmp_path, [deal("1C1I7A6R", "Won"), deal("ENGAGING")]), org)
        drain_all()

        engagement = Engagement.all_orgs.get(org=org)
        assert (engagement.value, engagement.started_on) == (Decimal("4514.00"), date(2017, 3, 1))
        assert Task.all_orgs.filter(org=org).count() == 0
        assert OutgoingEmail.all_orgs.filter(org=org).count() == 0
        assert WorkEvent.all_orgs.filter(org=org, processed_at=None).count() == 0
        versions = Proposal.all_orgs.filter(org=org).order_by("pk")
        assert [(row.version, row.status, row.delivery, row.amount) for row in versions] == [
            (1, "sent", "without_email", Decimal("4514.00")),
            (1, "draft", "", Decimal("4821.00")),
        ]

    def test_a_lost_deal_is_forecast_by_its_list_price_and_has_a_reason(self, org, tmp_path):
        load(write_export(tmp_path, [deal("LOST", "Lost")]), org)

        pursuit = pursuit_of(org, "LOST")
        assert (pursuit.stage, pursuit.forecast_value, pursuit.outcome_reason) == ("lost", Decimal("4821"), NO_REASON)
        assert GateCheck.all_orgs.filter(pursuit=pursuit, gate="lost", passed=True).count() == 1
        assert Engagement.all_orgs.filter(org=org).count() == 0

    def test_an_engaging_deal_stays_in_qualification_since_its_date(self, org, tmp_path):
        report = load(write_export(tmp_path, [deal("OPEN", account="")]), org)

        pursuit = pursuit_of(org, "OPEN")
        assert (pursuit.stage, pursuit.client, pursuit.forecast_value) == ("qual", None, Decimal("4821"))
        (stay,) = stays_of(pursuit)
        assert (stay.entered_at, stay.left_at, stay.is_inferred) == (ENGAGED, None, False)
        assert report.resolutions["sales_pipeline.csv: the opportunity names no account; kept without a client"] == 1

    def test_a_prospect_is_a_new_candidate_of_today(self, org, tmp_path):
        load(write_export(tmp_path, [deal("PROSPECT", "Prospecting")]), org)

        candidate = Candidate.all_orgs.get(org=org)
        assert (candidate.status, candidate.last_touch_at) == ("new", IMPORTED_AT)
        assert candidate.signals.get().first_touch_at is None
        assert Pursuit.all_orgs.filter(org=org).count() == 0

    def test_the_line_is_kept_as_received(self, org, tmp_path):
        load(write_export(tmp_path, [deal("1C1I7A6R", "Won")]), org)

        signal = Signal.all_orgs.get(org=org)
        assert (signal.source_type, signal.dedupe_key, signal.ts) == ("import", "import:1C1I7A6R", ENGAGED)
        assert signal.disposition == "linked"
        assert signal.attributes == {
            "product_series": "GTX",
            "regional_office": "Central",
            "manager": "Dustin Brinkmann",
        }
        assert signal.identity_resolution["client_id"] == signal.client_id
        assert b'"close_value": "4514"' in bytes(SignalPayload.all_orgs.get(signal=signal).body)
        assert SignalDelivery.all_orgs.filter(signal=signal, is_repeat=False).count() == 1

    def test_dates_are_those_of_the_organisations_zone(self, org, tmp_path):
        Organization.objects.filter(pk=org.pk).update(timezone="Pacific/Auckland")
        org.refresh_from_db()
        load(write_export(tmp_path, [deal("1C1I7A6R", "Won")]), org)

        pursuit = pursuit_of(org, "1C1I7A6R")
        assert pursuit.closed_at == datetime(2017, 2, 28, 23, tzinfo=UTC)
        assert Engagement.all_orgs.get(org=org).started_on == date(2017, 3, 1)

    def test_a_deal_of_one_day_goes_forward_all_the_same(self, org, tmp_path):
        load(write_export(tmp_path, [deal("QUICK", "Won", close_date="10/20/2016")]), org)
        assert {stay.entered_at for stay in stays_of(pursuit_of(org, "QUICK"))} == {ENGAGED}

    def test_rows_without_dates_get_the_imports(self, org, tmp_path):
        rows = [deal("A", engage_date=""), deal("B", "Lost", engage_date="", close_date="")]
        load(write_export(tmp_path, rows), org)
        assert pursuit_of(org, "A").candidate.promoted_at == IMPORTED_AT
        assert pursuit_of(org, "B").closed_at == IMPORTED_AT


@pytest.mark.django_db
class TestImportedReference:
    def test_accounts_become_clients(self, org, tmp_path):
        report = load(write_export(tmp_path, [deal("A")]), org)

        cancity, isdom = Client.all_orgs.filter(org=org).order_by("name")
        assert (cancity.industry, cancity.country, cancity.size_band) == ("technology", "PH", "1001-5000")
        assert cancity.annual_revenue == Decimal("718620000.00")
        assert cancity.attributes == {
            "year_established": "2001",
            "subsidiary_of": "Acme Corporation",
            "employees": 2448,
        }
        assert (isdom.country, isdom.attributes["country"], isdom.size_band) == ("", "Atlantis", "11-50")
        assert report.resolutions["accounts.csv: sector 'technolgy' is read as 'technology', as the mapping says"] == 1
        assert report.resolutions["accounts.csv: country 'Atlantis' has no code in the mapping; kept as a fact"] == 1
        assert report.resolutions["sales_pipeline.csv: product 'GTXPro' is read as 'GTX Pro', as the mapping says"] == 1

    def test_the_team_becomes_members_who_cannot_log_in(self, org, tmp_path):
        report = load(write_export(tmp_path, [deal("A")]), org)

        rows = Membership.all_orgs.filter(org=org).select_related("user").order_by("user__username")
        assert [(row.user.username, row.role) for row in rows] == [
            (f"anna.snelling@org-{org.pk}", "rep"),
            (f"dustin.brinkmann@org-{org.pk}", "manager"),
            (f"moses.frase@org-{org.pk}", "rep"),
        ]
        assert not any(row.user.has_usable_password() or row.user.is_staff for row in rows)
        assert report.resolutions["team member without an opportunity; made a member all the same"] == 1

    def test_another_organisation_gets_rows_and_people_of_its_own(self, org, other_org, tmp_path):
        export = write_export(tmp_path, [deal("A", "Won")])
        load(export, org)
        before = list(WorkEvent.all_orgs.filter(org=org).order_by("pk").values())
        load(export, other_org)

        people = [set(Membership.all_orgs.filter(org=each).values_list("user", flat=True)) for each in (org, other_org)]
        assert people[0] & people[1] == set()
        assert pursuit_of(other_org, "A").stage == "won"
        assert pursuit_of(other_org, "A").owner.username == f"anna.snelling@org-{other_org.pk}"
        assert list(WorkEvent.all_orgs.filter(org=org).order_by("pk").values()) == before

    def test_a_member_of_that_name_is_not_doubled(self, org, tmp_path, member_of):
        anna = member_of(org, "viewer", username="anna", first_name="Anna", last_name="Snelling")
        load(write_export(tmp_path, [deal("A")]), org)
        assert pursuit_of(org, "A").owner == anna.user
        assert User.objects.filter(last_name="Snelling").count() == 1
        anna.refresh_from_db()
        assert anna.role == "viewer"

    def test_what_only_opportunities_name_is_made_from_its_name(self, org, tmp_path):
        rows = [deal("A", "Won", account="Newcomer Ltd", product="GTX 9", sales_agent="Lone Wolf")]
        report = load(write_export(tmp_path, rows), org)

        pursuit = pursuit_of(org, "A")
        assert (pursuit.client.name, pursuit.owner.get_full_name()) == ("Newcomer Ltd", "Lone Wolf")
        assert Solution.all_orgs.get(org=org, name="GTX 9").list_price is None
        told = [sentence for sentence in report.resolutions if "made" in sentence]
        assert len([sentence for sentence in told if "is in no" in sentence]) == 3

    def test_a_name_spelled_alike_is_the_same(self, org, tmp_path):
        report = load(write_export(tmp_path, [deal("A", account="can-city", product="gtk500")]), org)
        assert pursuit_of(org, "A").client.name == "Cancity"
        assert pursuit_of(org, "A").candidate.solution.name == "GTK 500"
        assert report.resolutions["sales_pipeline.csv: account 'can-city' is taken for 'Cancity', spelled alike"] == 1


BAD_LINES = {
    "unknown stage": ({"deal_stage": "Dreaming"}, "knows no stage 'Dreaming'"),
    "no date": ({"engage_date": "2016-10-20"}, "is no date of the form %m/%d/%Y"),
    "backwards": ({"close_date": "10/19/2016"}, "before it was engaged"),
    "future": ({"close_date": "3/3/2026"}, "lies in the future"),
    "no number": ({"close_value": "a lot"}, "is no number"),
    "negative": ({"close_value": "-1"}, "is no amount"),
    "infinite": ({"close_value": "Infinity"}, "is no amount"),
    "huge": ({"close_value": "1e15"}, "larger than can be kept"),
    "no id": ({"opportunity_id": ""}, "is empty"),
    "twice": ({"opportunity_id": "GOOD"}, "was on an earlier line"),
    "no client for the gate": ({"account": ""}, "The pursuit has no client"),
    "no owner for the gate": ({"sales_agent": ""}, "Nobody owns the pursuit"),
    "NUL": ({"account": "Can\x00city"}, "is not utf-8-sig text"),
    "long": ({"product": "x" * 121}, "at most 120"),
}


@pytest.mark.django_db
class TestBadLines:
    @pytest.mark.parametrize(("change", "reason"), BAD_LINES.values(), ids=BAD_LINES)
    def test_a_bad_line_is_named_and_skipped_whole(self, org, tmp_path, change, reason):
        rows = [deal("GOOD", "Won"), deal("BAD", "Won") | change, deal("ALSO", "Won")]
        report = load(write_export(tmp_path, rows), org)

        assert [(bad.file, bad.line) for bad in report.bad_rows] == [("sales_pipeline.csv", 3)]
        assert reason in report.bad_rows[0].reason
        refs = Signal.all_orgs.filter(org=org).order_by("pk").values_list("source_ref", flat=True)
        assert list(refs) == ["GOOD", "ALSO"]
        assert Candidate.all_orgs.filter(org=org).count() == Pursuit.all_orgs.filter(org=org).count() == 2
        assert report.counts["won"] == 2

    def test_a_line_with_other_bytes_or_too_few_values(self, org, tmp_path):
        export = write_export(tmp_path, [deal("GOOD")])
        with (export / "sales_pipeline.csv").open("ab") as file:
            file.write(b"LATIN,Anna Snelling,GTXPro,Caf\xe9,Engaging,10/20/2016,,\r\n")
            file.write(b"SHORT,Anna Snelling\r\n\r\n")
            file.write(b'QUOTE,"Anna" Snelling,GTXPro,,Engaging,10/20/2016,,\r\n')
            file.write(b"LAST,Anna Snelling,GTXPro,,Engaging,10/20/2016,,\r\n")
        report = load(export, org)
        assert [bad.line for bad in report.bad_rows] == [3, 4, 6]
        assert set(Signal.all_orgs.filter(org=org).values_list("source_ref", flat=True)) == {"GOOD", "LAST"}

    def test_bad_accounts_products_and_people_are_named_too(self, org, tmp_path):
        accounts = [*ACCOUNTS, ACCOUNTS[0] | {"account": "Badrev", "revenue": "much"}]
        team = [*TEAM, TEAM[0] | {"sales_agent": ""}]
        report = load(write_export(tmp_path, [deal("A")], accounts=accounts, sales_teams=team), org)
        assert [(bad.file, bad.line) for bad in report.bad_rows] == [("accounts.csv", 4), ("sales_teams.csv", 4)]


class TestRefusedByTheDatabase:
    """A refusal that nobody foresaw: a trigger that the test adds."""

    @pytest.fixture
    def four_is_unlucky(self, transactional_db):
        with connection.cursor() as cursor:
            cursor.execute("""
                CREATE FUNCTION refuse_four() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
                    IF NEW.source_ref = 'D4' THEN RAISE check_violation USING MESSAGE = 'four is unlucky'; END IF;
                    RETURN NEW;
                END $$;
                CREATE TRIGGER refuse_four BEFORE INSERT ON workstream_signal
                    FOR EACH ROW EXECUTE FUNCTION refuse_four();
            """)
            yield
            cursor.execute("DROP TRIGGER refuse_four ON workstream_signal; DROP FUNCTION refuse_four()")

    def test_costs_one_line_of_its_chunk(self, four_is_unlucky, tmp_path):
        org = OrganizationFactory()
        report = load(write_export(tmp_path, [deal(f"D{number}") for number in range(10)]), org)

        assert [(bad.line, bad.reason) for bad in report.bad_rows] == [(6, "The database refused it: four is unlucky")]
        assert report.counts["engaging"] == 9
        with org_scope(org):
            assert Signal.objects.for_org(org).count() == Pursuit.objects.for_org(org).count() == 9
            assert WorkEvent.objects.for_org(org).filter(event_name="pursuit.created").count() == 9


def ends_of(item: Any) -> list[tuple[str, datetime, datetime | None, str, str]]:
    """Metric, start, end, outcome and what ended it, of every clock of an item."""
    rows = SlaClock.all_orgs.filter(**{item._meta.model_name: item}).order_by("started_at", "metric")
    return [(row.metric, row.started_at, row.stopped_at, row.outcome, row.stopped_by) for row in rows]


@pytest.mark.django_db
class TestClocksOfHistory:
    def test_of_what_is_over_have_ended_with_the_outcome_they_would_have_had(self, org, tmp_path):
        quick = deal("QUICK", "Lost", engage_date="3/1/2017", close_date="3/3/2017")
        load(write_export(tmp_path, [deal("SLOW", "Won"), quick]), org)

        slow = pursuit_of(org, "SLOW")
        submitted = ENGAGED + (CLOSED - ENGAGED) * 3 / 4
        assert ends_of(slow) == [
            ("proposal_sla", ENGAGED, submitted, "breached", "pursuit.submit"),
            ("response_sla", submitted, CLOSED, "breached", "pursuit.won"),
        ]
        assert ends_of(slow.candidate) == [("triage_sla", ENGAGED, ENGAGED, "met", "candidate.triaged")]
        assert ends_of(slow.candidate.signals.get()) == [("triage_sla", ENGAGED, ENGAGED, "met", "signal.linked")]
        assert [outcome for _, _, _, outcome, _ in ends_of(pursuit_of(org, "QUICK"))] == ["met", "met"]
        breaches = SlaBreach.all_orgs.filter(org=org).order_by("breached_at")
        assert [(row.pursuit_id, row.breached_at, row.resolved_at, row.resolved_by) for row in breaches] == [
            (slow.pk, ENGAGED + timedelta(hours=72), submitted, "pursuit.submit"),
            (slow.pk, submitted + timedelta(hours=96), CLOSED, "pursuit.won"),
        ]

    def test_of_what_is_open_run_and_what_was_overdue_is_in_breach_from_the_start(self, org, tmp_path):
        load(write_export(tmp_path, [deal("OPEN"), deal("NEW", "Prospecting")]), org)

        pursuit = pursuit_of(org, "OPEN")
        assert ends_of(pursuit) == [
            ("due_date", ENGAGED, None, "", ""),
            ("proposal_sla", ENGAGED, None, "", ""),
            ("touch", ENGAGED, None, "", ""),
        ]
        breach = SlaBreach.all_orgs.get(pursuit=pursuit)
        assert (breach.breached_at, breach.resolved_at) == (ENGAGED + timedelta(hours=72), None)
        candidate = Candidate.all_orgs.get(org=org, signals__source_ref="NEW")
        assert ends_of(candidate) == [
            ("touch", IMPORTED_AT, None, "", ""),
            ("triage_sla", IMPORTED_AT, None, "", ""),
        ]

    def test_are_told_to_nobody_not_even_by_the_sweep(self, org, tmp_path):
        load(write_export(tmp_path, [deal("OPEN"), deal("WON", "Won"), deal("NEW", "Prospecting")]), org)
        told = WorkEvent.all_orgs.filter(org=org, event_name__startswith="sla.")
        sweep(at=IMPORTED_AT)
        assert not told.exists()

        # What falls due after the import is told of as usual.
        sweep(at=IMPORTED_AT + timedelta(hours=25))
        assert [event.item_type for event in told.filter(event_name="sla.breached")] == ["candidate"]

    def test_end_with_what_a_later_export_says(self, org, tmp_path):
        load(write_export(tmp_path, [deal("A"), deal("B", "Prospecting")]), org)
        load(write_export(tmp_path, [deal("A", "Won"), deal("B", "Lost")]), org)

        a, b = pursuit_of(org, "A"), pursuit_of(org, "B")
        for pursuit in (a, b):
            ended = {metric: outcome for metric, _, stopped_at, outcome, _ in ends_of(pursuit) if stopped_at}
            assert {ended["proposal_sla"], ended["response_sla"]} == {"breached"}
        running = SlaClock.all_orgs.filter(org=org, stopped_at=None)
        assert not running.exists()
        assert not SlaBreach.all_orgs.filter(org=org, resolved_at=None).exists()
        told = WorkEvent.all_orgs.filter(org=org, event_name__startswith="sla.")
        assert set(told.values_list("origin", flat=True)) <= {Origin.IMPORT}

    def test_run_by_the_rules_of_the_organisation(self, org, tmp_path):
        services.ensure_default_rules(org=org, actor=Actor.importer(), at=IMPORTED_AT)
        rule = SlaRule.all_orgs.get(org=org, metric="proposal_sla")
        services.update_rule(
            org=org,
            rule_id=rule.pk,
            fields={"threshold_hours": Decimal(9000)},
            actor=Actor.importer(),
            at=IMPORTED_AT,
        )
        load(write_export(tmp_path, [deal("SLOW", "Won")]), org)

        (proposal, _) = ends_of(pursuit_of(org, "SLOW"))
        assert proposal[3] == "met"


@pytest.mark.django_db
class TestImportAgain:
    def test_nothing_changes(self, org, tmp_path):
        rows = [deal("A", "Won"), deal("B", "Lost"), deal("C"), deal("D", "Prospecting")]
        export = write_export(tmp_path, rows)
        load(export, org)
        with nothing_changes():
            report = load(export, org)
        assert (report.counts["known"], report.counts["won"], report.counts["events"]) == (4, 0, 0)

    def test_a_deal_that_moved_on_is_moved_on(self, org, tmp_path):
        before = [deal("A", account=""), deal("B", "Prospecting"), deal("C", "Prospecting")]
        load(write_export(tmp_path, before), org)
        after = [deal("A", "Won"), deal("B", "Lost"), deal("C")]
        report = load(write_export(tmp_path, after), org)
        drain_all()

        assert report.counts["advanced"] == 3
        a, b, c = (pursuit_of(org, number) for number in "ABC")
        assert [(p.stage, p.forecast_value) for p in (a, b, c)] == [
            ("won", Decimal("4514")),
            ("lost", Decimal("4821")),
            ("qual", Decimal("4821")),
        ]
        assert a.client.name == "Cancity"
        assert [stay.state for stay in stays_of(a)] == ["qual", "pink", "red", "submit", "won"]
        assert a.closed_at == CLOSED
        assert ChecklistItem.all_orgs.filter(pursuit=a, waive_reason=WAIVE_REASON).count() == 8
        assert Proposal.all_orgs.get(pursuit=a).status == "sent"
        assert Engagement.all_orgs.filter(org=org).count() == 1
        assert (Task.all_orgs.filter(org=org).count(), OutgoingEmail.all_orgs.filter(org=org).count()) == (0, 0)
        with nothing_changes():
            load(tmp_path, org)

    def test_what_people_work_on_is_left_alone(self, org, tmp_path, manager):
        load(write_export(tmp_path, [deal("A"), deal("B", "Prospecting")]), org)
        actor = actor_of(manager)
        moved, triaged = pursuit_of(org, "A"), Candidate.all_orgs.get(org=org, signals__source_ref="B")
        services.move_pursuit(org=org, pursuit_id=moved.pk, stage="pink", actor=actor, at=IMPORTED_AT)
        services.triage_candidate(org=org, candidate_id=triaged.pk, actor=actor, at=IMPORTED_AT)
        write_export(tmp_path, [deal("A", "Won"), deal("B", "Won")])
        with nothing_changes():
            report = load(tmp_path, org)
        assert report.counts["left_alone"] == 2

    def test_an_older_export_takes_nothing_back(self, org, tmp_path):
        load(write_export(tmp_path, [deal("A", "Won")]), org)
        write_export(tmp_path, [deal("A")])
        with nothing_changes():
            report = load(tmp_path, org)
        assert report.counts["left_alone"] == 1


OTHER_MAPPING = """
date_format = "%Y-%m-%d"
delimiter = ";"

[opportunities]
file = "deals.csv"

[opportunities.columns]
id = "Deal"
agent = "Owner"
product = "Item"
account = "Customer"
stage = "Phase"
engaged_on = "Since"
closed_on = "Until"
value = "Sum"
outcome_reason = "Why"

[opportunities.stages]
gewonnen = "won"
verloren = "lost"
offen = "engaging"
"""


@pytest.mark.django_db
class TestMapping:
    def test_another_crm_loads_with_another_mapping(self, org, tmp_path):
        (tmp_path / "other.toml").write_text(OTHER_MAPPING)
        (tmp_path / "deals.csv").write_text(
            "Customer;Deal;Owner;Item;Phase;Since;Until;Sum;Why\n"
            'Meier KG;7;Lea Wolf;Waage;Gewonnen;2025-01-07;2025-02-03;"1,200.50";Preis\n'
            "Meier KG;8;Lea Wolf;Waage;verloren;2025-01-07;2025-02-04;;Zu teuer\n"
        )
        report = load(tmp_path, org, mapping=tmp_path / "other.toml")

        won, lost = pursuit_of(org, "7"), pursuit_of(org, "8")
        assert (won.stage, won.forecast_value, won.outcome_reason) == ("won", Decimal("1200.50"), "Preis")
        assert (lost.stage, lost.outcome_reason) == ("lost", "Zu teuer")
        assert won.closed_at == datetime(2025, 2, 3, 12, tzinfo=UTC)
        assert (report.counts["clients"], report.counts["members"], report.counts["solutions"]) == (1, 1, 1)

    @pytest.mark.parametrize(
        ("change", "sentence"),
        [
            (("id = ", "identifier = "), "opportunities.columns.id: Field required"),
            (('"won"', '"finished"'), "Input should be"),
            (('delimiter = ";"', 'delimiter = "tab"'), "delimiter"),
            (('"Why"', '"Why'), "is no valid TOML"),
            (("date_format", "encoding"), "there is no encoding"),
            (
                ("[opportunities.stages]", "[opportunities.aliases.colour]\nred = 'blue'\n[opportunities.stages]"),
                "colour",
            ),
        ],
    )
    def test_a_mapping_that_does_not_fit_is_refused(self, org, tmp_path, change, sentence):
        (tmp_path / "other.toml").write_text(OTHER_MAPPING.replace(*change))
        with nothing_changes(), pytest.raises(CommandError, match=sentence):
            call_command("import_history", str(tmp_path), org=org.pk, mapping=tmp_path / "other.toml")


@pytest.mark.django_db
class TestCommand:
    def test_reports_what_it_did(self, org, tmp_path, capsys):
        export = write_export(tmp_path, [deal("A", "Won"), deal("B", "Wonn"), deal("C", account="")])
        call_command("import_history", str(export), org=org.pk)
        told = capsys.readouterr()
        assert "as won pursuits" in told.out
        assert "names no account; kept without a client" in told.out
        assert "sales_pipeline.csv:3: The mapping knows no stage 'Wonn'" in told.out
        assert told.err == ""

    def test_is_silent_when_asked(self, org, tmp_path, capsys):
        call_command("import_history", str(write_export(tmp_path, [deal("A")])), org=org.pk, quiet=True)
        assert capsys.readouterr() == ("", "")
        assert Pursuit.all_orgs.filter(org=org).count() == 1

    def test_refuses_what_it_cannot_read_before_it_stores_anything(self, org, tmp_path):
        export = write_export(tmp_path / "export", [deal("A")])
        with nothing_changes():
            with pytest.raises(CommandError, match=r"There is no organisation 0\. There are: .*Harbour"):
                call_command("import_history", str(export), org=0)
            with pytest.raises(CommandError, match="There is no directory"):
                call_command("import_history", str(tmp_path / "nowhere"), org=org.pk)
            (export / "sales_pipeline.csv").write_text("opportunity_id,sales_agent\n1,Anna\n")
            with pytest.raises(CommandError, match="has no column product, account"):
                call_command("import_history", str(export), org=org.pk)
            (export / "sales_pipeline.csv").unlink()
            with pytest.raises(CommandError, match=r"sales_pipeline\.csv cannot be read"):
                call_command("import_history", str(export), org=org.pk)

    def test_is_for_administrators(self, org, tmp_path, manager):
        with nothing_changes(), pytest.raises(PermissionRefused):
            load(write_export(tmp_path, [deal("A")]), org, actor=actor_of(manager))


@pytest.mark.skipif(not REAL_EXPORT.is_dir(), reason=f"the public data set is not at {REAL_EXPORT}")
class TestRealExport:
    """8,800 opportunities of a public data set, in transactions of its own, as the command does it."""

    def test_loads_every_opportunity_and_again_changes_nothing(self, transactional_db):
        org = OrganizationFactory()
        report = load(REAL_EXPORT, org)

        assert {name: report.counts[name] for name in ("opportunities", "won", "lost", "engaging", "prospecting")} == {
            "opportunities": 8800,
            "won": 4238,
            "lost": 2473,
            "engaging": 1589,
            "prospecting": 500,
        }
        assert report.bad_rows == []
        with org_scope(org):
            self._rows_are_those_of_the_files(org)
            self._events_tell_all(org, report.counts["events"])
            self._times_are_historic(org)
            self._clocks_ended_as_they_would_have(org)
        self._says_how_it_read_the_files(report)

        with system_scope("tests"), nothing_changes():
            again = load(REAL_EXPORT, org)
        assert (again.counts["known"], again.counts["events"]) == (8800, 0)

    def _rows_are_those_of_the_files(self, org: Organization) -> None:
        with (REAL_EXPORT / "sales_pipeline.csv").open(newline="") as file:
            lines = list(csv.DictReader(file))
        pursuits = Pursuit.objects.for_org(org)
        assert Client.objects.for_org(org).count() == 85
        assert Membership.objects.for_org(org).count() == 35 + 6
        assert Counter(pursuits.values_list("stage", flat=True)) == {"won": 4238, "lost": 2473, "qual": 1589}
        assert Counter(Candidate.objects.for_org(org).values_list("status", flat=True)) == {
            "promoted": 8300,
            "new": 500,
        }
        assert pursuits.filter(client=None).count() + Candidate.objects.for_org(org).filter(
            client=None, status="new"
        ).count() == sum(not line["account"] for line in lines)
        brought = sum(int(line["close_value"]) for line in lines if line["deal_stage"] == "Won")
        assert pursuits.filter(stage="won").aggregate(total=Sum("forecast_value"))["total"] == brought
        assert Engagement.objects.for_org(org).aggregate(n=Count("pk"), total=Sum("value")) == {
            "n": 4238,
            "total": brought,
        }
        by_agent = Counter(line["sales_agent"] for line in lines)
        rows = Candidate.objects.for_org(org).values_list("owner__first_name", "owner__last_name")
        assert Counter(" ".join(name) for name in rows) == by_agent
        assert Counter(GateCheck.objects.for_org(org).values_list("gate", "passed")) == {
            ("red", True): 6711,
            ("submit", True): 6711,
            ("won", True): 4238,
            ("lost", True): 2473,
        }
        assert ChecklistItem.objects.for_org(org).filter(waive_reason=WAIVE_REASON).count() == 8 * 6711

    def _clocks_ended_as_they_would_have(self, org: Organization) -> None:
        """Counted from the file: a proposal took three quarters of the deal's days, the answer the last one."""
        expected: Counter[tuple[str, str]] = Counter()
        with (REAL_EXPORT / "sales_pipeline.csv").open(newline="") as file:
            for line in csv.DictReader(file):
                if line["close_date"]:
                    engaged, closed = (
                        datetime.strptime(line[name], "%m/%d/%Y").replace(tzinfo=UTC)
                        for name in ("engage_date", "close_date")
                    )
                    took = closed - engaged
                    expected["proposal_sla", "breached" if took * 3 / 4 > timedelta(hours=72) else "met"] += 1
                    expected["response_sla", "breached" if took / 4 > timedelta(hours=96) else "met"] += 1
        ended = SlaClock.objects.for_org(org).filter(pursuit__isnull=False, stopped_at__isnull=False)
        assert Counter(ended.values_list("metric", "outcome")) == expected
        breaches = SlaBreach.objects.for_org(org).filter(resolved_at__isnull=False)
        assert breaches.count() == sum(number for (_, outcome), number in expected.items() if outcome == "breached")

    def _events_tell_all(self, org: Organization, count: int) -> None:
        events = WorkEvent.objects.for_org(org)
        assert Counter(events.values_list("event_name", flat=True)) == {
            "signal.created": 8800,
            "signal.linked": 8800,
            "candidate.created": 8800,
            "candidate.triaged": 8300,
            "candidate.promoted": 8300,
            "pursuit.created": 8300,
            "pursuit.stage_changed": 2 * 6711,
            "gate.waived": 8 * 6711,
            "pursuit.submit": 6711,
            "pursuit.won": 4238,
            "pursuit.lost": 2473,
            "proposal.created": 8300,
            "proposal.sent": 6711,
            "engagement.created": 4238,
        }
        assert events.count() == count
        assert set(events.values_list("origin", flat=True).distinct()) == {Origin.IMPORT}
        assert OutgoingEmail.objects.for_org(org).count() == Task.objects.for_org(org).count() == 0

    def _times_are_historic(self, org: Organization) -> None:
        stays = StageHistory.objects.for_org(org)
        measured = set(stays.filter(is_inferred=False).values_list("state", flat=True).distinct())
        assert measured == {"new", "promoted", "qual", "won", "lost"}
        assert stays.filter(is_inferred=False, state="qual").count() == 1589
        first = stays.exclude(state="new").order_by("entered_at").values_list("entered_at", flat=True)[0]
        assert first == datetime(2016, 10, 20, 12, tzinfo=UTC)
        last = Pursuit.objects.for_org(org).exclude(closed_at=None).order_by("-closed_at")[0]
        assert last.closed_at == datetime(2017, 12, 31, 12, tzinfo=UTC)
        assert last.closed_at - last.candidate.promoted_at < timedelta(days=139)

    def _says_how_it_read_the_files(self, report) -> None:
        assert (
            report.resolutions["sales_pipeline.csv: product 'GTXPro' is read as 'GTX Pro', as the mapping says"] == 1480
        )
        assert report.resolutions["sales_pipeline.csv: the opportunity names no account; kept without a client"] == 1425
        assert report.resolutions["team member without an opportunity; made a member all the same"] == 5
        assert report.resolutions["accounts.csv: sector 'technolgy' is read as 'technology', as the mapping says"] == 12
