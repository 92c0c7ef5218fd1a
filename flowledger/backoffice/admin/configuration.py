"""Configuration in the back office: every rule with what holds now, a form per rule, its history and the way back."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

from django.contrib import admin, messages
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.http.response import HttpResponseBase
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils.timezone import now
from django.views.decorators.http import require_http_methods
from unfold.forms import AdminForm
from unfold.widgets import BASE_INPUT_CLASSES

from flowledger.backoffice import pages
from flowledger.backoffice.admin.configuration_forms import ConfigForm
from flowledger.backoffice.navigation import Group, Menu
from flowledger.backoffice.refusals import explain
from flowledger.backoffice.requests import actor_of, org_of
from flowledger.configuration import reports, services
from flowledger.configuration.models import Change, ConfigValue
from flowledger.configuration.registry import Key, RuleType, key_of
from flowledger.errors import Conflict, FlowLedgerError, InvalidInput, NotFound
from flowledger.tenancy.actors import Role
from flowledger.tenancy.permissions import may

# Versions that a page lists; older ones are in the API's history.
MOST_VERSIONS = 50
LONGEST_SUMMARY = 140


@dataclass(frozen=True)
class Line:
    """A rule in the list."""

    entry: reports.Entry
    link: str

    @property
    def summary(self) -> str:
        text = json.dumps(self.entry.value, ensure_ascii=False)
        return text if len(text) <= LONGEST_SUMMARY else f"{text[: LONGEST_SUMMARY - 1]}…"


@dataclass(frozen=True)
class Version:
    """A version in the history of a rule."""

    row: ConfigValue
    differences: list[reports.Difference]

    @property
    def change(self) -> str:
        label = str(Change(self.row.change).label)
        return f"{label} (version {self.row.of_version})" if self.row.of_version else label


@require_http_methods(["GET", "HEAD"])
def configuration(request: HttpRequest) -> HttpResponseBase:
    """Every rule by type, with what holds now and where it comes from."""
    entries = reports.overview(org_of(request), at=now())
    groups = [
        (kind.label, [Line(entry, _link(entry.rule_type, entry.key)) for entry in entries if entry.rule_type == kind])
        for kind in RuleType
    ]
    context = {
        **admin.site.each_context(request),
        "title": "Configuration",
        "groups": [(label, lines) for label, lines in groups if lines],
    }
    return TemplateResponse(request, "backoffice/configuration.html", context)


@require_http_methods(["GET", "HEAD", "POST"])
def configuration_key(request: HttpRequest, rule_type: str, key: str) -> HttpResponseBase:
    """One rule: the form, what is planned, and the history with two versions compared."""
    try:
        declared = key_of(rule_type, key)
    except NotFound as error:
        raise Http404(error.message) from error
    entry = reports.entry_of(org_of(request), rule_type=rule_type, key=key, at=now())
    if request.method != "POST":
        return _page(request, declared, entry, _form(request, declared, entry))
    if request.POST.get("verb") != "set":
        _go_back(request, declared)
        return HttpResponseRedirect(_link(rule_type, key))
    form = _form(request, declared, entry, data=request.POST)
    if form.is_valid() and _set(request, declared, form):
        return HttpResponseRedirect(_link(rule_type, key))
    return _page(request, declared, entry, form, status=400)


def _link(rule_type: str, key: str) -> str:
    return reverse("admin:configuration_key", args=[str(rule_type), key])


def _form(
    request: HttpRequest, key: Key[Any], entry: reports.Entry, data: Mapping[str, Any] | None = None
) -> ConfigForm:
    initial = {"expected_version": entry.latest_version}
    return ConfigForm(data, key=key, value=entry.value, org=org_of(request), initial=initial)


def _set(request: HttpRequest, key: Key[Any], form: ConfigForm) -> bool:
    """Let the service judge the value; its refusal becomes the form's errors."""
    try:
        row = services.set_value(
            org=org_of(request),
            rule_type=key.rule_type.value,
            key=key.name,
            value=form.value(),
            reason=form.cleaned_data["reason"],
            effective_from=form.moment("effective_from"),
            effective_to=form.moment("effective_to"),
            expected_version=form.cleaned_data["expected_version"],
            actor=actor_of(request),
            at=now(),
        )
    except InvalidInput as error:
        form.refuse(error.details["fields"], error.message)
        return False
    except FlowLedgerError as error:
        form.refuse({}, error.message)
        return False
    messages.success(request, f"Version {row.version} of {key} is set.")
    return True


