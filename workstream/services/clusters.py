"""Forming clusters of signals that are one buying event, as signals come in and for those from before."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

from flowledger.outbox.recording import record_events
from flowledger.tenancy.actors import Actor
from flowledger.tenancy.models import Organization
from flowledger.tenancy.permissions import authorize
from flowledger.tenancy.usecases import use_case
from workstream import clustering, events
from workstream.clustering import Parameters, Sign
from workstream.models import MailMessage, Signal, SignalCluster
from workstream.rules import SIGNAL_CLUSTERS
from workstream.sql import clusters as sql
from workstream.sql.clusters import Span

# Signals that are looked at together; the lock of an organisation's clusters is held no longer than they take.
SLICE = 200
# Of a contact or client with more signals inside one span, only the newest are compared.
MOST_NEIGHBOURS = 1_000


@dataclass(frozen=True)
class Backfilled:
    """What one slice of older signals came to. `last_id` is where the next begins; None when there is none."""

    signals: int
    clustered: int
    last_id: int | None


def parameters_of(org: Organization) -> Parameters:
    """How near is near for an organisation."""
    rule = SIGNAL_CLUSTERS.of(org)
    return Parameters(window_days=rule.window_days, similarity=rule.similarity, same_thread=rule.same_thread)


def text_of(signal: Signal) -> str:
    """What of a signal is compared: all that its sender said."""
    return "\n".join(filter(None, (signal.snippet, signal.problem_phrase, signal.solution_hint)))


@use_case
def cluster_signals(*, org: Organization, signal_ids: Collection[int], actor: Actor, at: datetime) -> int:
    """Put signals into one cluster with those that are the same buying event; answers how many changed theirs.

    A signal that connects two clusters makes them one: the older takes in the other's signals. Again with the same
    signals nothing changes; unknown keys are passed over. One at a time in an organisation: the lock is held until the
    surrounding transaction ends. Raises PermissionRefused.
    """
    authorize(actor, "cluster_signals")
    sql.lock_clusters(org_id=org.pk)
    changed = 0
    wanted = sorted(set(signal_ids))
    for start in range(0, len(wanted), SLICE):
        changed += _cluster(org, wanted[start : start + SLICE], actor=actor, at=at)
    return changed


@use_case
def cluster_older_signals(
    *, org: Organization, after_id: int = 0, limit: int = SLICE, actor: Actor, at: datetime
) -> Backfilled:
    """Cluster a slice of the signals that are in none, in the order of their keys from `after_id` on.

    For signals from before there were clusters, or from before the rule was changed. Raises PermissionRefused.
    """
    authorize(actor, "cluster_signals")
    rows = Signal.objects.for_org(org).filter(pk__gt=after_id, cluster__isnull=True).order_by("pk")
    ids = list(rows.values_list("pk", flat=True)[:limit])
    clustered = cluster_signals(org=org, signal_ids=ids, actor=actor, at=at)
    return Backfilled(len(ids), clustered, ids[-1] if len(ids) == limit else None)


def signs_of(org: Organization, signals: Iterable[Signal]) -> dict[int, Sign]:
    """Signals as clustering compares them, with the conversations that they are part of."""
    rows = list(signals)
    threads: dict[int, set[int]] = defaultdict(set)
    messages = MailMessage.objects.for_org(org).filter(signal__in=[row.pk for row in rows])
    for signal_id, thread_id in messages.values_list("signal_id", "thread_id"):
        threads[signal_id].add(thread_id)
    return {
        row.pk: Sign(
            pk=row.pk,
            ts=row.ts,
            contact_id=row.contact_id,
            client_id=row.client_id,
            cluster_id=row.cluster_id,
            features=clustering.remembered_features(text_of(row)),
            thread_ids=frozenset(threads[row.pk]),
        )
        for row in rows
    }


def _cluster(org: Organization, new_ids: Sequence[int], *, actor: Actor, at: datetime) -> int:
    parameters = parameters_of(org)
    signs = _signs_around(org, new_ids, parameters)
    groups = clustering.grouped(signs, [pk for pk in new_ids if pk in signs], parameters)
    targets = _targets(org, groups, signs, parameters)
    if not targets:
        return 0
    # Whoever changes several signals locks them in the order of their keys.
    rows = Signal.objects.for_org(org).filter(pk__in=targets).order_by("pk").locked()
    before = dict(rows.values_list("pk", "cluster_id"))
    moved = {pk: targets[pk] for pk, cluster_id in before.items() if cluster_id != targets[pk]}
    sql.move(org_id=org.pk, clusters=moved, at=at)
    emptied = {before[pk] for pk in moved} - {None} - set(targets.values())
    if emptied:
        SignalCluster.objects.for_org(org).filter(pk__in=emptied).delete()
    _label(org, set(moved.values()))
    facts = [
        (org.pk, events.SignalClustered(signal_id=pk, cluster_id=target, previous_cluster_id=before[pk]))
        for pk, target in sorted(moved.items())
    ]
    record_events(facts=facts, actor=actor, at=at)
    return len(moved)


def _signs_around(org: Organization, new_ids: Sequence[int], parameters: Parameters) -> dict[int, Sign]:
    """The new signals and all that may be the same buying event: of their contacts, clients and conversations."""
    rows = Signal.objects.for_org(org)
    new = list(rows.filter(pk__in=new_ids).values_list("pk", "ts", "contact_id", "client_id"))
    found = {pk for pk, *_ in new}
    for place, party in ((2, "contact"), (3, "client")):
        spans = _spans([(row[place], row[1]) for row in new if row[place] is not None], parameters)
        found |= sql.neighbours(org_id=org.pk, party=party, spans=spans, most=MOST_NEIGHBOURS)
    if parameters.same_thread:
        messages = MailMessage.objects.for_org(org)
        threads = messages.filter(signal__in=list(found.intersection(new_ids))).values("thread")
        found |= set(messages.filter(thread__in=threads, signal__isnull=False).values_list("signal_id", flat=True))
    compared = rows.filter(pk__in=found).only(
        *("ts", "contact", "client", "cluster", "snippet", "problem_phrase", "solution_hint")
    )
    return signs_of(org, compared.order_by("pk"))


def _spans(seen: Iterable[tuple[int, datetime]], parameters: Parameters) -> list[Span]:
    """The windows around the signals of each contact or client; those that overlap are one."""
    spans: list[Span] = []
    for key, ts in sorted(seen):
        begins, ends = ts - parameters.window, ts + parameters.window
        if spans and spans[-1].key == key and begins <= spans[-1].ends:
            spans[-1] = spans[-1]._replace(ends=ends)
        else:
            spans.append(Span(key, begins, ends))
    return spans


def _targets(
    org: Organization, groups: Sequence[set[int]], signs: dict[int, Sign], parameters: Parameters
) -> dict[int, int]:
    """The cluster of every signal that may have to move; new clusters are made, the oldest of several is kept."""
    clusters = [sorted({each for pk in members if (each := signs[pk].cluster_id) is not None}) for members in groups]
    fresh = SignalCluster.objects.for_org(org).bulk_create(
        SignalCluster(
            org=org,
            algorithm=clustering.ALGORITHM,
            algorithm_version=clustering.VERSION,
            parameters=parameters.as_dict(),
        )
        for known in clusters
        if not known
    )
    made = iter(fresh)
    targets: dict[int, int] = {}
    absorbed: dict[int, int] = {}
    for members, known in zip(groups, clusters, strict=True):
        target = known[0] if known else next(made).pk
        targets |= {pk: target for pk in members if signs[pk].cluster_id != target}
        absorbed |= dict.fromkeys(known[1:], target)
    if absorbed:
        # Also the signals of an absorbed cluster that were not compared: those outside of the window.
        rows = Signal.objects.for_org(org).filter(cluster__in=absorbed).values_list("pk", "cluster_id")
        targets |= {pk: absorbed[cluster_id] for pk, cluster_id in rows}
    return targets


def _label(org: Organization, cluster_ids: Collection[int]) -> None:
    """Name clusters by who it was and what they said first."""
    rows = {row.pk: row for row in SignalCluster.objects.for_org(org).filter(pk__in=cluster_ids)}
    changed = []
    for first in sql.first_of(org_id=org.pk, clusters=sorted(cluster_ids)):
        said = clustering.gist(first.problem_phrase or first.snippet)
        label = ": ".join(filter(None, (first.who[:100], said)))[:200]
        if rows[first.cluster_id].label != label:
            rows[first.cluster_id].label = label
            changed.append(rows[first.cluster_id])
    SignalCluster.objects.for_org(org).bulk_update(changed, ["label"])
