"""A candidate is opened from signals or by hand; what is not given comes from its first signal."""

from __future__ import annotations

from datetime import date
from decimal import Decimal

import pytest

from flowledger.errors import InvalidInput, InvalidTransition, PermissionRefused
from flowledger.tenancy.actors import Role
from tests.workstream.conftest import actor_of
from tests.workstream.factories import (
    AT,
    CLERK,
    ClientFactory,
    ContactFactory,
    ProblemFactory,
    SignalFactory,
    TagFactory,
    open_candidate,
)
from tests.workstream.trail import events_of, newest_event, nothing_changes, stays_of
from workstream import services
from workstream.models import Candidate, CandidateSignal, Signal, Tag

pytestmark = pytest.mark.django_db


class TestCreateCandidate:
    def test_inherits_from_its_first_signal_and_links_all(self, org, rep):
        contact = ContactFactory(org=org)
        first = SignalFactory(org=org, contact=contact, company_name="Acme", problem_phrase="Press stops")
        second = SignalFactory(org=org, contact=ContactFactory(org=org))
        candidate = services.create_candidate(
            org=org, fields={}, signal_ids=[first.pk, second.pk], actor=actor_of(rep), at=AT
        )

        stored = Candidate.all_orgs.get(pk=candidate.pk)
        assert (stored.client_id, stored.contact_id) == (first.client_id, contact.pk)
        assert (stored.title, stored.status, stored.last_touch_at) == ("Acme – Press stops", "new", AT)
        links = CandidateSignal.all_orgs.filter(candidate=candidate).order_by("signal_id")
        assert [(link.signal_id, link.linked_by_id, bool(link.reason)) for link in links] == [
            (first.pk, rep.user_id, True),
            (second.pk, rep.user_id, True),
        ]
        assert {row.disposition for row in Signal.all_orgs.filter(org=org)} == {"linked"}
        assert events_of(candidate) == ["candidate.created"]
        assert newest_event(org, "candidate.created").payload["signal_ids"] == [first.pk, second.pk]
        assert (events_of(first), events_of(second)) == (["signal.linked"], ["signal.linked"])

    def test_the_first_signal_named_is_the_first(self, org):
        old, new = SignalFactory.create_batch(2, org=org)
        candidate = services.create_candidate(org=org, fields={}, signal_ids=[new.pk, old.pk], actor=CLERK, at=AT)

        assert candidate.client_id == new.client_id

    def test_what_is_given_wins(self, org):
        signal, client, contact = SignalFactory(org=org), ClientFactory(org=org), ContactFactory(org=org)
        candidate = services.create_candidate(
            org=org,
            fields={"title": "Press line", "client": client, "contact": contact},
            signal_ids=[signal.pk],
            actor=CLERK,
            at=AT,
        )

        assert (candidate.title, candidate.client_id, candidate.contact_id) == ("Press line", client.pk, contact.pk)

    def test_begins_its_history(self, org, rep):
        candidate = open_candidate(org, actor=actor_of(rep))

        (stay,) = stays_of(candidate)
        assert (stay.state, stay.entered_at, stay.left_at) == ("new", AT, None)
        assert (stay.actor_kind, stay.actor_id, stay.actor_label, stay.origin) == ("user", rep.user_id, "rita", "api")

    def test_makes_missing_tags_and_finds_others_in_any_case(self, org):
        TagFactory(org=org, name="Urgent")
        candidate = services.create_candidate(
            org=org, fields={"title": "Press line"}, tags=["URGENT", " new "], actor=CLERK, at=AT
        )

        assert sorted(candidate.tags.values_list("name", flat=True)) == ["Urgent", "new"]
        assert Tag.all_orgs.filter(org=org).count() == 2

    def test_needs_a_title_or_a_signal_that_gives_one(self, org):
        with nothing_changes(), pytest.raises(InvalidInput) as refusal:
            services.create_candidate(org=org, fields={"title": "  "}, actor=CLERK, at=AT)
        assert list(refusal.value.details["fields"]) == ["title"]

    def test_a_strangers_signal_is_refused(self, org, other_org):
        mine, theirs = SignalFactory(org=org), SignalFactory(org=other_org)
        with nothing_changes(), pytest.raises(InvalidInput) as refusal:
            services.create_candidate(org=org, fields={}, signal_ids=[mine.pk, theirs.pk], actor=CLERK, at=AT)
        assert list(refusal.value.details["fields"]) == ["signal_ids"]

    def test_a_rejected_signal_is_refused_as_a_whole(self, org):
        good, bad = SignalFactory.create_batch(2, org=org)
        services.reject_signal(org=org, signal_id=bad.pk, reason="Spam", actor=CLERK, at=AT)
        with nothing_changes(), pytest.raises(InvalidTransition):
            services.create_candidate(org=org, fields={}, signal_ids=[good.pk, bad.pk], actor=CLERK, at=AT)

    def test_somebody_elses_signal_is_refused(self, org, rep, colleague):
        signal = SignalFactory(org=org, owner=colleague.user)
        with nothing_changes(), pytest.raises(PermissionRefused):
            services.create_candidate(org=org, fields={}, signal_ids=[signal.pk], actor=actor_of(rep), at=AT)

    def test_a_viewer_is_refused(self, org, viewer):
        with nothing_changes(), pytest.raises(PermissionRefused):
            services.create_candidate(org=org, fields={"title": "Press line"}, actor=actor_of(viewer), at=AT)

    def test_an_unknown_field_is_refused(self, org):
        with nothing_changes(), pytest.raises(InvalidInput):
            services.create_candidate(org=org, fields={"title": "Press", "status": "won"}, actor=CLERK, at=AT)


