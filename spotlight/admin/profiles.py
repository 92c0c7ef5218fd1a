"""Profiles: the builder with its criteria, what a draft would make of the newest signals, copies, and versions."""

from __future__ import annotations

from typing import Any

from django.contrib import admin, messages
from django.contrib.admin.utils import unquote
from django.db.models import Count, QuerySet
from django.http import Http404, HttpRequest, HttpResponseNotAllowed, HttpResponseRedirect
from django.http.response import HttpResponseBase
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from django.utils.html import format_html, format_html_join
from django.utils.timezone import now
from unfold.decorators import display

from flowledger.backoffice.navigation import Group, Menu
from flowledger.backoffice.requests import actor_of, org_of
from flowledger.backoffice.transition_admin import TransitionAdmin, TransitionButton
from flowledger.tenancy.actors import Role
from spotlight import services
from spotlight.admin.criterion_forms import as_typed, lines_in, new_line, next_key
from spotlight.admin.previewing import preview_context, tried_context, try_inputs
from spotlight.admin.profile_forms import ABOUT, CloneForm, ProfileForm, domains_of, fields_of
from spotlight.admin.version_page import revert, version_context
from spotlight.admin.wording import criterion_in_words
from spotlight.models import Spotlight, SpotlightScore
from spotlight.services.definitions import criterion_definition

RECORD = ("version", "created_at", "updated_at")


