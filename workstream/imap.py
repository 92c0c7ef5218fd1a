"""An IMAP mailbox over the network: bounded, with time-outs, at addresses that were checked.

imap-tools speaks the protocol; here is what a server that nobody knows makes necessary. Nothing in a mailbox is
deleted but what is moved, and that only where the server can move one message without touching the others.
"""

from __future__ import annotations

import imaplib
import re
import socket
import ssl
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date
from typing import Any

from django.conf import settings
from imap_tools.errors import ImapToolsError, MailboxLoginError
from imap_tools.mailbox import BaseMailBox
from imap_tools.utils import check_command_status, encode_folder

from flowledger.errors import InvalidInput
from flowledger.outgoing import resolve_public
from workstream.intake.mail_options import MailboxOptions

# Of any one answer of the server; the largest is a message with its surroundings.
MARGIN = 1_000_000
# Of a line of an answer: the longest is a search's, with the numbers of all messages.
MAX_LINE = 20_000_000
# A connection ends after this long, however lively the server is.
MAX_CONNECTION_SECONDS = 300
SIZES_AT_ONCE = 200


class MailboxTrouble(Exception):
    """The mailbox could not be read; the sentence is for whoever set it up. `is_refused` when the log-in was."""

    def __init__(self, sentence: str, *, is_refused: bool = False) -> None:
        super().__init__(sentence)
        self.is_refused = is_refused


@dataclass(frozen=True)
class Folder:
    """What a server says about the selected folder."""

    uid_validity: int
    uid_next: int


class Mailbox:
    """A folder of a mailbox that is logged in to."""

    def __init__(self, box: BaseMailBox) -> None:
        self._box = box

    def folder(self) -> Folder:
        """UIDVALIDITY and UIDNEXT, by which messages are told apart (RFC 3501, 2.3.1.1)."""
        numbers = {name: self._stated(name) for name in ("UIDVALIDITY", "UIDNEXT")}
        validity = numbers["UIDVALIDITY"]
        if validity is None:
            raise MailboxTrouble("The server does not number its messages (no UIDVALIDITY), so it cannot be polled.")
        following = numbers["UIDNEXT"]
        if following is None:
            uids = self.uids_after(0)
            following = uids[-1] + 1 if uids else 1
        return Folder(validity, following)

    def uids_after(self, uid: int, *, since: date | None = None) -> list[int]:
        """UIDs of messages behind one, ascending; `since` leaves out what the server received before a day."""
        criteria = f"UID {uid + 1}:*"
        if since is not None:
            criteria += f" SINCE {since.day}-{_MONTHS[since.month - 1]}-{since.year}"
        found = [int(text) for text in self._box.uids(criteria, charset=None) if text.isdigit()]
        # `n:*` names the last message even where that is before n.
        return sorted(each for each in found if each > uid)

    def sizes(self, uids: Sequence[int]) -> dict[int, int]:
        """The bytes of messages, as the server counts them."""
        sizes: dict[int, int] = {}
        for start in range(0, len(uids), SIZES_AT_ONCE):
            chunk = ",".join(map(str, uids[start : start + SIZES_AT_ONCE]))
            result = self._box.client.uid("fetch", chunk, "(UID RFC822.SIZE)")
            check_command_status(result, ImapRefusal)
            for item in result[1]:
                text = item.decode("ascii", "replace") if isinstance(item, bytes) else ""
                uid, size = re.search(r"\bUID (\d+)", text), re.search(r"\bRFC822\.SIZE (\d+)", text)
                if uid and size:
                    sizes[int(uid[1])] = int(size[1])
        return sizes

    def fetch(self, uid: int, *, limit: int) -> bytes | None:
        """The message, its first `limit` bytes where it is longer, without marking it as read; None when it is gone."""
        result = self._box.client.uid("fetch", str(uid), f"(UID BODY.PEEK[]<0.{limit}>)")
        check_command_status(result, ImapRefusal)
        for item in result[1] or []:
            if isinstance(item, tuple) and len(item) > 1 and isinstance(item[1], bytes):
                return item[1][:limit]
        return None

    def file(self, uids: Sequence[int], *, how: str, folder: str) -> None:
        """Mark messages as read, flag them, or move them to another folder."""
        if not uids:
            return
        listed = ",".join(map(str, uids))
        if how in {"seen", "flag"}:
            flag = r"(\Seen)" if how == "seen" else r"(\Flagged)"
            check_command_status(self._box.client.uid("STORE", listed, "+FLAGS", flag), ImapRefusal)
            return
        target: Any = encode_folder(folder)
        able = self._capabilities()
        if "MOVE" in able:
            check_command_status(self._box.client.uid("MOVE", listed, target), ImapRefusal)
        elif "UIDPLUS" in able:
            check_command_status(self._box.client.uid("COPY", listed, target), ImapRefusal)
            check_command_status(self._box.client.uid("STORE", listed, "+FLAGS", r"(\Deleted)"), ImapRefusal)
            # Those alone: a plain EXPUNGE would end what somebody else marked.
            check_command_status(self._box.client.uid("EXPUNGE", listed), ImapRefusal)
        else:
            raise MailboxTrouble(
                "The server cannot move single messages (neither MOVE nor UIDPLUS); choose another action."
            )

    def _capabilities(self) -> set[str]:
        """What the server can do for who is logged in; before that many do not say."""
        words = self._box.client.capability()[1][-1]
        return set(words.decode("ascii", "replace").upper().split()) if isinstance(words, bytes) else set()

    def _stated(self, name: str) -> int | None:
        values = self._box.client.response(name)[1] or [None]
        text = values[-1]
        return int(text) if isinstance(text, bytes) and text.isdigit() else None


