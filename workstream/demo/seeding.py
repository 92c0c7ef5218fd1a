"""Plays invented stories through the services, as history: nobody is emailed."""

from __future__ import annotations

import random
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal

from flowledger.clients.models import Client, SizeBand
from flowledger.clients.services import create_client, create_contact, create_onboarding_task, update_onboarding_task
from flowledger.tenancy.actors import Actor, Origin, Role
from flowledger.tenancy.models import Membership, Organization, User
from flowledger.tenancy.scope import org_scope
from workstream import services
from workstream.demo import words
from workstream.demo.stories import SEED, Ending, Story, World
from workstream.machines import PursuitStage
from workstream.models import Candidate, ChecklistItem, Engagement, Problem, Proposal, Pursuit, Solution, Task
from workstream.models.activities import ActivityKind, Direction, LinkType

_PURSUED = (Ending.QUAL, Ending.PINK, Ending.RED, Ending.SUBMIT, Ending.WON, Ending.LOST)
# Companies that nobody entered: they are known only from what they send.
_UNKNOWN_COMPANIES = 4


def seed(*, org: Organization, world: World, memberships: Iterable[Membership], at: datetime) -> None:
    """Fill an empty organisation with a world whose last day is `at`."""
    with org_scope(org):
        stage = _Stage.build(org, memberships, at)
        _vocabulary(stage)
        _address_book(stage, world)
        for story in world.stories:
            _Play(stage, story).run()


@dataclass
class _Stage:
    """Who acts, with what, and until when."""

    org: Organization
    reps: list[tuple[User, Actor]]
    manager: Actor
    intake: Actor
    at: datetime
    dice: random.Random
    problems: dict[str, Problem]
    solutions: dict[str, Solution]

    @classmethod
    def build(cls, org: Organization, memberships: Iterable[Membership], at: datetime) -> _Stage:
        people = [(row, Actor.for_membership(row, origin=Origin.IMPORT)) for row in memberships]
        return cls(
            org=org,
            reps=[(row.user, actor) for row, actor in people if row.role == Role.REP],
            manager=next(actor for row, actor in people if row.role == Role.MANAGER),
            intake=Actor.importer("demo intake"),
            at=at,
            dice=random.Random(SEED + 1),  # noqa: S311  (a story, no secret)
            problems={},
            solutions={},
        )


def _vocabulary(stage: _Stage) -> None:
    for name, (definition, _, _) in words.PROBLEMS.items():
        fields = {"name": name, "definition": definition}
        stage.problems[name] = services.save_problem(
            org=stage.org, problem_id=None, fields=fields, actor=stage.manager, at=stage.at
        )
    for name, (price, playbook) in words.SOLUTIONS.items():
        stage.solutions[name] = services.save_solution(
            org=stage.org,
            solution_id=None,
            fields={"name": name, "list_price": Decimal(price), "playbook_reference": playbook},
            actor=stage.manager,
            at=stage.at,
        )


def _address_book(stage: _Stage, world: World) -> None:
    known = world.companies[:-_UNKNOWN_COMPANIES]
    clients: dict[str, Client] = {}
    for company in known:
        clients[company.name] = create_client(
            org=stage.org,
            fields={
                "name": company.name,
                "domain": company.domain,
                "industry": company.industry,
                "country": company.country,
                "size_band": SizeBand.of(company.employees).value,
                "annual_revenue": Decimal(company.revenue) * 1_000_000,
                "attributes": {"employees": company.employees},
            },
            actor=stage.manager,
            at=stage.at,
        )
    for person in world.people:
        client = clients.get(person.company.name)
        if client is not None:
            create_contact(
                org=stage.org,
                fields={
                    "client": client,
                    "name": person.name,
                    "email": person.email,
                    "phone": person.phone,
                    "title": person.job_title,
                },
                actor=stage.manager,
                at=stage.at,
            )


