"""Plays the main job end to end on a file of signals, from the first message to the engagement, and says what happened.

Handlers are left to the workers when there are any; otherwise the outbox is drained here.
"""

from __future__ import annotations

import csv
import time
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import Any

from flowledger.errors import FlowLedgerError, InvalidInput, Unavailable
from flowledger.outbox.causes import bind_correlation
from flowledger.outbox.drain import drain_all
from flowledger.outbox.health import services_health
from flowledger.outbox.models import OutgoingEmail, WorkEvent
from flowledger.tenancy.actors import Actor
from flowledger.tenancy.models import Organization, User
from flowledger.tenancy.scope import org_scope
from workstream import services
from workstream.demo import furnishing
from workstream.machines import CandidateStatus, PursuitStage
from workstream.models import Candidate, ChecklistItem, Engagement, Proposal, Pursuit, Signal, Task
from workstream.models.activities import ActivityKind, Direction
from workstream.models.signals import SourceType
from workstream.rendering import money

SIGNALS = Path(__file__).resolve().parents[1] / "data" / "demo_signals.csv"

_PLAIN = (
    "snippet",
    "problem_phrase",
    "solution_hint",
    "contact_name",
    "contact_email",
    "contact_phone",
    "company_name",
    "company_domain",
)
_KNOWN = frozenset({"source_type", "source_ref", "urgency_score", "ts", *_PLAIN})
_WAITING = (CandidateStatus.NEW, CandidateStatus.TRIAGED, CandidateStatus.NURTURE)
_WORKER_PATIENCE_SECONDS = 20.0
_EMAIL_PATIENCE_SECONDS = 3.0


@dataclass(frozen=True)
class Step:
    """One thing that was done; `seconds` is None for what took no time of its own."""

    name: str
    seconds: float | None
    happened: str


def play(
    *,
    org: Organization,
    path: Path,
    rep: Actor,
    run: str = "",
    clock: Callable[[], datetime],
) -> Iterator[Step]:
    """Take the most urgent company of a file from its signals to a won deal; yields each step when it is done.

    `run` is added to the source references, so that a file can be played again; without it, lines that were played
    before are repeats of known signals. Raises InvalidInput for a file that is no file of signals and for one that
    brings nothing new, Unavailable when a handler fails or the workers hang.
    """
    performance = _Performance(org=org, rep=rep, clock=clock, correlation=f"demo-{uuid.uuid4()}")
    # Around every step and not around the generator: what the reader does between two steps is none of it.
    yield from performance.steps(path, run)


