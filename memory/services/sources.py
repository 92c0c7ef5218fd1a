"""The rows that atoms come from, as they are now: what their events can tell, and their texts.

Events carry ids only; whoever captures holds the ledger and reads here.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from decimal import Decimal
from typing import Any

from flowledger.clients.models import Client, Contact
from flowledger.tenancy.models import Organization
from memory.extraction import Passage
from memory.services.linking import Entity
from workstream.models import Activity, Candidate, ChecklistItem, Engagement, Proposal, Pursuit, Signal, Task
from workstream.models.activities import ActivityKind, Direction
from workstream.models.signals import SourceType
from workstream.rendering import money

# Signals that a colleague wrote; whatever comes through another door an outsider may have written.
_OWN_WORDS = frozenset({SourceType.NOTE.value, SourceType.CALL.value})


@dataclass(frozen=True)
class Source:
    """One row: the entities that an atom of it can be about, what a template can tell of it, and its texts by field."""

    source_type: str
    source_id: int
    entities: Mapping[str, int]
    slots: Mapping[str, str] = field(default_factory=dict)
    texts: Mapping[str, str] = field(default_factory=dict)
    # When it happened, where that is not when its event was recorded.
    happened_at: datetime | None = None
    direction: str = "internal"
    is_outsiders: bool = False
    tags: tuple[str, ...] = ()
    url: str = ""
    origin_id: str = ""

    @property
    def item(self) -> Entity:
        """What an activity or task hangs off: its only entity."""
        ((kind, pk),) = self.entities.items()
        return kind, pk

    def passage(self, name: str, *, written_on: date) -> Passage:
        """One of its texts for the extractor."""
        return Passage(
            text=self.texts[name],
            source_type=self.source_type,
            source_field=name,
            direction=self.direction,
            is_inbound_email=self.is_outsiders,
            written_on=written_on,
        )


def read_sources(org: Organization, source_type: str, ids: Collection[int]) -> dict[int, Source]:
    """The rows of a type with these ids; what does not exist (any more) is left out. One statement."""
    label, joined, read = _READERS[source_type]
    rows: Any = label.objects.for_org(org).filter(pk__in=ids).select_related(*joined).order_by("pk")
    return {row.pk: read(row) for row in rows}


def readable_types() -> frozenset[str]:
    """The types of rows that atoms are made of."""
    return frozenset(_READERS)


def _signal(row: Signal) -> Source:
    who = (str(row.contact) if row.contact else "") or row.contact_name
    company = (row.client.name if row.client else "") or row.company_name
    is_own = row.source_type in _OWN_WORDS
    is_link = row.source_ref.startswith(("https://", "http://"))
    return Source(
        "signal",
        row.pk,
        {"signal": row.pk},
        _people(row.contact, row.client)
        | {
            "channel": _lowered(row.get_source_type_display()),
            "from_contact": _clause(" from ", who),
            "at_client": _clause(" at ", company),
            "about": _clause(": ", row.problem_phrase),
        },
        _filled(row, "snippet", "problem_phrase", "solution_hint", "reject_reason"),
        happened_at=row.ts,
        direction="internal" if is_own else "inbound",
        is_outsiders=not is_own,
        tags=(row.source_type,),
        url=row.source_ref if is_link else "",
        origin_id="" if is_link else row.source_ref,
    )


def _candidate(row: Candidate) -> Source:
    return Source(
        "candidate",
        row.pk,
        _entities(candidate=row.pk, client=row.client_id, contact=row.contact_id),
        _people(row.contact, row.client)
        | {
            "title": row.title,
            "scope": _clause(": ", row.one_liner_scope),
            "worth": _worth(row.estimated_value, row.currency),
            "next_step": _clause("; next step: ", row.next_step),
            "until": _clause(" until ", row.resume_at.date().isoformat() if row.resume_at else ""),
            "owner": _person(row.owner),
        },
        _filled(row, "one_liner_scope", "hold_reason", "archive_reason"),
    )


def _pursuit(row: Pursuit) -> Source:
    return Source(
        "pursuit",
        row.pk,
        _entities(pursuit=row.pk, candidate=row.candidate_id, client=row.client_id, contact=row.contact_id),
        _people(row.contact, row.client)
        | {
            "title": row.title,
            "worth": _worth(row.forecast_value, row.currency),
            "stage": row.get_stage_display(),
            "previous_stage": "",
            "owner": _person(row.owner),
        },
        _filled(row, "outcome_reason"),
    )


def _proposal(row: Proposal) -> Source:
    pursuit = row.pursuit
    return Source(
        "proposal",
        row.pk,
        _entities(proposal=row.pk, pursuit=row.pursuit_id, client=pursuit.client_id, contact=pursuit.contact_id),
        _people(pursuit.contact, pursuit.client)
        | {
            "title": row.title,
            "pursuit": pursuit.title,
            "number": str(row.version),
            "worth": _worth(row.amount, row.currency),
            "to_people": _clause(" to ", str(pursuit.contact) if pursuit.contact else ""),
        },
    )


def _checklist_item(row: ChecklistItem) -> Source:
    pursuit = row.pursuit
    return Source(
        "checklist_item",
        row.pk,
        _entities(pursuit=row.pursuit_id, client=pursuit.client_id, contact=pursuit.contact_id),
        _people(pursuit.contact, pursuit.client)
        | {
            "item": row.name,
            "review": f"{_lowered(row.get_kind_display())} review",
            "pursuit": pursuit.title,
            "evidence": _clause(": ", row.evidence),
            "by_whom": _clause(" by ", _person(row.waived_by) or row.waived_by_label),
        },
        _filled(row, "evidence", "waive_reason"),
    )


def _activity(row: Activity) -> Source:
    is_theirs = row.kind == ActivityKind.EMAIL and row.direction == Direction.INBOUND
    return Source(
        "activity",
        row.pk,
        {row.item_type: row.item_id},
        {"what": row.get_kind_display(), "summary": row.summary},
        _filled(row, "summary", "body"),
        happened_at=row.happened_at,
        direction="inbound" if is_theirs else "internal",
        is_outsiders=is_theirs,
        tags=(row.kind,),
    )


def _task(row: Task) -> Source:
    due = row.due_at.date().isoformat() if row.due_at else ""
    return Source("task", row.pk, {row.item_type: row.item_id}, {"title": row.title, "by_day": _clause(" by ", due)})


def _engagement(row: Engagement) -> Source:
    return Source(
        "engagement",
        row.pk,
        _entities(engagement=row.pk, pursuit=row.pursuit_id, client=row.client_id),
        _people(row.pursuit.contact, row.client)
        | {"title": row.title, "worth": _worth(row.value, row.currency), "owner": _person(row.owner)},
    )


def _contact(row: Contact) -> Source:
    return Source(
        "contact",
        row.pk,
        _entities(contact=row.pk, client=row.client_id),
        _people(row, row.client)
        | {"name": str(row), "at_client": _clause(" at ", row.client.name if row.client else "")},
    )


def _client(row: Client) -> Source:
    return Source("client", row.pk, {"client": row.pk}, {"name": row.name})


def _entities(**ids: int | None) -> dict[str, int]:
    return {kind: pk for kind, pk in ids.items() if pk is not None}


def _people(contact: Contact | None, client: Client | None) -> dict[str, str]:
    who = str(contact) if contact else ""
    company = client.name if client else ""
    return {
        "contact": who,
        "client": company,
        "for_client": _clause(" for ", company),
        "with_contact": _clause(" with ", who),
    }


def _clause(lead: str, text: str) -> str:
    """A text with the words that lead to it, or nothing."""
    return f"{lead}{text.strip()}" if text.strip() else ""


def because(text: str) -> str:
    """A reason as the end of a sentence."""
    return _clause(": ", text)


def _worth(amount: Decimal | None, currency: str) -> str:
    return f", worth {money(amount, currency)}" if amount else ""


def _person(user: Any) -> str:
    return (user.get_full_name() or user.get_username()) if user is not None else ""


def _lowered(label: str) -> str:
    """A label within a sentence; what is written in capitals stays."""
    return label if label.isupper() else label[:1].lower() + label[1:]


def _filled(row: Any, *names: str) -> dict[str, str]:
    return {name: text for name in names if (text := getattr(row, name)).strip()}


_READERS: dict[str, tuple[Any, tuple[str, ...], Callable[[Any], Source]]] = {
    "signal": (Signal, ("contact", "client"), _signal),
    "candidate": (Candidate, ("contact", "client", "owner"), _candidate),
    "pursuit": (Pursuit, ("contact", "client", "owner"), _pursuit),
    "proposal": (Proposal, ("pursuit__contact", "pursuit__client"), _proposal),
    "checklist_item": (ChecklistItem, ("pursuit__contact", "pursuit__client", "waived_by"), _checklist_item),
    "activity": (Activity, (), _activity),
    "task": (Task, (), _task),
    "engagement": (Engagement, ("pursuit__contact", "client", "owner"), _engagement),
    "contact": (Contact, ("client",), _contact),
    "client": (Client, (), _client),
}
