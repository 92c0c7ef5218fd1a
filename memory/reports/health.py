"""Whether memory keeps up: what waits of it and for how long, each beside its target and said in a sentence."""

from __future__ import annotations

from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any, Final

from flowledger.outbox.health import OrganizationOutbox, organization_outbox
from flowledger.tenancy.models import Organization
from memory.embeddings import Choice, chosen
from memory.reports.views import MemoryHealth
from workstream.reports import HealthFigure, Report

# From event to searchable atom, and from a change to the card that shows it (memory.md, Figures and Cards).
CAPTURE_SECONDS: Final = Decimal(5)
CARD_SECONDS: Final = Decimal(120)
# What is due is archived every ten minutes; an hour is six missed turns.
ARCHIVE_SECONDS: Final = Decimal(3_600)
TERM_HOURS: Final = 24
LEAST_EMBEDDED_PERCENT: Final = Decimal(95)
ERASED_DAYS: Final = 7


def memory_health(*, org: Organization, at: datetime) -> Report:
    """The one row of the organisation, and what it says beside its targets."""
    names = [field.attname for field in MemoryHealth._meta.concrete_fields if field.attname != "org_id"]
    row: dict[str, Any] = MemoryHealth.objects.for_org(org).values(*names).get()
    figures = [
        _capture(organization_outbox(org=org)),
        _cards(row),
        _archiving(row),
        _extraction(row),
        _terms(row, at=at),
        _vectors(row, chosen()),
        _erasure(row, at=at),
    ]
    return Report(rows=[row], health=figures)


def _capture(backlog: OrganizationOutbox) -> HealthFigure:
    waited = backlog["oldest_due_seconds"]
    return HealthFigure(
        name="capture_lag",
        label="Capture lag",
        value=waited,
        target=f"under {CAPTURE_SECONDS} seconds",
        unit="seconds",
        is_met=waited < CAPTURE_SECONDS,
        sentence=f"{backlog['pending']:,} events wait to be captured, the oldest for {waited:.1f} seconds."
        if backlog["pending"]
        else "Every event was captured.",
    )


def _cards(row: dict[str, Any]) -> HealthFigure:
    waited = row["oldest_mark_seconds"] or Decimal(0)
    return HealthFigure(
        name="card_lag",
        label="Oldest card to be rebuilt",
        value=waited,
        target=f"under {CARD_SECONDS} seconds",
        unit="seconds",
        is_met=waited < CARD_SECONDS,
        sentence=f"{row['marks']:,} cards are to be rebuilt, {row['marks_due']:,} of them now."
        if row["marks"]
        else f"All of {row['cards']:,} cards are as they should be.",
    )


def _archiving(row: dict[str, Any]) -> HealthFigure:
    waited = row["oldest_due_seconds"] or Decimal(0)
    return HealthFigure(
        name="archive_lag",
        label="Oldest atom to be archived",
        value=waited,
        target=f"under {ARCHIVE_SECONDS} seconds",
        unit="seconds",
        is_met=waited < ARCHIVE_SECONDS,
        sentence=f"{row['due']:,} atoms have expired and are still shown." if row["due"] else "Nothing has expired.",
    )


def _extraction(row: dict[str, Any]) -> HealthFigure:
    failed, waiting = row["jobs_failed"], row["jobs_waiting"]
    return HealthFigure(
        name="failed_jobs",
        label="Failed extraction jobs",
        value=Decimal(failed),
        target="none",
        unit="jobs",
        is_met=failed == 0 if failed or waiting else None,
        sentence=f"The language model failed at {failed:,} texts, and {waiting:,} wait for it."
        if failed or waiting
        else "Nothing waits for a language model.",
    )


def _terms(row: dict[str, Any], *, at: datetime) -> HealthFigure:
    refreshed: datetime | None = row["terms_refreshed_at"]
    hours = None if refreshed is None else (Decimal((at - refreshed).total_seconds()) / 3600).quantize(Decimal("0.1"))
    is_met = None
    if row["active"]:
        is_met = hours is not None and hours < TERM_HOURS
    return HealthFigure(
        name="term_age",
        label="Age of the term statistics",
        value=hours,
        target=f"under {TERM_HOURS} hours",
        unit="hours",
        is_met=is_met,
        sentence="The terms were never counted; search ranks every word alike."
        if refreshed is None and row["active"]
        else f"The terms were counted {hours} hours ago."
        if hours is not None
        else "There is nothing to count yet.",
    )


def _vectors(row: dict[str, Any], choice: Choice) -> HealthFigure:
    """Without a backend search is lexical by choice; one that cannot be used, or that lags behind, is a trouble."""
    whole, embedded = row["open_to_all"], row["embedded"]
    is_asked = bool(whole and (embedded or choice.embedder))
    share = (Decimal(100 * embedded) / whole).quantize(Decimal("0.1")) if is_asked else None
    is_met = None if share is None else share >= LEAST_EMBEDDED_PERCENT
    sentence = (
        f"{embedded:,} of {whole:,} active atoms are found by meaning as well."
        if is_asked
        else "No vectors are made; search goes by words."
    )
    return HealthFigure(
        name="vector_coverage",
        label="Atoms with a vector",
        value=share,
        target=f"at least {LEAST_EMBEDDED_PERCENT} %",
        unit="percent",
        is_met=False if choice.trouble else is_met,
        sentence=f"Search goes by words alone: {choice.trouble}" if choice.trouble else sentence,
    )


def _erasure(row: dict[str, Any], *, at: datetime) -> HealthFigure:
    oldest: datetime | None = row["oldest_unerased_at"]
    waited = None if oldest is None else (Decimal((at - oldest).total_seconds()) / 86_400).quantize(Decimal("0.1"))
    return HealthFigure(
        name="erasure_lag",
        label="Oldest redaction to be wiped from the files",
        value=waited,
        target=f"under {ERASED_DAYS} days",
        unit="days",
        is_met=None if not row["redactions"] else oldest is None or at - oldest < timedelta(days=ERASED_DAYS),
        sentence=f"{row['unerased']:,} of {row['redactions']:,} redactions wait for the database files to be rewritten."
        if row["unerased"]
        else "What was redacted is in no file of the database."
        if row["redactions"]
        else "Nothing was redacted.",
    )
