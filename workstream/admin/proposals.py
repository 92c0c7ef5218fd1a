"""Proposals: drafts are edited, sent versions are read, every version prints."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from django.contrib import admin, messages
from django.contrib.admin.utils import unquote
from django.core.exceptions import ValidationError
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseNotAllowed, HttpResponseRedirect
from django.http.response import HttpResponseBase
from django.urls import URLPattern, path, reverse
from django.utils.timezone import now
from unfold.contrib.filters.admin import RangeDateFilter
from unfold.decorators import display
from unfold.widgets import PROSE_CLASSES

from flowledger.backoffice.forms import TransitionForm
from flowledger.backoffice.navigation import Group, Menu
from flowledger.backoffice.requests import actor_of, org_of
from flowledger.backoffice.transition_admin import TransitionButton
from flowledger.tenancy.actors import Actor
from flowledger.tenancy.models import Organization
from workstream import services
from workstream.admin.columns import PROPOSAL_COLOURS, amount, badge
from workstream.admin.items import ItemAdmin, link_to, page_of
from workstream.machines import CLOSED_STAGES, ProposalStatus
from workstream.models import Proposal, Pursuit
from workstream.rendering import html_of, printable_page

WRITTEN = ("title", "body", "amount", "currency")
RECORD = ("pursuit_link", "version", "delivery", "recipients", "sent_at", "signed_at", "voided_at", "created_at")


class SendForm(TransitionForm):
    """Asks nothing: the page says what will happen, because an email to the customer cannot be called back."""


def next_version(*, org: Organization, proposal_id: int, actor: Actor, at: datetime) -> Proposal:
    """The next version of the proposal's pursuit."""
    proposal = Proposal.objects.for_org(org).fetch(proposal_id)
    return services.create_proposal(org=org, pursuit_id=proposal.pursuit_id, fields={}, actor=actor, at=at)


@admin.register(Proposal)
class ProposalAdmin(ItemAdmin):
    menu = Menu(Group.PIPELINE, icon="description", order=40)
    add_role = None
    change_form_template = "workstream/proposal.html"
    list_display = ("title", "version", "status_badge", "pursuit", "worth", "sent_at")
    list_filter = ("status", "delivery", ("sent_at", RangeDateFilter))
    search_fields = ("title",)
    ordering = ("-pk",)
    transitions = (
        TransitionButton(
            "send",
            service=services.send_proposal,
            label="Send",
            verb="write_proposal",
            shown=lambda proposal: proposal.pursuit.stage not in CLOSED_STAGES,
            form=SendForm,
            variant="primary",
            icon="send",
            explanation=(
                "This version goes to the pursuit's contact by email and cannot change any more. Without an address "
                "it counts as sent and a task asks you to deliver it."
            ),
            success="The proposal is sent.",
        ),
        TransitionButton(
            "sign",
            service=services.sign_proposal,
            label="Signed",
            verb="write_proposal",
            variant="primary",
            icon="ink_pen",
            success="The proposal is signed.",
        ),
        TransitionButton(
            "next-version",
            service=next_version,
            label="Next version",
            verb="write_proposal",
            shown=lambda proposal: (
                proposal.status != ProposalStatus.DRAFT and proposal.pursuit.stage not in CLOSED_STAGES
            ),
            icon="add",
            success="This is the draft of the next version.",
        ),
        TransitionButton(
            "void",
            service=services.void_proposal,
            label="Void",
            verb="write_proposal",
            icon="block",
            success="The version is void.",
        ),
    )

    status_badge = badge("status", PROPOSAL_COLOURS, description="Status")
    worth = amount("amount", description="Amount")

    def get_queryset(self, request: HttpRequest) -> Any:
        # The pursuit says whose proposal it is.
        return super().get_queryset(request).select_related("pursuit")

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """A version that is out stays as it was sent."""
        is_draft = obj is None or obj.status == ProposalStatus.DRAFT
        return is_draft and super().has_change_permission(request, obj)

    def get_fieldsets(self, request: HttpRequest, obj: Any = None) -> Any:
        record = ("Record", {"fields": RECORD, "classes": ("collapse",)})
        if obj is not None and self.has_change_permission(request, obj):
            return [(None, {"fields": WRITTEN}), record]
        # What cannot be edited is shown as it reads, by the template.
        return [(None, {"fields": ("title", "worth")}), record]

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        always = super().get_readonly_fields(request, obj)
        return [*always, *(name for name in RECORD if name not in always), "worth"]

    @display(description="Pursuit")
    def pursuit_link(self, obj: Proposal) -> str:
        return link_to(obj.pursuit)

    def panels(self, request: HttpRequest, obj: Any) -> dict[str, Any]:
        return {
            "document": html_of(obj.body),
            "document_classes": " ".join(PROSE_CLASSES),
            "print_link": reverse("admin:workstream_proposal_print", args=[obj.pk]),
            "pursuit_page": page_of(obj.pursuit),
        }

    def save_through(self, request: HttpRequest, obj: Any, form: Any, change: bool) -> Any:
        if not form.changed_data:
            return None
        return services.update_proposal(
            org=org_of(request),
            proposal_id=obj.pk,
            fields={name: form.cleaned_data[name] for name in form.changed_data if name in WRITTEN},
            actor=actor_of(request),
            at=now(),
        )

    def _lock(self, request: HttpRequest, object_id: str, from_field: str | None) -> None:
        """Pursuit first, then proposal, as the services lock them."""
        try:
            wanted = Proposal._meta.pk.to_python(object_id)
        except ValidationError:
            return
        rows = Pursuit.objects.for_org(org_of(request)).filter(proposals__pk=wanted)
        rows.locked().order_by("pk").values_list("pk").first()
        super()._lock(request, object_id, from_field)

    def transition_done(
        self, request: HttpRequest, button: TransitionButton, obj: Any, result: Any
    ) -> HttpResponseBase:
        """On to a new version; back to the pursuit when the button stood there (`?back=pursuit`)."""
        self.message_user(request, button.success, messages.SUCCESS)
        if button.name == "next-version":
            return HttpResponseRedirect(page_of(result))
        return HttpResponseRedirect(page_of(obj.pursuit if request.GET.get("back") == "pursuit" else obj))

    # --- printing ---

    def get_urls(self) -> list[URLPattern]:
        view = self.admin_site.admin_view(self.print_view)
        return [path("<path:object_id>/print/", view, name="workstream_proposal_print"), *super().get_urls()]

    def print_view(self, request: HttpRequest, object_id: str) -> HttpResponseBase:
        """The version as a page of its own, ready to print. 404 for another organisation's."""
        if request.method not in {"GET", "HEAD"}:
            return HttpResponseNotAllowed(["GET"])
        proposal = self.get_object(request, unquote(object_id)) if self.has_view_permission(request) else None
        if proposal is None:
            raise Http404(f"There is no proposal {object_id} in this organisation.")
        response = HttpResponse(printable_page(proposal, org=org_of(request)))
        # The page needs nothing but its own style, whatever somebody wrote into the body.
        response["Content-Security-Policy"] = "default-src 'none'; style-src 'unsafe-inline'; img-src https: data:"
        return response
