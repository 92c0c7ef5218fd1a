"""However often and in whatever order events come, at once too: the same atoms, sources and links. Nothing revives."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from django.db import OperationalError, connections, transaction
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from flowledger.clients import services as clients
from flowledger.outbox.models import WorkEvent
from flowledger.tenancy.actors import Actor, Role
from flowledger.tenancy.models import Organization
from flowledger.tenancy.scope import org_scope, system_scope
from memory.machines import AtomState
from memory.models import Atom, AtomSource, MemoryLedger
from memory.services.redaction import Target, redact
from memory.sql.redaction import empty_atoms
from tests.factories import ClientFactory, MembershipFactory
from tests.memory.capturing import all_that_is_known, atoms_of, captured, events_to_capture
from tests.workstream.factories import AT, CLERK, complete_checklist, open_candidate
from tests.workstream.trail import at_once
from workstream import services

HOUR = timedelta(hours=1)
ADMIN = Actor(**{**CLERK.__dict__, "role": Role.ADMIN})
CANARY = "The zebrafinch clause is a risk for us, their budget is frozen."


def happen(org: Organization) -> list[WorkEvent]:
    """The story of a deal: from a signal to its loss, with what people said meanwhile."""
    hours = iter(range(1, 1000))

    def then() -> dict[str, Any]:
        return {"org": org, "actor": CLERK, "at": AT + next(hours) * HOUR}

    client = ClientFactory(org=org, name="Baltic Freight")
    fields = {"client": client, "name": "Priya Nair", "email": "priya@baltic.example"}
    priya = clients.create_contact(fields=fields, **then())
    signal = services.create_signal(
        fields={
            "source_type": "email",
            "snippet": "We need a new press line. We prefer a fixed price.",
            "contact_email": priya.email,
        },
        **then(),
    ).signal
    owner = MembershipFactory(org=org).user
    candidate = open_candidate(org, client=client, contact=priya, owner=owner)
    services.link_signal(signal_id=signal.pk, candidate_id=candidate.pk, **then())
    services.triage_candidate(candidate_id=candidate.pk, **then())
    pursuit = services.promote_candidate(candidate_id=candidate.pk, **then()).pursuit
    for summary, body in [
        ("First call", "Priya Nair prefers email. The budget is 120,000 euros. The plant is forty years old."),
        ("Second call", "The plant is forty years old! Priya Nair now prefers phone calls."),
        ("Second call", "the plant is forty years old. There is a risk that the merger stops everything."),
        ("Weekly call", CANARY),
    ]:
        services.log_activity(
            item_type="pursuit", item_id=pursuit.pk, kind="call", summary=summary, body=body, **then()
        )
    for stage in ("pink", "qual", "pink", "red"):
        services.move_pursuit(pursuit_id=pursuit.pk, stage=stage, **then())
    services.ensure_first_proposal(pursuit_id=pursuit.pk, **then())
    for kind in ("pink", "red"):
        complete_checklist(pursuit, kind, at=AT + next(hours) * HOUR)
    services.submit_pursuit(pursuit_id=pursuit.pk, **then())
    services.lose_pursuit(pursuit_id=pursuit.pk, reason="Contoso was cheaper. They chose a rival.", **then())
    double = ClientFactory(org=org, name="Baltic Freight Ltd")
    clients.merge_clients(survivor_id=client.pk, loser_id=double.pk, **then())
    return events_to_capture(org)


def forget(org: Organization) -> None:
    """No atom is left; the ledger with its secret stays."""
    with system_scope("tests"):
        Atom.all_orgs.filter(org=org).delete()


def batches(events: list[WorkEvent], chance: random.Random) -> Iterator[list[WorkEvent]]:
    """Each event one to five times, shuffled, in batches of any size."""
    deliveries = [event for event in events for _ in range(chance.randint(1, 5))]
    chance.shuffle(deliveries)
    while deliveries:
        size = chance.randint(1, 12)
        # The drain hands an event over once in a batch.
        yield list(dict.fromkeys(deliveries[:size]))
        deliveries = deliveries[size:]


@pytest.mark.django_db
class TestInAnyOrder:
    @settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
    @given(seed=st.integers(0, 2**32))
    def test_the_same_is_known(self, story, seed):
        org, events, expected = story
        forget(org)
        for batch in batches(events, random.Random(seed)):
            captured(org, batch)
        assert all_that_is_known(org) == expected

    @pytest.fixture
    def story(self, org):
        events = happen(org)
        captured(org)
        expected = all_that_is_known(org)
        kinds = {kind for _, _, kind, *_ in expected}
        assert {"decision", "risk", "preference", "note", "status"} <= kinds
        assert any(atom.state == AtomState.SUPERSEDED for atom in atoms_of(org))
        assert any(atom.seen_count > 1 for atom in atoms_of(org))
        return org, events, expected

    def test_three_replays_write_nothing(self, org):
        happen(org)
        captured(org)
        before = all_that_is_known(org)
        told = WorkEvent.all_orgs.filter(org=org, event_name__startswith="memory.").count()
        for _ in range(3):
            captured(org)
        assert all_that_is_known(org) == before
        assert WorkEvent.all_orgs.filter(org=org, event_name__startswith="memory.").count() == told

    @pytest.mark.parametrize("is_source_left", [False, True])
    def test_a_replay_never_revives_what_was_redacted(self, org, is_source_left):
        happen(org)
        captured(org)
        ids = [atom.pk for atom in atoms_of(org) if atom.content == CANARY]
        assert ids
        if is_source_left:
            with org_scope(org):
                empty_atoms(org_id=org.pk, atom_ids=ids, at=AT)
        else:
            redact(org=org, target=Target(atom_ids=tuple(ids)), reason="They asked for it", actor=ADMIN, at=AT)

        for batch in batches(events_to_capture(org), random.Random(7)):
            captured(org, batch)

        assert [atom.content for atom in atoms_of(org, pk__in=ids)] == [""] * len(ids)
        assert not [atom for atom in atoms_of(org) if "zebrafinch" in atom.content]


@pytest.mark.django_db(transaction=True)
@pytest.mark.usefixtures("transactional_db")
class TestAtOnce:
    @pytest.mark.parametrize("seed", range(3))
    def test_four_workers_know_the_same_as_one(self, org, seed):
        events = happen(org)
        captured(org)
        expected = all_that_is_known(org)
        forget(org)
        chance = random.Random(seed)
        work = [list(batches(events, chance)) for _ in range(4)]

        def run(mine: list[list[WorkEvent]]) -> int:
            tries = 0
            for batch in mine:
                while True:
                    tries += 1
                    try:
                        captured(org, batch)
                        break
                    except OperationalError:
                        # Another holds what it waits for; the drain tries again, too.
                        connections.close_all()
                        assert tries < 500
            return tries

        answers = at_once(*(lambda mine=mine: run(mine) for mine in work))

        assert all(isinstance(answer, int) for answer in answers), answers
        assert all_that_is_known(org) == expected
        with system_scope("tests"):
            assert MemoryLedger.all_orgs.filter(org=org).count() == 1
            assert not AtomSource.all_orgs.filter(org=org, atom__isnull=True).exists()

    def test_a_redaction_waits_for_what_was_read_before_it(self, org):
        """Read before, written after: the redaction sees it all the same."""
        happen(org)
        events = events_to_capture(org)
        activity = next(
            event.payload["activity_id"] for event in reversed(events) if event.event_name == "activity.logged"
        )
        is_written = threading.Event()

        def slowly_captured() -> None:
            with org_scope(org), transaction.atomic():
                captured(org, events)
                is_written.set()
                time.sleep(0.5)

        def redacted() -> Any:
            assert is_written.wait(30)
            return redact(
                org=org, target=Target(source=("activity", activity)), reason="They asked for it", actor=ADMIN, at=AT
            )

        answers = at_once(slowly_captured, redacted)

        assert not [answer for answer in answers if isinstance(answer, Exception)], answers
        captured(org, events)
        assert not [atom for atom in atoms_of(org) if "zebrafinch" in atom.content]
        assert [atom.state for atom in atoms_of(org, sources__source_id=activity, sources__source_type="activity")]

    def test_capture_gives_up_waiting_and_leaves_nothing(self, org):
        """It may hold what the redaction waits for, by another handler of the same transaction."""
        events = happen(org)
        captured(org, events[:1])
        known = all_that_is_known(org)
        is_held, is_over = threading.Event(), threading.Event()

        def hold() -> None:
            with org_scope(org):
                MemoryLedger.objects.for_org(org).select_for_update().get()
                is_held.set()
                assert is_over.wait(30)

        def capture_meanwhile() -> float:
            assert is_held.wait(30)
            started = time.monotonic()
            try:
                with pytest.raises(OperationalError):
                    captured(org, events)
            finally:
                is_over.set()
            return time.monotonic() - started

        _, waited = at_once(hold, capture_meanwhile)
        assert isinstance(waited, float), waited
        assert waited < 30
        assert all_that_is_known(org) == known
        captured(org, events)
        assert len(all_that_is_known(org)) > len(known)
