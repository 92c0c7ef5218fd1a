"""Rejects: what came in and could not become a signal, fixed field by field, replayed or discarded."""

from __future__ import annotations

import json
from typing import Any

from django import forms
from django.contrib import admin, messages
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils.html import format_html
from django.utils.timezone import now
from unfold.contrib.filters.admin import ChoicesDropdownFilter, RangeDateFilter, RelatedDropdownFilter
from unfold.decorators import display
from unfold.paginator import InfinitePaginator

from flowledger.backoffice.forms import OrgModelForm, TransitionForm
from flowledger.backoffice.navigation import Group, Menu
from flowledger.backoffice.refusals import explain
from flowledger.backoffice.requests import actor_of, org_of
from flowledger.backoffice.transition_admin import TransitionAdmin, TransitionButton
from flowledger.errors import FlowLedgerError
from workstream import services
from workstream.admin.columns import ago, badge
from workstream.admin.items import link_to
from workstream.machines import RejectStatus
from workstream.models.intake import IntakeReject
from workstream.models.signals import SourceType
from workstream.services.rejects import MAX_REPLAYED

REJECT_COLOURS = {
    RejectStatus.OPEN.value: "danger",
    RejectStatus.REPLAYED.value: "success",
    RejectStatus.DISCARDED.value: "",
}
CONTENT_SHOWN = 20_000
TEXTS = ("contact_name", "contact_email", "contact_phone", "company_name", "company_domain")
SAID = ("source_type", "ts", "snippet", "problem_phrase", "solution_hint", "urgency_score")
KEYS = ("source_ref", "dedupe_key", "contact_ref", "owner_user_id", "attributes")
EDITABLE = (*SAID, *TEXTS, *KEYS)


class JsonTextField(forms.JSONField):
    """A JSON object as text; empty is none."""

    widget = forms.Textarea(attrs={"rows": 2})


class RejectFixForm(OrgModelForm):
    """The signal fields of a reject as they are now, valid or not; the service says what is still wrong."""

    source_type = forms.ChoiceField(choices=[("", "–"), *SourceType.choices], required=False)
    ts = forms.CharField(
        required=False, label="Happened at", help_text="As 2026-03-01T09:30:00Z; empty: when received."
    )
    snippet = forms.CharField(required=False, widget=forms.Textarea(attrs={"rows": 3}))
    problem_phrase = forms.CharField(required=False)
    solution_hint = forms.CharField(required=False)
    urgency_score = forms.CharField(required=False, help_text="Between 0 and 1.")
    contact_name = forms.CharField(required=False)
    contact_email = forms.CharField(required=False)
    contact_phone = forms.CharField(required=False)
    company_name = forms.CharField(required=False)
    company_domain = forms.CharField(required=False)
    source_ref = forms.CharField(required=False)
    dedupe_key = forms.CharField(required=False)
    contact_ref = forms.CharField(required=False, label="Source's reference of the person")
    owner_user_id = forms.IntegerField(required=False, label="Owner (number of the user)")
    attributes = JsonTextField(required=False)

    class Meta:
        model = IntakeReject
        fields: tuple[str, ...] = ()

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        for name in EDITABLE:
            if name not in self.fields:
                continue
            value = self.instance.fields.get(name)
            if name == "source_type" and value not in {*SourceType.values, None}:
                # What was given stays visible until somebody chooses another.
                self.fields[name].choices = [(value, str(value)), *SourceType.choices]  # type: ignore[attr-defined]
            self.initial[name] = (
                value if isinstance(value, str | int | float | dict | type(None)) else json.dumps(value)
            )
            if said := self.instance.errors.get(name):
                self.fields[name].help_text = " ".join(map(str, said))

    def fixed(self) -> dict[str, Any]:
        """What was changed; an emptied field is taken away."""
        values = {name: self.cleaned_data[name] for name in EDITABLE if name in self.changed_data}
        return {name: None if value in ("", None) else value for name, value in values.items()}


class DiscardForm(TransitionForm):
    note = forms.CharField(max_length=500, required=False, widget=forms.Textarea(attrs={"rows": 3}))


@admin.action(description="Replay the selected rows")
def replay_selected(page: RejectAdmin, request: HttpRequest, rows: QuerySet[IntakeReject]) -> None:
    """Make the selected ones signals, each for itself, with one line for each kind of refusal."""
    ids = list(rows.values_list("pk", flat=True)[: MAX_REPLAYED + 1])
    try:
        results = services.replay_rejects(org=org_of(request), reject_ids=ids, actor=actor_of(request), at=now())
    except FlowLedgerError as error:
        page.message_user(request, explain(error), messages.ERROR)
        return
    done = sum(each.error is None for each in results)
    if done:
        page.message_user(request, f"{done:,} became signals.", messages.SUCCESS)
    for said in sorted({explain(each.error) for each in results if each.error is not None})[:10]:
        page.message_user(request, f"Not replayed: {said}", messages.WARNING)


