"""What the two kinds of mail source can be told: a provider's hook, and a mailbox that is polled."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import AfterValidator, Field, StringConstraints, model_validator

from flowledger.clients.normalising import registrable_domain
from flowledger.configuration.registry import Rule

PROVIDERS = (
    "raw",
    "postmark",
    "mailgun",
    "sendgrid",
    "mailjet",
    "brevo",
    "sparkpost",
    "mandrill",
    "resend",
)
Provider = Literal["raw", "postmark", "mailgun", "sendgrid", "mailjet", "brevo", "sparkpost", "mandrill", "resend"]


def _domain(text: str) -> str:
    domain = registrable_domain(text)
    if domain is None:
        raise ValueError(f"'{text}' is no domain; write it like acme.co.uk")
    return domain


def _host(text: str) -> str:
    host = text.strip().rstrip(".").lower()
    if not host or any(not (c.isalnum() or c in ".-:") for c in host) or not host.isascii():
        raise ValueError("Write the name of the server alone, for example imap.example.com")
    return host


Domain = Annotated[str, StringConstraints(max_length=253), AfterValidator(_domain)]
Host = Annotated[str, StringConstraints(max_length=253), AfterValidator(_host)]
# What goes into an IMAP command: no line break and nothing else below the space.
ImapText = Annotated[str, StringConstraints(min_length=1, max_length=200, pattern=r"^[^\x00-\x1f\x7f]*$")]


class ReadingOptions(Rule):
    """How messages are read, whichever way they come."""

    # Forwarded by somebody of these domains, a message is from its original sender. Without any, whoever forwards
    # does so for the sender.
    own_domains: Annotated[tuple[Domain, ...], Field(max_length=50)] = ()


class MailHookOptions(ReadingOptions):
    """A mail provider that posts what it receives.

    `raw` takes the message itself (RFC 822) with the secret as bearer token, as a mail server's pipe can send it. The
    secret is for `mailgun` its signing key, for `mandrill` its webhook key, for `resend` the signing secret, a space
    and the API key; for the others the password of the address, whose user is `flowledger`.
    """

    provider: Provider = "raw"
    # Mandrill signs the address that it was given; needed where a proxy changes what arrives here.
    public_url: Annotated[str, StringConstraints(max_length=500, pattern=r"^(https?://[^\s]+)?$")] = ""


class MailboxOptions(ReadingOptions):
    """An IMAP mailbox; its password is the source's secret."""

    host: Host
    port: Annotated[int, Field(ge=1, le=65_535)] = 993
    security: Literal["tls", "starttls", "none"] = "tls"
    username: ImapText
    folder: ImapText = "INBOX"
    # Which messages the first poll begins with: all there are, or what comes after it.
    begin_with: Literal["all", "new"] = "all"
    every_minutes: Annotated[int, Field(ge=1, le=1_440)] = 1
    after_reading: Literal["nothing", "seen", "flag", "move"] = "nothing"
    move_to: Annotated[str, StringConstraints(max_length=200, pattern=r"^[^\x00-\x1f\x7f]*$")] = ""

    @model_validator(mode="after")
    def _moves_somewhere(self) -> Self:
        if self.after_reading == "move" and not self.move_to:
            raise ValueError("Say in move_to which folder the messages go to")
        if self.after_reading == "move" and self.move_to == self.folder:
            raise ValueError("move_to names the folder that is read; name another one")
        return self
