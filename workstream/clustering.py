"""Which signals are one buying event: a pure function over their texts, senders and times.

Two signals belong together when they come from the same contact, the same client or the same conversation by email,
lie no further apart than a window, and say nearly the same. Everything that is connected by such pairs is one cluster,
so that neither the order in which signals arrive nor the way in which they are handed over changes what comes out.

Texts are compared without greeting, signature, case, accents and punctuation, by the shingles that they have in common:
runs of five characters, which bear typing mistakes and the endings of any language, and of two where words are not
separated. Shingles are hashed into a fixed number of bits, which makes a comparison one operation on two numbers.
"""

from __future__ import annotations

import re
import unicodedata
import zlib
from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import lru_cache
from typing import Any

ALGORITHM = "hashed shingles"
VERSION = "1"

SHINGLE = 5
DENSE_SHINGLE = 2
BITS = 16_384
# Below so many words only the very same words are the same.
FEW_WORDS = 4
# From so many words on, a text that is contained in a longer one is nearly the same, though not quite.
WORDS_OF_A_PART = 12
LEAST_OF_A_PART = 0.85
WEIGHT_OF_A_PART = 0.9
# A signature is no longer than this; what follows a phrase of farewell and is longer belongs to the message.
WORDS_OF_A_SIGNATURE = 60
LONGEST_TEXT = 5_000
LONGEST_GIST = 90


@dataclass(frozen=True)
class Parameters:
    """How near is near; see the registry's `routing_rule/signal_clusters`."""

    window_days: int
    similarity: float
    same_thread: bool

    @property
    def window(self) -> timedelta:
        return timedelta(days=self.window_days)

    def as_dict(self) -> dict[str, Any]:
        """For keeping with a cluster: also what is fixed in this version of the algorithm."""
        return {
            "window_days": self.window_days,
            "similarity": self.similarity,
            "same_thread": self.same_thread,
            "shingle": SHINGLE,
            "bits": BITS,
        }


@dataclass(frozen=True)
class Features:
    """What of a text is compared."""

    words: tuple[str, ...]
    bits: int
    # How many bits are set, and how many words there are; where none are separated, two characters count as one.
    size: int
    word_count: int


@dataclass(frozen=True)
class Sign:
    """One signal as clustering sees it."""

    pk: int
    ts: datetime
    contact_id: int | None
    client_id: int | None
    cluster_id: int | None
    features: Features
    thread_ids: frozenset[int] = field(default_factory=frozenset)

    def parties(self, *, threads: bool) -> list[tuple[str, int]]:
        """Whom it is from, and the conversations that it is part of."""
        found = [("contact", self.contact_id), ("client", self.client_id)]
        if threads:
            found += [("thread", each) for each in sorted(self.thread_ids)]
        return [(kind, key) for kind, key in found if key is not None]


# --- texts ---

# Written as people write them; compared without case and accents. A word that ends in * takes any ending.
_GREETINGS = """
    dear|hello|hi|hey|good morning|good afternoon|good evening|good day|greetings|to whom it may concern
    sehr geehrte*|guten tag|guten morgen|guten abend|hallo|liebe|lieber|liebes|moin|grüezi|servus
    bonjour|bonsoir|cher|chère|chers|chères|madame|monsieur|salut
    hola|buenos días|buenas tardes|buenas noches|estimado*|estimada*|muy señor*
    olá|bom dia|boa tarde|boa noite|prezado*|prezada*|caro|cara
    ciao|buongiorno|buonasera|salve|gentile*|egregio*|egregia*|spettabile
    beste|geachte*|goedemorgen|goedemiddag|goedenavond|goedendag
    hej|hei|god dag|godmorgen|hyvä*|hyvää päivää
    dzień dobry|szanown*|witam|dobrý den|vážen*|jó napot|tisztelt|bună ziua|stimat*
    здравствуйте|добрый день|уважаем*|привет|добрий день|merhaba|sayın|iyi günler
"""
_FAREWELLS = """
    best regards|kind regards|warm regards|warmest regards|with best regards|with kind regards|regards|sincerely
    yours sincerely|yours faithfully|yours truly|best wishes|all the best|cheers
    mit freundlichen grüßen|mit freundlichem gruß|mit besten grüßen|freundliche grüße|viele grüße|beste grüße
    liebe grüße|schöne grüße|herzliche grüße|mfg|vg|lg
    cordialement|bien cordialement|bien à vous|sincères salutations|meilleures salutations|veuillez agréer
    saludos|un saludo|atentamente|saludos cordiales|un cordial saludo
    atenciosamente|cumprimentos|com os melhores cumprimentos|abraço|abraços
    cordiali saluti|distinti saluti|un cordiale saluto|saluti
    met vriendelijke groet|met vriendelijke groeten|vriendelijke groet|groeten|hoogachtend
    med vänliga hälsningar|vänliga hälsningar|med venlig hilsen|venlig hilsen|med vennlig hilsen|mvh|hilsen
    pozdrawiam|z poważaniem|s pozdravem|üdvözlettel|cu stimă|ystävällisin terveisin
    с уважением|з повагою|saygılarımla
    sent from my|gesendet von|von meinem iphone|envoyé de mon|enviado desde mi|inviato da
"""
# These also begin sentences of the message itself, so they end it only when nothing much stands beside them.
_THANKS = """
    thanks|many thanks|thank you|vielen dank|danke|danke schön|merci|merci d'avance|merci beaucoup
    gracias|muchas gracias|obrigado|obrigada|grazie|grazie mille|bedankt|tack|tak|takk|dziękuję|спасибо
"""
_DENSE_GREETINGS = ("您好", "你好", "こんにちは", "お世話になっております", "안녕하세요", "안녕하십니까")


