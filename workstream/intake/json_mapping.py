"""From somebody else's JSON to signal fields: JSONPath (RFC 9535) and a few transforms, kept as data."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import lru_cache
from itertools import islice
from typing import Annotated, Any, Literal, Self

from jsonpath import JSONPathEnvironment, JSONPathError
from pydantic import (
    AfterValidator,
    Field,
    SerializerFunctionWrapHandler,
    StringConstraints,
    model_serializer,
    model_validator,
)

from flowledger.configuration.registry import Rule
from workstream.intake.fields import FIELD_NAMES

# What the source itself decides, or what has a notation of its own here.
_NO_TARGETS = {"source_type", "attributes", "owner_user_id", "dedupe_key", "contact_ref"}
SIGNAL_TARGETS = tuple(name for name in FIELD_NAMES if name not in _NO_TARGETS)
ATTRIBUTE = "attributes."
MOST_ITEMS = 500
MOST_VALUES = 50
# Selectors that multiply: each may visit every node. A path of ours stays linear in the size of the delivery.
MOST_SELECTORS = 4


class _Environment(JSONPathEnvironment):
    """RFC 9535 without its regular expressions, whose cost a sender could drive up."""

    def setup_function_extensions(self) -> None:
        super().setup_function_extensions()
        for name in ("match", "search"):
            self.function_extensions.pop(name, None)


_environment = _Environment(strict=True)


class Unmapped(Exception):
    """The mapping found nothing that it could use; the sentence says what."""


def require_path(text: str) -> str:
    """The path as it is kept: `lead.email` becomes `$.lead.email`. Raises ValueError for what is no JSONPath."""
    path = text.strip()
    if not path.startswith("$"):
        path = f"${path}" if path.startswith("[") else f"$.{path}"
    if path.count("..") > 1 or path.count("$") > 1 or sum(path.count(each) for each in "*,?") > MOST_SELECTORS:
        raise ValueError(f"'{text}' looks in too many places at once; name the way to the value more exactly")
    try:
        _compiled(path)
    except (JSONPathError, RecursionError, ValueError) as error:
        reason = str(error).splitlines()[0] if str(error) else "it cannot be read"
        raise ValueError(f"'{text}' is no JSONPath: {reason[:150]}") from None
    return path


def _require_date_format(text: str) -> str:
    if text in {"", "iso", "unix", "unix_ms"}:
        return text
    sample = datetime(2026, 3, 2, 9, 30, tzinfo=UTC)
    try:
        datetime.strptime(sample.strftime(text), text)  # noqa: DTZ007  whether it can be read back
    except (ValueError, UnicodeError):
        raise ValueError(
            f"'{text}' is no date format; write iso, unix, unix_ms or for example %d.%m.%Y %H:%M"
        ) from None
    if "%" not in text:
        raise ValueError(f"'{text}' is no date format; write iso, unix, unix_ms or for example %d.%m.%Y %H:%M")
    return text


Path = Annotated[str, StringConstraints(min_length=1, max_length=200), AfterValidator(require_path)]
OptionalPath = Annotated[
    str, StringConstraints(max_length=200), AfterValidator(lambda text: require_path(text) if text else "")
]
Constant = Annotated[str, StringConstraints(max_length=1_000, pattern=r"^[^\x00]*$")]


class FieldRule(Rule):
    """Where the value of one field comes from.

    A constant, or what the paths find, without space around it: all of it joined, or with the transform `first` only
    what is found first. `default` stands in where nothing is found. Paths look into the item, with `of: delivery` into
    the whole delivery.
    """

    paths: Annotated[tuple[Path, ...], Field(max_length=10)] = ()
    of: Literal["item", "delivery"] = "item"
    constant: Constant = ""
    join: Annotated[str, StringConstraints(max_length=20, pattern=r"^[^\x00]*$")] = " "
    transforms: Annotated[
        tuple[Literal["trim", "lower", "upper", "first", "last", "domain"], ...], Field(max_length=6)
    ] = ()
    date_format: Annotated[str, StringConstraints(max_length=60), AfterValidator(_require_date_format)] = ""
    default: Constant = ""

    @model_validator(mode="after")
    def _has_one_origin(self) -> Self:
        if bool(self.paths) == bool(self.constant):
            raise ValueError("Give either paths or a constant")
        return self

    @model_serializer(mode="wrap")
    def _without_defaults(self, dump: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """What says nothing is left out, so that people can read the mapping."""
        usual = {name: each.default for name, each in type(self).model_fields.items()}
        return {name: value for name, value in dump(self).items() if getattr(self, name) != usual[name]}


def _known_target(name: str) -> str:
    if name in SIGNAL_TARGETS:
        return name
    rest = name.removeprefix(ATTRIBUTE)
    if name.startswith(ATTRIBUTE) and rest.isprintable() and 1 <= len(rest.strip()) <= 60:
        return name
    raise ValueError(f"A signal has no field '{name}'; choose from {', '.join(SIGNAL_TARGETS)}, attributes.<name>")


Target = Annotated[str, AfterValidator(_known_target)]


def _same_names() -> dict[str, FieldRule]:
    return {name: FieldRule(paths=(f"$.{name}",)) for name in SIGNAL_TARGETS}


class FieldMapping(Rule):
    """How one delivery becomes signals: where its items are, and a rule per field.

    Without rules, members of an item that are called like the fields of a signal are taken.
    """

    items: Path = "$"
    fields: Annotated[dict[Target, FieldRule], Field(min_length=1, max_length=60)] = Field(default_factory=_same_names)


@dataclass(frozen=True)
class Mapped:
    """One item as signal fields; `errors` by field are what the mapping could not make sense of."""

    item: Any
    fields: dict[str, Any] = field(default_factory=dict)
    errors: dict[str, list[str]] = field(default_factory=dict)


def map_delivery(mapping: FieldMapping, delivery: Any) -> list[Mapped]:
    """Every item of a delivery. Raises Unmapped where there is none, or more than MOST_ITEMS."""
    items = find(mapping.items, delivery, limit=MOST_ITEMS + 1)
    if len(items) == 1 and isinstance(items[0], list):
        items = items[0]
    if not items:
        raise Unmapped(f"Nothing is found at {mapping.items}, where the mapping looks for items.")
    if len(items) > MOST_ITEMS:
        raise Unmapped(f"The delivery has more than {MOST_ITEMS:,} items; ask the sender for smaller ones.")
    return [_map_item(mapping, item, delivery) for item in items]


def find(path: str, document: Any, *, limit: int = MOST_VALUES) -> list[Any]:
    """The first values at a path, in their order; none where the document is shaped otherwise. Raises Unmapped."""
    try:
        return [match.obj for match in islice(_compiled(path).finditer(document), limit)]
    except (JSONPathError, RecursionError):
        raise Unmapped(f"{path} cannot be followed through this delivery.") from None


@lru_cache(maxsize=2_000)
def _compiled(path: str) -> Any:
    return _environment.compile(path)


def _map_item(mapping: FieldMapping, item: Any, delivery: Any) -> Mapped:
    mapped = Mapped(item)
    for target, rule in mapping.fields.items():
        try:
            value = _value_of(rule, item if rule.of == "item" else delivery, keep=target.startswith(ATTRIBUTE))
        except (Unmapped, ValueError) as refusal:
            mapped.errors[target] = [str(refusal)]
            continue
        if value in (None, ""):
            continue
        if target.startswith(ATTRIBUTE):
            mapped.fields.setdefault("attributes", {})[target.removeprefix(ATTRIBUTE)] = value
        else:
            mapped.fields[target] = value
    return mapped


def _value_of(rule: FieldRule, document: Any, *, keep: bool) -> Any:
    """The value of a field; `keep` lets objects and lists through as they are."""
    if rule.constant:
        return rule.constant
    found = [value for path in rule.paths for value in find(path, document) if value not in (None, "", [], {})]
    if "first" in rule.transforms:
        found = found[:1]
    elif "last" in rule.transforms:
        found = found[-1:]
    if not found:
        return rule.default
    is_plain = not rule.date_format and not set(rule.transforms) - {"first", "last"}
    if len(found) == 1 and is_plain and (keep or isinstance(found[0], int | float)):
        return found[0]
    text = rule.join.join(text for value in found if (text := _text_of(value).strip()))
    for transform in rule.transforms:
        text = _TRANSFORMS[transform](text)
    if rule.date_format and text:
        return _instant_of(text.strip(), rule.date_format)
    return text or rule.default


def _domain_of(text: str) -> str:
    """`https://www.example.com/about` and `ann@example.com` as `example.com` and its like."""
    host = text.strip().rpartition("@")[2] if "://" not in text else text.strip().partition("://")[2]
    return host.split("/")[0].split("?")[0].split(":")[0].lower().removeprefix("www.")


_TRANSFORMS: Mapping[str, Any] = {
    "trim": str.strip,
    "lower": str.lower,
    "upper": str.upper,
    "first": str,
    "last": str,
    "domain": _domain_of,
}


def _text_of(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str | int | float):
        return str(value)
    kind = "a list" if isinstance(value, list) else "an object"
    raise Unmapped(f"The value is {kind}; let the path name a text or number inside it.")


def _instant_of(text: str, written_as: str) -> str:
    """ISO 8601 in UTC; a time without a zone is meant in UTC. Raises Unmapped."""
    try:
        if written_as in {"unix", "unix_ms"}:
            seconds = float(text) / (1000 if written_as == "unix_ms" else 1)
            if not math.isfinite(seconds):
                raise ValueError
            moment = datetime.fromtimestamp(seconds, tz=UTC)
        elif written_as == "iso":
            moment = datetime.fromisoformat(text)
        else:
            moment = datetime.strptime(text, written_as)  # noqa: DTZ007  the zone is judged below
        moment = moment.astimezone(UTC) if moment.tzinfo else moment.replace(tzinfo=UTC)
    except (ValueError, OverflowError, OSError):
        raise Unmapped(f"'{text[:60]}' is no time written as {written_as}.") from None
    return moment.isoformat()
