"""Why somebody was recognised, or two were taken for each other: rules, keys and scores in sentences for people."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from django.contrib import admin
from django.contrib.admin.utils import quote
from django.urls import reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString

from flowledger.clients.models import Client, Contact, IdentityConflict
from flowledger.tenancy.models import Organization

KEYS = {
    "email": "email address",
    "phone": "phone number",
    "company_domain": "domain",
    "company_name": "company name",
    "source_ref": "source's reference",
}
HEADLINES = {
    "linked": "Recognised by what is on record.",
    "created": "Nobody on record had these keys, so a new record was made.",
    "conflict": "The keys contradict each other. The strongest was followed; a person decides about the others.",
    "unresolved": "Nothing in this signal names a person or a company.",
}
IMPORTED = "The source of the import said who this is from; nothing was resolved."
LOOKS = {"linked": "success", "created": "info", "conflict": "danger", "unresolved": "warning"}


@dataclass(frozen=True)
class Term:
    """What one comparison says for or against; points are binary logarithms."""

    sentence: str
    points: str


@dataclass(frozen=True)
class Evidence:
    """One rule that fired, as a sentence with links, and the comparisons behind it."""

    sentence: SafeString
    score: str
    terms: Sequence[Term]


@dataclass(frozen=True)
class Explanation:
    """How the sender of a signal was recognised."""

    headline: str
    label: str
    look: str
    score: str
    evidence: Sequence[Evidence]
    conflicts: Sequence[tuple[str, str, bool]]


def explanation_of(org: Organization, resolution: Mapping[str, Any]) -> Explanation:
    """A signal's `identity_resolution` in words; its pairs in the review queue as (link, text, still open)."""
    status = str(resolution.get("status", ""))
    ids = [pk for pk in resolution.get("conflict_ids") or () if isinstance(pk, int)]
    pairs = IdentityConflict.objects.for_org(org).filter(pk__in=ids).order_by("pk") if ids else ()
    return Explanation(
        headline=HEADLINES.get(status, IMPORTED),
        label=status.capitalize() or "Imported",
        look=LOOKS.get(status, ""),
        score=percent(resolution.get("confidence_score")) if status in {"linked", "conflict"} else "",
        evidence=evidence_of(org, resolution.get("rules") or ()),
        conflicts=[
            (page_of(pair), f"{pair.get_kind_display()}: {pair.get_status_display().lower()}", pair.status == "open")
            for pair in pairs
        ],
    )


def evidence_of(org: Organization, rules: Iterable[Any]) -> list[Evidence]:
    """Each rule that fired, strongest first as stored; at most two queries for the names in them."""
    known = [rule for rule in rules if isinstance(rule, Mapping)]
    names = _names(org, known)
    return [
        Evidence(
            sentence=_sentence(rule, names),
            score=percent(rule.get("score")),
            terms=[
                Term(sentence=str(term.get("sentence", "")), points=_points(term.get("points")))
                for term in rule.get("terms") or ()
                if isinstance(term, Mapping)
            ],
        )
        for rule in known
    ]


def percent(score: Any) -> str:
    """A score from 0 to 1 as people say it; "" for none."""
    try:
        return f"{float(score) * 100:.0f} %"
    except (TypeError, ValueError):
        return ""


def page_of(row: Any) -> str:
    """The address of the page of a row."""
    return reverse(f"admin:{row._meta.app_label}_{row._meta.model_name}_change", args=[quote(row.pk)])


def link_to(row: Any, text: str = "") -> str:
    """A link to the page of a contact or client; a dash for none."""
    if row is None:
        return "–"
    if not admin.site.is_registered(type(row)):
        return text or str(row)
    return format_html('<a href="{}" class="font-medium text-link">{}</a>', page_of(row), text or str(row))


def _points(points: Any) -> str:
    if not isinstance(points, int | float | Decimal):
        return ""
    return f"{points:+.1f}"


def _names(org: Organization, rules: Sequence[Mapping[str, Any]]) -> dict[tuple[str, int], Any]:
    """The contacts and clients that rules point at."""
    found: dict[tuple[str, int], Any] = {}
    for kind, model in (("contact", Contact), ("client", Client)):
        ids = {pk for rule in rules if isinstance(pk := _pointed(rule, kind), int)}
        if ids:
            found |= {(kind, pk): row for pk, row in model.objects.for_org(org).in_bulk(ids).items()}
    return found


def _pointed(rule: Mapping[str, Any], kind: str) -> Any:
    return (rule.get("points_at") or {}).get(f"{kind}_id")


def _sentence(rule: Mapping[str, Any], names: Mapping[tuple[str, int], Any]) -> SafeString:
    """`exact_email`: The email address ann@x.example is that of Ann."""
    name, value = str(rule.get("rule", "")), str(rule.get("key_value", ""))
    key = KEYS.get(str(rule.get("key_type", "")), str(rule.get("key_type", "")).replace("_", " ") or "key")
    said = rule.get("sentence")
    rows = [names.get((kind, pk)) for kind in ("contact", "client") if (pk := _pointed(rule, kind)) is not None]
    who = _who(rows)
    if name.startswith("exact_"):
        return format_html("The {} <b>{}</b> is that of {}.", key, value, who)
    if name == "shared_phone":
        return format_html("The {} <b>{}</b> is a line that several people share, so it does not count.", key, value)
    if name == "shared_mailbox":
        return format_html("The {} <b>{}</b> is shared: the names differ, so it does not count.", key, value)
    if name == "named_in_group":
        return format_html("Several companies share a domain; the {} <b>{}</b> is that of {}.", key, value, who)
    if name.startswith("similar_"):
        return format_html("{} is so alike that it was linked.", who)
    if name.startswith("possible_"):
        return format_html("{} may be the same; a person is asked.", who)
    if name == "new_contact":
        return format_html("Nobody had the {} <b>{}</b>: {} is new.", key, value, who)
    if name == "new_client":
        return format_html("No company had the {} <b>{}</b>: {} is new.", key, value, who)
    if said:
        return format_html("{} {}", said, who) if rows else format_html("{}", said)
    words = name.replace("_", " ").capitalize() or "A rule"
    about = format_html(" ({} <b>{}</b>)", key, value) if value else ""
    return format_html("{}{}: {}", words, about, who) if rows else format_html("{}{}.", words, about)


def _who(rows: Sequence[Any]) -> str:
    shown = [link_to(row) for row in rows if row is not None]
    if not shown:
        return "a record that is gone" if rows else "nobody"
    return format_html("{} at {}", *shown) if len(shown) == 2 else shown[0]
