"""TransitionAdmin: buttons that move a row through one service each, and nothing else that can.

Written anew because django-fsm-2's admin mixin runs form-less transitions on a forged POST without their permission.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from django.contrib import messages
from django.contrib.admin.utils import unquote
from django.core import checks
from django.http import Http404, HttpRequest, HttpResponseNotAllowed, HttpResponseRedirect
from django.http.response import HttpResponseBase
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from django.utils.http import url_has_allowed_host_and_scheme
from django.utils.timezone import now
from django_fsm import FSMFieldMixin
from unfold.forms import AdminForm

from flowledger.backoffice.forms import TransitionForm
from flowledger.backoffice.org_admin import OrgAdmin
from flowledger.backoffice.refusals import explain
from flowledger.backoffice.requests import actor_of, org_of
from flowledger.errors import FlowLedgerError
from flowledger.tenancy.permissions import may, required_role

# The parameter that names the page of the back office to return to; the row's own page without it.
RETURN_TO = "next"


@dataclass(frozen=True)
class TransitionButton:
    """One verb on the page of a row.

    `name` is the last part of the address and, unless `method` says otherwise, the model's transition method, which
    says from which states the button shows. A verb that is no transition gives `sources` (states) or `shown`
    (a question about the row) instead, or neither, and then always shows. `service` is called with `org`, the row's
    key (as `<model name>_id` or `argument`), `actor`, `at` and the values of `form`.
    """

    name: str
    service: Callable[..., Any]
    label: str
    verb: str
    form: type[TransitionForm] | None = None
    method: str = ""
    argument: str = ""
    sources: Iterable[str] | None = None
    shown: Callable[[Any], bool] | None = None
    icon: str = ""
    variant: str = "default"
    explanation: str = ""
    success: str = ""

    def is_legal(self, obj: Any) -> bool:
        """Whether the button makes sense in the row's current state. The service decides; this only shows or hides."""
        if self.shown is not None and not self.shown(obj):
            return False
        if self.sources is not None:
            return _state_of(obj) in set(self.sources)
        transition = _transition_of(type(obj), self.method or self.name)
        if transition is None:
            return True
        state = transition.field.get_state(obj)
        return bool(transition.has_transition(state) and transition.conditions_met(obj, state))

    def service_argument(self, obj: Any) -> str:
        return self.argument or f"{obj._meta.model_name}_id"


