"""Two atoms that contradict each other: shown until somebody says which holds."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from flowledger.errors import Conflict, InvalidInput, InvalidTransition, NotFound, PermissionRefused
from flowledger.outbox.models import WorkEvent
from flowledger.tenancy.scope import system_scope
from memory import services
from memory.models import Atom, AtomConflict, CardMark
from memory.services.conflicts import readable_conflicts, undecided
from tests.memory.factories import AtomConflictFactory, AtomFactory
from tests.workstream.conftest import actor_of
from tests.workstream.factories import AT, CLERK
from tests.workstream.trail import at_once, nothing_changes

LATER = AT + timedelta(days=5)


def resolve(conflict: AtomConflict, kept: str = "newer", *, actor: Any = CLERK, note: str = "") -> AtomConflict:
    keys: dict[str, Any] = {"org": conflict.org, "conflict_id": conflict.pk, "actor": actor, "at": LATER}
    return services.resolve_atom_conflict(**keys, kept=kept, note=note)


def superseded_by(atom: Atom) -> tuple[str, int | None]:
    stored = Atom.all_orgs.get(pk=atom.pk)
    return stored.state, stored.superseded_by_id


@pytest.mark.django_db
class TestResolve:
    def test_the_newer_one_holds_from_when_it_was_said(self, org, rep):
        conflict = AtomConflictFactory(org=org)
        CardMark.all_orgs.all().delete()

        resolve(conflict, actor=actor_of(rep), note=" They said so ")

        assert superseded_by(conflict.older) == ("superseded", conflict.newer_id)
        assert superseded_by(conflict.newer) == ("active", None)
        assert Atom.all_orgs.get(pk=conflict.older_id).valid_until == conflict.newer.valid_from
        stored = AtomConflict.all_orgs.get(pk=conflict.pk)
        assert (stored.status, stored.kept, stored.note) == ("resolved", "newer", "They said so")
        assert (stored.resolved_at, stored.resolved_by_id) == (LATER, rep.user_id)
        told = WorkEvent.all_orgs.filter(org=org, event_name__startswith="memory.").order_by("pk")
        assert [(event.event_name, event.payload) for event in told] == [
            ("memory.atom.superseded", {"atom_id": conflict.older_id, "superseded_by_id": conflict.newer_id}),
            ("memory.conflict.resolved", {"conflict_id": conflict.pk, "kept": "newer"}),
        ]
        assert list(CardMark.all_orgs.values_list("client_id", flat=True)) == [conflict.older.client_id]

    def test_the_older_one_may_hold(self, org):
        conflict = AtomConflictFactory(org=org)
        resolve(conflict, "older")
        assert superseded_by(conflict.newer) == ("superseded", conflict.older_id)
        assert superseded_by(conflict.older) == ("active", None)

    def test_both_may_hold(self, org):
        conflict = AtomConflictFactory(org=org)
        resolve(conflict, "both")
        assert superseded_by(conflict.older) == superseded_by(conflict.newer) == ("active", None)
        assert AtomConflict.all_orgs.get(pk=conflict.pk).kept == "both"

    def test_what_left_meanwhile_stays_as_it_is(self, org):
        older = AtomFactory(org=org, kind="preference", state="archived", archived_at=AT)
        conflict = AtomConflictFactory(org=org, older=older)
        resolve(conflict)
        assert superseded_by(older) == ("archived", None)
        with nothing_changes(), pytest.raises(InvalidTransition):
            resolve(conflict)

    def test_what_is_redacted_cannot_be_kept(self, org):
        older = AtomFactory(org=org, kind="preference", state="redacted", content="", redacted_at=AT)
        conflict = AtomConflictFactory(org=org, older=older)
        with nothing_changes(), pytest.raises(Conflict, match="redacted by now"):
            resolve(conflict, "older")
        assert resolve(conflict, "newer").status == "resolved"

    def test_is_decided_once(self, org):
        conflict = AtomConflictFactory(org=org)
        resolve(conflict)
        with nothing_changes(), pytest.raises(InvalidTransition):
            resolve(conflict, "older")

    @pytest.mark.parametrize(("kept", "note"), [("neither", ""), ("newer", "x" * 501)])
    def test_says_what_is_wrong(self, org, kept, note):
        conflict = AtomConflictFactory(org=org)
        with nothing_changes(), pytest.raises(InvalidInput):
            resolve(conflict, kept, note=note)

    def test_is_refused_to_a_viewer(self, org, viewer):
        conflict = AtomConflictFactory(org=org)
        with nothing_changes(), pytest.raises(PermissionRefused):
            resolve(conflict, actor=actor_of(viewer))

    @pytest.mark.parametrize("side", ["older", "newer"])
    def test_does_not_exist_for_who_may_not_read_a_side(self, org, rep, manager, side):
        hidden = AtomFactory(org=org, kind="preference", audience="managers")
        conflict = AtomConflictFactory(org=org, **{side: hidden})
        with nothing_changes(), pytest.raises(NotFound):
            resolve(conflict, actor=actor_of(rep))
        assert resolve(conflict, actor=actor_of(manager)).status == "resolved"

    def test_a_strangers_does_not_exist(self, org, other_org):
        theirs = AtomConflictFactory(org=other_org)
        with pytest.raises(NotFound):
            services.resolve_atom_conflict(org=org, conflict_id=theirs.pk, kept="newer", actor=CLERK, at=AT)

    def test_the_queue_holds_what_is_to_be_decided(self, org, rep):
        open_one = AtomConflictFactory(org=org)
        AtomConflictFactory(org=org, older=AtomFactory(org=org, state="superseded"))
        AtomConflictFactory(org=org, newer=AtomFactory(org=org, audience="managers"))
        resolve(AtomConflictFactory(org=org))
        assert list(undecided(readable_conflicts(org, actor_of(rep)))) == [open_one]


@pytest.mark.django_db(transaction=True)
@pytest.mark.usefixtures("transactional_db")
def test_of_two_who_decide_at_once_one_is_told(org):
    with system_scope("tests"):
        conflicts = [AtomConflictFactory(org=org) for _ in range(4)]
    for conflict in conflicts:
        answers = at_once(lambda each=conflict: resolve(each, "older"), lambda each=conflict: resolve(each, "newer"))
        assert sorted(type(answer).__name__ for answer in answers) == ["AtomConflict", "InvalidTransition"], answers
        with system_scope("tests"):
            kept = AtomConflict.all_orgs.get(pk=conflict.pk).kept
            states = {superseded_by(conflict.older)[0], superseded_by(conflict.newer)[0]}
            assert states == {"active", "superseded"}
            assert superseded_by(conflict.older if kept == "older" else conflict.newer) == ("active", None)
