"""Messages as signals: linked to who wrote them, known by their identifier, kept in conversations."""

from __future__ import annotations

import random
from datetime import timedelta
from email.message import EmailMessage
from smtplib import SMTP
from typing import Any

import pytest
from aiosmtpd.controller import Controller

from flowledger.errors import PermissionRefused
from flowledger.tenancy.actors import Role
from flowledger.tenancy.scope import system_scope
from tests.workstream import messages as wild
from tests.workstream.conftest import actor_of
from tests.workstream.factories import AT, CLERK
from tests.workstream.intake import make_source, payload_of, rejects_of, repeats_of, signals_of
from tests.workstream.mail_servers import free_port
from tests.workstream.messages import message
from tests.workstream.trail import at_once, nothing_changes
from workstream import services
from workstream.models import MailMessage, MailThread, Signal
from workstream.services import Outcome


def receive(org: Any, raw: bytes, source: Any = None, **more: Any) -> Outcome:
    return services.receive_mail(org=org, source=source, raw=raw, actor=CLERK, at=AT + timedelta(days=30), **more)


def signal_of(outcome: Outcome) -> Signal:
    signal: Signal = Signal.all_orgs.get(pk=outcome.signal_id)
    return signal


def threads_of(org: Any) -> list[set[str]]:
    """The identifiers of every thread's messages, the largest thread first."""
    threads: dict[int, set[str]] = {}
    for thread, identifier in MailMessage.all_orgs.filter(org=org).values_list("thread_id", "message_id"):
        threads.setdefault(thread, set()).add(identifier)
    assert set(threads) == set(MailThread.all_orgs.filter(org=org).values_list("pk", flat=True))
    return sorted(threads.values(), key=len, reverse=True)


@pytest.mark.django_db
class TestReceiveMail:
    def test_a_message_is_a_signal_with_its_bytes(self, org):
        raw = message()
        outcome = receive(org, raw, sender="from 192.0.2.1")
        signal = signal_of(outcome)

        assert outcome.status == "created"
        assert (signal.source_type, signal.source_ref) == ("email", "one@acme.example")
        assert signal.dedupe_key == "email:one@acme.example"
        assert signal.snippet == "Pumps\n\nWe need forty pumps."
        assert signal.ts.isoformat() == "2026-03-03T09:00:00+00:00"
        assert (signal.contact.email, signal.contact.name) == ("jane@acme.example", "Jane Roe")
        assert signal.client.domain == "acme.example"
        assert bytes(payload_of(signal).body) == raw
        assert payload_of(signal).content_type == "message/rfc822"
        assert signal.attributes["subject"] == "Pumps"

    def test_the_same_message_leaves_a_repeat(self, org):
        first = receive(org, message())
        again = receive(org, b"Received: by another.example\r\n" + message())

        assert (again.status, again.signal_id) == ("repeated", first.signal_id)
        assert (len(signals_of(org)), repeats_of(org)) == (1, 1)

    def test_another_message_of_a_known_sender_is_another_signal(self, org):
        first, second = receive(org, message()), receive(org, message(message_id="<two@acme.example>"))

        assert second.status == "created"
        assert second.contact_id == first.contact_id

    def test_a_senders_bad_numbering_loses_nothing(self, org):
        """A form that gives every message the same Message-ID."""
        receive(org, message("First.\n"))
        later = message("Second.\n", date="Wed, 04 Mar 2026 10:00:00 +0100")
        second = receive(org, later)
        third = receive(org, later)

        assert second.status == "created"
        assert signal_of(second).snippet == "Pumps\n\nSecond."
        assert (third.status, third.signal_id) == ("repeated", second.signal_id)

    def test_without_an_identifier_the_bytes_are_it(self, org):
        raw = message(message_id="")
        first, again, other = receive(org, raw), receive(org, raw), receive(org, raw + b"PS\r\n")

        assert (first.status, again.status, other.status) == ("created", "repeated", "created")
        assert signal_of(first).source_ref == ""

    def test_a_clock_of_the_future_is_not_believed(self, org):
        signal = signal_of(receive(org, message(date="Fri, 03 Mar 2056 10:00:00 +0100")))

        assert signal.ts == AT + timedelta(days=30)

    def test_what_is_no_message_is_kept_as_a_reject(self, org):
        outcome = receive(org, b"hello")
        (reject,) = rejects_of(org)

        assert (outcome.status, outcome.reject_id) == ("rejected", reject.pk)
        assert (bytes(reject.body), reject.code) == (b"hello", "no_message")
        assert "none of the headers of a message" in reject.reason
        assert signals_of(org) == []

    def test_a_bounce_makes_no_contact(self, org):
        signal = signal_of(receive(org, wild.BOUNCE))

        assert signal.contact_id is None
        assert signal.attributes["automatic"] == "bounce"

    def test_our_own_people_forward_for_others(self, org):
        source = make_source(org, "mail_hook", {"provider": "raw", "own_domains": ["harbour.example"]})
        raw = message(wild.FORWARD_TEXT, sender="rita@harbour.example", subject="Fwd: Pumps")
        other = message(
            wild.FORWARD_TEXT, sender="b@acme.example", subject="Fwd: Pumps", message_id="<two@acme.example>"
        )

        assert signal_of(receive(org, raw, source)).contact_email == "jane@acme.example"
        assert signal_of(receive(org, other, source)).contact_email == "b@acme.example"

    def test_a_viewer_may_not(self, org, viewer):
        assert viewer.role == Role.VIEWER
        with nothing_changes(), pytest.raises(PermissionRefused):
            services.receive_mail(org=org, source=None, raw=message(), actor=actor_of(viewer), at=AT)

    def test_another_organisation_has_its_own(self, org, other_org):
        first, second = receive(org, message()), receive(other_org, message())

        assert (first.status, second.status) == ("created", "created")
        assert signal_of(second).org == other_org
        assert threads_of(other_org) == [{"one@acme.example"}]