class TransitionAdmin(OrgAdmin):
    """An OrgAdmin whose rows are moved by buttons.

    Every button is a POST with a CSRF token; one that asks something has a page of its own, whose GET shows the form.
    The row comes through the scope, permission is asked again, the service is called, and its refusal is shown with
    everything it lists. Override `transition_done` to answer with something else than the row's page.
    """

    transitions: ClassVar[Sequence[TransitionButton]] = ()

    def check(self, **kwargs: Any) -> list[checks.CheckMessage]:
        found = super().check(**kwargs)
        names = [button.name for button in self.transitions]
        for button in self.transitions:
            if names.count(button.name) > 1:
                found.append(
                    checks.Error(f"Two buttons are called {button.name}.", id="backoffice.E006", obj=type(self))
                )
            try:
                required_role(button.verb)
            except KeyError:
                found.append(
                    checks.Error(f"The verb {button.verb} is not registered.", id="backoffice.E007", obj=type(self))
                )
            if button.method and _transition_of(self.model, button.method) is None:
                found.append(checks.Error(f"{button.method} is no transition.", id="backoffice.E008", obj=type(self)))
        return found

    def get_urls(self) -> list[URLPattern]:
        name = f"{self.opts.app_label}_{self.opts.model_name}_transition"
        view = self.admin_site.admin_view(self.transition_view)
        return [path("<path:object_id>/transition/<slug:transition>/", view, name=name), *super().get_urls()]

    def buttons(self, request: HttpRequest, obj: Any) -> list[dict[str, Any]]:
        """The buttons that are legal in the row's state and allowed to the actor, for the template."""
        name = f"{self.admin_site.name}:{self.opts.app_label}_{self.opts.model_name}_transition"
        return [
            {"button": button, "link": reverse(name, args=[obj.pk, button.name]), "asks": button.form is not None}
            for button in self.transitions
            if button.is_legal(obj) and self.allows_button(request, button, obj)
        ]

    def allows_button(self, request: HttpRequest, button: TransitionButton, obj: Any) -> bool:
        """Whether the actor may press it on this row. Override where the service knows a further rule."""
        return may(actor_of(request), button.verb, obj)

    def service_arguments(self, request: HttpRequest, button: TransitionButton) -> dict[str, Any]:
        """What a button's service needs beyond the row, the actor, the time and the form's values."""
        return {}

    def transition_done(
        self, request: HttpRequest, button: TransitionButton, obj: Any, result: Any
    ) -> HttpResponseBase:
        """The answer after a service succeeded: back with a sentence. `result` is what the service returned."""
        self.message_user(request, button.success or f"{button.label}: done.", messages.SUCCESS)
        return HttpResponseRedirect(self.return_link(request, obj))

    def return_link(self, request: HttpRequest, obj: Any) -> str:
        """The page of the back office that the address names to return to, else the page of the row."""
        wanted = request.GET.get(RETURN_TO, "")
        is_ours = wanted.startswith(reverse(f"{self.admin_site.name}:index"))
        is_safe = is_ours and url_has_allowed_host_and_scheme(wanted, allowed_hosts=None)
        return wanted if is_safe else self.link_to(obj.pk)

    def render_change_form(
        self,
        request: HttpRequest,
        context: dict[str, Any],
        add: bool = False,
        change: bool = False,
        form_url: str = "",
        obj: Any = None,
    ) -> Any:
        if obj is not None:
            context["transition_buttons"] = self.buttons(request, obj)
            context["transition_states"] = _states_shown(obj)
            context |= self.panels(request, obj)
        return super().render_change_form(request, context, add, change, form_url, obj)

    def panels(self, request: HttpRequest, obj: Any) -> dict[str, Any]:
        """What the template's panels show beyond the row itself."""
        return {}

    def locks(self, request: HttpRequest) -> bool:
        """Not for transitions: the services lock in their own order."""
        match = request.resolver_match
        return match is None or "transition" not in match.kwargs

    def transition_view(self, request: HttpRequest, object_id: str, transition: str) -> HttpResponseBase:
        """Run one button.

        404 for a row of another organisation or an unknown button, 405 for a GET of a button that asks nothing.
        """
        button = next((each for each in self.transitions if each.name == transition), None)
        obj = self.get_object(request, unquote(object_id)) if self.has_view_permission(request) else None
        if button is None or obj is None:
            raise Http404(f"There is no {self.opts.verbose_name} {object_id} to {transition} in this organisation.")
        if request.method not in ({"GET", "HEAD", "POST"} if button.form else {"POST"}):
            return HttpResponseNotAllowed(["GET", "POST"] if button.form else ["POST"])
        if not self.allows_button(request, button, obj):
            # The service would say the same; asked here too so that no form is shown to somebody who may not.
            needed = required_role(button.verb).label.lower()
            self.message_user(request, f"{button.label} needs the owner or a {needed} here.", messages.ERROR)
            return HttpResponseRedirect(self.link_to(obj.pk))
        if button.form is None:
            return self._run(request, button, obj, {})
        form = button.form(request.POST if request.method == "POST" else None, org=org_of(request), item=obj)
        if form.is_valid():
            return self._run(request, button, obj, form.cleaned_data, form)
        return self._ask(request, button, obj, form)

    def _run(
        self,
        request: HttpRequest,
        button: TransitionButton,
        obj: Any,
        values: dict[str, Any],
        form: TransitionForm | None = None,
    ) -> HttpResponseBase:
        arguments = {button.service_argument(obj): obj.pk, **self.service_arguments(request, button), **values}
        try:
            result = button.service(org=org_of(request), actor=actor_of(request), at=now(), **arguments)
        except FlowLedgerError as error:
            fields = error.details.get("fields") or {}
            if form is not None and fields:
                for name, sentences in fields.items():
                    for sentence in sentences:
                        form.add_error(name if name in form.fields else None, sentence)
                return self._ask(request, button, obj, form)
            self.message_user(request, explain(error), messages.ERROR)
            return HttpResponseRedirect(self.link_to(obj.pk))
        return self.transition_done(request, button, obj, result)

    def _ask(self, request: HttpRequest, button: TransitionButton, obj: Any, form: TransitionForm) -> TemplateResponse:
        fields = list(form.fields)
        context = {
            **self.admin_site.each_context(request),
            "title": button.label,
            "subtitle": str(obj),
            "opts": self.opts,
            "original": obj,
            "button": button,
            "adminform": AdminForm(form, [(None, {"fields": fields})], {}, (), model_admin=self),
            "errors": form.errors,
            "back": self.return_link(request, obj),
            "media": self.media + form.media,
        }
        status = 400 if form.errors else 200
        return TemplateResponse(request, "backoffice/transition_form.html", context, status=status)


def _transition_of(model: type[Any], name: str) -> Any:
    """django-fsm's description of a transition method, or None when the model has no such transition."""
    return getattr(getattr(model, name.replace("-", "_"), None), "_django_fsm", None)


def _state_fields(obj: Any) -> list[Any]:
    return [field for field in obj._meta.concrete_fields if isinstance(field, FSMFieldMixin)]


def _state_of(obj: Any) -> str:
    fields = _state_fields(obj)
    return str(fields[0].get_state(obj)) if fields else ""


def _states_shown(obj: Any) -> list[tuple[str, str]]:
    """(name, state in words) of every state field."""
    return [(str(field.verbose_name), _in_words(obj, field)) for field in _state_fields(obj)]


def _in_words(obj: Any, field: Any) -> str:
    state = field.get_state(obj)
    return str(dict(field.flatchoices).get(state, state))
