"""What a person knows is remembered as they wrote it, with them as its source."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from flowledger.errors import InvalidInput, NotFound, PermissionRefused
from flowledger.outbox.models import WorkEvent
from flowledger.tenancy.actors import Role
from memory import services
from memory.models import Atom, AtomLink, AtomSource, CardMark, MemoryLedger
from memory.services.ledger import hash_text, ledger_of
from tests.factories import ClientFactory, ContactFactory
from tests.memory.factories import AtomFactory
from tests.workstream.conftest import actor_of
from tests.workstream.factories import AT, CLERK, open_pursuit
from tests.workstream.trail import nothing_changes

DAY = timedelta(days=1)
EMAIL = "Prefers email over calls."


def write(entity: Any, name: str = "client", *, actor: Any = CLERK, **more: Any) -> services.Remembered:
    keys: dict[str, Any] = {"org": entity.org, "entity_type": name, "entity_id": entity.pk, "actor": actor, "at": AT}
    return services.write_atom(**keys, **{"kind": "preference", "content": EMAIL, **more})


@pytest.mark.django_db
class TestWrite:
    def test_keeps_what_was_written_and_by_whom(self, org, rep):
        contact = ContactFactory(org=org, client=ClientFactory(org=org))

        made = write(contact, "contact", actor=actor_of(rep), content=f" {EMAIL} ", tags=["channel ", "", "channel"])

        assert made.created
        atom = Atom.all_orgs.get(pk=made.atom.pk)
        assert (atom.contact_id, atom.kind, atom.content, atom.tags) == (contact.pk, "preference", EMAIL, ["channel"])
        assert (atom.audience, atom.author_id, atom.base_score, atom.confidence) == ("everyone", rep.user_id, 80, 1)
        assert atom.occurred_at == atom.valid_from == atom.last_seen_at == AT
        assert (atom.expires_at, atom.valid_until) == (AT + 365 * DAY, None)
        assert (atom.state, atom.version, atom.language) == ("active", 1, "en")
        assert atom.content_hash == hash_text(ledger_of(org), EMAIL)
        (source,) = AtomSource.all_orgs.filter(atom=atom)
        assert (source.source_type, source.source_id, source.extractor) == ("manual", rep.user_id, "hand")
        assert (source.actor_kind, source.actor_id, source.actor_label) == ("user", rep.user_id, "rita")
        (event,) = WorkEvent.all_orgs.filter(org=org, event_name="memory.atom.created")
        assert event.payload == {
            "atom_id": atom.pk,
            "kind": "preference",
            "entity_type": "contact",
            "entity_id": contact.pk,
        }

    def test_is_visible_from_what_the_entity_belongs_to(self, org):
        pursuit = open_pursuit(org)
        CardMark.all_orgs.all().delete()
        made = write(pursuit, "pursuit")
        links = AtomLink.all_orgs.filter(atom=made.atom)
        found = {(link.entity_type, link.entity_id, link.role) for link in links}
        assert found == {
            ("pursuit", pursuit.pk, "subject"),
            ("candidate", pursuit.candidate_id, "through"),
            ("client", pursuit.client_id, "through"),
        }
        marked = {(mark.entity_type, mark.entity_id) for mark in CardMark.all_orgs.all()}
        assert marked == {(name, pk) for name, pk, _ in found}

    def test_what_is_known_is_confirmed_and_not_doubled(self, org, rep, colleague):
        client = ClientFactory(org=org)
        first = write(client, actor=actor_of(rep))
        again = write(client, actor=actor_of(colleague), content="prefers e-mail over calls")
        same = write(client, actor=actor_of(colleague), content="PREFERS EMAIL, over calls!")
        assert (again.created, same.created) == (True, False)
        assert same.atom.pk == first.atom.pk
        assert Atom.all_orgs.get(pk=first.atom.pk).seen_count == 2
        assert AtomSource.all_orgs.filter(atom=first.atom).count() == 2

    def test_never_across_entities(self, org):
        one, other = ClientFactory(org=org), ClientFactory(org=org)
        assert [write(client).created for client in (one, other)] == [True, True]

    @pytest.mark.parametrize("audience", ["managers", "author"])
    def test_what_only_some_may_read_is_not_answered_to_others(self, org, rep, manager, audience):
        client = ClientFactory(org=org)
        hidden = write(client, actor=actor_of(manager), audience=audience)
        told = write(client, actor=actor_of(rep))
        assert told.created
        assert told.atom.pk != hidden.atom.pk

    def test_what_happened_earlier_expires_earlier(self, org):
        made = write(ClientFactory(org=org), occurred_at=AT - 30 * DAY, valid_until=AT + 9 * DAY)
        assert (made.atom.valid_from, made.atom.expires_at) == (AT - 30 * DAY, AT + 9 * DAY)

    @pytest.mark.parametrize(
        ("given", "field"),
        [
            ({"content": " \n"}, "content"),
            ({"content": "x" * 5_001}, "content"),
            ({"content": "nul \x00"}, "content"),
            ({"kind": "rumour"}, "atom_type"),
            ({"audience": "nobody"}, "audience"),
            ({"audience": "author"}, "audience"),
            ({"tags": [str(number) for number in range(21)]}, "tags"),
            ({"tags": ["x" * 51]}, "tags"),
            ({"occurred_at": AT + DAY}, "occurred_at"),
            ({"valid_until": AT}, "valid_until"),
            ({"valid_from": AT + DAY, "valid_until": AT + DAY}, "valid_until"),
        ],
    )
    def test_says_what_is_wrong_and_keeps_nothing(self, org, given, field):
        client = ClientFactory(org=org)
        with nothing_changes(apart_from=(MemoryLedger,)), pytest.raises(InvalidInput) as refused:
            write(client, **given)
        assert list(refused.value.details["fields"]) == [field]

    def test_only_managers_write_for_managers(self, org, rep, manager):
        client = ClientFactory(org=org)
        with nothing_changes(), pytest.raises(PermissionRefused):
            write(client, actor=actor_of(rep), audience="managers")
        assert write(client, actor=actor_of(manager), audience="managers").atom.audience == "managers"

    def test_is_refused_to_a_viewer(self, org, viewer):
        client = ClientFactory(org=org)
        with nothing_changes(), pytest.raises(PermissionRefused):
            write(client, actor=actor_of(viewer))

    def test_refuses_what_is_not_there(self, org, other_org):
        theirs = ClientFactory(org=other_org)
        keys: dict[str, Any] = {"kind": "note", "content": EMAIL, "actor": CLERK, "at": AT}
        with nothing_changes(), pytest.raises(NotFound):
            services.write_atom(org=org, entity_type="client", entity_id=theirs.pk, **keys)
        with nothing_changes(), pytest.raises(InvalidInput, match="one of client"):
            services.write_atom(org=org, entity_type="invoice", entity_id=1, **keys)

    def test_what_was_redacted_may_be_said_anew_and_brings_nothing_back(self, org):
        client = ClientFactory(org=org)
        gone = AtomFactory(
            org=org,
            client=client,
            kind="preference",
            state="redacted",
            content="",
            redacted_at=AT,
            content_hash=hash_text(ledger_of(org), EMAIL),
        )
        made = write(client)
        assert made.created
        assert Atom.all_orgs.get(pk=gone.pk).content == ""


@pytest.mark.django_db
def test_a_key_of_an_administrator_has_nothing_to_itself(org, key_for):
    from flowledger.tenancy.actors import Actor

    key, _ = key_for(org, "memory:write", role=Role.ADMIN)
    with pytest.raises(InvalidInput, match="Only a person"):
        write(ClientFactory(org=org), actor=Actor.for_api_key(key), audience="author")
