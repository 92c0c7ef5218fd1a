"""The page "Memory search": a question, and what answers it, with passages, sources and the reasons for the order."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

from django.apps import apps
from django.contrib import admin
from django.http import HttpRequest
from django.http.response import HttpResponseBase
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils.timezone import now
from django.views.decorators.http import require_GET
from unfold.widgets import BASE_INPUT_CLASSES, SELECT_CLASSES

from flowledger.backoffice import pages
from flowledger.backoffice.navigation import Group, Menu
from flowledger.backoffice.requests import actor_of, org_of
from flowledger.errors import FlowLedgerError
from flowledger.tenancy.actors import Role
from flowledger.tenancy.models import Organization
from memory.models import ENTITY_MODELS, Kind
from memory.services.search import Filters, Hit, Parts, Passage, Results, search
from workstream.models import MailThread

PER_PAGE = 20
MOST_ASKED = 500
SORTS = [("relevance", "Best answers first"), ("recent", "Newest first")]
LOOKS: Mapping[str, str] = {
    Kind.DECISION: "success",
    Kind.RISK: "danger",
    Kind.PREFERENCE: "info",
    Kind.NOTE: "",
    Kind.STATUS: "",
}
# The parts of a score, in the words of the page.
PART_NAMES: Mapping[str, str] = {
    "words": "words",
    "meaning": "meaning",
    "entity": "named",
    "thread": "conversation",
    "recency": "new",
    "kind": "kind",
}
# Rows that atoms come from and that have a page of their own.
SOURCE_PAGES: Mapping[str, str] = {
    **{name: label for name, label in ENTITY_MODELS.items() if name != "thread"},
    "activity": "workstream.Activity",
    "task": "workstream.Task",
}

Entity = tuple[str, int]


@dataclass(frozen=True)
class Asked:
    """What the address asks for."""

    question: str
    kind: str
    sort: str
    entity: Entity | None
    include_archived: bool
    cursor: str

    @classmethod
    def of(cls, request: HttpRequest) -> Asked:
        """What is no filter, or no value of one, is left out."""
        given = request.GET
        kind, sort = given.get("kind", ""), given.get("sort", "")
        entity_type, entity_id = given.get("entity_type", ""), given.get("entity_id", "")
        is_entity = entity_type in ENTITY_MODELS and entity_id.isascii() and entity_id.isdigit() and len(entity_id) < 19
        return cls(
            question=given.get("q", "").strip()[:MOST_ASKED],
            kind=kind if kind in Kind.values else "",
            sort=sort if sort in dict(SORTS) else "relevance",
            entity=(entity_type, int(entity_id)) if is_entity else None,
            include_archived=given.get("archived") == "on",
            cursor=given.get("cursor", "")[:2_000],
        )

    @property
    def filters(self) -> Filters:
        """The same for the search."""
        return Filters(
            entities=(self.entity,) if self.entity else (),
            kinds=(self.kind,) if self.kind else (),
            include_archived=self.include_archived,
        )

    def query(self, *, cursor: str = "") -> str:
        """The query of an address that asks the same and goes on from a cursor."""
        entity_type, entity_id = self.entity or ("", "")
        values = {
            "q": self.question,
            "kind": self.kind,
            "sort": self.sort,
            "archived": "on" if self.include_archived else "",
            "entity_type": entity_type,
            "entity_id": str(entity_id),
            "cursor": cursor,
        }
        return "?" + urlencode({name: value for name, value in values.items() if value})


@dataclass(frozen=True)
class Link:
    """A name with the page behind it; without one `address` is empty."""

    name: str
    address: str


@dataclass(frozen=True)
class Origin:
    """Where an atom comes from, in words."""

    link: Link
    who: str
    at: Any


@dataclass(frozen=True)
class Line:
    """A hit with everything that the page says about it."""

    hit: Hit
    about: Link
    passages: Sequence[Sequence[tuple[str, bool]]]
    origins: Sequence[Origin]
    parts: Sequence[tuple[str, str]]

    @property
    def look(self) -> str:
        return LOOKS[self.hit.atom.kind]


@require_GET
def memory_search(request: HttpRequest) -> HttpResponseBase:
    """The form, and below it what answers the question; a wrong question gets its sentence and no list."""
    org, asked = org_of(request), Asked.of(request)
    results: Results | None = None
    refusal = ""
    if asked.question:
        try:
            results = search(
                org=org,
                question=asked.question,
                filters=asked.filters,
                sort=asked.sort,
                actor=actor_of(request),
                at=now(),
                limit=PER_PAGE,
                cursor=asked.cursor,
            )
        except FlowLedgerError as error:
            refusal = error.message
    hits = results.hits if results else []
    names = names_of(org, _entities(asked, results, hits))
    context = {
        **admin.site.each_context(request),
        "title": "Memory search",
        "asked": asked,
        "within": names.get(asked.entity) if asked.entity else None,
        "refusal": refusal,
        "results": results,
        "lines": [line_of(hit, names) for hit in hits],
        "named": [names[each.entity_type, each.entity_id] for each in results.named] if results else [],
        "next_link": asked.query(cursor=results.next_cursor) if results and results.next_cursor else "",
        "kinds": Kind.choices,
        "sorts": SORTS,
        "most_asked": MOST_ASKED,
        "input_classes": " ".join(BASE_INPUT_CLASSES),
        "select_classes": " ".join(SELECT_CLASSES),
    }
    return TemplateResponse(request, "memory/search.html", context)


def _entities(asked: Asked, results: Results | None, hits: Iterable[Hit]) -> set[Entity]:
    named = {(each.entity_type, each.entity_id) for each in results.named} if results else set()
    return (
        named
        | {(hit.atom.entity_type, hit.atom.entity_id) for hit in hits}
        | ({asked.entity} if asked.entity else set())
    )


def names_of(org: Organization, entities: Iterable[Entity]) -> dict[Entity, Link]:
    """The name and page of each entity that exists. One statement a type."""
    wanted: dict[str, set[int]] = {}
    for entity_type, entity_id in entities:
        wanted.setdefault(entity_type, set()).add(entity_id)
    found: dict[Entity, Link] = {}
    for entity_type, ids in sorted(wanted.items()):
        model: Any = apps.get_model(ENTITY_MODELS[entity_type])
        for row in model.objects.for_org(org).filter(pk__in=ids).order_by("pk"):
            name = row.subject if isinstance(row, MailThread) else str(row)
            found[entity_type, row.pk] = Link(name, page_of(entity_type, row.pk))
    return found


def page_of(source_type: str, source_id: int | None) -> str:
    """The address of a row's own page; empty for what has none."""
    label = SOURCE_PAGES.get(source_type)
    if label is None or source_id is None:
        return ""
    return reverse(f"admin:{label.replace('.', '_').lower()}_change", args=[source_id])