@admin.action(description="Discard the selected rows")
def discard_selected(page: RejectAdmin, request: HttpRequest, rows: QuerySet[IntakeReject]) -> None:
    """Put the selected open ones aside for good."""
    done = 0
    for pk in rows.open().order_by("sha256", "pk").values_list("pk", flat=True)[:MAX_REPLAYED]:  # type: ignore[attr-defined]
        services.discard_reject(org=org_of(request), reject_id=pk, actor=actor_of(request), at=now())
        done += 1
    page.message_user(request, f"{done:,} were discarded; the rows stay.", messages.SUCCESS)


@admin.register(IntakeReject)
class RejectAdmin(TransitionAdmin):
    """The bytes stay as they came; the fields are what replaying makes a signal of."""

    menu = Menu(Group.INTAKE, icon="report", order=30, title="Rejects")
    form = RejectFixForm
    add_role = delete_role = None
    paginator = InfinitePaginator
    list_display = ("why", "status_badge", "channel", "source", "occurrences", "came")
    list_filter = (
        ("status", ChoicesDropdownFilter),
        ("channel", ChoicesDropdownFilter),
        ("source", RelatedDropdownFilter),
        ("last_received_at", RangeDateFilter),
    )
    ordering = ("-last_received_at", "-pk")
    actions = (replay_selected, discard_selected)
    readonly_fields = ("content", "what_was_read", "what_is_wrong", "signal_link")
    transitions = (
        TransitionButton(
            "replay",
            service=services.replay_reject,
            label="Replay",
            verb="replay_reject",
            argument="reject_id",
            icon="replay",
            variant="primary",
            explanation="Makes it a signal by the fields below.",
            success="It is a signal now.",
        ),
        TransitionButton(
            "discard",
            service=services.discard_reject,
            label="Discard",
            verb="discard_reject",
            argument="reject_id",
            form=DiscardForm,
            icon="delete",
            variant="danger",
            explanation="It leaves the list of what is to be fixed. The row and its content stay.",
            success="It was discarded.",
        ),
    )

    status_badge = badge("status", REJECT_COLOURS, description="State")
    came = ago("last_received_at", description="Last received")

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        return super().get_queryset(request).select_related("source", "signal").defer("body")

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """A closed one is history."""
        is_closed = obj is not None and obj.status != RejectStatus.OPEN
        return not is_closed and super().has_change_permission(request, obj)

    def get_fieldsets(self, request: HttpRequest, obj: Any = None) -> Any:
        facts = (
            "channel",
            "source",
            "sender",
            "received_at",
            "last_received_at",
            "occurrences",
            "content_type",
            "sha256",
        )
        closing = ("status", "signal_link", "closed_at", "closed_by", "note")
        end = [
            ("What came in", {"fields": ("content", *facts)}),
            ("End", {"fields": closing, "classes": ("collapse",)}),
        ]
        if not self.has_change_permission(request, obj):
            return [(None, {"fields": ("reason", "what_is_wrong", "what_was_read")}), *end]
        return [
            (None, {"fields": ("reason", "what_is_wrong")}),
            ("What it says", {"fields": SAID}),
            ("Who", {"fields": TEXTS}),
            ("Keys", {"fields": KEYS, "classes": ("collapse",)}),
            *end,
        ]

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        """Every column: only the signal's fields are written."""
        columns = [field.name for field in self.model._meta.concrete_fields if field.name not in {"fields", "body"}]
        return [*dict.fromkeys([*super().get_readonly_fields(request, obj), *columns])]

    @display(description="Reason")
    def why(self, obj: IntakeReject) -> str:
        return format_html(
            '<span class="block">{}</span><span class="font-normal text-subtle text-xs">{}</span>',
            obj.reason[:120],
            obj.sender,
        )

    @display(description="Content")
    def content(self, obj: IntakeReject) -> str:
        body = bytes(obj.body)
        text = body[:CONTENT_SHOWN].decode(errors="replace").replace("\x00", "�")
        more = f"\n… {len(body):,} bytes in all" if len(body) > CONTENT_SHOWN else ""
        return format_html(
            '<pre class="max-w-4xl overflow-x-auto text-xs whitespace-pre-wrap">{}{}</pre>', text or "(nothing)", more
        )

    @display(description="What could be read")
    def what_was_read(self, obj: IntakeReject) -> str:
        text = json.dumps(obj.fields, indent=2, ensure_ascii=False)
        return format_html('<pre class="text-xs whitespace-pre-wrap">{}</pre>', text)

    @display(description="What is wrong")
    def what_is_wrong(self, obj: IntakeReject) -> str:
        said = [f"{name}: {' '.join(map(str, sentences))}" for name, sentences in obj.errors.items()]
        return "\n".join(said) or "Nothing that is known; replay it."

    @display(description="Signal")
    def signal_link(self, obj: IntakeReject) -> str:
        return link_to(obj.signal)

    def save_through(self, request: HttpRequest, obj: Any, form: Any, change: bool) -> Any:
        fixed = form.fixed()
        if not fixed:
            return None
        return services.fix_reject(
            org=org_of(request), reject_id=obj.pk, fields=fixed, actor=actor_of(request), at=now()
        )
