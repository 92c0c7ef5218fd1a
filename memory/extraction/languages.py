"""Which language a text is in, by its script and its commonest words."""

from __future__ import annotations

import re
from collections import Counter

# What is read to tell, in characters.
SAMPLE = 4_000
# Fewer hits than this decide nothing.
FEWEST = 2

DEFAULT = "en"

_SCRIPTS = (
    ("ja", re.compile("[\u3040-\u30ff]")),
    ("ko", re.compile("[\uac00-\ud7af]")),
    ("zh", re.compile("[\u4e00-\u9fff]")),
    ("uk", re.compile("[іїєґ]")),
    ("ru", re.compile("[\u0400-\u04ff]")),
    ("el", re.compile("[\u0370-\u03ff]")),
    ("ar", re.compile("[\u0600-\u06ff]")),
    ("he", re.compile("[\u0590-\u05ff]")),
    ("th", re.compile("[\u0e00-\u0e7f]")),
    ("hi", re.compile("[\u0900-\u097f]")),
)
# Short words that hardly any other of these languages has; shared ones count for each that has them.
_COMMON = {
    "en": (
        "the and of to is that for with we you not this are have will from they it be our was has he she "
        "at by an but or his her their on please would can about after before who what said asked only "
        "next no call email by"
    ),
    "de": (
        "der die das und ist nicht wir sie ich ein eine mit für auf den dem zu von im bitte haben wird "
        "sind auch noch bei aus nach uns ihr kein keine dass oder aber wenn über zum zur hat"
    ),
    "fr": (
        "le la les et est une des nous vous pas pour dans que qui avec sur ce cette au aux du il elle "
        "sont mais ou merci être avoir par plus je votre notre en"
    ),
    "es": (
        "el la los las y es una de que no por para con se del al lo nos su más pero como está son gracias "
        "muy este esta usted nuestro yo un"
    ),
    "it": (
        "il lo la gli le e è una di che non per con del della si sono ma come più anche questo nostro "
        "grazie abbiamo dei un nel alla"
    ),
    "pt": (
        "o a os as e é uma de que não por para com se do da no na em mais mas como está são obrigado "
        "nosso você um ao pelo"
    ),
    "nl": (
        "de het een en is niet wij we u ik van voor met op te dat zijn er aan om bij ook maar naar hebben "
        "wordt graag deze onze kan geen"
    ),
    "da": ("og er ikke vi det en at til på af med som har jeg kan for der den de du et vil men om blev venlig hilsen"),
    "sv": (
        "och är inte vi det en att till på av med som har jag kan för den de du ett vill men om blev vänlig hälsning"
    ),
    "no": ("og er ikke vi det en å til på av med som har jeg kan for den de du et vil men om ble vennlig hilsen"),
    "fi": ("ja on ei me se että kanssa ovat olen tämä mutta kuin myös voi kun jos meidän teidän kiitos"),
    "pl": ("i jest nie my to że do na z się w dla są o jak ale lub proszę dziękuję czy tak przez po oraz"),
    "cs": ("a je není my to že do na s se v pro jsou o jak ale nebo prosím děkuji být jsme při po"),
}
_WORDS = {language: frozenset(words.split()) for language, words in _COMMON.items()}
_WORD = re.compile(r"[^\W\d_]+")


def detect_language(text: str) -> str:
    """The language of a text as an ISO 639-1 code; `en` where too little stands there to tell."""
    sample = text[:SAMPLE].lower()
    letters = sum(1 for char in sample if char.isalpha())
    for language, script in _SCRIPTS:
        # A name in another script does not make the text one.
        if letters and len(script.findall(sample)) * 10 > letters:
            return language
    counted = Counter(_WORD.findall(sample))
    hits = {language: sum(counted[word] for word in words) for language, words in _WORDS.items()}
    best = max(hits, key=lambda language: (hits[language], language == DEFAULT))
    if hits[best] < FEWEST or hits[best] <= hits[DEFAULT]:
        return DEFAULT
    return best
