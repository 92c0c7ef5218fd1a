"""How alike two people's names are: nicknames, initials, titles, word order, typing and hearing errors. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterator
from enum import IntEnum
from functools import cache, lru_cache
from typing import NamedTuple

from nicknames import NickNamer
from rapidfuzz.distance import OSA

from flowledger.clients.folding import fold, latin, sound
from flowledger.clients.normalising import lines_of

MOST_NICKNAMES = 12
_NO_WORD = re.compile(r"[\W\d_]+")
# Digits that scanners take letters for.
_DIGIT_IN_WORD = re.compile(r"(?<=[^\W\d_])\d(?=[^\W_])|(?<=[^\W_])\d(?=[^\W\d_])|\b\d(?=[^\W\d_]{2})")
_MISREAD = {"0": "o", "1": "l", "5": "s", "6": "g", "8": "b"}


class Alike(IntEnum):
    """How two words agree, best last."""

    DIFFERENT = 0
    INITIAL = 1
    TYPO = 2
    SOUND = 3
    NICKNAME = 4
    EQUAL = 5


class NameAgreement(NamedTuple):
    """How two names agree, part by part.

    `is_swapped`: given and family name have changed places. `is_part`: only one of several family names agrees.
    `is_single`: one of the two is a single word, which is compared with whichever part it fits, as `family`.
    """

    given: Alike
    family: Alike
    is_swapped: bool = False
    is_part: bool = False
    is_single: bool = False

    @property
    def is_other_person(self) -> bool:
        """Whether neither part agrees, or the one word that there is fits nothing."""
        return self.family is Alike.DIFFERENT and (self.is_single or self.given is Alike.DIFFERENT)


@lru_cache(maxsize=20_000)
def words_of(name: str) -> tuple[str, ...]:
    """The words of a name, given name first, without titles, degrees and punctuation.

    `Dr. Lee-Smith, Ann M.` → `ann`, `m`, `lee`, `smith`. Never raises; a name of titles alone has no words.
    """
    head, comma, tail = name.partition(",")
    family, given = _plain(head), _plain(tail)
    return given + family if comma and given else family


def compare_names(one: str, other: str) -> NameAgreement | None:
    """How two names agree in the better of both word orders; None when one of them has no word."""
    ours, theirs = words_of(one), words_of(other)
    if not ours or not theirs:
        return None
    if len(ours) == 1 or len(theirs) == 1:
        return _single(ours, theirs)
    straight = _in_order(ours, theirs, is_swapped=False)
    either = (
        _in_order((ours[-1], *ours[:-1]), theirs, is_swapped=True),
        _in_order(ours, (theirs[-1], *theirs[:-1]), is_swapped=True),
    )
    swapped = max(either, key=_rank)
    return swapped if _rank(swapped) > _rank(straight) else straight


def spellings_of(name: str) -> Iterator[str]:
    """The words of a name in order of the alphabet, also with the other given names that it may stand for."""
    words = words_of(name)
    if len(words) < 2:
        return
    yield " ".join(sorted(words))
    if not name.isascii() and (own := sorted(_NO_WORD.sub(" ", fold(name)).split())) != sorted(words):
        # As it is stored when it is stored in the letters of its own language.
        yield " ".join(own)
    if (titled := sorted(_NO_WORD.sub(" ", latin(name)).split())) != sorted(words):
        # As it is stored with its titles.
        yield " ".join(titled)
    for other in sorted(nicknames_of(words[0]))[:MOST_NICKNAMES]:
        yield " ".join(sorted((other, *words[1:])))


def name_of_mailbox(email: str) -> str:
    """The name that an address spells, `ann.lee@` → `ann lee`; nothing for one word, digits or a role's mailbox."""
    local = email.partition("@")[0].partition("+")[0]
    words = [word for word in re.split(r"[._\-\d]+", local) if word]
    return " ".join(words) if len(words) == 2 and not is_role_mailbox(email) else ""


