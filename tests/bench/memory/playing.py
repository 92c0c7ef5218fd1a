"""Plays the stories of the corpus through the services, as people and channels would; memory captures what it does."""

from __future__ import annotations

import random
import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

from flowledger.clients.models import Client, SizeBand
from flowledger.clients.services import create_client, create_contact
from flowledger.outbox.drain import drain_all
from flowledger.tenancy.actors import Actor
from flowledger.tenancy.models import Organization, User
from flowledger.tenancy.scope import org_scope
from tests.bench.memory.corpus import Step, Story
from workstream import services
from workstream.machines import CandidateStatus, PursuitStage
from workstream.models import Candidate, ChecklistItem, Problem, Proposal, Pursuit, Solution
from workstream.models.activities import ActivityKind, Direction
from workstream.models.signals import SourceType

# Everything happened within what notes are kept for, so that nothing of it is due for the archive.
DAYS = 85
_SAID = {
    "call": (ActivityKind.CALL, Direction.OUTBOUND),
    "meeting": (ActivityKind.MEETING, Direction.INBOUND),
    "note": (ActivityKind.NOTE, Direction.INTERNAL),
    "mail<": (ActivityKind.EMAIL, Direction.INBOUND),
    "mail>": (ActivityKind.EMAIL, Direction.OUTBOUND),
}
_EVIDENCE = ("Confirmed on the phone.", "See the minutes of the visit.", "Email is on file.")
# So many stories are played before the handlers see their events.
_BETWEEN_DRAINS = 25


