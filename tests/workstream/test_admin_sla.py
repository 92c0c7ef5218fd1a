"""SLA rules, business calendars and breaches in the back office, and the clocks on the page of an item."""

from __future__ import annotations

import re
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.utils.timezone import now

from flowledger.tenancy.actors import Actor, Role
from flowledger.tenancy.scope import org_scope
from tests.workstream.back_office import address, events_of, form_values, save, stored
from tests.workstream.factories import (
    BusinessCalendarFactory,
    SignalFactory,
    SlaBreachFactory,
    SlaClockFactory,
    SlaRuleFactory,
    open_candidate,
    open_pursuit,
)
from workstream.business_time import BusinessTime
from workstream.models import BusinessCalendar, Candidate, Pursuit, Signal, SlaBreach, SlaClock, SlaRule
from workstream.opening import business_time_of
from workstream.services.sla_preview import latest_start, preview_rule

MANAGER = Actor.system("tests")


@pytest.fixture(autouse=True)
def no_wake(settings: Any) -> None:
    settings.OUTBOX_WAKE = False


def shown(response: Any, name: str) -> str:
    """The text of a marked place of a preview."""
    found = re.search(rf"data-{name}(?![-\w])[^>]*>([^<]*)<", response.content.decode())
    assert found, response.content.decode()
    return found[1]


class TestRules:
    def test_a_new_organisation_sees_its_defaults_at_the_first_look(self, home, as_role):
        page = as_role(Role.VIEWER).get(address(SlaRule, "changelist"))
        assert {(row.metric, row.item_type) for row in page.context["cl"].result_list} == {
            ("triage_sla", "signal"),
            ("triage_sla", "candidate"),
            ("proposal_sla", "pursuit"),
            ("response_sla", "pursuit"),
        }

    def test_are_added_by_managers_through_the_use_case(self, home, as_role):
        calendar = BusinessCalendarFactory(org=home.org)
        save(
            as_role(Role.MANAGER),
            address(SlaRule, "add"),
            "slarule_form",
            item_type="candidate",
            metric="triage_sla",
            stage="new",
            threshold_hours="8",
            warn_before_hours="2",
            calendar=calendar.pk,
        )
        with org_scope(home.org):
            rule = SlaRule.objects.for_org(home.org).get(stage="new")
        assert (rule.threshold_hours, rule.warn_before_hours, rule.calendar_id) == (8, 2, calendar.pk)
        assert "sla.rule_changed" in events_of(home.org)

    def test_an_edit_raises_the_version(self, home, as_role):
        rule = SlaRuleFactory(org=home.org)
        save(as_role(Role.MANAGER), address(SlaRule, "change", rule.pk), "slarule_form", threshold_hours="12")
        assert (stored(rule)["threshold_hours"], stored(rule)["version"]) == (Decimal(12), 2)
        save(as_role(Role.MANAGER), address(SlaRule, "change", rule.pk), "slarule_form")
        assert stored(rule)["version"] == 2

    def test_what_is_measured_is_no_field_of_an_existing_rule(self, home, as_role):
        rule = SlaRuleFactory(org=home.org)
        save(as_role(Role.MANAGER), address(SlaRule, "change", rule.pk), "slarule_form", metric="proposal_sla")
        assert stored(rule)["metric"] == "triage_sla"

    @pytest.mark.parametrize(
        ("values", "sentence"),
        [
            ({"metric": "proposal_sla"}, "On a candidate choose from"),
            ({"warn_before_hours": "24"}, "warn"),
            ({"threshold_hours": "0"}, "0.01"),
            ({"stage": "red"}, "choose from"),
        ],
    )
    def test_one_that_makes_no_sense_is_refused_in_words(self, home, as_role, values, sentence):
        given = {"item_type": "candidate", "metric": "triage_sla", "threshold_hours": "24", **values}
        response = save(as_role(Role.MANAGER), address(SlaRule, "add"), "slarule_form", **given)
        assert sentence in response.content.decode()
        with org_scope(home.org):
            assert not SlaRule.objects.for_org(home.org).exists()

    @pytest.mark.parametrize("role", [Role.VIEWER, Role.REP])
    def test_are_read_by_the_others(self, home, as_role, role):
        rule = SlaRuleFactory(org=home.org)
        link = address(SlaRule, "change", rule.pk)
        page = as_role(role).get(link)
        assert page.status_code == 200
        assert "What this would do" not in page.content.decode()
        assert as_role(role).post(link, {"threshold_hours": "1"}).status_code == 403
        assert stored(rule)["threshold_hours"] == 24

    def test_are_never_deleted(self, home, as_role):
        rule = SlaRuleFactory(org=home.org)
        assert as_role(Role.ADMIN).post(address(SlaRule, "delete", rule.pk), {"post": "yes"}).status_code == 403
        assert stored(rule)["id"] == rule.pk


