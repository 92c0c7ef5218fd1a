"""The deterministic extractor: the statements of a passage, with the sentence that each was found in."""

from __future__ import annotations

import datetime
from collections import Counter
from decimal import Decimal

from memory.extraction.dates import date_in
from memory.extraction.money import money_in
from memory.extraction.reading import Sentence, sentences
from memory.extraction.rules import Finding, findings, speaks_to_machine
from memory.extraction.types import KIND_OF, Extract, Passage, Statement

# Stands with every atom that it made; a change of what it finds is a new version.
EXTRACTOR = "rules:1"
# An outsider's message is worth less than what a colleague wrote down.
INBOUND = Decimal("0.80")
# More statements than a person would note of one text are noise.
MOST = 60

# Of statements that need no language: money is written alike in most.
_ANY_LANGUAGE = frozenset({Statement.AMOUNT})


def extract(passage: Passage, language: str = "en") -> list[Extract]:
    """The statements of a passage in the order of its text; none when it states nothing.

    English is read whole, of other languages only what is the same in all. What somebody else wrote in an inbound
    message never decides anything: such a sentence gives its other statements, and none when it speaks to the machine.
    """
    found: list[Extract] = []
    counts: Counter[str] = Counter()
    for sentence in sentences(passage.text):
        if len(found) >= MOST:
            break
        found += _extracts(passage, sentence, language, counts)
    return found


def _extracts(passage: Passage, sentence: Sentence, language: str, counts: Counter[str]) -> list[Extract]:
    stated = findings(sentence.seen)
    if language != "en":
        stated = [each for each in stated if each.statement in _ANY_LANGUAGE]
    if passage.is_inbound_email:
        if speaks_to_machine(sentence.seen):
            return []
        stated = [each for each in stated if each.statement is not Statement.DECISION]
    kinds = list(dict.fromkeys(KIND_OF[each.statement] for each in stated))
    if len(kinds) > 1 and "note" in kinds:
        # Amounts, dates and roles stand beside the decision, risk or preference that they belong to.
        kinds.remove("note")
    return [_extract(passage, sentence, kind, stated, counts) for kind in kinds]


def _extract(passage: Passage, sentence: Sentence, kind: str, stated: list[Finding], counts: Counter[str]) -> Extract:
    own = [each for each in stated if KIND_OF[each.statement] == kind]
    beside = [each for each in stated if KIND_OF[each.statement] == "note" and each not in own]
    chief = max(own, key=lambda each: (each.topic == "role", each.confidence)) if kind == "note" else own[0]
    topic = chief.topic
    counts[f"{kind}:{topic}"] += 1
    confidence = chief.confidence * INBOUND if passage.direction == "inbound" else chief.confidence
    role = next((each for each in stated if each.statement is Statement.ROLE), None)
    amounts = money_in(sentence.seen)
    day: datetime.date | None = date_in(sentence.seen, written_on=passage.written_on)
    return Extract(
        kind=kind,
        text=passage.text[sentence.start : sentence.end],
        start=sentence.start,
        end=sentence.end,
        confidence=confidence.quantize(Decimal("0.01")),
        slot=f"{passage.source_field}:{kind}:{topic}:{counts[f'{kind}:{topic}']}",
        statements=tuple(each.statement for each in [*own, *beside]),
        topic=topic,
        is_negated=chief.is_negated,
        subject_role=role.subject_role if role is not None else "",
        amount=amounts[0] if len(amounts) == 1 else None,
        date=day,
    )