@dataclass
class Player:
    """Plays into one organisation; `clients` is where each story ended up."""

    org: Organization
    rep: Actor
    owner: User
    at: datetime
    seed: int = 5
    companies: dict[str, Client] = field(default_factory=dict)
    clients: dict[str, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.dice = random.Random(self.seed)
        self.solutions: dict[str, Solution] = {}
        self.problem: Problem | None = None

    def play(self, stories: Iterable[Story]) -> None:
        """All of them, handlers included."""
        for count, story in enumerate(stories, start=1):
            with org_scope(self.org):
                self._play(story)
            if count % _BETWEEN_DRAINS == 0:
                drain_all()
        drain_all()

    def _play(self, story: Story) -> None:
        # Deals go on side by side: they begin within a month, and the last word of each was heard lately.
        begun = timedelta(days=self.dice.uniform(DAYS - 30, DAYS))
        pace = begun / (len(story.steps) + 6)
        moment = self.at - begun
        company = self._company(story, moment)
        self.clients[story.key] = company.pk
        _Deal(self, story, company, moment, pace).run()

    def _company(self, story: Story, at: datetime) -> Client:
        if story.company in self.companies:
            return self.companies[story.company]
        fields = {
            "name": story.company,
            "domain": _domain(story),
            "industry": story.industry,
            "country": story.country,
            "size_band": SizeBand.of(story.employees).value,
        }
        client = create_client(org=self.org, fields=fields, actor=self.rep, at=at)
        for person in story.people:
            contact = {
                "client": client,
                "name": person.name,
                "email": f"{_slug(person.name)}@{_domain(story)}",
                "title": person.title,
            }
            create_contact(org=self.org, fields=contact, actor=self.rep, at=at)
        self.companies[story.company] = client
        return client

    def solution(self, name: str) -> Solution:
        if name not in self.solutions:
            fields = {"name": name, "list_price": Decimal(100_000)}
            self.solutions[name] = services.save_solution(
                org=self.org, solution_id=None, fields=fields, actor=Actor.system("bench"), at=self.at
            )
        return self.solutions[name]


class _Deal:
    """One story; its clock moves on with every step."""

    def __init__(self, player: Player, story: Story, client: Client, begun: datetime, pace: timedelta) -> None:
        self.player, self.story, self.client, self.now, self.pace = player, story, client, begun, pace
        self.dice = player.dice
        self.candidate: Candidate | None = None
        self.pursuit: Pursuit | None = None

    @property
    def keys(self) -> dict[str, Any]:
        """The organisation, who acts, and a moment later than the last."""
        self.now = min(self.now + self.pace * self.dice.uniform(0.4, 1.0), self.player.at)
        return {"org": self.player.org, "actor": self.player.rep, "at": self.now}

    def run(self) -> None:
        for step in self.story.steps:
            if step.verb in _SAID:
                self._say(step)
            else:
                getattr(self, f"_{step.verb}")(step)

    def _say(self, step: Step) -> None:
        kind, direction = _SAID[step.verb]
        person = self.story.people[0].name
        if kind is ActivityKind.EMAIL:
            summary = f"Email {'from' if direction is Direction.INBOUND else 'to'} {person}"
            self._log(kind, direction, summary, step.text)
        else:
            self._log(kind, direction, step.text)

    def _log(self, kind: ActivityKind, direction: Direction, summary: str, body: str = "") -> None:
        item = self.pursuit or self._opened()
        services.log_activity(
            item_type="pursuit" if self.pursuit else "candidate",
            item_id=item.pk,
            kind=kind,
            direction=direction,
            summary=summary,
            body=body,
            **self.keys,
        )

    def _opened(self) -> Candidate:
        assert self.candidate is not None, f"{self.story.key} does not begin with a signal."
        return self.candidate

    def _signal(self, step: Step) -> None:
        person = self.story.people[0]
        keys = self.keys
        fields = {
            "source_type": self.dice.choice((SourceType.EMAIL, SourceType.WEB_FORM, SourceType.CALL)).value,
            "source_ref": self.story.key,
            "ts": keys["at"],
            "snippet": step.text,
            "contact_name": person.name,
            "contact_email": f"{_slug(person.name)}@{_domain(self.story)}",
            "company_name": self.story.company,
            "company_domain": _domain(self.story),
        }
        received = services.create_signal(fields=fields, sender="bench", **keys)
        self.candidate = services.create_candidate(
            fields={
                "title": f"{self.story.product} for {self.story.company}",
                "solution": self.player.solution(self.story.product),
                "owner": self.player.owner,
                "confidence": Decimal("0.5"),
            },
            signal_ids=[received.signal.pk],
            link_reason="opened the candidate",
            **self.keys,
        )
        services.triage_candidate(candidate_id=self.candidate.pk, **self.keys)

    def _nurture(self, step: Step) -> None:
        services.nurture_candidate(candidate_id=self._opened().pk, **self.keys)

    def _hold(self, step: Step) -> None:
        self._park(step, services.hold_candidate)

    def _archive(self, step: Step) -> None:
        self._park(step, services.archive_candidate)

    def _park(self, step: Step, park: Any) -> None:
        """A pursuit cannot be parked: it is noted on it."""
        if self.pursuit:
            self._log(ActivityKind.NOTE, Direction.INTERNAL, step.text)
        else:
            park(candidate_id=self._opened().pk, reason=step.text, **self.keys)

    def _promote(self, step: Step) -> None:
        candidate = Candidate.objects.for_org(self.player.org).get(pk=self._opened().pk)
        if candidate.status != CandidateStatus.TRIAGED:
            services.triage_candidate(candidate_id=candidate.pk, **self.keys)
        fields = {"forecast_value": Decimal(step.amount or 0)}
        self.pursuit = services.promote_candidate(candidate_id=candidate.pk, fields=fields, **self.keys).pursuit
        services.ensure_first_proposal(pursuit_id=self.pursuit.pk, **self.keys)

    def _send(self, step: Step) -> None:
        pursuit = self._pursued()
        services.move_pursuit(pursuit_id=pursuit.pk, stage=PursuitStage.PINK.value, **self.keys)
        self._tick("pink")
        services.move_pursuit(pursuit_id=pursuit.pk, stage=PursuitStage.RED.value, **self.keys)
        draft = Proposal.objects.for_org(self.player.org).get(pursuit=pursuit)
        services.update_proposal(proposal_id=draft.pk, fields={"amount": Decimal(step.amount or 0)}, **self.keys)
        services.submit_pursuit(pursuit_id=pursuit.pk, **self.keys)
        services.send_newest_draft(pursuit_id=pursuit.pk, **self.keys)

    def _won(self, step: Step) -> None:
        pursuit = self._pursued()
        self._tick("red")
        services.win_pursuit(pursuit_id=pursuit.pk, reason=step.text, **self.keys)
        services.open_engagement(pursuit_id=pursuit.pk, **self.keys)

    def _lost(self, step: Step) -> None:
        """A pursuit is lost after it was submitted; a story that leaves that out was lost on a first offer."""
        if not any(other.verb == "send" for other in self.story.steps):
            self._send(next(other for other in self.story.steps if other.verb == "promote"))
        self._tick("red")
        services.lose_pursuit(pursuit_id=self._pursued().pk, reason=step.text, **self.keys)

    def _pursued(self) -> Pursuit:
        assert self.pursuit is not None, f"{self.story.key} has no pursuit yet."
        return self.pursuit

    def _tick(self, kind: str) -> None:
        items = ChecklistItem.objects.for_org(self.player.org).filter(pursuit=self._pursued(), kind=kind)
        for item in items.order_by("position", "pk"):
            evidence = self.dice.choice(_EVIDENCE)
            services.update_checklist_item(item_id=item.pk, is_done=True, evidence=evidence, **self.keys)


def _slug(name: str) -> str:
    """Small ASCII letters with dots between the words."""
    plain = unicodedata.normalize("NFKD", name.casefold().replace("ø", "o")).encode("ascii", "ignore").decode()
    return ".".join("".join(c if c.isalnum() else " " for c in plain).split())


def _domain(story: Story) -> str:
    return f"{_slug(story.company).replace('.', '-')}.example"
