"""What enrichment says of clients and contacts: the newest word of each provider and field is kept."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import datetime
from decimal import Decimal, InvalidOperation
from typing import Any, NoReturn

from flowledger.api.strict_json import Unusable, require_storable
from flowledger.clients.models import Client, Contact
from flowledger.clients.services.survivors import require_standing
from flowledger.clients.services.written import stamp
from flowledger.errors import InvalidInput
from flowledger.outbox.recording import record_event
from flowledger.tenancy.actors import Actor
from flowledger.tenancy.models import Organization
from flowledger.tenancy.permissions import authorize
from flowledger.tenancy.usecases import use_case
from spotlight.evaluation.reading import fold_name
from spotlight.events import FactsEnriched
from spotlight.models import EnrichedFact

MOST_FACTS = 200
LONGEST_NAME = 60
LONGEST_VALUE = 10_000
_HUNDREDTH = Decimal("0.01")


@use_case
def store_facts(
    *,
    org: Organization,
    client_id: int | None = None,
    contact_id: int | None = None,
    provider: str,
    facts: Mapping[str, Any],
    confidence: Decimal | float | str = 1,
    fetched_at: datetime | None = None,
    actor: Actor,
    at: datetime,
) -> list[str]:
    """Keep what a provider says of one client or one contact, and have its items scored anew if it is news.

    `facts` are {field: value}, any JSON value; null takes back what the provider said before. `confidence` is 0…1.
    `fetched_at` says when the provider was asked, `at` unless given; what is older than the stored word is left out.
    Field names are kept as profiles write them: "Annual Revenue" is annual_revenue. Answers the fields that changed,
    sorted; one `spotlight.facts_enriched` names them, and none is recorded when there are none.

    Raises PermissionRefused, NotFound, Conflict for a client or contact that was merged into another, InvalidInput with
    a sentence for each field that cannot be kept; then nothing is stored.
    """
    authorize(actor, "enrich")
    subject = _subject(client_id, contact_id)
    said = _checked_facts(facts)
    sureness = _checked_confidence(confidence)
    source = _checked_provider(provider)
    asked_at = fetched_at or at
    if asked_at > at:
        _refuse("fetched_at", "This time has not come yet; say when the provider was asked, or leave it out.")
    model, pk = (Client, client_id) if client_id is not None else (Contact, contact_id)
    # Its lock makes those who store at once wait for each other and for merges, which move the facts.
    row = model.objects.for_org(org).locked().fetch(pk)
    require_standing(row)
    stored = EnrichedFact.objects.for_org(org).filter(**{subject: row}, provider=source, field_name__in=said)
    known: dict[str, EnrichedFact] = {fact.field_name: fact for fact in stored.order_by("pk")}
    new, changed, seen, gone = [], [], [], []
    for name, value in said.items():
        fact = known.get(name)
        if fact is None:
            if value is not None:
                facts_row = EnrichedFact(org=org, field_name=name, provider=source, **{subject: row})
                new.append(_say(facts_row, value, sureness, asked_at))
        elif fact.fetched_at > asked_at:
            continue
        elif value is None:
            gone.append(fact)
        elif fact.confidence == sureness and _same(fact.value, value):
            seen.append(_say(fact, value, sureness, asked_at))
        else:
            changed.append(_say(fact, value, sureness, asked_at))
    EnrichedFact.objects.for_org(org).bulk_create(new)
    if kept := [*changed, *seen]:
        stamp(kept, at)
        columns = ("value", "confidence", "fetched_at", "row_version", "updated_at")
        EnrichedFact.objects.for_org(org).bulk_update(kept, columns)
    if gone:
        EnrichedFact.objects.for_org(org).filter(pk__in=[fact.pk for fact in gone]).delete()
    names = sorted(fact.field_name for fact in (*new, *changed, *gone))
    if names:
        news = FactsEnriched(item_type=subject, item_id=row.pk, provider=source, fields=names)
        record_event(org=org, event=news, actor=actor, at=at)
    return names


def _same(one: Any, other: Any) -> bool:
    """Whether two JSON values are one; true is not 1."""
    return json.dumps(one, sort_keys=True) == json.dumps(other, sort_keys=True)


def _say(fact: EnrichedFact, value: Any, confidence: Decimal, fetched_at: datetime) -> EnrichedFact:
    fact.value, fact.confidence, fact.fetched_at = value, confidence, fetched_at
    return fact


# --- what may be kept ---


def _subject(client_id: int | None, contact_id: int | None) -> str:
    if (client_id is None) == (contact_id is None):
        sentence = "Name one client or one contact that the facts are about."
        raise InvalidInput(sentence, fields={"client_id": [sentence], "contact_id": [sentence]})
    return "client" if client_id is not None else "contact"


def _checked_facts(facts: Mapping[str, Any]) -> dict[str, Any]:
    if not facts:
        _refuse("facts", "There are no facts; write them as {field: value}.")
    if len(facts) > MOST_FACTS:
        _refuse("facts", f"At most {MOST_FACTS} facts can be stored at once; these are {len(facts):,}.")
    said: dict[str, Any] = {}
    problems: list[str] = []
    for given, value in facts.items():
        name = fold_name(given)
        if problem := _problem_of(name, given, value, said):
            problems.append(problem)
        said[name] = value
    if problems:
        raise InvalidInput(" ".join(problems), fields={"facts": problems})
    return said


def _problem_of(name: str, given: str, value: Any, said: Mapping[str, Any]) -> str:
    """What keeps a fact from being stored, in a sentence; nothing if nothing does."""
    shown = given[:LONGEST_NAME]
    try:
        require_storable([name, value])
    except Unusable as error:
        return f"The value of '{shown!a}' cannot be stored: {error}"
    if not name:
        return "A fact needs the name of a field."
    if len(name) > LONGEST_NAME:
        return f"The name of a field has at most {LONGEST_NAME} characters; '{shown}…' is longer."
    if name in said:
        return f"'{shown}' is named twice; keep one of them."
    if len(json.dumps(value, ensure_ascii=False)) > LONGEST_VALUE:
        return f"The value of '{shown}' is longer than {LONGEST_VALUE:,} characters; keep what profiles ask for."
    return ""


def _checked_confidence(confidence: Decimal | float | str) -> Decimal:
    sentence = "Write the confidence as a number from 0 to 1."
    try:
        exact = Decimal(str(confidence))
    except InvalidOperation:
        _refuse("confidence", sentence)
    if not exact.is_finite() or not 0 <= exact <= 1:
        _refuse("confidence", sentence)
    return exact.quantize(_HUNDREDTH)


def _checked_provider(provider: str) -> str:
    name = provider.strip()
    if not name:
        _refuse("provider", "Say who says so: the provider needs a name.")
    if len(name) > LONGEST_NAME:
        _refuse("provider", f"The name of a provider has at most {LONGEST_NAME} characters.")
    return name


def _refuse(name: str, sentence: str) -> NoReturn:
    raise InvalidInput(sentence, fields={name: [sentence]})
