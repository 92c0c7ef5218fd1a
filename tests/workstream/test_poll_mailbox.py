"""Mailboxes on a real IMAP server: everything once, whatever happens to the poll, the server or the numbers."""

from __future__ import annotations

import os
import signal as signals
import sys
from collections import Counter
from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any

import pytest
from django.test import override_settings

from flowledger.errors import InvalidInput, PermissionRefused
from flowledger.tenancy.scope import system_scope
from tests.workstream.conftest import actor_of
from tests.workstream.factories import AT, CLERK
from tests.workstream.intake import make_source, rejects_of, repeats_of, signals_of
from tests.workstream.mail_servers import PASSWORD, USER, ImapServer, SilentServer
from tests.workstream.messages import huge, message
from tests.workstream.trail import at_once
from workstream import polling, services, tasks
from workstream.models import IntakeSource
from workstream.polling import poll_mailbox
from workstream.services import mailboxes

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.usefixtures("transactional_db", "local_hosts"),
]


@pytest.fixture
def local_hosts() -> Iterator[None]:
    with override_settings(OUTGOING_ALLOWED_NETWORKS=["127.0.0.0/8"], IMAP_TIMEOUT_SECONDS=3):
        yield


@pytest.fixture(scope="module")
def running() -> Iterator[ImapServer]:
    server = ImapServer()
    yield server
    server.stop()


@pytest.fixture
def server(running: ImapServer) -> ImapServer:
    """An empty one, with other numbers than any before."""
    running.stop()
    running.start()
    return running


def mailbox(org: Any, port: int, *, secret: str = PASSWORD, **options: Any) -> IntakeSource:
    given = {"host": "127.0.0.1", "port": port, "security": "none", "username": USER, **options}
    source: IntakeSource = make_source(org, "mailbox", given, name="Sales mailbox", secret=secret)
    return source


def poll(source: IntakeSource, at: datetime = AT) -> Counter[str] | None:
    return poll_mailbox(org=source.org, source_id=source.pk, actor=CLERK, clock=lambda: at)


def again(source: IntakeSource) -> IntakeSource:
    with system_scope("tests"):
        row: IntakeSource = IntakeSource.all_orgs.select_related("org").get(pk=source.pk)
    return row


def refs_of(org: Any) -> list[str]:
    with system_scope("tests"):
        return [signal.source_ref for signal in signals_of(org)]


def numbered(*numbers: int) -> list[bytes]:
    return [message(f"Message {n}.\n", message_id=f"<{n}@acme.example>", sender=f"p{n}@acme.example") for n in numbers]


MINUTE = timedelta(minutes=1)