class _Play:
    """One story on the stage; the clock moves on with every step and never past the present."""

    def __init__(self, stage: _Stage, story: Story) -> None:
        self.stage, self.story, self.org, self.dice = stage, story, stage.org, stage.dice
        self.owner, self.actor = stage.reps[story.owner % len(stage.reps)]
        self.now = stage.at - story.begun

    def run(self) -> None:
        signals = [self._receive(text, place) for place, text in enumerate(self.story.texts)]
        ending = self.story.ending
        if ending is Ending.UNTOUCHED:
            return
        if ending is Ending.REJECTED:
            reason = self.dice.choice(words.REJECT_REASONS)
            services.reject_signal(
                org=self.org, signal_id=signals[0], reason=reason, actor=self.actor, at=self._later()
            )
            return
        self._log("signal", signals[0], ActivityKind.CALL, words.CALLS[0])
        candidate = self._open_candidate(signals)
        if ending is Ending.NEW:
            return
        services.triage_candidate(org=self.org, candidate_id=candidate.pk, actor=self.actor, at=self._later())
        if ending in _PURSUED:
            self._pursue(candidate)
        else:
            self._park(candidate)

    def _later(self) -> datetime:
        self.now = min(self.now + self.story.pace * self.dice.uniform(0.5, 1.1), self.stage.at)
        return self.now

    def _receive(self, text: str, place: int) -> int:
        story, person = self.story, self.story.person
        at = self.now if place == 0 else self._later()
        fields = {
            "source_type": story.channel,
            "source_ref": f"demo-{story.number:03d}-{place}",
            "ts": at,
            "snippet": text,
            "problem_phrase": "" if story.ending is Ending.REJECTED else story.problem,
            "solution_hint": "" if place or story.ending is Ending.REJECTED else story.solution,
            "urgency_score": Decimal(story.urgency),
            "contact_name": person.name,
            "contact_email": person.email,
            "contact_phone": person.phone,
            "company_name": person.company.name,
            "company_domain": person.company.domain,
            "attributes": {
                "industry": person.company.industry,
                "company_size": person.company.employees,
                "budget": story.budget,
            },
        }
        sender = f"{story.channel} of the demonstration"
        received = services.create_signal(org=self.org, fields=fields, sender=sender, actor=self.stage.intake, at=at)
        if story.number % 17 == 0:
            # Channels deliver twice now and then.
            later = at + timedelta(minutes=2)
            services.create_signal(org=self.org, fields=fields, sender=sender, actor=self.stage.intake, at=later)
        return received.signal.pk

    def _open_candidate(self, signals: list[int]) -> Candidate:
        story = self.story
        at = self._later()
        fields = {
            "title": story.title,
            "one_liner_scope": words.PROBLEMS[story.problem][0],
            "problem": self.stage.problems[story.problem],
            "solution": self.stage.solutions[story.solution],
            "confidence": Decimal(story.confidence),
            "value_band": "high" if story.budget >= 90_000 else "med" if story.budget >= 30_000 else "low",
            "estimated_value": Decimal(story.budget) if story.number % 5 else None,
            "next_step": self.dice.choice(words.NEXT_STEPS),
            "next_step_due": (at + timedelta(days=self.dice.randint(2, 14))).date(),
            "owner": self.owner,
        }
        candidate = services.create_candidate(
            org=self.org,
            fields=fields,
            signal_ids=signals,
            tags=story.tags,
            link_reason="opened the candidate",
            actor=self.actor,
            at=at,
        )
        self._tasks_of(candidate)
        return candidate

    def _tasks_of(self, candidate: Candidate) -> None:
        """A task that is open, done or dropped, by turns."""
        at = self._later()
        task = services.create_task(
            org=self.org,
            item_type="candidate",
            item_id=candidate.pk,
            title=candidate.next_step,
            assignee=self.owner,
            due_at=at + timedelta(days=self.dice.randint(1, 10)),
            actor=self.actor,
            at=at,
        )
        if self.story.number % 3 == 0:
            services.complete_task(org=self.org, task_id=task.pk, actor=self.actor, at=self._later())
        elif self.story.number % 7 == 0:
            services.cancel_task(org=self.org, task_id=task.pk, actor=self.actor, at=self._later())

    def _park(self, candidate: Candidate) -> None:
        ending, at = self.story.ending, self._later()
        self._log("candidate", candidate.pk, ActivityKind.EMAIL, "Sent the brochure and asked for a call")
        if ending is Ending.NURTURE:
            services.nurture_candidate(org=self.org, candidate_id=candidate.pk, actor=self.actor, at=at)
        elif ending is Ending.ON_HOLD:
            resume_at = self.stage.at + timedelta(days=20 + self.story.number % 30) if self.story.number % 2 else None
            services.hold_candidate(
                org=self.org,
                candidate_id=candidate.pk,
                reason=self.dice.choice(words.HOLD_REASONS),
                resume_at=resume_at,
                actor=self.actor,
                at=at,
            )
        elif ending is Ending.ARCHIVED:
            reason = self.dice.choice(words.ARCHIVE_REASONS)
            services.archive_candidate(org=self.org, candidate_id=candidate.pk, reason=reason, actor=self.actor, at=at)

    def _pursue(self, candidate: Candidate) -> None:
        ending = self.story.ending
        at = self._later()
        due = {
            "due_date": (max(at, self.stage.at - timedelta(days=10)) + timedelta(days=self.dice.randint(5, 45))).date()
        }
        promotion = services.promote_candidate(
            org=self.org, candidate_id=candidate.pk, fields=due, actor=self.actor, at=at
        )
        pursuit = promotion.pursuit
        services.ensure_first_proposal(org=self.org, pursuit_id=pursuit.pk, actor=self.actor, at=at)
        self._log("pursuit", pursuit.pk, ActivityKind.MEETING, self.dice.choice(words.MEETINGS))
        self._link_drawings(pursuit)
        if ending is Ending.QUAL:
            return
        self._move(pursuit, PursuitStage.PINK)
        if ending is Ending.PINK:
            self._tick(pursuit, "pink", most=2)
            return
        self._tick(pursuit, "pink")
        self._move(pursuit, PursuitStage.RED)
        self._cost(pursuit)
        if self.story.number % 3 == 0:
            self._second_version(pursuit)
        if ending is Ending.RED:
            self._tick(pursuit, "red", most=1)
            return
        self._submit(pursuit)
        if ending is not Ending.SUBMIT:
            self._close(pursuit)

    def _submit(self, pursuit: Pursuit) -> None:
        at = self._later()
        services.submit_pursuit(org=self.org, pursuit_id=pursuit.pk, actor=self.actor, at=at)
        services.send_newest_draft(org=self.org, pursuit_id=pursuit.pk, actor=self.actor, at=at)
        self._log("pursuit", pursuit.pk, ActivityKind.CALL, words.CALLS[-1])
        if self.story.ending is Ending.SUBMIT:
            self._tick(pursuit, "red", most=3)

    def _close(self, pursuit: Pursuit) -> None:
        self._tick(pursuit, "red", waive_last=self.story.number % 4 == 0)
        self._settle_tasks(Task.objects.for_org(self.org).filter(pursuit=pursuit))
        at = self._later()
        if self.story.ending is Ending.LOST:
            reason = self.dice.choice(words.LOSS_REASONS)
            services.lose_pursuit(org=self.org, pursuit_id=pursuit.pk, reason=reason, actor=self.actor, at=at)
            return
        for proposal in Proposal.objects.for_org(self.org).filter(pursuit=pursuit, status="sent").order_by("pk"):
            services.sign_proposal(org=self.org, proposal_id=proposal.pk, actor=self.actor, at=at)
        reason = self.dice.choice(words.WIN_REASONS)
        services.win_pursuit(org=self.org, pursuit_id=pursuit.pk, reason=reason, actor=self.actor, at=at)
        engagement = services.open_engagement(org=self.org, pursuit_id=pursuit.pk, actor=self.stage.intake, at=at)
        if engagement is not None:
            self._kick_off(engagement, at)

    def _kick_off(self, engagement: Engagement, won_at: datetime) -> None:
        """Kickoff tasks whose day has passed are done; the client's onboarding is under way."""
        tasks = Task.objects.for_org(self.org).filter(engagement=engagement, due_at__lte=self.stage.at)
        self._settle_tasks(tasks)
        task = create_onboarding_task(
            org=self.org,
            client_id=engagement.client_id,
            fields={
                "title": "Grant access to the service portal",
                "assignee": self.owner,
                "due_date": (won_at + timedelta(days=10)).date(),
            },
            actor=self.actor,
            at=won_at,
        )
        if self.story.number % 2:
            update_onboarding_task(
                org=self.org,
                client_id=engagement.client_id,
                task_id=task.pk,
                fields={},
                status="done",
                actor=self.actor,
                at=self._later(),
            )

    def _settle_tasks(self, tasks: Iterable[Task]) -> None:
        for task in sorted(tasks, key=lambda task: task.pk):
            if task.status == "open":
                services.complete_task(org=self.org, task_id=task.pk, actor=self.actor, at=self.now)

    def _move(self, pursuit: Pursuit, stage: PursuitStage) -> None:
        services.move_pursuit(
            org=self.org, pursuit_id=pursuit.pk, stage=stage.value, actor=self.actor, at=self._later()
        )

    def _tick(self, pursuit: Pursuit, kind: str, *, most: int | None = None, waive_last: bool = False) -> None:
        """Complete open items of a review, at most some; the last one may be waived by the manager instead."""
        rows = ChecklistItem.objects.for_org(self.org).filter(pursuit=pursuit, kind=kind).order_by("position", "pk")
        items = [item for item in rows if not item.is_met]
        for place, item in enumerate(items[:most]):
            if waive_last and place == len(items) - 1:
                services.waive_checklist_item(
                    org=self.org,
                    item_id=item.pk,
                    reason="Repeat order on unchanged terms.",
                    actor=self.stage.manager,
                    at=self._shortly(),
                )
                continue
            services.update_checklist_item(
                org=self.org,
                item_id=item.pk,
                is_done=True,
                evidence=self.dice.choice(words.EVIDENCE),
                actor=self.actor,
                at=self._shortly(),
            )

    def _shortly(self) -> datetime:
        """Minutes later: points of one review are settled together."""
        self.now = min(self.now + timedelta(minutes=self.dice.randint(1, 9)), self.stage.at)
        return self.now

    def _second_version(self, pursuit: Pursuit) -> None:
        amount = (pursuit.forecast_value * Decimal("0.95")).quantize(Decimal("0.01"))
        services.create_proposal(
            org=self.org, pursuit_id=pursuit.pk, fields={"amount": amount}, actor=self.actor, at=self._later()
        )

    def _cost(self, pursuit: Pursuit) -> None:
        at = self._later()
        services.record_cost(
            org=self.org,
            pursuit_id=pursuit.pk,
            role=self.dice.choice(("Sales engineer", "Proposal writer", "Travel")),
            hours=Decimal(self.dice.randint(2, 24)),
            amount=Decimal(self.dice.randint(3, 30) * 50),
            spent_on=at.date(),
            actor=self.actor,
            at=at,
        )

    def _link_drawings(self, pursuit: Pursuit) -> None:
        services.link_item(
            org=self.org,
            item_type="pursuit",
            item_id=pursuit.pk,
            link_type=LinkType.DOC,
            target_type="drawing",
            target_ref=f"drawings/{pursuit.pk}/piping.pdf",
            title="Piping drawings",
            actor=self.actor,
            at=self.now,
        )

    def _log(self, item_type: str, item_id: int, kind: ActivityKind, summary: str) -> None:
        direction = Direction.INBOUND if kind is ActivityKind.MEETING else Direction.OUTBOUND
        services.log_activity(
            org=self.org,
            item_type=item_type,
            item_id=item_id,
            kind=kind,
            direction=direction,
            summary=summary,
            actor=self.actor,
            at=self._later(),
        )
