"""Candidates in the back office: edited, worked, and moved by buttons."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from django.utils.timezone import now

from flowledger.tenancy.actors import Role
from flowledger.tenancy.scope import org_scope
from tests.workstream.back_office import address, buttons_on, events_of, form_values, press, said, save, stored
from tests.workstream.factories import CandidateFactory, TagFactory, TaskFactory, open_candidate
from workstream.models import Activity, Candidate, Pursuit, Task, WorkItemLink


def link(candidate):
    return address(Candidate, "change", candidate.pk)


def tags_of(candidate):
    with org_scope(candidate.org_id):
        return list(candidate.tag_links.order_by("tag__name").values_list("tag__name", flat=True))


class TestAdd:
    def test_opens_a_candidate_through_its_use_case(self, home, as_role):
        save(
            as_role(Role.REP),
            address(Candidate, "add"),
            "candidate_form",
            title="Press line",
            tag_names=["press", "spring"],
        )
        with org_scope(home.org):
            candidate = Candidate.objects.for_org(home.org).get()
        assert (candidate.title, candidate.currency) == ("Press line", home.org.currency)
        assert candidate.owner_id == home.people[Role.REP].pk
        assert tags_of(candidate) == ["press", "spring"]
        assert events_of(home.org) == ["candidate.created"]


class TestEdit:
    def test_changes_fields_and_tags(self, home, as_role):
        candidate = open_candidate(home.org)
        TagFactory(org=home.org, name="Press")
        save(as_role(Role.MANAGER), link(candidate), "candidate_form", title="Two", tag_names=["Press", "new one"])
        assert stored(candidate)["title"] == "Two"
        assert tags_of(candidate) == ["Press", "new one"]
        save(as_role(Role.MANAGER), link(candidate), "candidate_form", tag_names=[])
        assert tags_of(candidate) == []

    def test_an_untouched_form_changes_nothing(self, home, as_role):
        candidate = open_candidate(home.org)
        before = stored(candidate)
        save(as_role(Role.MANAGER), link(candidate), "candidate_form")
        assert stored(candidate) == before

    def test_state_is_no_field(self, home, as_role):
        candidate = open_candidate(home.org)
        save(as_role(Role.ADMIN), link(candidate), "candidate_form", status="promoted", title="Renamed")
        assert (stored(candidate)["status"], stored(candidate)["title"]) == ("new", "Renamed")
        assert events_of(home.org) == ["candidate.created", "candidate.updated"]

    def test_a_service_refusal_shows_on_the_form(self, home, as_role):
        candidate = open_candidate(home.org)
        before = stored(candidate)
        response = save(as_role(Role.MANAGER), link(candidate), "candidate_form", title="X", tag_names=["t" * 61])
        assert "tags of 1 to 60 characters" in response.content.decode()
        assert stored(candidate) == before

    def test_over_a_newer_version_is_refused(self, home, as_role):
        candidate = open_candidate(home.org)
        client = as_role(Role.MANAGER)
        old = form_values(client.get(link(candidate)), "candidate_form")
        save(client, link(candidate), "candidate_form", title="First")
        response = client.post(link(candidate), {**old, "title": "Second"})
        assert "Somebody else changed this" in response.content.decode()
        assert stored(candidate)["title"] == "First"

    def test_a_representative_does_not_touch_a_colleagues(self, home, as_role):
        candidate = open_candidate(home.org, owner=home.people[Role.MANAGER])
        before = stored(candidate)
        client = as_role(Role.REP)
        page = client.get(link(candidate))
        assert buttons_on(page) == set()
        assert client.post(link(candidate), {"title": "Mine"}).status_code == 403
        assert stored(candidate) == before

    def test_a_viewer_reads_the_tags(self, home, as_role):
        candidate = open_candidate(home.org)
        save(as_role(Role.MANAGER), link(candidate), "candidate_form", tag_names=["press"])
        page = as_role(Role.VIEWER).get(link(candidate))
        assert "press" in page.content.decode()
        assert "tag_names" not in form_values(page, "candidate_form")


class TestButtons:
    @pytest.mark.parametrize(
        ("status", "shown"),
        [
            ("new", {"triage"}),
            ("triaged", {"promote", "nurture", "hold", "archive"}),
            ("nurture", {"triage", "hold", "archive"}),
            ("on_hold", {"triage", "archive"}),
            ("promoted", set()),
            ("archived", set()),
        ],
    )
    def test_are_the_moves_of_the_machine(self, home, as_role, status, shown):
        candidate = open_candidate(home.org, status=status)
        assert buttons_on(as_role(Role.REP).get(link(candidate))) == shown
        assert buttons_on(as_role(Role.VIEWER).get(link(candidate))) == set()

    def test_triage_and_nurture(self, home, as_role):
        candidate = open_candidate(home.org)
        press(as_role(Role.REP), candidate, "triage")
        assert stored(candidate)["status"] == "triaged"
        press(as_role(Role.REP), candidate, "nurture")
        assert stored(candidate)["status"] == "nurture"
        # It was opened long ago, so its triage came too late.
        late = ["sla.breached", "sla.resolved"]
        assert events_of(home.org) == ["candidate.created", "candidate.triaged", *late, "candidate.nurtured"]

    def test_hold_until_a_day_of_the_organisation(self, home, as_role):
        with org_scope(home.org):
            home.org.timezone = "Asia/Tokyo"
            home.org.save()
        candidate = open_candidate(home.org, status="triaged")
        day = (now() + timedelta(days=30)).date()
        press(as_role(Role.REP), candidate, "hold", reason="Budget in spring", resume_at=day.isoformat())
        after = stored(candidate)
        assert (after["status"], after["hold_reason"]) == ("on_hold", "Budget in spring")
        assert after["resume_at"] == datetime(day.year, day.month, day.day, tzinfo=UTC) - timedelta(hours=9)
        assert "On hold until" in as_role(Role.REP).get(link(candidate)).content.decode()

    def test_hold_refuses_a_day_that_is_over(self, home, as_role):
        candidate = open_candidate(home.org, status="triaged")
        before, events = stored(candidate), events_of(home.org)
        response = press(as_role(Role.REP), candidate, "hold", reason="Later", resume_at="2020-01-01")
        assert response.status_code == 400
        assert "This must lie in the future." in response.content.decode()
        assert (stored(candidate), events_of(home.org)) == (before, events)

    def test_archive_needs_a_reason(self, home, as_role):
        candidate = open_candidate(home.org, status="triaged")
        assert press(as_role(Role.REP), candidate, "archive", reason="").status_code == 400
        assert stored(candidate)["status"] == "triaged"
        press(as_role(Role.REP), candidate, "archive", reason="No need")
        assert (stored(candidate)["status"], stored(candidate)["archive_reason"]) == ("archived", "No need")

    def test_an_illegal_move_lists_the_legal_ones(self, home, as_role):
        candidate = open_candidate(home.org)
        response = press(as_role(Role.ADMIN), candidate, "promote")
        assert "possible next states: triaged" in said(response)
        assert stored(candidate)["status"] == "new"
        with org_scope(home.org):
            assert not Pursuit.objects.for_org(home.org).exists()

    @pytest.mark.parametrize("button", ["triage", "nurture"])
    def test_without_a_question_are_post_only(self, home, as_role, button):
        candidate = open_candidate(home.org, status="triaged")
        before = stored(candidate)
        assert as_role(Role.ADMIN).get(address(Candidate, "transition", candidate.pk, button)).status_code == 405
        assert stored(candidate) == before

    def test_a_forged_post_of_a_viewer_changes_nothing(self, home, as_role):
        candidate = open_candidate(home.org)
        before, events = stored(candidate), events_of(home.org)
        assert "needs the owner or a representative" in said(press(as_role(Role.VIEWER), candidate, "triage"))
        assert (stored(candidate), events_of(home.org)) == (before, events)

    def test_a_strangers_candidate_does_not_exist(self, abroad, as_role):
        theirs = CandidateFactory(org=abroad.org)
        before = stored(theirs)
        assert press(as_role(Role.ADMIN), theirs, "triage").status_code == 404
        assert stored(theirs) == before


class TestPromote:
    def test_opens_the_pursuit_and_goes_there(self, home, as_role):
        candidate = open_candidate(home.org, status="triaged")
        response = press(
            as_role(Role.REP), candidate, "promote", follow=False, due_date="2026-12-24", forecast_value="125000"
        )
        with org_scope(home.org):
            pursuit = Pursuit.objects.for_org(home.org).get()
        assert response.headers["Location"] == address(Pursuit, "change", pursuit.pk)
        assert (str(pursuit.due_date), str(pursuit.forecast_value)) == ("2026-12-24", "125000.00")
        page = as_role(Role.REP).get(link(candidate)).content.decode()
        assert address(Pursuit, "change", pursuit.pk) in page

    def test_takes_due_date_and_value_from_the_rules_when_not_given(self, home, as_role):
        candidate = open_candidate(home.org, status="triaged", value_band="high")
        press(as_role(Role.REP), candidate, "promote", due_date="", forecast_value="")
        with org_scope(home.org):
            pursuit = Pursuit.objects.for_org(home.org).get()
        assert str(pursuit.forecast_value) == "150000.00"
        assert pursuit.due_date == (now() + timedelta(days=30)).date()


class TestTabs:
    def inline(self, client, candidate, prefix, **values):
        first = {f"{prefix}-0-{name}": value for name, value in values.items()}
        return save(client, link(candidate), "candidate_form", **{f"{prefix}-TOTAL_FORMS": "1"}, **first)

    def test_an_activity_touches_the_candidate(self, home, as_role):
        candidate = open_candidate(home.org)
        self.inline(as_role(Role.REP), candidate, "activity_set", kind="call", direction="outbound", summary="Rang")
        with org_scope(home.org):
            activity = Activity.objects.for_org(home.org).get()
        assert (activity.candidate_id, activity.summary) == (candidate.pk, "Rang")
        assert activity.actor_id == home.people[Role.REP].pk
        assert stored(candidate)["last_touch_at"] == activity.happened_at
        assert events_of(home.org)[-1] == "activity.logged"

    def test_a_refused_activity_shows_on_the_page_and_leaves_nothing(self, home, as_role):
        candidate = open_candidate(home.org)
        before, events = stored(candidate), events_of(home.org)
        tomorrow = (now() + timedelta(days=1)).strftime("%Y-%m-%dT%H:%M")
        response = self.inline(
            as_role(Role.REP),
            candidate,
            "activity_set",
            kind="call",
            direction="outbound",
            summary="Rang",
            happened_at=tomorrow,
        )
        assert "plan with a task instead" in response.content.decode()
        assert (stored(candidate), events_of(home.org)) == (before, events)

    def test_a_task_is_opened_and_done_from_the_page(self, home, as_role):
        candidate = open_candidate(home.org)
        rep = home.people[Role.REP]
        self.inline(as_role(Role.REP), candidate, "task_set", title="Send references", assignee=rep.pk)
        with org_scope(home.org):
            task = Task.objects.for_org(home.org).get()
        assert (task.candidate_id, task.assignee_id) == (candidate.pk, rep.pk)
        done = address(Task, "transition", task.pk, "complete") + "?back=item"
        assert done.replace("&", "&amp;") in as_role(Role.REP).get(link(candidate)).content.decode()
        response = as_role(Role.REP).post(done)
        assert response.headers["Location"] == link(candidate)
        assert stored(task)["status"] == "done"

    def test_an_assignee_may_finish_a_task_on_a_colleagues_item(self, home, as_role):
        candidate = open_candidate(home.org, owner=home.people[Role.MANAGER])
        task = TaskFactory(org=home.org, candidate=candidate, assignee=home.people[Role.REP])
        other = TaskFactory(org=home.org, candidate=candidate, assignee=home.people[Role.ADMIN])
        assert buttons_on(as_role(Role.REP).get(address(Task, "change", task.pk))) == {"complete", "cancel"}
        assert buttons_on(as_role(Role.REP).get(address(Task, "change", other.pk))) == set()
        press(as_role(Role.REP), task, "complete")
        press(as_role(Role.REP), other, "complete")
        assert (stored(task)["status"], stored(other)["status"]) == ("done", "open")

    def test_a_viewer_finishes_nothing_even_when_it_is_theirs(self, home, as_role):
        task = TaskFactory(org=home.org, assignee=home.people[Role.VIEWER])
        assert buttons_on(as_role(Role.VIEWER).get(address(Task, "change", task.pk))) == set()
        press(as_role(Role.VIEWER), task, "complete")
        assert stored(task)["status"] == "open"

    def test_a_link_is_added(self, home, as_role):
        candidate = open_candidate(home.org)
        self.inline(
            as_role(Role.REP), candidate, "workitemlink_set", link_type="url", target_ref="https://example.org/thread"
        )
        with org_scope(home.org):
            assert WorkItemLink.objects.for_org(home.org).get().candidate_id == candidate.pk

    def test_a_script_is_no_link(self, home, as_role):
        candidate = open_candidate(home.org)
        self.inline(as_role(Role.REP), candidate, "workitemlink_set", link_type="url", target_ref="javascript:alert(1)")
        with org_scope(home.org):
            assert not WorkItemLink.objects.for_org(home.org).exists()
