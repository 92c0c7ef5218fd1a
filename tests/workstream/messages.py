"""Messages in the shapes of the wild, written for these tests."""

from __future__ import annotations

from email.message import EmailMessage


def crlf(text: str, charset: str = "utf-8") -> bytes:
    """A message as it travels: lines end in CRLF."""
    return text.lstrip("\n").replace("\n", "\r\n").encode(charset)


def message(
    text: str = "We need forty pumps.\n",
    *,
    sender: str = "Jane Roe <jane@acme.example>",
    subject: str = "Pumps",
    message_id: str = "<one@acme.example>",
    date: str = "Tue, 03 Mar 2026 10:00:00 +0100",
    **headers: str,
) -> bytes:
    """A plain message; headers that are blank are left out, `In_Reply_To` is In-Reply-To."""
    given = {
        "From": sender,
        "To": "sales@harbour.example",
        "Subject": subject,
        "Date": date,
        "Message-ID": message_id,
        **{name.replace("_", "-"): value for name, value in headers.items()},
    }
    head = "".join(f"{name}: {value}\n" for name, value in given.items() if value)
    return crlf(f"{head}MIME-Version: 1.0\nContent-Type: text/plain; charset=utf-8\n\n{text}")


def html_message(html: str, *, text: str = "", subject: str = "Pumps") -> bytes:
    """HTML, beside plain text when there is some."""
    mail = EmailMessage()
    mail["From"], mail["To"], mail["Subject"] = "Jane Roe <jane@acme.example>", "sales@harbour.example", subject
    mail["Message-ID"] = "<html@acme.example>"
    if text:
        mail.set_content(text)
        mail.add_alternative(html, subtype="html")
    else:
        mail.set_content(html, subtype="html")
    return mail.as_bytes()


