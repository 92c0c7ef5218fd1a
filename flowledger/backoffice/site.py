"""The admin site: who is let in, how an organisation is chosen, and what is found."""

from __future__ import annotations

from typing import Any, cast

from django.contrib.auth.views import PasswordResetConfirmView
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.http.response import HttpResponseBase
from django.shortcuts import redirect
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse, reverse_lazy
from django.utils.decorators import method_decorator
from django.views.decorators.cache import never_cache
from django.views.decorators.csrf import csrf_protect
from django.views.decorators.http import require_http_methods
from unfold.dataclasses import SearchResult
from unfold.sites import UnfoldAdminSite

from flowledger.backoffice import navigation, organizations, pages
from flowledger.backoffice.forms import style
from flowledger.backoffice.requests import actor_if_any
from flowledger.tenancy.models import User

MAX_ID = 2**63 - 1


class PasswordSetView(PasswordResetConfirmView):
    """Where the link of an invitation leads: the new member chooses a password."""

    template_name = "backoffice/password_set.html"
    success_url = reverse_lazy("admin:password_set_done")
    title = "Choose a password"

    def get_form(self, form_class: Any = None) -> Any:
        form = super().get_form(form_class)
        for field in form.fields.values():
            style(field)
        return form

    def get_context_data(self, **kwargs: Any) -> dict[str, Any]:
        from django.contrib import admin

        return {**admin.site.each_context(self.request), **super().get_context_data(**kwargs)}


class BackofficeSite(UnfoldAdminSite):
    """Unfold's site, opened by memberships instead of Django's permissions."""

    index_title = "Overview"
    index_template = "backoffice/index.html"
    enable_nav_sidebar = True

    def has_permission(self, request: HttpRequest) -> bool:
        """A live membership (or a superuser's choice) in the session's organisation, read by the middleware.

        Logging out and the own password are open to people without an organisation, too.
        """
        if actor_if_any(request) is not None:
            return True
        match = request.resolver_match
        is_personal = match is not None and match.url_name in organizations.PERSONAL_PAGES
        return is_personal and organizations.may_enter(cast(User, request.user))

    # --- addresses ---

    def extra_urls(self) -> list[URLPattern]:
        """Read by Unfold. The first four work without an organisation, so they are not behind `admin_view`."""
        password = never_cache(PasswordSetView.as_view())
        return [
            path("organisations/", never_cache(self.organizations), name="organizations"),
            path("organisations/switch/", never_cache(self.organization_switch), name="organization_switch"),
            path("password/set/<uidb64>/<token>/", password, name="password_set"),
            path("password/set/done/", self.password_set_done, name="password_set_done"),
            path("overview/", self.admin_view(self.overview), name="overview"),
            *(path(page.route, self.admin_view(page.guarded()), name=page.name) for page in pages.pages()),
        ]

    def extra_context(self, context: dict[str, Any], request: HttpRequest) -> dict[str, Any]:
        """Read by Unfold. The marks are asked when a page shows its header, not before."""
        return {**context, "header_marks": lambda: pages.marks(request)}

    # --- logging in ---

    def login(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponseBase:
        """As Django's; somebody who is logged in already goes on to the overview."""
        if request.method == "GET" and organizations.may_enter(cast(User, request.user)):
            return HttpResponseRedirect(reverse("admin:index"))
        return cast(HttpResponseBase, super().login(request, extra_context))

    def password_set_done(self, request: HttpRequest) -> HttpResponseBase:
        """After a first password: on to the log-in page."""
        return TemplateResponse(
            request, "backoffice/password_set_done.html", {**self.each_context(request), "title": "Password chosen"}
        )

    # --- the organisation ---

    @method_decorator([csrf_protect, require_http_methods(["GET", "HEAD"])])
    def organizations(self, request: HttpRequest) -> HttpResponseBase:
        """The chooser. Superusers may search it with `?q=`."""
        user = cast(User, request.user)
        if not organizations.may_enter(user):
            return redirect("admin:login")
        containing = request.GET.get("q", "")[:100] if user.is_superuser else ""
        context = {
            **self.each_context(request),
            "title": "Organisations",
            "organizations": organizations.choices_for(user, containing=containing),
            "current_id": organizations.remembered(request),
            "searchable": user.is_superuser,
            "q": containing,
        }
        return TemplateResponse(request, "backoffice/organizations.html", context)

    @method_decorator([csrf_protect, require_http_methods(["POST"])])
    def organization_switch(self, request: HttpRequest) -> HttpResponseBase:
        """Work in another organisation. 404, and a line in the audit log, for one the user has no right to."""
        user = cast(User, request.user)
        if not organizations.may_enter(user):
            return redirect("admin:login")
        wanted = request.POST.get("org", "")
        is_id = wanted.isascii() and wanted.isdigit() and int(wanted) <= MAX_ID
        if not is_id or not organizations.choose(request, user, int(wanted)):
            raise Http404("There is no such organisation.")
        return HttpResponseRedirect(reverse("admin:index"))

    # --- pages ---

    def index(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponseBase:
        """The landing page that an app registered, else the overview."""
        landing = pages.landing()
        return self.overview(request, extra_context) if landing is None else landing.view(request)

    def overview(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> TemplateResponse:
        """The menu as a page. No "recent actions": Django's log knows no organisations."""
        groups = {str(group): lines for group, lines in navigation.entries(request).items()}
        return super().index(request, {"groups": groups, **(extra_context or {})})

    def search(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        """Find a page of the menu by name.

        Unfold's own search is replaced: it caches what it found per user, across organisations and roles.
        """
        term = request.GET.get("s", "").strip().lower()
        if not term:
            return HttpResponse()
        results = [
            SearchResult(title=entry.title, description=str(group), link=entry.link, icon=entry.menu.icon)
            for group, lines in navigation.entries(request).items()
            for entry in lines
            if term in entry.title.lower()
        ]
        return TemplateResponse(request, "unfold/helpers/search_results.html", {"results": results})