def is_role_mailbox(email: str) -> bool:
    """Whether an address belongs to a function, not to a person: info@, sales@, einkauf@."""
    return re.sub(r"[\d._-]+$", "", email.partition("@")[0].partition("+")[0]) in lines_of("role_mailboxes.txt")


def fits_mailbox(name: str, email: str) -> bool:
    """Whether an address is written after this name by one of the usual patterns, such as `alee@` or `a.lee@`."""
    local = re.sub(r"[^a-z]", "", email.partition("@")[0].partition("+")[0])
    words = words_of(name)
    if len(words) < 2 or len(local) < 3:
        return False
    given, family = words[0], words[-1]
    spelled = (given + family, family + given, given[0] + family, family + given[0], given + family[0], given, family)
    return local in spelled or sound(local) in {sound(each) for each in (*spelled[:2], given, family)}


def compare_words(one: str, other: str) -> Alike:
    """How two folded words agree, nicknames aside."""
    if one == other:
        return Alike.EQUAL
    if len(one) == 1 or len(other) == 1:
        return Alike.INITIAL if one[0] == other[0] else Alike.DIFFERENT
    shorter = min(len(one), len(other))
    if shorter > 2 and sound(one) == sound(other):
        return Alike.SOUND
    slips = 0 if shorter < 3 else 1 if shorter < 8 else 2
    if slips and OSA.distance(one, other, score_cutoff=slips) <= slips:
        return Alike.TYPO
    return Alike.DIFFERENT


@lru_cache(maxsize=50_000)
def _given(one: str, other: str) -> Alike:
    found = compare_words(one, other)
    if found is Alike.EQUAL:
        return found
    if other in nicknames_of(one) or one in nicknames_of(other):
        return Alike.NICKNAME
    return found


@lru_cache(maxsize=10_000)
def nicknames_of(given: str) -> frozenset[str]:
    """Other given names that one person may go by."""
    names = _nicknamer()
    found = names.nicknames_of(given) | names.canonicals_of(given)
    for formal in names.canonicals_of(given):
        found |= names.nicknames_of(formal)
    return frozenset(found | _families_of_nicknames().get(given, frozenset()))


@cache
def _nicknamer() -> NickNamer:
    return NickNamer()


@cache
def _families_of_nicknames() -> dict[str, frozenset[str]]:
    """Our own list: each line the names that stand for each other, in the languages that the library does not have."""
    families: dict[str, frozenset[str]] = {}
    for line in lines_of("nicknames.txt"):
        names = frozenset(latin(line).split())
        for name in names:
            families[name] = families.get(name, frozenset()) | names
    return families


def _plain(text: str) -> tuple[str, ...]:
    readable = _DIGIT_IN_WORD.sub(lambda found: _MISREAD.get(found[0], found[0]), latin(text))
    words = _NO_WORD.sub(" ", readable).split()
    titles = lines_of("name_titles.txt")
    return tuple(word for word in words if word not in titles)


def _in_order(ours: tuple[str, ...], theirs: tuple[str, ...], *, is_swapped: bool) -> NameAgreement:
    given = _given(ours[0], theirs[0])
    family = compare_words(ours[-1], theirs[-1])
    if family is Alike.DIFFERENT and (len(ours) > 2 or len(theirs) > 2):
        part = max(compare_words(a, b) for a in ours[1:] for b in theirs[1:])
        if part > Alike.INITIAL:
            return NameAgreement(given, part, is_swapped, is_part=True)
        glued = compare_words("".join(ours[1:]), "".join(theirs[1:]))
        if glued > Alike.INITIAL:
            return NameAgreement(given, glued, is_swapped)
    return NameAgreement(given, family, is_swapped)


def _single(ours: tuple[str, ...], theirs: tuple[str, ...]) -> NameAgreement:
    best = max(_given(a, b) for a in ours for b in theirs)
    # The one word that both have is all that they have.
    is_all = len(ours) == len(theirs) and best is Alike.EQUAL
    return NameAgreement(Alike.EQUAL if is_all else Alike.DIFFERENT, best, is_single=True)


def _rank(found: NameAgreement) -> tuple[int, int]:
    return min(found.given, found.family), found.given + found.family
