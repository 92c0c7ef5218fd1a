"""The organisation's vocabulary: problems, solutions, tags. Managers keep it."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.http import HttpRequest
from django.utils.timezone import now

from flowledger.backoffice.navigation import Group, Menu
from flowledger.backoffice.org_admin import OrgAdmin
from flowledger.backoffice.requests import actor_of, org_of
from flowledger.tenancy.actors import Role
from workstream import services
from workstream.models import Problem, Solution, Tag


class VocabularyAdmin(OrgAdmin):
    """Read by everybody, kept by managers."""

    add_role = change_role = delete_role = Role.MANAGER
    search_fields = ("name",)
    ordering = ("name", "pk")

    def save_through(self, request: HttpRequest, obj: Any, form: Any, change: bool) -> Any:
        if change and not form.changed_data:
            return None
        return self.store(request, obj.pk, {name: form.cleaned_data[name] for name in form.changed_data})

    def store(self, request: HttpRequest, pk: int | None, fields: dict[str, Any]) -> Any:
        """Call the service of the model; without `pk` for a new row."""
        raise NotImplementedError


@admin.register(Problem)
class ProblemAdmin(VocabularyAdmin):
    menu = Menu(Group.SETUP, icon="help_center", order=60)
    list_display = ("name", "is_active", "updated_at")
    list_filter = ("is_active",)
    fields = ("name", "definition", "is_active")

    def store(self, request: HttpRequest, pk: int | None, fields: dict[str, Any]) -> Any:
        return services.save_problem(
            org=org_of(request), problem_id=pk, fields=fields, actor=actor_of(request), at=now()
        )


@admin.register(Solution)
class SolutionAdmin(VocabularyAdmin):
    menu = Menu(Group.SETUP, icon="inventory_2", order=61)
    list_display = ("name", "list_price", "is_active", "updated_at")
    list_filter = ("is_active",)
    fields = ("name", "playbook_reference", "list_price", "is_active")

    def store(self, request: HttpRequest, pk: int | None, fields: dict[str, Any]) -> Any:
        return services.save_solution(
            org=org_of(request), solution_id=pk, fields=fields, actor=actor_of(request), at=now()
        )


@admin.register(Tag)
class TagAdmin(VocabularyAdmin):
    menu = Menu(Group.SETUP, icon="sell", order=62)
    list_display = ("name", "created_at")
    fields = ("name",)

    def store(self, request: HttpRequest, pk: int | None, fields: dict[str, Any]) -> Any:
        return services.save_tag(org=org_of(request), tag_id=pk, fields=fields, actor=actor_of(request), at=now())