def line_of(hit: Hit, names: Mapping[Entity, Link]) -> Line:
    """A hit in the words of the page."""
    atom = hit.atom
    origins = [
        Origin(
            link=Link(
                source.source_type.replace("_", " "),
                page_of(source.source_type, source.source_id) or _safe(source.url),
            ),
            who=source.actor_label,
            at=source.occurred_at,
        )
        for source in atom.sources.all()
    ]
    return Line(
        hit=hit,
        about=names[atom.entity_type, atom.entity_id],
        passages=[pieces_of(passage) for passage in hit.passages],
        origins=origins,
        parts=parts_of(hit.parts),
    )


def _safe(url: str) -> str:
    """An address that may stand behind a link: what a source wrote must run nothing."""
    return url if url.startswith(("https://", "http://")) else ""


def pieces_of(passage: Passage) -> list[tuple[str, bool]]:
    """A passage in pieces, each with whether it answers a word of the question."""
    pieces: list[tuple[str, bool]] = [("… ", False)] if passage.is_cut_before else []
    place = 0
    for start, end in passage.highlights:
        pieces += [(passage.text[place:start], False), (passage.text[start:end], True)]
        place = end
    pieces.append((passage.text[place:], False))
    if passage.is_cut_after:
        pieces.append((" …", False))
    return [piece for piece in pieces if piece[0]]


def parts_of(parts: Parts) -> list[tuple[str, str]]:
    """What the score is made of, without what gave nothing."""
    values = {name: getattr(parts, field) for field, name in PART_NAMES.items()}
    return [(name, f"{value:.2f}") for name, value in values.items() if value >= 0.005]


def register() -> None:
    """Put the page below the site's root and into the menu."""
    menu = Menu(Group.WORK, icon="manage_search", order=55, title="Memory search")
    pages.register_page(pages.Page("memory_search", "memory/search/", memory_search, Role.VIEWER, menu))


register()
