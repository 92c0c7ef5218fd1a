"""Moving many items at once: every row as its own verb would move it, or not at all."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from itertools import pairwise
from threading import Barrier
from typing import Any

import pytest
from django.db import connection
from django.utils.timezone import now

from flowledger.outbox.models import WorkEvent
from flowledger.tenancy.scope import system_scope
from tests.queries import counted_queries
from tests.workstream.factories import CandidateFactory, open_candidate, open_pursuit
from workstream.machines import PursuitStage
from workstream.models import Candidate, GateCheck, Pursuit, StageHistory

CANDIDATES = "/api/candidates/bulk/transition"
PURSUITS = "/api/pursuits/bulk/transition"
NOBODY = 999_999_999


def results(answer: Any) -> list[dict[str, Any]]:
    assert answer.status_code == 200, answer.content
    found: list[dict[str, Any]] = answer.json()["results"]
    return found


def events_of(item_type: str, item_id: int) -> list[str]:
    rows = WorkEvent.all_orgs.filter(item_type=item_type, item_id=item_id).order_by("pk")
    return list(rows.values_list("event_name", flat=True))


@pytest.mark.django_db
class TestBulkTransition:
    @pytest.mark.parametrize(
        ("start", "to", "more"),
        [
            ("new", "triaged", {}),
            ("triaged", "nurture", {}),
            ("triaged", "on_hold", {"reason": "Budget in May", "resume_at": "2199-05-01T00:00:00Z"}),
            ("nurture", "archived", {"reason": "No need"}),
        ],
    )
    def test_moves_candidates_by_their_verbs(self, org, as_rep, start, to, more):
        moved = [open_candidate(org, status=start) for _ in range(2)]

        answer = as_rep.post(CANDIDATES, {"ids": [c.pk for c in moved], "to": to, **more})

        assert answer.json() == {
            "moved": 2,
            "refused": 0,
            "results": [
                {"id": c.pk, "ok": True, "state": to, "previous_state": start, "pursuit_id": None, "error": None}
                for c in moved
            ],
        }
        for candidate in moved:
            stored = Candidate.all_orgs.get(pk=candidate.pk)
            assert stored.status == to
            assert stored.hold_reason + stored.archive_reason == more.get("reason", "")
            assert StageHistory.all_orgs.get(candidate=candidate, left_at=None).state == to

    def test_promotes_each_candidate_once(self, org, as_rep):
        fresh = open_candidate(org, status="triaged")
        done = open_candidate(org, status="promoted")

        answer = as_rep.post(
            CANDIDATES, {"ids": [done.pk, fresh.pk], "to": "promoted", "fields": {"forecast_value": "700"}}
        )

        first, second = results(answer)
        assert first == {
            "id": done.pk,
            "ok": True,
            "state": "promoted",
            "previous_state": None,
            "pursuit_id": Pursuit.all_orgs.get(candidate=done).pk,
            "error": None,
        }
        assert (second["previous_state"], second["pursuit_id"]) == (
            "triaged",
            Pursuit.all_orgs.get(candidate=fresh, forecast_value=700).pk,
        )

    def test_answers_in_the_order_asked_and_moves_a_repeated_id_once(self, org, as_rep):
        one, two = open_candidate(org), open_candidate(org)

        answer = as_rep.post(CANDIDATES, {"ids": [two.pk, one.pk, two.pk], "to": "triaged"})

        assert [row["id"] for row in results(answer)] == [two.pk, one.pk, two.pk]
        assert results(answer)[0] == results(answer)[2]
        assert (answer.json()["moved"], answer.json()["refused"]) == (2, 0)
        assert events_of("candidate", two.pk).count("candidate.triaged") == 1

    def test_refuses_a_row_as_the_single_endpoint_does_and_moves_the_others(self, org, rep, colleague, as_rep):
        good = open_candidate(org, status="triaged")
        illegal = open_candidate(org)
        foreign = open_candidate(org, status="triaged", owner=colleague.user)
        wanted = [illegal.pk, good.pk, foreign.pk, NOBODY]
        before = {pk: events_of("candidate", pk) for pk in wanted}

        found = {row["id"]: row for row in results(as_rep.post(CANDIDATES, {"ids": wanted, "to": "nurture"}))}

        assert found[good.pk]["ok"] is True
        for pk, status, state in ((illegal.pk, 422, "new"), (foreign.pk, 403, "triaged"), (NOBODY, 404, None)):
            single = as_rep.post(f"/api/candidates/{pk}/nurture", {})
            assert single.status_code == status
            assert found[pk] == {
                "id": pk,
                "ok": False,
                "state": state,
                "previous_state": None,
                "pursuit_id": None,
                "error": single.json(),
            }
            assert events_of("candidate", pk) == before[pk]
        assert found[illegal.pk]["error"]["allowed_transitions"] == ["triaged"]

    def test_checks_every_pursuits_own_gate_and_keeps_the_checks(self, org, as_manager):
        ready = open_pursuit(org, stage=PursuitStage.SUBMIT)
        Pursuit.all_orgs.filter(pk=ready.pk).update(pink_done=0)
        blocked = open_pursuit(org, stage=PursuitStage.RED)

        answer = as_manager.post(PURSUITS, {"ids": [blocked.pk, ready.pk], "to": "submit"})
        first, second = results(answer)

        single = as_manager.post(f"/api/pursuits/{blocked.pk}/submit", {})
        assert single.status_code == 409
        assert first == {
            "id": blocked.pk,
            "ok": False,
            "state": "red",
            "previous_state": None,
            "pursuit_id": None,
            "error": single.json(),
        }
        assert [item["requirement"] for item in first["error"]["missing_items"]] == ["pink_checklist"] * 4
        assert second["error"]["code"] == "invalid_transition"
        # The refusal's evidence outlives it: one from the bulk move, one from the single one.
        assert GateCheck.all_orgs.filter(pursuit=blocked, gate="submit", passed=False).count() == 2
        assert "pursuit.submitted" not in events_of("pursuit", blocked.pk)

    def test_closes_pursuits_with_a_reason(self, org, as_manager):
        pursuit = open_pursuit(org, stage=PursuitStage.SUBMIT)
        for item in pursuit.checklist_items.order_by("pk"):
            as_manager.patch(
                f"/api/pursuits/{pursuit.pk}/checklist/{item.pk}", {"is_done": True}, content_type="application/json"
            )

        (silent,) = results(as_manager.post(PURSUITS, {"ids": [pursuit.pk], "to": "lost"}))
        (said,) = results(as_manager.post(PURSUITS, {"ids": [pursuit.pk], "to": "lost", "reason": "Price"}))

        assert (silent["error"]["code"], silent["state"]) == ("gate_blocked", "submit")
        assert (said["state"], said["previous_state"]) == ("lost", "submit")
        assert Pursuit.all_orgs.get(pk=pursuit.pk).outcome_reason == "Price"

    def test_a_strangers_rows_do_not_exist(self, org, as_stranger):
        candidate = open_candidate(org)

        (row,) = results(as_stranger.post(CANDIDATES, {"ids": [candidate.pk], "to": "triaged"}))

        assert (row["state"], row["error"]["code"]) == (None, "not_found")
        assert Candidate.all_orgs.get(pk=candidate.pk).status == "new"

    def test_a_viewer_moves_nothing(self, org, as_viewer):
        candidate = open_candidate(org)

        assert as_viewer.post(CANDIDATES, {"ids": [candidate.pk], "to": "triaged"}).status_code == 403
        assert Candidate.all_orgs.get(pk=candidate.pk).status == "new"

    @pytest.mark.parametrize(
        ("body", "field"),
        [
            ({"ids": [], "to": "triaged"}, "ids"),
            ({"ids": [0], "to": "triaged"}, "ids.0"),
            ({"ids": list(range(1, 502)), "to": "triaged"}, "ids"),
            ({"ids": [1], "to": "new"}, "to"),
            ({"ids": [1], "to": "won"}, "to"),
            ({"ids": [1], "to": "on_hold"}, "reason"),
            ({"ids": [1], "to": "archived"}, "reason"),
            ({"ids": [1], "to": "nurture", "reason": "Why not"}, "reason"),
            ({"ids": [1], "to": "archived", "reason": "x", "resume_at": "2199-01-01"}, "resume_at"),
            ({"ids": [1], "to": "nurture", "fields": {}}, "fields"),
            ({"ids": [1], "to": "promoted", "fields": {"stage": "won"}}, "fields.stage"),
            ({"ids": [1], "to": "triaged", "other": 1}, "other"),
        ],
    )
    def test_a_body_that_means_nothing_is_refused_as_a_whole(self, org, as_rep, body, field):
        answer = as_rep.post(CANDIDATES, body)

        assert answer.status_code == 400
        assert list(answer.json()["fields"]) == [field]

    def test_a_resume_date_in_the_past_is_each_rows_refusal(self, org, as_rep):
        candidate = open_candidate(org, status="triaged")
        past = (now() - timedelta(days=1)).isoformat()

        (row,) = results(
            as_rep.post(CANDIDATES, {"ids": [candidate.pk], "to": "on_hold", "reason": "x", "resume_at": past})
        )

        assert row["error"]["code"] == "validation_error"
        assert list(row["error"]["fields"]) == ["resume_at"]
        assert Candidate.all_orgs.get(pk=candidate.pk).status == "triaged"

    def test_the_same_key_replays_the_answer(self, org, as_rep):
        good, illegal = open_candidate(org), open_candidate(org, status="archived")
        body = {"ids": [good.pk, illegal.pk], "to": "triaged"}

        first = as_rep.post(CANDIDATES, body, headers={"Idempotency-Key": "board-1"})
        again = as_rep.post(CANDIDATES, body, headers={"Idempotency-Key": "board-1"})

        assert again.headers["Idempotency-Replayed"] == "true"
        assert again.json() == first.json()
        assert [row["ok"] for row in results(again)] == [True, False]
        assert events_of("candidate", good.pk).count("candidate.triaged") == 1

    def test_reads_the_states_of_refused_rows_at_once(self, org, as_rep):
        def cost(count: int) -> int:
            ids = [candidate.pk for candidate in CandidateFactory.create_batch(count, org=org)]
            with counted_queries() as asked:
                as_rep.post(CANDIDATES, {"ids": ids, "to": "nurture"})
            return len(asked)

        one, two, five = cost(1), cost(2), cost(5)
        assert five - one == 4 * (two - one)
        # Each row is locked and refused; nothing else is asked for it.
        assert two - one == 1


@pytest.mark.django_db(transaction=True)
@pytest.mark.usefixtures("transactional_db")
class TestAtTheSameTime:
    def test_moves_in_opposite_orders_do_not_wait_for_each_other(self, org, rep, as_rep):
        ids = [open_candidate(org).pk for _ in range(12)]
        start = Barrier(2)

        def move(order: list[int], to: str) -> Any:
            try:
                start.wait()
                return as_rep.post(CANDIDATES, {"ids": order, "to": to, **({"reason": "x"} if to != "triaged" else {})})
            finally:
                connection.close()

        with ThreadPoolExecutor(2) as pool:
            for _ in range(3):
                there = pool.submit(move, ids, "triaged")
                back = pool.submit(move, ids[::-1], "on_hold")
                for answer in (there.result(timeout=60), back.result(timeout=60)):
                    codes = {row["error"]["code"] for row in results(answer) if row["error"]}
                    assert codes <= {"invalid_transition"}

        with system_scope("tests"):
            for pk in ids:
                trail = list(
                    StageHistory.all_orgs.filter(candidate_id=pk)
                    .order_by("entered_at", "pk")
                    .values_list("state", flat=True)
                )
                assert trail[-1] == Candidate.all_orgs.get(pk=pk).status
                assert all(a != b for a, b in pairwise(trail))

    def test_a_row_that_somebody_holds_is_a_conflict_of_its_own(self, org, as_rep, settings):
        settings.IDEMPOTENCY_WAIT_SECONDS = 0.3
        free, held = open_candidate(org), open_candidate(org)
        body = {"ids": [held.pk, free.pk], "to": "triaged"}

        def move() -> Any:
            try:
                return as_rep.post(CANDIDATES, body, headers={"Idempotency-Key": "held"})
            finally:
                connection.close()

        with system_scope("tests"), ThreadPoolExecutor(1) as pool:
            Candidate.all_orgs.filter(pk=held.pk).select_for_update().get()
            answer = pool.submit(move).result(timeout=60)

        first, second = results(answer)
        assert (first["ok"], first["error"]["code"], first["state"]) == (False, "conflict", "new")
        assert (second["ok"], second["state"]) == (True, "triaged")
        with system_scope("tests"):
            assert Candidate.all_orgs.get(pk=held.pk).status == "new"
            assert Candidate.all_orgs.get(pk=free.pk).status == "triaged"
