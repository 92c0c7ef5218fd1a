"""What happened and where its delivery stands: events with their dead letters, and outgoing emails."""

from __future__ import annotations

import json
from typing import Any

from django import forms
from django.contrib import admin, messages
from django.contrib.admin.helpers import ACTION_CHECKBOX_NAME
from django.db.models import QuerySet
from django.http import HttpRequest
from django.template.response import TemplateResponse
from django.utils.html import format_html, format_html_join
from django.utils.timezone import now
from unfold.contrib.filters.admin import DropdownFilter
from unfold.decorators import display
from unfold.forms import AdminForm
from unfold.paginator import InfinitePaginator

from flowledger.backoffice.forms import TransitionForm
from flowledger.backoffice.navigation import Group, Menu
from flowledger.backoffice.org_admin import ReadOnlyOrgAdmin
from flowledger.backoffice.requests import actor_of, org_of
from flowledger.backoffice.services import INVITATION_KEY
from flowledger.backoffice.transition_admin import TransitionAdmin, TransitionButton
from flowledger.outbox import services
from flowledger.outbox.events import catalogue
from flowledger.outbox.letters import MOST_LETTERS, Choice, LettersResult
from flowledger.outbox.models import HandlerFailure, OutgoingEmail, WorkEvent
from flowledger.outbox.registry import handlers
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


class FailedHandlerFilter(DropdownFilter):
    """By a handler that has failed and not succeeded since."""

    title = "failed handler"
    parameter_name = "handler"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [(each.name, each.name) for each in handlers()]

    def queryset(self, request: HttpRequest, queryset: Any) -> Any:
        return queryset.failed_in(self.value()) if self.value() else queryset


class DiscardForm(TransitionForm):
    reason = forms.CharField(widget=forms.Textarea(attrs={"rows": 3}), help_text="Stays with the event for ever.")


class RedactForm(TransitionForm):
    reason = forms.CharField(
        widget=forms.Textarea(attrs={"rows": 3}),
        help_text="Stays in the event that tells of the redaction; do not repeat what you take out.",
    )


def _is_dead(event: WorkEvent) -> bool:
    return event.dead_letter_at is not None and event.discarded_at is None


def _is_at_its_end(event: WorkEvent) -> bool:
    return event.redacted_at is None and (event.processed_at is not None or event.dead_letter_at is not None)


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


REDACT = TransitionButton(
    "redact",
    service=services.redact_event,
    label="Redact",
    verb="redact_event",
    argument="event_id",
    form=RedactForm,
    shown=_is_at_its_end,
    icon="ink_eraser",
    variant="danger",
    explanation="Every text of the payload is blanked for good, and so are the errors and tracebacks that may quote "
    "it. Numbers, ids and dates stay. A handler that is tried again sees the blanked payload.",
    success="The texts of the event are blanked.",
)


@admin.action(description="Retry the selected rows")
def retry_selected(page: WorkEventAdmin, request: HttpRequest, rows: Any) -> None:
    """Deliver the selected dead letters again, in one transaction, with one line per refusal."""
    choice = Choice(event_ids=page.chosen(request, rows))
    result = services.retry_dead_letters(org=org_of(request), choice=choice, actor=actor_of(request), at=now())
    page.tell(request, "Retry", result)


@admin.action(description="Discard the selected rows")
def discard_selected(page: WorkEventAdmin, request: HttpRequest, rows: Any) -> TemplateResponse | None:
    """Ask for the reason, then take the selected dead letters off the list, in one transaction."""
    ids = _keys(request.POST.get("event_ids", "")) or page.chosen(request, rows)
    asked = "event_ids" in request.POST
    form = DiscardForm(request.POST if asked else None, org=org_of(request), item=WorkEvent())
    if form.is_valid():
        result = services.discard_dead_letters(
            org=org_of(request),
            choice=Choice(event_ids=ids),
            reason=form.cleaned_data["reason"],
            actor=actor_of(request),
            at=now(),
        )
        page.tell(request, "Discard", result)
        return None
    context = {
        **page.admin_site.each_context(request),
        "title": "Discard",
        "opts": page.opts,
        "button": DISCARD,
        "number": len(ids),
        "adminform": AdminForm(form, [(None, {"fields": list(form.fields)})], {}, (), model_admin=page),
        "errors": form.errors,
        # The rows as they were when the question was asked: what dies meanwhile is not discarded unseen.
        "hidden": {
            "action": "discard_selected",
            "event_ids": ",".join(map(str, ids)),
            ACTION_CHECKBOX_NAME: ids[0] if ids else "",
        },
        "back": request.get_full_path(),
        "media": page.media + form.media,
    }
    status = 400 if form.errors else 200
    return TemplateResponse(request, "backoffice/selected_form.html", context, status=status)


