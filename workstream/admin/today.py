"""The first page of the back office: the ranked list of what wants attention, kept fresh by conditional polling."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, time, timedelta
from typing import Any
from urllib.parse import urlencode
from zoneinfo import ZoneInfo

from django.contrib import admin, messages
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseNotModified, HttpResponseRedirect
from django.http.response import HttpResponseBase
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils.http import parse_etags
from django.utils.timesince import timesince
from django.utils.timezone import now
from django.views.decorators.http import require_GET, require_POST
from unfold.widgets import BASE_INPUT_CLASSES

from flowledger.backoffice import pages
from flowledger.backoffice.choices import members_of
from flowledger.backoffice.refusals import explain
from flowledger.backoffice.requests import actor_of, org_of
from flowledger.errors import FlowLedgerError, InvalidInput
from flowledger.tenancy.actors import Actor
from flowledger.tenancy.models import Organization
from flowledger.tenancy.permissions import may
from workstream.admin.today_rows import Action, Due, action_of, due_of, item_link
from workstream.machines import CandidateStatus, PursuitStage
from workstream.models import Tag
from workstream.models.today import Badge, Tier, panel_place
from workstream.reports.today import PanelRow, PanelVersion, TodayFilters, today_page, today_version
from workstream.services.today import snooze_item

PER_PAGE = 50
POLL_SECONDS = 5
# How long "due in 3 hours" may stand before the words are written anew although nothing happened.
WORDS_LAST = timedelta(minutes=5)
TAGS_OFFERED = 200
LONGEST_SEARCH = 100
LOOKS = {"red": "danger", "amber": "warning", "green": "success"}
STATES = {**dict(CandidateStatus.choices), **dict(PursuitStage.choices)}
KINDS = {"candidate": "Candidate", "pursuit": "Pursuit"}
SNOOZES = {"day": timedelta(days=1), "week": timedelta(weeks=1)}


@dataclass(frozen=True)
class Asked:
    """What the address asks for: one value per filter, "" for none, and the place to go on from."""

    values: Mapping[str, str]
    cursor: str = ""

    NAMES = ("q", "owner", "badge", "tier", "type", "tag")

    @classmethod
    def of(cls, request: HttpRequest) -> Asked:
        """What is no filter, or no value of one, is left out."""
        given = {name: request.GET.get(name, "").strip()[:LONGEST_SEARCH] for name in cls.NAMES}
        known = {"badge": Badge.labels, "tier": Tier.labels, "type": list(KINDS)}
        wrong = {name for name, values in known.items() if given[name] not in values}
        owner = given["owner"]
        if owner not in {"me", "none"} and not (owner.isascii() and owner.isdigit() and len(owner) < 19):
            wrong.add("owner")
        values = {name: value for name, value in given.items() if value and name not in wrong}
        return cls(values, request.GET.get("cursor", "")[:1000])

    @property
    def is_filtered(self) -> bool:
        return bool(self.values)

    def filters(self, actor: Actor) -> TodayFilters:
        """The same for the panel."""
        owners = {"": (), "me": (actor.user_id,), "none": (None,)}
        owner = self.values.get("owner", "")
        return TodayFilters(
            badges=[badge for badge in Badge if badge.label == self.values.get("badge")],
            tiers=[tier for tier in Tier if tier.label == self.values.get("tier")],
            owners=owners[owner] if owner in owners else (int(owner),),
            tags=[self.values["tag"]] if "tag" in self.values else (),
            item_types=[self.values["type"]] if "type" in self.values else (),
            q=self.values.get("q", ""),
        )

    def query(self, *, cursor: str = "", **changes: str) -> str:
        """The query of an address with these filters changed; "" takes one out."""
        values = {**self.values, **changes, "cursor": cursor}
        text = urlencode({name: value for name, value in values.items() if value})
        return f"?{text}" if text else ""


@dataclass(frozen=True)
class Line:
    """A row with everything that the page says about it."""

    row: PanelRow
    due: Due | None
    action: Action
    may_snooze: bool
    why: str
    touched: str
    touched_exact: str
    tags: Sequence[Mapping[str, str]] = field(default_factory=list)

    @property
    def key(self) -> str:
        return f"{self.row.item_type}-{self.row.item_id}"

    @property
    def link(self) -> str:
        return item_link(self.row)

    @property
    def look(self) -> str:
        return LOOKS[self.row.badge]

    @property
    def kind(self) -> str:
        return KINDS[self.row.item_type]

    @property
    def state(self) -> str:
        return str(STATES.get(self.row.state, self.row.state))

    @property
    def owner(self) -> str:
        return self.row.owner_name or "Nobody"


@require_GET
def today(request: HttpRequest) -> HttpResponseBase:
    """The whole page: filters, counts, rows."""
    asked = Asked.of(request)
    if "" in request.GET.values():
        # The form sends every filter; an address that is kept or passed on names only those that were chosen.
        return HttpResponseRedirect(reverse("admin:index") + asked.query())
    try:
        rows = rows_context(request, asked)
    except InvalidInput:
        # A cursor that is none of ours: begin at the top.
        return HttpResponseRedirect(reverse("admin:index") + asked.query())
    context = {
        **admin.site.each_context(request),
        "title": "Today",
        "filters": asked.values,
        "selects": selects(request, asked),
        **rows,
    }
    return TemplateResponse(request, "workstream/today/page.html", context)


@require_GET
def today_rows(request: HttpRequest) -> HttpResponseBase:
    """Counts and rows alone; 304 while the panel is as the asker has it, which one indexed row decides."""
    asked = Asked.of(request)
    etag = etag_of(request, asked, today_version(org_of(request)), now())
    if etag in parse_etags(request.headers.get("If-None-Match", "")):
        answer: HttpResponse = HttpResponseNotModified()
    else:
        answer = TemplateResponse(request, "workstream/today/rows.html", rows_context(request, asked))
    answer["ETag"] = etag
    return answer


@require_POST
def today_snooze(request: HttpRequest) -> HttpResponseBase:
    """Put an item off for a day, a week, or until the morning of a date; back to the list as it was filtered."""
    asked = Asked.of(request)
    back = HttpResponseRedirect(reverse("admin:index") + asked.query(cursor=asked.cursor))
    org, at = org_of(request), now()
    item_id = request.POST.get("item_id", "")
    if not (item_id.isascii() and item_id.isdigit() and len(item_id) < 19):
        raise Http404("There is no such item.")
    try:
        until = snoozed_until(request, here=ZoneInfo(org.timezone), at=at)
        row = snooze_item(
            org=org,
            item_type=request.POST.get("item_type", ""),
            item_id=int(item_id),
            until=until,
            actor=actor_of(request),
            at=at,
        )
    except FlowLedgerError as error:
        messages.error(request, explain(error))
    else:
        when = until.astimezone(ZoneInfo(org.timezone))
        messages.success(request, f"{row.label} comes back on {when:%A} {when.day} {when:%B}, {when:%H:%M}.")
    return back


def snoozed_until(request: HttpRequest, *, here: ZoneInfo, at: datetime) -> datetime:
    """The moment that the form names; a date means its midnight where the organisation is.

    Raises InvalidInput for a date that is none.
    """
    length = SNOOZES.get(request.POST.get("for", ""))
    if length is not None:
        # By the wall clock: the same hour tomorrow, also when the clocks change tonight.
        return at.astimezone(here) + length
    try:
        day = date.fromisoformat(request.POST.get("until", ""))
    except ValueError:
        sentence = "Choose the day on which the item is to come back."
        raise InvalidInput(sentence, fields={}) from None
    return datetime.combine(day, time(0), here)


# --- what the templates show ---


def rows_context(request: HttpRequest, asked: Asked) -> dict[str, Any]:
    """Counts, rows and links of the list. Raises InvalidInput for a cursor that is none."""
    org, actor, at = org_of(request), actor_of(request), now()
    filters = asked.filters(actor)
    page = today_page(org=org, filters=filters, cursor=_decoded(asked.cursor), limit=PER_PAGE, at=at, actor=actor)
    here = reverse("admin:index") + asked.query(cursor=asked.cursor)
    following = "" if page.next_cursor is None else _encoded(page.next_cursor)
    return {
        "etag": etag_of(request, asked, page.header, at),
        "rows_link": reverse("admin:today_rows") + asked.query(cursor=asked.cursor),
        "snooze_link": reverse("admin:today_snooze") + asked.query(cursor=asked.cursor),
        "poll_seconds": POLL_SECONDS,
        "lines": [line_of(row, org=org, actor=actor, asked=asked, back=here, at=at) for row in page.rows],
        "total": count_of(page.header, badges=filters.badges, tiers=filters.tiers),
        "chips": chips(page.header, asked, filters),
        "is_filtered": asked.is_filtered,
        "first_link": reverse("admin:index") + asked.query() if asked.cursor else "",
        "next_link": reverse("admin:index") + asked.query(cursor=following) if following else "",
        "per_page": PER_PAGE,
        "tomorrow": at.astimezone(ZoneInfo(org.timezone)).date() + timedelta(days=1),
        "input_classes": " ".join(BASE_INPUT_CLASSES),
        "select_classes": " ".join([*BASE_INPUT_CLASSES, "pr-8!", "appearance-none", "truncate"]),
    }


def line_of(row: PanelRow, *, org: Organization, actor: Actor, asked: Asked, back: str, at: datetime) -> Line:
    """One row in words."""
    here = ZoneInfo(org.timezone)
    touched = row.last_touch_at.astimezone(here)
    # The sentence without the points, which stand below it with the others.
    why = row.reasons[0].sentence.rsplit(": ", 1)[0]
    return Line(
        row=row,
        due=due_of(row, here=here, at=at),
        action=action_of(row, actor=actor, back=back),
        may_snooze=may(actor, "snooze", row),
        why=why,
        touched=timesince(row.last_touch_at, at, depth=1),
        touched_exact=f"{touched:%Y-%m-%d %H:%M %Z}",
        tags=[{"name": name, "link": reverse("admin:index") + asked.query(tag=name)} for name in row.tags],
    )


def count_of(header: PanelVersion, *, badges: Sequence[int], tiers: Sequence[int]) -> int:
    """How many rows of the header's counts have one of these badges and tiers; none given are all."""
    return sum(
        header.counts[panel_place(badge, tier)] for badge in badges or list(Badge) for tier in tiers or list(Tier)
    )


