"""The queue of conflicts: two atoms that contradict each other, decided by a person."""

from __future__ import annotations

from typing import Any

from django import forms
from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest
from unfold.contrib.filters.admin import DropdownFilter
from unfold.decorators import display

from flowledger.backoffice.forms import TransitionForm
from flowledger.backoffice.navigation import Group, Menu
from flowledger.backoffice.requests import actor_of, org_of
from flowledger.backoffice.transition_admin import TransitionAdmin, TransitionButton
from memory import services
from memory.admin.atoms import GONE, SHOWN_IN_LIST, about
from memory.machines import ConflictStatus
from memory.models import ENTITY_MODELS, AtomConflict
from memory.services.conflicts import MOST_NOTE, readable_conflicts, undecided
from workstream.admin.columns import ago, badge
from workstream.admin.items import link_to

LOOKS = {ConflictStatus.OPEN.value: "warning", ConflictStatus.RESOLVED.value: "success"}
# The number in the menu goes no further: beyond it nobody counts.
MOST_COUNTED = 999


def to_decide(request: HttpRequest) -> int:
    """How many wait to be decided; the number in the menu."""
    rows = undecided(readable_conflicts(org_of(request), actor_of(request)))
    return int(rows.order_by()[:MOST_COUNTED].count())


class ResolutionForm(TransitionForm):
    kept = forms.ChoiceField(
        label="Which holds",
        choices=[("newer", "The newer one"), ("older", "The older one"), ("both", "Both")],
        widget=forms.RadioSelect,
    )
    note = forms.CharField(max_length=MOST_NOTE, required=False, widget=forms.Textarea(attrs={"rows": 3}))

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        conflict: Any = self.item
        said = {"newer": conflict.newer.content or GONE, "older": conflict.older.content or GONE}
        kept: Any = self.fields["kept"]
        kept.choices = [(value, f"{label}: {said[value]}" if value in said else label) for value, label in kept.choices]


class QueueFilter(DropdownFilter):
    """The queue is what is to be decided, unless somebody asks for the rest."""

    title = "decision"
    parameter_name = "status"
    all_option = ["", "To be decided"]

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [(ConflictStatus.RESOLVED.value, "Resolved"), ("all", "All")]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        if self.value() is None:
            return undecided(queryset)
        return queryset if self.value() == "all" else queryset.filter(status=self.value())


@admin.register(AtomConflict)
class AtomConflictAdmin(TransitionAdmin):
    """Conflicts of atoms that the person may read, newest first."""

    menu = Menu(Group.WORK, icon="compare_arrows", order=65, title="Memory conflicts", count=to_decide)
    add_role = change_role = delete_role = None
    list_display = ("older_said", "newer_said", "entity", "status_badge", "found")
    list_display_links = ("older_said", "newer_said")
    list_select_related = ("older", "newer", *(f"newer__{name}" for name in ENTITY_MODELS))
    list_filter = (QueueFilter,)
    ordering = ("-pk",)
    fields = (
        *("entity", "older_shown", "newer_shown", "slot", "kept", "note"),
        *("found_at", "resolved_at", "resolved_by"),
    )
    readonly_fields = ("entity", "older_shown", "newer_shown")
    transitions = (
        TransitionButton(
            "resolve",
            service=services.resolve_atom_conflict,
            label="Decide",
            verb="resolve_atom_conflict",
            argument="conflict_id",
            form=ResolutionForm,
            icon="check",
            variant="primary",
            explanation="The one that does not hold is superseded by the other; with both, they stay as they are.",
            success="It was decided.",
        ),
    )

    status_badge = badge("status", LOOKS, description="State")
    found = ago("found_at", description="Found")

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        readable = readable_conflicts(org_of(request), actor_of(request))
        return super().get_queryset(request).filter(pk__in=readable.values("pk"))

    @display(description="About")
    def entity(self, obj: AtomConflict) -> str:
        return about(obj.newer)

    @display(description="Older")
    def older_said(self, obj: AtomConflict) -> str:
        return (obj.older.content or GONE)[:SHOWN_IN_LIST]

    @display(description="Newer")
    def newer_said(self, obj: AtomConflict) -> str:
        return (obj.newer.content or GONE)[:SHOWN_IN_LIST]

    @display(description="Older")
    def older_shown(self, obj: AtomConflict) -> str:
        return link_to(obj.older, f"{obj.older.occurred_at:%Y-%m-%d}: {obj.older.content or GONE}")

    @display(description="Newer")
    def newer_shown(self, obj: AtomConflict) -> str:
        return link_to(obj.newer, f"{obj.newer.occurred_at:%Y-%m-%d}: {obj.newer.content or GONE}")
