"""Two who move one clock at the same moment, over connections of their own: one does, nothing is doubled or lost."""

from __future__ import annotations

import threading
from datetime import timedelta
from decimal import Decimal
from functools import partial
from typing import Any

import pytest
from django.db import connections

from flowledger.errors import InvalidTransition
from flowledger.tenancy.scope import org_scope, system_scope
from tests.workstream.factories import AT, CLERK, open_candidate, open_pursuit
from tests.workstream.test_run_clocks import HOUR, breaches_of, clocks_of, move, only, receive, send
from tests.workstream.trail import at_once, events_of
from workstream import services
from workstream.models import Candidate, SlaClock, SlaRule
from workstream.services.sla_sweep import sweep

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("transactional_db")]

ROUNDS = 5
LATE = AT + 30 * HOUR


def opened(org: Any, **more: Any) -> Candidate:
    """A candidate that knows its organisation, which cannot be read outside of a scope."""
    candidate = open_candidate(org, **more)
    candidate.org = org
    return candidate


class TestTwoAtOnce:
    def test_end_a_clock_once(self, org):
        """A link and a first touch of the same signal, both too late."""
        for _ in range(ROUNDS):
            signal, candidate = receive(org), opened(org)
            keys: dict[str, Any] = {"org": org, "actor": CLERK, "at": LATE}
            what = {"item_type": "signal", "item_id": signal.pk, "kind": "call", "summary": "Called"}
            answers = at_once(
                partial(services.link_signal, signal_id=signal.pk, candidate_id=candidate.pk, **keys),
                partial(services.log_activity, **what, **keys),
            )

            assert not [each for each in answers if isinstance(each, Exception)]
            with system_scope("tests"):
                (clock,) = clocks_of(signal, "triage_sla")
                (breach,) = breaches_of(signal)
                assert (clock.outcome, clock.stopped_by) == ("breached", breach.resolved_by)
                assert events_of(signal).count("sla.breached") == 1
                assert events_of(signal).count("sla.resolved") == 1

    def test_an_end_and_two_sweeps_leave_one_resolved_breach(self, org):
        for _ in range(ROUNDS):
            candidate = opened(org)
            sweeping = partial(sweep, at=LATE)
            answers = at_once(partial(move, candidate, "triage", at=LATE), sweeping, sweeping)

            assert not [each for each in answers if isinstance(each, Exception)]
            with system_scope("tests"):
                (clock,) = clocks_of(candidate, "triage_sla")
                assert (clock.outcome, clock.breached_at) == ("breached", AT + 24 * HOUR)
                (breach,) = breaches_of(candidate)
                assert (breach.resolved_at, breach.resolved_by) == (LATE, "candidate.triaged")
                assert events_of(candidate).count("sla.breached") == 1
                assert events_of(candidate).count("sla.resolved") == 1

    def test_an_end_waits_for_the_sweep_that_holds_the_clock(self, org):
        """The breach is committed after the end has begun to look; it is resolved all the same."""
        candidate = opened(org)
        swept, finish = threading.Event(), threading.Event()

        def sweeping() -> None:
            try:
                with system_scope("tests"):
                    sweep(at=LATE)
                    swept.set()
                    finish.wait(timeout=30)
            finally:
                swept.set()
                connections.close_all()

        def ending() -> None:
            try:
                move(candidate, "triage", at=LATE)
            finally:
                connections.close_all()

        threads = [threading.Thread(target=sweeping), threading.Thread(target=ending)]
        threads[0].start()
        assert swept.wait(timeout=30)
        threads[1].start()
        threads[1].join(timeout=1)
        assert threads[1].is_alive(), "it waits for the clock"
        finish.set()
        for thread in threads:
            thread.join(timeout=30)

        with system_scope("tests"):
            (breach,) = breaches_of(candidate)
            assert (breach.resolved_at, breach.resolved_by) == (LATE, "candidate.triaged")
            assert events_of(candidate).count("sla.breached") == 1

    def test_hold_a_candidate_once(self, org):
        with system_scope("tests"):
            only(org, stage="triaged", threshold_hours=Decimal(10))
        for _ in range(ROUNDS):
            candidate = opened(org, status="triaged")
            hold = partial(move, candidate, "hold", reason="Wait", at=AT + 3 * HOUR)
            answers = at_once(hold, hold)

            assert [type(each) for each in answers if each is not None] == [InvalidTransition]
            move(candidate, "triage", at=AT + 50 * HOUR)
            with system_scope("tests"):
                (clock,) = clocks_of(candidate, "triage_sla")
            assert (clock.due_at, clock.paused_seconds) == (AT + 57 * HOUR, 47 * 3600)

    def test_send_proposals_and_wait_for_one_answer(self, org):
        for _ in range(ROUNDS):
            pursuit = open_pursuit(org)
            pursuit.org = org
            at_once(partial(send, pursuit, at=AT + HOUR), partial(send, pursuit, at=AT + HOUR))

            with system_scope("tests"):
                running = [clock for clock in clocks_of(pursuit, "response_sla") if clock.stopped_at is None]
            assert len(running) == 1

    def test_give_a_new_organisation_its_rules_once(self, org):
        answers = at_once(*[partial(receive, org, snippet=f"Sign {number}") for number in range(4)])

        assert not [each for each in answers if isinstance(each, Exception)]
        with system_scope("tests"):
            assert SlaRule.all_orgs.filter(org=org).count() == 4
            assert [len(clocks_of(each)) for each in answers] == [1] * 4


class TestEditBesideStart:
    def test_a_clock_started_by_the_old_rule_and_committed_later_is_found(self, org):
        services.ensure_default_rules(org=org, actor=CLERK, at=AT)
        with system_scope("tests"):
            rule = SlaRule.all_orgs.get(org=org, item_type="candidate")
        started, finish = threading.Event(), threading.Event()
        made: list[Candidate] = []

        def slowly() -> None:
            try:
                with org_scope(org):
                    made.append(open_candidate(org))
                    started.set()
                    finish.wait(timeout=30)
            finally:
                started.set()
                connections.close_all()

        opening = threading.Thread(target=slowly)
        opening.start()
        assert started.wait(timeout=30)
        services.update_rule(org=org, rule_id=rule.pk, fields={"threshold_hours": Decimal(2)}, actor=CLERK, at=AT)
        parts: list[Any] = []

        def recompute() -> None:
            try:
                while not parts or not parts[-1].is_done:
                    parts.append(services.recompute_clocks(org=org, rule_id=rule.pk, actor=CLERK, at=AT))
            finally:
                connections.close_all()

        recomputing = threading.Thread(target=recompute)
        recomputing.start()
        recomputing.join(timeout=1)
        assert recomputing.is_alive(), "it waits for the candidate that is being opened"
        finish.set()
        opening.join(timeout=30)
        recomputing.join(timeout=30)

        assert not recomputing.is_alive()
        with system_scope("tests"):
            (clock,) = SlaClock.all_orgs.filter(candidate=made[0].pk, metric="triage_sla")
        assert (clock.rule_version, clock.due_at) == (2, AT + timedelta(hours=2))
        assert [part.is_done for part in parts] == [False, False, True]
