"""Amounts of money as people write them."""

from __future__ import annotations

import re
from decimal import Decimal, InvalidOperation

from memory.extraction.types import Money

_SYMBOLS = {"€": "EUR", "$": "USD", "£": "GBP", "¥": "JPY", "₹": "INR", "us$": "USD", "a$": "AUD", "c$": "CAD"}
_WORDS = {
    "euro": "EUR",
    "euros": "EUR",
    "dollar": "USD",
    "dollars": "USD",
    "bucks": "USD",
    "pounds": "GBP",
    "quid": "GBP",
    "francs": "CHF",
    "kroner": "",
    "kronor": "SEK",
}
_CODES = "eur|usd|gbp|chf|sek|nok|dkk|jpy|cad|aud|nzd|inr|pln|czk|aed|sgd"
_SCALES = {"k": 3, "thousand": 3, "grand": 3, "m": 6, "mn": 6, "mio": 6, "million": 6, "bn": 9, "billion": 9}

_SYMBOL = r"(?P<symbol>(?:us|a|c)?\$|[€£¥₹])"
_NUMBER = r"(?P<number>\d{1,3}(?:[.,' ]\d{3})+(?:[.,]\d{1,2})?|\d+(?:[.,]\d{1,2})?)"
_SCALE = r"(?:\s?(?P<scale>k|m|mn|mio|bn|thousand|grand|million|billion)\b)?"
_PATTERNS = (
    re.compile(rf"(?<![\w]){_SYMBOL}\s?{_NUMBER}{_SCALE}"),
    re.compile(rf"\b(?P<code>{_CODES})\s?{_NUMBER}{_SCALE}"),
    re.compile(rf"(?<![\w.,]){_NUMBER}{_SCALE}\s?(?P<symbol>[€£$])(?!\d)"),
    re.compile(rf"(?<![\w.,]){_NUMBER}{_SCALE}\s?(?P<word>{_CODES}|{'|'.join(_WORDS)})\b"),
)
# A number with a scale is money only where the sentence speaks of money.
_BARE = re.compile(r"(?<![\w.,$€£])(?P<number>\d+(?:[.,]\d{1,3})?)\s?(?P<scale>k|grand|m|million|thousand)\b")
_PLAIN = re.compile(r"(?<![\w.,$€£-])(?P<number>\d{1,3}(?:[,.']\d{3})+|\d{4,7})(?![\w%]|[.,-]\d)")
_OF_MONEY = re.compile(
    r"\b(?:budget\w*|price[ds]?|pricing|cost(?:s|ed|ing)?|spend(?:s|ing)?|spent|fees?|invoices?d?|quot(?:e|ed"
    r"|es|ation)|offer(?:ed)?"
    r"|deal (?:size|value)|worth|acv|arr|mrr|tcv|capex|opex|revenue|ceiling|threshold|cap(?:ped)?|discount"
    r"|pay(?:s|ing|ment)?"
    r"|paid|savings?|saves?|per (?:month|year|seat|user|unit|site)|a (?:month|year|seat|user)|annually|po"
    r"|purchase order)\b"
)
# What is counted is no money: `12k meters`, `200 thousand units`.
_COUNTED = re.compile(
    r"\s+(?:(?:active|new|monthly|daily|registered)\s+)?(?:units?|users?|meters?|metres?|sensors?|pieces|items"
    r"|records|rows|employees"
    r"|people|visitors|litres?|liters?|tons?|tonnes|hours?|miles|km|kg|rpm|calls|emails|customers|devices"
    r"|seats|staff)\b"
)


def money_in(seen: str) -> list[Money]:
    """The amounts that a sentence (in lower case) names, in order."""
    found: dict[int, tuple[int, Money]] = {}
    for pattern in _PATTERNS:
        for match in pattern.finditer(seen):
            _note(found, match, _currency(match))
    if _OF_MONEY.search(seen):
        for pattern in (_BARE, _PLAIN):
            for match in pattern.finditer(seen):
                if not _COUNTED.match(seen, match.end()) and not _is_year(seen, match):
                    _note(found, match, "")
    return [money for _, (_, money) in sorted(found.items())]


def _note(found: dict[int, tuple[int, Money]], match: re.Match[str], currency: str) -> None:
    if any(start < match.end() and match.start() < end for start, (end, _) in found.items()):
        return
    value = _value(match["number"], match.groupdict().get("scale"))
    if value is not None:
        found[match.start()] = (match.end(), Money(value, currency))


def _is_year(seen: str, match: re.Match[str]) -> bool:
    number = match["number"]
    return number.isdigit() and len(number) == 4 and 1900 <= int(number) <= 2100


def _currency(match: re.Match[str]) -> str:
    groups = match.groupdict()
    if symbol := groups.get("symbol"):
        return _SYMBOLS[symbol]
    word = groups.get("code") or groups.get("word") or ""
    return _WORDS.get(word, word.upper())


def _value(number: str, scale: str | None) -> Decimal | None:
    """`1.200,50` and `1,200.50` are the same; three digits behind one mark are thousands, fewer are decimals."""
    plain = number.replace("'", "").replace(" ", "")
    last = max(plain.rfind("."), plain.rfind(","))
    if last >= 0:
        behind = len(plain) - last - 1
        whole = re.sub(r"[.,]", "", plain[:last])
        plain = f"{whole}{plain[last + 1 :]}" if behind == 3 and not scale else f"{whole}.{plain[last + 1 :]}"
    try:
        return Decimal(plain).scaleb(_SCALES.get(scale or "", 0))
    except InvalidOperation:
        return None
