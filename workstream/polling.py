"""One poll of a mailbox: network and database by turns, never one inside the other."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from datetime import date, datetime, timedelta

import structlog
from django.conf import settings
from django.db import connection

from flowledger.tenancy.actors import Actor
from flowledger.tenancy.models import Organization
from workstream.imap import Mailbox, MailboxTrouble, open_mailbox
from workstream.services import mailboxes
from workstream.services.mailboxes import Place, Turn, TurnLost

log = structlog.get_logger(__name__)

# A full mailbox is read in portions, so that the others get their turn.
MAX_MESSAGES = 200
MAX_DURATION = timedelta(minutes=4)


def poll_mailbox(
    *, org: Organization, source_id: int, actor: Actor, clock: Callable[[], datetime]
) -> Counter[str] | None:
    """Read what is new in a mailbox; counts by outcome, or None when it was not its turn.

    Every message is a transaction of its own; trouble with the mailbox is told on the source and never raised. Raises
    RuntimeError inside a transaction.
    """
    if connection.in_atomic_block:
        raise RuntimeError("A mailbox is polled outside of transactions: it waits for the network.")
    turn = mailboxes.begin_turn(org=org, source_id=source_id, actor=actor, at=clock())
    if turn is None:
        return None
    counts: Counter[str] = Counter()
    if turn.options is None:
        mailboxes.end_turn(turn, failure=turn.trouble, is_refused=True, at=clock())
        return counts
    try:
        with open_mailbox(turn.options, turn.password) as box:
            _read(turn, box, counts, clock)
    except MailboxTrouble as trouble:
        log.warning("mailbox not polled", org_id=org.pk, source_id=source_id, trouble=str(trouble))
        mailboxes.end_turn(turn, failure=str(trouble), is_refused=trouble.is_refused, at=clock())
    except TurnLost:
        log.info("mailbox poll given up", org_id=org.pk, source_id=source_id)
    else:
        mailboxes.end_turn(turn, at=clock())
    return counts


def _read(turn: Turn, box: Mailbox, counts: Counter[str], clock: Callable[[], datetime]) -> None:
    began = clock()
    folder = box.folder()
    place = mailboxes.find_place(turn, uid_validity=folder.uid_validity, uid_next=folder.uid_next, at=clock())
    unfiled = list(place.unfiled)
    uids = box.uids_after(place.uid, since=_since(place))[:MAX_MESSAGES]
    sizes = box.sizes(uids)
    for uid in uids:
        if clock() - began > MAX_DURATION:
            break
        raw = box.fetch(uid, limit=settings.MAX_MAIL_BYTES)
        outcome = mailboxes.take_message(turn, uid=uid, raw=raw, whole_size=sizes.get(uid, 0), at=clock())
        became = "passed over" if outcome is None else outcome.status
        counts[became] += 1
        if raw is not None:
            unfiled.append(uid)
    _file(turn, box, unfiled, clock)


def _since(place: Place) -> date | None:
    """Only messages that are looked through again are chosen by their day."""
    return place.since if place.reread_until else None


def _file(turn: Turn, box: Mailbox, uids: list[int], clock: Callable[[], datetime]) -> None:
    """Mark or move what is stored; what a killed poll left over too."""
    options = turn.options
    if options is None or options.after_reading == "nothing" or not uids:
        return
    for start in range(0, len(uids), MAX_MESSAGES):
        portion = uids[start : start + MAX_MESSAGES]
        box.file(portion, how=options.after_reading, folder=options.move_to)
        mailboxes.note_filed(turn, portion, at=clock())