class ImapRefusal(ImapToolsError):
    """A command that the server did not carry out."""

    def __init__(self, command_result: tuple[Any, ...], expected: Any) -> None:
        super().__init__(f"the server answered {_quoted(command_result)}")


_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
# What ends a poll: everything that the library, the protocol, the network and TLS may raise.
_TROUBLE = (ImapToolsError, imaplib.IMAP4.error, OSError, EOFError, ValueError, LookupError, TypeError)


@contextmanager
def open_mailbox(options: MailboxOptions, password: str) -> Iterator[Mailbox]:
    """Log in and select the folder; log out at the end. Never inside a transaction.

    Raises MailboxTrouble with a sentence that says what to do, also for what goes wrong later.
    """
    box: BaseMailBox | None = None
    try:
        addresses = resolve_public(options.host, options.port)
        box = _PinnedBox(options, addresses)
        _log_in(box, options.username, password)
        box.folder.set(options.folder, readonly=options.after_reading == "nothing")
        yield Mailbox(box)
    except MailboxTrouble:
        raise
    except InvalidInput as error:
        raise MailboxTrouble(str(error)) from None
    except MailboxLoginError as error:
        answer = _quoted(error.command_result)
        raise MailboxTrouble(
            f"The server refused the log-in of {options.username[:100]}: {answer}. Check user name and password.",
            is_refused=True,
        ) from None
    except _TROUBLE as error:
        raise MailboxTrouble(_sentence(options, error)) from None
    finally:
        if box is not None:
            _log_out(box)


def _log_in(box: BaseMailBox, username: str, password: str) -> None:
    """Plain LOGIN carries ASCII only."""
    if username.isascii() and password.isascii():
        box.login(username, password, initial_folder=None)
        return
    try:
        box.login_utf8(username, password, initial_folder=None)
    except imaplib.IMAP4.abort:
        raise
    except imaplib.IMAP4.error as error:
        raise MailboxLoginError(("NO", [str(error).encode()]), "OK") from None


def _log_out(box: BaseMailBox) -> None:
    try:
        box.logout()
    except _TROUBLE:
        # The connection is of no use any more, and neither is what it says about that.
        box.client.shutdown()


def _quoted(result: tuple[Any, ...]) -> str:
    """What the server said, in one short line."""
    said = result[1][-1] if len(result) > 1 and result[1] else b""
    text = said.decode("utf-8", "replace") if isinstance(said, bytes) else str(said)
    return "".join(char if char.isprintable() else " " for char in text)[:200] or "nothing"


