"""Atoms whose time has come leave cards and default search, and can be brought back."""

from __future__ import annotations

from collections import Counter
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.db import connection
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from flowledger.configuration.services import set_value
from flowledger.errors import Conflict, InvalidTransition, NotFound, PermissionRefused
from flowledger.outbox.models import WorkEvent
from flowledger.tenancy.scope import org_scope, system_scope
from memory import services, tasks
from memory.models import Atom, CardMark, MemoryLedger
from memory.relevance import expires_at, relevance
from memory.rules import KINDS, KindRule, Kinds
from memory.services import archiving
from memory.sql import archiving as sql
from tests.factories import ClientFactory
from tests.memory.factories import AtomFactory, LegalHoldFactory
from tests.workstream.conftest import actor_of
from tests.workstream.factories import AT, CLERK, open_pursuit
from tests.workstream.trail import at_once, nothing_changes

DAY = timedelta(days=1)
# Past every default rule.
LATER = AT + timedelta(days=3_650)


def due(org: Any, **fields: Any) -> Atom:
    """An active atom whose time came a day ago."""
    atom: Atom = AtomFactory(org=org, **{"expires_at": AT - DAY, **fields})
    return atom


def state_of(atom: Atom) -> str:
    return str(Atom.all_orgs.values_list("state", flat=True).get(pk=atom.pk))


def archived_of(org: Any) -> dict[int, str]:
    """The archivings that were told of: atom and cause."""
    rows = WorkEvent.all_orgs.filter(org=org, event_name="memory.atom.archived")
    return {payload["atom_id"]: payload["cause"] for payload in rows.values_list("payload", flat=True)}


def sweep(org: Any, *atoms: Atom, at: Any = AT) -> int:
    return services.archive_due_atoms(org=org, atom_ids=[atom.pk for atom in atoms], actor=CLERK, at=at)


@pytest.mark.django_db
class TestSweep:
    def test_archives_what_is_due_with_its_event_and_marks_the_cards(self, org):
        pursuit = open_pursuit(org)
        atom = due(org, pursuit=pursuit, through=[pursuit.client])
        CardMark.all_orgs.all().delete()

        assert sweep(org, atom) == 1

        stored = Atom.all_orgs.get(pk=atom.pk)
        assert (stored.state, stored.archived_at, stored.content) == ("archived", AT, atom.content)
        assert stored.row_version == atom.row_version + 1
        assert archived_of(org) == {atom.pk: "expiry"}
        marks = set(CardMark.all_orgs.values_list("pursuit_id", "client_id"))
        assert marks == {(pursuit.pk, None), (None, pursuit.client_id)}

    def test_says_why(self, org):
        kept = timedelta(days=90)
        over = due(org, valid_until=AT - DAY, valid_from=AT - 9 * DAY)
        old = due(org, occurred_at=AT - kept, last_seen_at=AT - kept)
        faded = due(org)
        sweep(org, over, old, faded)
        assert archived_of(org) == {over.pk: "validity", old.pk: "retention", faded.pk: "expiry"}

    def test_leaves_what_is_not_due_pinned_held_or_no_longer_active(self, org):
        client = ClientFactory(org=org)
        LegalHoldFactory(org=org, client=client)
        left = [
            due(org, expires_at=AT + timedelta(microseconds=1)),
            due(org, expires_at=None),
            due(org, is_pinned=True),
            due(org, pursuit=open_pursuit(org), through=[client]),
            due(org, state="superseded"),
        ]
        with nothing_changes(apart_from=(MemoryLedger,)):
            assert sweep(org, *left) == 0

    def test_a_released_hold_keeps_nothing(self, org):
        client = ClientFactory(org=org)
        LegalHoldFactory(org=org, client=client, released_at=AT)
        assert sweep(org, due(org, client=client)) == 1

    def test_takes_none_of_another_organisation(self, org, other_org):
        theirs = due(other_org)
        assert sweep(org, theirs) == 0
        assert state_of(theirs) == "active"

    def test_needs_a_manager(self, org, rep):
        with pytest.raises(PermissionRefused):
            services.archive_due_atoms(org=org, atom_ids=[due(org).pk], actor=actor_of(rep), at=AT)