class TestReading:
    def test_each_message_once(self, org, server):
        source = mailbox(org, server.port)
        server.put(*numbered(1, 2))

        assert poll(source) == {"created": 2}
        assert poll(source, AT + MINUTE) == {}
        server.put(*numbered(3))
        assert poll(source, AT + 2 * MINUTE) == {"created": 1}
        assert refs_of(org) == ["1@acme.example", "2@acme.example", "3@acme.example"]
        row = again(source)
        assert (row.polled_at, row.failed_at, row.failure) == (AT + 2 * MINUTE, None, "")
        assert "lease" not in row.state
        assert row.row_version == source.row_version

    def test_messages_stay_unread(self, org, server):
        server.put(*numbered(1))
        poll(mailbox(org, server.port))

        assert not any(rb"\Seen" in flags for flags in server.flags())

    @pytest.mark.parametrize(("action", "mark"), [("seen", rb"\Seen"), ("flag", rb"\Flagged")])
    def test_messages_are_marked(self, org, server, action, mark):
        server.put(*numbered(1, 2))
        source = mailbox(org, server.port, after_reading=action)
        poll(source)

        assert all(mark in flags for flags in server.flags())
        assert again(source).state["unfiled"] == []

    def test_messages_are_moved_and_nothing_else_is_expunged(self, org, server):
        server.put(*numbered(1, 2))
        client = server.client()
        client.create("Done")
        client.store("1", "+FLAGS", r"(\Deleted)")
        client.logout()
        source = mailbox(org, server.port, after_reading="move", move_to="Done", begin_with="new")
        poll(source)
        server.put(*numbered(3))
        poll(source, AT + MINUTE)

        assert refs_of(org) == ["3@acme.example"]
        assert (server.count(), server.count("Done")) == (2, 1)

    def test_a_folder_that_is_not_there_is_told_and_loses_nothing(self, org, server):
        server.put(*numbered(1))
        source = mailbox(org, server.port, after_reading="move", move_to="Missing")
        poll(source)

        assert refs_of(org) == ["1@acme.example"]
        assert again(source).failure
        client = server.client()
        client.create("Missing")
        client.logout()
        poll(source, AT + timedelta(hours=1))
        assert (server.count(), server.count("Missing")) == (0, 1)
        assert again(source).failure == ""
        assert refs_of(org) == ["1@acme.example"]

    def test_new_ones_only(self, org, server):
        server.put(*numbered(1))
        source = mailbox(org, server.port, begin_with="new")
        poll(source)
        server.put(*numbered(2))
        poll(source, AT + MINUTE)

        assert refs_of(org) == ["2@acme.example"]

    def test_what_is_no_message_becomes_a_reject_and_the_rest_goes_on(self, org, server):
        good = numbered(1, 2)
        server.put(good[0], b"\x80\x81 nothing at all", good[1])
        counts = poll(mailbox(org, server.port))

        assert counts == {"created": 2, "rejected": 1}
        with system_scope("tests"):
            (reject,) = rejects_of(org)
            assert (reject.code, reject.source.name) == ("no_message", "Sales mailbox")

    def test_of_a_longer_message_the_beginning_is_read(self, org, server):
        server.put(huge(3), *numbered(1))
        with override_settings(MAX_MAIL_BYTES=100_000):
            counts = poll(mailbox(org, server.port))

        assert counts == {"created": 2}
        with system_scope("tests"):
            first = signals_of(org)[0]
            assert first.snippet.endswith("The drawings are attached.")
            assert first.attributes["cut_from_bytes"] > 3_000_000

    def test_a_full_mailbox_is_read_in_portions(self, org, server, monkeypatch):
        monkeypatch.setattr(polling, "MAX_MESSAGES", 3)
        server.put(*numbered(*range(7)))
        source = mailbox(org, server.port)
        sizes = [sum((poll(source, AT + n * MINUTE) or Counter()).values()) for n in range(4)]

        assert sizes == [3, 3, 1, 0]

    def test_not_before_its_time(self, org, server):
        source = mailbox(org, server.port, every_minutes=10)
        assert poll(source) == {}
        server.put(*numbered(1))

        assert poll(source, AT + 5 * MINUTE) is None
        assert poll(source, AT + 10 * MINUTE) == {"created": 1}


class TestNumbersAnew:
    def test_another_uidvalidity_reads_again_and_doubles_nothing(self, org, server):
        server.put(*numbered(1, 2))
        source = mailbox(org, server.port)
        poll(source)
        server.stop()
        server.start()
        server.put(*numbered(3, 1, 2))

        assert poll(source, AT + MINUTE) == {"created": 1, "passed over": 2}
        assert sorted(refs_of(org)) == ["1@acme.example", "2@acme.example", "3@acme.example"]
        with system_scope("tests"):
            # Looking again is no delivery.
            assert repeats_of(org) == 0
        server.put(*numbered(4))
        assert poll(source, AT + 2 * MINUTE) == {"created": 1}

    def test_another_folder_begins_anew(self, org, server):
        client = server.client()
        client.create("Leads")
        client.logout()
        server.put(*numbered(1))
        server.put(*numbered(2), folder="Leads")
        source = mailbox(org, server.port)
        poll(source)
        options = {**source.options, "folder": "Leads"}
        services.update_source(org=org, source_id=source.pk, fields={"options": options}, actor=CLERK, at=AT)
        poll(source, AT + MINUTE)

        assert refs_of(org) == ["1@acme.example", "2@acme.example"]