class TestOverRest:
    def test_answers_the_candidate(self, org, rep, as_rep):
        signal, problem = SignalFactory(org=org), ProblemFactory(org=org)
        answer = as_rep.post(
            "/api/candidates",
            {
                "title": "Press line",
                "signal_ids": [signal.pk],
                "tags": ["hot", "press"],
                "problem_id": problem.pk,
                "owner_user_id": rep.user_id,
                "confidence": 0.8,
                "value_band": "high",
                "estimated_value": "120000.50",
                "next_step": "Call back",
                "next_step_due": "2026-04-01",
            },
        )

        assert answer.status_code == 201
        body = answer.json()
        assert body["signal_ids"] == [signal.pk]
        assert (body["tags"], body["status"], body["pursuit_id"]) == (["hot", "press"], "new", None)
        assert (body["client_id"], body["problem_id"]) == (signal.client_id, problem.pk)
        assert (body["owner_user_id"], body["confidence"]) == (rep.user_id, 0.8)
        assert (body["estimated_value"], body["next_step_due"]) == ("120000.50", "2026-04-01")
        assert body["scores"] == {"confidence": 0.8, "icp_score": None, "icp_band": None}
        assert body["days_since_touch"] == 0
        assert as_rep.get(f"/api/candidates/{body['candidate_id']}").json() == body

    def test_a_machine_with_the_scope_may(self, org, client_for):
        machine = client_for(["workstream:write"])
        answer = machine.post("/api/candidates", {"title": "Press line"})

        assert answer.status_code == 201
        event = newest_event(org, "candidate.created")
        assert (event.actor_kind, event.actor_label, event.actor_user_id) == ("api_key", "key loader", None)
        with nothing_changes():
            assert client_for(["workstream:read"]).post("/api/candidates", {"title": "Other"}).status_code == 403

    @pytest.mark.parametrize(
        ("change", "field"),
        [
            ({"title": ""}, "title"),
            ({"one_liner_scope": "x" * 281}, "one_liner_scope"),
            ({"confidence": 1.5}, "confidence"),
            ({"estimated_value": "-1"}, "estimated_value"),
            ({"value_band": "huge"}, "value_band"),
            ({"status": "triaged"}, "status"),
            ({"tags": [""]}, "tags"),
            ({"tags": [str(n) for n in range(31)]}, "tags"),
            ({"signal_ids": [999_999]}, "signal_ids"),
            ({"client_id": 999_999}, "client_id"),
            ({"promoted_at": "2026-01-01T00:00:00Z"}, "promoted_at"),
        ],
    )
    def test_what_does_not_fit_is_refused(self, as_rep, change, field):
        with nothing_changes():
            answer = as_rep.post("/api/candidates", {"title": "Press line", **change})
        assert (answer.status_code, set(answer.json()["fields"])) == (400, {field})

    def test_a_strangers_rows_are_refused(self, org, other_org, as_rep):
        theirs = {
            "client_id": ClientFactory(org=other_org).pk,
            "contact_id": ContactFactory(org=other_org).pk,
            "problem_id": ProblemFactory(org=other_org).pk,
        }
        signal = SignalFactory(org=other_org)
        with nothing_changes():
            answer = as_rep.post("/api/candidates", {"title": "Press line", "signal_ids": [signal.pk], **theirs})
        assert (answer.status_code, set(answer.json()["fields"])) == (400, {*theirs, "signal_ids"})

    def test_a_viewer_is_refused(self, as_viewer):
        with nothing_changes():
            assert as_viewer.post("/api/candidates", {"title": "Press line"}).status_code == 403

    def test_the_list_filters_searches_and_orders(self, org, rep, client_for):
        plain = open_candidate(org, title="Press line")
        tagged = services.create_candidate(
            org=org,
            fields={"title": "Crane", "owner": rep.user, "value_band": "high"},
            tags=["hot", "big"],
            actor=CLERK,
            at=AT,
        )
        triaged = open_candidate(org, status="triaged", title="Lathe")
        client = client_for(Role.VIEWER)

        def found(query: str = "") -> list[int]:
            return [row["candidate_id"] for row in client.get(f"/api/candidates?{query}").json()["data"]]

        assert found() == [triaged.pk, tagged.pk, plain.pk]
        assert found("ordering=candidate_id") == [plain.pk, tagged.pk, triaged.pk]
        assert found("status=triaged") == [triaged.pk]
        assert found("tag=hot,BIG") == [tagged.pk]
        assert found(f"owner_user_id={rep.user_id}") == [tagged.pk]
        assert found("owner_user_id=none") == [triaged.pk, plain.pk]
        assert found("value_band=high") == [tagged.pk]
        assert found("q=cran") == [tagged.pk]
        assert found(f"client_id={plain.client_id}") == [plain.pk]