@pytest.mark.django_db
class TestThreads:
    def test_answers_join_what_they_answer(self, org):
        receive(org, message(message_id="<a@x.example>"))
        receive(org, message(message_id="<b@x.example>", In_Reply_To="<a@x.example>"))
        receive(org, message(message_id="<z@x.example>"))

        assert threads_of(org) == [{"a@x.example", "b@x.example"}, {"z@x.example"}]

    def test_a_parent_that_comes_late_finds_its_children(self, org):
        child = receive(org, message(message_id="<b@x.example>", References="<a@x.example>"))
        sibling = receive(org, message(message_id="<c@x.example>", References="<a@x.example>"))
        waiting = MailMessage.all_orgs.get(message_id="a@x.example")
        parent = receive(org, message(message_id="<a@x.example>", date="Mon, 02 Mar 2026 10:00:00 +0100"))

        assert waiting.signal_id is None
        placed = MailMessage.all_orgs.get(message_id="a@x.example")
        assert placed.signal_id == parent.signal_id
        assert placed.sent_at.isoformat() == "2026-03-02T09:00:00+00:00"
        assert len({placed.thread_id, *_threads(child, sibling)}) == 1

    def test_a_message_that_belongs_to_two_threads_makes_them_one(self, org):
        first = receive(org, message(message_id="<a@x.example>"))
        second = receive(org, message(message_id="<b@x.example>"))
        before = _threads(first, second)
        receive(org, message(message_id="<c@x.example>", References="<b@x.example> <a@x.example>"))

        assert len(before) == 2
        assert threads_of(org) == [{"a@x.example", "b@x.example", "c@x.example"}]
        assert _threads(first, second) == {min(before)}

    def test_a_bounce_joins_what_bounced(self, org):
        receive(org, wild.BOUNCE)

        assert threads_of(org) == [{"bounce@mx.acme.example", "offer@harbour.example"}]

    def test_a_repeat_changes_no_thread(self, org):
        raw = message(References="<a@x.example>")
        receive(org, raw)
        before = list(MailMessage.all_orgs.order_by("pk").values())
        receive(org, raw)

        assert list(MailMessage.all_orgs.order_by("pk").values()) == before


def _threads(*outcomes: Outcome) -> set[int]:
    rows = MailMessage.all_orgs.filter(signal__in=[outcome.signal_id for outcome in outcomes])
    return set(rows.values_list("thread_id", flat=True))


@pytest.mark.django_db(transaction=True)
@pytest.mark.usefixtures("transactional_db")
class TestAtOnce:
    @pytest.mark.parametrize("seed", [1, 2, 3])
    def test_a_conversation_in_any_order_is_one_thread(self, org, seed):
        """Every message names only the one before it; eight arrive at a time."""
        raws = [
            message(
                message_id=f"<{n}@x.example>",
                sender=f"p{n}@acme.example",
                In_Reply_To=f"<{n - 1}@x.example>" if n else "",
            )
            for n in range(24)
        ]
        random.Random(seed).shuffle(raws)
        for start in range(0, len(raws), 8):
            outcomes = at_once(*[lambda raw=raw: receive(org, raw) for raw in raws[start : start + 8]])
            assert [outcome.status for outcome in outcomes] == ["created"] * 8, outcomes

        with system_scope("tests"):
            assert threads_of(org) == [{f"{n}@x.example" for n in range(24)}]
            assert len(signals_of(org)) == 24

    def test_one_message_by_eight_doors_is_one_signal(self, org):
        outcomes = at_once(*[lambda: receive(org, message())] * 8)

        assert sorted(outcome.status for outcome in outcomes) == ["created"] + ["repeated"] * 7
        with system_scope("tests"):
            assert (len(signals_of(org)), repeats_of(org)) == (1, 7)
            assert threads_of(org) == [{"one@acme.example"}]


@pytest.mark.django_db
class TestBySmtp:
    def test_what_a_mail_server_received_is_what_is_kept(self, org):
        """A message written by Python's library, sent over SMTP, taken by a server's pipe."""
        taken: list[bytes] = []

        class Pipe:
            async def handle_DATA(self, server: Any, session: Any, envelope: Any) -> str:  # noqa: N802
                taken.append(bytes(envelope.content))
                return "250 OK"

        mail = EmailMessage()
        mail["From"], mail["To"], mail["Subject"] = "Jürgen Müller <jm@acme.example>", "sales@harbour.example", "Grüße"
        mail["Message-ID"] = "<smtp@acme.example>"
        mail.set_content("Vierzig Stück, bitte.\n.Punkt am Anfang.\n")
        mail.add_attachment(b"%PDF", maintype="application", subtype="pdf", filename="Übersicht.pdf")
        controller = Controller(Pipe(), hostname="127.0.0.1", port=free_port())
        controller.start()
        try:
            with SMTP("127.0.0.1", controller.port, timeout=20) as client:
                client.send_message(mail)
        finally:
            controller.stop()

        signal = signal_of(receive(org, taken[0]))
        assert (signal.contact_name, signal.contact_email) == ("Jürgen Müller", "jm@acme.example")
        assert signal.snippet == "Grüße\n\nVierzig Stück, bitte.\n.Punkt am Anfang."
        assert signal.attributes["attachments"] == [{"name": "Übersicht.pdf", "type": "application/pdf", "size": 4}]
        assert bytes(payload_of(signal).body) == taken[0]