def _fold(text: str) -> str:
    """Without case, accents and the differences of fonts and widths."""
    folded = unicodedata.normalize("NFKC", text[:LONGEST_TEXT]).casefold()
    return "".join(each for each in unicodedata.normalize("NFD", folded) if not unicodedata.combining(each))


def _phrases(listed: str) -> str:
    """The alternatives of a pattern, longest first so that the whole phrase is taken."""
    phrases = sorted((each.strip() for line in listed.split("\n") for each in line.split("|")), key=len, reverse=True)
    return "|".join(re.escape(_fold(each)).replace(r"\*", r"\w*").replace(r"\ ", r"\s+") for each in phrases if each)


# A greeting with up to six words after it, when a mark or a line's end follows; else the greeting alone.
_GREETING = re.compile(rf"\s*(?:{_phrases(_GREETINGS)})\b(?:(?:[ \t]+[\w.&'’-]+){{0,6}}?[ \t]*[,;:!\n–—]|\s)")
_FAREWELL = re.compile(rf"(?:^|(?<=[.!?,;\n])|(?<=[.!?,;] ))[ \t]*(?:{_phrases(_FAREWELLS)})(?!\w)", re.MULTILINE)
_THANK = re.compile(
    rf"(?:^|(?<=[.!?,;\n])|(?<=[.!?,;] ))[ \t]*(?:{_phrases(_THANKS)})(?!\w)(?:[ \t]+\w+){{0,2}}[ \t]*(?:[,.!\n]|$)",
    re.MULTILINE,
)
_DASHES = re.compile(r"^\s*--\s*$", re.MULTILINE)
_QUOTED = re.compile(r"^\s*>.*$", re.MULTILINE)
_PREFIX = re.compile(r"^(?:\s*(?:re|aw|fwd?|wg|sv|vs|antw|tr|rif|res|enc|odp)\s*(?:\[\d+\])?\s*:)+")
_ADDRESS = re.compile(r"https?://\S+|www\.\S+|[^\s@<>]+@[^\s@<>]+\.\w+")
_WORD = re.compile(r"\w+")
# Scripts that write no spaces between words: kana, Han, Hangul (which does, rarely alike), Thai, Lao, Khmer, Burmese.
_DENSE = re.compile(r"[\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff]")


def words_of(text: str) -> tuple[str, ...]:
    """The words of a message, folded; without greeting, signature, quoted lines, addresses and reply marks.

    A message that is nothing but a greeting keeps its words.
    """
    folded = _fold(text).replace("\r\n", "\n").replace("\r", "\n")
    words = tuple(_WORD.findall(_ADDRESS.sub(" ", _without_farewell(_without_greeting(_QUOTED.sub("", folded))))))
    return words or tuple(_WORD.findall(folded))


def _without_greeting(folded: str) -> str:
    """A message may begin with two: `Hello, Dear Ms Moss,`."""
    text = _PREFIX.sub("", folded)
    for _ in range(2):
        for greeting in _DENSE_GREETINGS:
            text = text.lstrip().removeprefix(_fold(greeting)).lstrip("、。,! \n")
        found = _GREETING.match(text)
        if found is None:
            break
        text = text[found.end() :]
    return text


def _without_farewell(text: str) -> str:
    """Cut at the first phrase that ends the message: some words stand before it, no more than a signature after it."""
    ends = [match.start() for pattern in (_DASHES, _FAREWELL, _THANK) for match in pattern.finditer(text)]
    for end in sorted(ends):
        before, after = text[:end], text[end:]
        if len(_WORD.findall(before)) >= 2 and len(_WORD.findall(after)) <= WORDS_OF_A_SIGNATURE:
            return before
    return text


