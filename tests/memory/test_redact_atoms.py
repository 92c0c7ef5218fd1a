"""Redaction: what it removes at once, what it leaves, and that nothing brings it back; before any worker has run."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from flowledger.errors import Conflict, InvalidInput, InvalidTransition, NotFound, PermissionRefused
from flowledger.outbox.drain import drain_all
from flowledger.outbox.models import HandlerFailure, OutgoingEmail, WorkEvent
from memory import services
from memory.machines import AtomState
from memory.models import Atom, AtomSource, AtomVector, AtomVersion, CardMark, MemoryCard
from memory.services.ledger import ledger_of
from memory.services.redaction import DryRun, Target
from memory.services.versions import broken_links
from tests.factories import ClientFactory
from tests.memory.canaries import rows_with, statistics_with
from tests.memory.capturing import captured
from tests.memory.factories import AtomVectorFactory, MemoryCardFactory
from tests.workstream.conftest import actor_of
from tests.workstream.factories import AT, CLERK, open_pursuit
from tests.workstream.messages import message
from tests.workstream.trail import nothing_changes
from workstream import services as pipeline
from workstream.models import Activity, Signal

pytestmark = pytest.mark.django_db
LATER = AT + timedelta(days=2)
SECRET = "xylophant"
NOTE = "They prefer a blue xylophant. The budget is frozen until June. They run three machines."
MAIL = message(
    "We prefer the xylophant press.\n",
    subject="A xylophant",
    message_id="<first@acme.example>",
)
REPLY = message(
    "Fine.\n\nJane wrote:\n> We prefer the xylophant press.\n",
    subject="Re: A xylophant",
    message_id="<second@acme.example>",
    In_Reply_To="<first@acme.example>",
    date="Wed, 04 Mar 2026 10:00:00 +0100",
)


@pytest.fixture
def client(org):
    return ClientFactory(org=org, name="Acme")


@pytest.fixture
def note(org, client) -> Activity:
    """A note on a client, and what was remembered of it."""
    logged = pipeline.log_activity(
        org=org, item_type="client", item_id=client.pk, kind="note", summary="Visit", body=NOTE, actor=CLERK, at=AT
    )
    drain_all()
    return logged


def atoms_of(activity: Activity) -> dict[str, Atom]:
    rows = Atom.all_orgs.filter(sources__source_type="activity", sources__source_id=activity.pk).distinct()
    return {atom.content: atom for atom in rows}


def atom_with(activity: Activity, word: str) -> Atom:
    """The atom of a sentence; a note of the whole text is another one."""
    found = [atom for text, atom in atoms_of(activity).items() if word in text]
    return min(found, key=lambda atom: len(atom.content))


def redact(org: Any, *, atom: Atom | None = None, **more: Any) -> Any:
    target = Target(atom_ids=(atom.pk,)) if atom is not None else more.pop("target")
    given = {"org": org, "target": target, "reason": "It was private", "actor": CLERK, "at": LATER}
    return services.redact(**{**given, **more})


class TestRedactAtom:
    def test_the_sentence_is_nowhere(self, org, note):
        atom = atom_with(note, SECRET)
        assert "memory_atom" in rows_with(SECRET)

        redact(org, atom=atom)

        assert rows_with(SECRET) == {}
        assert statistics_with(SECRET) == []

    def test_the_rest_of_the_note_stays_with_its_atoms(self, org, note):
        kept = {text for text in atoms_of(note) if SECRET not in text}

        redact(org, atom=atom_with(note, SECRET))

        note.refresh_from_db()
        assert note.body.endswith("The budget is frozen until June. They run three machines.")
        assert note.body.startswith("[redacted]")
        assert len(note.body) == len(NOTE), "what follows keeps its place"
        standing = Atom.all_orgs.filter(content__in=kept)
        assert {atom.content for atom in standing} == kept
        assert kept

    def test_the_row_keeps_who_when_why_and_a_hash(self, org, note, manager):
        atom = atom_with(note, SECRET)

        redaction = redact(org, atom=atom, actor=actor_of(manager))

        atom = Atom.all_orgs.get(pk=atom.pk)
        assert (atom.state, atom.content, atom.tags, atom.redacted_at) == (AtomState.REDACTED, "", [], LATER)
        assert len(atom.content_hash) == 64
        assert (redaction.actor_label, redaction.reason, redaction.redacted_at) == ("maria", "It was private", LATER)
        assert redaction.named == {"atom_ids": [atom.pk]}
        assert redaction.touched["workstream.activity"] == 1
        assert redaction.touched["memory.atom"] == redaction.atom_count
        event = WorkEvent.all_orgs.get(event_name="memory.redacted")
        assert event.payload == {
            "redaction_id": redaction.pk,
            "target": "atom",
            "atoms": redaction.atom_count,
        }

    def test_former_versions_go_and_the_chain_stays_whole(self, org, note):
        atom = atom_with(note, "frozen")
        services.correct_atom(
            org=org,
            atom_id=atom.pk,
            content="The budget is open.",
            reason="The frozen one misheard",
            actor=CLERK,
            at=AT,
        )

        redact(org, atom=atom)

        assert rows_with("frozen") == {}
        assert rows_with("budget is open") == {}
        assert AtomVersion.all_orgs.filter(atom=atom).count() == 2
        assert broken_links(org, ledger_of(org), [atom.pk]) == []

    def test_vectors_cards_and_term_statistics_go(self, org, client, note):
        atom = atom_with(note, SECRET)
        AtomVectorFactory(org=org, atom=atom)
        services.card_of(org=org, entity_type="client", entity_id=client.pk, actor=CLERK, at=AT)
        MemoryCardFactory(org=org, client=ClientFactory(org=org))
        others = MemoryCard.all_orgs.exclude(client=client).count()

        redact(org, atom=atom)

        assert not AtomVector.all_orgs.filter(atom=atom).exists()
        assert not MemoryCard.all_orgs.filter(client=client).exists()
        assert MemoryCard.all_orgs.count() == others
        assert CardMark.all_orgs.filter(client=client).exists()

    def test_a_card_with_the_old_etag_is_sent_anew(self, org, client, note, as_manager):
        address = f"/api/memory/card?entity_type=client&entity_id={client.pk}"
        first = as_manager.get(address)
        assert SECRET in first.content.decode()

        redact(org, atom=atom_with(note, SECRET))
        again = as_manager.get(address, headers={"If-None-Match": first["ETag"]})

        assert again.status_code == 200
        assert SECRET not in again.content.decode()

    def test_copies_in_answers_emails_and_errors_go(self, org, client, note, as_manager):
        asked = {"kind": "note", "summary": "Visit", "body": NOTE}
        keyed = {"HTTP_IDEMPOTENCY_KEY": "once"}
        answer = as_manager.post(f"/api/clients/{client.pk}/notes", asked, **keyed)
        assert answer.status_code == 201, answer.content
        sentence = atom_with(note, SECRET).content
        OutgoingEmail.all_orgs.create(
            org=org,
            key="quote",
            to=["a@b.example"],
            subject="Note",
            body=f"He wrote:\n{sentence}",
            html=f"<p>{sentence}</p>",
        )
        event = WorkEvent.all_orgs.filter(item_type="activity", item_id=note.pk).order_by("pk")[0]
        HandlerFailure.all_orgs.create(
            org=org, event_id=event.pk, handler="x", attempt=1, error="ValueError: blue xyl", traceback="a blue xyl"
        )
        drain_all()

        redact(org, atom=atom_with(note, SECRET))

        assert rows_with(SECRET) == {}
        assert rows_with("blue xyl") == {}
        again = as_manager.post(f"/api/clients/{client.pk}/notes", asked, **keyed)
        assert again.status_code == 201
        assert again["Idempotency-Replayed"] == "true"
        assert again.json()["activity_id"] == answer.json()["activity_id"]

    def test_what_other_sources_say_the_same_goes_too(self, org, client, note):
        again = pipeline.log_activity(
            org=org,
            item_type="client",
            item_id=client.pk,
            kind="note",
            summary="Call",
            body="They prefer a blue xylophant.",
            actor=CLERK,
            at=AT,
        )
        drain_all()

        redact(org, atom=atom_with(note, SECRET))

        assert rows_with(SECRET) == {}
        again.refresh_from_db()
        assert SECRET not in again.body


class TestNothingBringsItBack:
    def test_replay_of_every_event(self, org, note):
        redact(org, atom=atom_with(note, SECRET))
        before = Atom.all_orgs.count(), AtomSource.all_orgs.count()

        for _ in range(3):
            captured(org)

        assert rows_with(SECRET) == {}
        assert (Atom.all_orgs.count(), AtomSource.all_orgs.count()) == before

    @pytest.mark.parametrize("verb", ["pin_atom", "restore_atom", "archive_atom", "correct_atom"])
    def test_no_verb_works_on_it(self, org, note, verb):
        atom = atom_with(note, SECRET)
        redact(org, atom=atom)
        more = {"content": "Again", "reason": "Because"} if verb == "correct_atom" else {}

        with nothing_changes(), pytest.raises((Conflict, InvalidTransition)):
            getattr(services, verb)(org=org, atom_id=atom.pk, actor=CLERK, at=LATER, **more)

    def test_the_same_email_again(self, org):
        first = pipeline.receive_mail(org=org, source=None, raw=MAIL, actor=CLERK, at=LATER)
        drain_all()

        redact(org, target=Target(source=("signal", first.signal_id)))
        assert rows_with(SECRET) == {}
        again = pipeline.receive_mail(org=org, source=None, raw=MAIL, actor=CLERK, at=LATER)
        drain_all()
        captured(org)

        assert (again.status, again.signal_id) == ("repeated", first.signal_id)
        assert rows_with(SECRET) == {}

    def test_again_is_the_same_redaction(self, org, note):
        atom = atom_with(note, SECRET)
        first = redact(org, atom=atom)

        with nothing_changes():
            assert redact(org, atom=atom, reason="Once more").pk == first.pk


class TestRedactMore:
    def test_all_about_an_entity_also_where_it_is_second(self, org):
        """What was said of a deal is visible from its client, and goes with it; what was said of others stays."""
        pursuit = open_pursuit(org)
        other = ClientFactory(org=org)
        for item_type, item_id in (("pursuit", pursuit.pk), ("client", other.pk)):
            word = SECRET if item_type == "pursuit" else "harmless"
            pipeline.log_activity(
                org=org,
                item_type=item_type,
                item_id=item_id,
                kind="note",
                summary=f"About the {word}",
                body=f"They prefer the {word} machine.",
                actor=CLERK,
                at=AT,
            )
        captured(org)
        client_of_deal = pursuit.client

        redaction = redact(org, target=Target(entity=("client", client_of_deal.pk)))

        assert redaction.target == "entity"
        assert redaction.named == {"entity_type": "client", "entity_id": client_of_deal.pk}
        assert rows_with(SECRET) == {}
        assert "memory_atom" in rows_with("harmless")
        linked = Atom.all_orgs.filter(links__client=client_of_deal)
        assert linked.exists()
        assert not linked.exclude(state=AtomState.REDACTED).exists()

    def test_what_a_source_says_goes_whole(self, org, note):
        redaction = redact(org, target=Target(source=("activity", note.pk)))

        note.refresh_from_db()
        assert (note.summary, note.body) == ("[redacted]", "")
        assert redaction.atom_count == len(Atom.all_orgs.filter(state=AtomState.REDACTED))
        for word in (SECRET, "frozen", "three machines"):
            assert rows_with(word) == {}

    def test_an_email_goes_with_its_bytes_and_what_quotes_it(self, org):
        mails = [MAIL, REPLY]
        first, _ = [pipeline.receive_mail(org=org, source=None, raw=raw, actor=CLERK, at=LATER) for raw in mails]
        captured(org)
        assert {"workstream_signalpayload", "workstream_signal", "workstream_mailthread"} <= set(rows_with(SECRET))

        redact(org, target=Target(source=("signal", first.signal_id)))

        assert rows_with(SECRET) == {}
        assert Signal.all_orgs.count() == 2


class TestRefusals:
    def test_a_representative_may_not(self, org, note, rep):
        atom = atom_with(note, SECRET)
        with nothing_changes(), pytest.raises(PermissionRefused):
            redact(org, atom=atom, actor=actor_of(rep))

    @pytest.mark.parametrize("reason", ["", "  ", "x" * 501])
    def test_it_needs_a_reason(self, org, note, reason):
        atom = atom_with(note, SECRET)
        with nothing_changes(), pytest.raises(InvalidInput):
            redact(org, atom=atom, reason=reason)

    def test_a_strangers_atom_does_not_exist(self, org, other_org, note):
        atom = atom_with(note, SECRET)
        with nothing_changes(), pytest.raises(NotFound):
            redact(other_org, atom=atom)

    def test_a_legal_hold_stands_in_the_way(self, org, client, note):
        atom = atom_with(note, SECRET)
        services.place_hold(org=org, entity_type="client", entity_id=client.pk, reason="A case", actor=CLERK, at=AT)
        with nothing_changes(), pytest.raises(Conflict, match="hold"):
            redact(org, atom=atom)

    def test_a_dry_run_counts_and_changes_nothing(self, org, note):
        atom = atom_with(note, SECRET)
        with nothing_changes():
            planned = redact(org, atom=atom, dry_run=True)
        assert isinstance(planned, DryRun)

        done = redact(org, atom=atom)

        assert planned.atom_count == done.atom_count
        assert planned.touched.items() <= done.touched.items()

    @pytest.mark.parametrize("target", [Target(), Target(atom_ids=(1,), entity=("client", 1))])
    def test_it_names_one_thing(self, org, target):
        with pytest.raises(InvalidInput):
            redact(org, target=target)

    def test_what_says_nothing_is_no_redaction(self, org, client):
        with nothing_changes(), pytest.raises(Conflict, match="nothing"):
            redact(org, target=Target(entity=("client", client.pk)))