@admin.register(Spotlight)
class SpotlightAdmin(TransitionAdmin):
    """Kept by managers; everybody may look, and try values. Nothing of the previews is stored."""

    menu = Menu(Group.SETUP, icon="target", order=63, title="Profiles")
    form = ProfileForm
    change_form_template = "spotlight/builder/page.html"
    add_role = change_role = delete_role = Role.MANAGER
    list_display = ("name", "domain", "active", "criteria_count", "version", "updated_at")
    list_filter = ("active",)
    search_fields = ("name",)
    search_help_text = "The name."
    ordering = ("name", "pk")
    # Deleted one by one, each through its use case.
    actions = None
    transitions = (
        TransitionButton(
            "clone",
            service=services.clone_spotlight,
            label="Copy",
            verb="edit_spotlight",
            argument="spotlight_id",
            form=CloneForm,
            icon="content_copy",
            explanation="Copies the profile whole. The copy is switched off until you switch it on.",
        ),
    )

    # --- the list ---

    def get_queryset(self, request: HttpRequest) -> QuerySet[Spotlight]:
        return super().get_queryset(request).annotate(criteria_count=Count("criteria"))

    @display(description="Criteria", ordering="criteria_count")
    def criteria_count(self, obj: Any) -> int:
        return int(obj.criteria_count)

    # --- the form ---

    def get_fieldsets(self, request: HttpRequest, obj: Any = None) -> Any:
        if not self.allows(request, self.change_role):
            return [(None, {"fields": (*ABOUT, "wishes", "version")})]
        return [(None, {"fields": ABOUT})]

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        always = [*super().get_readonly_fields(request, obj), "version", "wishes"]
        # Another domain has other fields: a profile is copied there, not moved.
        return always if obj is None else [*always, "domain"]

    def get_changeform_initial_data(self, request: HttpRequest) -> dict[str, Any]:
        domains = domains_of(org_of(request))
        return {**({"domain": domains[0]} if domains else {}), **super().get_changeform_initial_data(request)}

    @display(description="Criteria")
    def wishes(self, obj: Spotlight) -> str:
        rows = obj.criteria.select_related("field").order_by("position", "pk")
        lines = ((criterion_in_words(criterion_definition(row)),) for row in rows)
        return format_html('<ul class="list-disc ml-4">{}</ul>', format_html_join("", "<li>{}</li>", lines))

    def render_change_form(
        self,
        request: HttpRequest,
        context: dict[str, Any],
        add: bool = False,
        change: bool = False,
        form_url: str = "",
        obj: Any = None,
    ) -> Any:
        name = "admin:spotlight_spotlight"
        key = [] if obj is None else [obj.pk]
        context |= {
            "may_edit": self.allows(request, self.change_role),
            "domains": domains_of(org_of(request)) if obj is None else [],
            "preview_link": reverse(f"{name}_preview" if key else f"{name}_preview_new", args=key),
        }
        if obj is not None:
            context |= {
                "versions_link": reverse(f"{name}_versions", args=key),
                "try_link": reverse(f"{name}_try", args=key),
                "try_fields": try_inputs(fields_of(org_of(request), obj.domain)),
            }
        return super().render_change_form(request, context, add, change, form_url, obj)

    def save_through(self, request: HttpRequest, obj: Any, form: Any, change: bool) -> Any:
        org, actor, at = org_of(request), actor_of(request), now()
        given = form.cleaned_data
        if not change:
            return services.create_spotlight(
                org=org,
                fields={name: given[name] for name in ABOUT},
                criteria=given["criteria"],
                note=given["note"],
                actor=actor,
                at=at,
            )
        return services.update_spotlight(
            org=org,
            spotlight_id=obj.pk,
            fields={name: given[name] for name in form.changed_data if name in ABOUT},
            criteria=given["criteria"] if "criteria" in form.changed_data else None,
            note=given["note"],
            actor=actor,
            at=at,
        )

    def get_deleted_objects(self, objs: Any, request: HttpRequest) -> Any:
        """What goes with a profile in numbers: nobody could read through a million scores."""
        profiles = list(objs)
        scores = SpotlightScore.objects.for_org(org_of(request)).filter(spotlight__in=profiles).count()
        return [str(profile) for profile in profiles], {"profiles": len(profiles), "scores": scores}, set(), []

    def delete_through(self, request: HttpRequest, obj: Any) -> None:
        services.delete_spotlight(org=org_of(request), spotlight_id=obj.pk, actor=actor_of(request), at=now())

    def transition_done(
        self, request: HttpRequest, button: TransitionButton, obj: Any, result: Any
    ) -> HttpResponseBase:
        self.message_user(request, "This is the copy; change it, then switch it on.", messages.SUCCESS)
        return HttpResponseRedirect(self.link_to(result.pk))

    # --- the builder's parts ---

    def get_urls(self) -> list[URLPattern]:
        guard, name = self.admin_site.admin_view, "spotlight_spotlight"
        return [
            path("lines/", guard(self.lines_view), name=f"{name}_lines"),
            path("preview/", guard(self.preview_view), name=f"{name}_preview_new"),
            path("<path:object_id>/preview/", guard(self.preview_view), name=f"{name}_preview"),
            path("<path:object_id>/try/", guard(self.try_view), name=f"{name}_try"),
            path("<path:object_id>/versions/", guard(self.versions_view), name=f"{name}_versions"),
            *super().get_urls(),
        ]

    def locks(self, request: HttpRequest) -> bool:
        """Only the form itself; what shows something takes no lock, and a revert takes its own."""
        match = request.resolver_match
        return super().locks(request) and (match is None or match.url_name == "spotlight_spotlight_change")

    def lines_view(self, request: HttpRequest) -> HttpResponseBase:
        """Lines of the builder as they are typed: `?line=3` that one, `?new=1` one more, else all of them."""
        if request.method != "POST":
            return HttpResponseNotAllowed(["POST"])
        known = fields_of(org_of(request), request.POST.get("domain", ""))
        if "new" in request.GET:
            lines = [new_line(next_key(request.POST), known)]
        else:
            wanted = request.GET.get("line")
            typed = [line for line in lines_in(request.POST, known) if wanted in (None, line.key)]
            lines = [as_typed(line, is_new_field=_is_new_field(request, line.prefix)) for line in typed]
        context = {"lines": lines, "lines_link": reverse("admin:spotlight_spotlight_lines")}
        answer = TemplateResponse(request, "spotlight/builder/lines.html", context)
        answer["HX-Trigger-After-Settle"] = "criteria-changed"
        return answer

    def preview_view(self, request: HttpRequest, object_id: str | None = None) -> HttpResponseBase:
        """What the profile in the form would make of the newest signals. Stores nothing."""
        if request.method != "POST":
            return HttpResponseNotAllowed(["POST"])
        profile = None if object_id is None else self._profile(request, object_id)
        form = self.get_form(request, profile, change=profile is not None)(request.POST, instance=profile)
        return TemplateResponse(request, "spotlight/builder/preview.html", preview_context(request, profile, form))

    def try_view(self, request: HttpRequest, object_id: str) -> HttpResponseBase:
        """What values that somebody types would score, and which fields the form would show. Stores nothing."""
        if request.method != "POST":
            return HttpResponseNotAllowed(["POST"])
        profile, form = self._profile(request, object_id), None
        if self.allows(request, self.change_role):
            form = self.get_form(request, profile, change=True)(request.POST, instance=profile)
        context = tried_context(request, profile, form)
        return TemplateResponse(request, "spotlight/builder/tried.html", context)

    def versions_view(self, request: HttpRequest, object_id: str) -> HttpResponseBase:
        """Every version, two of them compared, and the way back."""
        profile = self._profile(request, object_id)
        if request.method == "POST":
            revert(request, profile)
            return HttpResponseRedirect(request.path)
        context = {
            **self.admin_site.each_context(request),
            "title": "Versions",
            "subtitle": profile.name,
            "opts": self.opts,
            "profile": profile,
            "back": self.link_to(profile.pk),
            **version_context(request, profile),
        }
        return TemplateResponse(request, "spotlight/versions.html", context)

    def _profile(self, request: HttpRequest, object_id: str) -> Spotlight:
        found = self.get_object(request, unquote(object_id)) if self.has_view_permission(request) else None
        if found is None:
            raise Http404(f"There is no profile {object_id} in this organisation.")
        profile: Spotlight = found
        return profile


def _is_new_field(request: HttpRequest, prefix: str | None) -> bool:
    """Whether somebody chose another field on a line since it was last shown."""
    return request.POST.get(f"{prefix}-field") != request.POST.get(f"{prefix}-shown_field")
