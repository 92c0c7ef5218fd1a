"""What the text of a cell means: moments, amounts, yes and no, in the spellings of several countries."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation
from zoneinfo import ZoneInfo

YES = frozenset({"yes", "y", "true", "t", "1", "x", "ja", "oui", "si", "sí", "wahr", "vrai", "active", "aktiv"})
NO = frozenset({"no", "n", "false", "f", "0", "nein", "non", "falsch", "faux", "inactive", "inaktiv"})

_DAY_FIRST = re.compile(r"(\d{1,2})\.(\d{1,2})\.(\d{4})(?:[ ,T]+(\d{1,2}):(\d{2})(?::(\d{2}))?)?")
_SLASHED = re.compile(r"(\d{1,2})/(\d{1,2})/(\d{4})(?:[ ,T]+(\d{1,2}):(\d{2})(?::(\d{2}))?)?")
_AMOUNT = re.compile(r"[\d.,]+")
_NO_AMOUNT = re.compile(r"[\s\u00a0\u202f'’€$£]|USD|EUR|GBP|CHF", re.IGNORECASE)


class UnreadableCell(ValueError):
    """A cell that does not say what its field needs; the text says how to write it."""


def moment(text: str, zone: str) -> datetime:
    """A point in time: ISO 8601, `31.3.2026 14:05`, or with slashes where only one order is possible.

    What names no zone is of `zone`, what names no time is midnight there. Raises UnreadableCell.
    """
    found = _iso(text) or _by_numbers(text)
    if found is None:
        raise UnreadableCell(f"'{text[:40]}' is no time that is read here; write it as 2026-03-31 14:05.")
    if not 1900 <= found.year <= 2200:
        raise UnreadableCell("The year must lie between 1900 and 2200.")
    return (found if found.tzinfo else found.replace(tzinfo=ZoneInfo(zone))).astimezone(UTC)


def amount(text: str) -> Decimal:
    """A number with or without thousands separators and a decimal point or comma. Raises UnreadableCell.

    A single separator before exactly three digits separates thousands.
    """
    bare = _NO_AMOUNT.sub("", text)
    if not _AMOUNT.fullmatch(bare.removeprefix("-")):
        raise UnreadableCell(f"'{text[:40]}' is no number; write it as 1250000.50.")
    last = max(bare.rfind("."), bare.rfind(","))
    if last >= 0:
        mark, other = bare[last], "," if bare[last] == "." else "."
        is_decimal = other in bare or (bare.count(mark) == 1 and len(bare) - last - 1 != 3)
        whole = bare[:last].replace(".", "").replace(",", "")
        bare = f"{whole or '0'}.{bare[last + 1 :]}" if is_decimal else whole + bare[last + 1 :]
    try:
        return Decimal(bare)
    except InvalidOperation:
        raise UnreadableCell(f"'{text[:40]}' is no number; write it as 1250000.50.") from None


def share(text: str) -> Decimal:
    """A number such as 0.75, also with a comma or in per cent. Raises UnreadableCell."""
    bare = text.strip().replace(",", ".")
    try:
        number = Decimal(bare.removesuffix("%").strip())
    except InvalidOperation:
        raise UnreadableCell(f"'{text[:40]}' is no number; write it as 0.75.") from None
    if not number.is_finite():
        raise UnreadableCell(f"'{text[:40]}' is no number; write it as 0.75.")
    return number / 100 if bare.endswith("%") else number


def yes_or_no(text: str) -> bool:
    """Raises UnreadableCell."""
    word = text.strip().casefold()
    if word in YES or word in NO:
        return word in YES
    raise UnreadableCell(f"'{text[:40]}' is neither yes nor no.")


def number(text: str) -> int:
    """An identifier of a row. Raises UnreadableCell."""
    if not (text.isascii() and text.isdigit() and len(text) < 19 and int(text) > 0):
        raise UnreadableCell(f"'{text[:40]}' is no number of a record.")
    return int(text)


def _iso(text: str) -> datetime | None:
    try:
        return datetime.fromisoformat(
            text.strip().replace("/", "-") if re.match(r"\d{4}/", text.strip()) else text.strip()
        )
    except ValueError:
        return None


def _by_numbers(text: str) -> datetime | None:
    if match := _DAY_FIRST.fullmatch(text.strip()):
        day, month, year, hour, minute, second = (int(part or 0) for part in match.groups())
    elif match := _SLASHED.fullmatch(text.strip()):
        day, month, year, hour, minute, second = (int(part or 0) for part in match.groups())
        if day <= 12 and month <= 12 and day != month:
            raise UnreadableCell(f"'{text[:40]}' may be two days; write it as 2026-03-31.")
        if month > 12:
            day, month = month, day
    else:
        return None
    try:
        return datetime(year, month, day, hour, minute, second)  # noqa: DTZ001  its zone is the caller's
    except ValueError:
        return None