class TestTrouble:
    def test_a_refused_log_in_is_told_and_waits_longer_each_time(self, org, server):
        source = mailbox(org, server.port, secret="wrong")
        poll(source)
        row = again(source)

        assert row.failed_at == AT
        assert row.failure.startswith(f"The server refused the log-in of {USER}")
        assert "wrong" not in row.failure
        assert poll(source, AT + 4 * MINUTE) is None
        assert poll(source, AT + 5 * MINUTE) is not None
        assert poll(source, AT + 14 * MINUTE) is None
        assert poll(source, AT + 15 * MINUTE) is not None

    def test_the_right_password_mends_it(self, org, server):
        source = mailbox(org, server.port, secret="wrong")
        server.put(*numbered(1))
        poll(source)
        services.update_source(org=org, source_id=source.pk, fields={}, secret=PASSWORD, actor=CLERK, at=AT)
        services.poll_soon(org=org, source_id=source.pk, actor=CLERK, at=AT)

        assert poll(source, AT + timedelta(seconds=1)) == {"created": 1}
        assert (again(source).failed_at, again(source).failure) == (None, "")

    @pytest.mark.parametrize(
        ("says", "breaks_off", "sentence"),
        [
            (b"", False, "did not answer within 3 seconds"),
            (b"", True, "failed"),
            (b"* OK hello\r\n", False, "did not answer within 3 seconds"),
            (b"SSH-2.0-OpenSSH_9.6\r\n", False, "failed"),
            (b"* OK {99999999999}\r\n", False, "failed"),
        ],
    )
    def test_servers_that_do_not_speak(self, org, says, breaks_off, sentence):
        silent = SilentServer(says, breaks_off=breaks_off)
        source = mailbox(org, silent.port)
        poll(source)
        silent.stop()

        assert sentence in again(source).failure
        assert "lease" not in again(source).state

    def test_nobody_is_there(self, org):
        silent = SilentServer()
        silent.stop()
        source = mailbox(org, silent.port)
        poll(source)

        assert "accepts no connection" in again(source).failure

    def test_tls_where_there_is_none(self, org, server):
        source = mailbox(org, server.port, security="tls")
        poll(source)

        assert "TLS" in again(source).failure or "failed" in again(source).failure

    def test_hosts_inside_are_not_called(self, org):
        silent = SilentServer()
        source = mailbox(org, silent.port)
        with override_settings(OUTGOING_ALLOWED_NETWORKS=[]):
            poll(source)

        assert silent.connections == 0
        assert "not on the public Internet" in again(source).failure
        silent.stop()

    def test_a_connection_that_breaks_keeps_what_was_read(self, org, server, monkeypatch):
        server.put(*numbered(1, 2, 3))
        source = mailbox(org, server.port)
        stored = mailboxes.take_message

        def stop_after_one(turn: Any, **more: Any) -> Any:
            outcome = stored(turn, **more)
            server.stop()
            return outcome

        monkeypatch.setattr(mailboxes, "take_message", stop_after_one)
        poll(source)
        monkeypatch.undo()

        assert refs_of(org) == ["1@acme.example"]
        assert again(source).failure
        server.start()

    def test_inside_a_transaction_it_refuses(self, org, server):
        source = mailbox(org, server.port)
        with system_scope("tests"), pytest.raises(RuntimeError, match="outside of transactions"):
            poll(source)


