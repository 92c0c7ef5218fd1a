"""What is kept of people, and of what was said: every app tells where, and how it lets go of it.

The registry lies below the apps that keep texts and is read by memory, which stands above them. It has three books:

- erasers know what an app holds about a person, for the export and for the erasure of that person;
- sources are rows that memory reads sentences from; their own app takes a sentence out of them, or all that they say;
- copies are places into which any text of the organisation may have been copied (answers, emails, error messages).

They are entered in `AppConfig.ready`, and used in the order of `INSTALLED_APPS`: clients and contacts first, then the
pipeline. That is the order in which everybody locks rows.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property
from html import escape
from typing import TYPE_CHECKING, Any, Protocol

import re2

from flowledger.outbox.redaction import MARKER

if TYPE_CHECKING:
    from flowledger.tenancy.models import Organization

# Rows by table that were, or would be, touched: {"workstream.activity": 3}.
Counts = dict[str, int]
# What an app holds of a person, as JSON: {"workstream.activity": [{…}, …]}.
Held = dict[str, list[dict[str, Any]]]

_BETWEEN_DIGITS = r"[ ()./-]*"
# What a pattern of ten thousand passages may take while it is used.
_PATTERN_BYTES = 256 << 20


@dataclass(frozen=True)
class Person:
    """Somebody who is to be erased or exported: the contact with its tombstones, and all that names them in a text.

    A name of one word names too many to be looked for; addresses, numbers and names of two words and more are.
    """

    org: Organization
    contact_ids: tuple[int, ...]
    names: tuple[str, ...] = ()
    emails: tuple[str, ...] = ()
    phones: tuple[str, ...] = ()
    # Their address as the natural keys of signals may hold it, and other texts that name nobody else.
    others: tuple[str, ...] = ()

    @cached_property
    def mentions(self) -> Mentions:
        """How the person is named in texts."""
        return Mentions.of(names=self.names, phones=self.phones, texts=(*self.emails, *self.others))


@dataclass(frozen=True)
class Mentions:
    """Texts that are looked for in other texts, whatever their case and the width of their gaps.

    The database finds candidates, by `candidates` (a pattern, for few texts) or by `words` (one of each text, for
    many); `without` decides, and sees whole words only where names are looked for.
    """

    candidates: str = ""
    words: tuple[str, ...] = ()
    exact: str = field(default="", repr=False)

    @classmethod
    def of(cls, *, names: Iterable[str] = (), phones: Iterable[str] = (), texts: Iterable[str] = ()) -> Mentions:
        """What finds names (also turned round: "Lovelace, Ada"), numbers however they are grouped, and words."""
        parts = {_spaced(each) for each in texts if each.strip()}
        for name in names:
            words = name.split()
            if len(words) > 1:
                parts |= {_spaced(name), _spaced(f"{words[-1]}, {' '.join(words[:-1])}")}
        for phone in phones:
            digits = re.sub(r"\D", "", phone)
            if len(digits) > 5:
                parts.add(r"(?:\+|00)?" + _BETWEEN_DIGITS.join(digits))
        either = _either(parts)
        # In the text of a JSON value a line break is a backslash and a letter, and a quotation mark has one before it.
        lax = either.replace(r"\s+", r"(\s|\\+[nrt])+").replace("(?:", "(").replace(r"\"", r'\\*"')
        return cls(candidates=lax, exact=rf"(?<!\w)(?:{either})(?!\w)" if either else "")

    @classmethod
    def passages(cls, texts: Iterable[str]) -> Mentions:
        """What finds whole passages: sentences, notes; also as they stand in the HTML of an email."""
        known = list(dict.fromkeys(text for text in texts if text.strip()))
        words = {max(re.findall(r"[^\W_]+", text) or [""], key=len) for text in known}
        parts = {_spaced(form) for text in known for form in (text, escape(text))}
        return cls(words=tuple(sorted(words - {""})), exact=_either(parts))

    def __bool__(self) -> bool:
        return bool(self.exact)

    @cached_property
    def _pattern(self) -> re.Pattern[str]:
        # Names need a look around, which one engine has; a thousand passages need one pass over the text, as the other.
        return _in_one_pass(self.exact) if self.words else re.compile(self.exact, re.IGNORECASE)

    def is_in(self, value: Any) -> bool:
        """Whether a value, or anything inside a JSON value, has one of the texts."""
        return bool(self) and self.without(value) != value

    def replace(self, text: str, *, with_: Callable[[str], str]) -> str:
        """The text with what a function makes of each mention in its place."""
        return self._pattern.sub(lambda match: with_(match[0]), text) if self else text

    def without(self, value: Any) -> Any:
        """The value with a marker in the place of each; of JSON values the keys as well."""
        if not self:
            return value
        if isinstance(value, str):
            return self._pattern.sub(MARKER, value)
        if isinstance(value, list):
            return [self.without(each) for each in value]
        if isinstance(value, dict):
            return {self.without(name): self.without(each) for name, each in value.items()}
        return value


class Eraser(Protocol):
    """What one app holds about a person, and how it lets go of it."""

    def export(self, *, person: Person) -> Held:
        """All that is held, in the organisation's scope; nothing is changed."""
        ...

    def count(self, *, person: Person) -> Counts:
        """How many rows `erase` would touch."""
        ...

    def erase(self, *, person: Person, at: datetime) -> Counts:
        """Take out what is about the person, in the surrounding transaction; rows stay where others need them."""
        ...