class _Performance:
    """One run of the main job."""

    def __init__(self, *, org: Organization, rep: Actor, clock: Callable[[], datetime], correlation: str) -> None:
        self.org, self.rep, self.clock, self.correlation = org, rep, clock, correlation
        self.intake = Actor.system("demo intake")

    def steps(self, path: Path, run: str) -> Iterator[Step]:
        signals, step = self._timed(lambda: self._ingest(path, run))
        yield Step("ingest", step, signals.summary)
        yield Step("identity", None, self._identities(signals.created))
        yield self._handlers("signals")
        lead = self._lead(signals.created)
        routed = self._routed(lead)
        yield Step("score", None, self._fit(routed))
        candidate, seconds = self._timed(lambda: self._open(lead) if routed is None else self._take(routed, lead))
        yield Step("candidate", seconds, f"#{candidate.pk} '{candidate.title}' from {len(lead)} signals")
        _, seconds = self._timed(lambda: self._triage(candidate))
        yield Step("triage", seconds, "called the contact, judged worth work")
        promotion, seconds = self._timed(lambda: self._promote(candidate))
        pursuit = promotion.pursuit
        yield Step(
            "promote",
            seconds,
            f"pursuit #{pursuit.pk}, {money(pursuit.forecast_value, pursuit.currency)}, due {pursuit.due_date}",
        )
        yield self._handlers("promotion", lambda: self._proposal_line(pursuit))
        done, seconds = self._timed(lambda: self._review(pursuit, PursuitStage.PINK))
        yield Step("pink review", seconds, f"{done} checklist items done with evidence")
        done, seconds = self._timed(lambda: self._review(pursuit, PursuitStage.RED))
        yield Step("red review", seconds, f"{done} checklist items done with evidence")
        amount, seconds = self._timed(lambda: self._price(pursuit))
        yield Step("proposal", seconds, f"draft priced at {amount}")
        _, seconds = self._timed(lambda: self._submit(pursuit))
        yield Step("submit", seconds, "gate passed: pink checklist complete, proposal present")
        yield self._handlers("submission", lambda: self._proposal_line(pursuit))
        _, seconds = self._timed(lambda: self._win(pursuit))
        yield Step("won", seconds, "gate passed: red checklist complete")
        yield self._handlers("win", lambda: self._engagement_line(pursuit))
        card, seconds = self._timed(lambda: self._told(pursuit))
        yield Step("memory card", seconds, card)
        yield Step("email", None, self._emails())

    def _told(self, pursuit: Pursuit) -> str:
        """What the apps above make of the deal."""
        return furnishing.told(org=self.org, pursuit_id=pursuit.pk, actor=self.rep, at=self.clock())

    def _timed(self, act: Callable[[], Any]) -> tuple[Any, float]:
        started = time.perf_counter()
        with bind_correlation(self.correlation):
            result = act()
        return result, time.perf_counter() - started

    def _handlers(self, after: str, line: Callable[[], str] = lambda: "") -> Step:
        """Wait until the workers have handled what this run caused, or handle it here when there are none."""
        started = time.perf_counter()
        by_workers = services_health()["workers"] > 0
        if by_workers:
            self._await_workers(until=started + _WORKER_PATIENCE_SECONDS)
        else:
            drain_all()
        pending = self._pending()
        if pending is not None:
            raise Unavailable(
                f"The event {pending.event_name} ({pending.pk}) is not handled: "
                f"{pending.last_error or 'no worker took it'}"
            )
        who = "by the workers" if by_workers else "here, as no worker runs"
        happened = f"events of the {after} handled {who}"
        with org_scope(self.org):
            told = line()
        return Step("handlers", time.perf_counter() - started, f"{happened}: {told}" if told else happened)

    def _await_workers(self, *, until: float) -> None:
        while time.perf_counter() < until:
            pending = self._pending()
            if pending is None or pending.last_error:
                return
            time.sleep(0.02)

    def _pending(self) -> WorkEvent | None:
        with org_scope(self.org):
            rows = WorkEvent.objects.for_org(self.org).filter(correlation_id=self.correlation, processed_at=None)
            first: WorkEvent | None = rows.order_by("pk").first()
            return first

    def _ingest(self, path: Path, run: str) -> _Ingested:
        created: list[Signal] = []
        repeats, refused = 0, []
        for line, fields in _read_signals(path):
            if run and fields["source_ref"]:
                fields["source_ref"] = f"{fields['source_ref']}-{run}"
            at = self.clock()
            try:
                received = services.create_signal(
                    org=self.org, fields={"ts": at, **fields}, sender=path.name, actor=self.intake, at=at
                )
            except FlowLedgerError as error:
                refused.append(f"line {line}: {error.message}")
                continue
            if received.created:
                created.append(received.signal)
            else:
                repeats += 1
        if not created:
            raise InvalidInput(f"{path.name} brings no new signal: {repeats} were known. " + " ".join(refused))
        summary = f"{len(created)} signals from {path.name}, {repeats} repeated deliveries recognised"
        return _Ingested(created, "; ".join([summary, *refused]))

    def _identities(self, signals: list[Signal]) -> str:
        contacts = {signal.contact_id for signal in signals} - {None}
        clients = {signal.client_id for signal in signals} - {None}
        return (
            f"{len(signals)} signals belong to {len(contacts)} contacts of {len(clients)} clients "
            "(exact keys, resolved in the writing transaction)"
        )

    def _lead(self, signals: list[Signal]) -> list[Signal]:
        """The signals of the company with the most urgent one; without any company, the most urgent alone."""
        ranked = sorted(signals, key=lambda signal: (-(signal.urgency_score or Decimal(0)), signal.pk))
        first = ranked[0]
        if first.client_id is None:
            return [first]
        return [signal for signal in ranked if signal.client_id == first.client_id]

    def _routed(self, lead: list[Signal]) -> Candidate | None:
        """The first open candidate that has one of the signals: their score has opened it."""
        with org_scope(self.org):
            rows = Candidate.objects.for_org(self.org).filter(signals__in=lead, status__in=_WAITING)
            found: Candidate | None = rows.order_by("pk").first()
            return found

    def _fit(self, routed: Candidate | None) -> str:
        if routed is None:
            return "no candidate was opened: no active profile of the organisation matches well enough"
        return f"fit {routed.icp_score} ({routed.icp_band}); the score opened candidate #{routed.pk}"

    def _open(self, lead: list[Signal]) -> Candidate:
        return services.create_candidate(
            org=self.org,
            fields=self._fields_of(lead),
            signal_ids=[signal.pk for signal in lead],
            link_reason="same company, same request",
            actor=self.rep,
            at=self.clock(),
        )

    def _take(self, routed: Candidate, lead: list[Signal]) -> Candidate:
        """Make the candidate that was opened by itself one's own, with all signals of the company behind it."""
        keys: dict[str, Any] = {"org": self.org, "candidate_id": routed.pk, "actor": self.rep, "at": self.clock()}
        taken = services.update_candidate(fields=self._fields_of(lead), **keys)
        for signal in lead:
            services.link_signal(signal_id=signal.pk, reason="same company, same request", **keys)
        return taken

    def _fields_of(self, lead: list[Signal]) -> dict[str, Any]:
        budgets = [str(signal.attributes.get("budget", "")) for signal in lead]
        return {
            "owner": self._owner(),
            "confidence": Decimal("0.6"),
            "estimated_value": max((Decimal(budget) for budget in budgets if budget.isdigit()), default=None),
            "one_liner_scope": lead[0].problem_phrase[:280],
            "next_step": "Call back",
        }

    def _owner(self) -> User:
        assert self.rep.user_id is not None
        return User.objects.get(pk=self.rep.user_id)

    def _triage(self, candidate: Candidate) -> None:
        services.log_activity(
            org=self.org,
            item_type="candidate",
            item_id=candidate.pk,
            kind=ActivityKind.CALL,
            direction=Direction.OUTBOUND,
            summary="Understood the requirement; budget and date are real",
            actor=self.rep,
            at=self.clock(),
        )
        if candidate.status != CandidateStatus.TRIAGED:
            services.triage_candidate(org=self.org, candidate_id=candidate.pk, actor=self.rep, at=self.clock())

    def _promote(self, candidate: Candidate) -> Any:
        return services.promote_candidate(org=self.org, candidate_id=candidate.pk, actor=self.rep, at=self.clock())

    def _review(self, pursuit: Pursuit, stage: PursuitStage) -> int:
        """Enter a review and complete its checklist; answers how many items that were."""
        services.move_pursuit(org=self.org, pursuit_id=pursuit.pk, stage=stage.value, actor=self.rep, at=self.clock())
        with org_scope(self.org):
            items = ChecklistItem.objects.for_org(self.org).filter(pursuit=pursuit, kind=stage.value)
            ids = list(items.order_by("position", "pk").values_list("pk", flat=True))
        for item_id in ids:
            services.update_checklist_item(
                org=self.org,
                item_id=item_id,
                is_done=True,
                evidence="Confirmed by the customer on the phone.",
                actor=self.rep,
                at=self.clock(),
            )
        return len(ids)

    def _price(self, pursuit: Pursuit) -> str:
        with org_scope(self.org):
            draft = self._newest_proposal(pursuit)
        assert draft is not None
        amount = (pursuit.forecast_value * Decimal("0.97")).quantize(Decimal("0.01"))
        services.update_proposal(
            org=self.org, proposal_id=draft.pk, fields={"amount": amount}, actor=self.rep, at=self.clock()
        )
        return f"{money(amount, pursuit.currency)}, version {draft.version}"

    def _submit(self, pursuit: Pursuit) -> None:
        services.submit_pursuit(org=self.org, pursuit_id=pursuit.pk, actor=self.rep, at=self.clock())

    def _win(self, pursuit: Pursuit) -> None:
        services.win_pursuit(
            org=self.org, pursuit_id=pursuit.pk, reason="Signed on the phone.", actor=self.rep, at=self.clock()
        )

    def _newest_proposal(self, pursuit: Pursuit) -> Proposal | None:
        newest: Proposal | None = (
            Proposal.objects.for_org(self.org).filter(pursuit=pursuit).order_by("-version").first()
        )
        return newest

    def _proposal_line(self, pursuit: Pursuit) -> str:
        proposal = self._newest_proposal(pursuit)
        if proposal is None:
            return "no proposal"
        whom = f" to {', '.join(proposal.recipients)}" if proposal.recipients else ""
        return f"proposal version {proposal.version} is {proposal.status}{whom}"

    def _engagement_line(self, pursuit: Pursuit) -> str:
        engagement = Engagement.objects.for_org(self.org).get(pursuit=pursuit)
        tasks = Task.objects.for_org(self.org).filter(engagement=engagement).count()
        return f"engagement #{engagement.pk} with {tasks} kickoff tasks"

    def _emails(self) -> str:
        """What was queued; where workers run they get a moment to send it."""
        until = time.perf_counter() + (_EMAIL_PATIENCE_SECONDS if services_health()["workers"] else 0)
        while True:
            with org_scope(self.org):
                events = WorkEvent.objects.for_org(self.org).filter(correlation_id=self.correlation)
                rows = OutgoingEmail.objects.for_org(self.org).filter(causation_id__in=events.values("pk"))
                messages = list(rows.order_by("pk").values_list("subject", "to", "sent_at"))
            sent = sum(sent_at is not None for _, _, sent_at in messages)
            if sent == len(messages) or time.perf_counter() >= until:
                break
            time.sleep(0.05)
        told = "; ".join(f"'{subject}' to {', '.join(to)}" for subject, to, _ in messages)
        return f"{len(messages)} messages queued, {sent} sent so far: {told}"


