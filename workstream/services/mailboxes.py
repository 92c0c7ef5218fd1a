"""What a poll of a mailbox does in the database: its turn, each message with how far it got, and its end.

The network is `workstream.polling`'s; here every step is a short transaction. A poll holds a lease on its source with
a token; each message is stored together with its UID, and only while the lease is the poll's. So a poll that is killed
loses nothing and doubles nothing, and of two only one goes on.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any

from django.db import transaction
from django.db.models import F
from django.utils.dateparse import parse_datetime

from flowledger.encryption import SecretUnreadable
from flowledger.errors import InvalidInput
from flowledger.tenancy.actors import Actor
from flowledger.tenancy.models import Organization
from flowledger.tenancy.permissions import authorize
from flowledger.tenancy.scope import org_scope
from flowledger.tenancy.usecases import use_case
from workstream.intake.mail_options import MailboxOptions
from workstream.models.intake import IntakeSource, SourceKind
from workstream.services.mail import BROKEN, is_known_mail, keep_broken, receive_mail
from workstream.services.receiving import Outcome
from workstream.services.sources import options_of

# Longer than any one message takes to fetch and store; every message renews it.
LEASE = timedelta(minutes=6)
# The beat comes a moment early or late.
SLACK = timedelta(seconds=15)
LONGEST_PAUSE = timedelta(hours=1)
# Servers lock accounts after a few refusals.
FIRST_PAUSE_REFUSED, LONGEST_PAUSE_REFUSED = timedelta(minutes=5), timedelta(hours=4)
MAX_UNFILED = 5_000


class TurnLost(Exception):
    """The source was switched off, changed or taken over by another poll: stop without a word."""


@dataclass(frozen=True)
class Turn:
    """A poll's right to a source, with what it needs of it; `trouble` says why it cannot begin."""

    org: Organization
    source_id: int
    token: str
    actor: Actor
    options: MailboxOptions | None = None
    password: str = ""
    trouble: str = ""


@dataclass(frozen=True)
class Place:
    """How far a mailbox has been read: everything up to `uid`.

    Up to `reread_until` the server has numbered its messages anew, so that they are looked through again; `since`
    leaves out what was there before the source was.
    """

    uid: int
    reread_until: int = 0
    since: date | None = None
    unfiled: tuple[int, ...] = ()


@use_case
def poll_soon(*, org: Organization, source_id: int, actor: Actor, at: datetime) -> IntakeSource:
    """Have a mailbox polled at the next tick, whatever pause it is in.

    Raises NotFound, PermissionRefused, InvalidInput for a source that is no active mailbox.
    """
    source: IntakeSource = IntakeSource.objects.for_org(org).locked().fetch(source_id)
    authorize(actor, "edit_sources")
    if source.kind != SourceKind.MAILBOX or not source.is_active:
        sentence = "Only a mailbox that is switched on is polled."
        raise InvalidInput(sentence, fields={"kind": [sentence]})
    state = {name: value for name, value in source.state.items() if name not in {"not_before", "failures"}}
    _note(source, state=state, polled_at=None)
    return source


def begin_turn(*, org: Organization, source_id: int, actor: Actor, at: datetime) -> Turn | None:
    """Take a mailbox's turn; None when it is not due, switched off, or being polled by another."""
    with org_scope(org), transaction.atomic():
        source = IntakeSource.objects.for_org(org).locked().filter(pk=source_id, kind=SourceKind.MAILBOX).first()
        if source is None or not source.is_active or not is_due(source, at=at):
            return None
        token = secrets.token_hex(8)
        state = {**source.state, "lease": {"token": token, "until": (at + LEASE).isoformat()}}
        _note(source, state=state)
        try:
            options, password = options_of(source), source.secret
        except (InvalidInput, SecretUnreadable) as error:
            return Turn(org, source_id, token, actor, trouble=str(error))
        if not password:
            return Turn(org, source_id, token, actor, trouble="There is no password; enter it on the source.")
        return Turn(org, source_id, token, actor, options, password)


def is_due(source: IntakeSource, *, at: datetime) -> bool:
    """Whether a mailbox may be polled now: nobody does, no pause lasts, and its interval is over."""
    lease = source.state.get("lease") or {}
    for text in (lease.get("until"), source.state.get("not_before")):
        moment = parse_datetime(text) if text else None
        if moment is not None and at < moment:
            return False
    interval = timedelta(minutes=source.options.get("every_minutes") or 1)
    return source.polled_at is None or at >= source.polled_at + interval - SLACK


def find_place(turn: Turn, *, uid_validity: int, uid_next: int, at: datetime) -> Place:
    """How far the folder was read, compared with what the server says of it. Raises TurnLost."""
    assert turn.options is not None
    with _held(turn, at=at) as (source, state):
        options = turn.options
        folder = "|".join((options.host, str(options.port), options.username, options.folder))
        if state.get("folder") != folder or "uid" not in state:
            begins_now = options.begin_with == "new"
            kept: dict[str, Any] = {name: state[name] for name in ("lease", "failures") if name in state}
            state = {**kept, "folder": folder, "uid_validity": uid_validity, "uid": uid_next - 1 if begins_now else 0}
            if begins_now:
                state["since"] = at.date().isoformat()
        elif state["uid_validity"] != uid_validity:
            state |= {"uid_validity": uid_validity, "uid": 0, "reread_until": uid_next - 1, "unfiled": []}
        _note(source, state=state)
        return _place(state)


