"""What holds for an organisation, what is planned, and how it came to be so."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db.models import Max

from flowledger.configuration.models import ConfigValue
from flowledger.configuration.registry import Key, key_of, keys
from flowledger.errors import InvalidInput, NotFound
from flowledger.tenancy.models import Organization


@dataclass(frozen=True)
class Entry:
    """One key as it stands at a moment.

    `version` is the version in force, 0 for the default; `latest_version` the newest one that was made, which the next
    change has to know. `problem` says why a stored value is not understood any more; the default holds then.
    """

    rule_type: str
    key: str
    help: str
    value: Any
    default: Any
    source: str
    version: int
    latest_version: int
    effective_from: datetime | None
    effective_to: datetime | None
    reason: str
    changed_by: str
    changed_at: datetime | None
    problem: str
    planned: list[ConfigValue]


@dataclass(frozen=True)
class Difference:
    """One place in which two values differ; a side that has no such place shows nothing."""

    path: str
    before: Any
    after: Any


@dataclass(frozen=True)
class HistoryEntry:
    """One version with what it changed, compared with the version before it."""

    row: ConfigValue
    before: Any
    after: Any
    differences: list[Difference]


def overview(org: Organization, *, at: datetime, rule_type: str = "", key: str = "") -> list[Entry]:
    """Every key, or those of one type or name, as they stand at the moment; in two queries."""
    chosen = [entry for entry in keys() if rule_type in ("", entry.rule_type.value) and key in ("", entry.name)]
    rows = ConfigValue.objects.for_org(org)
    standing: dict[tuple[str, str], list[ConfigValue]] = {}
    for row in rows.reaching(at).order_by("rule_type", "key", "effective_from"):
        standing.setdefault((row.rule_type, row.key), []).append(row)
    newest = {
        (found["rule_type"], found["key"]): found["newest"]
        for found in rows.order_by().values("rule_type", "key").annotate(newest=Max("version"))
    }
    return [
        _entry(entry, standing.get(name, []), newest.get(name, 0), at)
        for entry in chosen
        for name in [(entry.rule_type.value, entry.name)]
    ]


def entry_of(org: Organization, *, rule_type: str, key: str, at: datetime) -> Entry:
    """One key as it stands at the moment. Raises NotFound for a key that nobody declared."""
    key_of(rule_type, key)
    (entry,) = overview(org, at=at, rule_type=rule_type, key=key)
    return entry


def _entry(entry: Key[Any], rows: list[ConfigValue], newest: int, at: datetime) -> Entry:
    now = next((row for row in rows if row.effective_from <= at), None)
    default = entry.plain(entry.default)
    own = now if now is not None and not now.is_default else None
    value, problem = default, ""
    if own is not None:
        try:
            value = entry.plain(entry.parse(own.value))
        except InvalidInput as error:
            problem = error.message
    return Entry(
        rule_type=entry.rule_type.value,
        key=entry.name,
        help=entry.help,
        value=value,
        default=default,
        source="organisation" if own is not None and not problem else "default",
        version=own.version if own is not None else 0,
        latest_version=newest,
        effective_from=now.effective_from if now is not None else None,
        effective_to=now.effective_to if now is not None else None,
        reason=now.reason if now is not None else "",
        changed_by=now.changed_by_label if now is not None else "",
        changed_at=now.changed_at if now is not None else None,
        problem=problem,
        planned=[row for row in rows if row.effective_from > at],
    )


def versions(org: Organization, *, rule_type: str = "", key: str = "") -> Any:
    """The versions of one key, of one type or of all keys, newest first."""
    rows = ConfigValue.objects.for_org(org)
    if rule_type:
        rows = rows.filter(rule_type=rule_type)
    if key:
        rows = rows.filter(key=key)
    return rows.order_by("-id")


def history(org: Organization, rows: list[ConfigValue]) -> list[HistoryEntry]:
    """These versions with what each changed; one query for the versions before them."""
    if not rows:
        return []
    wanted = {(row.rule_type, row.key, row.version - 1) for row in rows}
    earlier = ConfigValue.objects.for_org(org).filter(
        rule_type__in={name[0] for name in wanted},
        key__in={name[1] for name in wanted},
        version__in={name[2] for name in wanted},
    )
    before = {(row.rule_type, row.key, row.version): row.value for row in earlier}
    found = []
    for row in rows:
        old = shown(row.rule_type, row.key, before.get((row.rule_type, row.key, row.version - 1)))
        new = shown(row.rule_type, row.key, row.value)
        found.append(HistoryEntry(row, old, new, list(differences(old, new))))
    return found


def shown(rule_type: str, key: str, value: Any) -> Any:
    """A stored value, or for none the default of today; None for a key that this release does not know."""
    if value is not None:
        return value
    try:
        entry = key_of(rule_type, key)
    except NotFound:
        return None
    return entry.plain(entry.default)


def differences(before: Any, after: Any, path: str = "value") -> Iterator[Difference]:
    """The places in which two JSON values differ, in the order of the later one; lists are compared by position."""
    if isinstance(before, dict) and isinstance(after, dict):
        for name in [*after, *(name for name in before if name not in after)]:
            yield from differences(before.get(name), after.get(name), f"{path}.{name}")
    elif isinstance(before, list) and isinstance(after, list):
        for index in range(max(len(before), len(after))):
            old = before[index] if index < len(before) else None
            new = after[index] if index < len(after) else None
            yield from differences(old, new, f"{path}.{index}")
    elif before != after:
        yield Difference(path, before, after)
