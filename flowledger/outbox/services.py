"""Use cases of the outbox's operators: retry or discard what is dead, one or many, and redact payloads."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import TYPE_CHECKING

from django.db import OperationalError

from flowledger.errors import Conflict, InvalidInput
from flowledger.outbox.events import EventRedacted
from flowledger.outbox.letters import MOST_LETTERS, Choice, LetterResult, LettersResult, judge
from flowledger.outbox.models import WorkEvent
from flowledger.outbox.partitions import is_busy
from flowledger.outbox.recording import record_event
from flowledger.outbox.redaction import MARKER, redacted
from flowledger.outbox.sql import operations as sql
from flowledger.outbox.wake import wake
from flowledger.tenancy.actors import Actor, Role
from flowledger.tenancy.permissions import authorize, register_verbs
from flowledger.tenancy.usecases import use_case

if TYPE_CHECKING:
    from flowledger.tenancy.models import Organization

register_verbs({"operate_outbox": Role.MANAGER, "redact_event": Role.MANAGER})


@use_case
def retry_dead_letter(*, org: Organization, event_id: int, actor: Actor, at: datetime) -> WorkEvent:
    """Deliver a dead letter again, with a full set of attempts; handlers that have succeeded are not run again.

    An event that killed workers stays in the lane where it is tried alone. Raises PermissionRefused, NotFound, and
    Conflict when the event is not on the dead-letter list.
    """
    authorize(actor, "operate_outbox")
    _require_dead(org, event_id)
    sql.retry_dead(org_id=org.pk, ids=[event_id], by=_name(actor), at=at)
    wake()
    return _stored(org, event_id)


@use_case
def retry_dead_letters(*, org: Organization, choice: Choice, actor: Actor, at: datetime) -> LettersResult:
    """Deliver many dead letters again, all in one transaction; those that are no dead letters are named.

    Raises PermissionRefused, and InvalidInput for a choice of nothing, of both kinds, or of too many ids.
    """
    authorize(actor, "operate_outbox")
    result = _chosen(org, choice)
    if result.done:
        sql.retry_dead(org_id=org.pk, ids=result.done, by=_name(actor), at=at)
        wake()
    return result


@use_case
def discard_dead_letter(*, org: Organization, event_id: int, reason: str, actor: Actor, at: datetime) -> WorkEvent:
    """Take a dead letter off the list without delivering it; who, when and why stay on the event.

    Raises PermissionRefused, InvalidInput for a blank reason, NotFound, and Conflict when the event is not on the
    dead-letter list.
    """
    authorize(actor, "operate_outbox")
    reason = _required_reason(reason, "Discarding needs a reason.", "Say why nobody needs this event.")
    _require_dead(org, event_id)
    sql.discard_dead(org_id=org.pk, ids=[event_id], by=_name(actor), reason=reason, at=at)
    return _stored(org, event_id)


@use_case
def discard_dead_letters(
    *, org: Organization, choice: Choice, reason: str, actor: Actor, at: datetime
) -> LettersResult:
    """Take many dead letters off the list, all in one transaction and for one reason; the others are named.

    Raises PermissionRefused, InvalidInput for a blank reason, and for a choice of nothing, of both kinds, or of too
    many ids.
    """
    authorize(actor, "operate_outbox")
    reason = _required_reason(reason, "Discarding needs a reason.", "Say why nobody needs these events.")
    result = _chosen(org, choice)
    if result.done:
        sql.discard_dead(org_id=org.pk, ids=result.done, by=_name(actor), reason=reason, at=at)
    return result


@use_case
def redact_event(*, org: Organization, event_id: int, reason: str, actor: Actor, at: datetime) -> WorkEvent:
    """Blank every text of an event's payload, and of its errors and tracebacks, for good.

    Numbers, ids, dates and choices stay, so that the payload still fits its schema. An `event.redacted` says who did
    it and why. Raises PermissionRefused, InvalidInput for a blank reason, NotFound, and Conflict when the event is
    still being delivered, was redacted before, or lies in a month that is being archived at this moment.
    """
    authorize(actor, "redact_event")
    reason = _required_reason(reason, "Redacting needs a reason.", "Say why the texts have to go.")
    event: WorkEvent = WorkEvent.objects.for_org(org).locked().fetch(event_id)
    if event.redacted_at is not None:
        raise Conflict(f"Event {event_id} was redacted already.")
    if event.processed_at is None and event.dead_letter_at is None:
        raise Conflict(
            f"Event {event_id} is still being delivered, and its handlers must see what was recorded. "
            "Redact it when it is handled or dead."
        )
    payload = redacted(event.event_name, event.payload)
    try:
        sql.redact(org_id=org.pk, event_id=event_id, payload=payload, marker=MARKER, at=at)
    except OperationalError as error:
        if not is_busy(error):
            raise
        raise Conflict(
            f"The month of event {event_id} is being archived; try again in some minutes. If the event is gone by "
            "then, it has to be redacted in the archive."
        ) from error
    fact = EventRedacted(event_id=event_id, event_name=event.event_name, reason=reason)
    record_event(org=org, event=fact, actor=actor, at=at)
    return _stored(org, event_id)


def _required_reason(reason: str, sentence: str, advice: str) -> str:
    if not reason.strip():
        raise InvalidInput(sentence, fields={"reason": [advice]})
    return reason.strip()


def _name(actor: Actor) -> str:
    return actor.label[:200] or actor.kind.value


def _stored(org: Organization, event_id: int) -> WorkEvent:
    event: WorkEvent = WorkEvent.objects.for_org(org).fetch(event_id)
    return event


def _chosen(org: Organization, choice: Choice) -> LettersResult:
    """Lock what was chosen; the result as it will be."""
    filters = choice.event_name or choice.handler
    if bool(choice.event_ids) == bool(filters):
        raise InvalidInput(
            "Say which dead letters: by id, or by event_name or handler.",
            fields={"dead_letter_ids": ["Give ids, or a filter, and not both."]},
        )
    more = False
    ids = list(dict.fromkeys(choice.event_ids))
    if filters:
        ids = sql.pick_dead(org_id=org.pk, event_name=choice.event_name, handler=choice.handler, limit=MOST_LETTERS + 1)
        more = len(ids) > MOST_LETTERS
        ids = ids[:MOST_LETTERS]
    if len(ids) > MOST_LETTERS:
        raise InvalidInput(
            f"At most {MOST_LETTERS:,} dead letters at a time.",
            fields={"dead_letter_ids": [f"These are {len(ids):,}; at most {MOST_LETTERS:,} at a time."]},
        )
    return LettersResult(_locked(org, ids), more)


def _locked(org: Organization, ids: Sequence[int]) -> list[LetterResult]:
    return judge(ids, sql.lock_letters(org_id=org.pk, ids=ids))


def _require_dead(org: Organization, event_id: int) -> None:
    (result,) = _locked(org, [event_id])
    if result.refusal is not None:
        raise result.refusal
