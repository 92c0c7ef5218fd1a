"""Business calendars: what is refused and why, what an edit leaves behind, and what a threshold would do."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from functools import partial
from typing import Any

import pytest
from django.db import transaction

from flowledger.errors import Conflict, InvalidInput, NotFound, PermissionRefused
from flowledger.outbox.models import WorkEvent
from flowledger.tenancy.scope import system_scope
from tests.queries import counted_queries
from tests.workstream.conftest import actor_of
from tests.workstream.factories import AT, CLERK
from tests.workstream.test_query_counts import FEW, MANY, MOST_OF_A_DETAIL, MOST_OF_A_LIST
from tests.workstream.trail import at_once, nothing_changes
from workstream import services
from workstream.business_time import BusinessTime
from workstream.models import BusinessCalendar, ClosingDay, SlaRule
from workstream.opening import business_time_of

pytestmark = pytest.mark.django_db

OFFICE = {"name": "Office", "timezone": "Europe/Berlin", "country": "DE", "subdivision": "BY"}
PARTY = {"date": date(2026, 11, 23), "name": "Summer party, late"}
FRIDAY = datetime(2026, 11, 20, 15, tzinfo=UTC)  # 16:00 in Berlin
HOUR = 3600


def create(org: Any, closing_days: Any = (), **fields: Any) -> BusinessCalendar:
    return services.create_calendar(org=org, fields={**OFFICE, **fields}, closing_days=closing_days, actor=CLERK, at=AT)


def change(calendar: BusinessCalendar, closing_days: Any = None, **fields: Any) -> BusinessCalendar:
    return services.update_calendar(
        org=calendar.org, calendar_id=calendar.pk, fields=fields, closing_days=closing_days, actor=CLERK, at=AT
    )


def edits_of(calendar: BusinessCalendar) -> list[Any]:
    """The versions that events told of, in order."""
    rows = WorkEvent.all_orgs.filter(org=calendar.org, item_type="business_calendar", item_id=calendar.pk)
    assert set(rows.values_list("event_name", flat=True)) <= {"sla.calendar_changed"}
    return [row.payload["version"] for row in rows.order_by("pk")]


def rule_by(calendar: BusinessCalendar, **more: Any) -> SlaRule:
    return SlaRule.all_orgs.create(
        org=calendar.org,
        calendar=calendar,
        **{"item_type": "candidate", "metric": "triage_sla", "threshold_hours": Decimal(24), **more},
    )


class TestCreate:
    def test_keeps_the_calendar_and_its_closing_days(self, org):
        calendar = create(org, [PARTY, {"date": date(2026, 12, 24)}])

        assert (calendar.name, calendar.timezone, calendar.country, calendar.subdivision, calendar.version) == (
            *OFFICE.values(),
            1,
        )
        assert calendar.windows["mon"] == [["09:00", "17:00"]]
        days = ClosingDay.all_orgs.filter(calendar=calendar).order_by("date").values_list("date", "name")
        assert list(days) == [(PARTY["date"], PARTY["name"]), (date(2026, 12, 24), "")]
        assert edits_of(calendar) == [1]

    def test_brings_codes_into_one_spelling(self, org):
        calendar = create(org, country="de", subdivision="by")

        assert (calendar.country, calendar.subdivision) == ("DE", "BY")

    @pytest.mark.parametrize(
        ("fields", "field", "sentence"),
        [
            ({"name": "  "}, "name", "A calendar needs a name."),
            ({"timezone": "Berlin"}, "timezone", "'Berlin' is no time zone"),
            ({"timezone": "../../etc/passwd"}, "timezone", "is no time zone"),
            ({"country": "XX"}, "country", "The public holidays of 'XX' are not known"),
            ({"subdivision": "CA"}, "subdivision", "'CA' is no subdivision of DE with holidays; choose from: .*BY"),
            ({"country": "NP", "subdivision": "BY"}, "subdivision", "it has none; leave it empty"),
            ({"country": ""}, "subdivision", "A subdivision needs its country."),
            ({"windows": []}, "windows", "Give the windows by weekday"),
            ({"windows": {}}, "windows", "A calendar needs at least one window"),
            ({"windows": {"mon": []}}, "windows", "A calendar needs at least one window"),
            ({"windows": {"mon": [["17:00", "09:00"]]}}, "windows", "17:00–09:00 of mon ends before it begins"),
            ({"windows": {"tue": [["09:00", "13:00"], ["12:00", "17:00"]]}}, "windows", "Two windows of tue overlap"),
            ({"windows": {"noday": [["09:00", "13:00"]]}}, "windows", "'noday' is no weekday"),
        ],
    )
    def test_refuses_what_cannot_be(self, org, fields, field, sentence):
        with nothing_changes(), pytest.raises(InvalidInput, match=sentence) as refusal:
            create(org, **fields)
        assert list(refusal.value.details["fields"]) == [field]

    def test_refuses_a_closing_day_given_twice(self, org):
        with nothing_changes(), pytest.raises(InvalidInput, match="2026-11-23 is given twice"):
            create(org, [PARTY, {"date": PARTY["date"]}])

    def test_refuses_more_closing_days_than_anybody_has(self, org):
        days = [{"date": date(2026, 1, 1) + timedelta(days=number)} for number in range(1001)]
        with nothing_changes(), pytest.raises(InvalidInput, match="at most 1,000 closing days"):
            create(org, days)

    def test_refuses_a_taken_name_here_and_not_elsewhere(self, org, other_org):
        create(org)
        with nothing_changes(), pytest.raises(Conflict, match="a calendar named 'Office' already"):
            create(org)
        assert create(other_org).name == "Office"

    def test_refuses_a_representative(self, org, rep):
        with nothing_changes(), pytest.raises(PermissionRefused):
            services.create_calendar(org=org, fields=OFFICE, actor=actor_of(rep), at=AT)


class TestUpdate:
    def test_counts_and_records_the_edit(self, org):
        calendar = create(org, [PARTY])
        changed = change(calendar, windows={"mon": [["10:00", "12:00"]]})

        stored = BusinessCalendar.all_orgs.get(pk=calendar.pk)
        assert (
            (stored.version, stored.windows) == (changed.version, changed.windows) == (2, {"mon": [["10:00", "12:00"]]})
        )
        assert stored.closing_days.count() == 1
        assert edits_of(calendar) == [1, 2]

    def test_closing_days_alone_are_an_edit(self, org):
        calendar = create(org, [PARTY, {"date": date(2026, 12, 24)}])
        changed = change(calendar, [{"date": date(2026, 12, 24), "name": "Early Christmas"}])

        assert changed.version == 2
        assert list(changed.closing_days.values_list("date", "name")) == [(date(2026, 12, 24), "Early Christmas")]
        assert edits_of(calendar) == [1, 2]

    def test_what_changes_nothing_is_no_edit(self, org):
        calendar = create(org, [PARTY])
        with nothing_changes():
            assert change(calendar, [PARTY], **OFFICE).version == 1

    @pytest.mark.parametrize("fields", [{"timezone": "Nowhere"}, {"windows": {}}, {"country": "XX"}, {"name": ""}])
    def test_refuses_what_cannot_be(self, org, fields):
        calendar = create(org)
        with nothing_changes(), pytest.raises(InvalidInput):
            change(calendar, **fields)

    def test_refuses_a_taken_name(self, org):
        create(org)
        other = create(org, name="Night shift")
        with nothing_changes(), pytest.raises(Conflict):
            change(other, name="Office")

    def test_a_strangers_calendar_does_not_exist(self, org, other_org):
        theirs = create(other_org)
        with nothing_changes(), pytest.raises(NotFound):
            services.update_calendar(org=org, calendar_id=theirs.pk, fields={"name": "Mine"}, actor=CLERK, at=AT)


class TestOpenTime:
    """What is kept of a calendar between two looks is never that of an older edit, nor of one rolled back."""

    def test_without_a_calendar_every_hour_counts(self):
        assert business_time_of(None) == BusinessTime(None)

    def test_is_that_of_the_calendar(self, org):
        time = business_time_of(create(org, [PARTY]))

        assert time.add(FRIDAY, 2 * HOUR) == FRIDAY + timedelta(days=4, hours=-6)  # Tuesday, 10:00

    def test_follows_every_edit(self, org):
        calendar = create(org)
        assert business_time_of(calendar).add(FRIDAY, 2 * HOUR) == FRIDAY + timedelta(days=3, hours=-6)
        calendar = change(calendar, [PARTY])
        assert business_time_of(calendar).add(FRIDAY, 2 * HOUR) == FRIDAY + timedelta(days=4, hours=-6)

    def test_forgets_an_edit_that_was_rolled_back(self, org):
        calendar = create(org)
        with transaction.atomic():
            assert business_time_of(change(calendar, [PARTY])).elapsed(FRIDAY, FRIDAY + timedelta(days=3)) == HOUR
            transaction.set_rollback(True)
        again = change(calendar, windows={"sat": [["00:00", "24:00"]]})
        assert again.version == 2
        assert business_time_of(again).elapsed(FRIDAY, FRIDAY + timedelta(days=3)) == 24 * HOUR

    def test_is_laid_out_once(self, org):
        calendar = create(org, [PARTY])
        first = business_time_of(BusinessCalendar.all_orgs.get(pk=calendar.pk))
        with counted_queries() as asked:
            again = business_time_of(calendar)
        assert again is first
        assert asked == []


class TestDelete:
    def test_takes_the_closing_days_with_it(self, org):
        calendar = create(org, [PARTY])
        services.delete_calendar(org=org, calendar_id=calendar.pk, actor=CLERK, at=AT)

        assert not BusinessCalendar.all_orgs.filter(org=org).exists()
        assert not ClosingDay.all_orgs.filter(org=org).exists()

    @pytest.mark.parametrize("is_active", [True, False])
    def test_is_refused_while_rules_count_by_it(self, org, is_active):
        calendar = create(org)
        rule_by(calendar, is_active=is_active)
        with nothing_changes(), pytest.raises(Conflict, match=r"calendar 'Office' \(Triage of a candidate: 24 h\)"):
            services.delete_calendar(org=org, calendar_id=calendar.pk, actor=CLERK, at=AT)

    def test_refuses_a_representative(self, org, rep):
        calendar = create(org)
        with nothing_changes(), pytest.raises(PermissionRefused):
            services.delete_calendar(org=org, calendar_id=calendar.pk, actor=actor_of(rep), at=AT)


@pytest.mark.django_db(transaction=True)
@pytest.mark.usefixtures("transactional_db")
class TestAtOnce:
    def test_two_edits_are_two_versions(self, org):
        calendar = create(org)
        answers = at_once(*(partial(change, calendar, name=name) for name in ("Early", "Late")))

        assert sorted(answer.version for answer in answers) == [2, 3]
        with system_scope("tests"):
            stored = BusinessCalendar.all_orgs.get(pk=calendar.pk)
            assert (stored.version, edits_of(calendar)) == (3, [1, 2, 3])


class TestPreview:
    def preview(self, org: Any, **more: Any) -> Any:
        arguments = {"start_at": FRIDAY, "hours": 3, "actor": CLERK, "at": AT, **more}
        return services.preview_deadline(org=org, **arguments)

    def test_of_a_stored_calendar_shows_the_open_times_passed(self, org):
        calendar = create(org, [PARTY])
        with nothing_changes():
            preview = self.preview(org, calendar_id=calendar.pk)

        tuesday = datetime(2026, 11, 24, 8, tzinfo=UTC)
        assert preview.due_at == tuesday + timedelta(hours=2)
        assert preview.stretches == ((FRIDAY, FRIDAY + timedelta(hours=1)), (tuesday, tuesday + timedelta(hours=2)))
        assert not preview.is_cut

    def test_of_a_change_before_it_is_made(self, org):
        calendar = create(org, [PARTY])
        with nothing_changes():
            preview = self.preview(org, calendar_id=calendar.pk, fields={"windows": {"sat": [["10:00", "14:00"]]}})
            reopened = self.preview(org, calendar_id=calendar.pk, closing_days=[])

        assert preview.due_at == datetime(2026, 11, 21, 12, tzinfo=UTC)
        assert reopened.due_at == datetime(2026, 11, 23, 10, tzinfo=UTC)

    def test_of_a_calendar_that_is_described_only(self, org):
        org.timezone = "Asia/Kathmandu"
        with nothing_changes():
            preview = self.preview(org, fields={"windows": {"sat": [["09:00", "24:00"]]}})

        assert preview.due_at == datetime(2026, 11, 21, 6, 15, tzinfo=UTC)  # 12:00 in Kathmandu

    def test_shows_a_hundred_stretches_at_most(self, org):
        preview = self.preview(org, calendar_id=create(org).pk, hours=1000)

        assert len(preview.stretches) == 100
        assert preview.is_cut

    @pytest.mark.parametrize(
        ("asked", "field"),
        [
            ({"hours": 0}, "hours"),
            ({"hours": -1}, "hours"),
            ({"hours": 10_001}, "hours"),
            ({"fields": {"timezone": "Nowhere"}}, "timezone"),
            ({"fields": {"windows": {"mon": [["09:00", "09:01"]]}}, "hours": 1000}, "windows"),
            ({"closing_days": [PARTY, PARTY]}, "closing_days"),
        ],
    )
    def test_refuses_what_cannot_be(self, org, asked, field):
        with pytest.raises(InvalidInput) as refusal:
            self.preview(org, **asked)
        assert list(refusal.value.details["fields"]) == [field]

    def test_a_strangers_calendar_does_not_exist(self, org, other_org):
        with pytest.raises(NotFound):
            self.preview(org, calendar_id=create(other_org).pk)


class TestOverRest:
    BODY = {**OFFICE, "closing_days": [{"date": "2026-12-24", "name": "Early Christmas"}, {"date": "2026-11-23"}]}

    def test_creates_reads_changes_and_deletes(self, org, as_manager, as_viewer):
        created = as_manager.post("/api/sla/calendars", self.BODY)
        assert created.status_code == 201
        shown = created.json()
        assert shown == shown | OFFICE | {
            "org_id": org.pk,
            "version": 1,
            "windows": {day: [["09:00", "17:00"]] for day in ("mon", "tue", "wed", "thu", "fri")},
            "closing_days": [{"date": "2026-11-23", "name": ""}, {"date": "2026-12-24", "name": "Early Christmas"}],
        }
        own = f"/api/sla/calendars/{shown['calendar_id']}"
        assert as_viewer.get(own).json() == shown
        assert as_viewer.get("/api/sla/calendars").json()["data"] == [shown]

        changed = as_manager.patch(own, {"closing_days": []}, content_type="application/json")
        assert (changed.status_code, changed.json()["version"], changed.json()["closing_days"]) == (200, 2, [])
        assert changed["ETag"] != created["ETag"]
        stale = as_manager.patch(
            own, {"name": "Late"}, content_type="application/json", headers={"If-Match": created["ETag"]}
        )
        assert stale.status_code == 412
        assert as_manager.delete(own).status_code == 204
        assert as_manager.get(own).status_code == 404

    @pytest.mark.parametrize(
        ("change", "field"),
        [
            ({"timezone": "Berlin"}, "timezone"),
            ({"windows": {"mon": [["17:00", "09:00"]]}}, "windows"),
            ({"windows": "always"}, "windows"),
            ({"country": "XX"}, "country"),
            ({"country": "Germany"}, "country"),
            ({"closing_days": [{"date": "tomorrow"}]}, "closing_days"),
            ({"closing_days": [{"day": "2026-12-24"}]}, "closing_days"),
            ({"closing_days": {}}, "closing_days"),
            ({"version": 7}, "version"),
            ({"mood": "good"}, "mood"),
        ],
    )
    def test_says_which_field_does_not_fit(self, org, as_manager, change, field):
        with nothing_changes():
            answer = as_manager.post("/api/sla/calendars", {**self.BODY, **change}, content_type="application/json")
        assert (answer.status_code, answer.json()["code"]) == (400, "validation_error")
        assert any(name.split(".")[0].split("[")[0] == field for name in answer.json()["fields"]), answer.json()

    def test_a_calendar_in_use_is_a_conflict(self, org, as_manager):
        calendar = create(org)
        rule_by(calendar)
        with nothing_changes():
            answer = as_manager.delete(f"/api/sla/calendars/{calendar.pk}")
        assert (answer.status_code, answer.json()["code"]) == (409, "conflict")

    def test_previews(self, org, as_viewer):
        calendar = create(org, [PARTY])
        body = {"calendar_id": calendar.pk, "start_at": "2026-11-20T16:00:00+01:00", "hours": 3}
        answer = as_viewer.post("/api/sla/calendars/preview", body)

        assert answer.status_code == 200
        assert answer.json() == {
            "due_at": "2026-11-24T10:00:00Z",
            "stretches": [
                {"opens_at": "2026-11-20T15:00:00Z", "closes_at": "2026-11-20T16:00:00Z"},
                {"opens_at": "2026-11-24T08:00:00Z", "closes_at": "2026-11-24T10:00:00Z"},
            ],
            "is_cut": False,
        }

    def test_lists_ask_the_same_for_few_and_many(self, org, as_viewer):
        for number in range(FEW):
            create(org, [PARTY], name=f"Calendar {number}")
        with counted_queries() as few:
            as_viewer.get("/api/sla/calendars")
        for number in range(FEW, MANY):
            create(org, [PARTY], name=f"Calendar {number}")
        with counted_queries() as many:
            shown = as_viewer.get("/api/sla/calendars").json()["data"]
        assert len(shown) == MANY
        assert 0 < len(many) == len(few) <= MOST_OF_A_LIST, "\n".join(many)

    def test_one_asks_few(self, org, as_viewer):
        calendar = create(org, [PARTY])
        with counted_queries() as asked:
            assert as_viewer.get(f"/api/sla/calendars/{calendar.pk}").status_code == 200
        assert 0 < len(asked) <= MOST_OF_A_DETAIL, "\n".join(asked)