class TestPreviewOfARule:
    def test_says_when_it_would_warn_and_be_due_and_whom_it_moves(self, home, as_role):
        rule = SlaRuleFactory(org=home.org)
        for hours in (1, 10, 30):
            SlaClockFactory(org=home.org, rule=rule, started_at=now() - timedelta(hours=hours))
        client = as_role(Role.MANAGER)
        link = address(SlaRule, "change", rule.pk)
        values = form_values(client.get(link), "slarule_form")
        response = client.post(address(SlaRule, "preview", rule.pk), {**values, "threshold_hours": "8"})
        assert (shown(response, "running"), shown(response, "late-after"), shown(response, "late")) == ("3", "2", "1")
        preview = response.context["preview"]
        assert preview.due_at - response.context["at"] == timedelta(hours=8)
        assert preview.warns_at - response.context["at"] == timedelta(hours=6)
        assert stored(rule)["threshold_hours"] == 24
        assert events_of(home.org) == []

    def test_of_a_new_rule_moves_nothing(self, home, as_role):
        SlaClockFactory(org=home.org)
        values = {"item_type": "candidate", "metric": "triage_sla", "threshold_hours": "8", "is_active": "on"}
        response = as_role(Role.MANAGER).post(address(SlaRule, "preview_new"), values)
        assert "nothing that runs already changes" in response.content.decode()
        assert response.context["preview"].running == 0

    def test_of_switching_off_counts_what_would_be_cancelled(self, home, as_role):
        clock = SlaClockFactory(org=home.org, started_at=now())
        response = as_role(Role.MANAGER).post(address(SlaRule, "preview", clock.rule_id), {"threshold_hours": "24"})
        assert "1</span> running clock would be cancelled" in response.content.decode()

    def test_of_impossible_values_says_so(self, home, as_role):
        response = as_role(Role.MANAGER).post(address(SlaRule, "preview_new"), {"threshold_hours": "x"})
        assert response.status_code == 200
        assert "Enter a number" in response.content.decode()

    def test_is_for_managers_and_knows_no_strangers_rule_or_calendar(self, home, abroad, as_role):
        theirs = SlaRuleFactory(org=abroad.org)
        calendar = BusinessCalendarFactory(org=abroad.org)
        client = as_role(Role.MANAGER)
        assert client.post(address(SlaRule, "preview", theirs.pk), {"threshold_hours": "8"}).status_code == 404
        foreign = client.post(address(SlaRule, "preview_new"), {"threshold_hours": "8", "calendar": calendar.pk})
        assert "not one of the available choices" in foreign.content.decode()
        assert client.get(address(SlaRule, "preview_new")).status_code == 405
        refused = as_role(Role.REP).post(address(SlaRule, "preview_new"), {"threshold_hours": "8"})
        assert "data-due" not in refused.content.decode()

    @pytest.mark.parametrize("hours", ["8", "40"])
    def test_counts_what_the_recompute_will_find(self, home, hours):
        """Against the plain way: every clock by itself, pauses and closed hours with them."""
        at = datetime(2026, 3, 4, 12, 0, tzinfo=UTC)
        calendar = BusinessCalendarFactory(org=home.org)
        rule = SlaRuleFactory(org=home.org)
        for back in range(0, 400, 7):
            SlaClockFactory(
                org=home.org,
                rule=rule,
                started_at=at - timedelta(hours=back),
                paused_seconds=3600 * (back % 3),
                paused_at=at - timedelta(hours=2) if back % 5 == 0 else None,
            )
        preview = preview_rule(
            org=home.org,
            rule_id=rule.pk,
            threshold_hours=Decimal(hours),
            warn_before_hours=None,
            calendar_id=calendar.pk,
            actor=MANAGER,
            at=at,
        )
        time = business_time_of(calendar)
        expected = [
            clock
            for clock in SlaClock.all_orgs.filter(org=home.org)
            if time.add(clock.started_at, float(hours) * 3600 + clock.paused_seconds) <= (clock.paused_at or at)
        ]
        assert 0 < len(expected) < 58
        assert (preview.running, preview.late_after) == (58, len(expected))

    def test_the_latest_start_is_exact(self):
        at = datetime(2026, 3, 4, 12, 0, tzinfo=UTC)
        assert latest_start(BusinessTime(None), 3600.5, at=at) == at - timedelta(seconds=3600.5)


