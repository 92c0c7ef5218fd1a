"""The memory card on the pages of all that memory is about, kept fresh by conditional polling."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.apps import apps
from django.contrib import admin
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseNotModified
from django.http.response import HttpResponseBase
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils.http import parse_etags
from django.utils.timezone import now
from django.views.decorators.http import require_GET

from flowledger.backoffice import pages
from flowledger.backoffice.panels import Panel, register_panel
from flowledger.backoffice.requests import actor_of, org_of
from flowledger.errors import InvalidInput, NotFound
from flowledger.tenancy.models import Organization
from memory import services
from memory.deals import FEATURE_NAMES
from memory.models import ENTITY_MODELS, Atom
from memory.services.cards import NEW_COUNTED, Card
from workstream.admin.items import page_of

POLL_SECONDS = 15
HEADINGS = {
    "key_facts": "Key facts",
    "decisions": "Decisions",
    "risks": "Risks",
    "preferences": "Preferences",
    "recent_activity": "Recent activity",
}
# A page shows a thread nowhere: what was written in it stands on the pages of the signals.
SHOWN_ON = [label for name, label in ENTITY_MODELS.items() if name != "thread"]


@dataclass(frozen=True)
class Line:
    """An atom on one line, with what it was said of where that is not the row of the page."""

    text: str
    when: datetime
    link: str
    about: str
    about_link: str
    is_contested: bool


@dataclass(frozen=True)
class Lesson:
    """A lost deal like this one."""

    title: str
    link: str
    likeness: int
    alike: str
    lines: Sequence[Line]


@dataclass(frozen=True)
class CardPanel:
    """All that the panel shows; `noun` is what the row is."""

    noun: str
    link: str
    etag: str
    poll_seconds: int
    atom_count: str
    is_empty: bool
    is_stale: bool
    built_at: datetime
    looked_at: datetime | None
    new_count: str
    news: Sequence[Line]
    sections: Sequence[tuple[str, Sequence[Line]]]
    lessons: Sequence[Lesson]


def card_panel(request: HttpRequest, row: Any) -> Panel:
    """The panel of a row's page; showing it is a look."""
    entity_type = next(name for name, label in ENTITY_MODELS.items() if label == row._meta.label)
    card = services.card_of(
        org=org_of(request), entity_type=entity_type, entity_id=row.pk, actor=actor_of(request), at=now()
    )
    return Panel("memory/card_panel.html", shown(card, org=org_of(request)))


@require_GET
def memory_card(request: HttpRequest, entity_type: str, entity_id: int) -> HttpResponseBase:
    """The card alone; 304 while it is as the asker has it."""
    known = parse_etags(request.headers.get("If-None-Match", ""))
    try:
        card = services.card_of(
            org=org_of(request),
            entity_type=entity_type,
            entity_id=entity_id,
            actor=actor_of(request),
            at=now(),
            is_known=lambda etag: etag in known,
        )
    except (InvalidInput, NotFound) as error:
        raise Http404(str(error)) from None
    if card.is_known:
        answer: HttpResponse = HttpResponseNotModified()
    else:
        answer = TemplateResponse(request, "memory/card.html", {"panel": shown(card, org=org_of(request))})
    answer["ETag"] = card.etag
    return answer


def shown(card: Card, *, org: Organization) -> CardPanel:
    """A card as the panel says it."""
    own = (card.entity_type, card.entity_id)
    news = list(card.since.new_atoms) if card.since else []
    lines = [line for section in card.summary.values() for line in section]
    rows = _rows_of({(each["entity_type"], each["entity_id"]) for each in [*lines, *news]} - {own}, org=org)
    since = card.since
    return CardPanel(
        noun=str(apps.get_model(ENTITY_MODELS[card.entity_type])._meta.verbose_name),
        link=reverse("admin:memory_card", args=own),
        etag=card.etag,
        poll_seconds=POLL_SECONDS,
        atom_count=_counted(card.atom_count, 1_000),
        is_empty=card.is_empty,
        is_stale=card.is_stale,
        built_at=card.last_built_at,
        looked_at=since.looked_at if since else None,
        new_count=_counted(since.new_count, NEW_COUNTED) if since and since.looked_at and since.new_count else "",
        news=[_line(each, rows) for each in news],
        sections=[
            (heading, [_line(each, rows) for each in card.summary[name]])
            for name, heading in HEADINGS.items()
            if card.summary[name]
        ],
        lessons=[_lesson(each) for each in card.lessons],
    )


def _counted(number: int, most: int) -> str:
    return f"{number:,}+" if number >= most else f"{number:,}"


def _line(atom: Mapping[str, Any], rows: Mapping[tuple[str, int], Any]) -> Line:
    row = rows.get((atom.get("entity_type", ""), atom.get("entity_id", 0)))
    return Line(
        text=atom["text"],
        when=datetime.fromisoformat(atom["occurred_at"]),
        link=reverse("admin:memory_atom_change", args=[atom["atom_id"]]) if admin.site.is_registered(Atom) else "",
        about=str(row) if row is not None else "",
        about_link=page_of(row) if row is not None and admin.site.is_registered(type(row)) else "",
        is_contested=atom.get("conflict_id") is not None,
    )


def _lesson(lesson: Mapping[str, Any]) -> Lesson:
    return Lesson(
        title=lesson["title"],
        link=reverse("admin:workstream_pursuit_change", args=[lesson["pursuit_id"]]),
        likeness=round(100 * lesson["likeness"]),
        alike=", ".join(FEATURE_NAMES[name].lower() for name in lesson["alike"]),
        lines=[_line(atom, {}) for atom in lesson["atoms"]],
    )


def _rows_of(entities: Iterable[tuple[str, int]], *, org: Organization) -> dict[tuple[str, int], Any]:
    """The rows by type and id, one query for each type."""
    wanted: dict[str, set[int]] = {}
    for entity_type, entity_id in entities:
        wanted.setdefault(entity_type, set()).add(entity_id)
    found: dict[tuple[str, int], Any] = {}
    for entity_type, ids in sorted(wanted.items()):
        model: Any = apps.get_model(ENTITY_MODELS[entity_type])
        found |= {(entity_type, pk): row for pk, row in model.objects.for_org(org).in_bulk(ids).items()}
    return found


for _label in SHOWN_ON:
    register_panel(_label, card_panel)
pages.register_page(pages.Page("memory_card", "memory/card/<slug:entity_type>/<id:entity_id>/", memory_card))
