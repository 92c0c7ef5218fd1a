"""What a sentence states, by rules: phrases of the lexicon in a context that neither denies nor only supposes them."""

from __future__ import annotations

import re
from dataclasses import dataclass
from decimal import Decimal

from memory.extraction.dates import names_date
from memory.extraction.lexicon import PHRASES, Phrase
from memory.extraction.money import money_in
from memory.extraction.types import Statement

# How much of its confidence a statement keeps that is hedged.
HEDGED = Decimal("0.70")

_CLAUSE = re.compile(r"[,;:–—]|\s-\s|\b(?:but|however|although|though|yet|because|so|since|which|while|whereas)\b")
_NEGATOR = re.compile(
    r"\b(?:not|no|never|nobody|none|nothing|neither|nor|without|hardly|\w+n't|cannot|no one|no longer|unlikely|zero)\b"
)
# What is supposed, hoped, asked or still to come has not been decided, nor is it so.
_SUPPOSED = re.compile(
    r"\b(?:if|whether|unless|until|till|once|when|before|in case|provided|assuming|as soon as|should|would|could"
    r"|might|may|can|must|hopes?|hoping|hopefully|wants?|plans?|planning|expects?|expected|needs?|has to|have to"
    r"|had to|to be|waiting|awaiting|wait|pending|yet to|about to|likely|probably|ready|unable|try|trying|supposed"
    r"|propose[sd]?|suggest(?:s|ed)?|recommend(?:s|ed)?|asks?|asked|requests?|requested|considering|think(?:s"
    r"|ing)? about|how|who|what|by when|please|let's|aims?|intends?|want|wondering|competitors?'s?|incumbent's"
    r"|subject to|remember|discuss(?:ed|ing)?|consider(?:ed|s)?|almost|nearly|rumou?rs?|rumou?red)\b"
)
_SUPPOSED_RISK = re.compile(r"\b(?:if|whether|unless|in case|how|who|what|before|would have)\b")
_HEDGE = re.compile(
    r"\b(?:maybe|perhaps|possibly|probably|apparently|seems?|seemed|appears?|i think|i guess|i believe|rumou?r"
    r"|might|may|could|likely|not sure|unclear|sounds? like|i assume|supposedly|allegedly)\b"
)
# A risk that is over.
_OVER = re.compile(
    r"\b(?:no longer|not any ?more|resolved|solved|sorted(?: out)?|fixed|overcome|addressed|settled|cleared up"
    r"|went away|out of the way|off the table|behind us|out of the (?:race|running|picture|game)|mitigated|lifted"
    r"|dropped out|is out\b|are out\b|withdrew|ruled out|dispelled|put to rest|removed|eliminat\w+)\b"
)
_RISK_DENIED = re.compile(
    r"\b(?:no|not|never|without|isn't|aren't|wasn't|don't|doesn't|didn't|hasn't|haven't|nobody|none|neither|zero"
    r"|little|hardly)\b"
)
_DENIED_INSIDE = re.compile(
    r"\b(?:is|are|was|were|has|have|had)(?:n't| not| never| no longer)"
    r" (?!yet\b|approved|secured|confirmed|allocated)[\w -]+$"
)
# Who is asked not to do something, or does not like it.
_AVERSE = re.compile(
    r"\b(?:not|no|never|\w+n't|stop|avoid\w*|hates?|dislikes?|detests?|cannot stand|instead of|rather than)\b"
)
_REQUEST = re.compile(r"\b(?:could|can|would|will) you\b|\bplease\b")
_FIRMLY = re.compile(
    r"\b(?:instead|only|rather|in future|from now on|going forward|always|never|in writing|by e-?mail)\b"
)
# Words that speak to the machine that reads, not to a person: nothing behind them is taken for knowledge.
_TO_MACHINE = re.compile(
    r"\b(?:ignore|disregard|forget|override) (?:\w+ ){0,3}(?:instructions?|prompts?|rules)\b|\bsystem prompt\b"
    r"|\b(?:remember|store|save|record|log|note|mark|file|treat|register|flag|add|memori[sz]e"
    r"|classify)\b[^.;]{0,40}\b(?:as (?:a |an |the )?(?:\w+ )?(?:decision|fact|approved|risk|preference|memory)"
    r"|in (?:your|the) memory|to (?:your|the) memory)\b|\b(?:note|message|instructions?|attention) (?:to"
    r"|for) (?:the )?(?:ai|assistant|model|llm|bot|crm|summari[sz]er|system)\b|\b(?:dear|hey|hello) (?:ai"
    r"|assistant|model|llm|bot)\b|\bwhen (?:summari[sz]ing|you summari[sz]e)\b|\byou are (?:an? |the )?(?:ai"
    r"|assistant|language model)\b"
)
_NO_PREFERENCE = re.compile(r"\b(?:no|any|without|not have a|whether|if|what) (?:\w+ )?(?:preference|$)")
# In how many characters around a phrase its context is looked for.
_WINDOW = 48


