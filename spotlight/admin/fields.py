"""Fields that the profiles of a domain share, and the rules that show, require or hide them in a form."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.db.models import Count, QuerySet
from django.http import HttpRequest, HttpResponseNotAllowed
from django.http.response import HttpResponseBase
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from django.utils.timezone import now
from unfold.decorators import display

from flowledger.backoffice.navigation import Group, Menu
from flowledger.backoffice.org_admin import OrgAdmin
from flowledger.backoffice.requests import actor_of, org_of
from flowledger.tenancy.actors import Role
from spotlight.admin.field_forms import FieldForm, RuleForm
from spotlight.admin.profile_forms import domains_of
from spotlight.admin.wording import rule_in_words
from spotlight.models import FieldRule, SpotlightField
from spotlight.services import fields as services
from workstream.admin.items import page_of

WHAT = ("domain", "field_name", "label", "field_type", "enum_values", "aliases")
FORM = ("is_required", "display_order")
RULE = ("effect", "field", "condition_field", "operator", "condition_value")


@admin.register(SpotlightField)
class SpotlightFieldAdmin(OrgAdmin):
    """Kept by managers. A change reaches the profiles that look at the field as new versions."""

    menu = Menu(Group.SETUP, icon="data_object", order=65, title="Profile fields")
    form = FieldForm
    change_form_template = "spotlight/field.html"
    add_role = change_role = delete_role = Role.MANAGER
    list_display = ("title", "field_name", "domain", "field_type", "values", "uses", "is_required")
    list_filter = ("domain", "field_type")
    search_fields = ("field_name", "label")
    search_help_text = "The name or label."
    ordering = ("domain", "display_order", "field_name", "pk")
    # Deleted one by one, each through its use case.
    actions = None

    def get_queryset(self, request: HttpRequest) -> QuerySet[SpotlightField]:
        return super().get_queryset(request).annotate(uses=Count("criteria"))

    def get_fieldsets(self, request: HttpRequest, obj: Any = None) -> Any:
        if not self.allows(request, self.change_role):
            return [(None, {"fields": ("domain", "field_name", "label", "field_type", "values", "names", *FORM)})]
        return [(None, {"fields": WHAT}), ("In a form", {"fields": FORM})]

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        always = [*super().get_readonly_fields(request, obj), "values", "names"]
        return always if obj is None else [*always, "domain"]

    def get_changeform_initial_data(self, request: HttpRequest) -> dict[str, Any]:
        domains = domains_of(org_of(request))
        return {**({"domain": domains[0]} if domains else {}), **super().get_changeform_initial_data(request)}

    @display(description="Field", ordering="label")
    def title(self, obj: SpotlightField) -> str:
        return str(obj)

    @display(description="Values")
    def values(self, obj: SpotlightField) -> str:
        return ", ".join(map(str, obj.enum_values)) or "–"

    @display(description="Other names")
    def names(self, obj: SpotlightField) -> str:
        return ", ".join(map(str, obj.aliases)) or "–"

    @display(description="Criteria", ordering="uses")
    def uses(self, obj: Any) -> int:
        return int(obj.uses)

    def render_change_form(
        self,
        request: HttpRequest,
        context: dict[str, Any],
        add: bool = False,
        change: bool = False,
        form_url: str = "",
        obj: Any = None,
    ) -> Any:
        context["domains"] = domains_of(org_of(request)) if obj is None else []
        if obj is not None:
            rules = obj.rules.select_related("field", "condition_field").order_by("pk")
            context |= {
                "rules": [{"words": rule_in_words(rule), "link": page_of(rule)} for rule in rules],
                "may_edit": self.allows(request, self.change_role),
                "add_rule_link": f"{reverse('admin:spotlight_fieldrule_add')}?field={obj.pk}",
            }
        return super().render_change_form(request, context, add, change, form_url, obj)

    def save_through(self, request: HttpRequest, obj: Any, form: Any, change: bool) -> Any:
        names = [name for name in (*WHAT, *FORM) if name in form.cleaned_data]
        if change:
            names = [name for name in names if name in form.changed_data]
        fields = {name: form.cleaned_data[name] for name in names}
        org, actor, at = org_of(request), actor_of(request), now()
        if change:
            return services.update_field(org=org, field_id=obj.pk, fields=fields, actor=actor, at=at)
        return services.create_field(org=org, fields=fields, actor=actor, at=at)

    def delete_through(self, request: HttpRequest, obj: Any) -> None:
        services.delete_field(org=org_of(request), field_id=obj.pk, actor=actor_of(request), at=now())


@admin.register(FieldRule)
class FieldRuleAdmin(OrgAdmin):
    """Kept by managers; what they do shows where values are tried on a profile's page."""

    menu = Menu(Group.SETUP, icon="rule_settings", order=65, title="Field rules")
    form = RuleForm
    change_form_template = "spotlight/rule.html"
    add_role = change_role = delete_role = Role.MANAGER
    list_display = ("rule", "domain", "updated_at")
    list_filter = ("effect", "field__domain")
    list_select_related = ("field", "condition_field")
    ordering = ("field__domain", "field__display_order", "pk")
    # Deleted one by one, each through its use case.
    actions = None

    def get_autocomplete_fields(self, request: HttpRequest) -> Any:
        """None: the form groups the fields by domain."""
        return ()

    def get_fieldsets(self, request: HttpRequest, obj: Any = None) -> Any:
        if not self.allows(request, self.change_role):
            return [(None, {"fields": ("rule", "domain")})]
        return [(None, {"fields": RULE})]

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        return [*super().get_readonly_fields(request, obj), "rule", "domain"]

    @display(description="Rule")
    def rule(self, obj: FieldRule) -> str:
        return rule_in_words(obj)

    @display(description="Domain", ordering="field__domain")
    def domain(self, obj: FieldRule) -> str:
        return str(obj.field.domain)

    def save_through(self, request: HttpRequest, obj: Any, form: Any, change: bool) -> Any:
        org, actor, at = org_of(request), actor_of(request), now()
        fields = {name: form.cleaned_data[name] for name in RULE}
        if change:
            return services.update_rule(org=org, rule_id=obj.pk, fields=fields, actor=actor, at=at)
        return services.create_rule(org=org, fields=fields, actor=actor, at=at)

    def delete_through(self, request: HttpRequest, obj: Any) -> None:
        services.delete_rule(org=org_of(request), rule_id=obj.pk, actor=actor_of(request), at=now())

    # --- inputs that follow the field that decides ---

    def get_urls(self) -> list[URLPattern]:
        view = self.admin_site.admin_view(self.inputs_view)
        return [path("inputs/", view, name="spotlight_fieldrule_inputs"), *super().get_urls()]

    def inputs_view(self, request: HttpRequest) -> HttpResponseBase:
        """The comparison and the value as the form stands. Stores nothing."""
        if request.method != "POST":
            return HttpResponseNotAllowed(["POST"])
        given = self.get_form(request, None)(request.POST)
        # Not judged yet: shown as it stands.
        form = self.get_form(request, None)(initial={name: given[name].value() for name in RULE})
        return TemplateResponse(request, "spotlight/rule_inputs.html", {"form": form})
