"""Candidates: qualified leads on their way to a pursuit."""

from __future__ import annotations

from datetime import date, datetime, time
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

from django import forms
from django.contrib import admin, messages
from django.http import HttpRequest, HttpResponseRedirect
from django.http.response import HttpResponseBase
from django.utils.timezone import now
from unfold.contrib.filters.admin import RangeDateFilter
from unfold.decorators import display

from flowledger.backoffice.forms import TransitionForm
from flowledger.backoffice.navigation import Group, Menu
from flowledger.backoffice.requests import actor_of, org_of
from flowledger.backoffice.transition_admin import TransitionButton
from flowledger.tenancy.actors import Actor
from flowledger.tenancy.models import Organization
from workstream import services
from workstream.admin.columns import BAND_COLOURS, CANDIDATE_COLOURS, ago, badge
from workstream.admin.inlines import ActivityInline, ItemInline, LinkInline, StageHistoryInline, TaskInline
from workstream.admin.items import ItemAdmin, WordSearch, link_to, page_of
from workstream.admin.tags import TaggedForm
from workstream.models import Candidate, CandidateSignal, Pursuit
from workstream.services.taxonomy import names_of_tags

WHO = ("title", "client", "contact", "owner", "one_liner_scope", "tag_names")
VALUE = ("problem", "solution", "confidence", "value_band", "estimated_value", "currency")
NEXT = ("next_step", "next_step_due")
RECORD = (
    "hold_reason",
    "resume_at",
    "archive_reason",
    "state_entered_at",
    "promoted_at",
    "last_touch_at",
    "icp_score",
    "icp_band",
    "created_at",
    "updated_at",
)


class HoldForm(TransitionForm):
    reason = forms.CharField(max_length=500, widget=forms.Textarea(attrs={"rows": 3}))
    resume_at = forms.DateField(
        required=False,
        label="Resume on",
        widget=forms.DateInput,
        help_text="On this day the candidate comes back to triaged by itself. Empty: it waits for you.",
    )


class ArchiveForm(TransitionForm):
    reason = forms.CharField(max_length=500, widget=forms.Textarea(attrs={"rows": 3}))


class PromoteForm(TransitionForm):
    due_date = forms.DateField(required=False, widget=forms.DateInput, help_text="Empty: the usual number of days.")
    forecast_value = forms.DecimalField(
        required=False,
        min_value=Decimal(0),
        max_digits=14,
        decimal_places=2,
        help_text="Empty: the candidate's estimate, or what its value band stands for.",
    )


def hold_until(
    *, org: Organization, candidate_id: int, reason: str, resume_at: date | None, actor: Actor, at: datetime
) -> Candidate:
    """A day begins at midnight in the organisation's time zone."""
    moment = datetime.combine(resume_at, time.min, ZoneInfo(org.timezone)) if resume_at else None
    return services.hold_candidate(
        org=org, candidate_id=candidate_id, reason=reason, resume_at=moment, actor=actor, at=at
    )


def promote(
    *,
    org: Organization,
    candidate_id: int,
    due_date: date | None,
    forecast_value: Decimal | None,
    actor: Actor,
    at: datetime,
) -> Pursuit:
    fields = {"due_date": due_date, "forecast_value": forecast_value}
    promotion = services.promote_candidate(org=org, candidate_id=candidate_id, fields=fields, actor=actor, at=at)
    return promotion.pursuit


class LinkedSignalInline(ItemInline):
    """The signals behind the candidate."""

    model = CandidateSignal
    add_role = None
    fields = ("signal_link", "happened_at", "reason", "linked_by", "linked_at")
    readonly_fields = ("signal_link", "happened_at")
    ordering = ("pk",)
    verbose_name_plural = "signals"

    def get_queryset(self, request: HttpRequest) -> Any:
        return super().get_queryset(request).select_related("signal", "linked_by")

    @display(description="Signal")
    def signal_link(self, obj: CandidateSignal) -> str:
        return link_to(obj.signal)

    @display(description="Happened at")
    def happened_at(self, obj: CandidateSignal) -> datetime:
        return obj.signal.ts


