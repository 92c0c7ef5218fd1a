"""How alike two companies' names are: abbreviations, initials, noise around a name, typing and hearing errors. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from enum import IntEnum
from functools import cache, lru_cache

from rapidfuzz.distance import OSA

from flowledger.clients.folding import latin, sound
from flowledger.clients.normalising import company_name_key, lines_of
from flowledger.clients.person_names import Alike, compare_words

# Words that join others and say nothing.
_JOINTS = frozenset(
    [
        "a",
        "and",
        "und",
        "et",
        "y",
        "e",
        "i",
        "en",
        "og",
        "och",
        "und",
        "the",
        "der",
        "die",
        "das",
        "le",
        "la",
        "les",
        "el",
        "los",
        "of",
        "for",
        "fur",
        "de",
        "del",
        "della",
        "di",
    ]
)


class NamesAgree(IntEnum):
    """How two companies' names agree, best last."""

    DIFFERENT = 0
    INITIALS = 1  # One is made of the first letters of the other.
    SHORTENED = 2  # One lacks words that tell companies apart: Müller, Müller Logistik.
    NOISE = 3  # One has a place, a department or a group around it.
    MISSPELLED = 4
    HEARD = 5
    ABBREVIATED = 6
    REORDERED = 7
    EQUAL = 8


@lru_cache(maxsize=20_000)
def words_of(name: str) -> tuple[str, ...]:
    """The words of a company's name without its legal form, joints dropped and usual abbreviations written out."""
    words = (company_name_key(name) or "").split()
    longer = _abbreviations()
    plain = _without_forms(words)
    kept = tuple(longer.get(word, word) for word in plain if word not in _JOINTS)
    return kept or tuple(words)


def _without_forms(words: list[str]) -> list[str]:
    """Legal forms in the middle go, too, when something stands behind them: `acme gmbh einkauf`, `acme ltd leeds`."""
    forms = lines_of("legal_forms.txt")
    for length in (3, 2, 1):
        for place in range(1, len(words) - length):
            form = " ".join(words[place : place + length])
            if len(form) > 1 and form in forms:
                return _without_forms([*words[:place], *words[place + length :]])
    return words


@lru_cache(maxsize=50_000)
def compare_companies(one: str, other: str) -> NamesAgree | None:
    """How two companies' names agree; None when one of them has no word."""
    ours, theirs = words_of(one), words_of(other)
    if not ours or not theirs:
        return None
    if ours == theirs or "".join(ours) == "".join(theirs):
        return NamesAgree.EQUAL
    if sorted(ours) == sorted(theirs):
        return NamesAgree.REORDERED
    if (len(ours) == 1 and ours[0] == _initials(theirs)) or (len(theirs) == 1 and theirs[0] == _initials(ours)):
        return NamesAgree.INITIALS
    by_words = _by_words(list(ours), list(theirs))
    if by_words is NamesAgree.DIFFERENT and _is_slip("".join(ours), "".join(theirs)):
        return NamesAgree.MISSPELLED
    return by_words


def _is_slip(one: str, other: str) -> bool:
    """Whether two names without their spaces differ by two letters at most, if they are long."""
    return min(len(one), len(other)) >= 10 and OSA.distance(one, other, score_cutoff=2) <= 2


def names_a_country(name: str, other: str) -> bool:
    """Whether one name has the word of a country that the other has not, as a subsidiary's has."""
    return any(word in lines_of("country_words.txt") for word in {*words_of(name)} ^ {*words_of(other)})


_BETWEEN_WORDS = str.maketrans(",&+-", "    ")


@lru_cache(maxsize=20_000)
def place_of(name: str, country: str) -> str:
    """Where a company is: its country, else those where its legal form is in use; blank where it may be anywhere."""
    if country:
        return country
    words = latin(name).replace(".", "").translate(_BETWEEN_WORDS).split()
    forms = ("-".join(words[-length:]) for length in (3, 2, 1) if len(words) > length)
    return next((place for form in forms if (place := _form_places().get(form))), "")


def are_apart(place: str, other: str) -> bool:
    """Whether two places, as `place_of` says them, have no country in common."""
    return bool(place and other) and set(place.split()).isdisjoint(other.split())


def are_kin(one: str, other: str) -> bool:
    """Whether two names begin with the same telling word, as those of one group do."""
    ours, theirs = words_of(one), words_of(other)
    return bool(ours and theirs) and len(ours[0]) > 2 and compare_words(ours[0], theirs[0]) > Alike.TYPO


def is_telling(word: str) -> bool:
    """Whether a word distinguishes companies: neither a trade that many share nor a place or department."""
    return len(word) > 1 and word not in lines_of("company_trades.txt") and not _is_noise(word)


def _by_words(ours: list[str], theirs: list[str]) -> NamesAgree:
    worst, told = NamesAgree.EQUAL, False
    for word in list(ours):
        level, partner = max(((_words_agree(word, each), each) for each in theirs), default=(NamesAgree.DIFFERENT, ""))
        if level is NamesAgree.DIFFERENT:
            continue
        ours.remove(word)
        theirs.remove(partner)
        worst, told = min(worst, level), told or is_telling(word) or is_telling(partner)
    if not ours and not theirs:
        return worst
    if not told or (ours and theirs and not (_all_noise(ours) and _all_noise(theirs))):
        glued = _words_agree("".join(ours), "".join(theirs)) if ours and theirs else NamesAgree.DIFFERENT
        return min(worst, glued) if told or glued is not NamesAgree.DIFFERENT else NamesAgree.DIFFERENT
    if _all_noise(ours) and _all_noise(theirs):
        return min(worst, NamesAgree.NOISE)
    return NamesAgree.SHORTENED


@lru_cache(maxsize=100_000)
def _words_agree(one: str, other: str) -> NamesAgree:
    if one == other:
        return NamesAgree.EQUAL
    short, long = sorted((one, other), key=len)
    if len(short) >= 3 and len(long) >= 6 and long.startswith(short) and not is_telling(long):
        return NamesAgree.ABBREVIATED
    if len(short) >= 4 and sound(one) == sound(other):
        return NamesAgree.HEARD
    slips = 0 if len(short) < 4 else 1 if len(short) < 9 else 2
    if slips and OSA.distance(one, other, score_cutoff=slips) <= slips:
        return NamesAgree.MISSPELLED
    return NamesAgree.DIFFERENT


def _initials(words: tuple[str, ...]) -> str:
    return "".join(word[0] for word in words) if len(words) > 1 else ""


def _all_noise(words: Iterable[str]) -> bool:
    return all(_is_noise(word) for word in words)


def _is_noise(word: str) -> bool:
    return word in lines_of("company_noise.txt") or word.isdigit()


@cache
def _abbreviations() -> dict[str, str]:
    """What each line of our list writes out: `intl international`."""
    return dict(line.split() for line in lines_of("company_abbreviations.txt"))


@cache
def _form_places() -> dict[str, str]:
    """The countries on each line of our list: `sro CZ SK`."""
    lines = (line.partition(" ") for line in lines_of("legal_form_countries.txt"))
    return {form: countries for form, _, countries in lines}
