"""The API keys of the organisation."""

from __future__ import annotations

from typing import Any

from django import forms
from django.contrib import admin
from django.http import HttpRequest
from django.http.response import HttpResponseBase
from django.template.response import TemplateResponse
from django.utils.timezone import now
from unfold.decorators import display

from flowledger.backoffice.credentials import show_once
from flowledger.backoffice.forms import OrgModelForm
from flowledger.backoffice.navigation import Group, Menu
from flowledger.backoffice.requests import actor_of, org_of
from flowledger.backoffice.transition_admin import TransitionAdmin, TransitionButton
from flowledger.tenancy import services
from flowledger.tenancy.actors import Role
from flowledger.tenancy.models import ApiKey


class ApiKeyForm(OrgModelForm):
    scopes = forms.MultipleChoiceField(
        choices=[(scope, scope) for scope in services.API_KEY_SCOPES],
        widget=forms.CheckboxSelectMultiple,
        help_text="Write includes read.",
    )

    class Meta:
        model = ApiKey
        fields = ["name", "role", "scopes", "expires_at"]


@admin.register(ApiKey)
class ApiKeyAdmin(TransitionAdmin):
    """Administrators issue, rotate and revoke keys. The text of a key is on one page once, and nowhere else."""

    menu = Menu(Group.SETUP, icon="key", order=20)
    form = ApiKeyForm
    view_role = add_role = Role.ADMIN
    change_role = delete_role = None
    list_display = ["name", "role", "scope_list", "state", "created_by", "created_at", "last_used_at", "expires_at"]
    list_filter = ["role", "created_by"]
    search_fields = ["name"]
    ordering = ["-pk"]
    fieldsets = [
        (None, {"fields": ["name", "role", "scope_list", "state", "expires_at", "revoked_at"]}),
        ("Use", {"fields": ["created_by", "created_at", "last_used_at"]}),
    ]
    add_fieldsets = [(None, {"fields": ["name", "role", "scopes", "expires_at"]})]
    readonly_fields = ["scope_list", "state", "revoked_at", "created_by", "last_used_at"]
    transitions = [
        TransitionButton(
            "rotate",
            service=services.rotate_api_key,
            label="New secret",
            verb="manage_api_keys",
            argument="key_id",
            shown=lambda key: key.is_live(now()),
            icon="autorenew",
        ),
        TransitionButton(
            "revoke",
            service=services.revoke_api_key,
            label="Revoke",
            verb="manage_api_keys",
            argument="key_id",
            shown=lambda key: key.revoked_at is None,
            icon="block",
            variant="danger",
            success="The key opens nothing any more.",
        ),
    ]

    @display(description="scopes")
    def scope_list(self, key: ApiKey) -> str:
        return ", ".join(key.scopes)

    @display(description="state", label={"live": "success", "revoked": "danger", "expired": "warning"})
    def state(self, key: ApiKey) -> str:
        if key.revoked_at is not None:
            return "revoked"
        return "live" if key.is_live(now()) else "expired"

    def save_through(self, request: HttpRequest, obj: Any, form: Any, change: bool) -> ApiKey:
        values = form.cleaned_data
        key, text = services.issue_api_key(
            org=org_of(request),
            name=values["name"],
            role=Role(values["role"]),
            scopes=values["scopes"],
            expires_at=values["expires_at"],
            actor=actor_of(request),
            at=now(),
        )
        # Kept for this one answer; neither the message store nor the log may see it.
        request.issued_key = text  # type: ignore[attr-defined]
        return key

    def response_add(self, request: HttpRequest, obj: Any, post_url_continue: Any = None) -> Any:
        return self._show(request, obj, request.issued_key)  # type: ignore[attr-defined]

    def transition_done(
        self, request: HttpRequest, button: TransitionButton, obj: Any, result: Any
    ) -> HttpResponseBase:
        if button.name != "rotate":
            return super().transition_done(request, button, obj, result)
        key, text = result
        return self._show(request, key, text)

    def _show(self, request: HttpRequest, key: ApiKey, text: str) -> TemplateResponse:
        return show_once(
            self,
            request,
            key,
            title="API key",
            label="The key",
            warning="Copy the key now. It is not stored and will not be shown again.",
            text=text,
        )