@pytest.mark.django_db(transaction=True)
@pytest.mark.usefixtures("transactional_db")
class TestTask:
    """The beat's sweep over all organisations, in batches by index."""

    @pytest.fixture(autouse=True)
    def small_batches(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(tasks, "ARCHIVE_BATCH", 3)

    def test_goes_through_everything_that_is_due_and_passes_over_what_is_held(self, org, other_org):
        with system_scope("tests"):
            client = ClientFactory(org=org)
            LegalHoldFactory(org=org, client=client)
            held = [due(org, client=client, expires_at=AT - 9 * DAY) for _ in range(4)]
            mine, theirs = [due(org) for _ in range(5)], [due(other_org) for _ in range(4)]
            fresh = due(org, expires_at=LATER + DAY)
        assert tasks.archive_due_atoms() == 9
        with system_scope("tests"):
            assert {state_of(atom) for atom in (*mine, *theirs)} == {"archived"}
            assert {state_of(atom) for atom in (*held, fresh)} == {"active"}
        assert tasks.archive_due_atoms() == 0

    def test_two_at_once_archive_each_atom_once(self, org, other_org):
        with system_scope("tests"):
            atoms = [due(home) for home in (org, other_org) for _ in range(10)]
        answers = at_once(*[tasks.archive_due_atoms] * 3)
        assert sum(answers) == 20, answers
        with system_scope("tests"):
            told = WorkEvent.all_orgs.filter(event_name="memory.atom.archived").values_list("item_id", flat=True)
            assert Counter(told) == Counter(atom.pk for atom in atoms)

    def test_a_hold_that_is_placed_meanwhile_wins_or_comes_after(self, org):
        """Never is an atom archived after its hold was placed."""
        with system_scope("tests"):
            client = ClientFactory(org=org)
            atoms = [due(org, client=client) for _ in range(12)]

        def place() -> Any:
            keys: dict[str, Any] = {"org": org, "actor": CLERK, "at": AT}
            return services.place_hold(entity_type="client", entity_id=client.pk, reason="A case", **keys)

        answers = at_once(tasks.archive_due_atoms, place, tasks.archive_due_atoms)
        assert not [answer for answer in answers if isinstance(answer, Exception)], answers
        with system_scope("tests"):
            hold = WorkEvent.all_orgs.get(event_name="memory.hold.placed")
            archived = WorkEvent.all_orgs.filter(event_name="memory.atom.archived")
            assert archived.filter(pk__gt=hold.pk).count() == 0
            assert archived.count() == sum(state_of(atom) == "archived" for atom in atoms)

    def test_finds_them_by_the_partial_index(self, org):
        with system_scope("tests"), connection.cursor() as cursor:
            due(org)
            cursor.execute("SET LOCAL enable_seqscan = off")
            known = {"at": AT, "after_at": AT - 365 * DAY, "after_id": 0, "limit": 10}
            cursor.execute(f"EXPLAIN {sql._DUE}", known)
            plan = "\n".join(line for (line,) in cursor.fetchall())
        assert "atom_due" in plan
        assert "Sort" not in plan


KIND_RULES = st.builds(
    KindRule,
    points=st.integers(1, 100),
    half_life_days=st.integers(1, 1_000),
    kept_days=st.none() | st.integers(1, 2_000),
)


class TestExpiry:
    """`expires_at` is the moment at which the relevance of what was said once falls below the floor (governance 18)."""

    @settings(max_examples=300, deadline=None)
    @given(
        rule=KIND_RULES,
        confidence=st.decimals(Decimal("0.05"), 1, places=2),
        floor=st.floats(0.5, 40),
        seen=st.datetimes(min_value=AT.replace(tzinfo=None, year=2020), max_value=AT.replace(tzinfo=None, year=2030)),
        offset=st.sampled_from([-11, -5, 0, 2, 9.5]),
        valid_days=st.none() | st.integers(0, 3_000),
    )
    def test_is_where_the_relevance_crosses_the_floor(self, rule, confidence, floor, seen, offset, valid_days):
        from datetime import timezone

        at = seen.replace(tzinfo=timezone(timedelta(hours=offset)))
        kinds = Kinds(note=rule, floor=floor)
        keys: dict[str, Any] = {"kind": "note", "points": rule.points, "confidence": confidence, "last_seen_at": at}
        until = None if valid_days is None else at + valid_days * DAY

        ends = expires_at(kinds, **keys, valid_until=until)

        assert ends >= at
        limits = [end for end in (until, rule.kept_days and at + rule.kept_days * DAY) if end]
        assert all(ends <= limit for limit in limits)
        if ends not in limits and ends > at:
            second = timedelta(seconds=1)
            assert relevance(kinds, **keys, seen_count=1, at=ends - second) > floor
            assert relevance(kinds, **keys, seen_count=1, at=ends + second) < floor

    @pytest.mark.django_db
    @settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
    @given(rule=KIND_RULES, confidence=st.decimals(Decimal("0.05"), 1, places=2), floor=st.floats(0.5, 40))
    def test_is_the_same_in_the_database(self, org, rule, confidence, floor):
        atom = AtomFactory(org=org, bare=True, confidence=confidence)
        kinds = Kinds(note=rule, floor=floor)
        with org_scope(org):
            sql.renew(org_id=org.pk, kinds=kinds, after_id=atom.pk - 1, limit=1, at=AT)
        stored = Atom.all_orgs.get(pk=atom.pk)
        expected = expires_at(
            kinds, kind="note", points=rule.points, confidence=confidence, last_seen_at=atom.last_seen_at
        )
        assert stored.base_score == rule.points
        assert abs(stored.expires_at - expected) < timedelta(milliseconds=1)


@pytest.mark.django_db
class TestByHand:
    def test_a_manager_archives_and_brings_back(self, org, manager):
        atom = due(org, expires_at=LATER)
        keys: dict[str, Any] = {"org": org, "atom_id": atom.pk, "actor": actor_of(manager)}

        services.archive_atom(**keys, at=AT)
        assert (state_of(atom), archived_of(org)) == ("archived", {atom.pk: "hand"})

        back = AT + 400 * DAY
        restored = services.restore_atom(**keys, at=back)
        assert (restored.state, restored.archived_at, restored.last_seen_at) == ("active", None, back)
        # Notes are kept for ninety days, from now.
        assert restored.expires_at == back + 90 * DAY
        assert WorkEvent.all_orgs.filter(event_name="memory.atom.restored", item_id=atom.pk).count() == 1

    def test_is_refused_to_a_representative(self, org, rep):
        atom = due(org)
        for verb in (services.archive_atom, services.restore_atom):
            with nothing_changes(apart_from=(MemoryLedger,)), pytest.raises(PermissionRefused):
                verb(org=org, atom_id=atom.pk, actor=actor_of(rep), at=AT)

    @pytest.mark.parametrize("state", ["archived", "superseded", "redacted"])
    def test_is_refused_from_any_other_state(self, org, state):
        gone = {"content": "", "redacted_at": AT} if state == "redacted" else {}
        atom = due(org, state=state, **gone)
        with nothing_changes(apart_from=(MemoryLedger,)), pytest.raises(InvalidTransition):
            services.archive_atom(org=org, atom_id=atom.pk, actor=CLERK, at=AT)

    @pytest.mark.parametrize("state", ["active", "superseded", "redacted"])
    def test_what_is_not_archived_cannot_be_brought_back(self, org, state):
        gone = {"content": "", "redacted_at": AT} if state == "redacted" else {}
        atom = due(org, state=state, **gone)
        with nothing_changes(apart_from=(MemoryLedger,)), pytest.raises(InvalidTransition):
            services.restore_atom(org=org, atom_id=atom.pk, actor=CLERK, at=AT)

    def test_is_refused_for_what_is_pinned_or_held(self, org):
        client = ClientFactory(org=org)
        LegalHoldFactory(org=org, client=client)
        for atom, sentence in ((due(org, is_pinned=True), "unpin it"), (due(org, client=client), "legal hold")):
            with nothing_changes(apart_from=(MemoryLedger,)), pytest.raises(Conflict, match=sentence):
                services.archive_atom(org=org, atom_id=atom.pk, actor=CLERK, at=AT)

    def test_what_holds_no_more_stays_archived(self, org):
        atom = due(org, state="archived", archived_at=AT, valid_from=AT - 9 * DAY, valid_until=AT)
        with pytest.raises(Conflict, match="held until"):
            services.restore_atom(org=org, atom_id=atom.pk, actor=CLERK, at=AT)

    def test_a_strangers_atom_does_not_exist(self, org, other_org):
        theirs = due(other_org)
        for verb in (services.archive_atom, services.restore_atom, services.pin_atom, services.unpin_atom):
            with pytest.raises(NotFound):
                verb(org=org, atom_id=theirs.pk, actor=CLERK, at=AT)

    def test_pinning_keeps_it_until_it_is_unpinned(self, org, rep):
        atom = due(org)
        keys: dict[str, Any] = {"org": org, "atom_id": atom.pk, "actor": actor_of(rep), "at": AT}
        services.pin_atom(**keys)
        assert sweep(org, atom) == 0
        with nothing_changes(apart_from=(MemoryLedger,)):
            services.pin_atom(**keys)
        services.unpin_atom(**keys)
        assert sweep(org, atom) == 1
        with pytest.raises(Conflict, match="restore it"):
            services.pin_atom(**keys)


@pytest.mark.django_db
class TestChangedRules:
    """What a change of the rules of kinds does to what is remembered already."""

    def change(self, org: Any, rule: Kinds) -> None:
        keys: dict[str, Any] = {"org": org, "rule_type": "memory_rule", "key": "kinds", "reason": "We forget faster."}
        set_value(**keys, value=KINDS.plain(rule), actor=CLERK, at=AT)

    def renew(self, org: Any) -> bool:
        return services.renew_expiries(org=org, actor=CLERK, at=AT)

    def test_expiries_follow_in_batches_and_go_on_where_they_stopped(self, org, monkeypatch):
        monkeypatch.setattr(archiving, "RENEWED_AT_ONCE", 2)
        atoms = [AtomFactory(org=org) for _ in range(5)]
        archived = AtomFactory(org=org, state="archived")
        self.change(org, Kinds(note=KindRule(points=70, half_life_days=10, kept_days=7)))

        assert [self.renew(org) for _ in range(4)] == [True, True, False, False]

        for atom in Atom.all_orgs.filter(pk__in=[atom.pk for atom in atoms]):
            assert (atom.base_score, atom.expires_at) == (70, AT + 7 * DAY)
        assert Atom.all_orgs.get(pk=archived.pk).expires_at == archived.expires_at

    def test_a_change_in_between_begins_anew(self, org, monkeypatch):
        monkeypatch.setattr(archiving, "RENEWED_AT_ONCE", 2)
        atoms = [AtomFactory(org=org) for _ in range(4)]
        self.change(org, Kinds(note=KindRule(points=70, half_life_days=10, kept_days=7)))
        self.renew(org)
        self.change(org, Kinds(note=KindRule(points=60, half_life_days=10, kept_days=5)))
        while self.renew(org):
            pass
        ends = Atom.all_orgs.filter(pk__in=[atom.pk for atom in atoms]).values_list("expires_at", flat=True)
        assert set(ends) == {AT + 5 * DAY}

    def test_rules_that_stay_change_nothing(self, org):
        AtomFactory(org=org, expires_at=AT + 90 * DAY)
        self.renew(org)
        with nothing_changes():
            assert self.renew(org) is False
