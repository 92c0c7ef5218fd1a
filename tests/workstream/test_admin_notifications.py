"""Notifications in the back office: the bell, the list, reading, and how somebody wants to be told."""

from __future__ import annotations

from datetime import time
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse
from django.utils.timezone import now

from flowledger.tenancy.actors import Role
from flowledger.tenancy.scope import org_scope, system_scope
from tests.queries import counted_queries
from tests.workstream.back_office import said, stored
from tests.workstream.factories import CandidateFactory
from workstream.admin.notifications import PER_PAGE
from workstream.models import Notification, NotificationPreference

LIST = reverse("admin:notifications")
READ_ALL = reverse("admin:notifications_read_all")
PREFERENCES = reverse("admin:notification_preferences")


def tell(house: Any, role: Role = Role.REP, **fields: Any) -> Notification:
    """A notification for somebody of the house."""
    with system_scope("tests"):
        number = Notification.all_orgs.count()
        values = {"kind": "sla.breached", "source_key": f"breach-{number}", "title": f"Overdue {number}", **fields}
        return Notification.all_orgs.create(org=house.org, user=house.people[role], happened_at=now(), **values)


def read(row: Notification) -> str:
    return reverse("admin:notification_read", args=[row.pk])


class TestTheBell:
    def test_counts_what_the_person_has_not_read(self, home, abroad, as_role):
        tell(home), tell(home), tell(home, read_at=now()), tell(home, Role.MANAGER), tell(abroad)
        page = as_role(Role.REP).get(reverse("admin:overview")).content.decode()
        assert 'aria-label="Notifications: 2 unread"' in page
        assert 'aria-label="Notifications"' in as_role(Role.VIEWER).get(reverse("admin:overview")).content.decode()


class TestTheList:
    def test_shows_own_ones_newest_first(self, home, abroad, as_role):
        older, newer = tell(home), tell(home)
        tell(home, Role.MANAGER), tell(abroad)
        rows = as_role(Role.REP).get(LIST).context["rows"]
        assert [entry["row"].pk for entry in rows] == [newer.pk, older.pk]

    def test_of_unread_ones_leaves_out_the_others(self, home, as_role):
        tell(home, read_at=now())
        unread = tell(home)
        rows = as_role(Role.REP).get(LIST, {"unread": "1"}).context["rows"]
        assert [entry["row"].pk for entry in rows] == [unread.pk]

    def test_goes_on_with_older_ones_at_the_same_cost(self, home, as_role):
        client = as_role(Role.REP)
        tell(home)
        client.get(LIST)
        with counted_queries() as few:
            client.get(LIST)
        for _ in range(PER_PAGE):
            tell(home)
        with counted_queries() as many:
            page = client.get(LIST)
        assert len(page.context["rows"]) == PER_PAGE
        assert len(client.get(LIST, {"before": page.context["older"]}).context["rows"]) == 1
        assert len(many) == len(few)

    @pytest.mark.parametrize("before", ["x", "9" * 40, "-1"])
    def test_takes_no_nonsense(self, home, as_role, before):
        tell(home)
        assert len(as_role(Role.REP).get(LIST, {"before": before}).context["rows"]) == 1

    def test_says_when_there_is_nothing(self, home, as_role):
        assert "Nothing yet." in as_role(Role.REP).get(LIST).content.decode()


class TestReading:
    def test_marks_one(self, home, as_role):
        row, other = tell(home), tell(home)
        assert as_role(Role.REP).post(read(row))["Location"] == LIST
        assert stored(row)["read_at"] is not None
        assert stored(other)["read_at"] is None

    def test_opens_what_it_is_about(self, home, as_role):
        candidate = CandidateFactory(org=home.org)
        row = tell(home, item_type="candidate", item_id=candidate.pk)
        response = as_role(Role.REP).post(read(row), {"open": "1"})
        assert response["Location"] == reverse("admin:workstream_candidate_change", args=[candidate.pk])
        assert stored(row)["read_at"] is not None

    def test_marks_all_of_ones_own(self, home, as_role):
        mine, theirs = tell(home), tell(home, Role.MANAGER)
        assert "1 marked as read." in said(as_role(Role.REP).post(READ_ALL, follow=True))
        assert stored(mine)["read_at"] is not None
        assert stored(theirs)["read_at"] is None

    def test_knows_nobody_elses(self, home, abroad, as_role):
        for row in (tell(home, Role.MANAGER), tell(abroad)):
            assert as_role(Role.REP).post(read(row)).status_code == 404
            assert stored(row)["read_at"] is None

    def test_needs_a_post_and_a_token(self, home, as_role):
        row = tell(home)
        for link in (read(row), READ_ALL):
            assert as_role(Role.REP).get(link).status_code == 405
            client = Client(enforce_csrf_checks=True)
            client.force_login(home.people[Role.REP])
            assert client.post(link).status_code == 403
        assert stored(row)["read_at"] is None


class TestPreferences:
    VALUES = {"email_mode": "digest", "digest_time": "07:30", "quiet_from": "20:00", "quiet_to": "07:00"}

    def test_are_stored_for_the_person(self, home, as_role):
        page = as_role(Role.REP).get(PREFERENCES)
        assert page.context["adminform"].form.initial["email_mode"] == "immediate"
        as_role(Role.REP).post(PREFERENCES, {**self.VALUES, "timezone": "Europe/Berlin"})
        with org_scope(home.org):
            row = NotificationPreference.objects.for_org(home.org).get()
        assert (row.user_id, row.email_mode, row.timezone) == (home.people[Role.REP].pk, "digest", "Europe/Berlin")
        assert (row.digest_time, row.quiet_from, row.quiet_to) == (time(7, 30), time(20), time(7))

    @pytest.mark.parametrize(
        ("values", "sentence"),
        [
            ({"quiet_to": ""}, "Quiet hours need a begin and an end."),
            ({"quiet_to": "20:00"}, "differs from their begin"),
            ({"timezone": "Mars"}, "not one of the available choices"),
        ],
    )
    def test_that_cannot_be_are_refused_in_words(self, home, as_role, values, sentence):
        response = as_role(Role.REP).post(PREFERENCES, {**self.VALUES, **values})
        assert (response.status_code, sentence in response.content.decode()) == (400, True)
        with org_scope(home.org):
            assert not NotificationPreference.objects.for_org(home.org).exists()
