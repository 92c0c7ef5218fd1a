"""Putting an atom right: a new version, a chain that shows what was changed, and nothing that undoes it."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.conf import settings
from django.db import IntegrityError, connection, transaction

from flowledger.errors import Conflict, InvalidInput, NotFound, PermissionRefused, Stale
from flowledger.outbox.models import WorkEvent
from flowledger.tenancy.scope import system_scope
from memory import services
from memory.models import Atom, AtomVector, AtomVersion, CardMark, MemoryCard, MemoryLedger
from memory.services.ledger import hash_text, ledger_of
from memory.services.versions import Broken, broken_links, said_at
from tests.factories import ClientFactory, ContactFactory
from tests.memory.factories import AtomFactory, AtomVectorFactory, MemoryCardFactory
from tests.workstream.conftest import actor_of
from tests.workstream.factories import AT, CLERK
from tests.workstream.trail import at_once, nothing_changes

DAY = timedelta(days=1)
LATER = AT + 10 * DAY
THREE = "They run three machines."
FOUR = "They run four machines."
FIVE = "They run five machines."
LONG_AGO = AT - 400 * DAY


def known(org: Any, **fields: Any) -> Atom:
    """A note with a hash of its own text, as the application writes it."""
    text = fields.get("content", THREE)
    fields = {"content": text, "content_hash": hash_text(ledger_of(org), text), **fields}
    atom: Atom = AtomFactory(org=org, **fields)
    return atom


def correct(atom: Atom, content: str = FOUR, *, at: Any = LATER, actor: Any = CLERK, **more: Any) -> Atom:
    keys: dict[str, Any] = {"org": atom.org, "atom_id": atom.pk, "reason": "The customer said so", **more}
    return services.correct_atom(**keys, content=content, actor=actor, at=at)


def chain_of(atom: Atom) -> list[AtomVersion]:
    return list(AtomVersion.all_orgs.filter(atom=atom).order_by("version"))


def broken(atom: Atom) -> list[Broken]:
    return broken_links(atom.org, ledger_of(atom.org), [atom.pk])


@pytest.mark.django_db
class TestCorrect:
    def test_takes_the_place_of_what_was_wrong(self, org, rep):
        atom = known(org, confidence=Decimal("0.6"))

        corrected = correct(atom, actor=actor_of(rep))

        stored = Atom.all_orgs.get(pk=atom.pk)
        assert (stored.content, stored.version, stored.is_locked, stored.confidence) == (FOUR, 2, True, 1)
        assert stored.content_hash == hash_text(ledger_of(org), FOUR) == corrected.content_hash
        assert (stored.valid_from, stored.last_seen_at) == (atom.valid_from, atom.last_seen_at)
        assert (stored.row_version, stored.updated_at) == (corrected.row_version, corrected.updated_at)
        first, second = chain_of(atom)
        assert (first.content, first.because, first.actor_label, first.at) == (
            THREE,
            "written",
            "tests",
            atom.created_at,
        )
        assert (second.content, second.because, second.reason) == (FOUR, "error", "The customer said so")
        assert (second.actor_id, second.actor_label, second.at) == (rep.user_id, "rita", LATER)
        (event,) = WorkEvent.all_orgs.filter(org=org, event_name="memory.corrected")
        assert event.payload == {"atom_id": atom.pk, "version": 2, "because": "error"}

    def test_a_fact_that_changed_holds_from_then_on(self, org):
        atom = known(org, valid_until=AT + 5 * DAY)
        correct(atom, because="change", valid_from=AT + 6 * DAY)
        stored = Atom.all_orgs.get(pk=atom.pk)
        assert (stored.valid_from, stored.valid_until) == (AT + 6 * DAY, None)
        assert stored.last_seen_at == LATER
        assert stored.expires_at == LATER + 90 * DAY

    def test_what_was_wrong_is_on_no_card_and_in_no_vector(self, org):
        client = ClientFactory(org=org)
        contact = ContactFactory(org=org, client=client)
        atom = known(org, contact=contact, through=[client])
        for entity in ({"contact": contact}, {"client": client}, {"client": client, "audience": "managers"}):
            MemoryCardFactory(org=org, **entity)
        other = MemoryCardFactory(org=org)
        AtomVectorFactory(org=org, atom=atom)
        CardMark.all_orgs.all().delete()

        correct(atom)

        assert list(MemoryCard.all_orgs.values_list("pk", flat=True)) == [other.pk]
        assert AtomVector.all_orgs.count() == 0
        marks = set(CardMark.all_orgs.values_list("contact_id", "client_id"))
        assert marks == {(contact.pk, None), (None, client.pk)}

    def test_what_was_wrong_is_found_no_more(self, org, as_rep):
        atom = known(org, content="They run xylophones.")

        def found(word: str) -> list[int]:
            answer = as_rep.get(f"/api/memory/search?q={word}&include_archived=true")
            assert answer.status_code == 200, answer.content
            return [hit["atom"]["atom_id"] for hit in answer.json()["data"]]

        assert found("xylophones") == [atom.pk]
        correct(atom, "They run vibraphones.")
        assert (found("xylophones"), found("vibraphones")) == ([], [atom.pk])

    def test_a_card_with_a_fact_that_held_is_shown_until_the_next_one(self, org):
        client = ClientFactory(org=org)
        MemoryCardFactory(org=org, client=client)
        correct(known(org, client=client), because="change")
        assert (MemoryCard.all_orgs.count(), CardMark.all_orgs.count()) == (1, 1)

    def test_an_archived_one_stays_archived(self, org):
        assert correct(known(org, state="archived", archived_at=AT)).state == "archived"

    @pytest.mark.parametrize(
        ("given", "field"),
        [
            ({"content": "  "}, "content"),
            ({"content": THREE}, "content"),
            ({"content": "nul \x00"}, "content"),
            ({"content": "x" * 5_001}, "content"),
            ({"reason": " "}, "reason"),
            ({"reason": "x" * 501}, "reason"),
            ({"because": "mood"}, "because"),
            ({"valid_from": AT}, "valid_from"),
            ({"because": "change", "valid_from": AT - DAY}, "valid_from"),
            ({"because": "change", "valid_from": LATER + DAY}, "valid_from"),
            ({"because": "change", "valid_until": LATER}, "valid_until"),
            ({"valid_until": AT}, "valid_until"),
        ],
    )
    def test_says_what_is_wrong_and_changes_nothing(self, org, given, field):
        atom = known(org)
        with nothing_changes(), pytest.raises(InvalidInput) as refused:
            correct(atom, **given)
        assert list(refused.value.details["fields"]) == [field]

    def test_an_older_version_is_stale(self, org):
        atom = known(org)
        correct(atom, expected_version=1)
        with nothing_changes(), pytest.raises(Stale):
            correct(atom, FIVE, expected_version=1)
        assert correct(atom, FIVE, expected_version=2).version == 3

    def test_is_refused_to_a_viewer(self, org, viewer):
        atom = known(org)
        with nothing_changes(), pytest.raises(PermissionRefused):
            correct(atom, actor=actor_of(viewer))

    @pytest.mark.parametrize("audience", ["managers", "author"])
    def test_what_somebody_may_not_read_does_not_exist_for_them(self, org, rep, colleague, audience):
        atom = known(org, audience=audience, author=colleague.user)
        with nothing_changes(), pytest.raises(NotFound):
            correct(atom, actor=actor_of(rep))

    @pytest.mark.parametrize(
        ("fields", "sentence"),
        [
            ({"state": "redacted", "content": "", "redacted_at": AT}, "redacted"),
            ({"state": "superseded"}, "newer atom"),
        ],
    )
    def test_is_refused_where_it_would_bring_something_back(self, org, fields, sentence):
        atom = known(org, **fields)
        with nothing_changes(), pytest.raises(Conflict, match=sentence):
            correct(atom)

    def test_a_strangers_atom_does_not_exist(self, org, other_org):
        theirs = known(other_org)
        with pytest.raises(NotFound):
            services.correct_atom(org=org, atom_id=theirs.pk, content=FOUR, reason="So", actor=CLERK, at=AT)


@pytest.mark.django_db(transaction=True)
@pytest.mark.usefixtures("transactional_db")
class TestAtOnce:
    def test_of_two_who_decided_on_one_version_one_is_told(self, org):
        with system_scope("tests"):
            atom = known(org)
        answers = at_once(
            lambda: correct(atom, FOUR, expected_version=1), lambda: correct(atom, FIVE, expected_version=1)
        )
        refused = [answer for answer in answers if isinstance(answer, Stale)]
        stored = [answer for answer in answers if isinstance(answer, Atom)]
        assert (len(refused), len(stored)) == (1, 1), answers
        with system_scope("tests"):
            assert [version.content for version in chain_of(atom)] == [THREE, stored[0].content]
            assert broken(atom) == []

    def test_many_make_one_chain(self, org):
        with system_scope("tests"):
            atom = known(org)
        texts = [f"They run {number} machines." for number in range(10, 16)]
        answers = at_once(*(lambda text=text: correct(atom, text) for text in texts))
        assert sorted(answer.version for answer in answers) == [2, 3, 4, 5, 6, 7], answers
        with system_scope("tests"):
            assert {version.content for version in chain_of(atom)} == {THREE, *texts}
            assert broken(atom) == []


@pytest.mark.django_db
class TestAsOf:
    """What held at a moment, by all that is known today (governance 17)."""

    def asked(self, atom: Atom, moment: Any) -> str | None:
        stored = Atom.all_orgs.get(pk=atom.pk)
        said = said_at(atom.org, stored, moment)
        return said.content if said else None

    def test_what_was_wrong_never_held_and_what_changed_did(self, org):
        atom = known(org, valid_from=AT)
        correct(atom, FOUR)
        correct(atom, FIVE, because="change", valid_from=AT + 5 * DAY)
        assert self.asked(atom, AT - DAY) is None
        assert self.asked(atom, AT) == FOUR
        assert self.asked(atom, AT + 5 * DAY - timedelta(microseconds=1)) == FOUR
        assert self.asked(atom, AT + 5 * DAY) == FIVE
        assert self.asked(atom, LATER + 1000 * DAY) == FIVE

    def test_a_later_correction_of_the_changed_fact_leaves_the_former_one(self, org):
        atom = known(org, valid_from=AT)
        correct(atom, FOUR, because="change", valid_from=AT + 5 * DAY)
        correct(atom, FIVE)
        assert (self.asked(atom, AT), self.asked(atom, AT + 6 * DAY)) == (THREE, FIVE)

    def test_nothing_holds_after_the_end_of_its_validity(self, org):
        atom = known(org, valid_from=AT, valid_until=AT + DAY)
        assert (self.asked(atom, AT), self.asked(atom, AT + DAY)) == (THREE, None)

    def test_nothing_holds_after_a_newer_atom_took_its_place(self, org):
        old, new = known(org), known(org, content=FOUR, occurred_at=AT + 3 * DAY)
        old.supersede(by=new, actor=CLERK, at=LATER)
        old.save()
        assert (self.asked(old, AT + 2 * DAY), self.asked(old, AT + 3 * DAY)) == (THREE, None)
        assert self.asked(new, AT + 3 * DAY) == FOUR

    def test_says_until_when_each_held(self, org):
        atom = known(org, valid_from=AT)
        correct(atom, FOUR, because="change", valid_from=AT + 5 * DAY)
        said = said_at(org, Atom.all_orgs.get(pk=atom.pk), AT)
        assert said is not None
        assert (said.version, said.valid_from, said.valid_until) == (1, AT, AT + 5 * DAY)


@pytest.mark.django_db
class TestChain:
    @pytest.fixture
    def atom(self, org: Any) -> Atom:
        atom = known(org)
        correct(atom, FOUR)
        correct(atom, FIVE)
        assert broken(atom) == []
        return atom

    def forge(self, statement: str) -> None:
        """As somebody could who owns the database."""
        system = f"SET LOCAL ROLE {connection.ops.quote_name(settings.SYSTEM_DB_ROLE)}"
        owner, trigger = "SET LOCAL ROLE none", "ALTER TABLE memory_atomversion {} TRIGGER memory_version_is_kept"
        with connection.cursor() as cursor:
            for step in (
                *("SET CONSTRAINTS ALL IMMEDIATE", owner, trigger.format("DISABLE"), system, statement),
                *(owner, trigger.format("ENABLE"), system),
            ):
                cursor.execute(step)

    @pytest.mark.parametrize(
        ("change", "version", "what"),
        [
            (
                "UPDATE memory_atomversion SET actor_label = 'x', actor_id = 7 WHERE version = 2",
                2,
                "not what was written",
            ),
            ("UPDATE memory_atomversion SET because = 'change' WHERE version = 3", 3, "not what was written"),
            ("UPDATE memory_atomversion SET at = at + interval '1 day' WHERE version = 1", 1, "not what was written"),
            ("UPDATE memory_atomversion SET content = 'They run nine.' WHERE version = 2", 2, "text was changed"),
            ("DELETE FROM memory_atomversion WHERE version = 2", 2, "missing"),
            ("DELETE FROM memory_atomversion WHERE version = 3", 3, "last version is missing"),
            ("DELETE FROM memory_atomversion", 1, "versions are missing"),
            ("UPDATE memory_atom SET content_hash = 'forged'", 3, "something else"),
        ],
    )
    def test_shows_what_was_changed(self, atom, change, version, what):
        self.forge(change)
        (found,) = broken(atom)
        assert (found.atom_id, found.version) == (atom.pk, version)
        assert what in found.what

    def test_holds_when_a_redaction_empties_the_texts(self, atom):
        AtomVersion.all_orgs.filter(atom=atom).update(content="", reason="")
        assert broken(atom) == []
        assert {version.content for version in chain_of(atom)} == {""}

    @pytest.mark.parametrize(
        "change", [{"content": "They run nine."}, {"reason": "Another"}, {"because": "change"}, {"digest": "0"}]
    )
    def test_the_database_lets_nobody_change_a_version(self, atom, change):
        with pytest.raises(IntegrityError, match="kept as it was"), transaction.atomic():
            AtomVersion.all_orgs.filter(atom=atom, version=2).update(**change)

    def test_all_chains_of_an_organisation_are_gone_through(self, atom, other_org):
        theirs = known(other_org)
        correct(theirs)
        self.forge("UPDATE memory_atomversion SET because = 'change' WHERE version = 2")
        found = broken_links(atom.org, ledger_of(atom.org))
        assert [(each.atom_id, each.version) for each in found] == [(atom.pk, 2)]

    def test_an_atom_that_was_never_changed_needs_none(self, org):
        atom = known(org)
        assert (broken(atom), chain_of(atom)) == ([], [])

    def test_the_secret_of_another_organisation_makes_another_chain(self, atom, other_org):
        forged = MemoryLedger(org=atom.org, secret=bytes(ledger_of(other_org).secret))
        assert {each.version for each in broken_links(atom.org, forged, [atom.pk])} == {1, 2, 3}
