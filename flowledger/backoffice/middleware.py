"""Opens the organisation's scope around every back-office request, and sends people without one to choose it."""

from __future__ import annotations

from collections.abc import Callable
from typing import cast

import structlog
from django.contrib import messages
from django.db import transaction
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.http.response import HttpResponseBase
from django.template.response import TemplateResponse
from django.urls import Resolver404, resolve, reverse
from django.utils.functional import cached_property

from flowledger.backoffice import organizations
from flowledger.backoffice.organizations import Admission
from flowledger.backoffice.refusals import explain
from flowledger.errors import FlowLedgerError, ScopeError
from flowledger.tenancy.models import User
from flowledger.tenancy.scope import org_scope

# Run outside of any scope, whatever the session remembers.
PAGES_WITHOUT_ORGANIZATION = frozenset(
    {"login", "password_set", "password_set_done", "organizations", "organization_switch"}
)


class OrganizationMiddleware:
    """Sets `request.org`, `request.membership` and `request.actor`, and runs the request inside the scope.

    The membership is read again at every request, so that its end is felt at once. The request is one transaction:
    it commits after a success and after a refusal (services undo their own work and leave their evidence), and
    rolls back after any other exception.
    """

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self.get_response = get_response

    @cached_property
    def root(self) -> str:
        return reverse("admin:index")

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        _enter(request, None)
        if not request.path_info.startswith(self.root):
            return self.get_response(request)
        user = cast(User, request.user)
        page = _page_name(request)
        if not organizations.may_enter(user) or page in PAGES_WITHOUT_ORGANIZATION:
            return self.get_response(request)
        org_id = organizations.remembered(request)
        if org_id is None:
            org_id = organizations.only_organization(user)
            if org_id is not None:
                request.session[organizations.SESSION_KEY] = org_id
        if org_id is not None:
            response = self._inside(request, user, org_id)
            if response is not None:
                return response
            organizations.forget(request)
            organizations.audit.warning("organization_lost", user_id=user.pk, org_id=org_id, path=request.path)
        if page in organizations.PERSONAL_PAGES:
            return self.get_response(request)
        if org_id is not None:
            messages.warning(request, "You no longer have access to that organisation.")
        return HttpResponseRedirect(reverse("admin:organizations"))

    def _inside(self, request: HttpRequest, user: User, org_id: int) -> HttpResponseBase | None:
        """The answer from inside the organisation's scope; None when the user may not work there (any more)."""
        request_id = getattr(request, "request_id", "")
        with org_scope(org_id), structlog.contextvars.bound_contextvars(org_id=org_id, user_id=user.pk):
            admission = organizations.admit(user, org_id, request_id=request_id)
            if admission is None:
                return None
            _enter(request, admission)
            response = self.get_response(request)
            if response.streaming:
                raise ScopeError(f"{request.path} streams its answer, which would be read outside of the scope.")
            return response

    def process_exception(self, request: HttpRequest, exception: Exception) -> HttpResponse | None:
        """Refusals become a page and keep their evidence; anything else undoes the whole request.

        Django turns exceptions into answers before they reach `__call__`, hence the hook.
        """
        if getattr(request, "actor", None) is None:
            return None
        if isinstance(exception, FlowLedgerError):
            page = TemplateResponse(
                request,
                "backoffice/refused.html",
                {"title": "Not possible", "explanation": explain(exception)},
                status=exception.status,
            )
            return page.render()
        transaction.set_rollback(True)
        return None


def _enter(request: HttpRequest, admission: Admission | None) -> None:
    request.org = admission.org if admission else None  # type: ignore[attr-defined]
    request.membership = admission.membership if admission else None  # type: ignore[attr-defined]
    request.actor = admission.actor if admission else None  # type: ignore[attr-defined]


def _page_name(request: HttpRequest) -> str:
    """The name of an admin page that belongs to the site itself, else an empty text."""
    try:
        match = resolve(request.path_info)
    except Resolver404:
        return ""
    return match.url_name or "" if match.namespace == "admin" else ""
