"""The versions of a profile: what each changed, two compared, and the way back to an earlier one."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from django.contrib import messages
from django.http import HttpRequest
from django.utils.timezone import now
from unfold.widgets import BASE_INPUT_CLASSES

from flowledger.backoffice.refusals import explain
from flowledger.backoffice.requests import actor_of, org_of
from flowledger.errors import FlowLedgerError
from flowledger.tenancy.permissions import may
from spotlight import services
from spotlight.admin.wording import criterion_in_words, plain, wish_in_words
from spotlight.models import Spotlight, SpotlightVersion

# Versions that the page lists; older ones can be compared by their numbers.
MOST_VERSIONS = 50


@dataclass(frozen=True)
class Difference:
    """One thing that is not the same in two versions; a side is empty where it is not there."""

    name: str
    before: str
    after: str


@dataclass(frozen=True)
class Line:
    """A version in the list."""

    row: SpotlightVersion
    differences: list[Difference]
    is_present: bool


def version_context(request: HttpRequest, profile: Spotlight) -> dict[str, Any]:
    """What the page shows; `?left=1&right=3` compares."""
    own = SpotlightVersion.objects.for_org(org_of(request)).filter(spotlight=profile)
    rows = list(own.order_by("-version")[: MOST_VERSIONS + 1])
    before: dict[int, Any] = {row.version: row.definition for row in rows}
    lines = [
        Line(row, differences(before.get(row.version - 1), row.definition), row.version == profile.version)
        for row in rows[:MOST_VERSIONS]
    ]
    return {
        "versions": lines,
        "comparison": _comparison(request, own),
        "may_edit": may(actor_of(request), "edit_spotlight"),
        "input_classes": " ".join(BASE_INPUT_CLASSES),
        "is_cut": len(rows) > MOST_VERSIONS,
    }


def revert(request: HttpRequest, profile: Spotlight) -> None:
    """Go back to the version that the button names, and say what came of it."""
    wanted = _number(request.POST.get("version", ""))
    if wanted is None:
        messages.error(request, "Say which version to go back to.")
        return
    try:
        stored = services.revert_spotlight(
            org=org_of(request),
            spotlight_id=profile.pk,
            version=wanted,
            note=request.POST.get("note", ""),
            actor=actor_of(request),
            at=now(),
        )
    except FlowLedgerError as error:
        messages.error(request, explain(error))
    else:
        messages.success(request, f"Version {stored.version} asks what version {wanted} asked.")


def differences(left: Mapping[str, Any] | None, right: Mapping[str, Any]) -> list[Difference]:
    """What is not the same in two definitions; nothing for a first version, which has nothing before it."""
    if left is None:
        return []
    # A criterion keeps its id from version to version.
    before = {each["criterion_id"]: each for each in left["criteria"]}
    after = {each["criterion_id"]: each for each in right["criteria"]}
    found = []
    if left.get("domain") != right.get("domain"):
        found.append(Difference("Domain", str(left.get("domain")), str(right.get("domain"))))
    for key, criterion in after.items():
        if key not in before:
            found.append(Difference("Added", "", criterion_in_words(criterion)))
        else:
            found += _changes(before[key], criterion)
    gone = [criterion for key, criterion in before.items() if key not in after]
    return [*found, *(Difference("Removed", criterion_in_words(criterion), "") for criterion in gone)]


def _changes(before: Mapping[str, Any], after: Mapping[str, Any]) -> list[Difference]:
    wishes = wish_in_words(before), wish_in_words(after)
    found = []
    if wishes[0] != wishes[1]:
        found.append(Difference("Asks", *wishes))
    if before["weight"] != after["weight"]:
        found.append(Difference(f"Weight of {_label(after)}", plain(before["weight"]), plain(after["weight"])))
    if before["required"] != after["required"]:
        words = {True: "required", False: "not required"}
        found.append(Difference(_label(after), words[before["required"]], words[after["required"]]))
    names = {"enum_values": "Values", "aliases": "Other names", "field_type": "Type"}
    found += [
        Difference(f"{name} of {_label(after)}", _said(before.get(key)), _said(after.get(key)))
        for key, name in names.items()
        if before.get(key) != after.get(key)
    ]
    return found


def _comparison(request: HttpRequest, own: Any) -> dict[str, Any] | None:
    left, right = _number(request.GET.get("left", "")), _number(request.GET.get("right", ""))
    if left is None or right is None:
        return None
    found = {row.version: row.definition for row in own.filter(version__in=[left, right])}
    missing = [number for number in (left, right) if number not in found]
    return {
        "left": left,
        "right": right,
        "missing": missing[0] if missing else None,
        "differences": [] if missing else differences(found[left], found[right]),
    }


def _label(criterion: Mapping[str, Any]) -> str:
    return str(criterion.get("label") or criterion["field_name"])


def _said(value: Any) -> str:
    return ", ".join(map(str, value)) if isinstance(value, list) else str(value)


def _number(text: str) -> int | None:
    return int(text) if text.isascii() and text.isdigit() and len(text) < 10 else None