def _go_back(request: HttpRequest, key: Key[Any]) -> None:
    """Back to the default, or to an earlier version, as the button says."""
    given = request.POST
    common: dict[str, Any] = {
        "org": org_of(request),
        "rule_type": key.rule_type.value,
        "key": key.name,
        "reason": given.get("reason", ""),
        "expected_version": _number(given.get("expected_version", "")),
        "actor": actor_of(request),
        "at": now(),
    }
    try:
        if common["expected_version"] is None:
            raise Conflict("The page does not say which version it was made for. Open it again.")
        match given.get("verb"), _number(given.get("to_version", "")):
            case "reset", _:
                services.end_value(**common)
                messages.success(request, f"The default of {key} holds again.")
            case "rollback", int(wanted):
                row = services.roll_back(to_version=wanted, **common)
                messages.success(request, f"Version {row.version} of {key} holds what version {wanted} held.")
            case _:
                messages.error(request, "There is no such change.")
    except FlowLedgerError as error:
        messages.error(request, explain(error))


def _page(
    request: HttpRequest, key: Key[Any], entry: reports.Entry, form: ConfigForm, status: int = 200
) -> HttpResponse:
    org = org_of(request)
    rows = list(reports.versions(org, rule_type=entry.rule_type, key=entry.key)[:MOST_VERSIONS])
    fields = [name for name in form.fields if name != "expected_version"]
    context = {
        **admin.site.each_context(request),
        "title": str(key),
        "entry": entry,
        "default": json.dumps(entry.default, indent=2, ensure_ascii=False),
        "held": json.dumps(entry.value, indent=2, ensure_ascii=False),
        "schema": json.dumps(key.schema(), indent=2, ensure_ascii=False),
        "may_configure": may(actor_of(request), "configure"),
        "form": form,
        "adminform": AdminForm(form, [(None, {"fields": fields})], {}, (), model_admin=None),
        "errors": form.errors,
        "versions": [Version(each.row, each.differences) for each in reports.history(org, rows)],
        "planned": [(row, json.dumps(row.value, ensure_ascii=False)) for row in entry.planned],
        "comparison": _comparison(request, entry, rows),
        "back": reverse("admin:configuration"),
        "zone": org.timezone,
        "input_classes": " ".join(BASE_INPUT_CLASSES),
        "media": form.media,
    }
    return TemplateResponse(request, "backoffice/configuration_key.html", context, status=status)


def _comparison(request: HttpRequest, entry: reports.Entry, rows: list[ConfigValue]) -> dict[str, Any] | None:
    """Two versions side by side, as `?left=1&right=3` asks; version 0 is the default."""
    left, right = _number(request.GET.get("left", "")), _number(request.GET.get("right", ""))
    values = {0: entry.default, **{row.version: reports.shown(row.rule_type, row.key, row.value) for row in rows}}
    if left is None or right is None or left not in values or right not in values:
        return None
    return {
        "left": left,
        "right": right,
        "differences": list(reports.differences(values[left], values[right])),
        "link": f"?{urlencode({'left': left, 'right': right})}",
    }


def _number(text: str) -> int | None:
    return int(text) if text.isascii() and text.isdigit() and len(text) < 10 else None


pages.register_page(
    pages.Page(
        "configuration",
        "configuration/",
        configuration,
        role=Role.MANAGER,
        menu=Menu(Group.SETUP, icon="tune", order=90, title="Configuration"),
    )
)
pages.register_page(
    pages.Page("configuration_key", "configuration/<str:rule_type>/<str:key>/", configuration_key, role=Role.MANAGER)
)
