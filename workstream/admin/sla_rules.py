"""SLA rules: how long what may take, with a preview of what an edit would do before it is stored."""

from __future__ import annotations

from typing import Any
from zoneinfo import ZoneInfo

from django import forms
from django.contrib import admin
from django.http import Http404, HttpRequest, HttpResponseNotAllowed
from django.http.response import HttpResponseBase
from django.template.response import TemplateResponse
from django.urls import URLPattern, path
from django.utils.timezone import now
from unfold.decorators import display

from flowledger.backoffice.forms import OrgModelForm
from flowledger.backoffice.navigation import Group, Menu
from flowledger.backoffice.org_admin import OrgAdmin
from flowledger.backoffice.refusals import explain
from flowledger.backoffice.requests import actor_of, org_of
from flowledger.errors import FlowLedgerError
from flowledger.tenancy.actors import Role
from workstream import services
from workstream.machines import OPEN_STAGES, CandidateStatus
from workstream.models import SlaRule

MEASURED = ("item_type", "metric", "stage")
TERMS = ("threshold_hours", "warn_before_hours", "calendar", "active_from", "active_to", "is_active")
PREVIEWED = ("threshold_hours", "warn_before_hours", "calendar", "is_active")
CLOSED = (CandidateStatus.PROMOTED, CandidateStatus.ARCHIVED)
STAGES = [
    ("", "Any state"),
    ("Candidate", [(each.value, each.label) for each in CandidateStatus if each not in CLOSED]),
    ("Pursuit", [(each.value, each.label) for each in OPEN_STAGES]),
]


class RuleForm(OrgModelForm):
    stage = forms.ChoiceField(
        choices=STAGES,
        required=False,
        label="Only while in",
        help_text="With a state the rule measures the stay in it; of a signal leave it open.",
    )
    active_from = forms.DateTimeField(required=False, widget=forms.DateTimeInput, help_text="Empty: from now on.")
    active_to = forms.DateTimeField(required=False, widget=forms.DateTimeInput, help_text="Empty: without an end.")

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        helps = {
            "threshold_hours": "With a calendar these are open hours.",
            "warn_before_hours": "Empty: a quarter of the threshold.",
            "calendar": "Empty: every hour of every day counts.",
            "is_active": "Switched off, a rule cancels the clocks that run by it; its history stays.",
        }
        for name, text in helps.items():
            if name in self.fields:
                self.fields[name].help_text = text


@admin.register(SlaRule)
class SlaRuleAdmin(OrgAdmin):
    """Kept by managers; never deleted, only switched off. What a rule measures cannot change, its terms can."""

    menu = Menu(Group.SETUP, icon="timer", order=30, title="SLA rules")
    form = RuleForm
    change_form_template = "workstream/sla/rule.html"
    add_role = change_role = Role.MANAGER
    delete_role = None
    list_display = ("name", "item_type", "stage", "threshold", "warning", "calendar", "is_active", "version")
    list_filter = ("item_type", "metric", "is_active")
    ordering = ("item_type", "metric", "stage", "pk")

    def changelist_view(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> Any:
        services.ensure_default_rules(org=org_of(request), actor=actor_of(request), at=now())
        return super().changelist_view(request, extra_context)

    def get_fieldsets(self, request: HttpRequest, obj: Any = None) -> Any:
        groups = [("What is measured", {"fields": MEASURED}), ("How long it may take", {"fields": TERMS})]
        if obj is not None:
            groups.append(("Record", {"fields": ("version", "created_at", "updated_at")}))
        return groups

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        always = super().get_readonly_fields(request, obj)
        return always if obj is None else [*always, *MEASURED, "version"]

    @display(description="Rule", ordering="metric")
    def name(self, obj: SlaRule) -> str:
        return str(obj.get_metric_display())

    @display(description="Threshold", ordering="threshold_hours")
    def threshold(self, obj: SlaRule) -> str:
        return f"{obj.threshold_hours.normalize():f} h"

    @display(description="Warns before")
    def warning(self, obj: SlaRule) -> str:
        before = obj.warn_before_hours
        return f"{(obj.threshold_hours / 4 if before is None else before).normalize():f} h"

    def save_through(self, request: HttpRequest, obj: Any, form: Any, change: bool) -> Any:
        org, actor, at = org_of(request), actor_of(request), now()
        if not change:
            fields = {name: form.cleaned_data[name] for name in (*MEASURED, *TERMS)}
            return services.create_rule(org=org, fields=fields, actor=actor, at=at)
        fields = {name: form.cleaned_data[name] for name in form.changed_data if name in TERMS}
        return services.update_rule(org=org, rule_id=obj.pk, fields=fields, actor=actor, at=at)

    # --- what it would do ---

    def get_urls(self) -> list[URLPattern]:
        new = self.admin_site.admin_view(self.preview_view)
        return [
            path("preview/", new, name="workstream_slarule_preview_new"),
            path("<int:rule_id>/preview/", new, name="workstream_slarule_preview"),
            *super().get_urls(),
        ]

    def preview_view(self, request: HttpRequest, rule_id: int | None = None) -> HttpResponseBase:
        """What the rule in the form would do. Stores nothing; 404 for another organisation's rule."""
        if request.method != "POST":
            return HttpResponseNotAllowed(["POST"])
        rule = None
        if rule_id is not None:
            rule = self.get_queryset(request).filter(pk=rule_id).first()
            if rule is None:
                raise Http404(f"There is no SLA rule {rule_id} in this organisation.")
        form = self.get_form(request, rule, change=rule is not None)(request.POST, instance=rule)
        wrong = [str(error) for name, errors in form.errors.items() if name in PREVIEWED for error in errors]
        context: dict[str, Any] = {"refusal": " ".join(wrong), "is_new": rule is None}
        try:
            context |= {} if wrong else self._preview(request, rule_id, form.cleaned_data)
        except FlowLedgerError as error:
            context["refusal"] = explain(error)
        return TemplateResponse(request, "workstream/sla/rule_preview.html", context)

    def _preview(self, request: HttpRequest, rule_id: int | None, given: dict[str, Any]) -> dict[str, Any]:
        org, at = org_of(request), now()
        calendar = given.get("calendar")
        preview = services.preview_rule(
            org=org,
            rule_id=rule_id,
            threshold_hours=given["threshold_hours"],
            warn_before_hours=given.get("warn_before_hours"),
            calendar_id=None if calendar is None else calendar.pk,
            actor=actor_of(request),
            at=at,
        )
        here = ZoneInfo(org.timezone if calendar is None else calendar.timezone)
        return {
            "preview": preview,
            "at": at.astimezone(here),
            "warns_at": preview.warns_at.astimezone(here),
            "due_at": preview.due_at.astimezone(here),
            "zone": str(here),
            "is_active": given.get("is_active"),
        }