@dataclass(frozen=True)
class _Ingested:
    """The signals that are new, and a sentence on all."""

    created: list[Signal]
    summary: str


def _read_signals(path: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    """The lines of a CSV of signals as service fields; columns that no field knows become attributes."""
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            reader = csv.DictReader(file)
            columns = reader.fieldnames or ()
            if "source_type" not in columns or not set(columns) & set(_PLAIN):
                raise InvalidInput(
                    f"{path.name} is no file of signals: it needs the column source_type and at least one of "
                    f"{', '.join(_PLAIN)}."
                )
            for row in reader:
                yield reader.line_num, _fields(path, reader.line_num, row)
    except OSError as error:
        raise InvalidInput(f"The file {path} cannot be read: {error.strerror or error}.") from error
    except (UnicodeDecodeError, csv.Error) as error:
        raise InvalidInput(f"The file {path} is no CSV in UTF-8: {error}.") from error


def _fields(path: Path, line: int, row: dict[str, Any]) -> dict[str, Any]:
    texts = {name: (value or "").strip() for name, value in row.items() if isinstance(name, str)}
    if texts["source_type"] not in SourceType.values:
        known = ", ".join(SourceType.values)
        raise InvalidInput(f"{path.name}:{line}: '{texts['source_type']}' is no channel; there are: {known}.")
    fields: dict[str, Any] = {name: texts.get(name, "") for name in _PLAIN}
    for name, value in fields.items():
        longest = getattr(Signal._meta.get_field(name), "max_length", 0)
        if len(value) > longest:
            raise InvalidInput(f"{path.name}:{line}: {name} has {len(value)} characters; at most {longest} are kept.")
    fields["source_type"], fields["source_ref"] = texts["source_type"], texts.get("source_ref", "")[:200]
    if texts.get("urgency_score"):
        try:
            fields["urgency_score"] = Decimal(texts["urgency_score"]).quantize(Decimal("0.01"))
        except InvalidOperation:
            raise InvalidInput(f"{path.name}:{line}: the urgency '{texts['urgency_score']}' is no number.") from None
        if not 0 <= fields["urgency_score"] <= 1:
            raise InvalidInput(f"{path.name}:{line}: the urgency lies between 0 and 1.")
    if texts.get("ts"):
        try:
            fields["ts"] = datetime.fromisoformat(texts["ts"])
        except ValueError:
            raise InvalidInput(f"{path.name}:{line}: '{texts['ts']}' is no time in ISO 8601.") from None
        if fields["ts"].tzinfo is None:
            raise InvalidInput(f"{path.name}:{line}: the time '{texts['ts']}' has no time zone.")
    fields["attributes"] = {name: value for name, value in texts.items() if value and name not in _KNOWN}
    return fields
