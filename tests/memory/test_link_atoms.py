"""What an atom is visible from, along the graph of entities, and what becomes of that when the graph changes."""

from __future__ import annotations

from datetime import timedelta

import pytest

from flowledger.clients import services as clients
from flowledger.tenancy.scope import org_scope
from memory.models import Atom, AtomLink, CardMark
from memory.services.linking import links_of, relink, thread_keys_of
from tests.factories import ClientFactory, ContactFactory
from tests.memory.capturing import atoms_of, captured, draft, links_of_atom, written
from tests.memory.factories import MailMessageFactory, MailThreadFactory
from tests.queries import counted_queries
from tests.workstream.factories import (
    AT,
    CLERK,
    CandidateFactory,
    EngagementFactory,
    ProposalFactory,
    PursuitFactory,
    SignalFactory,
    open_candidate,
    open_pursuit,
)
from workstream import services

pytestmark = pytest.mark.django_db

LATER = AT + timedelta(days=1)


def seen_from(org, entity):
    with org_scope(org):
        ((_, links),) = links_of(org, [(entity._meta.model_name.replace("mailthread", "thread"), entity.pk)]).items()
        return set(links)


@pytest.fixture
def deal(org):
    """A pursuit with everything around it."""
    client = ClientFactory(org=org)
    contact = ContactFactory(org=org, client=client)
    candidate = CandidateFactory(org=org, client=client, contact=contact)
    pursuit = PursuitFactory(org=org, candidate=candidate, client=client, contact=contact)
    around = {("client", client.pk, "through"), ("contact", contact.pk, "through")}
    return pursuit, around


class TestGraph:
    def test_a_client_is_seen_from_itself(self, org):
        client = ClientFactory(org=org)
        ContactFactory(org=org, client=client)
        assert seen_from(org, client) == {("client", client.pk, "subject")}

    def test_a_contact_from_its_client(self, org):
        client = ClientFactory(org=org)
        contact = ContactFactory(org=org, client=client)
        assert seen_from(org, contact) == {("contact", contact.pk, "subject"), ("client", client.pk, "through")}

    def test_a_pursuit_from_candidate_contact_and_client(self, org, deal):
        pursuit, around = deal
        candidate = ("candidate", pursuit.candidate_id)
        assert seen_from(org, pursuit) == around | {("pursuit", pursuit.pk, "subject"), (*candidate, "through")}
        own = {(*candidate, "subject"), ("pursuit", pursuit.pk, "through")}
        assert seen_from(org, pursuit.candidate) == around | own

    def test_proposals_and_engagements_from_all_of_their_pursuit(self, org, deal):
        pursuit, around = deal
        through = around | {("pursuit", pursuit.pk, "through"), ("candidate", pursuit.candidate_id, "through")}
        proposal = ProposalFactory(org=org, pursuit=pursuit)
        engagement = EngagementFactory(org=org, pursuit=pursuit, client=pursuit.client)
        assert seen_from(org, proposal) == through | {("proposal", proposal.pk, "subject")}
        assert seen_from(org, engagement) == through | {("engagement", engagement.pk, "subject")}

    def test_signals_and_conversations_from_what_they_led_to(self, org, deal):
        pursuit, around = deal
        signal = SignalFactory(org=org, client=pursuit.client, contact=pursuit.contact)
        thread = MailThreadFactory(org=org)
        MailMessageFactory(org=org, thread=thread, signal=signal)
        services.link_signal(org=org, signal_id=signal.pk, candidate_id=pursuit.candidate_id, actor=CLERK, at=AT)

        through = around | {("pursuit", pursuit.pk, "through"), ("candidate", pursuit.candidate_id, "through")}
        assert seen_from(org, signal) == through | {
            ("signal", signal.pk, "subject"),
            ("thread", thread.pk, "through"),
        }
        assert seen_from(org, thread) == through | {("thread", thread.pk, "subject")}

    def test_the_company_of_a_contact_stands_in_for_a_missing_one_only(self, org):
        employer, customer = ClientFactory(org=org), ClientFactory(org=org)
        consultant = ContactFactory(org=org, client=employer)
        alone = SignalFactory(org=org, contact=consultant, client=None)
        beside = SignalFactory(org=org, contact=consultant, client=customer)
        assert ("client", employer.pk, "through") in seen_from(org, alone)
        assert ("client", employer.pk, "through") not in seen_from(org, beside)
        assert ("client", customer.pk, "through") in seen_from(org, beside)

    def test_what_is_not_there_or_of_others_has_no_links(self, org, other_org):
        theirs = ClientFactory(org=other_org)
        with org_scope(org):
            assert links_of(org, [("client", theirs.pk), ("signal", 1), ("thread", 2)]) == {}

    def test_a_hundred_take_one_statement(self, org):
        signals = [("signal", SignalFactory(org=org).pk) for _ in range(100)]
        with org_scope(org), counted_queries() as statements:
            assert len(links_of(org, signals)) == 100
        assert len(statements) == 1

    def test_conversations_have_keys(self, org, deal):
        pursuit, _ = deal
        proposal = ProposalFactory(org=org, pursuit=pursuit)
        message = MailMessageFactory(org=org)
        loose = SignalFactory(org=org)
        asked = [
            ("pursuit", pursuit.pk),
            ("proposal", proposal.pk),
            ("signal", message.signal_id),
            ("signal", loose.pk),
        ]
        with org_scope(org):
            keys = thread_keys_of(org, asked)
        assert keys == {
            asked[0]: f"pursuit:{pursuit.pk}",
            asked[1]: f"pursuit:{pursuit.pk}",
            asked[2]: f"thread:{message.thread_id}",
            asked[3]: f"signal:{loose.pk}",
        }


