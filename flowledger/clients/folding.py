"""Words of names in plain small Latin letters, and how they sound. Pure."""

from __future__ import annotations

import re
import unicodedata

# One Latin spelling each, as passports and road signs write them (ICAO 9303, ELOT 743).
_LATIN = str.maketrans(
    {
        **dict(zip("абвгґдезиіїйклмнопрстуфхыэ", "abvggdeziiiyklmnoprstufhye", strict=True)),
        "є": "ie",
        "ж": "zh",
        "ц": "ts",
        "ч": "ch",
        "ш": "sh",
        "щ": "sht",
        "ъ": "a",
        "ь": "",
        "ю": "yu",
        "я": "ya",
        **dict(zip("αβγδεζηικλμνξοπρσςτυφω", "avgdeziiklmnxoprsstyfo", strict=True)),
        "θ": "th",
        "χ": "ch",
        "ψ": "ps",
        "ø": "o",
        "œ": "oe",
        "æ": "ae",
        "ł": "l",
        "đ": "d",
        "ð": "d",
        "þ": "th",
        "ı": "i",
        "ħ": "h",
        **dict.fromkeys("'’ʼ`´", ""),
    }
)
# Spellings of one sound, longest first; what is left of a word is compared, never shown.
_SOUNDS = (
    *(("sch", "s"), ("tch", "s"), ("sh", "s"), ("ch", "s"), ("kh", "h"), ("zh", "s"), ("ph", "f"), ("th", "t")),
    *(("ae", "a"), ("oe", "o"), ("ue", "u"), ("ou", "u"), ("ie", "i"), ("ei", "i"), ("ey", "i"), ("ai", "i")),
    *(("ck", "k"), ("qu", "k"), ("tz", "z"), ("ts", "z"), ("dt", "t"), ("gh", "g"), ("ks", "x"), ("cz", "z")),
    *(("c", "k"), ("q", "k"), ("y", "i"), ("j", "i"), ("w", "v"), ("z", "s"), ("h", "")),
)
_REPEATED = re.compile(r"(.)\1+")


def fold(text: str) -> str:
    """Compatibility forms unified, accents dropped, case folded; repeated because each step can open the next."""
    for _ in range(4):
        decomposed = unicodedata.normalize("NFKD", text).casefold()
        folded = "".join(c for c in unicodedata.normalize("NFKD", decomposed) if not unicodedata.combining(c))
        if folded == text:
            break
        text = folded
    return text


def latin(text: str) -> str:
    """Folded, with Cyrillic and Greek letters and the odd ones of Europe in Latin; other scripts stay."""
    return fold(text).translate(_LATIN)


def sound(word: str) -> str:
    """A rough likeness of how a folded word sounds: words that are written by ear agree in it."""
    for written, heard in _SOUNDS:
        if written in word:
            word = word.replace(written, heard)
    return _REPEATED.sub(r"\1", word)
