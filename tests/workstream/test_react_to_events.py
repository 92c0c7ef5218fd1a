"""What the pipeline does about its own events, once per event however often it is handed over."""

from __future__ import annotations

import json
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest

from flowledger.outbox.drain import drain_all
from flowledger.outbox.models import OutgoingEmail, WorkEvent
from flowledger.outbox.registry import Delivery, handlers
from flowledger.outbox.sql import ClaimedEvent
from flowledger.tenancy.actors import Actor, Origin, Role
from flowledger.tenancy.scope import org_scope
from tests.workstream.factories import AT, CLERK, complete_checklist, open_candidate, open_pursuit
from tests.workstream.trail import emails_to, events_of, newest_event, nothing_changes
from workstream import services
from workstream.machines import PursuitStage
from workstream.models import Engagement, Proposal, Pursuit, Task

pytestmark = pytest.mark.django_db

LATER = AT + timedelta(days=1)
IMPORTER = Actor.importer()


def delivered(org: Any, event: WorkEvent, name: str) -> Delivery:
    """The event as a worker hands it to the handler."""
    columns = {field: getattr(event, field) for field in ClaimedEvent._fields if field not in {"payload", "waited"}}
    texts = {
        "payload": json.dumps(event.payload),
        "occurred_at": event.occurred_at.isoformat(),
        "recorded_at": event.recorded_at.isoformat(),
        "waited": 0.0,
    }
    return Delivery(ClaimedEvent(**columns | texts | {"attempts": 2}), org, name)


def hand_over_again(org: Any, event_name: str) -> None:
    """Every handler of the newest such event once more, as if its receipt had been lost."""
    event = newest_event(org, event_name)
    for each in handlers():
        if each.name.startswith("workstream.") and each.wants(event_name, Origin(event.origin)):
            with org_scope(org):
                delivery = delivered(org, event, each.name)
                each.run([delivery] if each.batch else delivery)


def drained() -> None:
    result = drain_all()
    assert (result.failed, result.dead) == (0, 0)


def submitted(org: Any, **fields: Any) -> Pursuit:
    """A submitted pursuit whose events have not been handed over yet."""
    pursuit = open_pursuit(org, stage=PursuitStage.RED, **fields)
    complete_checklist(pursuit, "pink")
    complete_checklist(pursuit, "red")
    drained()
    services.submit_pursuit(org=org, pursuit_id=pursuit.pk, actor=CLERK, at=LATER)
    return pursuit


class TestPromoted:
    def test_drafts_version_one(self, org):
        candidate = open_candidate(org, status="promoted")
        drained()

        proposal = Proposal.all_orgs.get(org=org)
        assert (proposal.version, proposal.status) == (1, "draft")
        assert proposal.pursuit.candidate_id == candidate.pk
        created = newest_event(org, "proposal.created")
        assert created.causation_id == newest_event(org, "candidate.promoted").pk
        assert (created.actor_kind, created.actor_label) == ("system", "workstream.draft_first_proposal")

    def test_leaves_a_version_that_is_there(self, org):
        candidate = open_candidate(org, status="promoted")
        pursuit = Pursuit.all_orgs.get(candidate=candidate)
        services.create_proposal(org=org, pursuit_id=pursuit.pk, fields={"title": "Mine"}, actor=CLERK, at=AT)
        drained()
        assert Proposal.all_orgs.get(org=org).title == "Mine"

    def test_handed_over_twice_drafts_once(self, org):
        open_candidate(org, status="promoted")
        drained()
        with nothing_changes():
            hand_over_again(org, "candidate.promoted")


class TestSubmitted:
    def test_sends_the_newest_draft_to_the_contact_and_tells_the_team(self, org, rep):
        pursuit = submitted(org, owner=rep.user, with_email="ann@acme.example")
        drained()

        proposal = pursuit.proposals.get()
        assert (proposal.status, proposal.delivery, proposal.sent_at) == ("sent", "email", LATER)
        assert emails_to(org) == [["ann@acme.example"], ["rita@harbour.example"]]
        assert newest_event(org, "proposal.sent").causation_id == newest_event(org, "pursuit.submit").pk
        team = OutgoingEmail.all_orgs.filter(org=org).order_by("-pk")[0]
        assert team.subject == f"Proposal sent: {proposal.title}"
        assert "ann@acme.example" in team.body

    def test_without_an_address_it_asks_for_the_delivery(self, org, rep):
        pursuit = submitted(org, owner=rep.user)
        drained()

        assert pursuit.proposals.get().delivery == "without_email"
        assert emails_to(org) == [["rita@harbour.example"]]
        assert Task.all_orgs.filter(pursuit=pursuit, created_by_rule="proposal sent without email").count() == 1

    def test_a_version_that_was_sent_by_hand_is_not_sent_again(self, org, rep):
        pursuit = open_pursuit(org, stage=PursuitStage.RED, owner=rep.user, with_email="ann@acme.example")
        complete_checklist(pursuit, "pink")
        services.send_proposal(org=org, proposal_id=pursuit.proposals.get().pk, actor=CLERK, at=AT)
        services.submit_pursuit(org=org, pursuit_id=pursuit.pk, actor=CLERK, at=LATER)
        drained()

        assert emails_to(org).count(["ann@acme.example"]) == 1
        assert pursuit.proposals.get().sent_at == AT

    def test_handed_over_twice_sends_once(self, org, rep):
        submitted(org, owner=rep.user, with_email="ann@acme.example")
        drained()
        with nothing_changes():
            hand_over_again(org, "pursuit.submit")
            hand_over_again(org, "proposal.sent")


