"""What people were told, by REST: each their own, read once, and as they want it by email."""

from __future__ import annotations

from datetime import UTC, datetime, time
from typing import Any

import pytest

from flowledger.tenancy.actors import Role
from flowledger.tenancy.models import Membership
from tests.client import ApiClient
from tests.queries import counted_queries
from tests.workstream.conftest import actor_of
from tests.workstream.factories import AT
from tests.workstream.trail import nothing_changes
from workstream import services
from workstream.models import Notification, NotificationPreference

pytestmark = pytest.mark.django_db

PREFERENCES = "/api/notifications/preferences"
DEFAULTS = {"email_mode": "immediate", "digest_time": "08:00", "quiet_from": None, "quiet_to": None, "timezone": ""}


def notification(member: Membership, **fields: Any) -> Notification:
    number = Notification.all_orgs.count()
    values = {"kind": "sla.breached", "source_key": f"breach-{number}", "title": f"Untouched: {number}"}
    row: Notification = Notification.all_orgs.create(
        org=member.org, user=member.user, happened_at=AT, **{**values, **fields}
    )
    return row


def change(client: ApiClient, fields: dict[str, Any]) -> Any:
    return client.patch(PREFERENCES, fields, content_type="application/json")


def ids(answer: Any) -> list[int]:
    assert answer.status_code == 200, answer.content
    return [row["notification_id"] for row in answer.json()["data"]]


class TestList:
    def test_shows_my_own_newest_first(self, rep, colleague, as_rep):
        first, _, second = notification(rep), notification(colleague), notification(rep, item_type="pursuit", item_id=4)

        answer = as_rep.get("/api/notifications")
        assert ids(answer) == [second.pk, first.pk]
        row = answer.json()["data"][0]
        assert {name: row[name] for name in ("kind", "title", "item_type", "item_id", "happened_at", "read_at")} == {
            "kind": "sla.breached",
            "title": second.title,
            "item_type": "pursuit",
            "item_id": 4,
            "happened_at": "2026-03-02T09:00:00Z",
            "read_at": None,
        }

    def test_filters_by_unread_and_by_kind(self, rep, as_rep):
        read, unread = notification(rep, read_at=AT), notification(rep, kind="sla.warned")

        assert ids(as_rep.get("/api/notifications?unread=true")) == [unread.pk]
        assert ids(as_rep.get("/api/notifications?unread=false")) == [read.pk]
        assert ids(as_rep.get("/api/notifications?kind=sla.warned")) == [unread.pk]

    def test_reads_on_by_cursor(self, rep, as_rep):
        rows = [notification(rep).pk for _ in range(5)]

        page = as_rep.get("/api/notifications?limit=3")
        cursor = page.json()["pagination"]["next_cursor"]
        assert ids(page) + ids(as_rep.get(f"/api/notifications?limit=3&cursor={cursor}")) == rows[::-1]

    def test_an_unchanged_list_is_304_until_something_is_told_or_read(self, rep, as_rep):
        row = notification(rep)

        def poll(etag: str) -> tuple[int, str]:
            answer = as_rep.get("/api/notifications", headers={"If-None-Match": etag})
            return answer.status_code, answer["ETag"]

        first = as_rep.get("/api/notifications")["ETag"]
        assert poll(first) == (304, first)
        as_rep.post(f"/api/notifications/{row.pk}/read", {})
        status, second = poll(first)
        assert (status, second != first) == (200, True)
        assert poll(second) == (304, second)
        notification(rep)
        assert poll(second)[0] == 200
        assert as_rep.get("/api/notifications?unread=true", headers={"If-None-Match": second}).status_code == 200

    @pytest.mark.parametrize("count", [5, 50])
    def test_asks_the_same_whatever_the_rows(self, rep, as_rep, count):
        for _ in range(count):
            notification(rep)

        with counted_queries() as statements:
            assert len(ids(as_rep.get("/api/notifications?limit=100"))) == count
        # Newest key and unread count for the tag, and the page; on the last page the total is free.
        assert len([each for each in statements if "workstream_" in each]) == 3
        etag = as_rep.get("/api/notifications")["ETag"]
        with counted_queries() as statements:
            as_rep.get("/api/notifications", headers={"If-None-Match": etag})
        assert len([each for each in statements if "workstream_" in each]) == 2


