"""The members of the organisation."""

from __future__ import annotations

from typing import Any, cast

from django import forms
from django.contrib import admin
from django.contrib.auth.tokens import default_token_generator
from django.http import HttpRequest
from django.http.response import HttpResponseBase
from django.urls import reverse
from django.utils.encoding import force_bytes
from django.utils.http import urlsafe_base64_encode
from django.utils.timezone import now
from unfold.decorators import display

from flowledger.backoffice import services
from flowledger.backoffice.forms import OrgModelForm
from flowledger.backoffice.navigation import Group, Menu
from flowledger.backoffice.requests import actor_of, org_of
from flowledger.backoffice.transition_admin import TransitionAdmin, TransitionButton
from flowledger.tenancy.actors import Role
from flowledger.tenancy.models import Membership, User


class AddMemberForm(OrgModelForm):
    """Who, and with which role. Says nothing about accounts that exist elsewhere."""

    email = forms.EmailField(max_length=150, help_text="They get an email that tells them how to log in.")
    first_name = forms.CharField(max_length=150, required=False)
    last_name = forms.CharField(max_length=150, required=False)

    class Meta:
        model = Membership
        fields = ["role"]


@admin.register(Membership)
class MembershipAdmin(TransitionAdmin):
    """Administrators add members, change roles and end access; accounts themselves are the superuser's."""

    menu = Menu(Group.SETUP, icon="group", order=10, title="Members")
    view_role = add_role = change_role = Role.ADMIN
    delete_role = None
    list_display = ["person", "full_name", "email", "role_label", "active"]
    list_filter = ["role", "is_active"]
    list_select_related = ["user"]
    search_fields = ["user__username", "user__first_name", "user__last_name", "user__email"]
    ordering = ["user__username", "pk"]
    fieldsets = [(None, {"fields": ["person", "full_name", "email", "role", "active"]})]
    add_fieldsets = [(None, {"fields": ["email", "first_name", "last_name", "role"]})]
    transitions = [
        TransitionButton(
            "deactivate",
            service=services.deactivate_member,
            label="End access",
            verb="manage_members",
            shown=lambda row: row.is_active,
            icon="person_off",
            variant="danger",
            success="Access ended. The person is out with their next click.",
        ),
        TransitionButton(
            "reactivate",
            service=services.reactivate_member,
            label="Let in again",
            verb="manage_members",
            shown=lambda row: not row.is_active,
            icon="person_check",
            variant="primary",
            success="The person has access again.",
        ),
        TransitionButton(
            "invite-again",
            service=services.invite_member_again,
            label="Send invitation again",
            verb="manage_members",
            shown=lambda row: row.is_active and not row.user.has_usable_password(),
            icon="forward_to_inbox",
            success="Another invitation is on its way.",
        ),
    ]

    @display(description="user", ordering="user__username")
    def person(self, row: Membership) -> str:
        return row.user.get_username()

    @display(description="name")
    def full_name(self, row: Membership) -> str:
        return row.user.get_full_name()

    @display(description="email", ordering="user__email")
    def email(self, row: Membership) -> str:
        return row.user.email

    @display(description="role", ordering="role", label=True)
    def role_label(self, row: Membership) -> str:
        return row.get_role_display()

    @display(description="has access", ordering="is_active", boolean=True)
    def active(self, row: Membership) -> bool:
        return row.is_active

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> list[str]:
        ours = ["person", "full_name", "email", "active"] if obj is not None else []
        return [*super().get_readonly_fields(request, obj), *ours]

    def get_form(self, request: HttpRequest, obj: Any = None, change: bool = False, **kwargs: Any) -> Any:
        if not change:
            kwargs["form"] = AddMemberForm
        return super().get_form(request, obj, change=change, **kwargs)

    def save_through(self, request: HttpRequest, obj: Any, form: Any, change: bool) -> Membership:
        org, actor, values = org_of(request), actor_of(request), form.cleaned_data
        if change:
            return services.change_member_role(
                org=org, membership_id=obj.pk, role=Role(values["role"]), actor=actor, at=now()
            )
        return services.add_member(
            org=org,
            email=values["email"],
            first_name=values["first_name"],
            last_name=values["last_name"],
            role=Role(values["role"]),
            password_link=PasswordLink(request),
            actor=actor,
            at=now(),
        )

    def service_arguments(self, request: HttpRequest, button: TransitionButton) -> dict[str, Any]:
        return {"password_link": PasswordLink(request)} if button.name == "invite-again" else {}

    def transition_done(
        self, request: HttpRequest, button: TransitionButton, obj: Any, result: Any
    ) -> HttpResponseBase:
        response = super().transition_done(request, button, obj, result)
        if button.name == "deactivate" and obj.user_id == cast(User, request.user).pk:
            response["Location"] = reverse("admin:organizations")
        return response


class PasswordLink:
    """Writes the link with which a person without a password chooses one."""

    def __init__(self, request: HttpRequest) -> None:
        self.request = request

    def __call__(self, user: User) -> str:
        key = urlsafe_base64_encode(force_bytes(user.pk))
        address = reverse("admin:password_set", args=[key, default_token_generator.make_token(user)])
        return self.request.build_absolute_uri(address)