def chips(header: PanelVersion, asked: Asked, filters: TodayFilters) -> list[dict[str, Any]]:
    """One per badge: its count under the other filters, and the link that chooses it or lets go of it."""
    chosen = asked.values.get("badge")
    return [
        {
            "name": badge.label,
            "text": f"{badge.label} {count_of(header, badges=[badge], tiers=filters.tiers)}",
            "look": LOOKS[badge.label],
            "is_chosen": badge.label == chosen,
            "link": reverse("admin:index") + asked.query(badge="" if badge.label == chosen else badge.label),
        }
        for badge in Badge
    ]


def selects(request: HttpRequest, asked: Asked) -> list[dict[str, Any]]:
    """The filters that are chosen from a list."""
    org = org_of(request)
    people = [(str(user.pk), user.get_full_name() or user.get_username()) for user in members_of(org)]
    tags = list(Tag.objects.for_org(org).order_by("name", "pk").values_list("name", flat=True)[:TAGS_OFFERED])
    if asked.values.get("tag", "") not in ("", *tags):
        tags.insert(0, asked.values["tag"])
    offers = {
        "owner": ("Owner", [("", "Everybody"), ("me", "Mine"), ("none", "Nobody's"), *people]),
        "badge": ("Badge", [("", "Any badge"), *((name, name.capitalize()) for name in Badge.labels)]),
        "tier": ("Tier", [("", "Any tier"), *((name, name.capitalize()) for name in Tier.labels)]),
        "type": ("Item type", [("", "Any item"), *((kind, f"{name}s") for kind, name in KINDS.items())]),
        "tag": ("Tag", [("", "Any tag"), *((name, name) for name in tags)]),
    }
    return [
        {"name": name, "label": label, "options": options, "value": asked.values.get(name, "")}
        for name, (label, options) in offers.items()
    ]


def etag_of(request: HttpRequest, asked: Asked, version: PanelVersion, at: datetime) -> str:
    """Changes with the panel, with what is asked of it, with who asks, and with the words for time that passes."""
    actor = actor_of(request)
    words = int(at.timestamp() // WORDS_LAST.total_seconds())
    about = [org_of(request).pk, version.version, actor.user_id, actor.role.value, asked.values, asked.cursor, words]
    return f'"{hashlib.sha256(json.dumps(about, sort_keys=True).encode()).hexdigest()[:32]}"'


def _encoded(cursor: Sequence[Any]) -> str:
    return base64.urlsafe_b64encode(json.dumps(cursor).encode()).decode().rstrip("=")


def _decoded(text: str) -> Sequence[Any] | None:
    if not text:
        return None
    try:
        cursor = json.loads(base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)))
    except ValueError:
        cursor = None
    if not isinstance(cursor, list):
        raise InvalidInput("The cursor is not one of ours; start again without it.")
    return cursor


pages.register_landing(pages.Landing(view=today, title="Today", icon="today"))
pages.register_page(pages.Page("today_rows", "today/rows/", today_rows))
pages.register_page(pages.Page("today_snooze", "today/snooze/", today_snooze))
