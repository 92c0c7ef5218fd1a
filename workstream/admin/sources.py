"""Intake sources: their options, their public addresses, the snippet to paste, and what a sample would become."""

from __future__ import annotations

import json
from typing import Any

from django.contrib import admin, messages
from django.contrib.admin.utils import unquote
from django.http import Http404, HttpRequest, HttpResponseNotAllowed, HttpResponseRedirect
from django.http.response import HttpResponseBase
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from django.utils.timezone import now
from unfold.decorators import display

from flowledger.backoffice.credentials import show_once
from flowledger.backoffice.navigation import Group, Menu
from flowledger.backoffice.refusals import explain
from flowledger.backoffice.requests import actor_of, org_of
from flowledger.backoffice.transition_admin import TransitionAdmin, TransitionButton
from flowledger.errors import FlowLedgerError, InvalidInput
from flowledger.tenancy.actors import Role
from workstream import services
from workstream.admin.source_forms import AddSourceForm, RotateForm, SourceForm, form_for, option_name, placed, pretty
from workstream.intake import form_html
from workstream.models.intake import IntakeSource, SourceKind
from workstream.services.sources import KeptSource, options_of

PLAIN = ("name", "source_type", "is_active")
RECORD = ("kind", "previous_secret_until", "polled_at", "failed_at", "failure", "created_by", "created_at")
SAMPLES = {
    SourceKind.WEB_FORM: {"name": "Ann Archer", "email": "ann@harbour.example", "message": "Please call me"},
    SourceKind.WEBHOOK: {"contact_name": "Ann Archer", "contact_email": "ann@harbour.example", "snippet": "Call me"},
}
MAX_SAMPLE = 100_000