class TestCalendars:
    def test_are_added_with_windows_holidays_and_closing_days(self, home, as_role):
        save(
            as_role(Role.MANAGER),
            address(BusinessCalendar, "add"),
            "businesscalendar_form",
            name="Works",
            timezone="Europe/Berlin",
            windows_mon="9-12:30, 13:30–17",
            windows_tue="",
            windows_wed="",
            windows_thu="",
            windows_fri="08:00-12:00",
            country="DE",
            subdivision="BY",
            closing_days_date=["2026-12-24", "", ""],
            closing_days_name=["Christmas Eve", "", ""],
        )
        with org_scope(home.org):
            calendar = BusinessCalendar.objects.for_org(home.org).get()
            days = list(calendar.closing_days.values_list("date", "name"))
        assert calendar.windows == {"mon": [["09:00", "12:30"], ["13:30", "17:00"]], "fri": [["08:00", "12:00"]]}
        assert (calendar.timezone, calendar.country, calendar.subdivision) == ("Europe/Berlin", "DE", "BY")
        assert days == [(date(2026, 12, 24), "Christmas Eve")]
        assert events_of(home.org) == ["sla.calendar_changed"]

    def test_an_edit_of_a_closing_day_alone_raises_the_version(self, home, as_role):
        calendar = BusinessCalendarFactory(org=home.org)
        link = address(BusinessCalendar, "change", calendar.pk)
        save(as_role(Role.MANAGER), link, "businesscalendar_form", closing_days_date=["2026-12-31"])
        assert stored(calendar)["version"] == 2
        save(as_role(Role.MANAGER), link, "businesscalendar_form", closing_days_date=["2026-12-31"])
        assert stored(calendar)["version"] == 2
        save(as_role(Role.MANAGER), link, "businesscalendar_form", closing_days_date=[""])
        with org_scope(home.org):
            assert not calendar.closing_days.exists()

    @pytest.mark.parametrize(
        ("values", "sentence"),
        [
            ({"windows_mon": "17:00-9:00"}, "ends before it begins"),
            ({"windows_mon": "lunch"}, "as [from, to]"),
            ({"windows_mon": "9-12, 11-13"}, "overlap"),
            ({"subdivision": "XX"}, "no subdivision of DE"),
            ({"closing_days_date": ["2026-13-01"]}, "is no date"),
            ({"closing_days_date": ["2026-12-24", "2026-12-24"]}, "given twice"),
        ],
    )
    def test_a_mistake_is_said_in_words_and_what_was_typed_stays(self, home, as_role, values, sentence):
        calendar = BusinessCalendarFactory(org=home.org, country="DE")
        before = stored(calendar)
        link = address(BusinessCalendar, "change", calendar.pk)
        response = save(as_role(Role.MANAGER), link, "businesscalendar_form", name="Typed", **values)
        text = response.content.decode()
        assert sentence in text
        assert 'value="Typed"' in text
        assert stored(calendar) == before

    def test_a_preview_shows_the_next_due_times_and_stores_nothing(self, home, as_role):
        values = {
            "name": "Works",
            "timezone": "Europe/Berlin",
            "country": "",
            "subdivision": "",
            **{f"windows_{day}": "00:00-24:00" for day in ("mon", "tue", "wed", "thu", "fri", "sat", "sun")},
        }
        response = as_role(Role.MANAGER).post(address(BusinessCalendar, "preview"), values)
        dues = dict(response.context["dues"])
        assert dues[24] - response.context["at"] == timedelta(hours=24)
        closed = {**values, **{f"windows_{day}": "" for day in ("tue", "wed", "thu", "fri", "sat", "sun")}}
        later = as_role(Role.MANAGER).post(
            address(BusinessCalendar, "preview"), {**closed, "windows_mon": "09:00-17:00"}
        )
        assert dict(later.context["dues"])[8].weekday() == 0
        # In the time zone of the calendar, not in that of the server.
        assert ", 09:00–17:00" in later.content.decode()
        with org_scope(home.org):
            assert not BusinessCalendar.objects.for_org(home.org).exists()

    def test_a_preview_of_a_mistake_says_so(self, home, as_role):
        response = as_role(Role.MANAGER).post(
            address(BusinessCalendar, "preview"), {"timezone": "Europe/Berlin", "windows_mon": "noon-late"}
        )
        assert "is no time" in response.content.decode()

    def test_one_that_rules_count_by_is_not_deleted(self, home, as_role):
        calendar = BusinessCalendarFactory(org=home.org)
        SlaRuleFactory(org=home.org, calendar=calendar)
        as_role(Role.MANAGER).post(address(BusinessCalendar, "delete", calendar.pk), {"post": "yes"}, follow=True)
        assert stored(calendar)["id"] == calendar.pk

    @pytest.mark.parametrize("role", [Role.VIEWER, Role.REP])
    def test_are_kept_by_managers(self, home, as_role, role):
        calendar = BusinessCalendarFactory(org=home.org)
        link = address(BusinessCalendar, "change", calendar.pk)
        assert "Mon 09:00–17:00" in as_role(role).get(link).content.decode()
        assert as_role(role).post(link, {"name": "Mine"}).status_code == 403
        assert stored(calendar)["name"] == calendar.name


