"""Pursuits: stages by buttons, gates and checklists in view, proposals at hand."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django import forms
from django.contrib import admin, messages
from django.contrib.admin.utils import unquote
from django.http import Http404, HttpRequest, HttpResponseNotAllowed, HttpResponseRedirect
from django.http.response import HttpResponseBase
from django.urls import URLPattern, path
from django.utils.timezone import now
from unfold.contrib.filters.admin import RangeDateFilter
from unfold.decorators import display

from flowledger.backoffice.forms import TransitionForm
from flowledger.backoffice.navigation import Group, Menu
from flowledger.backoffice.refusals import explain
from flowledger.backoffice.requests import actor_of, org_of
from flowledger.backoffice.transition_admin import TransitionButton
from flowledger.errors import FlowLedgerError, NotFound
from flowledger.tenancy.actors import Actor
from flowledger.tenancy.models import Organization
from flowledger.tenancy.permissions import may, required_role
from workstream import services
from workstream.admin.columns import PURSUIT_COLOURS, ago, amount, badge
from workstream.admin.drilling import ClosedFilter, ProductFilter
from workstream.admin.inlines import (
    ActivityInline,
    CostInline,
    GateCheckInline,
    LinkInline,
    StageHistoryInline,
    TaskInline,
)
from workstream.admin.items import ItemAdmin, WordSearch, link_to, page_of
from workstream.admin.pursuit_panels import checklist_cards, checklist_rights, gate_cards, proposals_of
from workstream.admin.tags import TaggedForm
from workstream.machines import CLOSED_STAGES, ProposalStatus, PursuitStage
from workstream.models import ChecklistItem, Proposal, Pursuit
from workstream.rendering import money
from workstream.services.taxonomy import names_of_tags

MAIN = ("title", "client", "contact", "due_date", "forecast_value", "currency", "probability", "tag_names")
TEAM = ("owner", "capture_lead", "proposal_manager")
RECORD = (
    "candidate_link",
    "compliance",
    "cost",
    "state_entered_at",
    "submitted_at",
    "closed_at",
    "outcome_reason",
    "last_touch_at",
    "created_at",
    "updated_at",
)
DRAFT_PROPOSAL = "draft-proposal"


class SubmitForm(TransitionForm):
    """Asks nothing: the page says what will happen, because an email to the customer cannot be called back."""


class WonForm(TransitionForm):
    reason = forms.CharField(
        max_length=1000,
        required=False,
        label="What decided it",
        widget=forms.Textarea(attrs={"rows": 3}),
    )


class LostForm(TransitionForm):
    reason = forms.CharField(max_length=1000, label="Why it was lost", widget=forms.Textarea(attrs={"rows": 3}))


class EvidenceForm(forms.Form):
    evidence = forms.CharField(max_length=2000, required=False)


class WaiveForm(forms.Form):
    reason = forms.CharField(max_length=500)


class NewItemForm(forms.Form):
    kind = forms.CharField(max_length=10)
    name = forms.CharField(max_length=200)
    is_required = forms.BooleanField(required=False)


def move_to(stage: PursuitStage) -> Callable[..., Pursuit]:
    """The service of a button that moves to one stage."""

    def move(*, org: Organization, pursuit_id: int, actor: Actor, at: datetime) -> Pursuit:
        return services.move_pursuit(org=org, pursuit_id=pursuit_id, stage=stage.value, actor=actor, at=at)

    return move


def draft_proposal(*, org: Organization, pursuit_id: int, actor: Actor, at: datetime) -> Proposal:
    """The next version, beginning as a copy of the newest one."""
    return services.create_proposal(org=org, pursuit_id=pursuit_id, fields={}, actor=actor, at=at)


def may_draft(pursuit: Pursuit) -> bool:
    """A draft is edited; only beside versions that are out a next one makes sense."""
    if pursuit.stage in CLOSED_STAGES:
        return False
    drafts = Proposal.objects.for_org(pursuit.org_id).filter(pursuit=pursuit, status=ProposalStatus.DRAFT)
    return not drafts.exists()


@dataclass(frozen=True)
class ChecklistVerb:
    """A button on a checklist item: who may, what it asks, and what it then does."""

    verb: str
    form: type[forms.Form]
    run: Callable[..., ChecklistItem]
    success: str


def _complete(*, evidence: str, **arguments: Any) -> ChecklistItem:
    # An empty field beside the button is no order to delete what is written already.
    return services.update_checklist_item(is_done=True, evidence=evidence or None, **arguments)


def _reopen(**arguments: Any) -> ChecklistItem:
    return services.update_checklist_item(is_done=False, **arguments)


CHECKLIST_VERBS = {
    "complete": ChecklistVerb("complete_checklist", EvidenceForm, _complete, "Done: {name}."),
    "reopen": ChecklistVerb("complete_checklist", forms.Form, _reopen, "Open again: {name}."),
    "waive": ChecklistVerb("waive", WaiveForm, services.waive_checklist_item, "Waived: {name}."),
}


@admin.register(Pursuit)
class PursuitAdmin(WordSearch, ItemAdmin):
    menu = Menu(Group.PIPELINE, icon="trending_up", order=30)
    form = TaggedForm
    add_role = None
    change_form_template = "workstream/pursuit.html"
    list_display = ("title", "client", "stage_badge", "value", "owner", "due_date", "reviews", "touched")
    list_filter = ("stage", "owner", ("due_date", RangeDateFilter), "tags", ClosedFilter, ProductFilter)
    search_fields = ("title",)
    search_help_text = "Words of the title."
    ordering = ("due_date", "pk")
    inlines = (ActivityInline, TaskInline, CostInline, LinkInline, StageHistoryInline, GateCheckInline)
    transitions = (
        TransitionButton(
            "pink",
            service=move_to(PursuitStage.PINK),
            label="To pink review",
            verb="move",
            method="enter_pink",
            shown=lambda pursuit: pursuit.stage == PursuitStage.QUAL,
            variant="primary",
            icon="arrow_forward",
            success="The pursuit is in pink review.",
        ),
        TransitionButton(
            "red",
            service=move_to(PursuitStage.RED),
            label="To red review",
            verb="move",
            method="enter_red",
            variant="primary",
            icon="arrow_forward",
            success="The pursuit is in red review.",
        ),
        TransitionButton(
            "submit",
            service=services.submit_pursuit,
            label="Submit",
            verb="submit",
            form=SubmitForm,
            variant="primary",
            icon="send",
            explanation=(
                "The newest draft of the proposal goes to the contact by email. Without an address a task asks you to "
                "deliver it."
            ),
            success="Submitted. The proposal is on its way.",
        ),
        TransitionButton(
            "won",
            service=services.win_pursuit,
            label="Won",
            verb="close",
            method="win",
            form=WonForm,
            variant="primary",
            icon="trophy",
            explanation="Closes the pursuit and opens the engagement. This cannot be taken back.",
            success="Won! The engagement is being opened.",
        ),
        TransitionButton(
            "lost",
            service=services.lose_pursuit,
            label="Lost",
            verb="close",
            method="lose",
            form=LostForm,
            icon="close",
            explanation="Closes the pursuit. This cannot be taken back.",
            success="The pursuit is closed as lost.",
        ),
        TransitionButton(
            "back-to-pink",
            service=move_to(PursuitStage.PINK),
            label="Back to pink",
            verb="move",
            method="enter_pink",
            shown=lambda pursuit: pursuit.stage == PursuitStage.RED,
            icon="arrow_back",
            success="The pursuit is back in pink review.",
        ),
        TransitionButton(
            "back-to-qualification",
            service=move_to(PursuitStage.QUAL),
            label="Back to qualification",
            verb="move",
            method="return_to_qualification",
            icon="arrow_back",
            success="The pursuit is back in qualification.",
        ),
        TransitionButton(
            DRAFT_PROPOSAL,
            service=draft_proposal,
            label="Next version",
            verb="write_proposal",
            shown=may_draft,
            icon="add",
            success="This is the draft of the next version.",
        ),
    )

    stage_badge = badge("stage", PURSUIT_COLOURS, description="Stage")
    value = amount("forecast_value", description="Forecast")
    touched = ago("last_touch_at", description="Last touch")

    @display(description="Pink · red")
    def reviews(self, obj: Pursuit) -> str:
        return " · ".join(f"{counts['done']}/{counts['required']}" for counts in obj.checklist_progress.values())

    # --- one pursuit ---

    def get_fieldsets(self, request: HttpRequest, obj: Any = None) -> Any:
        return [
            (None, {"fields": MAIN}),
            ("Team", {"fields": TEAM}),
            ("Record", {"fields": RECORD, "classes": ("collapse",)}),
        ]

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        always = super().get_readonly_fields(request, obj)
        return [*always, *(name for name in RECORD if name not in always)]

    @display(description="Tags")
    def tag_names(self, obj: Pursuit) -> str:
        """For readers, whose page has no inputs."""
        return ", ".join(names_of_tags(obj)) or "–"

    @display(description="Candidate")
    def candidate_link(self, obj: Pursuit) -> str:
        return link_to(obj.candidate)

    @display(description="Compliance")
    def compliance(self, obj: Pursuit) -> str:
        return f"{obj.compliance_score:.0%}"

    @display(description="Cost of sale")
    def cost(self, obj: Pursuit) -> str:
        return f"{obj.cost_hours:,.2f} h, {money(obj.cost_amount, obj.currency)}"

    def panels(self, request: HttpRequest, obj: Any) -> dict[str, Any]:
        proposal_page: Any = self.admin_site.get_model_admin(Proposal)
        every_button = super().buttons(request, obj)
        return {
            "gate_cards": gate_cards(obj, org=org_of(request)),
            "checklist_cards": checklist_cards(obj),
            "rights": checklist_rights(obj, actor=actor_of(request)),
            "proposals": [
                {
                    "row": row,
                    "page": page_of(row),
                    "amount": money(row.amount, row.currency),
                    "buttons": proposal_page.buttons(request, row),
                }
                for row in proposals_of(obj)
            ],
            "draft_button": next((each for each in every_button if each["button"].name == DRAFT_PROPOSAL), None),
        }

    def buttons(self, request: HttpRequest, obj: Any) -> list[dict[str, Any]]:
        """Without the one that stands in the panel of proposals."""
        return [each for each in super().buttons(request, obj) if each["button"].name != DRAFT_PROPOSAL]

    def save_through(self, request: HttpRequest, obj: Any, form: Any, change: bool) -> Any:
        if not form.changed_data:
            return None
        names = (*MAIN, *TEAM)
        return services.update_pursuit(
            org=org_of(request),
            pursuit_id=obj.pk,
            fields={n: form.cleaned_data[n] for n in form.changed_data if n in names and n != "tag_names"},
            tags=form.tags_to_store(),
            actor=actor_of(request),
            at=now(),
        )

    def transition_done(
        self, request: HttpRequest, button: TransitionButton, obj: Any, result: Any
    ) -> HttpResponseBase:
        if button.name == DRAFT_PROPOSAL:
            self.message_user(request, button.success, messages.SUCCESS)
            return HttpResponseRedirect(page_of(result))
        return super().transition_done(request, button, obj, result)

    # --- checklists ---

    def get_urls(self) -> list[URLPattern]:
        change = self.admin_site.admin_view(self.checklist_view)
        add = self.admin_site.admin_view(self.checklist_add_view)
        return [
            path("<path:object_id>/checklist/add/", add, name="workstream_pursuit_checklist_add"),
            path(
                "<path:object_id>/checklist/<int:item_id>/<slug:action>/",
                change,
                name="workstream_pursuit_checklist",
            ),
            *super().get_urls(),
        ]

    def locks(self, request: HttpRequest) -> bool:
        match = request.resolver_match
        is_checklist = match is not None and (match.url_name or "").startswith("workstream_pursuit_checklist")
        return not is_checklist and super().locks(request)

    def checklist_view(self, request: HttpRequest, object_id: str, item_id: int, action: str) -> HttpResponseBase:
        """Complete, reopen or waive an item. POST only; 404 for another organisation's or another pursuit's item."""
        known = CHECKLIST_VERBS.get(action)
        if known is None:
            raise Http404(f"A checklist item has no button '{action}'.")

        def run(pursuit: Pursuit, values: dict[str, Any]) -> str:
            item = known.run(
                org=org_of(request),
                item_id=item_id,
                pursuit_id=pursuit.pk,
                actor=actor_of(request),
                at=now(),
                **values,
            )
            return known.success.format(name=item.name)

        return self._on_checklist(request, object_id, known.verb, known.form, run)

    def checklist_add_view(self, request: HttpRequest, object_id: str) -> HttpResponseBase:
        """Add an item to a review. POST only."""

        def run(pursuit: Pursuit, values: dict[str, Any]) -> str:
            item = services.add_checklist_item(
                org=org_of(request), pursuit_id=pursuit.pk, actor=actor_of(request), at=now(), **values
            )
            return f"Added: {item.name}."

        return self._on_checklist(request, object_id, "complete_checklist", NewItemForm, run)

    def _on_checklist(
        self,
        request: HttpRequest,
        object_id: str,
        verb: str,
        form_class: type[forms.Form],
        run: Callable[[Pursuit, dict[str, Any]], str],
    ) -> HttpResponseBase:
        if request.method != "POST":
            return HttpResponseNotAllowed(["POST"])
        pursuit = self.get_object(request, unquote(object_id)) if self.has_view_permission(request) else None
        if pursuit is None:
            raise Http404(f"There is no pursuit {object_id} in this organisation.")
        back = HttpResponseRedirect(self.link_to(pursuit.pk))
        form = form_class(request.POST)
        if not may(actor_of(request), verb, pursuit):
            needed = required_role(verb).label.lower()
            self.message_user(request, f"This needs the owner or a {needed} here.", messages.ERROR)
        elif not form.is_valid():
            for name, sentences in form.errors.items():
                self.message_user(request, f"{name.capitalize()}: {' '.join(map(str, sentences))}", messages.ERROR)
        else:
            try:
                self.message_user(request, run(pursuit, form.cleaned_data), messages.SUCCESS)
            except NotFound as error:
                raise Http404(error.message) from error
            except FlowLedgerError as error:
                self.message_user(request, explain(error), messages.ERROR)
        return back