class TestAtOnce:
    def test_two_polls_exclude_each_other(self, org, server):
        server.put(*numbered(*range(6)))
        source = mailbox(org, server.port)
        results = at_once(*[lambda: poll(source)] * 4)

        assert sorted(result is None for result in results) == [False, True, True, True]
        assert len(refs_of(org)) == 6
        with system_scope("tests"):
            assert repeats_of(org) == 0

    def test_a_poll_that_was_overtaken_stores_nothing(self, org, server):
        """It hung until its lease was over, and another has read on."""
        source = mailbox(org, server.port)
        turn = mailboxes.begin_turn(org=org, source_id=source.pk, actor=CLERK, at=AT)
        assert turn is not None
        mailboxes.find_place(turn, uid_validity=1, uid_next=1, at=AT)
        assert mailboxes.begin_turn(org=org, source_id=source.pk, actor=CLERK, at=AT + MINUTE) is None
        other = mailboxes.begin_turn(org=org, source_id=source.pk, actor=CLERK, at=AT + timedelta(minutes=7))
        assert other is not None
        with pytest.raises(mailboxes.TurnLost):
            mailboxes.take_message(turn, uid=1, raw=message(), whole_size=0, at=AT)

        assert refs_of(org) == []
        mailboxes.end_turn(turn, failure="late", at=AT)
        assert again(source).failure == ""
        assert again(source).state["lease"]["token"] == other.token

    def test_switched_off_meanwhile(self, org, server):
        source = mailbox(org, server.port)
        turn = mailboxes.begin_turn(org=org, source_id=source.pk, actor=CLERK, at=AT)
        assert turn is not None
        services.update_source(org=org, source_id=source.pk, fields={"is_active": False}, actor=CLERK, at=AT)
        with pytest.raises(mailboxes.TurnLost):
            mailboxes.take_message(turn, uid=1, raw=message(), whole_size=0, at=AT)

        assert refs_of(org) == []

    def test_a_killed_poll_loses_and_doubles_nothing(self, org, server):
        """A process of its own, killed in the middle of a message's transaction."""
        server.put(*numbered(1, 2, 3))
        source = mailbox(org, server.port, after_reading="seen")
        child = os.fork()
        if child == 0:  # pragma: no cover
            _poll_and_die(source)
        _, status = os.waitpid(child, 0)

        assert os.WTERMSIG(status) == signals.SIGKILL
        assert refs_of(org) == ["1@acme.example"]
        assert poll(source, AT + MINUTE) is None
        assert poll(source, AT + timedelta(minutes=10)) == {"created": 2}
        assert refs_of(org) == ["1@acme.example", "2@acme.example", "3@acme.example"]
        assert all(rb"\Seen" in flags for flags in server.flags())
        with system_scope("tests"):
            assert repeats_of(org) == 0


def _poll_and_die(source: IntakeSource) -> None:
    from django.db import connections

    try:
        for connection in connections.all():
            # The parent's session; this process makes its own.
            connection.connection = None
        advance = mailboxes._advance

        def die(turn: Any, row: Any, state: Any, uid: int, *, file: bool) -> None:
            advance(turn, row, state, uid, file=file)
            if uid == 102:
                os.kill(os.getpid(), signals.SIGKILL)

        mailboxes._advance = die  # type: ignore[assignment]
        poll(source)
    finally:
        sys.stderr.flush()
        os._exit(3)


class TestTick:
    def test_reads_every_mailbox_that_is_due(self, org, other_org, server):
        server.put(*numbered(1))
        first, second = mailbox(org, server.port), mailbox(other_org, server.port)
        off = make_source(org, "mailbox", first.options, name="Off", secret=PASSWORD, is_active=False)

        assert tasks.poll_mailboxes() == 2
        assert refs_of(org) == refs_of(other_org) == ["1@acme.example"]
        assert again(off).polled_at is None
        assert again(first).polled_at is not None
        assert again(second).polled_at is not None
        assert tasks.poll_mailboxes() == 0

    def test_one_that_fails_does_not_keep_the_others_waiting(self, org, other_org, server):
        server.put(*numbered(1))
        mailbox(org, server.port, secret="wrong")
        mailbox(other_org, server.port)

        assert tasks.poll_mailboxes() == 2
        assert refs_of(other_org) == ["1@acme.example"]


class TestPollSoon:
    def test_only_those_who_may(self, org, server, viewer):
        source = mailbox(org, server.port)
        with pytest.raises(PermissionRefused):
            services.poll_soon(org=org, source_id=source.pk, actor=actor_of(viewer), at=AT)

    def test_only_a_mailbox(self, org):
        source = make_source(org, "web_form")
        with pytest.raises(InvalidInput, match="Only a mailbox"):
            services.poll_soon(org=org, source_id=source.pk, actor=CLERK, at=AT)