class TestFollowing:
    """Atoms that are there already follow what happens to their entities."""

    def test_a_signal_that_is_linked_is_seen_from_its_candidate_and_pursuit(self, org):
        pursuit = open_pursuit(org)
        signal = SignalFactory(org=org)
        written(org, draft("They need a new line", signal))

        services.link_signal(org=org, signal_id=signal.pk, candidate_id=pursuit.candidate_id, actor=CLERK, at=LATER)
        captured(org)

        (atom,) = atoms_of(org, signal=signal)
        links = links_of_atom(atom)
        assert ("candidate", pursuit.candidate_id, "through") in links
        assert ("pursuit", pursuit.pk, "through") in links
        assert ("client", pursuit.client_id, "through") in links
        assert CardMark.all_orgs.filter(org=org, pursuit=pursuit).exists()

    def test_promotion_shows_all_that_led_to_it(self, org):
        candidate = open_candidate(org, status="triaged")
        signal = SignalFactory(org=org)
        services.link_signal(org=org, signal_id=signal.pk, candidate_id=candidate.pk, actor=CLERK, at=AT)
        written(org, draft("They need a new line", signal), draft("The plant is old", candidate))

        pursuit = services.promote_candidate(org=org, candidate_id=candidate.pk, actor=CLERK, at=LATER).pursuit
        captured(org)

        for atom in atoms_of(org, kind="note"):
            assert ("pursuit", pursuit.pk, "through") in links_of_atom(atom)

    def test_another_client_takes_the_former_ones_place(self, org):
        pursuit = open_pursuit(org)
        former, candidate_id = pursuit.client_id, pursuit.candidate_id
        other = ClientFactory(org=org)
        written(org, draft("The plant is old", pursuit.candidate), draft("They like it", pursuit))

        for_all = {"org": org, "fields": {"client": other}, "actor": CLERK, "at": LATER}
        services.update_pursuit(pursuit_id=pursuit.pk, **for_all)
        services.update_candidate(candidate_id=candidate_id, **for_all)
        captured(org)

        for atom in atoms_of(org, kind="note"):
            clients_of = {pk for kind, pk, _ in links_of_atom(atom) if kind == "client"}
            assert clients_of == {other.pk}
        assert CardMark.all_orgs.filter(org=org, client=former).exists()
        assert CardMark.all_orgs.filter(org=org, client=other).exists()

    def test_a_person_who_changes_jobs_takes_what_is_said_of_them_along(self, org):
        contact = ContactFactory(org=org, client=ClientFactory(org=org))
        other = ClientFactory(org=org)
        written(org, draft("Likes short messages", contact))
        clients.update_contact(org=org, contact_id=contact.pk, fields={"client": other}, actor=CLERK, at=LATER)
        captured(org)
        (atom,) = atoms_of(org, kind="note")
        assert links_of_atom(atom) == {("contact", contact.pk, "subject"), ("client", other.pk, "through")}

    def test_a_merge_and_its_undo(self, org):
        survivor, loser = ClientFactory(org=org), ClientFactory(org=org)
        candidate = CandidateFactory(org=org, client=loser)
        written(org, draft("The plant is old", candidate), draft("They are growing", loser))

        merge = clients.merge_clients(org=org, survivor_id=survivor.pk, loser_id=loser.pk, actor=CLERK, at=LATER)
        captured(org)
        of_candidate, of_client = atoms_of(org, sources__event_name="activity.logged")
        assert ("client", survivor.pk, "through") in links_of_atom(of_candidate)
        assert (of_client.client_id, of_client.thread_key) == (survivor.pk, f"client:{survivor.pk}")
        written(org, draft("And the roof leaks", candidate))

        clients.undo_merge(org=org, merge_id=merge.pk, actor=CLERK, at=LATER)
        captured(org)
        for atom in atoms_of(org, candidate=candidate):
            assert {pk for kind, pk, _ in links_of_atom(atom) if kind == "client"} == {loser.pk}
        with org_scope(org):
            of_client.refresh_from_db()
        assert (of_client.client_id, of_client.thread_key) == (loser.pk, f"client:{loser.pk}")

    def test_mentions_stay(self, org):
        client = ClientFactory(org=org)
        priya = ContactFactory(org=org, client=client, name="Priya Nair")
        candidate = CandidateFactory(org=org, client=client)
        written(org, draft("Priya Nair decides", candidate))
        services.update_candidate(
            org=org, candidate_id=candidate.pk, fields={"client": ClientFactory(org=org)}, actor=CLERK, at=LATER
        )
        captured(org)
        (atom,) = atoms_of(org, kind="note")
        assert ("contact", priya.pk, "mention") in links_of_atom(atom)
        assert ("client", client.pk, "through") not in links_of_atom(atom)

    def test_what_is_right_already_is_not_touched(self, org):
        pursuit = open_pursuit(org)
        written(org, draft("They like it", pursuit))
        with org_scope(org):
            before = set(AtomLink.objects.for_org(org).values_list("pk", "row_version"))
            CardMark.objects.for_org(org).delete()
            assert relink(org, [("pursuit", pursuit.pk)], at=LATER) == 0
            assert set(AtomLink.objects.for_org(org).values_list("pk", "row_version")) == before
            assert not CardMark.objects.for_org(org).exists()
            assert Atom.objects.for_org(org).get().thread_key == f"pursuit:{pursuit.pk}"