def _keys(text: str) -> list[int]:
    return [int(part) for part in text.split(",") if part.isascii() and part.isdigit() and len(part) < 19]


@admin.register(WorkEvent)
class WorkEventAdmin(TransitionAdmin):
    """Events as they were recorded; dead letters are retried or discarded here, one or many, and payloads redacted."""

    menu = Menu(Group.OPERATIONS, icon="history", order=10, title="Events")
    view_role = Role.MANAGER
    add_role = change_role = delete_role = None
    paginator = InfinitePaginator
    list_display = ["event_name", "item", "actor_label", "origin", "occurred_at", "delivery", "attempts", "trouble"]
    list_filter = [EventNameFilter, DeliveryFilter, FailedHandlerFilter]
    ordering = ["-pk"]
    actions = [retry_selected, discard_selected]
    transitions = [RETRY, DISCARD, REDACT]
    readonly_fields = ["item", "delivery", "facts", "receipts", "failures"]
    fieldsets = [
        (None, {"fields": ["event_name", "item", "actor_label", "origin", "occurred_at", "recorded_at", "facts"]}),
        ("Trace", {"fields": ["correlation_id", "causation_id", "dedupe_key"]}),
        (
            "Delivery",
            {
                "fields": [
                    *("delivery", "attempts", "crashes", "available_at", "processed_at", "dead_letter_at"),
                    *("last_error", "receipts", "failures"),
                ]
            },
        ),
        (
            "By hand",
            {
                "fields": [
                    *("retried_by", "retried_at", "discarded_by", "discarded_at", "discard_reason", "redacted_at"),
                ]
            },
        ),
    ]

    def chosen(self, request: HttpRequest, rows: Any) -> list[int]:
        """Keys of the selected rows, as many as one transaction takes; says so when there are more."""
        ids = list(rows.order_by("pk").values_list("pk", flat=True)[: MOST_LETTERS + 1])
        if len(ids) > MOST_LETTERS:
            self.message_user(
                request, f"These are the first {MOST_LETTERS:,}; select again for the rest.", messages.WARNING
            )
        return ids[:MOST_LETTERS]

    def tell(self, request: HttpRequest, verb: str, result: LettersResult) -> None:
        """How many were done, and why the others were not."""
        if result.done:
            self.message_user(request, f"{verb}: {len(result.done):,} done.", messages.SUCCESS)
        if result.refused:
            lines = format_html_join("", "<li>{}</li>", ((each.refusal,) for each in result.refused[:20]))
            sentence = format_html('{}: {} not possible.<ul class="ml-5">{}</ul>', verb, len(result.refused), lines)
            self.message_user(request, sentence, messages.ERROR)

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

    @display(description="trouble")
    def trouble(self, event: WorkEvent) -> str:
        return event.last_error if len(event.last_error) <= 120 else f"{event.last_error[:119]}…"

    @display(description="handlers that are done")
    def receipts(self, event: WorkEvent) -> str:
        return ", ".join(event.handled_by)

    @display(description="failures of handlers")
    def failures(self, event: WorkEvent) -> str:
        rows = HandlerFailure.objects.for_org(event.org_id).filter(event_id=event.pk).order_by("handler")
        lines = (
            (
                row.handler,
                row.attempt,
                ", done since" if row.handler in event.handled_by else "",
                row.error,
                row.traceback,
            )
            for row in rows
        )
        return format_html_join(
            "",
            '<div class="mb-3"><p><b>{}</b>, attempt {}{}: {}</p><details><summary>Traceback</summary>'
            '<pre class="overflow-auto text-xs">{}</pre></details></div>',
            lines,
        )


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
