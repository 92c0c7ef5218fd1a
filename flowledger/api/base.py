"""The sealed frame of every request to an organisation: credential, scope, permission, one transaction, one answer.

A request is one transaction inside the organisation's scope. A refusal (4xx) commits, because services have rolled
back to their own savepoint and left nothing but evidence; a failure (5xx) or anything that the database refused
rolls back everything. The hooks that carry this are sealed: a subclass, mixin or action that would replace one is
refused when the class is made, also where Python's method resolution would have let it win silently.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import ExitStack
from typing import Any, ClassVar, NamedTuple, cast

from django.db import models, transaction
from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.template.response import SimpleTemplateResponse
from django.utils.cache import patch_cache_control, patch_vary_headers
from rest_framework import serializers
from rest_framework.exceptions import AuthenticationFailed
from rest_framework.permissions import SAFE_METHODS
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView
from structlog.contextvars import bind_contextvars

from flowledger.api import etags, idempotency, throttling
from flowledger.api.authentication import ApiKeyAuthentication, BearerAuthentication, Principal
from flowledger.api.permissions import RoleAndScope
from flowledger.errors import NotFound, PermissionRefused
from flowledger.tenancy.actors import Actor, Role
from flowledger.tenancy.models import Organization, OrgModel
from flowledger.tenancy.scope import current_org_id, org_scope


class Target(NamedTuple):
    """The row that a request's address names: for existence (404 before 400) and If-Match."""

    resource: str
    rows: models.QuerySet[Any]


class SealBroken(TypeError):
    """A class would replace a hook that carries isolation."""


