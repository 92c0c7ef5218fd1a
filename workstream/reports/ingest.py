"""Health of the ways in, from the ledger itself: what came last, what failed last, how much, how late."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any

from django.db.models import Q, Sum

from flowledger.tenancy.models import Organization
from workstream.models.imports import ImportRun
from workstream.models.intake import SourceKind
from workstream.models.signals import Channel
from workstream.reports.tables import asked

# By which channel a configured source delivers.
CHANNEL_OF_KIND: Mapping[str, str] = {
    SourceKind.WEB_FORM: Channel.FORM,
    SourceKind.WEBHOOK: Channel.WEBHOOK,
    SourceKind.MAIL_HOOK: Channel.EMAIL,
    SourceKind.MAILBOX: Channel.EMAIL,
}
# The lag is that of so many newest signals.
LAG_OF = 100
_SPANS = (("hour", timedelta(hours=1)), ("day", timedelta(days=1)), ("week", timedelta(days=7)))


class Standing(StrEnum):
    """How a way in is doing, in a word."""

    OK = "ok"
    FAILING = "failing"
    IDLE = "idle"
    NEVER = "never"
    OFF = "off"


@dataclass(frozen=True)
class Counts:
    """How many in the last hour, day and week."""

    hour: int = 0
    day: int = 0
    week: int = 0


@dataclass(frozen=True)
class WayIn:
    """One channel, or one configured source of it.

    `received` are signals, `repeated` deliveries of signals that were there, `rejected` what could not become one; a
    reject that came several times counts once, when it came last. `lag_seconds` is the median time between happening
    and being received of the newest signals of the week. `last_success_at` is the newest delivery, a repeat too.
    """

    channel: str
    source_id: int | None
    name: str
    is_active: bool = True
    last_success_at: datetime | None = None
    last_error_at: datetime | None = None
    last_error: str = ""
    received: Counts = field(default_factory=Counts)
    repeated: Counts = field(default_factory=Counts)
    rejected: Counts = field(default_factory=Counts)
    open_rejects: int = 0
    lag_seconds: float | None = None
    polled_at: datetime | None = None

    @property
    def standing(self) -> Standing:
        """Failing: the newest thing that happened was a failure."""
        if not self.is_active:
            return Standing.OFF
        if self.last_error_at is not None and (
            self.last_success_at is None or self.last_success_at < self.last_error_at
        ):
            return Standing.FAILING
        if self.last_success_at is None:
            return Standing.NEVER
        return Standing.OK if self.received.week or self.repeated.week else Standing.IDLE


def ingest_health(*, org: Organization, at: datetime) -> list[WayIn]:
    """Every channel and every configured source at a time, in three statements: channels first, sources by name."""
    params: dict[str, Any] = {"org": org.pk, "lag_of": LAG_OF, "channels": [str(each) for each in Channel]}
    params |= {f"since_{name}": at - span for name, span in _SPANS}
    params |= {"kinds": list(CHANNEL_OF_KIND), "channels_of_kinds": list(CHANNEL_OF_KIND.values())}
    rows = asked(_HEALTH, params)
    imports = _imports(org, at)
    found = [_way(row) for row in rows]
    return [
        _with_imports(way, imports) if way.channel == Channel.CSV and way.source_id is None else way for way in found
    ]


def _way(row: Mapping[str, Any]) -> WayIn:
    errors = [
        (row["rejected_at"], row["reason"] or ""),
        (row["failed_at"], row["failure"] or ""),
    ]
    last_error_at, last_error = max(
        ((when, said) for when, said in errors if when is not None), default=(None, ""), key=lambda each: each[0]
    )
    name = row["name"] or Channel(row["channel"]).label
    return WayIn(
        channel=row["channel"],
        source_id=row["source_id"],
        name=str(name),
        is_active=row["is_active"],
        last_success_at=row["delivered_at"],
        last_error_at=last_error_at,
        last_error=last_error,
        received=Counts(row["received_hour"], row["received_day"], row["received_week"]),
        repeated=Counts(row["repeated_hour"], row["repeated_day"], row["repeated_week"]),
        rejected=Counts(row["rejected_hour"], row["rejected_day"], row["rejected_week"]),
        open_rejects=row["open_rejects"],
        lag_seconds=None if row["lag_seconds"] is None else round(float(row["lag_seconds"]), 1),
        polled_at=row["polled_at"],
    )


def _imports(org: Organization, at: datetime) -> dict[str, Any]:
    """What CSV imports rejected: their rows are kept with the import and are no rejects."""
    bad = Q(rejected_count__gt=0) | ~Q(failure="")
    rows = ImportRun.objects.for_org(org).filter(bad, started_at__isnull=False)
    newest = rows.order_by("-started_at", "-pk").values("file_name", "failure", "rejected_count", "started_at")[:1]
    counts = {name: Sum("rejected_count", filter=Q(started_at__gte=at - span), default=0) for name, span in _SPANS}
    return {"newest": list(newest), "rejected": Counts(**rows.aggregate(**counts))}


def _with_imports(way: WayIn, imports: Mapping[str, Any]) -> WayIn:
    if not imports["newest"]:
        return way
    (run,) = imports["newest"]
    said = run["failure"] or f"{run['rejected_count']:,} rows of {run['file_name']} were rejected."
    return replace(way, last_error_at=run["started_at"], last_error=said, rejected=imports["rejected"])


def _lateral(same: str) -> str:
    """What the ledger says about the ways of one half; `same` compares the source, which NULL would not."""
    counted = ", ".join(
        f"count(*) FILTER (WHERE {'NOT ' * (name == 'received')}is_repeat AND received_at >= %(since_{span})s)"
        f" AS {name}_{span}"
        for name in ("received", "repeated")
        for span, _ in _SPANS
    )
    rejected = ", ".join(
        f"count(*) FILTER (WHERE last_received_at >= %(since_{span})s) AS rejected_{span}" for span, _ in _SPANS
    )
    mine = f"org_id = %(org)s AND channel = way.channel AND {same}"
    return f"""
    SELECT way.*, delivered.delivered_at, counted.*, rejected.*, newest.rejected_at, newest.reason,
        waiting.open_rejects, lag.lag_seconds
      FROM way
      LEFT JOIN LATERAL (
        SELECT received_at AS delivered_at FROM workstream_signaldelivery
         WHERE {mine} AND channel <> '' ORDER BY received_at DESC LIMIT 1) AS delivered ON true
      CROSS JOIN LATERAL (
        SELECT {counted} FROM workstream_signaldelivery
         WHERE {mine} AND channel <> '' AND received_at >= %(since_week)s) AS counted
      LEFT JOIN LATERAL (
        SELECT last_received_at AS rejected_at, reason FROM workstream_intakereject
         WHERE {mine} ORDER BY last_received_at DESC LIMIT 1) AS newest ON true
      CROSS JOIN LATERAL (
        SELECT {rejected} FROM workstream_intakereject
         WHERE {mine} AND last_received_at >= %(since_week)s) AS rejected
      CROSS JOIN LATERAL (
        SELECT count(*) AS open_rejects FROM workstream_intakereject WHERE {mine} AND status = 'open') AS waiting
      CROSS JOIN LATERAL (
        SELECT percentile_cont(0.5) WITHIN GROUP (ORDER BY extract(epoch FROM first.received_at - signal.ts))
                AS lag_seconds
          FROM (SELECT signal_id, received_at FROM workstream_signaldelivery
                 WHERE {mine} AND channel <> '' AND NOT is_repeat AND received_at >= %(since_week)s
                 ORDER BY received_at DESC LIMIT %(lag_of)s) AS first
          JOIN workstream_signal AS signal ON signal.org_id = %(org)s AND signal.id = first.signal_id) AS lag
    """  # noqa: S608  the pieces are this module's own


_HEALTH = f"""
WITH door AS (
    SELECT channel, NULL::bigint AS source_id, NULL::text AS name, true AS is_active, NULL::timestamptz AS polled_at,
        NULL::timestamptz AS failed_at, NULL::text AS failure, place
      FROM unnest(%(channels)s::text[]) WITH ORDINALITY AS listed (channel, place)
), source AS (
    SELECT of_kind.channel, source.id AS source_id, source.name::text, source.is_active, source.polled_at,
        source.failed_at, source.failure::text, 1000 + row_number() OVER (ORDER BY source.name, source.id) AS place
      FROM workstream_intakesource AS source
      JOIN unnest(%(kinds)s::text[], %(channels_of_kinds)s::text[]) AS of_kind (kind, channel)
        ON of_kind.kind = source.kind
     WHERE source.org_id = %(org)s
)
SELECT * FROM (
    {_lateral("source_id IS NULL").replace("FROM way", "FROM door AS way")}
    UNION ALL
    {_lateral("source_id = way.source_id").replace("FROM way", "FROM source AS way")}
) AS ways ORDER BY place
"""  # noqa: S608  the pieces are this module's own