class TestUpdateCandidate:
    def test_changes_plain_fields_and_tags(self, org, as_rep):
        candidate = services.create_candidate(
            org=org, fields={"title": "Press"}, tags=["old", "kept"], actor=CLERK, at=AT
        )
        path = f"/api/candidates/{candidate.pk}"
        before = as_rep.get(path)
        answer = as_rep.patch(
            path,
            {"title": "Press line", "next_step_due": "2026-05-01", "tags": ["kept", "new"]},
            content_type="application/json",
            headers={"If-Match": before["ETag"]},
        )

        assert answer.status_code == 200
        assert (answer.json()["title"], answer.json()["tags"]) == ("Press line", ["kept", "new"])
        assert Candidate.all_orgs.get(pk=candidate.pk).next_step_due == date(2026, 5, 1)
        assert answer["ETag"] != before["ETag"]
        assert as_rep.get(path, headers={"If-None-Match": answer["ETag"]}).status_code == 304

    @pytest.mark.parametrize("body", [{"status": "triaged"}, {"signal_ids": []}, {"title": " "}, {"mood": "good"}])
    def test_what_cannot_be_written_is_refused(self, org, as_rep, body):
        candidate = open_candidate(org)
        with nothing_changes():
            answer = as_rep.patch(f"/api/candidates/{candidate.pk}", body, content_type="application/json")
        assert (answer.status_code, list(answer.json()["fields"])) == (400, list(body))

    def test_somebody_elses_is_refused(self, org, rep, colleague):
        candidate = open_candidate(org, owner=colleague.user)
        with nothing_changes(), pytest.raises(PermissionRefused):
            services.update_candidate(
                org=org, candidate_id=candidate.pk, fields={"title": "Mine"}, actor=actor_of(rep), at=AT
            )

    def test_a_stale_copy_is_refused(self, org, as_rep, as_manager):
        path = f"/api/candidates/{open_candidate(org).pk}"
        old = as_rep.get(path)["ETag"]
        as_manager.patch(path, {"title": "First"}, content_type="application/json")
        with nothing_changes():
            answer = as_rep.patch(path, {"title": "Second"}, content_type="application/json", headers={"If-Match": old})
        assert (answer.status_code, answer.json()["code"]) == (412, "stale")

    def test_a_strangers_candidate_does_not_exist(self, org, as_stranger):
        path = f"/api/candidates/{open_candidate(org).pk}"
        with nothing_changes():
            assert as_stranger.patch(path, {"title": "Mine"}, content_type="application/json").status_code == 404
            assert as_stranger.get(path).status_code == 404

    def test_an_amount_is_kept_to_the_cent(self, org):
        candidate = open_candidate(org)
        services.update_candidate(
            org=org, candidate_id=candidate.pk, fields={"estimated_value": Decimal("0.01")}, actor=CLERK, at=AT
        )
        assert Candidate.all_orgs.get(pk=candidate.pk).estimated_value == Decimal("0.01")
