"""Accounts of the whole installation, for superusers."""

from __future__ import annotations

from typing import Any, cast

from django.contrib import admin
from django.contrib.auth.admin import UserAdmin as DjangoUserAdmin
from django.http import HttpRequest
from unfold.admin import ModelAdmin
from unfold.forms import AdminPasswordChangeForm, UserChangeForm, UserCreationForm

from flowledger.backoffice.navigation import Group, Menu
from flowledger.backoffice.requests import actor_if_any
from flowledger.tenancy.models import User


@admin.register(User)
class UserAdmin(DjangoUserAdmin, ModelAdmin):
    """Users belong to no organisation, so organisations' administrators see their memberships instead.

    Django's groups and permissions are not offered: roles decide here.
    """

    menu = Menu(Group.SETUP, icon="manage_accounts", order=90)
    form = UserChangeForm
    add_form = UserCreationForm
    change_password_form = AdminPasswordChangeForm
    list_display = ["username", "email", "first_name", "last_name", "is_active", "is_staff", "is_superuser"]
    list_filter = ["is_active", "is_staff", "is_superuser"]
    search_fields = ["username", "email", "first_name", "last_name"]
    ordering = ["username"]
    filter_horizontal = ()
    actions = None
    show_full_result_count = False
    readonly_fields = ["last_login", "date_joined"]
    fieldsets = [
        (None, {"fields": ["username", "password"]}),
        ("Person", {"fields": ["first_name", "last_name", "email"]}),
        ("Access", {"fields": ["is_active", "is_staff", "is_superuser", "last_login", "date_joined"]}),
    ]

    def _is_superuser(self, request: HttpRequest) -> bool:
        return actor_if_any(request) is not None and cast(User, request.user).is_superuser

    def has_module_permission(self, request: HttpRequest) -> bool:
        return self._is_superuser(request)

    def has_view_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return self._is_superuser(request)

    def has_add_permission(self, request: HttpRequest) -> bool:
        return self._is_superuser(request)

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return self._is_superuser(request)

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Nobody: the row is in the history of every organisation it worked for. Switch the account off instead."""
        return False
