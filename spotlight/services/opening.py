"""Opening a candidate from a routed signal, or putting the signal behind the one that its sender has already.

Part of the use cases that route and review signals.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

from flowledger.clients.models import Client, Contact
from flowledger.errors import Conflict
from flowledger.tenancy.actors import Actor
from flowledger.tenancy.models import Organization
from spotlight.models import RoutedSignal
from spotlight.rules import Route
from spotlight.services.storing import ICP_BANDS
from workstream import services as workstream
from workstream.machines import CandidateStatus, SignalDisposition
from workstream.models import Candidate, CandidateSignal, Signal

# A signal in one of these waits for somebody to look at it; in any other it is linked, put aside or part of another.
ROUTABLE = (SignalDisposition.NEW, SignalDisposition.DUPLICATE)
OPEN_CANDIDATE = (CandidateStatus.NEW, CandidateStatus.TRIAGED, CandidateStatus.NURTURE, CandidateStatus.ON_HOLD)


@dataclass
class Held:
    """Signals that are locked, and the open candidates of the clusters and senders of those that may open one."""

    org: Organization
    signals: dict[int, Signal]
    _senders: dict[int, tuple[int | None, int | None]] = field(default_factory=dict)
    _of_cluster: dict[int, int] = field(default_factory=dict)
    _of_contact: dict[int, int] = field(default_factory=dict)

    def candidate_for(self, signal: Signal) -> int | None:
        """The open candidate that the signal's cluster feeds, else that its contact has.

        Raises Conflict for a signal that was given another sender, by a merge, after its sender was locked.
        """
        if self._senders.get(signal.pk) != (signal.client_id, signal.contact_id):
            raise Conflict("Who this signal is from is being changed at this moment; try again.")
        of_cluster = None if signal.cluster_id is None else self._of_cluster.get(signal.cluster_id)
        if of_cluster is not None or signal.contact_id is None:
            return of_cluster
        return self._of_contact.get(signal.contact_id)

    def note(self, signal: Signal, candidate_id: int) -> None:
        """The next signal of the same buying event or sender goes to this candidate too."""
        if signal.cluster_id is not None:
            self._of_cluster.setdefault(signal.cluster_id, candidate_id)
        if signal.contact_id is not None:
            self._of_contact.setdefault(signal.contact_id, candidate_id)


def hold(org: Organization, signal_ids: Collection[int], *, opening: Collection[int]) -> Held:
    """Lock signals, and before them the senders and open candidates of those that may open one.

    The order is that of `link_signal` and of merges: clients, contacts, candidates, signals, each by key. Whoever opens
    candidates for the same sender at the same moment waits for us, and then finds the candidate that we opened.
    """
    senders: dict[int, tuple[int | None, int | None]] = {}
    of_cluster: dict[int, int] = {}
    of_contact: dict[int, int] = {}
    if opening:
        rows = Signal.objects.for_org(org).filter(pk__in=opening)
        found = {pk: each for pk, *each in rows.values_list("pk", "client_id", "contact_id", "cluster_id")}
        senders = {pk: (client_id, contact_id) for pk, (client_id, contact_id, _) in found.items()}
        _lock(Client.objects.for_org(org), (client_id for client_id, _ in senders.values()))
        _lock(Contact.objects.for_org(org), (contact_id for _, contact_id in senders.values()))
        clusters = {cluster_id for _, _, cluster_id in found.values()} - {None}
        contacts = {contact_id for _, contact_id in senders.values() if contact_id is not None}
        of_cluster, of_contact = _open_candidates(org, clusters=clusters, contacts=contacts)
    locked = Signal.objects.for_org(org).filter(pk__in=signal_ids).locked().order_by("pk")
    return Held(org, {row.pk: row for row in locked}, senders, of_cluster, of_contact)


def open_candidate(
    held: Held, row: RoutedSignal, *, route: Route, in_nurture: bool, reason: str, actor: Actor, at: datetime
) -> int:
    """The candidate that a routed signal feeds from now on: the one of its buying event or sender, else a new one.

    A new one has the fit of the signal and the next step, due date and tags of the route. It is triaged, because the
    score has judged it, so that the Today panel lists it at once; and in nurture if asked for. One that is there stays
    where it is. `reason` stands at the link. Raises what `link_signal` and
    `create_candidate` raise, and Conflict as `candidate_for`.
    """
    org, signal = held.org, held.signals[row.signal_id]
    known = held.candidate_for(signal)
    if known is not None:
        workstream.link_signal(
            org=org, signal_id=signal.pk, candidate_id=known, reason=reason[:300], actor=actor, at=at
        )
        held.note(signal, known)
        return known
    candidate = workstream.create_candidate(
        org=org,
        fields=_fields(org, signal, route, at),
        signal_ids=[signal.pk],
        tags=route.tags,
        link_reason=reason[:300],
        actor=actor,
        at=at,
    )
    held.note(signal, candidate.pk)
    fit = (row.match_score.quantize(Decimal("0.001")), ICP_BANDS[row.recommendation])
    workstream.set_icp(org=org, scores={candidate.pk: fit}, actor=actor, at=at)
    workstream.triage_candidate(org=org, candidate_id=candidate.pk, actor=actor, at=at)
    if in_nurture:
        workstream.nurture_candidate(org=org, candidate_id=candidate.pk, actor=actor, at=at)
    return candidate.pk


def _fields(org: Organization, signal: Signal, route: Route, at: datetime) -> dict[str, Any]:
    fields: dict[str, Any] = {"owner": signal.owner, "next_step": route.next_step}
    if route.due_in_days is not None:
        fields["next_step_due"] = _day_of(org, at) + timedelta(days=route.due_in_days)
    who = (signal.company_name, signal.contact_name, signal.contact_email, signal.company_domain)
    if not any((*who, signal.problem_phrase, signal.snippet)):
        # It says nothing that a title could be taken from.
        fields["title"] = f"{signal.get_source_type_display()} {signal.pk}"
    return fields


def _day_of(org: Organization, at: datetime) -> date:
    """The date where the organisation is."""
    return at.astimezone(ZoneInfo(org.timezone)).date()


def _lock(rows: Any, ids: Iterable[int | None]) -> None:
    wanted = {pk for pk in ids if pk is not None}
    if wanted:
        list(rows.filter(pk__in=wanted).locked().order_by("pk").values_list("pk"))


def _open_candidates(
    org: Organization, *, clusters: Collection[int], contacts: Collection[int]
) -> tuple[dict[int, int], dict[int, int]]:
    """The newest open candidate of each cluster and of each contact, locked."""
    links = CandidateSignal.objects.for_org(org).filter(
        signal__cluster__in=clusters, candidate__status__in=OPEN_CANDIDATE
    )
    pairs = list(links.values_list("signal__cluster_id", "candidate_id")) if clusters else []
    rows = Candidate.objects.for_org(org).filter(status__in=OPEN_CANDIDATE)
    of_contacts = rows.filter(contact__in=contacts) if contacts else rows.none()
    pairs_of_contacts = list(of_contacts.values_list("contact_id", "pk"))
    wanted = {pk for _, pk in (*pairs, *pairs_of_contacts)}
    # Asked again with the lock: one may have been closed since.
    held = set(rows.filter(pk__in=wanted).locked().order_by("pk").values_list("pk", flat=True)) if wanted else set()

    def newest(found: Iterable[tuple[int, int]]) -> dict[int, int]:
        return {key: pk for key, pk in sorted(found, key=lambda pair: pair[1]) if pk in held}

    return newest(pairs), newest(pairs_of_contacts)
