"""Which events become atoms and how they are told: the schema of `memory_rule/capture`, with its defaults.

A template is one sentence with slots in double braces, which are filled from the rows as they are when the event is
handled. Slots that begin with a space or a comma when they say something, and are empty when not, are named for what
they begin with: `{{ title }} was lost{{ worth }}{{ because }}`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Annotated, Any, Literal, NamedTuple, Self

from pydantic import Field, model_validator

from flowledger.configuration.registry import Rule

SLOT = re.compile(r"\{\{\s*([a-z_]+)\s*\}\}")


class EventFacts(NamedTuple):
    """What memory knows of an event: the row that it tells of, and the field of its payload that names that.

    `entities` are what an atom of it can be about, the first unless the rule says otherwise; `item` is whatever an
    activity or task hangs off. `texts` are the fields of the row that can be read. `recurs`: it happens to one row more
    than once, and each time is something to remember.
    """

    source_type: str
    id_field: str
    entities: tuple[str, ...]
    slots: frozenset[str]
    texts: tuple[str, ...] = ()
    recurs: bool = False


_PEOPLE = frozenset({"client", "contact", "for_client", "with_contact"})
_SIGNAL = _PEOPLE | {"channel", "from_contact", "at_client", "about", "because"}
_CANDIDATE = _PEOPLE | {"title", "scope", "worth", "next_step", "until", "because", "owner"}
_PURSUIT = _PEOPLE | {"title", "worth", "stage", "previous_stage", "because", "owner"}
_PROPOSAL = _PEOPLE | {"title", "pursuit", "number", "worth", "to_people"}
_CHECKLIST = _PEOPLE | {"item", "review", "pursuit", "because", "evidence", "by_whom"}

EVENTS: Mapping[str, EventFacts] = {
    "signal.created": EventFacts(
        "signal", "signal_id", ("signal",), _SIGNAL, ("snippet", "problem_phrase", "solution_hint")
    ),
    "signal.rejected": EventFacts("signal", "signal_id", ("signal",), _SIGNAL, ("reject_reason",)),
    "candidate.created": EventFacts(
        "candidate", "candidate_id", ("candidate", "client", "contact"), _CANDIDATE, ("one_liner_scope",)
    ),
    "candidate.triaged": EventFacts("candidate", "candidate_id", ("candidate",), _CANDIDATE, recurs=True),
    "candidate.nurtured": EventFacts("candidate", "candidate_id", ("candidate",), _CANDIDATE, recurs=True),
    "candidate.held": EventFacts(
        "candidate", "candidate_id", ("candidate",), _CANDIDATE, ("hold_reason",), recurs=True
    ),
    "candidate.archived": EventFacts("candidate", "candidate_id", ("candidate",), _CANDIDATE, ("archive_reason",)),
    "candidate.promoted": EventFacts("candidate", "candidate_id", ("candidate",), _CANDIDATE),
    "pursuit.created": EventFacts("pursuit", "pursuit_id", ("pursuit", "client"), _PURSUIT),
    "pursuit.stage_changed": EventFacts("pursuit", "pursuit_id", ("pursuit",), _PURSUIT, recurs=True),
    "pursuit.submit": EventFacts("pursuit", "pursuit_id", ("pursuit",), _PURSUIT, recurs=True),
    "pursuit.won": EventFacts("pursuit", "pursuit_id", ("pursuit", "client"), _PURSUIT, ("outcome_reason",)),
    "pursuit.lost": EventFacts("pursuit", "pursuit_id", ("pursuit", "client"), _PURSUIT, ("outcome_reason",)),
    "gate.waived": EventFacts("checklist_item", "checklist_item_id", ("pursuit",), _CHECKLIST, ("waive_reason",)),
    "checklist.item_done": EventFacts("checklist_item", "checklist_item_id", ("pursuit",), _CHECKLIST, ("evidence",)),
    "proposal.created": EventFacts("proposal", "proposal_id", ("proposal", "pursuit"), _PROPOSAL),
    "proposal.sent": EventFacts("proposal", "proposal_id", ("proposal", "pursuit"), _PROPOSAL),
    "proposal.signed": EventFacts("proposal", "proposal_id", ("proposal", "pursuit"), _PROPOSAL),
    "activity.logged": EventFacts(
        "activity", "activity_id", ("item",), frozenset({"what", "summary"}), ("summary", "body")
    ),
    "task.created": EventFacts("task", "task_id", ("item",), frozenset({"title", "by_day"})),
    "task.done": EventFacts("task", "task_id", ("item",), frozenset({"title", "by_day"})),
    "engagement.created": EventFacts(
        "engagement", "engagement_id", ("engagement", "pursuit", "client"), _PEOPLE | {"title", "worth", "owner"}
    ),
    "identity.resolved": EventFacts("contact", "contact_id", ("contact", "client"), _PEOPLE | {"name", "at_client"}),
    "contact.merged": EventFacts(
        "contact", "contact_id", ("contact",), _PEOPLE | {"name", "at_client", "other"}, recurs=True
    ),
    "client.merged": EventFacts("client", "client_id", ("client",), frozenset({"name", "other"}), recurs=True),
}

Template = Annotated[str, Field(max_length=500)]


class EventRule(Rule):
    """What becomes of one kind of event.

    `template` is the sentence that is remembered, as an atom of `kind`; without one the event only has its texts read.
    `entity` is what the atom is about, blank for the event's own. `reads`: of the texts that come with the event
    nothing is read, the statements that the extractor finds, or everything, the rest as notes.
    """

    is_on: bool = True
    kind: Literal["decision", "risk", "preference", "note", "status"] = "status"
    template: Template = ""
    entity: Annotated[str, Field(max_length=10)] = ""
    reads: Literal["nothing", "statements", "everything"] = "nothing"
    audience: Literal["everyone", "managers"] = "everyone"


class Capture(Rule):
    """How each event of the pipeline is remembered.

    Of imported history only `imported_status` brings the sentences of the kind status: what moved years ago is noise.
    """

    imported_status: bool = False
    signal_created: EventRule = EventRule(
        template="New {{ channel }} signal{{ from_contact }}{{ at_client }}{{ about }}", reads="everything"
    )
    signal_rejected: EventRule = EventRule(
        template="The {{ channel }} signal{{ from_contact }}{{ at_client }} was rejected{{ because }}"
    )
    candidate_created: EventRule = EventRule(
        template="The candidate {{ title }}{{ for_client }} was opened{{ scope }}", reads="statements"
    )
    candidate_triaged: EventRule = EventRule(
        template="The candidate {{ title }}{{ for_client }} was triaged{{ next_step }}"
    )
    candidate_nurtured: EventRule = EventRule(
        template="The candidate {{ title }}{{ for_client }} was put into nurture{{ next_step }}"
    )
    candidate_held: EventRule = EventRule(
        template="The candidate {{ title }}{{ for_client }} was put on hold{{ until }}{{ because }}", reads="statements"
    )
    candidate_archived: EventRule = EventRule(
        kind="decision",
        template="The candidate {{ title }}{{ for_client }} was archived{{ because }}",
        reads="statements",
    )
    candidate_promoted: EventRule = EventRule(
        kind="decision", template="The candidate {{ title }}{{ for_client }} was promoted to a pursuit{{ worth }}"
    )
    pursuit_created: EventRule = EventRule(template="The pursuit {{ title }}{{ for_client }} was opened{{ worth }}")
    pursuit_stage_changed: EventRule = EventRule(
        template="The pursuit {{ title }}{{ for_client }} moved from {{ previous_stage }} to {{ stage }}"
    )
    pursuit_submit: EventRule = EventRule(
        template="The pursuit {{ title }} was submitted to the customer{{ for_client }}{{ worth }}"
    )
    pursuit_won: EventRule = EventRule(
        kind="decision",
        template="We won {{ title }}{{ for_client }}{{ worth }}{{ because }}",
        reads="statements",
    )
    pursuit_lost: EventRule = EventRule(
        kind="decision",
        template="We lost {{ title }}{{ for_client }}{{ worth }}{{ because }}",
        reads="statements",
    )
    gate_waived: EventRule = EventRule(
        kind="decision",
        template="{{ item }} of the {{ review }} of {{ pursuit }} was waived{{ by_whom }}{{ because }}",
        reads="statements",
    )
    checklist_item_done: EventRule = EventRule(
        template="{{ item }} of the {{ review }} of {{ pursuit }} is done{{ evidence }}", reads="statements"
    )
    proposal_created: EventRule = EventRule(
        template="Version {{ number }} of the proposal for {{ pursuit }}{{ for_client }} was drafted{{ worth }}"
    )
    proposal_sent: EventRule = EventRule(
        kind="decision",
        template="Version {{ number }} of the proposal for {{ pursuit }} was sent{{ to_people }}{{ for_client }}"
        "{{ worth }}",
    )
    proposal_signed: EventRule = EventRule(
        kind="decision",
        template="Version {{ number }} of the proposal for {{ pursuit }}{{ for_client }} was signed{{ worth }}",
    )
    activity_logged: EventRule = EventRule(reads="everything")
    task_created: EventRule = EventRule(is_on=False, template="To be done{{ by_day }}: {{ title }}")
    task_done: EventRule = EventRule(template="Done: {{ title }}")
    engagement_created: EventRule = EventRule(
        kind="note", template="The engagement {{ title }}{{ for_client }} began{{ worth }}"
    )
    identity_resolved: EventRule = EventRule(template="{{ name }}{{ at_client }} became known")
    contact_merged: EventRule = EventRule(
        kind="note", template="{{ name }}{{ at_client }} and {{ other }} were found to be one person"
    )
    client_merged: EventRule = EventRule(
        kind="note", template="{{ name }} and {{ other }} were found to be one company"
    )

    @model_validator(mode="after")
    def _fits_the_events(self) -> Self:
        for event_name, rule in self.rules():
            facts = EVENTS[event_name]
            unknown = sorted(set(SLOT.findall(rule.template)) - facts.slots)
            if unknown:
                known = ", ".join(sorted(facts.slots))
                raise ValueError(f"{event_name} has no {', '.join(unknown)} to tell; it has: {known}.")
            if rule.entity and rule.entity not in facts.entities:
                raise ValueError(f"An atom of {event_name} can be about: {', '.join(facts.entities)}.")
            if not rule.template and rule.reads == "nothing" and rule.is_on:
                raise ValueError(f"{event_name} has no template and reads nothing: switch it off instead.")
            if rule.reads != "nothing" and not facts.texts:
                raise ValueError(f"{event_name} has no text to read.")
        return self

    def rule(self, event_name: str) -> EventRule:
        """The rule of one event."""
        rule: EventRule = getattr(self, event_name.replace(".", "_"))
        return rule

    def rules(self) -> Iterator[tuple[str, EventRule]]:
        """Every event with its rule."""
        for event_name in EVENTS:
            yield event_name, self.rule(event_name)


def fill(template: str, slots: Mapping[str, Any]) -> str:
    """The sentence of a template, on one line and with its full stop; values are never looked at again."""
    filled = " ".join(SLOT.sub(lambda match: str(slots[match.group(1)]), template).split())
    return filled if not filled or filled[-1] in ".!?…" else f"{filled}."
