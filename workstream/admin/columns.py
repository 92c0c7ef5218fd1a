"""Columns that several lists share: states as coloured labels, money, and how long ago something was."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from django.utils.html import format_html
from django.utils.timesince import timesince
from django.utils.timezone import now
from unfold.decorators import display

from workstream.machines import CandidateStatus, ProposalStatus, PursuitStage, SignalDisposition, TaskStatus
from workstream.models.candidates import ValueBand
from workstream.rendering import money

Column = Callable[[Any, Any], Any]

SIGNAL_COLOURS: Mapping[str, str] = {
    SignalDisposition.NEW.value: "info",
    SignalDisposition.LINKED.value: "success",
    SignalDisposition.DUPLICATE.value: "",
    SignalDisposition.MERGED.value: "",
    SignalDisposition.REJECTED.value: "",
}
CANDIDATE_COLOURS: Mapping[str, str] = {
    CandidateStatus.NEW.value: "info",
    CandidateStatus.TRIAGED.value: "primary",
    CandidateStatus.NURTURE.value: "warning",
    CandidateStatus.ON_HOLD.value: "warning",
    CandidateStatus.PROMOTED.value: "success",
    CandidateStatus.ARCHIVED.value: "",
}
BAND_COLOURS: Mapping[str, str] = {
    ValueBand.LOW.value: "",
    ValueBand.MEDIUM.value: "info",
    ValueBand.HIGH.value: "success",
}
PURSUIT_COLOURS: Mapping[str, str] = {
    PursuitStage.QUAL.value: "info",
    PursuitStage.PINK.value: "primary",
    PursuitStage.RED.value: "warning",
    PursuitStage.SUBMIT.value: "warning",
    PursuitStage.WON.value: "success",
    PursuitStage.LOST.value: "danger",
}
PROPOSAL_COLOURS: Mapping[str, str] = {
    ProposalStatus.DRAFT.value: "info",
    ProposalStatus.SENT.value: "warning",
    ProposalStatus.SIGNED.value: "success",
    ProposalStatus.VOID.value: "",
}
TASK_COLOURS: Mapping[str, str] = {
    TaskStatus.OPEN.value: "info",
    TaskStatus.DONE.value: "success",
    TaskStatus.CANCELLED.value: "",
}


def badge(field: str, colours: Mapping[str, str], *, description: str) -> Column:
    """A field with choices as a coloured label that sorts by the field."""

    def column(page: Any, obj: Any) -> tuple[str, str]:
        return str(getattr(obj, field)), str(getattr(obj, f"get_{field}_display")())

    shown: Column = display(description=description, ordering=field, label=dict(colours))(column)
    return shown


def ago(field: str, *, description: str) -> Column:
    """A moment as the time since then, exact on hovering."""

    def column(page: Any, obj: Any) -> str:
        moment = getattr(obj, field)
        if moment is None:
            return "–"
        return format_html(
            '<span title="{}" class="whitespace-nowrap">{} ago</span>',
            f"{moment:%Y-%m-%d %H:%M %Z}",
            timesince(moment, now(), depth=1),
        )

    shown: Column = display(description=description, ordering=field)(column)
    return shown


def amount(field: str, *, description: str) -> Column:
    """A sum of money with the currency of its row."""

    def column(page: Any, obj: Any) -> str:
        return money(getattr(obj, field), obj.currency)

    shown: Column = display(description=description, ordering=field)(column)
    return shown
