"""Whether two statements about one subject can both hold."""

from __future__ import annotations

import datetime
import re
from dataclasses import dataclass

from memory.extraction.dates import date_in
from memory.extraction.money import money_in
from memory.extraction.rules import findings
from memory.extraction.types import Certainty, Contradiction, Statement

# What a newer statement says that takes the older one's place.
_CHANGED = re.compile(
    r"\b(?:now|no longer|not any ?more|any ?more|instead|from now on|going forward|has changed|have changed"
    r"|changed (?:to|from|his|her|their)|switched|moved (?:to|from)|increased|raised|cut to|reduced to|lowered"
    r"|dropped to|went up|postponed|pushed (?:back|out)|brought forward|rescheduled|took over|takes over|replaced"
    r"|replaces|successor|new|since|reversed|revoked|withdrew|overturned|after all|updated?|correction)\b"
)
_AVOIDS = re.compile(
    r"\b(?:not|no|never|stop|avoid\w*|hates?|dislikes?|instead of|rather than|over|than|can't stand|cannot stand"
    r"|don't|doesn't|without|no longer|wasn't|isn't|bad|off|sick of)\b[^,;]*$"
)
_VALUES: dict[str, dict[str, re.Pattern[str]]] = {
    "channel": {
        "phone": re.compile(r"\b(?:phone|telephone|call(?:s|ed|ing)?|ring|landline|mobile)\b(?! conference)"),
        "email": re.compile(r"\be-?mail(?:s|ed|ing)?\b"),
        "text": re.compile(r"\b(?:texts?|text messages?|sms|whatsapp)\b"),
        "video": re.compile(r"\b(?:video|teams|zoom)\b"),
        "in person": re.compile(r"\b(?:in person|face[- ]to[- ]face|site visits?|on site)\b"),
    },
    "time": {
        "morning": re.compile(r"\b(?:mornings?|before noon)\b"),
        "afternoon": re.compile(r"\b(?:afternoons?|after lunch)\b"),
        "evening": re.compile(r"\bevenings?\b"),
        **{day: re.compile(rf"\b{day}s?\b") for day in ("monday", "tuesday", "wednesday", "thursday", "friday")},
    },
    "commercial": {
        "yearly": re.compile(r"\b(?:annual(?:ly)?|yearly)\b"),
        "monthly": re.compile(r"\bmonthly\b"),
        "quarterly": re.compile(r"\bquarterly\b"),
    },
}
_MEASURES = {
    "budget": re.compile(r"\bbudget\w*\b|\bspend\b|\bcapex\b"),
    "price": re.compile(r"\b(?:price[ds]?|quoted?|offer(?:ed)?|deal|contract value|worth)\b"),
    "discount": re.compile(r"\bdiscounts?\b"),
}
_OCCASIONS = {
    "go-live": re.compile(r"\bgo(?:es|ing)?[- ]live\b|\blaunch\w*\b|\brollout\b|\broll-out\b"),
    "start": re.compile(r"\b(?:kick-?off|starts?|start date|begins?)\b"),
    "deadline": re.compile(r"\b(?:deadline|due|cut-?off|submission)\b"),
    "decision date": re.compile(r"\bdeci(?:sion|de[sd]?)\b"),
    "contract end": re.compile(
        r"\b(?:contract|agreement|licen[cs]e|subscription) (?:ends?|expires?|runs out|is up)\b|\brenewal\b|\brenews?\b"
    ),
    "delivery": re.compile(r"\bdeliver(?:y|ed|ies)?\b|\bshipp(?:ed|ing)\b"),
}
_FOR = re.compile(
    r"\b(?:approved|accepted|signed|agreed|authori[sz]ed|confirmed|renewed|extended|go(?:ing)? with|chose"
    r"|chosen|selected|green light|go-ahead)\b"
)
_AGAINST = re.compile(
    r"\b(?:rejected|declined|refused|cancell?ed|terminated|turned down|against|dropped|shelved|scrapped|vetoed"
    r"|not to|won't|will not|walked away|withdrew|revoked|not going)\b"
)
_SINGLE_ROLES = frozenset({"decision maker", "signatory", "budget holder", "contact", "position"})
_PROPER = re.compile(r"\b[A-Z][a-zà-ÿ'-]+\b")
_COMMON_WORDS = (
    "the a an we they he she it i our their his her this that these those please client customer budget "
    "price contact after before when since from all no not now as at on in by for with decision agreed "
    "approved signed monday tuesday wednesday thursday friday saturday sunday january february march "
    "april may june july august september october november december zoom teams whatsapp email phone board "
    "legal procurement finance head director manager only never always prefers wants likes new decided "
    "chose everyone both do don't call"
)
_NO_NAMES = frozenset(_COMMON_WORDS.split())
# A leap year's first day: days without a year are compared as they stand.
_ANY_DAY = datetime.date(2028, 1, 1)
_WORDS = re.compile(r"[a-z][a-z-]{3,}")
# Words of a decision that say nothing of what was decided.
_EMPTY_WORDS = (
    "approved accepted signed agreed authorised authorized confirmed renewed extended going chose chosen "
    "selected green light ahead rejected declined refused cancelled canceled terminated turned down "
    "against dropped shelved scrapped vetoed will walked away withdrew revoked they have been that with "
    "from this board client customer after finally today yesterday their decided decision formally "
    "officially"
)
_EMPTY = frozenset(_EMPTY_WORDS.split())


