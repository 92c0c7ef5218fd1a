"""Which state an item was in, from when to when, who moved it and through which door."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Self

from django.db import models, transaction

from flowledger.outbox.recording import RecordingModel
from flowledger.tenancy.actors import Actor, ActorKind, Origin
from flowledger.tenancy.constraints import tenant_constraints
from flowledger.tenancy.fields import OrgForeignKey
from flowledger.tenancy.models import OrgModel
from workstream.machines import state_field


class StageHistory(OrgModel):
    """One stay of a candidate or pursuit in one state; `left_at` is null while it lasts.

    `is_inferred` marks stays whose times an import had to guess; velocity leaves them out.
    """

    candidate = OrgForeignKey(
        "workstream.Candidate", models.CASCADE, null=True, blank=True, related_name="stage_history"
    )
    pursuit = OrgForeignKey("workstream.Pursuit", models.CASCADE, null=True, blank=True, related_name="stage_history")
    state = models.CharField(max_length=20)
    entered_at = models.DateTimeField()
    left_at = models.DateTimeField(null=True, blank=True)
    # The state that followed, so that conversion is counted without looking at the next row.
    left_for = models.CharField(max_length=20, blank=True, default="", db_default="")
    actor_kind = models.CharField(max_length=10, choices=ActorKind.choices)
    actor_id = models.BigIntegerField(null=True, blank=True)
    actor_label = models.CharField(max_length=150, blank=True)
    origin = models.CharField(max_length=10, choices=Origin.choices)
    is_inferred = models.BooleanField(default=False)

    class Meta(OrgModel.Meta):
        verbose_name_plural = "stage history"
        constraints = [
            *tenant_constraints("stage_history", candidate="workstream.Candidate", pursuit="workstream.Pursuit"),
            models.CheckConstraint(
                condition=models.Q(candidate__isnull=False, pursuit__isnull=True)
                | models.Q(candidate__isnull=True, pursuit__isnull=False),
                name="stage_history_one_item",
            ),
            models.CheckConstraint(
                condition=models.Q(left_at__isnull=True) | models.Q(left_at__gte=models.F("entered_at")),
                name="stage_history_forward",
            ),
            # An item is in one state at a time.
            models.UniqueConstraint(
                fields=["org", "candidate"],
                condition=models.Q(left_at__isnull=True, candidate__isnull=False),
                name="stage_history_candidate_now",
            ),
            models.UniqueConstraint(
                fields=["org", "pursuit"],
                condition=models.Q(left_at__isnull=True, pursuit__isnull=False),
                name="stage_history_pursuit_now",
            ),
        ]
        indexes = [
            # The timeline of one item.
            models.Index(
                fields=["org", "candidate", "entered_at"],
                condition=models.Q(candidate__isnull=False),
                name="stage_history_candidate",
            ),
            models.Index(
                fields=["org", "pursuit", "entered_at"],
                condition=models.Q(pursuit__isnull=False),
                name="stage_history_pursuit",
            ),
            # Velocity of a range of months, read in the index alone.
            models.Index(
                fields=["org", "entered_at"],
                include=["state", "left_at", "left_for", "is_inferred"],
                name="stage_history_velocity",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.state} from {self.entered_at:%Y-%m-%d}"


@dataclass(frozen=True)
class Step:
    """A move that a transition method noted and `save()` will write."""

    state: str
    actor: Actor
    at: datetime
    is_inferred: bool = False


class StagedModel(RecordingModel):
    """A row with a state machine whose every move is kept in the stage history.

    Transition methods call `enter()`; `save()` writes row, events and history in one transaction.
    """

    state_entered_at = models.DateTimeField(editable=False)

    class Meta(RecordingModel.Meta):
        abstract = True

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._steps: list[Step] = []
        # The state that the last move of this object left; None before any.
        self.previous_state: str | None = None

    def enter(self, state: str, *, actor: Actor, at: datetime, is_inferred: bool = False) -> None:
        """Note the entry into a state; never earlier than the entry into the one before."""
        if self.state_entered_at is not None:
            at = max(at, self.state_entered_at)
        self.state_entered_at = at
        # Transition bodies run before the state changes.
        self.previous_state = str(state_field(type(self)).get_state(self))
        self._steps.append(Step(str(state), actor, at, is_inferred))

    def save(self, **kwargs: Any) -> None:
        steps, self._steps = self._steps, []
        update_fields = kwargs.get("update_fields")
        if steps and update_fields is not None:
            kwargs["update_fields"] = {*update_fields, "state_entered_at"}
        with transaction.atomic():
            was_new = self._state.adding
            super().save(**kwargs)
            if not steps:
                return
            if not was_new:
                StageHistory.objects.for_org(self.org_id).filter(
                    **{self._history_field: self.pk}, left_at__isnull=True
                ).update(
                    left_at=steps[0].at,
                    left_for=steps[0].state,
                    **({"is_inferred": True} if steps[0].is_inferred else {}),
                )
            StageHistory.objects.for_org(self.org_id).bulk_create(self._stays(steps))

    @property
    def _history_field(self) -> str:
        return self._meta.model_name or ""

    def _stays(self, steps: Sequence[Step]) -> list[StageHistory]:
        return [
            StageHistory(
                org_id=self.org_id,
                state=step.state,
                entered_at=step.at,
                left_at=following.at if following else None,
                left_for=following.state if following else "",
                actor_kind=step.actor.kind,
                actor_id=step.actor.pk,
                actor_label=step.actor.label,
                origin=step.actor.origin,
                # A guessed entry into the next state is a guessed end of this one.
                is_inferred=step.is_inferred or (following is not None and following.is_inferred),
                **{f"{self._history_field}_id": self.pk},
            )
            for step, following in zip(steps, [*steps[1:], None], strict=True)
        ]

    @classmethod
    def bulk_history(cls, items: Sequence[Self]) -> None:
        """Write the noted steps of many new rows in one statement, for imports."""
        rows: list[StageHistory] = []
        for item in items:
            rows += item._stays(item._steps)
            item._steps = []
        if rows:
            StageHistory.objects.for_org(rows[0].org_id).bulk_create(rows, batch_size=2000)
