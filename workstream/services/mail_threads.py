"""Which messages are one conversation: by Message-ID, In-Reply-To and References, in whatever order they come."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from flowledger.clients.merge_graph import references_to
from flowledger.tenancy.models import Organization
from workstream.models.mail import MailMessage, MailThread
from workstream.sql.mail_threads import lock_threads


def place_message(
    *,
    org: Organization,
    message_id: str,
    references: Sequence[str],
    subject: str,
    sent_at: datetime | None,
    signal_id: int,
) -> int:
    """Put a received message into its thread, and answer with that; part of the use case that receives it.

    What it refers to and nobody has received yet gets a place too, so that a parent that comes late finds its
    children. A message that belongs to several threads makes them one: the oldest takes in the others. Idempotent. An
    organisation's messages are placed one after the other, from here to the end of the transaction.
    """
    lock_threads(org_id=org.pk)
    messages = MailMessage.objects.for_org(org)
    identifiers = list(dict.fromkeys([message_id, *references]))
    known: dict[str, MailMessage] = {
        row.message_id: row for row in messages.filter(message_id__in=identifiers).order_by("pk")
    }
    thread_id = _one_thread(org, sorted({row.thread_id for row in known.values()}), subject)
    own = known.get(message_id)
    if own is None:
        MailMessage(org=org, thread_id=thread_id, message_id=message_id, signal_id=signal_id, sent_at=sent_at).save()
    elif own.signal_id is None:
        messages.filter(pk=own.pk).update(signal_id=signal_id, sent_at=sent_at)
    missing = [each for each in identifiers if each not in known and each != message_id]
    MailMessage.objects.for_org(org).bulk_create(
        [MailMessage(org=org, thread_id=thread_id, message_id=each) for each in missing]
    )
    return thread_id


def _one_thread(org: Organization, thread_ids: Sequence[int], subject: str) -> int:
    """The oldest of the threads with the messages of all, or a new one."""
    if not thread_ids:
        thread = MailThread(org=org, subject=subject)
        thread.save()
        return thread.pk
    first, *others = thread_ids
    if others:
        _move_all(org, others, to=first)
    return first


def _move_all(org: Organization, thread_ids: Sequence[int], *, to: int) -> None:
    """Let everything that names these threads name another, messages and what is remembered of them, and delete them.

    Whoever is about to name one of them waits for that, and finds it gone. A row whose twin names the other already
    goes with its thread.
    """
    rows = MailThread.objects.for_org(org).filter(pk__in=thread_ids)
    list(rows.order_by("pk").select_for_update().values_list("pk"))
    for reference in references_to(MailThread):
        for thread_id in thread_ids:
            twins = reference.colliding(org, loser=thread_id, survivor=to).values_list("pk", flat=True)
            reference.naming(org, thread_id).exclude(pk__in=list(twins)).update(**{reference.field_name: to})
    rows.delete()