@dataclass(frozen=True)
class Said:
    """Something that a source says: a text, and where it was read if it was read in a field."""

    text: str
    source_field: str = ""
    span: tuple[int, int] | None = None


# By the id of a source what is to be taken out of it; None for all that it says.
Passages = Mapping[int, Sequence[Said] | None]


class SourceRedactor(Protocol):
    """Takes what was said out of rows of one source type, and out of what the same app made of them."""

    def __call__(self, *, org: Organization, passages: Passages, at: datetime, dry_run: bool) -> Counts:
        """Remove what was said; answers the rows touched. Rows are locked by id; one that is gone is no mistake.

        With `dry_run` nothing is changed.
        """
        ...


class Copies(Protocol):
    """Takes texts out of places into which they may have been copied."""

    def __call__(self, *, org: Organization, texts: Mentions, at: datetime, dry_run: bool) -> Counts:
        """Remove the texts wherever they stand; answers the rows touched. With `dry_run` nothing is changed."""
        ...


_erasers: dict[str, Eraser] = {}
_sources: dict[tuple[str, str], SourceRedactor] = {}
_copies: dict[str, Copies] = {}


def register_eraser(name: str, eraser: Eraser) -> None:
    """Enter what an app holds about people. Raises ValueError for a name that is taken by another."""
    _enter(_erasers, name, eraser)


def register_source(source_type: str, name: str, redact: SourceRedactor) -> None:
    """Enter how a kind of source lets go of what it says in the app `name`; several apps may keep parts of it."""
    _enter(_sources, (source_type, name), redact)


def register_copies(name: str, forget: Copies) -> None:
    """Enter a place of copies. Raises ValueError for a name that is taken by another."""
    _enter(_copies, name, forget)


def erasers() -> Mapping[str, Eraser]:
    """All of them, in the order in which they are to run."""
    return _erasers


def source_redactors() -> Mapping[tuple[str, str], SourceRedactor]:
    """By source type and app, in the order in which they are to run."""
    return _sources


def places_of_copies() -> Mapping[str, Copies]:
    """By name."""
    return _copies


def add_counts(total: Counts, more: Mapping[str, int]) -> None:
    """Add to counts in place; what is nought is left out."""
    for table, number in more.items():
        if number:
            total[table] = total.get(table, 0) + number


def _enter(book: dict[Any, Any], name: Any, entry: Any) -> None:
    if book.setdefault(name, entry) is not entry:
        raise ValueError(f"'{name}' is registered already.")


def _either(parts: Iterable[str]) -> str:
    """One pattern of many, the longest first: where one text is the beginning of another, the whole of it goes."""
    return "|".join(sorted(parts, key=lambda part: (-len(part), part)))


def _in_one_pass(exact: str) -> Any:
    """A pattern of many alternatives whose cost does not grow with their number."""
    options = re2.Options()
    options.case_sensitive = False
    options.max_mem = _PATTERN_BYTES
    options.log_errors = False
    # Only ASCII is escaped there, and its gaps are ASCII's unless it is told.
    plain = re.sub(r"\\([^\x00-\x7f])", r"\1", exact).replace(r"\s+", r"[\s\p{Z}]+")
    try:
        return re2.compile(plain, options)
    except (re2.error, UnicodeEncodeError):
        return re.compile(exact, re.IGNORECASE)


def _spaced(text: str) -> str:
    """A pattern of the text, whatever stands between its words."""
    return r"\s+".join(_escaped(word) for word in text.split())


def _escaped(word: str) -> str:
    """Letters and digits as they are; everything else as a plain character, in both dialects."""
    return re.sub(r"\W", r"\\\g<0>", word)