def take_message(turn: Turn, *, uid: int, raw: bytes | None, whole_size: int, at: datetime) -> Outcome | None:
    """Store a message together with how far the mailbox is read; None for one that is gone or known already.

    A message that cannot be stored for itself becomes a reject. Raises TurnLost.
    """
    try:
        with _held(turn, at=at) as (source, state):
            outcome = None
            is_reread = uid <= state.get("reread_until", 0)
            if raw is not None and not (is_reread and is_known_mail(org=turn.org, source=source, raw=raw)):
                outcome = receive_mail(
                    org=turn.org,
                    source=source,
                    raw=raw,
                    whole_size=whole_size,
                    sender=_sender(turn),
                    actor=turn.actor,
                    at=at,
                )
            _advance(turn, source, state, uid, file=raw is not None)
            return outcome
    except BROKEN as error:
        return _reject(turn, uid=uid, raw=raw or b"", error=error, at=at)


def note_filed(turn: Turn, uids: Sequence[int], *, at: datetime) -> None:
    """Forget messages that have been marked or moved on the server. Raises TurnLost."""
    with _held(turn, at=at) as (source, state):
        state["unfiled"] = [uid for uid in state.get("unfiled", []) if uid not in set(uids)]
        _note(source, state=state)


def end_turn(turn: Turn, *, failure: str = "", is_refused: bool = False, at: datetime) -> None:
    """Give the turn back. A failure is told on the source, and makes the pause before the next poll longer."""
    try:
        with _held(turn, at=at) as (source, state):
            state.pop("lease", None)
            state.pop("not_before", None)
            failures = state.pop("failures", 0) + 1
            if not failure:
                _note(source, state=state, polled_at=at, failed_at=None, failure="")
                return
            first, longest = (
                (FIRST_PAUSE_REFUSED, LONGEST_PAUSE_REFUSED) if is_refused else (timedelta(minutes=1), LONGEST_PAUSE)
            )
            pause = min(first * 2 ** min(failures - 1, 10), longest)
            state |= {"failures": failures, "not_before": (at + pause - SLACK).isoformat()}
            _note(source, state=state, polled_at=at, failed_at=at, failure=failure[:500])
    except TurnLost:
        return


@contextmanager
def _held(turn: Turn, *, at: datetime) -> Iterator[tuple[IntakeSource, dict[str, Any]]]:
    """A transaction with the source locked while the lease is the turn's; renews it. Raises TurnLost."""
    with org_scope(turn.org), transaction.atomic():
        rows = IntakeSource.objects.for_org(turn.org).locked().filter(pk=turn.source_id, is_active=True)
        source = rows.select_related("org").first()
        lease = source.state.get("lease") if source is not None else None
        if source is None or not lease or lease.get("token") != turn.token:
            raise TurnLost
        if turn.options is not None and not _is_same_mailbox(source, turn.options):
            raise TurnLost
        yield source, {**source.state, "lease": {"token": turn.token, "until": (at + LEASE).isoformat()}}


def _is_same_mailbox(source: IntakeSource, options: MailboxOptions) -> bool:
    names = ("host", "port", "username", "folder")
    return all(source.options.get(name) == getattr(options, name) for name in names)


def _advance(turn: Turn, source: IntakeSource, state: dict[str, Any], uid: int, *, file: bool) -> None:
    state["uid"] = max(uid, state.get("uid", 0))
    if uid >= state.get("reread_until", 0):
        state.pop("reread_until", None)
    if file and turn.options is not None and turn.options.after_reading != "nothing":
        state["unfiled"] = [*state.get("unfiled", []), uid][-MAX_UNFILED:]
    _note(source, state=state)


def _reject(turn: Turn, *, uid: int, raw: bytes, error: Exception, at: datetime) -> Outcome:
    with _held(turn, at=at) as (source, state):
        outcome = keep_broken(
            org=turn.org, source=source, raw=raw, error=error, sender=_sender(turn), actor=turn.actor, at=at
        )
        _advance(turn, source, state, uid, file=False)
    return outcome


def _sender(turn: Turn) -> str:
    assert turn.options is not None
    return f"{turn.options.username} at {turn.options.host}"[:200]


def _place(state: dict[str, Any]) -> Place:
    since = state.get("since")
    return Place(
        uid=state["uid"],
        reread_until=state.get("reread_until", 0),
        since=date.fromisoformat(since) if since else None,
        unfiled=tuple(state.get("unfiled", [])),
    )


def _note(source: IntakeSource, **columns: Any) -> None:
    """Write what the poll knows; for people who edit the source meanwhile it is unchanged (no new row version)."""
    rows = IntakeSource.objects.for_org(source.org_id).filter(pk=source.pk)
    rows.update(**columns, row_version=F("row_version"))
    for name, value in columns.items():
        setattr(source, name, value)
