"""The one validation of signal fields that come from a channel: what a signal may say, and how long it may be.

`read_fields` holds to the limits of the REST representation and refuses the rest, every field for itself.
`read_parsed_fields` is for channels that read the fields out of something else (an email, a form in a page): it cuts
long texts at a word and leaves out what is blank, because nobody on the other side could mend them.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields
from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation
from typing import Any

from django.utils.dateparse import parse_datetime

from flowledger.api import strict_json
from workstream.models.signals import SourceType

# The longest text of each field, in characters; the columns of the model hold as many.
TEXT_LIMITS: Mapping[str, int] = {
    "source_ref": 255,
    "snippet": 1000,
    "problem_phrase": 300,
    "solution_hint": 300,
    "contact_email": 254,
    "contact_phone": 60,
    "contact_name": 200,
    "company_name": 200,
    "company_domain": 253,
    "dedupe_key": 250,
    "contact_ref": 255,
}
# Texts that are cut rather than refused by `read_parsed_fields`: half an address would be another address.
CUTTABLE = frozenset({"snippet", "problem_phrase", "solution_hint", "contact_name", "company_name"})
FIELD_NAMES: tuple[str, ...] = (
    "source_type",
    "source_ref",
    "ts",
    "snippet",
    "problem_phrase",
    "solution_hint",
    "urgency_score",
    "contact_email",
    "contact_phone",
    "contact_name",
    "company_name",
    "company_domain",
    "attributes",
    "owner_user_id",
    "dedupe_key",
    "contact_ref",
)
EARLIEST_YEAR, LATEST_YEAR = 1900, 2200
MAX_ID = 2**63 - 1
# An urgency has two decimal places at most, and DRF reads no longer number.
MAX_NUMBER_TEXT = 1000


class FieldErrors(ValueError):
    """What is wrong with the fields: `{field: [sentences]}`, and what could be read of the others, as JSON."""

    def __init__(self, errors: Mapping[str, list[str]], *, readable: Mapping[str, Any] | None = None) -> None:
        self.errors = {name: list(sentences) for name, sentences in errors.items()}
        self.readable = dict(readable or {})
        super().__init__(self.sentence)

    @property
    def sentence(self) -> str:
        """One sentence that already says what is wrong."""
        name, sentences = next(iter(self.errors.items()))
        more = f" (and {len(self.errors) - 1} more)" if len(self.errors) > 1 else ""
        return f"{name}: {sentences[0]}{more}"


@dataclass(frozen=True)
class SignalFields:
    """The fields of one signal, valid but for what the database knows (whether the owner is a member).

    Without `ts` it happened when it was received. `contact_ref` is the source system's identifier of the person or
    company; `dedupe_key` counts where there is no `source_ref`.
    """

    source_type: str
    source_ref: str = ""
    ts: datetime | None = None
    snippet: str = ""
    problem_phrase: str = ""
    solution_hint: str = ""
    urgency_score: Decimal | None = None
    contact_email: str = ""
    contact_phone: str = ""
    contact_name: str = ""
    company_name: str = ""
    company_domain: str = ""
    attributes: Mapping[str, Any] = field(default_factory=dict)
    owner_user_id: int | None = None
    dedupe_key: str = ""
    contact_ref: str = ""

    @property
    def natural_key(self) -> str | None:
        """What makes two deliveries the same signal; None where nothing does."""
        return natural_key(source_type=self.source_type, source_ref=self.source_ref, dedupe_key=self.dedupe_key)

    def columns(self, *, at: datetime) -> dict[str, Any]:
        """The columns of the signal's row; `at` is when it was received."""
        values = {each.name: getattr(self, each.name) for each in fields(self)}
        values["ts"] = self.ts or at
        values["attributes"] = dict(self.attributes)
        values["owner_id"] = values.pop("owner_user_id")
        del values["dedupe_key"], values["contact_ref"]
        return {**values, "dedupe_key": self.natural_key}

    def as_json(self) -> dict[str, Any]:
        """What was given, as JSON values that `read_fields` reads again."""
        given = {each.name: getattr(self, each.name) for each in fields(self)}
        return {name: _as_json(value) for name, value in given.items() if value not in ("", None, {})}


def natural_key(*, source_type: str, source_ref: str, dedupe_key: str) -> str | None:
    """Source type and reference, else the caller's key, else none (pipeline.md, Signal)."""
    if source_ref:
        return f"{source_type}:{source_ref}"
    return dedupe_key or None


def read_fields(raw: Mapping[str, Any], *, default_source_type: str = "") -> SignalFields:
    """Read fields as strictly as the REST representation: unknown names, wrong kinds and long texts are refused.

    `default_source_type` is taken where the fields name none; without it `source_type` is required. Raises FieldErrors
    with a sentence for every field that is to blame.
    """
    values: dict[str, Any] = {}
    errors: dict[str, list[str]] = {}
    for name, given in raw.items():
        if name == "org_id":
            continue  # the door compares it with its own organisation
        read = _READERS.get(name)
        if read is None:
            errors[_printable(name)] = ["Unknown field."]
            continue
        try:
            values[name] = read(given)
        except _Refused as refusal:
            errors[name] = [str(refusal)]
    if "source_type" not in values and "source_type" not in errors:
        if default_source_type:
            values["source_type"] = default_source_type
        else:
            errors["source_type"] = ["This field is required."]
    if errors:
        raise FieldErrors(errors, readable={name: _as_json(value) for name, value in values.items()})
    return SignalFields(**values)


