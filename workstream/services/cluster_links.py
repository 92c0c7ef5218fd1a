"""A cluster as one buying event: its other signals, which of them feed a candidate, and linking the rest to it."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from django.contrib.postgres.expressions import ArraySubquery
from django.db.models import Exists, OuterRef

from flowledger.errors import Conflict, FlowLedgerError
from flowledger.tenancy.actors import Actor
from flowledger.tenancy.models import Organization
from flowledger.tenancy.permissions import authorize
from flowledger.tenancy.usecases import use_case
from workstream.clustering import similarity
from workstream.machines import SignalDisposition
from workstream.models import Candidate, CandidateSignal, Signal, SignalCluster
from workstream.services.clusters import signs_of
from workstream.services.signals import link_signal

# Members that are shown, and signals that one call links; a larger cluster is linked by calling again.
MOST_SHOWN = 200
MOST_LINKED = 500


@dataclass(frozen=True)
class Member:
    """Another signal of the cluster, and how alike it is to the one that was asked about."""

    signal: Signal
    similarity: float
    same_thread: bool
    candidate_ids: tuple[int, ...] = ()

    @property
    def is_linked(self) -> bool:
        return bool(self.candidate_ids)


@dataclass(frozen=True)
class Company:
    """The cluster of a signal: None and nobody where it stands alone. `others` counts more than `members` shows."""

    cluster: SignalCluster | None = None
    others: int = 0
    members: list[Member] = field(default_factory=list)


class LinkStatus(StrEnum):
    """What became of one signal."""

    LINKED = "linked"
    ALREADY_LINKED = "already_linked"
    REFUSED = "refused"


@dataclass(frozen=True)
class Linked:
    """The result of one signal; `error` is the refusal of `link_signal`."""

    signal_id: int
    status: LinkStatus
    error: FlowLedgerError | None = None


def company_of(*, org: Organization, signal: Signal) -> Company:
    """The other signals of its cluster, the nearest in what they say first. Three statements at most."""
    if signal.cluster_id is None:
        return Company()
    rows = Signal.objects.for_org(org).filter(cluster=signal.cluster_id).exclude(pk=signal.pk)
    links = CandidateSignal.objects.for_org(org).filter(signal=OuterRef("pk")).order_by("pk")
    found = rows.select_related("cluster").annotate(feeds=ArraySubquery(links.values("candidate_id")))
    shown = list(found.order_by("-ts", "-pk")[:MOST_SHOWN])
    if not shown:
        return Company(cluster=signal.cluster)
    signs = signs_of(org, [signal, *shown])
    mine = signs[signal.pk]
    members = [
        Member(
            signal=row,
            similarity=similarity(mine.features, signs[row.pk].features),
            same_thread=bool(mine.thread_ids & signs[row.pk].thread_ids),
            candidate_ids=tuple(row.feeds),
        )
        for row in shown
    ]
    members.sort(key=lambda each: (-each.similarity, -each.signal.ts.timestamp(), -each.signal.pk))
    return Company(
        cluster=shown[0].cluster,
        others=len(shown) if len(shown) < MOST_SHOWN else rows.count(),
        members=members,
    )


def unlinked_rest(*, org: Organization, signal: Signal, candidate_id: int) -> list[int]:
    """The other signals of the cluster that could feed the candidate and do not yet, as many as one call links."""
    if signal.cluster_id is None:
        return []
    links = CandidateSignal.objects.for_org(org).filter(signal=OuterRef("pk"), candidate=candidate_id)
    rows = Signal.objects.for_org(org).filter(
        ~Exists(links),
        cluster=signal.cluster_id,
        disposition__in=[SignalDisposition.NEW, SignalDisposition.LINKED, SignalDisposition.DUPLICATE],
    )
    return list(rows.exclude(pk=signal.pk).order_by("pk").values_list("pk", flat=True)[:MOST_LINKED])


@use_case
def link_cluster(
    *, org: Organization, signal_id: int, candidate_id: int, reason: str = "", actor: Actor, at: datetime
) -> list[Linked]:
    """Put all signals of a signal's cluster behind a candidate, each as `link_signal` does; again changes nothing.

    A result for every signal that is not behind it yet, the signal itself among them, and those that are. A signal that
    is refused, such as a rejected one or somebody else's, costs the others nothing. Of a large cluster MOST_LINKED are
    linked by one call. Raises NotFound for either, PermissionRefused for the candidate, Conflict for a signal that is
    in no cluster.
    """
    # The candidate first and then the signals in the order of their keys, as everybody locks them.
    candidate: Candidate = Candidate.objects.for_org(org).locked().fetch(candidate_id)
    authorize(actor, "link_signal", candidate)
    signal: Signal = Signal.objects.for_org(org).fetch(signal_id)
    if signal.cluster_id is None:
        raise Conflict("This signal is in no cluster: no other is like it. Link it by itself.")
    mine = CandidateSignal.objects.for_org(org).filter(signal=OuterRef("pk"), candidate=candidate)
    rows = Signal.objects.for_org(org).filter(cluster=signal.cluster_id).annotate(is_behind=Exists(mine))
    behind, results = 0, []
    for pk, is_behind in rows.order_by("pk").values_list("pk", "is_behind"):
        if is_behind:
            results.append(Linked(pk, LinkStatus.ALREADY_LINKED))
        elif behind < MOST_LINKED:
            behind += 1
            results.append(_link(org, pk, candidate.pk, reason, actor=actor, at=at))
    return results


def _link(org: Organization, signal_id: int, candidate_id: int, reason: str, *, actor: Actor, at: datetime) -> Linked:
    try:
        link_signal(org=org, signal_id=signal_id, candidate_id=candidate_id, reason=reason, actor=actor, at=at)
    except FlowLedgerError as refusal:
        return Linked(signal_id, LinkStatus.REFUSED, refusal)
    return Linked(signal_id, LinkStatus.LINKED)
