"""What happened and where its delivery stands: events with their dead letters, and outgoing emails."""

from __future__ import annotations

import json
from typing import Any

from django import forms
from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils.html import format_html, format_html_join
from unfold.contrib.filters.admin import DropdownFilter
from unfold.decorators import display
from unfold.paginator import InfinitePaginator

from flowledger.backoffice.forms import TransitionForm
from flowledger.backoffice.navigation import Group, Menu
from flowledger.backoffice.org_admin import ReadOnlyOrgAdmin
from flowledger.backoffice.services import INVITATION_KEY
from flowledger.backoffice.transition_admin import TransitionAdmin, TransitionButton, bulk_transition
from flowledger.outbox import services
from flowledger.outbox.events import catalogue
from flowledger.outbox.models import HandlerFailure, OutgoingEmail, WorkEvent
from flowledger.tenancy.actors import Role

DELIVERY = [("pending", "Pending"), ("handled", "Handled"), ("dead", "Dead letter"), ("discarded", "Discarded")]


class EventNameFilter(DropdownFilter):
    """By name, from the catalogue: the table itself is too large to be asked for its names."""

    title = "event"
    parameter_name = "event"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return sorted((entry.name, entry.name) for entry in catalogue())

    def queryset(self, request: HttpRequest, queryset: QuerySet[WorkEvent]) -> QuerySet[WorkEvent]:
        return queryset.filter(event_name=self.value()) if self.value() else queryset


class DeliveryFilter(DropdownFilter):
    """By the state of the delivery; dead letters are what needs somebody."""

    title = "delivery"
    parameter_name = "delivery"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return DELIVERY

    def queryset(self, request: HttpRequest, queryset: Any) -> Any:
        match self.value():
            case "pending":
                return queryset.pending()
            case "handled":
                return queryset.filter(processed_at__isnull=False)
            case "dead":
                return queryset.dead()
            case "discarded":
                return queryset.discarded()
        return queryset


class DiscardForm(TransitionForm):
    reason = forms.CharField(widget=forms.Textarea(attrs={"rows": 3}), help_text="Stays with the event for ever.")


def _is_dead(event: WorkEvent) -> bool:
    return event.dead_letter_at is not None and event.discarded_at is None


RETRY = TransitionButton(
    "retry",
    service=services.retry_dead_letter,
    label="Retry",
    verb="operate_outbox",
    argument="event_id",
    shown=_is_dead,
    icon="replay",
    variant="primary",
    success="The event is delivered again.",
)
DISCARD = TransitionButton(
    "discard",
    service=services.discard_dead_letter,
    label="Discard",
    verb="operate_outbox",
    argument="event_id",
    form=DiscardForm,
    shown=_is_dead,
    icon="delete",
    variant="danger",
    explanation="The event leaves the list of dead letters and is not delivered any more. What happened stays.",
    success="The event is discarded.",
)


@admin.register(WorkEvent)
class WorkEventAdmin(TransitionAdmin):
    """Events as they were recorded; dead letters are retried or discarded here."""

    menu = Menu(Group.OPERATIONS, icon="history", order=10, title="Events")
    view_role = Role.MANAGER
    add_role = change_role = delete_role = None
    paginator = InfinitePaginator
    list_display = ["event_name", "item", "actor_label", "origin", "occurred_at", "delivery", "attempts"]
    list_filter = [EventNameFilter, DeliveryFilter]
    ordering = ["-pk"]
    actions = [bulk_transition(RETRY)]
    transitions = [RETRY, DISCARD]
    readonly_fields = ["item", "delivery", "facts", "failures"]
    fieldsets = [
        (None, {"fields": ["event_name", "item", "actor_label", "origin", "occurred_at", "recorded_at", "facts"]}),
        ("Trace", {"fields": ["correlation_id", "causation_id", "dedupe_key"]}),
        (
            "Delivery",
            {"fields": ["delivery", "attempts", "available_at", "processed_at", "dead_letter_at", "failures"]},
        ),
        ("By hand", {"fields": ["retried_by", "retried_at", "discarded_by", "discarded_at", "discard_reason"]}),
    ]

    @display(description="item")
    def item(self, event: WorkEvent) -> str:
        return f"{event.item_type} {event.item_id}" if event.item_type else ""

    @display(
        description="delivery",
        label={"Pending": "info", "Handled": "success", "Dead letter": "danger", "Discarded": "warning"},
    )
    def delivery(self, event: WorkEvent) -> str:
        if event.discarded_at is not None:
            return "Discarded"
        if event.dead_letter_at is not None:
            return "Dead letter"
        return "Handled" if event.processed_at is not None else "Pending"

    @display(description="payload")
    def facts(self, event: WorkEvent) -> str:
        text = json.dumps(event.payload, indent=2, ensure_ascii=False, sort_keys=True)
        return format_html('<pre class="overflow-auto text-xs">{}</pre>', text)

    @display(description="failures of handlers")
    def failures(self, event: WorkEvent) -> str:
        rows = HandlerFailure.objects.for_org(event.org_id).filter(event_id=event.pk).order_by("handler")
        lines = ((row.handler, row.attempt, row.error) for row in rows)
        return format_html_join("", "<p><b>{}</b>, attempt {}: {}</p>", lines)


@admin.register(OutgoingEmail)
class OutgoingEmailAdmin(ReadOnlyOrgAdmin):
    """What was or will be sent; nothing can be changed here."""

    menu = Menu(Group.OPERATIONS, icon="outgoing_mail", order=20)
    view_role = Role.MANAGER
    paginator = InfinitePaginator
    list_display = ["subject", "recipients", "status_label", "attempts", "created_at", "sent_at"]
    list_filter = ["status"]
    ordering = ["-pk"]
    readonly_fields = ["recipients", "text"]
    fieldsets = [
        (None, {"fields": ["subject", "recipients", "from_email", "text"]}),
        ("Sending", {"fields": ["status", "attempts", "created_at", "sent_at", "message_id", "last_error", "key"]}),
    ]

    @display(description="to")
    def recipients(self, message: OutgoingEmail) -> str:
        return ", ".join(message.to)

    @display(description="status", label={"Queued": "info", "Sending": "info", "Sent": "success", "Given up": "danger"})
    def status_label(self, message: OutgoingEmail) -> str:
        return message.get_status_display()

    @display(description="text")
    def text(self, message: OutgoingEmail) -> str:
        if message.key.startswith(INVITATION_KEY):
            return "Not shown: it may hold a personal link."
        return message.body
