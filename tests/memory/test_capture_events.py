"""What the pipeline does is remembered, in the words and by the rules of the organisation."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal

import pytest

from flowledger.clients import services as clients
from flowledger.configuration.services import set_value
from flowledger.errors import InvalidInput
from flowledger.outbox.models import WorkEvent
from flowledger.tenancy.actors import Actor, Role
from flowledger.tenancy.scope import org_scope
from memory.capture_rules import EVENTS, Capture, EventRule, fill
from memory.models import Atom
from memory.rules import CAPTURE
from tests.factories import ClientFactory, ContactFactory
from tests.memory.capturing import atoms_of, captured, events_to_capture, links_of_atom, open_deal, sources_of_atom
from tests.workstream.factories import AT, CLERK, complete_checklist, open_candidate
from workstream import services
from workstream.machines import PursuitStage
from workstream.models import ChecklistItem, Proposal, Task

pytestmark = pytest.mark.django_db

IMPORTER = Actor.importer()
DAY = timedelta(days=1)


@pytest.fixture
def client(org):
    return ClientFactory(org=org, name="Baltic Freight")


@pytest.fixture
def priya(org, client):
    fields = {"client": client, "name": "Priya Nair", "email": "priya@baltic.example"}
    return clients.create_contact(org=org, fields=fields, actor=CLERK, at=AT)


def said(org, event_name):
    """The kinds and sentences of the templates of an event."""
    return [
        (atom.kind, atom.content) for atom in atoms_of(org, sources__event_name=event_name, sources__source_field="")
    ]


def set_rule(org, **rules):
    admin = Actor(**{**CLERK.__dict__, "role": Role.ADMIN})
    set_value(org=org, rule_type="memory_rule", key="capture", value=rules, reason="A test", actor=admin, at=AT)


class TestSentences:
    def test_of_a_signal(self, org, client, priya):
        services.create_signal(
            org=org,
            fields={
                "source_type": "call",
                "snippet": "",
                "problem_phrase": "late deliveries",
                "contact_email": "priya@baltic.example",
            },
            actor=CLERK,
            at=AT,
        )
        captured(org)
        assert said(org, "signal.created") == [
            ("status", "New call signal from Priya Nair at Baltic Freight: late deliveries.")
        ]

    def test_of_a_candidates_way(self, org, client):
        fields = {"title": "Press line", "client": client, "one_liner_scope": "Replace two presses"}
        candidate = open_candidate(org, status="triaged", **fields)
        keys = {"org": org, "candidate_id": candidate.pk, "actor": CLERK, "at": AT}
        services.nurture_candidate(**keys)
        captured(org)
        services.hold_candidate(**keys, reason="Budget is decided in May", resume_at=AT + 30 * DAY)
        captured(org)
        services.archive_candidate(**keys, reason="They went with Contoso")
        captured(org)

        name = "The candidate Press line for Baltic Freight"
        assert said(org, "candidate.created") == [("status", f"{name} was opened: Replace two presses.")]
        assert said(org, "candidate.triaged") == [("status", f"{name} was triaged.")]
        assert said(org, "candidate.nurtured") == [("status", f"{name} was put into nurture.")]
        assert said(org, "candidate.held") == [
            ("status", f"{name} was put on hold until 2026-04-01: Budget is decided in May.")
        ]
        assert said(org, "candidate.archived") == [("decision", f"{name} was archived: They went with Contoso.")]

    def test_of_a_lost_pursuit(self, org, client, priya):
        pursuit = open_deal(
            org,
            stage=PursuitStage.SUBMIT,
            client=client,
            contact=priya,
            title="Press line",
            estimated_value=Decimal(120_000),
        )
        complete_checklist(pursuit, "red")
        reason = "Contoso was cheaper. The budget is frozen until next year."
        services.lose_pursuit(org=org, pursuit_id=pursuit.pk, reason=reason, actor=CLERK, at=AT + DAY)
        captured(org)

        worth = "worth 120,000.00 USD"
        name = "Press line for Baltic Freight"
        assert said(org, "candidate.promoted") == [
            ("decision", f"The candidate {name} was promoted to a pursuit, {worth}.")
        ]
        assert said(org, "pursuit.created") == [("status", f"The pursuit {name} was opened, {worth}.")]
        assert said(org, "pursuit.stage_changed") == [
            ("status", f"The pursuit {name} moved from Qualification to Pink review."),
            ("status", f"The pursuit {name} moved from Pink review to Red review."),
        ]
        assert said(org, "pursuit.submit") == [
            ("status", f"The pursuit Press line was submitted to the customer for Baltic Freight, {worth}.")
        ]
        assert said(org, "pursuit.lost") == [("decision", f"We lost {name}, {worth}: {reason}")]
        (risk,) = atoms_of(org, kind="risk")
        assert (risk.content, risk.pursuit_id) == ("The budget is frozen until next year.", pursuit.pk)
        assert ("contact", priya.pk, "through") in links_of_atom(risk)

    def test_of_a_won_one_and_its_engagement(self, org, client):
        pursuit = open_deal(org, stage=PursuitStage.WON, client=client, title="Press line")
        services.open_engagement(org=org, pursuit_id=pursuit.pk, actor=CLERK, at=AT)
        captured(org)
        ((kind, sentence),) = said(org, "pursuit.won")
        assert (kind, sentence) == (
            "decision",
            "We won Press line for Baltic Freight, worth 50,000.00 USD: They said so.",
        )
        assert said(org, "engagement.created") == [
            ("note", "The engagement Press line for Baltic Freight began, worth 50,000.00 USD.")
        ]

    def test_of_reviews(self, org, client):
        pursuit = open_deal(org, client=client, title="Press line")
        with org_scope(org):
            done, waived = ChecklistItem.objects.for_org(org).filter(pursuit=pursuit, kind="pink").order_by("pk")[:2]
        keys = {"org": org, "actor": CLERK, "at": AT}
        services.update_checklist_item(item_id=done.pk, is_done=True, evidence="The CFO confirmed 120k", **keys)
        services.waive_checklist_item(item_id=waived.pk, reason="They know what they want", **keys)
        captured(org)
        assert said(org, "checklist.item_done") == [
            ("status", "Budget confirmed of the pink review of Press line is done: The CFO confirmed 120k.")
        ]
        sentence = "Technical scope defined of the pink review of Press line was waived by tests"
        assert said(org, "gate.waived") == [("decision", f"{sentence}: They know what they want.")]

    def test_of_proposals(self, org, client, priya):
        pursuit = open_deal(org, client=client, contact=priya, title="Press line")
        with org_scope(org):
            proposal = Proposal.objects.for_org(org).get(pursuit=pursuit)
        keys = {"org": org, "proposal_id": proposal.pk, "actor": CLERK, "at": AT}
        services.send_proposal(**keys)
        services.sign_proposal(**keys)
        captured(org)

        name = "Version 1 of the proposal for Press line"
        assert said(org, "proposal.created") == [
            ("status", f"{name} for Baltic Freight was drafted, worth 50,000.00 USD.")
        ]
        assert said(org, "proposal.sent") == [
            ("decision", f"{name} was sent to Priya Nair for Baltic Freight, worth 50,000.00 USD.")
        ]
        assert said(org, "proposal.signed") == [
            ("decision", f"{name} for Baltic Freight was signed, worth 50,000.00 USD.")
        ]
        assert {atom.proposal_id for atom in atoms_of(org, sources__event_name="proposal.sent")} == {proposal.pk}

    def test_of_tasks(self, org, client):
        task = services.create_task(
            org=org, item_type="client", item_id=client.pk, title="Send the plan", actor=CLERK, at=AT
        )
        services.complete_task(org=org, task_id=task.pk, actor=CLERK, at=AT)
        captured(org)
        assert said(org, "task.created") == []
        assert said(org, "task.done") == [("status", "Done: Send the plan.")]
        assert Task.all_orgs.get(pk=task.pk).done_at == AT

    def test_of_people_and_companies(self, org, client, priya):
        other = ContactFactory(org=org, client=client, name="P. Nair")
        clients.merge_contacts(org=org, survivor_id=priya.pk, loser_id=other.pk, actor=CLERK, at=AT)
        double = ClientFactory(org=org, name="Baltic Freight Ltd")
        clients.merge_clients(org=org, survivor_id=client.pk, loser_id=double.pk, actor=CLERK, at=AT)
        captured(org)
        assert said(org, "contact.merged") == [
            ("note", "Priya Nair at Baltic Freight and P. Nair were found to be one person.")
        ]
        assert said(org, "client.merged") == [
            ("note", "Baltic Freight and Baltic Freight Ltd were found to be one company.")
        ]

    def test_each_time_of_what_happens_again(self, org):
        pursuit = open_deal(org, stage=PursuitStage.RED)
        keys = {"org": org, "pursuit_id": pursuit.pk, "actor": CLERK}
        services.move_pursuit(stage="pink", at=AT + DAY, **keys)
        services.move_pursuit(stage="red", at=AT + 2 * DAY, **keys)
        captured(org)
        moves = atoms_of(org, sources__event_name="pursuit.stage_changed")
        by_sentence = {atom.content.partition(" moved ")[2]: atom.seen_count for atom in moves}
        assert by_sentence == {
            "from Qualification to Pink review.": 1,
            "from Pink review to Red review.": 2,
            "from Red review to Pink review.": 1,
        }


class TestRules:
    def test_every_event_that_memory_knows_is_in_the_catalogue_and_has_its_fields(self):
        from flowledger.outbox.events import event_type

        for name, facts in EVENTS.items():
            assert facts.id_field in event_type(name).schema()["properties"], name
        assert [name for name, _ in Capture().rules()] == list(EVENTS)

    def test_an_organisation_tells_in_its_own_words(self, org, other_org):
        set_rule(
            org,
            pursuit_created={"kind": "note", "template": "{{title}} läuft{{ for_client }}", "entity": "client"},
        )
        for where in (org, other_org):
            open_deal(where, title="Press line", client=ClientFactory(org=where, name="Weber"))
            captured(where)
        assert said(org, "pursuit.created") == [("note", "Press line läuft for Weber.")]
        (atom,) = atoms_of(org, sources__event_name="pursuit.created")
        assert atom.client_id is not None
        ((_, theirs),) = said(other_org, "pursuit.created")
        assert theirs.startswith("The pursuit Press line for Weber was opened")

    def test_what_is_switched_off_is_not_remembered(self, org):
        set_rule(org, **{name: {"is_on": False} for name in Capture.model_fields if name != "imported_status"})
        open_deal(org, stage=PursuitStage.LOST)
        captured(org)
        assert atoms_of(org) == []

    def test_only_for_managers_where_the_rule_says_so(self, org):
        set_rule(org, pursuit_created={"template": "{{ title }} was opened", "audience": "managers"})
        open_deal(org)
        captured(org)
        assert {atom.audience for atom in atoms_of(org, sources__event_name="pursuit.created")} == {"managers"}

    @pytest.mark.parametrize(
        ("rules", "sentence"),
        [
            (
                {"pursuit_lost": {"template": "{{ titel }} is gone"}},
                "pursuit.lost has no titel to tell; it has: because",
            ),
            ({"pursuit_lost": {"template": "Lost", "entity": "signal"}}, "can be about: pursuit, client."),
            ({"pursuit_lost": {}}, "has no template and reads nothing"),
            ({"task_done": {"reads": "everything"}}, "task.done has no text to read."),
            ({"pursuit_losst": {}}, "Extra inputs are not permitted"),
            ({"pursuit_lost": {"template": "Lost", "kind": "rumour"}}, "Input should be"),
        ],
    )
    def test_a_rule_that_cannot_be_followed_is_refused_with_what_can(self, org, rules, sentence):
        with pytest.raises(InvalidInput) as refusal:
            CAPTURE.parse(rules)
        assert sentence in str(refusal.value.details)
        with pytest.raises(InvalidInput):
            set_rule(org, **rules)

    def test_values_cannot_smuggle_slots_in(self):
        assert fill("{{ title }}{{ because }}", {"title": "{{ because }}", "because": ": no"}) == "{{ because }}: no."
        assert EventRule(template="x").kind == "status"


class TestImports:
    def test_history_brings_what_was_decided_and_no_noise(self, org, client):
        pursuit = open_deal(org, stage=PursuitStage.LOST, client=client, actor=IMPORTER)
        services.log_activity(
            org=org,
            item_type="pursuit",
            item_id=pursuit.pk,
            kind="note",
            summary="They prefer a fixed price",
            actor=IMPORTER,
            at=AT,
        )
        captured(org)

        kinds = {atom.kind for atom in atoms_of(org)}
        assert "status" not in kinds
        assert {"decision", "preference"} <= kinds
        for atom in atoms_of(org, sources__event_name="pursuit.lost"):
            assert ("client", client.pk, "through") in links_of_atom(atom)
        events = WorkEvent.all_orgs.filter(org=org, event_name="memory.atom.created")
        assert set(events.values_list("origin", flat=True)) == {"import"}

    def test_unless_the_organisation_wants_it(self, org):
        set_rule(org, imported_status=True)
        open_deal(org, actor=IMPORTER)
        captured(org)
        assert said(org, "pursuit.created") != []


class TestCauses:
    def test_events_of_atoms_follow_from_what_was_captured(self, org, rep):
        actor = Actor.for_membership(rep, origin="user")
        signal = services.create_signal(
            org=org, fields={"source_type": "note", "snippet": "They prefer email"}, actor=actor, at=AT
        ).signal
        captured(org)
        (cause,) = [
            event
            for event in events_to_capture(org)
            if event.item_id == signal.pk and event.event_name == "signal.created"
        ]
        told = WorkEvent.all_orgs.filter(org=org, event_name="memory.atom.created", causation_id=cause.pk)
        atoms = atoms_of(org, signal=signal)
        assert {event.payload["atom_id"] for event in told} == {atom.pk for atom in atoms} != set()
        for atom in atoms:
            assert atom.author_id == rep.user_id
            (source,) = sources_of_atom(atom)
            assert (source.actor_kind, source.actor_id, source.event_id) == ("user", rep.user_id, cause.pk)

    def test_what_is_gone_is_passed_over(self, org, client):
        activity = services.log_activity(
            org=org, item_type="client", item_id=client.pk, kind="note", summary="They are growing", actor=CLERK, at=AT
        )
        events = events_to_capture(org)
        with org_scope(org):
            activity.delete()
        captured(org, events)
        assert Atom.all_orgs.filter(org=org).count() == 0

    def test_memorys_own_events_are_never_captured(self):
        from flowledger.outbox.registry import handlers

        (mine,) = [each for each in handlers() if each.name == "memory.capture"]
        assert not [name for name in mine.event_names if name.startswith("memory.")]
