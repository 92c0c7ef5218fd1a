"""The candidate's machine: triage, nurture, hold, archive; every other move is refused and changes nothing."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from flowledger.errors import InvalidInput, InvalidTransition, PermissionRefused
from flowledger.outbox.models import WorkEvent
from flowledger.tenancy.actors import Actor
from tests.workstream.conftest import actor_of
from tests.workstream.factories import AT, CLERK, open_candidate
from tests.workstream.trail import events_of, newest_event, nothing_changes, stays_of
from workstream import services
from workstream.machines import CandidateStatus
from workstream.models import Candidate
from workstream.tasks import resume_held_candidates

pytestmark = pytest.mark.django_db

LATER = AT + timedelta(days=3)
REASON = "Budget is decided in May"

# verb: where it leads, from where, what it records
MOVES: dict[str, tuple[str, set[str], str]] = {
    "triage": ("triaged", {"new", "nurture", "on_hold"}, "candidate.triaged"),
    "nurture": ("nurture", {"triaged"}, "candidate.nurtured"),
    "hold": ("on_hold", {"triaged", "nurture"}, "candidate.held"),
    "archive": ("archived", {"triaged", "nurture", "on_hold"}, "candidate.archived"),
}
NEXT = {
    "new": ["triaged"],
    "triaged": ["archived", "nurture", "on_hold", "promoted"],
    "nurture": ["archived", "on_hold", "triaged"],
    "on_hold": ["archived", "triaged"],
    "promoted": [],
    "archived": [],
}
EVERY_MOVE = [(verb, status) for verb in MOVES for status in CandidateStatus.values]


def move(verb: str, candidate: Candidate, *, actor: Actor = CLERK) -> Candidate:
    service: Callable[..., Candidate] = getattr(services, f"{verb}_candidate")
    reason = {"reason": REASON} if verb in {"hold", "archive"} else {}
    return service(org=candidate.org, candidate_id=candidate.pk, actor=actor, at=LATER, **reason)


class TestMachine:
    @pytest.mark.parametrize(("verb", "status"), [pair for pair in EVERY_MOVE if pair[1] in MOVES[pair[0]][1]])
    def test_a_legal_move_is_stored_with_one_event_and_its_stay(self, org, rep, verb, status):
        target, _, event = MOVES[verb]
        candidate = open_candidate(org, status=status)
        before = len(events_of(candidate))
        move(verb, candidate, actor=actor_of(rep))

        stored = Candidate.all_orgs.get(pk=candidate.pk)
        assert (stored.status, stored.state_entered_at) == (target, LATER)
        assert stored.row_version == candidate.row_version + 1
        # Three days are too long for triage.
        missed = ["sla.breached", "sla.resolved"] if status == CandidateStatus.NEW else []
        assert events_of(candidate)[before:] == [event, *missed]
        recorded = newest_event(org, event)
        assert recorded.payload["previous_status"] == status
        assert (recorded.occurred_at, recorded.origin, recorded.actor_user_id) == (LATER, "api", rep.user_id)
        *_, left, now_in = stays_of(candidate)
        assert (left.state, left.left_at) == (status, LATER)
        assert (now_in.state, now_in.entered_at, now_in.left_at) == (target, LATER, None)
        assert (now_in.actor_id, now_in.actor_label, now_in.origin) == (rep.user_id, "rita", "api")

    @pytest.mark.parametrize(("verb", "status"), [pair for pair in EVERY_MOVE if pair[1] not in MOVES[pair[0]][1]])
    def test_an_illegal_move_is_refused_with_the_legal_ones(self, org, verb, status):
        candidate = open_candidate(org, status=status)
        with nothing_changes(), pytest.raises(InvalidTransition) as refusal:
            move(verb, candidate)
        assert refusal.value.as_dict() == {
            "error": refusal.value.message,
            "code": "invalid_transition",
            "state_machine": "candidate",
            "current_state": status,
            "attempted_state": MOVES[verb][0],
            "allowed_transitions": NEXT[status],
        }

    @pytest.mark.parametrize("verb", MOVES)
    def test_somebody_elses_candidate_is_refused_before_legality(self, org, rep, colleague, manager, verb):
        candidate = open_candidate(org, owner=colleague.user, status="archived")
        with nothing_changes(), pytest.raises(PermissionRefused):
            move(verb, candidate, actor=actor_of(rep))
        with nothing_changes(), pytest.raises(InvalidTransition):
            move(verb, candidate, actor=actor_of(manager))

    def test_a_stale_copy_cannot_move_twice(self, org):
        candidate = open_candidate(org, status="triaged")
        move("archive", candidate)
        with nothing_changes(), pytest.raises(InvalidTransition):
            move("archive", candidate)

    def test_a_move_dated_before_the_last_one_does_not_run_backwards(self, org):
        candidate = open_candidate(org)
        services.triage_candidate(org=org, candidate_id=candidate.pk, actor=CLERK, at=AT - timedelta(days=1))
        first, second = stays_of(candidate)
        assert (first.entered_at, first.left_at, second.entered_at) == (AT, AT, AT)


class TestReasons:
    @pytest.mark.parametrize("verb", ["hold", "archive"])
    @pytest.mark.parametrize("reason", ["", "  "])
    def test_a_blank_reason_is_refused(self, org, verb, reason):
        candidate = open_candidate(org, status="triaged")
        service = getattr(services, f"{verb}_candidate")
        with nothing_changes(), pytest.raises(InvalidInput) as refusal:
            service(org=org, candidate_id=candidate.pk, reason=reason, actor=CLERK, at=LATER)
        assert list(refusal.value.details["fields"]) == ["reason"]

    def test_the_reason_is_kept(self, org):
        held, archived = (open_candidate(org, status="triaged") for _ in range(2))
        move("hold", held)
        move("archive", archived)

        assert Candidate.all_orgs.get(pk=held.pk).hold_reason == REASON
        assert Candidate.all_orgs.get(pk=archived.pk).archive_reason == REASON

    def test_coming_back_clears_the_hold(self, org):
        candidate = open_candidate(org, status="on_hold")
        move("triage", candidate)

        stored = Candidate.all_orgs.get(pk=candidate.pk)
        assert (stored.hold_reason, stored.resume_at) == ("", None)


class TestResume:
    def hold(self, org: Any, resume_at: Any, *, at: Any = AT) -> Candidate:
        candidate = open_candidate(org, status="triaged")
        services.hold_candidate(
            org=org, candidate_id=candidate.pk, reason=REASON, resume_at=resume_at, actor=CLERK, at=at
        )
        return Candidate.all_orgs.get(pk=candidate.pk)

    def test_a_resume_time_in_the_past_is_refused(self, org):
        candidate = open_candidate(org, status="triaged")
        with nothing_changes(), pytest.raises(InvalidInput) as refusal:
            services.hold_candidate(org=org, candidate_id=candidate.pk, reason=REASON, resume_at=AT, actor=CLERK, at=AT)
        assert list(refusal.value.details["fields"]) == ["resume_at"]

    def test_the_sweep_brings_due_candidates_of_every_organisation_back(self, org, other_org):
        due = [self.hold(each, AT + timedelta(days=1)) for each in (org, other_org)]
        waiting = self.hold(org, AT + timedelta(days=365 * 100))
        for_ever = self.hold(org, None)

        assert resume_held_candidates() == 2
        for candidate in due:
            assert Candidate.all_orgs.get(pk=candidate.pk).status == "triaged"
            assert events_of(candidate)[-1] == "candidate.triaged"
        for candidate in (waiting, for_ever):
            assert Candidate.all_orgs.get(pk=candidate.pk).status == "on_hold"
        event = newest_event(org, "candidate.triaged")
        assert (event.actor_kind, event.actor_label, event.origin) == ("system", "resume sweep", "system")
        with nothing_changes():
            assert resume_held_candidates() == 0

    def test_a_candidate_that_was_moved_meanwhile_stays(self, org):
        candidate = self.hold(org, AT + timedelta(days=1))
        move("archive", candidate)
        with nothing_changes():
            resumed = services.resume_candidate(org=org, candidate_id=candidate.pk, actor=CLERK, at=LATER)
        assert resumed is None

    def test_not_before_its_time(self, org):
        candidate = self.hold(org, LATER)
        with nothing_changes():
            early = services.resume_candidate(
                org=org, candidate_id=candidate.pk, actor=CLERK, at=LATER - timedelta(seconds=1)
            )
        assert early is None
        assert services.resume_candidate(org=org, candidate_id=candidate.pk, actor=CLERK, at=LATER) is not None


class TestOverRest:
    def test_moves_and_tells_the_history(self, org, as_rep):
        candidate = open_candidate(org)
        path = f"/api/candidates/{candidate.pk}"
        steps = [
            ("triage", {}, "triaged"),
            ("nurture", {}, "nurture"),
            ("hold", {"reason": REASON, "resume_at": "2100-01-01T00:00:00Z"}, "on_hold"),
            ("triage", {}, "triaged"),
            ("archive", {"reason": "Bought elsewhere"}, "archived"),
        ]
        for verb, body, status in steps:
            answer = as_rep.post(f"{path}/{verb}", body)
            assert (answer.status_code, answer.json()["status"]) == (200, status), verb

        history = as_rep.get(f"{path}/history").json()["data"]
        assert [stay["state"] for stay in history] == ["new"] + [status for _, _, status in steps]
        assert [stay["left_at"] for stay in history[:-1]] == [stay["entered_at"] for stay in history[1:]]
        assert history[-1]["left_at"] is None
        trail = as_rep.get(f"/api/workstream/events?item_type=candidate&item_id={candidate.pk}").json()["data"]
        assert [event["event_name"] for event in reversed(trail)] == [
            "candidate.created",
            "candidate.triaged",
            # It was opened long before now, so its triage is overdue.
            "sla.breached",
            "sla.resolved",
            "candidate.nurtured",
            "candidate.held",
            "candidate.triaged",
            "candidate.archived",
        ]
        assert {event["actor_label"] for event in trail[:-1]} == {"rita"}

    def test_illegal_is_422_with_what_is_allowed(self, org, as_rep):
        candidate = open_candidate(org)
        with nothing_changes():
            answer = as_rep.post(f"/api/candidates/{candidate.pk}/nurture")
        assert answer.status_code == 422
        body = answer.json()
        assert (body["current_state"], body["attempted_state"]) == ("new", "nurture")
        assert body["allowed_transitions"] == ["triaged"]

    @pytest.mark.parametrize(
        ("verb", "body", "status"),
        [
            ("hold", {}, 400),
            ("hold", {"reason": ""}, 400),
            ("hold", {"reason": "x", "resume_at": "2001-01-01T00:00:00Z"}, 400),
            ("archive", {}, 400),
            ("archive", {"reason": "x" * 501}, 400),
            ("triage", {"reason": "none is taken"}, 400),
        ],
    )
    def test_a_body_that_does_not_fit_is_refused(self, org, as_rep, verb, body, status):
        candidate = open_candidate(org, status="triaged")
        with nothing_changes():
            assert as_rep.post(f"/api/candidates/{candidate.pk}/{verb}", body).status_code == status

    @pytest.mark.parametrize("verb", [*MOVES, "promote"])
    def test_who_may_not_and_who_cannot_see(self, org, colleague, as_rep, as_viewer, as_stranger, verb):
        candidate = open_candidate(org, status="triaged", owner=colleague.user)
        path = f"/api/candidates/{candidate.pk}/{verb}"
        body = {"reason": REASON} if verb in {"hold", "archive"} else {}
        with nothing_changes():
            answers = [client.post(path, body).status_code for client in (as_viewer, as_rep, as_stranger)]
        assert answers == [403, 403, 404]

    def test_the_trail_holds_only_this_organisations_events(self, org, as_stranger):
        open_candidate(org)
        assert WorkEvent.all_orgs.filter(org=org).exists()
        assert as_stranger.get("/api/workstream/events").json()["data"] == []