ISO_2022_JP = (
    b"From: =?ISO-2022-JP?B?GyRCO0NFRBsoQiAbJEIyVjtSGyhC?= <hanako@nippon.example>\r\n"
    b"To: sales@harbour.example\r\n"
    b"Subject: =?ISO-2022-JP?B?GyRCJV0lcyVXJE47RDxIGyhC?=\r\n"
    b"Message-ID: <jp@nippon.example>\r\n"
    b"Content-Type: text/plain; charset=ISO-2022-JP\r\n\r\n" + "ポンプを四十台お願いします。\r\n".encode("iso2022_jp")
)
# Labelled Latin-1, and Windows' own charset: the euro sign and curly quotes tell.
MISLABELLED_1252 = (
    b"From: jane@acme.example\r\nSubject: Offer\r\nMessage-ID: <w@acme.example>\r\n"
    b"Content-Type: text/plain; charset=iso-8859-1\r\nContent-Transfer-Encoding: 8bit\r\n\r\n"
    b"It costs \x80 100, \x93all in\x94.\r\n"
)
# Labelled UTF-8, and it is Windows-1252.
MISLABELLED_UTF8 = MISLABELLED_1252.replace(b"iso-8859-1", b"utf-8")
# Labelled Latin-1, and it is UTF-8.
UTF8_AS_LATIN = (
    b"From: jane@acme.example\r\nSubject: Offer\r\nContent-Type: text/plain; charset=iso-8859-1\r\n\r\n"
    + "Grüße aus Köln – 40 Stück.\r\n".encode()
)
UNKNOWN_CHARSET = (
    b"From: jane@acme.example\r\nSubject: Offer\r\nContent-Type: text/plain; charset=x-martian\r\n\r\n"
    b"Caf\xe9 au lait\r\n"
)
# Raw bytes in headers, which nothing allows.
RAW_HEADERS = "From: Jürgen Müller <jm@acme.example>\r\nSubject: Anfrage für Köln\r\n\r\nHallo\r\n"
# One character cut in two by encoded words, and an encoded word in quotes.
SPLIT_WORDS = (
    b'From: "=?utf-8?B?SsO8cmdlbiBN?= =?utf-8?Q?=C3?= =?utf-8?Q?=BCller?=" <jm@acme.example>\r\n'
    b"Subject: =?utf-8?B?QW5mcmFnZSBmw7w=?=\r\n =?utf-8?B?ciBQdW1wZW4=?=\r\n\r\nHallo\r\n"
)
ATTACHMENTS = crlf(
    """
From: Jane Roe <jane@acme.example>
To: sales@harbour.example
Subject: Drawings
Message-ID: <files@acme.example>
MIME-Version: 1.0
Content-Type: multipart/mixed; boundary=outer

--outer
Content-Type: multipart/related; boundary=inner

--inner
Content-Type: text/html; charset=utf-8

<p>See the drawings <img src="cid:logo"></p>
--inner
Content-Type: image/png; name="logo.png"
Content-ID: <logo>
Content-Disposition: inline; filename="logo.png"
Content-Transfer-Encoding: base64

iVBORw0KGgo=
--inner--
--outer
Content-Type: application/pdf
Content-Disposition: attachment;
 filename*0*=utf-8''%C3%9Cber;
 filename*1*=sicht%20Pumpen.pdf
Content-Transfer-Encoding: base64

JVBERi0xLjQK
--outer
Content-Type: application/octet-stream; name="=?utf-8?B?UHJlaXNlIOKCrC54bHN4?="
Content-Disposition: attachment; filename="..\\\\..\\\\=?utf-8?B?UHJlaXNlIOKCrC54bHN4?="
Content-Transfer-Encoding: base64

AAECAwQ=
--outer--
"""
)
GMAIL_REPLY = """Yes, forty of them. Could you
call me tomorrow?

Best regards,
Jane Roe
Head of Purchasing
Acme Pumps Ltd
Mobile: +44 7911 123456
www.acme.example

On Mon, 2 Mar 2026 at 17:12, Rita Rep <rita@harbour.example> wrote:

> Dear Jane,
> how many do you need?
>
> --
> Rita Rep
> Tel. +49 40 999999
"""
OUTLOOK_REPLY = """Ja, vierzig Stück bitte.

Mit freundlichen Grüßen
Jürgen Müller

Müller Pumpen GmbH & Co. KG | Hafenstr. 1 | 20457 Hamburg
Tel.: 040 1234567  | Fax: 040 1234568

Diese E-Mail enthält vertrauliche Informationen. Wenn Sie nicht der richtige Adressat sind, löschen Sie sie.

Von: Rita Rep <rita@harbour.example>
Gesendet: Montag, 2. März 2026 17:12
An: Jürgen Müller <jm@mueller.example>
Betreff: AW: Pumpen

Sehr geehrter Herr Müller,
wie viele brauchen Sie?
"""
INLINE_REPLY = """On 2 March 2026 Rita Rep wrote:
> How many do you need?

Forty.

> By when?

By May.
"""
FORWARD_TEXT = """Please take care of this one.

---------- Forwarded message ---------
From: Jane Roe <jane@acme.example>
Date: Mon, 2 Mar 2026 at 09:00
Subject: Pumps for our new site
To: <info@harbour.example>


We need forty pumps by May.

Kind regards
Jane Roe
"""
APPLE_FORWARD = """
Begin forwarded message:

> From: Jane Roe <jane@acme.example>
> Subject: Pumps for our new site
> Date: 2 March 2026 at 09:00:00 CET
> To: info@harbour.example
>
> We need forty pumps by May.
"""
BOUNCE = crlf(
    """
Return-Path: <>
From: Mail Delivery System <MAILER-DAEMON@mx.acme.example>
To: sales@harbour.example
Subject: Undelivered Mail Returned to Sender
Message-ID: <bounce@mx.acme.example>
Auto-Submitted: auto-replied
Content-Type: multipart/report; report-type=delivery-status; boundary=b

--b
Content-Type: text/plain

I could not deliver your message.
--b
Content-Type: message/delivery-status

Reporting-MTA: dns; mx.acme.example

Final-Recipient: rfc822; gone@acme.example
Action: failed
Status: 5.1.1
Diagnostic-Code: smtp; 550 5.1.1 user unknown
--b
Content-Type: message/rfc822

From: sales@harbour.example
To: gone@acme.example
Subject: Our offer
Message-ID: <offer@harbour.example>

Please find our offer.
--b--
"""
)


def attached_forward() -> bytes:
    """A message whose only content is another, attached."""
    inner = EmailMessage()
    inner["From"], inner["To"], inner["Subject"] = "Jane Roe <jane@acme.example>", "info@harbour.example", "Pumps"
    inner["Message-ID"] = "<inner@acme.example>"
    inner.set_content("We need forty pumps by May.\n")
    outer = EmailMessage()
    outer["From"], outer["To"], outer["Subject"] = (
        "Rita Rep <rita@harbour.example>",
        "sales@harbour.example",
        "Fwd: Pumps",
    )
    outer["Message-ID"] = "<outer@harbour.example>"
    outer.set_content("Please take care.\n")
    outer.add_attachment(inner)
    return outer.as_bytes()


def huge(megabytes: int) -> bytes:
    """A few words and a very large attachment."""
    mail = EmailMessage()
    mail["From"], mail["Subject"], mail["Message-ID"] = "jane@acme.example", "Drawings", "<huge@acme.example>"
    mail.set_content("The drawings are attached.\n")
    mail.add_attachment(bytes(megabytes * 1_000_000), maintype="application", subtype="zip", filename="drawings.zip")
    return mail.as_bytes()