@dataclass(frozen=True)
class Finding:
    """One statement of a sentence."""

    statement: Statement
    topic: str
    confidence: Decimal
    is_negated: bool = False
    subject_role: str = ""


def speaks_to_machine(seen: str) -> bool:
    """Whether a sentence tells its reader what to remember or to do, as messages do that are made for machines."""
    return _TO_MACHINE.search(seen) is not None


def findings(seen: str) -> list[Finding]:
    """What a sentence (in lower case, plain quotes) states; of each statement the phrase that is surest."""
    best: dict[Statement, Finding] = {}
    for phrase in PHRASES:
        for match in phrase.pattern.finditer(seen):
            found = _judged(phrase, seen, match)
            if found is None:
                continue
            known = best.get(found.statement)
            if known is None or found.confidence > known.confidence:
                best[found.statement] = found
            break
    if money_in(seen):
        best[Statement.AMOUNT] = Finding(Statement.AMOUNT, "amount", Decimal("0.95"))
    if names_date(seen):
        best[Statement.DATE] = Finding(Statement.DATE, "date", Decimal("0.90"))
    return [best[statement] for statement in Statement if statement in best]


def _judged(phrase: Phrase, seen: str, match: re.Match[str]) -> Finding | None:
    """The finding of a phrase where it stands, None where the context takes it back."""
    before = _clause_before(seen, match.start())
    is_question = seen.rstrip("\"') ").endswith("?")
    is_negated = _NEGATOR.search(before) is not None or _NEGATOR.match(match[0]) is not None
    confidence = Decimal(phrase.confidence)
    if phrase.statement is Statement.DECISION:
        if is_question or _SUPPOSED.search(before) or _NEGATOR.search(before):
            return None
        if not phrase.stands_negated and _NEGATOR.search(match[0].replace("not to", "")):
            return None
    elif phrase.statement is Statement.RISK:
        if is_question or _SUPPOSED_RISK.search(before) or _denied(seen, match, before):
            return None
        if not phrase.stands_negated and _DENIED_INSIDE.search(match[0]):
            return None
        is_negated = False
    elif phrase.statement is Statement.PREFERENCE:
        if (is_question and not _asks_firmly(seen)) or _NO_PREFERENCE.search(f"{before} {match[0]}"):
            return None
        is_negated = is_negated or _AVERSE.search(match[0]) is not None
    elif is_question:
        return None
    if _HEDGE.search(before) or _HEDGE.search(seen[: match.start()][-_WINDOW:]):
        confidence *= HEDGED
    return Finding(
        phrase.statement, phrase.topic, confidence.quantize(Decimal("0.01")), is_negated, phrase.subject_role
    )


def _denied(seen: str, match: re.Match[str], before: str) -> bool:
    """Whether a risk is said not to be, or to be over."""
    after = seen[match.end() : match.end() + _WINDOW]
    if _OVER.search(_CLAUSE.split(after, maxsplit=1)[0]) or _OVER.search(before):
        return True
    return _RISK_DENIED.search(before) is not None and _RISK_DENIED.match(match[0]) is None


def _asks_firmly(seen: str) -> bool:
    """`Could you email instead of calling?` asks, and states a preference."""
    return _REQUEST.search(seen) is not None and _FIRMLY.search(seen) is not None


def _clause_before(seen: str, start: int) -> str:
    """What stands before a phrase in its own clause, the nearest words only."""
    return _CLAUSE.split(seen[max(0, start - 3 * _WINDOW) : start])[-1][-_WINDOW:]