def features(text: str) -> Features:
    """What of a text is compared; the same for texts that differ in greeting or signature alone."""
    words = words_of(text)
    bits = bytearray(BITS // 8)
    for shingle in _shingles(words):
        place = zlib.crc32(shingle.encode()) % BITS
        bits[place >> 3] |= 1 << (place & 7)
    number = int.from_bytes(bits, "little")
    count = sum(max(1, len(word) // 2) if _DENSE.search(word) else 1 for word in words)
    return Features(words, number, size=number.bit_count(), word_count=count)


@lru_cache(maxsize=4_096)
def remembered_features(text: str) -> Features:
    """`features` of a text that comes again soon: a panel and its list, or signals that arrive one by one."""
    return features(text)


def _shingles(words: Iterable[str]) -> Iterable[str]:
    """Runs of characters across the words; within the word where its script writes no spaces."""
    spaced: list[str] = []
    for word in words:
        if _DENSE.search(word):
            yield from _runs(word, DENSE_SHINGLE)
        else:
            spaced.append(word)
    if spaced:
        yield from _runs(f" {' '.join(spaced)} ", SHINGLE)


def _runs(text: str, length: int) -> Iterable[str]:
    for start in range(max(1, len(text) - length + 1)):
        yield text[start : start + length]


def similarity(one: Features, other: Features) -> float:
    """From 0, nothing in common, to 1, the same words; symmetric. An empty text is like nothing."""
    if not one.words or not other.words:
        return 0.0
    if one.words == other.words:
        return 1.0
    fewest = min(one.word_count, other.word_count)
    if fewest < FEW_WORDS:
        return 1.0 if frozenset(one.words) == frozenset(other.words) else 0.0
    common = (one.bits & other.bits).bit_count()
    likeness = common / (one.size + other.size - common)
    part = common / min(one.size, other.size)
    if fewest >= WORDS_OF_A_PART and part >= LEAST_OF_A_PART:
        likeness = max(likeness, WEIGHT_OF_A_PART * part)
    return round(likeness, 4)


def gist(text: str) -> str:
    """The first sentence that says something, in its own spelling and short enough for a heading."""
    for sentence in re.split(r"(?<=[.!?;])\s+|\n+|(?<=,)\s+", text.strip()):
        said = sentence.strip(" \t,;")
        folded = f"{_fold(said)}\n"
        if said and _WORD.search(_without_greeting(folded)) and not _QUOTED.match(folded):
            return said if len(said) <= LONGEST_GIST else f"{said[:LONGEST_GIST].rsplit(' ', 1)[0]}…"
    return " ".join(text.split())[:LONGEST_GIST]


# --- clusters ---


def related(one: Sign, other: Sign, parameters: Parameters) -> bool:
    """Whether two signals are one buying event by themselves."""
    if abs(one.ts - other.ts) > parameters.window:
        return False
    if parameters.same_thread and one.thread_ids & other.thread_ids:
        return True
    same_contact = one.contact_id is not None and one.contact_id == other.contact_id
    same_client = one.client_id is not None and one.client_id == other.client_id
    return (same_contact or same_client) and similarity(one.features, other.features) >= parameters.similarity


def grouped(signs: Mapping[int, Sign], new: Collection[int], parameters: Parameters) -> list[set[int]]:
    """The groups of two and more that the new signals are in, with those among `signs` that they belong to.

    Signals that share a cluster already are together, whatever brought them there.
    """
    leaders: dict[int, int] = {pk: pk for pk in signs}

    def leader(pk: int) -> int:
        while leaders[pk] != pk:
            leaders[pk] = leaders[leaders[pk]]
            pk = leaders[pk]
        return pk

    by_cluster: dict[int, int] = {}
    by_party: dict[tuple[str, int], list[Sign]] = defaultdict(list)
    for sign in signs.values():
        if sign.cluster_id is not None:
            leaders[leader(sign.pk)] = leader(by_cluster.setdefault(sign.cluster_id, sign.pk))
        for party in sign.parties(threads=parameters.same_thread):
            by_party[party].append(sign)
    for pk in new:
        sign = signs[pk]
        for party in sign.parties(threads=parameters.same_thread):
            for other in by_party[party]:
                # Who is together already need not be compared: most signals of a busy sender are alike.
                if leader(pk) != leader(other.pk) and related(sign, other, parameters):
                    leaders[leader(pk)] = leader(other.pk)
    groups: dict[int, set[int]] = defaultdict(set)
    for pk in signs:
        groups[leader(pk)].add(pk)
    touched = {leader(pk) for pk in new}
    return [members for first, members in sorted(groups.items()) if first in touched and len(members) > 1]
