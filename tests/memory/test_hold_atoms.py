"""Legal holds: placed and released by administrators, and all that is visible from the entity is kept."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from flowledger.errors import Conflict, InvalidInput, NotFound, PermissionRefused
from flowledger.outbox.models import WorkEvent
from flowledger.tenancy.actors import Role
from flowledger.tenancy.models import Organization
from flowledger.tenancy.scope import org_scope, system_scope
from memory import services
from memory.models import ENTITY_MODELS, LegalHold, MemoryLedger
from memory.services.holds import held_atom_ids, require_unheld
from memory.services.ledger import held_ledger
from tests.factories import ClientFactory, ContactFactory
from tests.memory.factories import AtomFactory, LegalHoldFactory, MailThreadFactory
from tests.queries import counted_queries
from tests.workstream.conftest import actor_of
from tests.workstream.factories import (
    AT,
    CLERK,
    CandidateFactory,
    EngagementFactory,
    ProposalFactory,
    PursuitFactory,
    SignalFactory,
)
from tests.workstream.trail import at_once, nothing_changes

MAKERS: dict[str, Any] = {
    "client": ClientFactory,
    "contact": ContactFactory,
    "signal": SignalFactory,
    "candidate": CandidateFactory,
    "pursuit": PursuitFactory,
    "proposal": ProposalFactory,
    "engagement": EngagementFactory,
    "thread": MailThreadFactory,
}


def place(org: Organization, entity: Any, *, name: str = "client", reason: str = "A case", actor: Any = CLERK) -> Any:
    keys: dict[str, Any] = {"org": org, "entity_type": name, "entity_id": entity.pk, "reason": reason}
    return services.place_hold(**keys, actor=actor, at=AT)


@pytest.mark.django_db
class TestPlace:
    def test_notes_who_and_why_and_tells_of_it(self, org, member_of):
        admin = member_of(org, Role.ADMIN)
        client = ClientFactory(org=org)

        hold = place(org, client, reason="  A case before the court ", actor=actor_of(admin))

        stored = LegalHold.all_orgs.get(pk=hold.pk)
        assert (stored.client_id, stored.reason, stored.placed_at) == (client.pk, "A case before the court", AT)
        assert (stored.placed_by_id, stored.released_at) == (admin.user_id, None)
        (event,) = WorkEvent.all_orgs.filter(org=org, event_name="memory.hold.placed")
        assert event.payload == {"hold_id": hold.pk, "entity_type": "client", "entity_id": client.pk}

    def test_there_is_a_row_for_every_kind_of_entity(self):
        assert set(MAKERS) == set(ENTITY_MODELS)

    @pytest.mark.parametrize("name", MAKERS)
    def test_keeps_what_is_about_the_entity_and_what_is_seen_from_it(self, org, name):
        entity, other = MAKERS[name](org=org), ClientFactory(org=org)
        about = AtomFactory(org=org, **{name: entity})
        seen = AtomFactory(org=org, client=other, through=[entity])
        free = AtomFactory(org=org, client=other)
        place(org, entity, name=name)
        with org_scope(org):
            assert held_atom_ids(org, [about.pk, seen.pk, free.pk]) == {about.pk, seen.pk}

    @pytest.mark.parametrize("role", [Role.VIEWER, Role.REP, Role.MANAGER])
    def test_needs_an_administrator(self, org, member_of, role):
        client = ClientFactory(org=org)
        with nothing_changes(), pytest.raises(PermissionRefused):
            place(org, client, actor=actor_of(member_of(org, role)))

    @pytest.mark.parametrize("reason", ["", " \n", "x" * 501])
    def test_asks_for_a_reason(self, org, reason):
        client = ClientFactory(org=org)
        with nothing_changes(), pytest.raises(InvalidInput):
            place(org, client, reason=reason)

    def test_refuses_what_is_not_there(self, org, other_org):
        theirs = ClientFactory(org=other_org)
        with nothing_changes(), pytest.raises(NotFound):
            place(org, theirs)
        with nothing_changes(), pytest.raises(InvalidInput, match="one of client, contact"):
            place(org, theirs, name="invoice")


@pytest.mark.django_db
class TestRelease:
    def test_ends_it_and_tells_of_it(self, org, member_of):
        admin = member_of(org, Role.ADMIN)
        atom = AtomFactory(org=org)
        hold = place(org, atom.client)
        keys: dict[str, Any] = {"org": org, "hold_id": hold.pk, "actor": actor_of(admin)}

        services.release_hold(**keys, reason="Settled", at=AT + timedelta(days=1))

        stored = LegalHold.all_orgs.get(pk=hold.pk)
        assert (stored.released_at, stored.released_by_id) == (AT + timedelta(days=1), admin.user_id)
        assert stored.release_reason == "Settled"
        assert WorkEvent.all_orgs.filter(event_name="memory.hold.released", item_id=hold.pk).count() == 1
        with org_scope(org):
            assert held_atom_ids(org, [atom.pk]) == set()
        with nothing_changes(), pytest.raises(Conflict, match="released on 2026-03-03"):
            services.release_hold(**keys, reason="Again", at=AT)

    def test_another_hold_on_the_same_entity_goes_on(self, org):
        atom = AtomFactory(org=org)
        first, _ = place(org, atom.client), place(org, atom.client)
        services.release_hold(org=org, hold_id=first.pk, reason="Settled", actor=CLERK, at=AT)
        with org_scope(org), pytest.raises(Conflict, match="legal hold"):
            require_unheld(org, [atom.pk])

    def test_is_refused_without_reason_or_role_and_for_a_strangers(self, org, other_org, manager):
        hold, theirs = LegalHoldFactory(org=org), LegalHoldFactory(org=other_org)
        for pk, reason, actor, refusal in (
            (hold.pk, " ", CLERK, InvalidInput),
            (hold.pk, "Settled", actor_of(manager), PermissionRefused),
            (theirs.pk, "Settled", CLERK, NotFound),
        ):
            with nothing_changes(), pytest.raises(refusal):
                services.release_hold(org=org, hold_id=pk, reason=reason, actor=actor, at=AT)


@pytest.mark.django_db
def test_an_organisation_without_holds_is_asked_one_thing(org):
    atoms = [AtomFactory(org=org).pk for _ in range(3)]
    with counted_queries() as asked:
        assert held_atom_ids(org, atoms) == set()
    assert len(asked) == 1


@pytest.mark.django_db(transaction=True)
@pytest.mark.usefixtures("transactional_db")
def test_a_hold_waits_for_whoever_removes_something_at_the_moment(org):
    """Who asked while the ledger was held heard of no hold, and so none may stand before they are done."""
    with system_scope("tests"):
        client = ClientFactory(org=org)
    order: list[str] = []

    def remove() -> None:
        with org_scope(org):
            held_ledger(org)
            barrier.set()
            answered.wait(1)
            order.append("removed" if not LegalHold.objects.for_org(org).exists() else "too late")

    def hold() -> None:
        barrier.wait(10)
        place(org, client)
        order.append("held")

    import threading

    barrier, answered = threading.Event(), threading.Event()
    at_once(remove, hold)
    assert order == ["removed", "held"]
    with system_scope("tests"):
        assert MemoryLedger.all_orgs.filter(org=org).count() == 1
