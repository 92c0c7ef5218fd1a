"""Activities, tasks and links across all items."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.http import HttpRequest, HttpResponseRedirect
from django.http.response import HttpResponseBase
from django.utils.timezone import now
from unfold.contrib.filters.admin import RangeDateFilter
from unfold.decorators import display

from flowledger.backoffice.navigation import Group, Menu
from flowledger.backoffice.org_admin import OrgAdmin, ReadOnlyOrgAdmin
from flowledger.backoffice.requests import actor_of, org_of
from flowledger.backoffice.transition_admin import TransitionAdmin, TransitionButton
from flowledger.tenancy.actors import Role
from workstream import services
from workstream.admin.columns import TASK_COLOURS, badge
from workstream.admin.inlines import TaskForm, may_finish
from workstream.admin.items import link_to, page_of
from workstream.models import Activity, Task, WorkItemLink
from workstream.models.activities import ITEM_MODELS

ITEMS = tuple(ITEM_MODELS)


class AnyItemTaskForm(TaskForm):
    """A task about whichever item is chosen."""

    def chosen(self) -> list[str]:
        """Which kinds of items were chosen."""
        return [name for name in ITEMS if self.cleaned_data.get(name) is not None]

    def _post_clean(self) -> None:
        # Before the model's own validation, whose constraint speaks to developers.
        if len(self.chosen()) == 1:
            super()._post_clean()  # type: ignore[misc]
        else:
            self.add_error(None, "Choose exactly one item that the task is about.")


class ItemColumn:
    """Shows which item a row hangs off. The list needs `list_select_related = ITEMS`."""

    @display(description="About")
    def item(self, obj: Any) -> str:
        return link_to(getattr(obj, obj.item_type))


@admin.register(Activity)
class ActivityAdmin(ItemColumn, ReadOnlyOrgAdmin):
    """What was done, last logged first. Logged on the page of the item."""

    menu = Menu(Group.WORK, icon="forum", order=20)
    list_display = ("summary", "kind", "direction", "item", "actor_label", "happened_at")
    list_select_related = ITEMS
    list_filter = ("kind", "direction", ("happened_at", RangeDateFilter))
    ordering = ("-pk",)
    fields = ("item", "kind", "direction", "summary", "body", "happened_at", "actor_label", "origin", "created_at")
    readonly_fields = ("item",)


@admin.register(Task)
class TaskAdmin(ItemColumn, TransitionAdmin):
    """What is to be done; done and dropped by buttons."""

    menu = Menu(Group.WORK, icon="task_alt", order=10)
    form = AnyItemTaskForm
    change_role = delete_role = None
    list_display = ("title", "status_badge", "item", "assignee", "due_at")
    list_select_related = (*ITEMS, "assignee")
    list_filter = ("status", "assignee", ("due_at", RangeDateFilter))
    search_fields = ("title",)
    ordering = ("-status", "due_at", "pk")
    readonly_fields = ("item",)
    transitions = (
        TransitionButton(
            "complete",
            service=services.complete_task,
            label="Done",
            verb="edit_task",
            variant="primary",
            icon="check",
            success="The task is done.",
        ),
        TransitionButton(
            "cancel", service=services.cancel_task, label="Drop", verb="edit_task", success="The task was dropped."
        ),
    )

    status_badge = badge("status", TASK_COLOURS, description="Status")

    def get_fieldsets(self, request: HttpRequest, obj: Any = None) -> Any:
        if obj is None:
            about = "Choose the one item that the task is about."
            return [
                (None, {"fields": ("title", "assignee", "due_at")}),
                ("About", {"fields": ITEMS, "description": about}),
            ]
        fields = ("title", "item", "assignee", "due_at", "status", "done_at", "created_by_rule", "created_at")
        return [(None, {"fields": fields})]

    def save_through(self, request: HttpRequest, obj: Any, form: Any, change: bool) -> Any:
        (item_type,) = form.chosen()
        return services.create_task(
            org=org_of(request),
            item_type=item_type,
            item_id=getattr(obj, f"{item_type}_id"),
            title=obj.title,
            assignee=obj.assignee,
            due_at=obj.due_at,
            actor=actor_of(request),
            at=now(),
        )

    def allows_button(self, request: HttpRequest, button: TransitionButton, obj: Any) -> bool:
        return may_finish(actor_of(request), obj)

    def transition_done(
        self, request: HttpRequest, button: TransitionButton, obj: Any, result: Any
    ) -> HttpResponseBase:
        """Back to where the button was: `?back=item` on the pages of items."""
        response = super().transition_done(request, button, obj, result)
        if request.GET.get("back") == "item":
            return HttpResponseRedirect(page_of(getattr(obj, obj.item_type)))
        return response


@admin.register(WorkItemLink)
class WorkItemLinkAdmin(ItemColumn, OrgAdmin):
    """Pointers from items to elsewhere; added on the page of the item."""

    menu = Menu(Group.WORK, icon="link", order=30)
    add_role = change_role = None
    delete_role = Role.REP
    list_display = ("__str__", "link_type", "item", "created_at")
    list_select_related = ITEMS
    list_filter = ("link_type",)
    ordering = ("-pk",)
    fields = ("item", "link_type", "target_ref", "target_type", "title", "created_at")
    readonly_fields = ("item",)
