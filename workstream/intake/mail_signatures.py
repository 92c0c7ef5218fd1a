"""What a signature says for certain about its writer: one phone number, one company."""

from __future__ import annotations

import re

import phonenumbers

MAX_SIGNATURE = 3_000
_FAX = re.compile(r"\b(?:tele)?fax\b|\bf\s*[:.]", re.IGNORECASE)
_MOBILE = re.compile(
    r"\b(?:mobile?|mobil(?:telefon)?|cell(?:ular)?|handy|móvil|gsm|portable|m)\s*[.:/+(\s]", re.IGNORECASE
)
_DIRECT = re.compile(r"\b(?:direct|durchwahl|ddi|ligne directe|direkt)\b", re.IGNORECASE)
_SEGMENTS = re.compile(r"\s*[|•·–—\t]\s*|\s{3,}")
# The forms that end a company's name and hardly any other line. Longer lists would find companies in sentences.
_COMPANY = re.compile(
    r"^(?P<name>(?=[A-ZÄÖÜÅØÉ0-9])[^@:;?!\"<>]{2,70}?[ ,]\s?"
    r"(?:GmbH(?: ?& ?Co\.? ?KGa?A?)?|gGmbH|mbH|AG|KG|OHG|UG(?: \(haftungsbeschränkt\))?|e\.K\.|SE|Ltd\.?|Limited"
    r"|LLC|L\.L\.C\.|LLP"
    r"|Inc\.?|Incorporated|Corp\.?|Corporation|PLC|plc|Pty\.? Ltd\.?|Pte\.? Ltd\.?|S\.A\.S?\.?|SAS|SARL"
    r"|S\.à r\.l\.|S\.r\.l\.|Srl"
    r"|S\.p\.A\.|SpA|B\.V\.|BV|N\.V\.|AB|ASA?|A/S|ApS|Oyj?|Sp\. z o\.o\.|s\.r\.o\.|a\.s\.|Kft\.?|d\.o\.o\."
    r"|K\.K\.|Ltda\.?|S\.L\.))\.?$"
)


def signature_phone(signature: str, region: str) -> str:
    """The number (E.164) under which the writer is reached, blank when none or several could be meant.

    A number without a country code is of `region`. Fax numbers are left out; of several the only mobile is taken, then
    the only direct line.
    """
    found: dict[str, str] = {}
    for line in signature[:MAX_SIGNATURE].split("\n"):
        for segment in _SEGMENTS.split(line):
            for match in phonenumbers.PhoneNumberMatcher(segment, region or None):
                label = segment[: match.start]
                number = phonenumbers.format_number(match.number, phonenumbers.PhoneNumberFormat.E164)
                if _FAX.search(label):
                    continue
                kind = "mobile" if _MOBILE.search(label) else "direct" if _DIRECT.search(label) else ""
                found[number] = found.get(number) or kind
    if len(found) == 1:
        return next(iter(found))
    for kind in ("mobile", "direct"):
        chosen = [number for number, label in found.items() if label == kind]
        if chosen:
            return chosen[0] if len(chosen) == 1 else ""
    return ""


def signature_company(signature: str) -> str:
    """The company that the signature names with its legal form, blank when none or several are named."""
    names: dict[str, str] = {}
    for line in signature[:MAX_SIGNATURE].split("\n"):
        for segment in _SEGMENTS.split(line.strip()):
            if len(segment) <= 80 and (match := _COMPANY.match(segment.strip(" *,"))):
                name = " ".join(match["name"].split())
                names.setdefault(name.casefold(), name)
    return next(iter(names.values())) if len(names) == 1 else ""
