"""Outgoing email: queued with the change, sent after the commit, recorded before and after."""

import re
import uuid
from datetime import timedelta
from typing import Any

import pytest
from django.core import mail
from django.core.mail.backends.base import BaseEmailBackend
from django.db import transaction
from django.utils.timezone import now

from flowledger.errors import InvalidInput
from flowledger.outbox import shutdown, sql
from flowledger.outbox.emails import message_id, queue_email, send_outgoing_emails
from flowledger.outbox.models import OutgoingEmail
from flowledger.tenancy.models import Organization
from flowledger.tenancy.scope import org_scope, system_scope

pytestmark = pytest.mark.django_db


class Refusing(BaseEmailBackend):
    """A provider that refuses everything and remembers what it was asked."""

    asked: list[Any] = []

    def send_messages(self, messages: Any) -> int:
        Refusing.asked += messages
        raise ConnectionRefusedError("the provider is away")


class StoppingAfterOne(BaseEmailBackend):
    """A provider during whose first call the worker is told to stop."""

    def send_messages(self, messages: Any) -> int:
        shutdown.request()
        return len(messages)


@pytest.fixture
def refusing(settings: Any) -> type[Refusing]:
    settings.EMAIL_BACKEND = f"{__name__}.Refusing"
    Refusing.asked.clear()
    return Refusing


def queue(org: Organization, key: str = "proposal-1", **options: Any) -> OutgoingEmail:
    texts = {"to": ["ann@example.com"], "subject": "Your proposal", "body": "Please read."}
    return queue_email(org=org, key=key, **{**texts, **options})


def again(message: OutgoingEmail) -> OutgoingEmail:
    with system_scope("tests"):
        return OutgoingEmail.all_orgs.get(pk=message.pk)


def change(message: OutgoingEmail, **columns: Any) -> None:
    with system_scope("tests"):
        OutgoingEmail.all_orgs.filter(pk=message.pk).update(**columns)


class TestQueueEmail:
    def test_stores_the_message_and_sends_nothing(self, org):
        message = queue(org, subject="Your\nproposal\r\nBcc: eve@example.com", html="<p>Please read.</p>")
        assert message.subject == "Your proposal Bcc: eve@example.com"
        assert (message.status, message.attempts, message.to) == ("queued", 0, ["ann@example.com"])
        assert mail.outbox == []

    def test_the_same_key_is_the_same_message_and_another_organisations_is_not(self, org, other_org):
        first = queue(org)
        assert queue(org, subject="Again").pk == first.pk
        assert again(first).subject == "Your proposal"
        with org_scope(other_org):
            pass
        assert queue(other_org).pk != first.pk

    @pytest.mark.parametrize("to", [[], [" "], ["no address"], ["ann@example.com", "b\n@example.com"]])
    def test_a_message_without_a_proper_recipient_is_refused(self, org, to):
        with pytest.raises(InvalidInput):
            queue(org, to=to)
        with system_scope("tests"):
            assert OutgoingEmail.all_orgs.count() == 0

    def test_goes_away_with_the_change_that_wanted_it(self, org):
        with pytest.raises(RuntimeError), transaction.atomic():
            queue(org)
            raise RuntimeError
        assert (send_outgoing_emails().sent, mail.outbox) == (0, [])


class TestSendOutgoingEmails:
    def test_sends_each_once_and_records_it(self, org, settings):
        settings.DEFAULT_FROM_EMAIL = "Sales <sales@flow.example>"
        message = queue(org, html="<p>Please read.</p>", reply_to=["rep@example.com"])
        assert send_outgoing_emails().sent == 1
        assert send_outgoing_emails().sent == 0
        (sent,) = mail.outbox
        assert (sent.to, sent.subject, sent.body) == (["ann@example.com"], "Your proposal", "Please read.")
        assert (sent.reply_to, sent.from_email) == (["rep@example.com"], "Sales <sales@flow.example>")
        assert sent.alternatives == [("<p>Please read.</p>", "text/html")]
        assert sent.extra_headers["X-Idempotency-Key"] == f"{org.pk}-proposal-1"
        assert re.fullmatch(r"<[0-9a-f]{32}@flow\.example>", sent.extra_headers["Message-ID"])
        stored = again(message)
        assert (stored.status, stored.attempts, stored.claimed_at, stored.last_error) == ("sent", 1, None, "")
        assert stored.sent_at is not None
        assert stored.message_id == sent.extra_headers["Message-ID"] == message_id(stored)
        assert stored.row_version > message.row_version

    def test_a_failure_is_recorded_and_tried_later_under_the_same_key(self, org, refusing):
        message = queue(org)
        assert send_outgoing_emails().failed == 1
        stored = again(message)
        assert (stored.status, stored.attempts, stored.claimed_at, stored.sent_at) == ("queued", 1, None, None)
        assert stored.last_error == "ConnectionRefusedError: the provider is away"
        assert timedelta(seconds=40) < stored.available_at - now() < timedelta(seconds=73)
        assert send_outgoing_emails().failed == 0
        change(message, available_at=now())
        send_outgoing_emails()
        first, second = refusing.asked
        assert first.extra_headers == second.extra_headers

    def test_is_given_up_after_the_limit(self, org, refusing):
        message = queue(org)
        change(message, attempts=7)
        send_outgoing_emails()
        stored = again(message)
        assert (stored.status, stored.attempts, stored.sent_at) == ("dead", 8, None)
        assert stored.dead_letter_at is not None
        change(message, available_at=now())
        assert send_outgoing_emails().failed == 0

    def test_what_a_dead_worker_held_is_sent_again_with_the_same_message_id(self, org, settings):
        message = queue(org)
        with system_scope("tests"):
            assert sql.claim_emails(token=uuid.uuid4(), limit=5) == [message.pk]
        assert again(message).status == "sending"
        assert send_outgoing_emails().sent == 0
        change(message, claimed_at=now() - timedelta(seconds=settings.OUTBOX_LEASE_SECONDS + 1))
        assert send_outgoing_emails().sent == 1
        assert mail.outbox[0].extra_headers["Message-ID"] == message_id(message)
        assert again(message).attempts == 2

    def test_a_sender_that_lost_its_lease_records_nothing(self, org):
        message = queue(org)
        lost = uuid.uuid4()
        with system_scope("tests"):
            sql.claim_emails(token=lost, limit=5)
            change(message, claimed_by=uuid.uuid4())
            assert sql.email_sent(email_id=message.pk, token=lost, message_id="x") is False
            assert sql.email_failed(email_id=message.pk, token=lost, error="x", max_attempts=8) is None
        assert (again(message).status, again(message).message_id) == ("sending", "")

    def test_a_shutdown_gives_back_the_rest_uncharged(self, org, settings):
        settings.EMAIL_BACKEND = f"{__name__}.StoppingAfterOne"
        first, second = queue(org, "a"), queue(org, "b")
        try:
            result = send_outgoing_emails()
        finally:
            shutdown.withdraw()
        assert (result.sent, result.given_back) == (1, 1)
        assert again(first).status == "sent"
        assert (again(second).status, again(second).attempts) == ("queued", 0)
