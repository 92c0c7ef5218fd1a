"""Atoms as a list and one by one: what is known, from where, and the buttons that put it right or remove it."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from django import forms
from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils.html import format_html, format_html_join
from unfold.contrib.filters.admin import BooleanRadioFilter, ChoicesDropdownFilter, DropdownFilter
from unfold.decorators import display
from unfold.paginator import InfinitePaginator

from flowledger.backoffice.forms import TransitionForm
from flowledger.backoffice.navigation import Group, Menu
from flowledger.backoffice.requests import actor_of
from flowledger.backoffice.transition_admin import TransitionAdmin, TransitionButton
from flowledger.tenancy.actors import Actor
from flowledger.tenancy.models import Organization
from flowledger.tenancy.permissions import may
from memory import services
from memory.machines import AtomState
from memory.models import ENTITY_MODELS, Atom, AtomLink, AtomSource, AtomVersion, Kind
from memory.services.redaction import Target, redact
from workstream.admin.columns import ago, badge
from workstream.admin.items import link_to

KIND_LOOKS = {
    Kind.DECISION.value: "success",
    Kind.RISK.value: "danger",
    Kind.PREFERENCE.value: "info",
    Kind.NOTE.value: "",
    Kind.STATUS.value: "",
}
STATE_LOOKS = {
    AtomState.ACTIVE.value: "success",
    AtomState.SUPERSEDED.value: "",
    AtomState.ARCHIVED.value: "warning",
    AtomState.REDACTED.value: "danger",
}
SHOWN_IN_LIST = 160
GONE = "Redacted"


class CorrectionForm(TransitionForm):
    content = forms.CharField(max_length=5_000, widget=forms.Textarea(attrs={"rows": 4}))
    because = forms.ChoiceField(choices=[("error", "It was wrong"), ("change", "The fact changed")])
    valid_from = forms.DateTimeField(
        required=False,
        label="Changed at",
        help_text="Only for a fact that changed; now, unless given.",
        widget=forms.DateTimeInput(),
    )
    reason = forms.CharField(max_length=500)

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["content"].initial = getattr(self.item, "content", "")


class RedactionForm(TransitionForm):
    reason = forms.CharField(max_length=500)


def redact_atom(*, org: Organization, atom_id: int, reason: str, actor: Actor, at: datetime) -> Any:
    """Redact the atom of the page."""
    return redact(org=org, target=Target(atom_ids=(atom_id,)), reason=reason, actor=actor, at=at)


class ShownFilter(DropdownFilter):
    """The list is what is active, unless somebody asks for the rest."""

    title = "state"
    parameter_name = "state"
    all_option = ["", "Active"]

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        rest = [choice for choice in AtomState.choices if choice[0] != AtomState.ACTIVE]
        return [*rest, ("all", "All")]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        wanted = self.value() or AtomState.ACTIVE.value
        return queryset if wanted == "all" else queryset.filter(state=wanted)


def about(obj: Any) -> str:
    """A link to the entity that a row of memory is about."""
    return link_to(getattr(obj, obj.entity_type))


@admin.register(Atom)
class AtomAdmin(TransitionAdmin):
    """What is remembered; everybody sees what is for them, and nothing is edited in place."""

    menu = Menu(Group.WORK, icon="neurology", order=60, title="What we know")
    add_role = change_role = delete_role = None
    paginator = InfinitePaginator
    list_display = ("said", "kind_badge", "entity", "seen_count", "is_pinned", "state_badge", "occurred")
    list_display_links = ("said",)
    list_select_related = tuple(ENTITY_MODELS)
    list_filter = (
        ShownFilter,
        ("kind", ChoicesDropdownFilter),
        ("audience", ChoicesDropdownFilter),
        ("is_pinned", BooleanRadioFilter),
    )
    ordering = ("-occurred_at", "-pk")
    readonly_fields = ("content_shown", "kind_badge", "entity", "sources_shown", "links_shown", "versions_shown")
    transitions = (
        TransitionButton(
            "correct",
            service=services.correct_atom,
            label="Correct",
            verb="correct_atom",
            form=CorrectionForm,
            sources=(AtomState.ACTIVE, AtomState.ARCHIVED),
            icon="edit",
            explanation="The old text stays visible to auditors only, and extraction never changes the new one.",
            success="It says the new text now.",
        ),
        TransitionButton(
            "pin",
            service=services.pin_atom,
            label="Pin",
            verb="pin_atom",
            sources=(AtomState.ACTIVE,),
            shown=lambda atom: not atom.is_pinned,
            icon="keep",
            success="It stays until it is unpinned.",
        ),
        TransitionButton(
            "unpin",
            service=services.unpin_atom,
            label="Unpin",
            verb="pin_atom",
            shown=lambda atom: atom.is_pinned,
            icon="keep_off",
            success="It expires like any other now.",
        ),
        TransitionButton(
            "archive",
            service=services.archive_atom,
            label="Archive",
            verb="archive_atom",
            icon="archive",
            success="It is off cards and default search.",
        ),
        TransitionButton(
            "restore",
            service=services.restore_atom,
            label="Restore",
            verb="archive_atom",
            icon="unarchive",
            success="It is back, and expires anew from now.",
        ),
        TransitionButton(
            "redact",
            service=redact_atom,
            label="Redact",
            verb="redact_memory",
            form=RedactionForm,
            sources=(AtomState.ACTIVE, AtomState.SUPERSEDED, AtomState.ARCHIVED),
            icon="ink_eraser",
            variant="danger",
            explanation="What it says goes for good, here and where it was read from. Nobody can bring it back.",
            success="It was redacted.",
        ),
    )

    kind_badge = badge("kind", KIND_LOOKS, description="Type")
    state_badge = badge("state", STATE_LOOKS, description="State")
    occurred = ago("occurred_at", description="Occurred")

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        rows: Any = super().get_queryset(request)
        return rows.readable_by(actor_of(request))

    def get_fieldsets(self, request: HttpRequest, obj: Any = None) -> Any:
        known = ("content_shown", "kind_badge", "entity", "tags", "audience", "author", "sources_shown", "links_shown")
        times = (
            *("occurred_at", "valid_from", "valid_until", "last_seen_at", "seen_count", "expires_at"),
            *("confidence", "base_score", "language", "superseded_by", "is_pinned", "is_locked", "archived_at"),
            *("redacted_at", "version"),
        )
        parts = [(None, {"fields": known}), ("Record", {"fields": times, "classes": ("collapse",)})]
        if may(actor_of(request), "audit_memory"):
            parts.append(("What it said before", {"fields": ("versions_shown",), "classes": ("collapse",)}))
        return parts

    @display(description="What is known")
    def said(self, obj: Atom) -> str:
        text = obj.content or GONE
        return text if len(text) <= SHOWN_IN_LIST else f"{text[:SHOWN_IN_LIST]}…"

    @display(description="What is known")
    def content_shown(self, obj: Atom) -> str:
        return obj.content or GONE

    @display(description="About")
    def entity(self, obj: Atom) -> str:
        return about(obj)

    @display(description="Sources")
    def sources_shown(self, obj: Atom) -> str:
        rows = AtomSource.objects.for_org(obj.org_id).filter(atom=obj).order_by("pk")
        return _lines(
            (
                f"{row.occurred_at:%Y-%m-%d %H:%M} {row.event_name or row.source_type} {row.source_id or ''}".rstrip(),
                f"{row.actor_label or '–'}, read by {row.extractor}",
            )
            for row in rows
        )

    @display(description="Visible from")
    def links_shown(self, obj: Atom) -> str:
        rows = AtomLink.objects.for_org(obj.org_id).filter(atom=obj).select_related(*ENTITY_MODELS).order_by("pk")
        return _lines((about(row), row.get_role_display()) for row in rows)

    @display(description="Versions")
    def versions_shown(self, obj: Atom) -> str:
        rows = AtomVersion.objects.for_org(obj.org_id).filter(atom=obj).order_by("version")
        return _lines(
            (
                f"{row.version}. {row.content or GONE}",
                f"{row.at:%Y-%m-%d %H:%M} {row.actor_label}: {row.reason or row.get_because_display()}",
            )
            for row in rows
        )


def _lines(pairs: Any) -> str:
    """Lines with a smaller remark each; a dash for none."""
    shown = format_html_join("", '<li>{} <span class="text-subtle text-xs">{}</span></li>', pairs)
    return format_html('<ul class="whitespace-normal">{}</ul>', shown) if shown else "–"
