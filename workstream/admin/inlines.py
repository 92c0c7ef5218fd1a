"""Tables on the tabs of an item's page: activities, tasks, links, states, costs. Adding goes through services."""

from __future__ import annotations

from typing import Any, ClassVar

from django import forms
from django.http import HttpRequest
from django.urls import reverse
from django.utils.html import format_html, format_html_join
from django.utils.timezone import now
from unfold.decorators import display

from flowledger.backoffice.forms import OrgModelForm, style
from flowledger.backoffice.org_admin import OrgTabularInline
from flowledger.backoffice.requests import actor_of, org_of
from flowledger.tenancy.actors import Actor, Role
from flowledger.tenancy.permissions import may
from workstream import services
from workstream.machines import TaskStatus
from workstream.models import Activity, CostEntry, GateCheck, StageHistory, Task, WorkItemLink

# The empty form on every item page that buttons inside of the tabs belong to (templates/workstream/item.html).
ACTIONS_FORM = "item-actions"


class MomentForm(OrgModelForm):
    """Row forms with a moment that may stay empty get the browser's own picker."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        for field in self.fields.values():
            if type(field.widget) is forms.DateTimeInput:
                style(field)


class ActivityForm(MomentForm):
    happened_at = forms.DateTimeField(required=False, label="When (empty: now)", widget=forms.DateTimeInput)


class TaskForm(MomentForm):
    due_at = forms.DateTimeField(required=False, label="Due", widget=forms.DateTimeInput)


class ItemInline(OrgTabularInline):
    """Rows that hang off the item of the page; added, never changed."""

    tab = True
    show_count = True
    per_page = 20
    hide_title = True
    change_role: ClassVar[Role | None] = None
    delete_role: ClassVar[Role | None] = None

    @property
    def item_type(self) -> str:
        return self.parent_model._meta.model_name or ""


class ActivityInline(ItemInline):
    model = Activity
    form = ActivityForm
    fields = ("kind", "direction", "summary", "happened_at", "actor_label")
    readonly_fields = ("actor_label",)
    ordering = ("-happened_at", "-pk")
    verbose_name = "activity"
    verbose_name_plural = "activities"

    def save_through(self, request: HttpRequest, obj: Any, form: Any, change: bool) -> Any:
        return services.log_activity(
            org=org_of(request),
            item_type=self.item_type,
            item_id=getattr(obj, f"{self.item_type}_id"),
            kind=obj.kind,
            direction=obj.direction,
            summary=obj.summary,
            happened_at=form.cleaned_data["happened_at"],
            actor=actor_of(request),
            at=now(),
        )


class TaskInline(ItemInline):
    model = Task
    form = TaskForm
    fields = ("title", "assignee", "due_at", "status", "next_step")
    readonly_fields = ("next_step",)
    ordering = ("-status", "due_at", "pk")  # open before done and cancelled

    actor: Actor | None = None

    def get_queryset(self, request: HttpRequest) -> Any:
        return super().get_queryset(request).select_related("assignee", self.item_type)

    def get_formset(self, request: HttpRequest, obj: Any = None, **kwargs: Any) -> Any:
        # Inlines are made anew for every request.
        self.actor = actor_of(request)
        return super().get_formset(request, obj, **kwargs)

    @display(description="")
    def next_step(self, obj: Task) -> str:
        if obj.pk is None or obj.status != TaskStatus.OPEN or self.actor is None:
            return ""
        if not may_finish(self.actor, obj):
            return ""
        verbs = (("complete", "Done", "text-link"), ("cancel", "Drop", "text-subtle"))
        lines = (
            (ACTIONS_FORM, reverse("admin:workstream_task_transition", args=[obj.pk, verb]) + "?back=item", look, label)
            for verb, label, look in verbs
        )
        return format_html_join(
            " ",
            '<button type="submit" form="{}" formaction="{}" class="cursor-pointer font-medium mr-2 {}">{}</button>',
            lines,
        )

    def save_through(self, request: HttpRequest, obj: Any, form: Any, change: bool) -> Any:
        return services.create_task(
            org=org_of(request),
            item_type=self.item_type,
            item_id=getattr(obj, f"{self.item_type}_id"),
            title=obj.title,
            assignee=obj.assignee,
            due_at=form.cleaned_data["due_at"],
            actor=actor_of(request),
            at=now(),
        )


class LinkInline(ItemInline):
    model = WorkItemLink
    fields = ("link_type", "target_ref", "title")
    delete_role = Role.REP
    ordering = ("pk",)
    verbose_name = "link"

    def save_through(self, request: HttpRequest, obj: Any, form: Any, change: bool) -> Any:
        return services.link_item(
            org=org_of(request),
            item_type=self.item_type,
            item_id=getattr(obj, f"{self.item_type}_id"),
            link_type=obj.link_type,
            target_ref=obj.target_ref,
            title=obj.title,
            actor=actor_of(request),
            at=now(),
        )


class CostInline(ItemInline):
    model = CostEntry
    fields = ("role", "hours", "amount", "note", "spent_on")
    ordering = ("-spent_on", "-pk")
    verbose_name = "cost of sale"
    verbose_name_plural = "cost of sale"

    def save_through(self, request: HttpRequest, obj: Any, form: Any, change: bool) -> Any:
        return services.record_cost(
            org=org_of(request),
            pursuit_id=obj.pursuit_id,
            role=obj.role,
            hours=obj.hours,
            amount=obj.amount,
            note=obj.note,
            spent_on=obj.spent_on,
            actor=actor_of(request),
            at=now(),
        )


class StageHistoryInline(ItemInline):
    model = StageHistory
    add_role = None
    fields = ("state_name", "entered_at", "left_at", "actor_label", "origin", "is_inferred")
    readonly_fields = ("state_name",)
    ordering = ("-entered_at", "-pk")

    @display(description="State")
    def state_name(self, obj: StageHistory) -> str:
        return obj.state.replace("_", " ").capitalize()


class GateCheckInline(ItemInline):
    model = GateCheck
    add_role = None
    fields = ("gate", "passed", "missing", "actor_label", "origin", "checked_at")
    readonly_fields = ("missing",)
    ordering = ("-checked_at", "-pk")
    verbose_name = "gate check"

    @display(description="Missing")
    def missing(self, obj: GateCheck) -> str:
        return missing_names(obj)


def may_finish(actor: Actor, task: Task) -> bool:
    """As the services: whoever was given the task may finish it, whosever item it is on."""
    is_assignee = task.assignee_id is not None and task.assignee_id == actor.user_id
    return may(actor, "edit_task", None if is_assignee else task)


def missing_names(check: GateCheck) -> str:
    """What a gate missed, by name."""
    names = [str(miss.get("name", "")) if isinstance(miss, dict) else str(miss) for miss in check.unmet]
    return format_html("{}", ", ".join(names) or "–")
