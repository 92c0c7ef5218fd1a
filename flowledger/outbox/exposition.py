"""The outbox in the text format of Prometheus: what stands in the database, who is alive, what all processes counted.

Everything is about the whole installation, whichever web process answers: scrape one address (ADR 0019).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import accumulate

from django.db import DatabaseError, InterfaceError
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily
from prometheus_client.metrics_core import Metric as Family
from prometheus_client.registry import Collector

from flowledger.outbox import metrics
from flowledger.outbox.events import catalogue
from flowledger.outbox.health import Heartbeats, database_answers, heartbeats
from flowledger.outbox.sql import operations as sql
from flowledger.tenancy.scope import system_scope

# Where a crash was the end, no handler has failed.
_NO_HANDLER = "none"


def metrics_text() -> bytes:
    """Every metric. A part that is down is told as such, and what only it knows is left out; never raises."""
    registry = CollectorRegistry(auto_describe=False)
    registry.register(_Outbox())
    return generate_latest(registry)


class _Outbox(Collector):
    """Asked once, by the registry of one answer."""

    def collect(self) -> Iterator[Family]:
        queue_families = list(_queue_families())
        yield _gauge("flowledger_database_up", "1 while the database answers.", float(bool(queue_families)))
        yield from queue_families
        yield from _liveness(heartbeats())
        yield from _counted()


def _queue_families() -> Iterable[Family]:
    """What only the database knows; nothing while it is gone."""
    if not database_answers():
        return []
    try:
        with system_scope("outbox metrics"):
            queue, dead = sql.queue(), sql.dead_by_handler()
    except (DatabaseError, InterfaceError):
        return []
    # Names without an event are told as zero: a series that comes and goes says nothing to an alert.
    names = {entry.name: 0 for entry in catalogue()}
    letters = GaugeMetricFamily(
        "flowledger_outbox_dead_letters",
        "Events on the dead-letter list, by handler that has not succeeded; an event that failed in two counts twice.",
        labels=("event", "handler"),
    )
    for event_name, handler, count in dead:
        letters.add_metric((event_name, handler or _NO_HANDLER), count)
    return [
        _by_event("flowledger_outbox_depth", "Events that are pending.", names | queue.by_event()),
        _by_event("flowledger_outbox_in_flight", "Events in the hands of a worker.", queue.by_event("claimed")),
        _by_event(
            "flowledger_outbox_waiting_for_retry", "Events that have failed and wait.", queue.by_event("waiting")
        ),
        _by_event(
            "flowledger_outbox_tried_alone",
            "Events whose worker died, which are tried one at a time.",
            queue.by_event("crashed"),
        ),
        _gauge(
            "flowledger_outbox_depth_is_estimate", "1 when the backlog is too long to count.", float(queue.is_estimate)
        ),
        _gauge(
            "flowledger_outbox_oldest_age_seconds", "How long the event due longest has been due.", queue.oldest_age
        ),
        letters,
    ]


def _liveness(seen: Heartbeats) -> Iterator[Family]:
    yield _gauge("flowledger_broker_up", "1 while Redis answers.", float(seen.broker))
    if not seen.broker:
        return
    yield _gauge("flowledger_workers", "Worker nodes that are alive.", float(len(seen.live_workers)))
    shown = GaugeMetricFamily(
        "flowledger_worker_last_seen_timestamp_seconds", "When a worker node last showed itself.", labels=("worker",)
    )
    for worker in seen.workers:
        shown.add_metric((worker.name,), worker.at.timestamp())
    yield shown
    yield _gauge("flowledger_beat_up", "1 while the beat is alive.", float(seen.beat_is_alive))
    if seen.beat is not None:
        yield _gauge(
            "flowledger_beat_last_seen_timestamp_seconds",
            "When the beat last showed itself.",
            seen.beat.at.timestamp(),
        )


def _counted() -> Iterator[Family]:
    """Counters and histograms of all processes; left out while Redis is down, so that none seems to begin anew."""
    stored = metrics.recorded()
    if stored is None:
        return
    for metric in metrics.METRICS:
        series = sorted((key[1:], cells) for key, cells in stored.items() if key[0] == metric.name)
        if not metric.bounds:
            counter = CounterMetricFamily(metric.name, metric.help, labels=metric.labels)
            for labels, cells in series:
                counter.add_metric(labels, cells[0])
            yield counter
            continue
        histogram = HistogramMetricFamily(metric.name, metric.help, labels=metric.labels)
        bounds = [*(str(bound) for bound in metric.bounds), "+Inf"]
        for labels, (total, *numbers) in series:
            histogram.add_metric(labels, list(zip(bounds, accumulate(numbers), strict=True)), total)
        yield histogram


def _gauge(name: str, text: str, value: float) -> Family:
    return GaugeMetricFamily(name, text, value=value)


def _by_event(name: str, text: str, counts: dict[str, int]) -> Family:
    family = GaugeMetricFamily(name, text, labels=("event",))
    for event_name, count in sorted(counts.items()):
        family.add_metric((event_name,), count)
    return family