@admin.register(Candidate)
class CandidateAdmin(WordSearch, ItemAdmin):
    menu = Menu(Group.PIPELINE, icon="person_search", order=20)
    form = TaggedForm
    change_form_template = "workstream/candidate.html"
    list_display = (
        "title",
        "client",
        "status_badge",
        "band_badge",
        "owner",
        "next_step_due",
        "touched",
    )
    list_filter = ("status", "owner", "value_band", "tags", ("next_step_due", RangeDateFilter))
    search_fields = ("title",)
    search_help_text = "Words of the title and scope."
    ordering = ("-pk",)
    inlines = (ActivityInline, TaskInline, LinkedSignalInline, LinkInline, StageHistoryInline)
    transitions = (
        TransitionButton(
            "promote",
            service=promote,
            label="Promote",
            verb="promote",
            form=PromoteForm,
            variant="primary",
            icon="rocket_launch",
            explanation="Opens the pursuit with its checklists; a first proposal is drafted from your template.",
            success="Promoted: this is the pursuit.",
        ),
        TransitionButton(
            "triage",
            service=services.triage_candidate,
            label="Triage",
            verb="triage",
            icon="fact_check",
            variant="primary",
            success="The candidate is triaged.",
        ),
        TransitionButton(
            "nurture",
            service=services.nurture_candidate,
            label="Nurture",
            verb="nurture",
            icon="potted_plant",
            success="The candidate is in nurture.",
        ),
        TransitionButton(
            "hold",
            service=hold_until,
            label="Put on hold",
            verb="hold",
            form=HoldForm,
            icon="pause",
            success="The candidate is on hold.",
        ),
        TransitionButton(
            "archive",
            service=services.archive_candidate,
            label="Archive",
            verb="archive",
            form=ArchiveForm,
            icon="archive",
            explanation="Closes the candidate without a pursuit. This cannot be taken back.",
            success="The candidate was archived.",
        ),
    )

    status_badge = badge("status", CANDIDATE_COLOURS, description="Status")
    band_badge = badge("value_band", BAND_COLOURS, description="Value")
    touched = ago("last_touch_at", description="Last touch")

    def get_fieldsets(self, request: HttpRequest, obj: Any = None) -> Any:
        groups = [
            (None, {"fields": WHO}),
            ("Need and value", {"fields": VALUE}),
            ("Next step", {"fields": NEXT}),
        ]
        if obj is not None:
            groups.append(("Record", {"fields": RECORD, "classes": ("collapse",)}))
        return groups

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        always = super().get_readonly_fields(request, obj)
        return [*always, *(name for name in RECORD if name not in always)]

    def get_changeform_initial_data(self, request: HttpRequest) -> dict[str, Any]:
        owner = actor_of(request).user_id
        return {"currency": org_of(request).currency, "owner": owner, **super().get_changeform_initial_data(request)}

    @display(description="Tags")
    def tag_names(self, obj: Candidate) -> str:
        """For readers, whose page has no inputs."""
        return ", ".join(names_of_tags(obj)) or "–"

    def panels(self, request: HttpRequest, obj: Any) -> dict[str, Any]:
        return {"pursuit": Pursuit.objects.for_org(org_of(request)).filter(candidate=obj).order_by("pk").first()}

    def save_through(self, request: HttpRequest, obj: Any, form: Any, change: bool) -> Any:
        if change and not form.changed_data:
            return None
        tags = form.tags_to_store()
        names = (*WHO, *VALUE, *NEXT)
        written = form.changed_data if change else names
        fields = {name: form.cleaned_data[name] for name in written if name in names and name != "tag_names"}
        if change:
            return services.update_candidate(
                org=org_of(request),
                candidate_id=obj.pk,
                fields=fields,
                tags=tags,
                actor=actor_of(request),
                at=now(),
            )
        return services.create_candidate(
            org=org_of(request), fields=fields, tags=tags or (), actor=actor_of(request), at=now()
        )

    def transition_done(
        self, request: HttpRequest, button: TransitionButton, obj: Any, result: Any
    ) -> HttpResponseBase:
        if button.name == "promote":
            self.message_user(request, button.success, messages.SUCCESS)
            return HttpResponseRedirect(page_of(result))
        return super().transition_done(request, button, obj, result)
