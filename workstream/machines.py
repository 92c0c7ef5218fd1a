"""The fixed state machines of the pipeline and the one test of legality that every door uses."""

from __future__ import annotations

from typing import Any

from django.db import models
from django_fsm import FSMFieldMixin

from flowledger.errors import InvalidTransition


class SignalDisposition(models.TextChoices):
    """What became of a signal."""

    NEW = "new", "New"
    LINKED = "linked", "Linked"
    DUPLICATE = "duplicate", "Duplicate"
    MERGED = "merged", "Merged"
    REJECTED = "rejected", "Rejected"


class CandidateStatus(models.TextChoices):
    """States of a qualified lead."""

    NEW = "new", "New"
    TRIAGED = "triaged", "Triaged"
    NURTURE = "nurture", "Nurture"
    ON_HOLD = "on_hold", "On hold"
    PROMOTED = "promoted", "Promoted"
    ARCHIVED = "archived", "Archived"


class PursuitStage(models.TextChoices):
    """Stages of an active opportunity; pink and red are the two reviews."""

    QUAL = "qual", "Qualification"
    PINK = "pink", "Pink review"
    RED = "red", "Red review"
    SUBMIT = "submit", "Submitted"
    WON = "won", "Won"
    LOST = "lost", "Lost"


CLOSED_STAGES = (PursuitStage.WON, PursuitStage.LOST)
OPEN_STAGES = tuple(stage for stage in PursuitStage if stage not in CLOSED_STAGES)


class ProposalStatus(models.TextChoices):
    """States of one version of a proposal."""

    DRAFT = "draft", "Draft"
    SENT = "sent", "Sent"
    SIGNED = "signed", "Signed"
    VOID = "void", "Void"


class TaskStatus(models.TextChoices):
    """States of a task."""

    OPEN = "open", "Open"
    DONE = "done", "Done"
    CANCELLED = "cancelled", "Cancelled"


class RejectStatus(models.TextChoices):
    """States of what came in and could not become a signal."""

    OPEN = "open", "To be fixed"
    REPLAYED = "replayed", "Replayed"
    DISCARDED = "discarded", "Discarded"


class ImportStatus(models.TextChoices):
    """States of a CSV import."""

    UPLOADED = "uploaded", "Uploaded"
    RUNNING = "running", "Running"
    DONE = "done", "Done"
    CANCELLED = "cancelled", "Cancelled"
    UNDOING = "undoing", "Being undone"
    UNDONE = "undone", "Undone"


def state_field(model: type[models.Model]) -> FSMFieldMixin:
    """The one state field of a model with a machine. Raises LookupError for a model without."""
    for field in model._meta.concrete_fields:
        if isinstance(field, FSMFieldMixin):
            found: FSMFieldMixin = field
            return found
    raise LookupError(f"{model.__name__} has no state machine.")


def machine_table(model: type[models.Model]) -> dict[str, dict[str, str]]:
    """The machine of a model as {source: {target: verb}}, read from its transition methods."""
    field = state_field(model)
    table: dict[str, dict[str, str]] = {str(value): {} for value, _ in field.choices or ()}
    for transition in field.get_all_transitions(model):
        table[str(transition.source)][str(transition.target)] = transition.name
    return table


def allowed_targets(item: models.Model) -> dict[str, str]:
    """The states that the item may go to now, each with the verb that goes there."""
    field = state_field(type(item))
    return machine_table(type(item))[str(field.get_state(item))]


def require_legal(item: models.Model, *, to: str) -> str:
    """The verb that leads to the state `to`. Raises InvalidTransition with the states that are allowed."""
    allowed = allowed_targets(item)
    verb = allowed.get(str(to))
    if verb is None:
        current: Any = state_field(type(item)).get_state(item)
        raise InvalidTransition(
            state_machine=type(item)._meta.model_name or "",
            current_state=str(current),
            attempted_state=str(to),
            allowed=allowed,
        )
    return verb