def _sentence(options: MailboxOptions, error: Exception) -> str:
    where = f"{options.host}:{options.port}"
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"The certificate of {where} is not valid: {error.verify_message}."
    if isinstance(error, ssl.SSLError):
        return f"{where} does not speak TLS as it should; check port and security."
    if isinstance(error, TimeoutError):
        return f"{where} did not answer within {settings.IMAP_TIMEOUT_SECONDS} seconds."
    if isinstance(error, ConnectionRefusedError):
        return f"{where} accepts no connection; check host and port."
    said = "".join(char if char.isprintable() else " " for char in str(error))[:200]
    return f"The connection to {where} failed: {said or type(error).__name__}."


class _Bounded:
    """Mixed into imaplib's clients: connects to a checked address, and reads no answer without an end."""

    host: str
    port: int
    addresses: Sequence[str]
    limit: int
    ends_at: float
    # imaplib has another idea of it in each of its clients.
    file: Any

    def _begin(self, addresses: Sequence[str]) -> None:
        self.addresses, self.limit = addresses, settings.MAX_MAIL_BYTES + MARGIN
        self.ends_at = time.monotonic() + MAX_CONNECTION_SECONDS

    def _connected(self, timeout: float | None) -> socket.socket:
        last: OSError = OSError("no address")
        for address in self.addresses:
            try:
                return socket.create_connection((address, self.port), timeout)
            except OSError as error:
                last = error
        raise last

    def read(self, size: int) -> bytes:
        """Raises imaplib's abort for an answer that is longer, or takes longer, than any should."""
        if size > self.limit:
            raise imaplib.IMAP4.abort(f"an answer of {size:,} bytes is longer than was asked for")
        data = bytearray()
        while len(data) < size:
            self._require_time()
            piece = self.file.read1(size - len(data))
            if not piece:
                break
            data += piece
        return bytes(data)

    def readline(self) -> bytes:
        """One line. Raises imaplib's abort as `read` does."""
        line = bytearray()
        while not line.endswith(b"\n"):
            self._require_time()
            waiting = self.file.peek(1)
            if not waiting:
                break
            line += self.file.read1(waiting.find(b"\n") + 1 or len(waiting))
            if len(line) > MAX_LINE:
                raise imaplib.IMAP4.abort("a line of an answer has no end")
        return bytes(line)

    def _require_time(self) -> None:
        if time.monotonic() > self.ends_at:
            raise TimeoutError


class _PlainClient(_Bounded, imaplib.IMAP4):
    def __init__(self, options: MailboxOptions, addresses: Sequence[str]) -> None:
        self._begin(addresses)
        super().__init__(options.host, options.port, settings.IMAP_TIMEOUT_SECONDS)

    def _create_socket(self, timeout: float | None) -> socket.socket:
        return self._connected(timeout)


class _TlsClient(_Bounded, imaplib.IMAP4_SSL):
    def __init__(self, options: MailboxOptions, addresses: Sequence[str], context: ssl.SSLContext) -> None:
        self._begin(addresses)
        super().__init__(options.host, options.port, ssl_context=context, timeout=settings.IMAP_TIMEOUT_SECONDS)

    def _create_socket(self, timeout: float | None) -> ssl.SSLSocket:
        # The certificate is the name's, whichever address answers.
        wrapped: ssl.SSLSocket = self.ssl_context.wrap_socket(self._connected(timeout), server_hostname=self.host)
        return wrapped


class _PinnedBox(BaseMailBox):
    def __init__(self, options: MailboxOptions, addresses: Sequence[str]) -> None:
        self._options, self._addresses = options, addresses
        super().__init__()

    def _get_mailbox_client(self) -> imaplib.IMAP4:
        context = ssl.create_default_context()
        if self._options.security == "tls":
            return _TlsClient(self._options, self._addresses, context)
        client = _PlainClient(self._options, self._addresses)
        if self._options.security == "starttls":
            check_command_status(client.starttls(context), ImapRefusal)
        return client