class OrgAPIView(APIView):
    """Base of every endpoint of an organisation that is not about one model; see OrgViewSet for the others.

    Subclasses say `scope` (API-key scope prefix, `permissions.ANY_KEY`, or None for people only) and may say
    `action_roles` by method name (`{"post": Role.ADMIN}`); without, reading needs a viewer, everything else a rep.
    """

    authentication_classes = (BearerAuthentication, ApiKeyAuthentication)
    permission_classes = (RoleAndScope,)
    http_method_names = ("get", "post", "put", "patch", "delete", "head")

    scope: ClassVar[str | None]
    action_roles: ClassVar[Mapping[str, Role]] = {}
    # Off only where an answer must not be kept: it shows a credential once.
    idempotent: ClassVar[bool] = True
    # Actions (methods of a plain view) whose GET answers with an ETag of its own, and 304 to who has it already.
    versioned_reads: ClassVar[frozenset[str]] = frozenset({"retrieve"})
    # Off only for what works after the scope has closed: /api/me names the caller's other organisations,
    # /api/signals/bulk answers while each part of its work has a scope and a transaction of its own.
    stays_in_scope: ClassVar[bool] = True
    # The body that an action takes; `@action(…, body_class=…)` sets the first, `body_classes` names more by action.
    body_class: type[serializers.BaseSerializer[Any]] | None = None
    body_classes: ClassVar[Mapping[str, type[serializers.BaseSerializer[Any]]]] = {}

    sealed: ClassVar[frozenset[str]] = frozenset(
        {
            "as_view",
            "authentication_classes",
            "permission_classes",
            "throttle_classes",
            "http_method_names",
            "dispatch",
            "initialize_request",
            "http_method_not_allowed",
            "initial",
            "perform_authentication",
            "get_authenticators",
            "check_permissions",
            "get_permissions",
            "permission_denied",
            "role_needed",
            "check_throttles",
            "get_throttles",
            "handle_exception",
            "get_exception_handler",
            "raise_uncaught_exception",
            "finalize_response",
            "open_scope",
            "principal",
            "action_name",
            "org",
            "actor",
            "_answer",
            "_perform",
        }
    )
    _kernel: ClassVar[type[OrgAPIView]]
    _scopes: ExitStack
    _is_scoped = False

    def __init_subclass__(cls, *, kernel: bool = False, **kwargs: Any) -> None:
        """Check the seal. `kernel` is for OrgViewSet alone, which adds hooks of its own to it."""
        super().__init_subclass__(**kwargs)
        if kernel:
            cls._kernel = cls
            cls.sealed = cls._kernel.sealed | cls.more_sealed  # type: ignore[attr-defined]
            return
        for name in sorted(cls._kernel.sealed):
            if _resolved(cls, name) is not _resolved(cls._kernel, name):
                owner = next(base for base in cls.__mro__ if name in vars(base))
                raise SealBroken(
                    f"{cls.__name__}.{name} comes from {owner.__name__}; it carries the organisation's isolation and "
                    f"belongs to {cls._kernel.__name__}. List mixins after the kernel class and use its hooks."
                )

    @classmethod
    def as_view(cls, *args: Any, **initkwargs: Any) -> Any:
        """Raises SealBroken for a sealed attribute given here or by `@action(…)`."""
        if not hasattr(cls, "scope"):
            raise SealBroken(f"{cls.__name__} must say its API-key scope, or None for people only.")
        if broken := cls._kernel.sealed & initkwargs.keys():
            raise SealBroken(f"{cls.__name__}: {', '.join(sorted(broken))} cannot be given to a route.")
        return super().as_view(*args, **initkwargs)

    # What actions use ----------------------------------------------------------------------------------------

    @property
    def principal(self) -> Principal:
        """The caller."""
        principal: Any = self.request.auth
        return cast(Principal, principal)

    @property
    def org(self) -> Organization:
        """The credential's organisation; the only one there is in this request."""
        return self.principal.org

    @property
    def actor(self) -> Actor:
        """The caller, as services want it."""
        return self.principal.actor

    def body(self, serializer_class: type[serializers.BaseSerializer[Any]] | None = None) -> dict[str, Any]:
        """The validated body of this action. Raises ValidationError; PATCH takes any part of the fields."""
        chosen = serializer_class or self.get_body_class()
        assert chosen is not None, f"{type(self).__name__}.{self.action_name} has no body_class"
        serializer = chosen(
            data=self.request.data,
            partial=self.request.method == "PATCH",
            context={"request": self.request, "view": self, "org": self.org, "actor": self.actor},
        )
        serializer.is_valid(raise_exception=True)
        validated: dict[str, Any] = serializer.validated_data
        return validated

    def get_body_class(self) -> type[serializers.BaseSerializer[Any]] | None:
        """What the current action takes; also what the schema says it takes."""
        return self.body_class or self.body_classes.get(self.action_name)

    @property
    def action_name(self) -> str:
        """The action's function on a viewset, the method on a plain view."""
        action = getattr(self, "action", None)
        if action is None and not hasattr(self, "action_map"):
            action = {"head": "get"}.get(method := (self.request.method or "").lower(), method)
        return action or ""

    def target(self) -> Target | None:
        """The row that the address names, if it names one; nested resources override it."""
        return None

    def require_exists(self) -> None:
        """Raise NotFound when the address names a row that the organisation does not have."""
        target = self.target()
        if target is not None and not target.rows.exists():
            raise NotFound(f"There is no such {target.rows.model._meta.verbose_name} in this organisation.")

    def answer_refusal(self, error: Exception, response: Response) -> None:
        """Add to the answer of a caller whose request was malformed (400, 415); nothing by default.

        Called inside the scope, after the seal's own checks: what it writes is committed with the refusal.
        """

    # The frame -----------------------------------------------------------------------------------------------

    def dispatch(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        """Answer inside the organisation's scope; the answer to a failed commit is a failure in the same shape."""
        self.args, self.kwargs = args, kwargs
        self.request = self.initialize_request(request, *args, **kwargs)
        self.headers = self.default_response_headers
        try:
            with ExitStack() as self._scopes:
                return self._answer(*args, **kwargs)
        except Exception as error:  # noqa: BLE001  the door: whatever the commit raised is answered, not leaked
            response = self.finalize_response(self.request, self.handle_exception(error))
            response.render()
            return response

    def open_scope(self, org_id: int) -> None:
        """Called by authentication with the organisation that the credential names, before anything is read."""
        if (
            current_org_id() == org_id
        ):  # inside another scope of the same organisation a failure undoes its own part only
            self._scopes.enter_context(transaction.atomic())
        self._scopes.enter_context(org_scope(org_id))
        self._is_scoped = True

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        """Negotiate, authenticate, count against the limits, check role, scope and the stated organisation."""
        self.format_kwarg = None
        request.accepted_renderer, request.accepted_media_type = self.perform_content_negotiation(request)
        try:
            self.perform_authentication(request)
        except AuthenticationFailed:
            throttling.require_within([throttling.address_limit(request)])
            raise
        if request.auth is not None:
            bind_contextvars(org_id=self.org.pk, actor=self.principal.name)
        self.check_throttles(request)
        self.check_permissions(request)
        self._require_same_org(request.query_params.get("org_id"))

    def check_throttles(self, request: Request) -> None:
        """All of the request's counters in one round trip."""
        limits = [throttling.address_limit(request)]
        if request.auth is not None:
            limits.append(throttling.caller_limit(self.org.pk, self.principal.name))
        throttling.require_within(limits)

    def role_needed(self) -> Role | None:
        """The weakest role for this action; None when the address does not answer the method."""
        method = self.request.method or ""
        action = self.action_name
        if not action or getattr(self, method.lower(), None) is None:
            return None
        return self.action_roles.get(action, Role.VIEWER if method in SAFE_METHODS else Role.REP)

    def handle_exception(self, exc: Exception) -> Response:
        """As DRF, except that existence comes first: a bad request about a row that is not there is a 404."""
        response = super().handle_exception(exc)
        if (
            response.status_code in {400, 415}
            and not getattr(response, "undo", False)
            and self.request.auth is not None
        ):
            try:
                self.require_exists()
            except NotFound as missing:
                return super().handle_exception(missing)
            if self._is_scoped and self.role_needed() is not None:
                self.answer_refusal(exc, response)
        return response

    def finalize_response(self, request: Request, response: HttpResponseBase, *args: Any, **kwargs: Any) -> Any:
        """Answers belong to one caller: shared caches keep none, private ones ask again."""
        final = super().finalize_response(request, cast(Any, response), *args, **kwargs)
        patch_vary_headers(final, ["Authorization"])
        if not final.has_header("Cache-Control"):
            patch_cache_control(final, private=True, no_cache=True)
        return final

    def _answer(self, *args: Any, **kwargs: Any) -> HttpResponseBase:
        """Everything between opening and closing the scope."""
        claimed: idempotency.Claim | None = None
        response: Any
        try:
            self.initial(self.request, *args, **kwargs)
            if not self.stays_in_scope:
                self._scopes.close()
                self._is_scoped = False
            if self.request.method == "POST" and self.idempotent:
                claimed = idempotency.claim(self.request, org_id=self.org.pk, actor_key=self.principal.name)
            response = claimed.answer if claimed and claimed.answer else self._perform(*args, **kwargs)
        except Exception as error:  # noqa: BLE001  DRF's door: the exception handler answers every exception
            response = self.handle_exception(error)
        response = self._rendered(response)
        if response.status_code >= 500 or getattr(response, "undo", False):
            if self._is_scoped:
                transaction.set_rollback(True)
        elif claimed is not None and claimed.answer is None:
            idempotency.keep(claimed, response, org_id=self.org.pk)
        return response

    def _perform(self, *args: Any, **kwargs: Any) -> HttpResponseBase:
        """Call the method's handler, after the checks that the headers and the body ask for."""
        method = (self.request.method or "").lower()
        handler = getattr(self, method, None) if method in self.http_method_names else None
        if handler is None:
            self.http_method_not_allowed(self.request, *args, **kwargs)
        if method not in {"get", "head"}:
            self._require_current_version()
            if isinstance(self.request.data, Mapping) and "org_id" in self.request.data:
                self._require_same_org(self.request.data["org_id"])
        return handler(self.request, *args, **kwargs)  # type: ignore[misc]

    def _rendered(self, response: Any) -> HttpResponse:
        """Render while the transaction is open, so that what cannot be said in JSON is undone as well."""
        final = self.finalize_response(self.request, response)
        if not isinstance(final, SimpleTemplateResponse):
            return final
        try:
            return final.render()
        except Exception as error:  # noqa: BLE001  a representation that fails is a failure like any other
            final = self.finalize_response(self.request, self.handle_exception(error))
            return final.render()

    def _require_same_org(self, given: Any) -> None:
        if given is not None and str(given) != str(self.org.pk):
            raise PermissionRefused("org_id names another organisation than the one you are signed in to.")

    def _require_current_version(self) -> None:
        """Lock the row that If-Match is about until the request ends, so that the version checked stays the version."""
        target = self.target() if "If-Match" in self.request.headers else None
        if target is None or not issubclass(target.rows.model, OrgModel):
            return
        rows = target.rows.order_by().select_for_update(no_key=True, of=("self",))
        row = rows.only("pk", "row_version", "updated_at").first()
        if row is None:
            raise NotFound(f"There is no such {target.rows.model._meta.verbose_name} in this organisation.")
        etag = etags.etag_for(target.resource, row.pk, row.row_version, row.updated_at)
        etags.require_match(self.request.headers, etag)


OrgAPIView._kernel = OrgAPIView


def _resolved(cls: type, name: str) -> Any:
    """What Python's method resolution finds, as stored: functions and descriptors unbound."""
    return next((vars(base)[name] for base in cls.__mro__ if name in vars(base)), None)