def read_parsed_fields(raw: Mapping[str, Any], *, default_source_type: str) -> SignalFields:
    """Read fields that the application itself took out of a message: blank ones are left out, long texts are cut.

    Half characters and NUL are removed from texts. What cannot be mended so (a time, a number, an unknown name) is
    refused as by `read_fields`.
    """
    mended: dict[str, Any] = {}
    for name, given in raw.items():
        if given is None or given == "":
            continue
        value = clean_text(given) if isinstance(given, str) else given
        if isinstance(value, str) and name in CUTTABLE:
            value = cut(value, TEXT_LIMITS[name])
        mended[name] = value
    return read_fields(mended, default_source_type=default_source_type)


def readable_fields(body: bytes) -> dict[str, Any]:
    """What is of use in a body that was refused: the signal fields of its JSON object, if it is one."""
    try:
        value = strict_json.read(body)
    except strict_json.Unusable:
        return {}
    return {name: value[name] for name in value if name in FIELD_NAMES} if isinstance(value, dict) else {}


def clean_text(text: str) -> str:
    """The text without what PostgreSQL cannot store: NUL characters and halves of surrogate pairs."""
    return (
        text.replace("\x00", "").encode("utf-8", "replace").decode() if not text.isascii() else text.replace("\x00", "")
    )


def cut(text: str, limit: int) -> str:
    """The text in at most `limit` characters, cut between words where there is a gap, with an ellipsis."""
    text = text.strip()
    if len(text) <= limit:
        return text
    head = text[: limit - 1]
    words, gap, _ = head.rpartition(" ")
    return f"{(words if gap and len(words) > limit // 2 else head).rstrip()}…"


class _Refused(ValueError):
    """One sentence about one field."""


def _text(limit: int) -> Callable[[Any], str]:
    def read(given: Any) -> str:
        if given is None:
            raise _Refused("This field may not be null.")
        if isinstance(given, bool) or not isinstance(given, str | int | float):
            raise _Refused("Not a valid string.")
        text = str(given).strip()
        if len(text) > limit:
            raise _Refused(f"Ensure this field has no more than {limit} characters.")
        if "\x00" in text:
            raise _Refused("Null characters are not allowed.")
        if not text.isascii():
            try:
                text.encode()
            except UnicodeEncodeError:
                raise _Refused("Half of a surrogate pair is no character.") from None
        return text

    return read


def _optional(read: Callable[[Any], str]) -> Callable[[Any], str]:
    return lambda given: "" if given is None else read(given)


def _source_type(given: Any) -> str:
    if given is None:
        raise _Refused("This field may not be null.")
    if not isinstance(given, str) or given not in SourceType.values:
        raise _Refused(f'"{_printable(given)}" is not a valid choice; choose from: {", ".join(SourceType.values)}.')
    return given


def _instant(given: Any) -> datetime:
    if given is None:
        raise _Refused("This field may not be null.")
    if isinstance(given, datetime):
        moment: datetime | None = given
    else:
        try:
            moment = parse_datetime(given)
        except (ValueError, TypeError):
            moment = None
    if moment is None:
        raise _Refused("Write the time as ISO 8601, for example 2026-03-01T09:30:00Z.")
    try:
        moment = moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
    except OverflowError:
        raise _Refused("This time is beyond the calendar.") from None
    if not EARLIEST_YEAR <= moment.year <= LATEST_YEAR:
        raise _Refused(f"The year must lie between {EARLIEST_YEAR} and {LATEST_YEAR}.")
    return moment


def _urgency(given: Any) -> Decimal | None:
    if given is None:
        return None
    text = str(given).strip()
    if isinstance(given, bool) or not isinstance(given, str | int | float | Decimal) or len(text) > MAX_NUMBER_TEXT:
        raise _Refused("A valid number is required.")
    if isinstance(given, str) and not text:
        return None
    try:
        number = Decimal(text)
    except InvalidOperation:
        raise _Refused("A valid number is required.") from None
    if not number.is_finite():
        raise _Refused("A valid number is required.")
    if not 0 <= number <= 1:
        raise _Refused("Ensure this value lies between 0 and 1.")
    if -int(number.as_tuple().exponent) > 2:
        raise _Refused("Ensure that there are no more than 2 decimal places.")
    return number.quantize(Decimal("0.01"))


def _attributes(given: Any) -> dict[str, Any]:
    if not isinstance(given, Mapping):
        raise _Refused("This is a JSON object.")
    try:
        strict_json.require_storable(given)
    except strict_json.Unusable as error:
        raise _Refused(str(error)) from None
    return dict(given)


def _identifier(given: Any) -> int | None:
    if given is None:
        return None
    if isinstance(given, str) and given.isascii() and given.isdigit() and len(given) <= 19:
        given = int(given)
    if isinstance(given, bool) or not isinstance(given, int):
        raise _Refused("An identifier is a whole number.")
    if not 1 <= given <= MAX_ID:
        raise _Refused(f"There is no member {given if abs(given) <= MAX_ID else 'of this number'}.")
    return given


def _printable(value: Any) -> str:
    return clean_text(str(value))[:60]


def _as_json(value: Any) -> Any:
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, Decimal):
        return float(value) if math.isfinite(value) else None
    return value


_READERS: Mapping[str, Callable[[Any], Any]] = {
    **{name: _text(limit) for name, limit in TEXT_LIMITS.items()},
    "dedupe_key": _optional(_text(TEXT_LIMITS["dedupe_key"])),
    "source_type": _source_type,
    "ts": _instant,
    "urgency_score": _urgency,
    "attributes": _attributes,
    "owner_user_id": _identifier,
}
