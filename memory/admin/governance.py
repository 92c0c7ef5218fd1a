"""Legal holds, placed and released here, and the record of redactions."""

from __future__ import annotations

import json
from typing import Any

from django import forms
from django.contrib import admin
from django.http import HttpRequest
from django.utils.timezone import now
from unfold.contrib.filters.admin import ChoicesDropdownFilter, DropdownFilter
from unfold.decorators import display

from flowledger.backoffice.forms import OrgModelForm, TransitionForm
from flowledger.backoffice.navigation import Group, Menu
from flowledger.backoffice.org_admin import ReadOnlyOrgAdmin
from flowledger.backoffice.requests import actor_of, org_of
from flowledger.backoffice.transition_admin import TransitionAdmin, TransitionButton
from flowledger.tenancy.actors import Role
from memory import services
from memory.admin.atoms import about
from memory.models import ENTITY_MODELS, LegalHold, Redaction
from memory.services.reasons import MOST_REASON
from workstream.admin.columns import ago, badge

TARGET_LOOKS = {target.value: "danger" if target == Redaction.Target.PERSON else "" for target in Redaction.Target}


class HoldForm(OrgModelForm):
    """The entity whose memory is to be kept, and why."""

    entity_type = forms.ChoiceField(label="Kind", choices=[(name, name.capitalize()) for name in ENTITY_MODELS])
    entity_id = forms.IntegerField(
        label="Number", min_value=1, max_value=2**63 - 1, help_text="As at the end of the address of its page."
    )

    class Meta:
        model = LegalHold
        fields = ("reason",)


class ReleaseForm(TransitionForm):
    reason = forms.CharField(max_length=MOST_REASON, widget=forms.Textarea(attrs={"rows": 3}))


class StandingFilter(DropdownFilter):
    """The list is what stands, unless somebody asks for the rest."""

    title = "state"
    parameter_name = "state"
    all_option = ["", "Standing"]

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [("released", "Released"), ("all", "All")]

    def queryset(self, request: HttpRequest, queryset: Any) -> Any:
        if self.value() == "all":
            return queryset
        return queryset.filter(released_at__isnull=self.value() != "released")


@admin.register(LegalHold)
class LegalHoldAdmin(TransitionAdmin):
    """What is kept for a legal reason, for administrators."""

    menu = Menu(Group.OPERATIONS, icon="gavel", order=70, title="Legal holds")
    form = HoldForm
    view_role = Role.ADMIN
    add_role = Role.ADMIN
    change_role = delete_role = None
    list_display = ("entity", "reason", "placed", "placed_by", "released_at")
    list_display_links = ("reason",)
    list_select_related = ("placed_by", *ENTITY_MODELS)
    list_filter = (StandingFilter,)
    ordering = ("-pk",)
    readonly_fields = ("entity",)
    transitions = (
        TransitionButton(
            "release",
            service=services.release_hold,
            label="Release",
            verb="hold_memory",
            argument="hold_id",
            form=ReleaseForm,
            shown=lambda hold: hold.released_at is None,
            icon="lock_open",
            explanation="What is remembered of it expires again, and may be redacted.",
            success="The hold was released.",
        ),
    )

    placed = ago("placed_at", description="Placed")

    def get_fieldsets(self, request: HttpRequest, obj: Any = None) -> Any:
        if obj is None:
            return [(None, {"fields": ("entity_type", "entity_id", "reason")})]
        shown = ("entity", "reason", "placed_at", "placed_by", "released_at", "released_by", "release_reason")
        return [(None, {"fields": shown})]

    def save_through(self, request: HttpRequest, obj: Any, form: Any, change: bool) -> Any:
        return services.place_hold(
            org=org_of(request),
            entity_type=form.cleaned_data["entity_type"],
            entity_id=form.cleaned_data["entity_id"],
            reason=form.cleaned_data["reason"],
            actor=actor_of(request),
            at=now(),
        )

    @display(description="About")
    def entity(self, obj: LegalHold) -> str:
        return about(obj)


@admin.register(Redaction)
class RedactionAdmin(ReadOnlyOrgAdmin):
    """Who had something removed, when and why, and what was touched; never what it said."""

    menu = Menu(Group.OPERATIONS, icon="ink_eraser", order=72, title="Redactions")
    view_role = Role.MANAGER
    list_display = ("reason", "target_badge", "atom_count", "actor_label", "redacted", "erased_at")
    list_display_links = ("reason",)
    list_filter = (("target", ChoicesDropdownFilter),)
    ordering = ("-pk",)
    fields = (
        *("target", "named_shown", "reason", "actor_label", "redacted_at", "atom_count", "touched_shown"),
        *("digest", "epoch", "erased_at"),
    )
    readonly_fields = ("named_shown", "touched_shown")

    target_badge = badge("target", TARGET_LOOKS, description="Removed")
    redacted = ago("redacted_at", description="When")

    @display(description="Named")
    def named_shown(self, obj: Redaction) -> str:
        return json.dumps(obj.named)

    @display(description="Rows touched")
    def touched_shown(self, obj: Redaction) -> str:
        return ", ".join(f"{name}: {count}" for name, count in sorted(obj.touched.items())) or "–"
