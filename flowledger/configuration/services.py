"""Use cases of configuration: set a value, go back to the default, roll back to an earlier version."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from django.db.models import Max

from flowledger.configuration import reading, sql
from flowledger.configuration.models import Change, ConfigValue
from flowledger.configuration.registry import Key, key_of
from flowledger.errors import Conflict, InvalidInput, NotFound
from flowledger.tenancy.actors import Actor
from flowledger.tenancy.models import Organization
from flowledger.tenancy.permissions import authorize
from flowledger.tenancy.usecases import use_case


@use_case
def set_value(
    *,
    org: Organization,
    rule_type: str,
    key: str,
    value: Any,
    reason: str,
    actor: Actor,
    at: datetime,
    effective_from: datetime | None = None,
    effective_to: datetime | None = None,
    expected_version: int | None = None,
) -> ConfigValue:
    """Set a key from a moment on, at once unless another is given, and for ever unless an end is given.

    It takes the place of whatever was to hold in that time. Without an end that includes what was planned for later;
    with one, what it interrupts goes on after it. `expected_version` is the newest version that the caller knows of.
    Raises PermissionRefused, NotFound for an unknown key, InvalidInput with the path of every field at fault, Conflict
    when somebody else has changed the key since.
    """
    authorize(actor, "configure")
    entry = key_of(rule_type, key)
    plain = entry.plain(entry.parse(value))
    if plain is None:
        raise InvalidInput(f"{entry} needs a value; end it to go back to the default.", fields={"value": ["No value."]})
    _require_range(effective_from, effective_to, at)
    row = ConfigValue(change=Change.SET, value=plain, effective_to=effective_to)
    return _write(
        org, entry, row, start=effective_from, reason=reason, expected_version=expected_version, actor=actor, at=at
    )


@use_case
def end_value(
    *,
    org: Organization,
    rule_type: str,
    key: str,
    reason: str,
    actor: Actor,
    at: datetime,
    effective_from: datetime | None = None,
    expected_version: int | None = None,
) -> ConfigValue:
    """Let the default hold again from a moment on, whatever was planned for later.

    Raises PermissionRefused, NotFound, InvalidInput, Conflict when somebody else has changed the key since or when
    nothing is set from that moment on.
    """
    authorize(actor, "configure")
    entry = key_of(rule_type, key)
    _require_range(effective_from, None, at)
    later = (
        ConfigValue.objects.for_org(org)
        .of_key(rule_type, key)
        .reaching(at if effective_from is None else effective_from)
    )
    if expected_version is None and not later.exclude(value=None).exists():
        raise Conflict(f"{entry} is not set from then on; the default holds already.")
    row = ConfigValue(change=Change.ENDED, value=None)
    return _write(
        org, entry, row, start=effective_from, reason=reason, expected_version=expected_version, actor=actor, at=at
    )


@use_case
def roll_back(
    *,
    org: Organization,
    rule_type: str,
    key: str,
    to_version: int,
    reason: str,
    actor: Actor,
    at: datetime,
    effective_from: datetime | None = None,
    expected_version: int | None = None,
) -> ConfigValue:
    """Make a new version with the value of an earlier one; version 0 is the default.

    Raises PermissionRefused, NotFound for a key or version that is not there, InvalidInput also when this release no
    longer accepts the earlier value, Conflict when somebody else has changed the key since.
    """
    authorize(actor, "configure")
    entry = key_of(rule_type, key)
    _require_range(effective_from, None, at)
    value = None
    if to_version:
        earlier = ConfigValue.objects.for_org(org).of_key(rule_type, key).filter(version=to_version).first()
        if earlier is None:
            raise NotFound(f"{entry} has no version {to_version}.")
        value = None if earlier.is_default else entry.plain(entry.parse(earlier.value))
    row = ConfigValue(change=Change.ROLLED_BACK, value=value, of_version=to_version)
    return _write(
        org, entry, row, start=effective_from, reason=reason, expected_version=expected_version, actor=actor, at=at
    )


def _require_range(start: datetime | None, end: datetime | None, at: datetime) -> None:
    if start is not None and start < at:
        sentence = "This lies in the past; what has held cannot be changed any more."
        raise InvalidInput("effective_from lies in the past.", fields={"effective_from": [sentence]})
    if end is not None and end <= (start or at):
        sentence = "The end must lie after the beginning."
        raise InvalidInput(sentence, fields={"effective_to": [sentence]})


def _write(
    org: Organization,
    entry: Key[Any],
    row: ConfigValue,
    *,
    start: datetime | None,
    reason: str,
    expected_version: int | None,
    actor: Actor,
    at: datetime,
) -> ConfigValue:
    """Store the next version of a key and give it its range among the others."""
    reason = reason.strip()
    longest = ConfigValue._meta.get_field("reason").max_length or 0
    if not reason or len(reason) > longest:
        sentence = f"Say why, in 1 to {longest} characters."
        raise InvalidInput(sentence, fields={"reason": [sentence]})
    # From here on the organisation's other writers wait.
    stamp, moment = sql.move_stamp(org.pk)
    reading.note_written(org.pk, stamp)
    newest = _require_unchanged(org, entry, expected_version)
    # What holds at once holds by the database's clock, by which it is read, also where the host's clock runs ahead.
    row.effective_from = min(at, moment) if start is None else start
    interrupted = _make_room(org, entry, row.effective_from, row.effective_to)
    row.announce_later(after=moment)
    _save(org, entry, row, version=newest + 1, reason=reason, actor=actor, at=at)
    if interrupted is not None:
        interrupted.announce_later(after=moment)
        _save(org, entry, interrupted, version=newest + 2, reason=reason, actor=actor, at=at)
    return row


def _require_unchanged(org: Organization, entry: Key[Any], expected: int | None) -> int:
    """The newest version of the key. Raises Conflict when the caller knew another one."""
    versions = ConfigValue.objects.for_org(org).of_key(entry.rule_type.value, entry.name)
    newest: int = versions.aggregate(newest=Max("version"))["newest"] or 0
    if expected is None or expected == newest:
        return newest
    last = versions.filter(version=newest).first()
    who = f" by {last.changed_by_label}" if last is not None and last.changed_by_label else ""
    raise Conflict(
        f"{entry} was changed{who} meanwhile: version {newest} is there and you know version {expected}. "
        "Look at it again before you change it.",
        current_version=newest,
        expected_version=expected,
    )


def _make_room(org: Organization, entry: Key[Any], start: datetime, end: datetime | None) -> ConfigValue | None:
    """End the versions that reach into the range; answers what goes on after it, unsaved.

    The ranges of a key do not overlap, so at most one reaches beyond the end.
    """
    versions = ConfigValue.objects.for_org(org).of_key(entry.rule_type.value, entry.name)
    goes_on = None
    for row in versions.reaching(start, end).locked().order_by("effective_from"):
        until = row.effective_to
        row.end_early(start)
        row.save(update_fields=["effective_to", "announce_at"])
        if end is not None and (until is None or until > end):
            goes_on = ConfigValue(
                change=Change.CONTINUED,
                value=row.value,
                effective_from=end,
                effective_to=until,
                of_version=row.version,
            )
    return goes_on


def _save(
    org: Organization, entry: Key[Any], row: ConfigValue, *, version: int, reason: str, actor: Actor, at: datetime
) -> None:
    row.org, row.rule_type, row.key = org, entry.rule_type.value, entry.name
    row.version, row.reason = version, reason
    row.note_creation(actor=actor, at=at)
    row.save()
