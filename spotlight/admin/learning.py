"""Learned weights: ask for them, look at the evidence, take them over, turn them down, go back."""

from __future__ import annotations

from typing import Any

from django.contrib import admin, messages
from django.http import Http404, HttpRequest, HttpResponseRedirect
from django.http.response import HttpResponseBase
from django.urls import URLPattern, path, reverse
from django.utils.decorators import method_decorator
from django.utils.timezone import now
from django.views.decorators.http import require_POST
from unfold.decorators import display
from unfold.widgets import BASE_INPUT_CLASSES

from flowledger.backoffice.navigation import Group, Menu
from flowledger.backoffice.refusals import explain
from flowledger.backoffice.requests import actor_of, org_of
from flowledger.backoffice.transition_admin import TransitionAdmin, TransitionButton
from flowledger.errors import FlowLedgerError
from flowledger.tenancy.permissions import may
from spotlight import services
from spotlight.admin.learning_charts import charts_of
from spotlight.learning.sentences import number
from spotlight.machines import ProposalStatus
from spotlight.models import Spotlight, WeightProposal
from workstream.admin.columns import badge

SELECT_CLASSES = " ".join([*BASE_INPUT_CLASSES, "pr-8!", "appearance-none", "truncate"])
COLOURS = {
    ProposalStatus.PROPOSED.value: "warning",
    ProposalStatus.ACCEPTED.value: "success",
    ProposalStatus.REJECTED.value: "",
    ProposalStatus.SUPERSEDED.value: "",
    ProposalStatus.REVERTED.value: "",
}
RECORD = ("spotlight", "base_version", "applied_version", "made_at", "made_by", "decided_at", "decided_by")


@admin.register(WeightProposal)
class WeightProposalAdmin(TransitionAdmin):
    """Proposals are made and decided by managers, and never edited; everybody may look."""

    menu = Menu(Group.SETUP, icon="model_training", order=64, title="Learned weights")
    add_role = change_role = delete_role = None
    change_form_template = "spotlight/learning/proposal.html"
    list_before_template = "spotlight/learning/ask.html"
    list_display = ("spotlight", "status_badge", "learned_from", "ranking", "base_version", "made_at")
    list_display_links = ("spotlight",)
    list_filter = ("status", "spotlight")
    list_select_related = ("spotlight",)
    ordering = ("-pk",)
    transitions = (
        TransitionButton(
            "accept",
            service=services.accept_weights,
            label="Accept",
            verb="learn_weights",
            argument="proposal_id",
            variant="primary",
            icon="check",
            success="The profile has these weights now; its items are being scored anew.",
        ),
        TransitionButton(
            "reject",
            service=services.reject_weights,
            label="Reject",
            verb="learn_weights",
            argument="proposal_id",
            icon="close",
            success="The profile stays as it is.",
        ),
        TransitionButton(
            "revert",
            service=services.revert_weights,
            label="Take back",
            verb="learn_weights",
            argument="proposal_id",
            icon="undo",
            success="The profile is again what it was before; its items are being scored anew.",
        ),
    )

    status_badge = badge("status", COLOURS, description="State")

    def get_queryset(self, request: HttpRequest) -> Any:
        return super().get_queryset(request).select_related("spotlight")

    def get_fieldsets(self, request: HttpRequest, obj: Any = None) -> Any:
        return [("Record", {"fields": RECORD, "classes": ("collapse",)})]

    @display(description="Closed pursuits")
    def learned_from(self, obj: WeightProposal) -> str:
        counts = obj.evidence.get("counts")
        return f"{counts['won']:,} won, {counts['lost']:,} lost" if counts else "–"

    @display(description="A won one scores above a lost one")
    def ranking(self, obj: WeightProposal) -> str:
        quality = obj.evidence.get("quality")
        return f"{100 * quality['auc_before']:.1f} % → {100 * quality['auc_after']:.1f} %" if quality else "–"

    def panels(self, request: HttpRequest, obj: Any) -> dict[str, Any]:
        evidence = obj.evidence
        if not evidence:
            return {}
        return {
            "evidence": evidence,
            "charts": charts_of(evidence),
            "effects": [_as_shown(effect) for effect in evidence["effects"]],
            "profile_link": reverse("admin:spotlight_spotlight_change", args=[obj.spotlight_id]),
        }

    # --- asking for weights ---

    def changelist_view(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> Any:
        org, actor = org_of(request), actor_of(request)
        chosen = request.GET.get("spotlight__id__exact", "")
        asking = {
            "readiness": services.learning_readiness(org=org, actor=actor, at=now()),
            "profiles": Spotlight.objects.for_org(org).order_by("name", "pk").values_list("pk", "name"),
            "chosen": int(chosen) if _is_key(chosen) else 0,
            "may_learn": may(actor, "learn_weights"),
            "select_classes": SELECT_CLASSES,
            "ask_link": reverse("admin:spotlight_weightproposal_propose"),
        }
        return super().changelist_view(request, {**(extra_context or {}), "asking": asking})

    def get_urls(self) -> list[URLPattern]:
        view = self.admin_site.admin_view(self.propose_view)
        return [path("propose/", view, name="spotlight_weightproposal_propose"), *super().get_urls()]

    @method_decorator(require_POST)
    def propose_view(self, request: HttpRequest) -> HttpResponseBase:
        """Learn weights for the chosen profile and show them; a refusal is told on the list."""
        wanted = request.POST.get("spotlight", "")
        if not _is_key(wanted):
            raise Http404("There is no such profile in this organisation.")
        try:
            proposal = services.propose_weights(
                org=org_of(request), spotlight_id=int(wanted), actor=actor_of(request), at=now()
            )
        except FlowLedgerError as error:
            self.message_user(request, explain(error), messages.ERROR)
            return HttpResponseRedirect(reverse("admin:spotlight_weightproposal_changelist"))
        return HttpResponseRedirect(self.link_to(proposal.pk))


def _is_key(text: str) -> bool:
    return text.isascii() and text.isdigit() and len(text) < 19


def _as_shown(effect: dict[str, Any]) -> dict[str, Any]:
    """An effect with its weights and rates as the table shows them."""
    rates = {
        name: "–" if effect[f"{name}_rate"] is None else f"{100 * effect[f'{name}_rate']:.0f} % of {effect[name]:,}"
        for name in ("met", "unmet", "unknown")
    }
    weights = {name: number(effect[f"weight_{name}"]) for name in ("before", "after")}
    return {**effect, "rates": rates, "weights": weights}
