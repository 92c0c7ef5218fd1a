"""Two contacts or two clients side by side: what differs, what a merge takes, moves and asks."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.contrib import admin
from django.http import HttpRequest, QueryDict

from flowledger.backoffice.requests import actor_of, org_of
from flowledger.clients import services
from flowledger.clients.admin.evidence import link_to
from flowledger.clients.models import Client, Contact
from flowledger.clients.services import FieldPair, Moves
from flowledger.clients.services.merge_fields import pairs_of
from flowledger.errors import FlowLedgerError
from flowledger.tenancy.models import Organization
from flowledger.tenancy.permissions import may

CHOICE = "field_"


@dataclass(frozen=True)
class Option:
    """One value that the merged record may get."""

    value: str
    side: str
    text: str
    is_chosen: bool


@dataclass(frozen=True)
class Row:
    """One field on both sides."""

    name: str
    label: str
    differs: bool
    options: list[Option]

    @property
    def field_name(self) -> str:
        return CHOICE + self.name


def comparison(request: HttpRequest, survivor: Any, loser: Any) -> dict[str, Any]:
    """What the side-by-side template shows; who may not merge sees the fields and is offered nothing."""
    org, actor = org_of(request), actor_of(request)
    may_merge = may(actor, "merge")
    pairs = pairs_of(survivor, loser, {})
    clients = _clients(org, pairs)
    return {
        "survivor": survivor,
        "loser": loser,
        "survivor_link": link_to(survivor),
        "loser_link": link_to(loser),
        "kind": survivor._meta.model_name,
        "rows": [_row(pair, clients) for pair in pairs],
        "differing": sum(pair.differs for pair in pairs),
        "moves": _moves(request, survivor, loser) if may_merge else [],
        "may_merge": may_merge,
    }


def chosen(data: QueryDict) -> dict[str, Any]:
    """The choices of a posted side-by-side form, field by field."""
    return {name.removeprefix(CHOICE): data[name] for name in data if name.startswith(CHOICE)}


def merge(request: HttpRequest, survivor: Any, loser: Any, *, at: datetime) -> Any:
    """Merge as the posted form says. Raises as the service."""
    service = services.merge_contacts if isinstance(survivor, Contact) else services.merge_clients
    return service(
        org=org_of(request),
        survivor_id=survivor.pk,
        loser_id=loser.pk,
        choices=chosen(request.POST),
        reason=request.POST.get("reason", ""),
        actor=actor_of(request),
        at=at,
    )


def in_words(value: Any) -> str:
    """A value for people; objects line by line."""
    if value in ("", None, {}):
        return ""
    if isinstance(value, bool):
        return "Yes" if value else "No"
    if isinstance(value, Mapping):
        return "\n".join(f"{name}: {_entry(entry)}" for name, entry in sorted(value.items()))
    return str(value)


def names_of_clients(org: Organization, ids: set[int]) -> dict[int, str]:
    """Clients by key, for states that name them by key."""
    return dict(Client.objects.for_org(org).filter(pk__in=ids).values_list("pk", "name")) if ids else {}


def _entry(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _clients(org: Organization, pairs: list[FieldPair]) -> dict[int, str]:
    return names_of_clients(
        org, {key for pair in pairs if pair.name == "client" for key in (pair.survivor, pair.loser) if key is not None}
    )


def _row(pair: FieldPair, clients: Mapping[int, str]) -> Row:
    sides = [("survivor", pair.survivor), ("loser", pair.loser)]
    if pair.is_object and pair.differs and pair.survivor and pair.loser:
        sides.append(("both", pair.result))
    words = {side: _text(pair.name, value, clients) for side, value in sides}
    return Row(
        name=pair.name,
        label=pair.label,
        differs=pair.differs,
        options=[Option(side, side, text, is_chosen=pair.choice == side) for side, text in words.items()],
    )


def _text(name: str, value: Any, clients: Mapping[int, str]) -> str:
    return clients.get(value, f"Client {value}") if name == "client" and value is not None else in_words(value)


def _moves(request: HttpRequest, survivor: Any, loser: Any) -> list[Moves]:
    """What names the loser and will name the survivor; nothing where a merge would be refused, which says so itself."""
    try:
        preview = services.preview_merge(
            org=org_of(request),
            kind=survivor._meta.model_name,
            survivor_id=survivor.pk,
            loser_id=loser.pk,
            actor=actor_of(request),
        )
    except FlowLedgerError:
        return []
    return preview.moves


def context_of(request: HttpRequest, title: str, **more: Any) -> dict[str, Any]:
    """The frame of a page of the back office."""
    return {**admin.site.each_context(request), "title": title, **more}
