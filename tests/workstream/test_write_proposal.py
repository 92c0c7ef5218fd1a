"""Versions of a proposal: drafted from the template, numbered without gaps, frozen once sent."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal
from functools import partial
from typing import Any

import pytest
from django.db import DatabaseError, connection, transaction

from flowledger.errors import Conflict, InvalidInput, InvalidTransition, NotFound, PermissionRefused
from flowledger.outbox.models import OutgoingEmail
from flowledger.tenancy.actors import Role
from flowledger.tenancy.scope import system_scope
from tests.client import ApiClient, bearer
from tests.workstream.conftest import actor_of
from tests.workstream.factories import AT, CLERK, SolutionFactory, open_candidate, open_pursuit
from tests.workstream.trail import at_once, events_of, newest_event, nothing_changes
from workstream import rendering, services
from workstream.machines import ProposalStatus, PursuitStage
from workstream.models import Activity, Proposal, Pursuit, Task

LATER = AT + timedelta(hours=1)


def draft(pursuit: Pursuit, **fields: Any) -> Proposal:
    return services.create_proposal(org=pursuit.org, pursuit_id=pursuit.pk, fields=fields, actor=CLERK, at=LATER)


def act(verb: str, proposal: Proposal, **more: Any) -> Proposal:
    service = getattr(services, f"{verb}_proposal")
    answer: Proposal = service(**{"org": proposal.org, "proposal_id": proposal.pk, "actor": CLERK, "at": LATER, **more})
    return answer


def versions(pursuit: Pursuit) -> list[tuple[int, str]]:
    return list(Proposal.all_orgs.filter(pursuit=pursuit).order_by("version").values_list("version", "status"))


def proposal_in(org: Any, status: str, **fields: Any) -> Proposal:
    """Version 1 of a new pursuit, brought into the state by its verbs."""
    proposal: Proposal = open_pursuit(org, **fields).proposals.get()
    if status in {"sent", "signed"}:
        act("send", proposal)
    if status == "signed":
        act("sign", proposal)
    if status == "void":
        act("void", proposal)
    return Proposal.all_orgs.get(pk=proposal.pk)


@pytest.mark.django_db
class TestFirstVersion:
    def test_is_rendered_from_the_default_template(self, org, rep):
        rep.user.first_name, rep.user.last_name = "Rita", "Moreno"
        rep.user.save()
        pursuit = open_pursuit(
            org,
            owner=rep.user,
            with_email="ann@acme.example",
            one_liner_scope="Two new press lines",
            solution=SolutionFactory(org=org, name="Press retrofit"),
            estimated_value=Decimal("72000"),
        )
        proposal = pursuit.proposals.get()

        assert (proposal.version, proposal.status, proposal.amount) == (1, "draft", Decimal(72000))
        assert proposal.title == f"Proposal for {pursuit.client.name}: Press line"
        for text in ("Two new press lines", "Press retrofit", "72,000.00 USD", "Rita Moreno", "2026-03-06", org.name):
            assert text in proposal.body
        assert f", for {pursuit.contact.name}," in proposal.body
        assert "{{" not in proposal.body

    def test_is_never_blank_however_little_is_known(self, org):
        candidate = services.create_candidate(org=org, fields={"title": "Nobody's"}, actor=CLERK, at=AT)
        services.triage_candidate(org=org, candidate_id=candidate.pk, actor=CLERK, at=AT)
        pursuit = services.promote_candidate(org=org, candidate_id=candidate.pk, actor=CLERK, at=AT).pursuit
        proposal = draft(pursuit)

        assert proposal.title == "Proposal for Nobody's: Nobody's"
        assert "None" not in proposal.body
        assert "{{" not in proposal.body

    def test_comes_from_the_newest_template(self, org):
        for title in ("Old offer", "Offer to {{ client_name }}"):
            services.publish_proposal_template(org=org, title=title, body="For {{pursuit_title}}.", actor=CLERK, at=AT)
        pursuit = open_pursuit(org, title="Crane {{ amount }}")
        proposal = pursuit.proposals.get()

        assert proposal.title == f"Offer to {pursuit.client.name}"
        # What a value says is never read as a variable.
        assert proposal.body == "For Crane {{ amount }}."

    def test_is_drafted_once(self, org):
        pursuit = open_pursuit(org)
        with nothing_changes():
            again = services.ensure_first_proposal(org=org, pursuit_id=pursuit.pk, actor=CLERK, at=LATER)
        assert again is None


@pytest.mark.django_db
class TestTemplate:
    def test_an_unknown_variable_is_refused_when_saved(self, org):
        with nothing_changes(), pytest.raises(InvalidInput) as refusal:
            services.publish_proposal_template(
                org=org, title="For {{ client_name }}", body="{{ colour }} {{ smell }}", actor=CLERK, at=AT
            )
        assert list(refusal.value.details["fields"]) == ["body"]
        assert "colour, smell" in refusal.value.message

    @pytest.mark.parametrize("field", ["title", "body"])
    def test_a_blank_text_is_refused(self, org, field):
        texts = {"title": "Offer", "body": "Text", field: "  "}
        with nothing_changes(), pytest.raises(InvalidInput):
            services.publish_proposal_template(org=org, **texts, actor=CLERK, at=AT)

    def test_every_documented_variable_has_a_value(self, org):
        pursuit = open_pursuit(org)
        values = rendering.proposal_values(pursuit, org=org, at=AT, response_hours=96)
        assert set(values) == set(rendering.PROPOSAL_VARIABLES)

    def test_over_rest(self, org, as_manager, as_rep):
        body = {"title": "Offer to {{ client_name }}", "body": "Text"}
        with nothing_changes():
            assert as_rep.post("/api/proposal-templates", body).status_code == 403
            refused = as_manager.post("/api/proposal-templates", {**body, "title": "{{ colour }}"})
        assert (refused.status_code, list(refused.json()["fields"])) == (400, ["title"])
        answer = as_manager.post("/api/proposal-templates", body)
        assert (answer.status_code, answer.json()["version"]) == (201, 1)
        template_id = answer.json()["proposal_template_id"]
        assert as_rep.get(f"/api/proposal-templates/{template_id}").json() == answer.json()


@pytest.mark.django_db
class TestNextVersion:
    def test_continues_from_the_one_before_and_voids_its_draft(self, org):
        pursuit = open_pursuit(org)
        first = pursuit.proposals.get()
        second = draft(pursuit, title="With crane")

        assert (second.version, second.title, second.body, second.amount) == (
            2,
            "With crane",
            first.body,
            first.amount,
        )
        assert versions(pursuit) == [(1, "void"), (2, "draft")]
        assert Proposal.all_orgs.get(pk=first.pk).voided_at == LATER
        assert events_of(second) == ["proposal.created"]
        assert newest_event(org, "proposal.created").payload == {
            "proposal_id": second.pk,
            "pursuit_id": pursuit.pk,
            "version": 2,
        }

    def test_leaves_a_sent_version_as_it_is(self, org):
        proposal = proposal_in(org, "sent")
        draft(proposal.pursuit)
        assert versions(proposal.pursuit) == [(1, "sent"), (2, "draft")]

    def test_numbers_go_on_after_a_withdrawn_version(self, org):
        proposal = proposal_in(org, "void")
        assert draft(proposal.pursuit).version == 2

    @pytest.mark.parametrize("stage", [PursuitStage.WON, PursuitStage.LOST])
    def test_a_closed_pursuit_takes_none(self, org, stage):
        pursuit = open_pursuit(org, stage=stage)
        with nothing_changes(), pytest.raises(Conflict, match="closed"):
            draft(pursuit)

    @pytest.mark.parametrize("fields", [{"title": " "}, {"body": ""}, {"version": 9}, {"status": "sent"}])
    def test_what_does_not_fit_is_refused(self, org, fields):
        pursuit = open_pursuit(org)
        with nothing_changes(), pytest.raises(InvalidInput) as refusal:
            draft(pursuit, **fields)
        assert list(refusal.value.details["fields"]) == list(fields)

    def test_somebody_elses_pursuit_is_refused(self, org, rep, colleague):
        pursuit = open_pursuit(org, owner=colleague.user)
        with nothing_changes(), pytest.raises(PermissionRefused):
            services.create_proposal(org=org, pursuit_id=pursuit.pk, fields={}, actor=actor_of(rep), at=LATER)


@pytest.mark.django_db(transaction=True)
@pytest.mark.usefixtures("transactional_db")
class TestConcurrentVersions:
    def test_two_get_versions_one_and_two(self, org, member_of):
        candidate = open_candidate(org, status="triaged")
        pursuit = services.promote_candidate(org=org, candidate_id=candidate.pk, actor=CLERK, at=AT).pursuit
        client = ApiClient(bearer(member_of(org, Role.MANAGER)))
        answers = at_once(*[partial(client.post, f"/api/pursuits/{pursuit.pk}/proposals", {})] * 2)

        assert sorted((answer.status_code, answer.json()["version"]) for answer in answers) == [(201, 1), (201, 2)]
        with system_scope("tests"):
            assert versions(pursuit) == [(1, "void"), (2, "draft")]


@pytest.mark.django_db
class TestSend:
    def test_freezes_emails_the_contact_and_asks_for_the_answer(self, org, rep):
        pursuit = open_pursuit(org, owner=rep.user, with_email="ann@acme.example")
        proposal = act("send", pursuit.proposals.get(), actor=actor_of(rep))

        stored = Proposal.all_orgs.get(pk=proposal.pk)
        assert (stored.status, stored.sent_at, stored.delivery) == ("sent", LATER, "email")
        assert stored.recipients == ["ann@acme.example"]
        assert events_of(stored) == ["proposal.created", "proposal.sent"]
        assert newest_event(org, "proposal.sent").payload["by_email"] is True
        email = OutgoingEmail.all_orgs.get(org=org)
        assert (email.to, email.subject, email.reply_to) == (
            ["ann@acme.example"],
            stored.title,
            ["rita@harbour.example"],
        )
        assert stored.body in email.body
        assert "<h1>Press line</h1>" in email.html
        (follow_up,) = Task.all_orgs.filter(pursuit=pursuit)
        assert (follow_up.due_at, follow_up.assignee_id) == (LATER + timedelta(hours=96), rep.user_id)
        assert follow_up.created_by_rule == "proposal sent"
        activity = Activity.all_orgs.get(pursuit=pursuit)
        assert (activity.kind, activity.direction) == ("email", "outbound")
        assert Pursuit.all_orgs.get(pk=pursuit.pk).last_touch_at == LATER

    def test_without_an_address_a_task_asks_for_the_delivery(self, org, rep):
        pursuit = open_pursuit(org, owner=rep.user)
        proposal = act("send", pursuit.proposals.get())

        assert (proposal.status, proposal.delivery, proposal.recipients) == ("sent", "without_email", [])
        assert newest_event(org, "proposal.sent").payload["by_email"] is False
        assert not OutgoingEmail.all_orgs.filter(org=org).exists()
        tasks = Task.all_orgs.filter(pursuit=pursuit).order_by("due_at")
        assert [task.created_by_rule for task in tasks] == ["proposal sent without email", "proposal sent"]
        assert {task.assignee_id for task in tasks} == {rep.user_id}

    @pytest.mark.parametrize("status", ["sent", "signed", "void"])
    def test_is_refused_unless_a_draft(self, org, status):
        proposal = proposal_in(org, status)
        with nothing_changes(), pytest.raises(InvalidTransition):
            act("send", proposal)

    def test_a_closed_pursuits_draft_is_not_sent(self, org):
        pursuit = open_pursuit(org, stage=PursuitStage.WON)
        with nothing_changes(), pytest.raises(Conflict, match="closed"):
            act("send", pursuit.proposals.get())

    def test_somebody_elses_is_refused(self, org, rep, colleague):
        proposal = proposal_in(org, "draft", owner=colleague.user)
        with nothing_changes(), pytest.raises(PermissionRefused):
            act("send", proposal, actor=actor_of(rep))

    def test_a_strangers_does_not_exist(self, org, other_org):
        proposal = proposal_in(other_org, "draft")
        with nothing_changes(), pytest.raises(NotFound):
            act("send", proposal, org=org)


@pytest.mark.django_db
class TestKept:
    @pytest.mark.parametrize("status", ["sent", "signed", "void"])
    def test_what_is_no_draft_cannot_be_edited(self, org, status):
        proposal = proposal_in(org, status)
        with nothing_changes(), pytest.raises(Conflict, match="next version"):
            act("update", proposal, fields={"title": "Rewritten"})

    @pytest.mark.parametrize(
        "change",
        [
            "title = 'x'",
            "body = 'x'",
            "amount = 1",
            "currency = 'XXX'",
            "version = 9",
            "sent_at = now()",
            "recipients = '{x}'",
        ],
    )
    def test_the_database_refuses_to_change_what_was_sent(self, org, change):
        proposal = proposal_in(org, "sent")
        with nothing_changes(), pytest.raises(DatabaseError, match="was sent and cannot change"):
            _execute(f"UPDATE workstream_proposal SET {change} WHERE id = %s", proposal.pk)

    def test_a_draft_can_be_edited(self, org):
        proposal = proposal_in(org, "draft")
        act("update", proposal, fields={"title": "Better", "amount": Decimal("1.50")})

        stored = Proposal.all_orgs.get(pk=proposal.pk)
        assert (stored.title, stored.amount, stored.version) == ("Better", Decimal("1.50"), 1)


def _execute(statement: str, *params: Any) -> None:
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(statement, params)


@pytest.mark.django_db
class TestSignAndVoid:
    LEGAL = {"sign": ("signed", {"sent"}), "void": ("void", {"draft", "sent"})}

    @pytest.mark.parametrize("status", ProposalStatus.values)
    @pytest.mark.parametrize("verb", LEGAL)
    def test_from_its_states_only(self, org, verb, status):
        target, sources = self.LEGAL[verb]
        proposal = proposal_in(org, status)
        if status in sources:
            act(verb, proposal)
            assert Proposal.all_orgs.get(pk=proposal.pk).status == target
        else:
            with nothing_changes(), pytest.raises(InvalidTransition):
                act(verb, proposal)

    def test_a_signature_is_dated_with_one_event(self, org):
        proposal = proposal_in(org, "sent")
        act("sign", proposal, at=LATER + timedelta(days=1))

        assert Proposal.all_orgs.get(pk=proposal.pk).signed_at == LATER + timedelta(days=1)
        assert events_of(proposal)[-1] == "proposal.signed"


@pytest.mark.django_db
class TestOverRest:
    def test_the_life_of_a_proposal(self, org, rep, as_rep):
        pursuit = open_pursuit(org, owner=rep.user, with_email="ann@acme.example")
        path = f"/api/pursuits/{pursuit.pk}/proposals"
        created = as_rep.post(path, {"title": "With crane", "amount": "1200.50"})

        assert created.status_code == 201
        proposal = created.json()
        assert (proposal["version"], proposal["status"], proposal["amount"]) == (2, "draft", "1200.50")
        assert [row["version"] for row in as_rep.get(path).json()["data"]] == [2, 1]
        own = f"/api/proposals/{proposal['proposal_id']}"
        edited = as_rep.patch(own, {"body": "# New"}, content_type="application/json")
        assert (edited.status_code, edited.json()["body"]) == (200, "# New")
        sent = as_rep.post(f"{own}/send")
        assert (sent.status_code, sent.json()["status"]) == (200, "sent")
        assert (sent.json()["recipients"], sent.json()["delivery"]) == (["ann@acme.example"], "email")
        with nothing_changes():
            frozen = as_rep.patch(own, {"body": "# Other"}, content_type="application/json")
            again = as_rep.post(f"{own}/send")
        assert (frozen.status_code, frozen.json()["code"]) == (409, "conflict")
        assert (again.status_code, again.json()["allowed_transitions"]) == (422, ["signed", "void"])
        assert as_rep.post(f"{own}/sign").json()["status"] == "signed"
        assert [row["version"] for row in as_rep.get("/api/proposals?status=signed").json()["data"]] == [2]

    def test_void(self, org, rep, as_rep):
        proposal = proposal_in(org, "draft", owner=rep.user)
        answer = as_rep.post(f"/api/proposals/{proposal.pk}/void")
        assert (answer.status_code, answer.json()["status"]) == (200, "void")

    @pytest.mark.parametrize(
        "body", [{"title": ""}, {"amount": "-1"}, {"currency": "euro"}, {"status": "sent"}, {"version": 7}]
    )
    def test_what_does_not_fit_is_refused(self, org, as_rep, body):
        proposal = proposal_in(org, "draft")
        with nothing_changes():
            edited = as_rep.patch(f"/api/proposals/{proposal.pk}", body, content_type="application/json")
            created = as_rep.post(f"/api/pursuits/{proposal.pursuit_id}/proposals", body)
        for answer in (edited, created):
            assert (answer.status_code, list(answer.json()["fields"])) == (400, list(body))

    @pytest.mark.parametrize("verb", ["send", "sign", "void"])
    def test_who_may_not_and_who_cannot_see(self, org, colleague, as_rep, as_viewer, as_stranger, verb):
        proposal = proposal_in(org, "draft", owner=colleague.user)
        with nothing_changes():
            answers = [
                client.post(f"/api/proposals/{proposal.pk}/{verb}").status_code
                for client in (as_viewer, as_rep, as_stranger)
            ]
        assert answers == [403, 403, 404]


@pytest.mark.django_db
class TestPrintablePage:
    def test_shows_the_version_without_running_what_it_says(self, org):
        pursuit = open_pursuit(org)
        body = "# Offer\n\n<script>alert(1)</script> [here](javascript:alert(2))\n\n| a | b |\n|---|---|\n| 1 | 2 |"
        page = rendering.printable_page(draft(pursuit, body=body), org=org)

        assert "<h1>Offer</h1>" in page
        assert "<table>" in page
        assert "<script>alert" not in page
        assert 'href="javascript' not in page
        assert "50,000.00 USD" in page