class TestRead:
    def test_is_noted_once(self, rep, as_rep):
        row = notification(rep, email_due_at=AT)

        first = as_rep.post(f"/api/notifications/{row.pk}/read", {})
        assert (first.status_code, first.json()["notification_id"]) == (200, row.pk)
        stored = Notification.all_orgs.get(pk=row.pk)
        assert (stored.read_at is not None, stored.email_due_at) == (True, None)
        with nothing_changes():
            again = as_rep.post(f"/api/notifications/{row.pk}/read", {})
        assert again.json()["read_at"] == first.json()["read_at"]

    def test_somebody_elses_does_not_exist(self, colleague, as_rep, as_stranger, as_manager):
        row = notification(colleague)

        with nothing_changes():
            for client in (as_rep, as_manager, as_stranger):
                assert client.post(f"/api/notifications/{row.pk}/read", {}).status_code == 404

    def test_all_of_mine_at_once(self, rep, colleague, as_rep):
        notification(rep, email_due_at=AT), notification(rep), notification(rep, read_at=AT)
        other = notification(colleague)

        assert as_rep.post("/api/notifications/read-all", {}).json() == {"marked": 2}
        assert ids(as_rep.get("/api/notifications?unread=true")) == []
        assert Notification.all_orgs.get(pk=other.pk).read_at is None
        assert not Notification.all_orgs.filter(email_due_at__isnull=False).exists()
        assert as_rep.post("/api/notifications/read-all", {}).json() == {"marked": 0}

    def test_viewers_read_theirs_too(self, viewer, as_viewer):
        row = notification(viewer)

        assert as_viewer.post(f"/api/notifications/{row.pk}/read", {}).status_code == 200


class TestPreferences:
    def test_are_the_defaults_until_set(self, as_rep):
        with nothing_changes():
            assert as_rep.get(PREFERENCES).json() == DEFAULTS

    def test_are_changed_in_part_and_my_own(self, rep, as_rep, as_colleague):
        wanted = {"email_mode": "digest", "quiet_from": "22:00", "quiet_to": "06:30", "timezone": "Europe/Berlin"}
        expected = {**DEFAULTS, **wanted}

        assert change(as_rep, wanted).json() == expected
        assert change(as_rep, {"digest_time": "09:15"}).json() == {**expected, "digest_time": "09:15"}
        assert as_rep.get(PREFERENCES).json() == {**expected, "digest_time": "09:15"}
        assert as_colleague.get(PREFERENCES).json() == DEFAULTS
        assert NotificationPreference.all_orgs.get().user_id == rep.user_id

    @pytest.mark.parametrize(
        ("fields", "at_fault"),
        [
            ({"email_mode": "sometimes"}, "email_mode"),
            ({"timezone": "Mars/Olympus"}, "timezone"),
            ({"quiet_from": "22:00"}, "quiet_to"),
            ({"quiet_from": "22:00", "quiet_to": "22:00"}, "quiet_to"),
            ({"digest_time": "noon"}, "digest_time"),
            ({"user_id": 1}, "user_id"),
        ],
    )
    def test_refuse_what_means_nothing(self, as_rep, fields, at_fault):
        with nothing_changes():
            answer = change(as_rep, fields)
        assert (answer.status_code, list(answer.json()["fields"])) == (400, [at_fault])

    def test_move_the_emails_that_wait(self, rep):
        waiting, sent, never = (
            notification(rep, email_due_at=AT),
            notification(rep, email_due_at=AT, emailed_at=AT),
            notification(rep),
        )
        due = {row.pk: row for row in (waiting, sent, never)}

        def prefer(**fields: Any) -> list[datetime | None]:
            services.set_notification_preferences(org=rep.org, fields=fields, actor=actor_of(rep), at=AT)
            rows = Notification.all_orgs.filter(pk__in=due).order_by("pk")
            return list(rows.values_list("email_due_at", flat=True))

        evening = datetime(2026, 3, 2, 18, tzinfo=UTC)
        assert prefer(email_mode="digest", digest_time=time(18)) == [evening, AT, None]
        assert prefer(email_mode="immediate") == [AT, AT, None]
        assert prefer(email_mode="off") == [None, AT, None]


class TestMachines:
    @pytest.mark.parametrize(
        ("method", "path"),
        [
            ("get", "/api/notifications"),
            ("post", "/api/notifications/read-all"),
            ("get", PREFERENCES),
            ("patch", PREFERENCES),
        ],
    )
    def test_are_told_that_this_is_for_people(self, org, key_for, method, path):
        _, text = key_for(org, role=Role.ADMIN)
        client = ApiClient(f"Api-Key {text}")

        options = {"content_type": "application/json"} if method == "patch" else {}
        answer = getattr(client, method)(path, {}, **options)
        assert (answer.status_code, answer.json()["error"]) == (
            403,
            "API keys cannot be used here; sign in as a person.",
        )