@admin.register(IntakeSource)
class IntakeSourceAdmin(TransitionAdmin):
    """Kept by managers. A secret that was made is on one page once, and nowhere else."""

    menu = Menu(Group.INTAKE, icon="input", order=10, title="Sources")
    view_role = add_role = change_role = delete_role = Role.MANAGER
    change_form_template = "workstream/intake/source.html"
    list_display = ("name", "kind", "source_type", "state_badge", "polled_at", "failure")
    list_filter = ("kind", "is_active")
    search_fields = ("name",)
    ordering = ("name", "pk")
    transitions = (
        TransitionButton(
            "rotate-secret",
            service=services.rotate_secret,
            label="New secret",
            verb="edit_sources",
            argument="source_id",
            form=RotateForm,
            shown=lambda source: source.kind != SourceKind.WEB_FORM,
            icon="autorenew",
            explanation="Give the sender the new secret before the old one ends.",
            success="The new secret is in force.",
        ),
        TransitionButton(
            "poll",
            service=services.poll_soon,
            label="Read now",
            verb="edit_sources",
            argument="source_id",
            shown=lambda source: source.kind == SourceKind.MAILBOX and source.is_active,
            icon="sync",
            success="The mailbox is read within a minute.",
        ),
    )

    @display(description="State", label={"active": "success", "off": "default", "failing": "danger"})
    def state_badge(self, obj: IntakeSource) -> str:
        if not obj.is_active:
            return "off"
        return "failing" if obj.failed_at is not None else "active"

    # --- forms ---

    def get_form(self, request: HttpRequest, obj: Any = None, change: bool = False, **kwargs: Any) -> Any:
        kwargs["form"] = AddSourceForm if obj is None else form_for(obj)
        return super().get_form(request, obj, change=change, **kwargs)

    def get_fieldsets(self, request: HttpRequest, obj: Any = None) -> Any:
        if obj is None:
            return [(None, {"fields": ("kind", "name", "host", "username", "secret")})]
        form = form_for(obj)
        secret = ("secret",) if "secret" in form.base_fields else ()
        return [
            (None, {"fields": (*PLAIN, *secret)}),
            (obj.get_kind_display(), {"fields": tuple(option_name(leaf) for leaf in form.leaves)}),
            ("Record", {"fields": RECORD, "classes": ("collapse",)}),
        ]

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        always = super().get_readonly_fields(request, obj)
        return always if obj is None else [*always, *(name for name in RECORD if name not in always)]

    def save_through(self, request: HttpRequest, obj: Any, form: Any, change: bool) -> Any:
        given, org, actor = form.cleaned_data, org_of(request), actor_of(request)
        try:
            if change:
                fields = {**{name: given[name] for name in PLAIN}, "options": form.options()}
                secret = given.get("secret") or None
                return services.update_source(
                    org=org, source_id=obj.pk, fields=fields, secret=secret, actor=actor, at=now()
                )
            fields = {"kind": given["kind"], "name": given["name"], "options": form.options()}
            kept = services.create_source(org=org, fields=fields, secret=given["secret"], actor=actor, at=now())
        except InvalidInput as refusal:
            raise placed(refusal, form) from refusal
        # For this one answer; neither the message store nor the log may see it.
        request.made_secret = kept.secret  # type: ignore[attr-defined]
        return kept.source

    def delete_through(self, request: HttpRequest, obj: Any) -> None:
        services.delete_source(org=org_of(request), source_id=obj.pk, actor=actor_of(request), at=now())

    def response_add(self, request: HttpRequest, obj: Any, post_url_continue: Any = None) -> Any:
        """On to the options; by way of the secret where one was made."""
        made: str = request.made_secret  # type: ignore[attr-defined]
        if made:
            return self._show(request, obj, made)
        self.message_user(request, "The source takes things in; look through its options.", messages.SUCCESS)
        return HttpResponseRedirect(self.link_to(obj.pk))

    def transition_done(
        self, request: HttpRequest, button: TransitionButton, obj: Any, result: Any
    ) -> HttpResponseBase:
        if isinstance(result, KeptSource) and result.secret:
            return self._show(request, result.source, result.secret)
        return super().transition_done(request, button, obj, result)

    def _show(self, request: HttpRequest, source: IntakeSource, secret: str) -> TemplateResponse:
        return show_once(
            self,
            request,
            source,
            title="Secret",
            label="The secret",
            warning="Copy the secret now and give it to the sender. It will not be shown again.",
            text=secret,
        )

    # --- panels ---

    def panels(self, request: HttpRequest, obj: IntakeSource) -> dict[str, Any]:
        doors = {SourceKind.WEB_FORM: "forms", SourceKind.WEBHOOK: "webhooks", SourceKind.MAIL_HOOK: "mail"}
        door = doors.get(SourceKind(obj.kind))
        panels: dict[str, Any] = {
            "door": request.build_absolute_uri(f"/api/in/{door}/{obj.token}") if door else "",
            "has_secret": bool(obj.sealed_secret),
        }
        if obj.kind in SAMPLES:
            panels["sample"] = pretty(SAMPLES[SourceKind(obj.kind)])
            panels["try_link"] = reverse("admin:workstream_intakesource_try", args=[obj.pk])
        if obj.kind == SourceKind.WEB_FORM:
            page = request.build_absolute_uri(reverse("form-page", args=[obj.token]))
            panels |= {"page": page, "snippet": form_html.snippet(options_of(obj), action=page)}
        return panels

    def get_urls(self) -> list[URLPattern]:
        view = self.admin_site.admin_view(self.try_view)
        return [path("<path:object_id>/try/", view, name="workstream_intakesource_try"), *super().get_urls()]

    def locks(self, request: HttpRequest) -> bool:
        match = request.resolver_match
        return super().locks(request) and (match is None or match.url_name != "workstream_intakesource_try")

    def try_view(self, request: HttpRequest, object_id: str) -> HttpResponseBase:
        """What the sample would become by the options that are in the form. Stores nothing."""
        if request.method != "POST":
            return HttpResponseNotAllowed(["POST"])
        obj = self.get_object(request, unquote(object_id)) if self.has_change_permission(request) else None
        if obj is None:
            raise Http404(f"There is no source {object_id} in this organisation.")
        form: SourceForm = self.get_form(request, obj)(request.POST, instance=obj)
        form.is_valid()
        context: dict[str, Any] = {}
        try:
            items = services.preview_source(
                org=org_of(request),
                source_id=obj.pk,
                sample=_sample_of(request.POST.get("sample", "")),
                options=form.options(),
                actor=actor_of(request),
                at=now(),
            )
            context["items"] = [{"fields": pretty(each.fields), "errors": dict(each.errors)} for each in items]
        except FlowLedgerError as error:
            context["refusal"] = explain(error)
        return TemplateResponse(request, "workstream/intake/tried.html", context)


def _sample_of(text: str) -> Any:
    """The sample as JSON. Raises InvalidInput."""
    try:
        return json.loads(text[:MAX_SAMPLE])
    except (ValueError, RecursionError):
        sentence = "The sample is no JSON."
        raise InvalidInput(sentence, fields={"sample": [sentence]}) from None
