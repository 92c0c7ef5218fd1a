"""What is known of signals and candidates: facts of the item, its client, its contact and of enrichment, by precedence.

Names are folded (lower case, underscores for spaces and hyphens), values are as they were given. A blank value is no
fact. Part of the use cases that score.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import date, datetime
from decimal import Decimal
from typing import Any

from django.db.models import F, Q, Window
from django.db.models.functions import RowNumber

from flowledger.clients.models import Client, Contact
from flowledger.tenancy.models import Organization
from spotlight.evaluation.reading import facts_from, fold_name, is_blank
from spotlight.evaluation.types import Fact
from spotlight.models import EnrichedFact
from spotlight.rules import PRECEDENCE
from workstream.models import Candidate, CandidateSignal, Signal

# Of a candidate with more signals than this, the newest are asked.
MOST_SIGNALS = 50

Facts = dict[str, Fact]
# A client and a contact, either of which may be missing.
Party = tuple[int | None, int | None]

_SIGNAL_COLUMNS = (
    "source_type",
    "urgency_score",
    "problem_phrase",
    "solution_hint",
    "snippet",
    "company_name",
    "company_domain",
)
_CLIENT_COLUMNS = {
    "name": ("name", "company_name"),
    "domain": ("domain", "company_domain"),
    "industry": ("industry",),
    "size_band": ("size_band", "company_size"),
    "annual_revenue": ("annual_revenue",),
    "country": ("country",),
}
_CONTACT_COLUMNS = {"title": ("title", "job_title")}


def facts_of(*, org: Organization, item_type: str, item_ids: Collection[int]) -> dict[int, Mapping[str, Fact]]:
    """The facts of each item by folded name; items that this organisation does not have are left out.

    `item_type` is signal or candidate. Of several sources that know a name the first by the organisation's rule
    `fact_precedence` counts, of several signals of a candidate the newest, of several providers the surest and then the
    newest. A candidate's own value band, figure and confidence count before all else; its figure is its budget if no
    signal names one. A constant number of statements, whatever the number of items.
    """
    order = PRECEDENCE.of(org).order
    ranks: dict[str, int] = {source: place for place, source in enumerate(order, start=1)}
    if item_type == "signal":
        own, parties = _of_signals(org, item_ids, ranks["signal"])
    elif item_type == "candidate":
        own, parties = _of_candidates(org, item_ids, ranks["signal"])
    else:
        raise ValueError(f"Signals and candidates are scored, not {item_type}.")
    around = _around(org, set(parties.values()), ranks)
    return {key: _layered(order, own[key], around[parties[key]]) for key in own}


def _layered(order: Sequence[str], own: tuple[Facts, Facts], around: Mapping[str, Facts]) -> Facts:
    """Sources one over the other, the first of `order` on top; what people wrote on the item lies above all."""
    from_signals, written = own
    facts: Facts = {}
    for source in reversed(order):
        facts.update(from_signals if source == "signal" else around[source])
    facts.update(written)
    return facts


def _of_signals(
    org: Organization, ids: Collection[int], rank: int
) -> tuple[dict[int, tuple[Facts, Facts]], dict[int, Party]]:
    rows = Signal.objects.for_org(org).filter(pk__in=ids).order_by("pk")
    own: dict[int, tuple[Facts, Facts]] = {}
    parties: dict[int, Party] = {}
    for pk, client, contact, attributes, *columns in rows.values_list(
        "pk", "client_id", "contact_id", "attributes", *_SIGNAL_COLUMNS
    ):
        own[pk] = (_signal_facts(attributes, columns, rank), {})
        parties[pk] = (client, contact)
    return own, parties


def _signal_facts(attributes: Any, columns: Iterable[Any], rank: int) -> Facts:
    facts = _named(attributes, "signal", rank)
    # What its sender said in so many words is known better than what the channel made of it.
    for name, value in zip(_SIGNAL_COLUMNS, columns, strict=True):
        if name not in facts and not is_blank(value):
            facts[name] = Fact(_plain(value), "signal", rank)
    return facts


def _of_candidates(
    org: Organization, ids: Collection[int], rank: int
) -> tuple[dict[int, tuple[Facts, Facts]], dict[int, Party]]:
    rows = Candidate.objects.for_org(org).filter(pk__in=ids).order_by("pk")
    found = list(rows.values_list("pk", "client_id", "contact_id", "value_band", "estimated_value", "confidence"))
    from_signals = _of_linked_signals(org, [row[0] for row in found], rank)
    own: dict[int, tuple[Facts, Facts]] = {}
    parties: dict[int, Party] = {}
    for pk, client, contact, band, figure, confidence in found:
        written = {"value_band": Fact(band, "candidate"), "confidence": Fact(_plain(confidence), "candidate")}
        said = from_signals[pk]
        if figure is not None:
            written["estimated_value"] = Fact(_plain(figure), "candidate")
            said.setdefault("budget", Fact(_plain(figure), "candidate", rank))
        own[pk] = (said, written)
        parties[pk] = (client, contact)
    return own, parties


def _of_linked_signals(org: Organization, candidate_ids: Collection[int], rank: int) -> defaultdict[int, Facts]:
    """What the signals behind each candidate say, the newest on top."""
    links = CandidateSignal.objects.for_org(org).filter(candidate__in=candidate_ids)
    place = Window(
        RowNumber(), partition_by=F("candidate_id"), order_by=[F("signal__ts").desc(), F("signal_id").desc()]
    )
    newest = links.annotate(place=place).filter(place__lte=MOST_SIGNALS).order_by("candidate_id", "-place")
    facts: defaultdict[int, Facts] = defaultdict(dict)
    for candidate_id, attributes, *columns in newest.values_list(
        "candidate_id", "signal__attributes", *(f"signal__{name}" for name in _SIGNAL_COLUMNS)
    ):
        facts[candidate_id].update(_signal_facts(attributes, columns, rank))
    return facts


def _around(org: Organization, parties: Collection[Party], ranks: Mapping[str, int]) -> dict[Party, dict[str, Facts]]:
    """What client, contact and enrichment say of each pair of client and contact; three statements at most."""
    client_ids = sorted({client for client, _ in parties if client is not None})
    contact_ids = sorted({contact for _, contact in parties if contact is not None})
    clients = _of_rows(Client.objects.for_org(org), client_ids, _CLIENT_COLUMNS, "client", "attributes", ranks)
    contacts = _of_rows(Contact.objects.for_org(org), contact_ids, _CONTACT_COLUMNS, "contact", "preferences", ranks)
    enriched = _enriched(org, client_ids, contact_ids, ranks["enrichment"])
    return {
        (client, contact): {
            "client": clients.get(client or 0, {}),
            "contact": contacts.get(contact or 0, {}),
            "enrichment": _surest(enriched.get(("client", client or 0)), enriched.get(("contact", contact or 0))),
        }
        for client, contact in parties
    }


def _of_rows(
    rows: Any,
    ids: Collection[int],
    columns: Mapping[str, tuple[str, ...]],
    source: str,
    more: str,
    ranks: Mapping[str, int],
) -> dict[int, Facts]:
    """The facts of clients or contacts by key: their columns, each under its names, and the object `more`."""
    found: dict[int, Facts] = {}
    if not ids:
        return found
    for row in rows.filter(pk__in=ids).order_by("pk").values("pk", more, *columns):
        facts = _named(row[more], source, ranks[source])
        for column, names in columns.items():
            if not is_blank(row[column]):
                facts.update(dict.fromkeys(names, Fact(_plain(row[column]), source, ranks[source])))
        found[row["pk"]] = facts
    return found


# How sure and how new a fact is, and the fact.
_Enriched = dict[str, tuple[Decimal, datetime, Fact]]


def _enriched(
    org: Organization, client_ids: Collection[int], contact_ids: Collection[int], rank: int
) -> dict[tuple[str, int], _Enriched]:
    if not client_ids and not contact_ids:
        return {}
    rows = EnrichedFact.objects.for_org(org).filter(Q(client__in=client_ids) | Q(contact__in=contact_ids))
    found: dict[tuple[str, int], _Enriched] = defaultdict(dict)
    for client_id, contact_id, name, value, confidence, fetched_at in rows.order_by(
        "confidence", "fetched_at", "pk"
    ).values_list("client_id", "contact_id", "field_name", "value", "confidence", "fetched_at"):
        if not is_blank(value):
            key = ("contact", contact_id) if client_id is None else ("client", client_id)
            # The surest, then the newest comes last.
            found[key][fold_name(name)] = (confidence, fetched_at, Fact(value, "enrichment", rank))
    return found


def _surest(of_client: _Enriched | None, of_contact: _Enriched | None) -> Facts:
    best: _Enriched = dict(of_client or {})
    for name, entry in (of_contact or {}).items():
        if name not in best or entry[:2] >= best[name][:2]:
            best[name] = entry
    return {name: fact for name, (_, _, fact) in best.items()}


def _named(data: Any, source: str, rank: int) -> Facts:
    """The entries of a JSON object; what is no object says nothing."""
    return facts_from(data, source, rank) if isinstance(data, Mapping) else {}


def _plain(value: Any) -> Any:
    """A column's value as JSON has it."""
    if isinstance(value, Decimal):
        return int(value) if value == value.to_integral_value() else float(value)
    return value.isoformat() if isinstance(value, date) else value