class TestWon:
    def won(self, org: Any, **fields: Any) -> Pursuit:
        pursuit = submitted(org, **fields)
        services.win_pursuit(org=org, pursuit_id=pursuit.pk, actor=CLERK, at=LATER + timedelta(days=1))
        drained()
        return pursuit

    def test_opens_the_engagement_with_its_kickoff_tasks(self, org, rep):
        pursuit = self.won(org, owner=rep.user)

        engagement = Engagement.all_orgs.get(org=org)
        assert (engagement.pursuit_id, engagement.client_id, engagement.title) == (
            pursuit.pk,
            pursuit.client_id,
            pursuit.title,
        )
        assert (engagement.value, engagement.currency, engagement.owner_id) == (
            pursuit.forecast_value,
            "USD",
            rep.user_id,
        )
        assert engagement.started_on == (LATER + timedelta(days=1)).date()
        assert events_of(engagement) == ["engagement.created"]
        tasks = Task.all_orgs.filter(engagement=engagement).order_by("due_at")
        assert [(task.due_at - LATER).days - 1 for task in tasks] == [1, 2, 7, 14]
        assert {(task.assignee_id, task.status) for task in tasks} == {(rep.user_id, "open")}

    def test_starts_on_the_day_of_the_organisations_zone(self, org, rep):
        org.timezone = "Pacific/Auckland"
        org.save()
        pursuit = submitted(org, owner=rep.user)
        services.win_pursuit(org=org, pursuit_id=pursuit.pk, actor=CLERK, at=datetime(2026, 3, 4, 12, 30, tzinfo=UTC))
        drained()
        # Half past one in the night of the next day.
        assert Engagement.all_orgs.get(org=org).started_on == date(2026, 3, 5)

    def test_kickoff_tasks_come_from_the_published_template(self, org, rep):
        services.publish_checklist_template(
            org=org, kind="kickoff", items=[{"name": "Call", "due_in_days": 3}], actor=CLERK, at=AT
        )
        self.won(org, owner=rep.user)

        (task,) = Task.all_orgs.filter(engagement__org=org)
        assert (task.title, task.due_at) == ("Call", LATER + timedelta(days=4))

    def test_tells_the_team(self, org, rep, manager):
        pursuit = submitted(org, owner=rep.user)
        services.update_pursuit(
            org=org, pursuit_id=pursuit.pk, fields={"proposal_manager": manager.user}, actor=CLERK, at=LATER
        )
        services.win_pursuit(org=org, pursuit_id=pursuit.pk, actor=CLERK, at=LATER)
        drained()

        email = OutgoingEmail.all_orgs.get(org=org, subject=f"Won: {pursuit.title}")
        assert email.to == ["maria@harbour.example", "rita@harbour.example"]
        assert "50,000.00 USD" in email.body

    def test_tells_the_managers_when_its_own_people_have_no_address(self, org, manager, member_of):
        silent = member_of(org, Role.REP, username="silent")
        self.won(org, owner=silent.user)
        assert set(map(tuple, emails_to(org))) == {("maria@harbour.example",)}

    def test_tells_nobody_who_left(self, org, rep, manager):
        pursuit = submitted(org, owner=rep.user)
        drained()
        OutgoingEmail.all_orgs.filter(org=org).delete()
        rep.is_active = False
        rep.save()
        services.win_pursuit(org=org, pursuit_id=pursuit.pk, actor=CLERK, at=LATER)
        drained()
        assert emails_to(org) == [["maria@harbour.example"]]

    def test_handed_over_twice_opens_once(self, org, rep):
        self.won(org, owner=rep.user)
        with nothing_changes():
            hand_over_again(org, "pursuit.won")

    def test_draining_twice_does_nothing_more(self, org, rep):
        self.won(org, owner=rep.user)
        receipts = list(WorkEvent.all_orgs.order_by("pk").values_list("pk", "handled_by"))
        with nothing_changes():
            result = drain_all()
        assert result.claimed == 0
        assert list(WorkEvent.all_orgs.order_by("pk").values_list("pk", "handled_by")) == receipts

    def test_a_pursuit_that_is_not_won_opens_nothing(self, org, rep):
        pursuit = submitted(org, owner=rep.user)
        with nothing_changes():
            opened = services.open_engagement(org=org, pursuit_id=pursuit.pk, actor=CLERK, at=LATER)
        assert opened is None


class TestLost:
    def test_tells_the_team_why_and_opens_nothing(self, org, rep):
        pursuit = submitted(org, owner=rep.user)
        services.lose_pursuit(org=org, pursuit_id=pursuit.pk, reason="Too expensive", actor=CLERK, at=LATER)
        drained()

        email = OutgoingEmail.all_orgs.get(org=org, subject=f"Lost: {pursuit.title}")
        assert email.to == ["rita@harbour.example"]
        assert "Too expensive" in email.body
        assert not Engagement.all_orgs.filter(org=org).exists()


class TestImportedHistory:
    def test_reaches_the_records_and_nobodys_mailbox(self, org, rep):
        pursuit = open_pursuit(
            org, stage=PursuitStage.WON, owner=rep.user, with_email="ann@acme.example", actor=IMPORTER
        )
        drained()

        assert emails_to(org) == []
        assert Engagement.all_orgs.get(org=org).pursuit_id == pursuit.pk
        assert set(WorkEvent.all_orgs.filter(org=org).values_list("origin", flat=True)) == {"import"}

    def test_a_version_that_history_sent_is_not_sent_again(self, org, rep):
        pursuit = open_pursuit(org, owner=rep.user, with_email="ann@acme.example", actor=IMPORTER)
        services.send_proposal(org=org, proposal_id=pursuit.proposals.get().pk, actor=IMPORTER, at=LATER)
        drained()

        assert pursuit.proposals.get().recipients == ["ann@acme.example"]
        assert emails_to(org) == []