class TestBreaches:
    def test_are_filtered_and_lead_to_their_item(self, home, as_role):
        still_open = SlaBreachFactory(org=home.org)
        done = SlaBreachFactory(org=home.org, resolved_at=now(), resolved_by="candidate.triaged")
        client = as_role(Role.VIEWER)
        link = address(SlaBreach, "changelist")

        def rows(**query: str) -> list[int]:
            return sorted(row.pk for row in client.get(link, query).context["cl"].result_list)

        assert rows() == [still_open.pk, done.pk]
        assert rows(standing="open") == [still_open.pk]
        assert rows(standing="resolved") == [done.pk]
        assert rows(item_type="pursuit") == []
        assert rows(reason_code__exact="untouched") == [still_open.pk, done.pk]
        text = client.get(link).content.decode()
        assert address(Candidate, "change", still_open.candidate_id) in text


class TestClocksOfAnItem:
    def test_are_told_on_its_page(self, home, as_role):
        candidate, pursuit = open_candidate(home.org, at=now()), open_pursuit(home.org, at=now())
        signal = SignalFactory(org=home.org)
        client = as_role(Role.VIEWER)
        of_candidate = client.get(address(Candidate, "change", candidate.pk))
        assert "It is due at" in of_candidate.content.decode()
        assert {line.label for line in of_candidate.context["clocks"] if line.is_running} == {"Triage", "Untouched"}
        of_pursuit = client.get(address(Pursuit, "change", pursuit.pk))
        assert "Proposal" in {line.label for line in of_pursuit.context["clocks"] if line.is_running}
        assert client.get(address(Signal, "change", signal.pk)).context["clocks"] == []

    def test_a_paused_one_says_so(self, home, as_role):
        clock = SlaClockFactory(org=home.org, paused_at=now(), due_at=now() + timedelta(hours=3))
        page = as_role(Role.VIEWER).get(address(Candidate, "change", clock.candidate_id))
        assert [(line.state, line.when) for line in page.context["clocks"]] == [("paused", "stands still")]