@dataclass(frozen=True)
class Claim:
    """What a statement claims on one slot: values that hold and values that do not, of the people it names."""

    slot: str
    holds: frozenset[str]
    denies: frozenset[str] = frozenset()
    names: frozenset[str] = frozenset()
    is_change: bool = False
    # Several may hold beside each other, unless one of them says otherwise.
    is_single: bool = True


def contradicts(older: str, newer: str) -> Contradiction:
    """Whether the newer of two texts about one subject contradicts the older.

    Sure when it denies what the older one says, or says something else for the same slot and that this has changed;
    unsure when it only says something else. Texts that share no slot never contradict each other.
    """
    return compare(claims_of(older), claims_of(newer))


def claims_of(text: str) -> tuple[Claim, ...]:
    """What a text claims, for `compare`; a text that is compared with many is read once."""
    seen = re.sub(r"\s+", " ", text.replace("’", "'")).lower()
    names = frozenset(
        word.lower().removesuffix("'s")
        for word in _PROPER.findall(text.replace("’", "'"))
        if word.lower() not in _NO_NAMES
    )
    is_change = _CHANGED.search(seen) is not None
    claims: list[Claim] = []
    for finding in findings(seen):
        if finding.statement is Statement.PREFERENCE:
            claims += _preferences(seen, names, is_change)
        elif finding.statement is Statement.DECISION:
            claims += _decisions(seen, is_change)
        elif finding.statement is Statement.AMOUNT:
            claims += _amounts(seen, is_change)
        elif finding.statement is Statement.DATE:
            claims += _dates(seen, is_change)
        elif finding.statement is Statement.ROLE and finding.subject_role and names:
            claims.append(_role(finding.subject_role, names, is_change, is_negated=finding.is_negated))
    return tuple(claims)


def compare(older: tuple[Claim, ...], newer: tuple[Claim, ...]) -> Contradiction:
    """The strongest contradiction between two texts' claims."""
    unsure = Contradiction(Certainty.NONE)
    for before in older:
        for after in newer:
            certainty = _compared(before, after)
            if certainty is Certainty.SURE:
                return Contradiction(certainty, after.slot)
            if certainty is Certainty.UNSURE:
                unsure = Contradiction(certainty, after.slot)
    return unsure


def _compared(older: Claim, newer: Claim) -> Certainty:
    if older.slot != newer.slot or (older.names and newer.names and older.names.isdisjoint(newer.names)):
        return Certainty.NONE
    if not older.holds.isdisjoint(newer.denies) or not older.denies.isdisjoint(newer.holds):
        return Certainty.SURE
    if not older.holds or not newer.holds or not older.holds.isdisjoint(newer.holds):
        return Certainty.NONE
    if newer.is_change:
        return Certainty.SURE
    return Certainty.UNSURE if newer.is_single else Certainty.NONE


def _preferences(seen: str, names: frozenset[str], is_change: bool) -> list[Claim]:
    claims = []
    for slot, values in _VALUES.items():
        holds: set[str] = set()
        denies: set[str] = set()
        for value, pattern in values.items():
            for match in pattern.finditer(seen):
                avoided = _AVOIDS.search(seen[: match.start()].rsplit(",", 1)[-1])
                (denies if avoided else holds).add(value)
        if holds or denies:
            is_single = slot != "time"
            claims.append(
                Claim(slot, frozenset(holds), frozenset(denies - holds), names, is_change, is_single=is_single)
            )
    return claims


def _decisions(seen: str, is_change: bool) -> list[Claim]:
    """For or against; of the same thing when the texts share what was decided on."""
    side = "no" if _AGAINST.search(seen) else "yes" if _FOR.search(seen) else ""
    about = frozenset(word for word in _WORDS.findall(seen) if word not in _EMPTY)
    return [Claim("decision", frozenset({side}), names=about, is_change=is_change)] if side and about else []


def _amounts(seen: str, is_change: bool) -> list[Claim]:
    amounts = money_in(seen)
    measure = next((name for name, pattern in _MEASURES.items() if pattern.search(seen)), "")
    if len(amounts) != 1 or not measure:
        return []
    return [Claim(measure, frozenset({f"{amounts[0].value.normalize():f}"}), is_change=is_change)]


def _dates(seen: str, is_change: bool) -> list[Claim]:
    day = date_in(seen, written_on=_ANY_DAY)
    occasion = next((name for name, pattern in _OCCASIONS.items() if pattern.search(seen)), "")
    return [Claim(occasion, frozenset({day.isoformat()}), is_change=is_change)] if day and occasion else []


def _role(role: str, names: frozenset[str], is_change: bool, *, is_negated: bool) -> Claim:
    if is_negated:
        return Claim(f"role: {role}", frozenset(), names, is_change=is_change)
    return Claim(f"role: {role}", names, is_change=is_change, is_single=role in _SINGLE_ROLES)
