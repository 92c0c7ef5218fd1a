"""Messages in the shapes of the wild: who they are from, what was written, what is attached."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from typing import Any

import pytest

from tests.workstream import messages as wild
from tests.workstream.messages import crlf, html_message, message
from workstream.intake.mail_reading import NoMessage, ReadMail, read_mail


def read(raw: bytes, **more: Any) -> ReadMail:
    return read_mail(raw, region="DE", **more)


def snippet(raw: bytes) -> str:
    return str(read(raw).fields.get("snippet", ""))


class TestWhoItIsFrom:
    def test_name_address_time_and_identifier(self):
        mail = read(message())

        assert mail.fields["contact_email"] == "jane@acme.example"
        assert mail.fields["contact_name"] == "Jane Roe"
        assert (mail.message_id, mail.key) == ("one@acme.example", "one@acme.example")
        assert mail.sent_at == datetime(2026, 3, 3, 9, 0, tzinfo=UTC)
        assert mail.subject == "Pumps"

    @pytest.mark.parametrize(
        ("written", "name", "address"),
        [
            ('"Roe, Jane" <jane@acme.example>', "Jane Roe", "jane@acme.example"),
            ("jane@acme.example", "", "jane@acme.example"),
            ("jane@acme.example <jane@acme.example>", "", "jane@acme.example"),
            ("Jane Roe [mailto:jane@acme.example]", "Jane Roe", "jane@acme.example"),
            ("<JANE@ACME.example>", "", "jane@acme.example"),
            ("Jane Roe", "Jane Roe", ""),
            (
                "=?utf-8?q?J=C3=BCrgen_M=C3=BCller?= <jm@xn--mller-kva.example>",
                "Jürgen Müller",
                "jm@xn--mller-kva.example",
            ),
            ("=?utf-8?b?!!!?= <jane@acme.example>", "", "jane@acme.example"),
            ("Jane Roe <jane@acme.example>, Bob <bob@acme.example>", "Jane Roe", "jane@acme.example"),
        ],
    )
    def test_senders_as_they_are_written(self, written, name, address):
        fields = read(message(sender=written)).fields

        assert (fields.get("contact_name", ""), fields.get("contact_email", "")) == (name, address)

    def test_an_answer_goes_to_reply_to(self):
        """Web forms write from their own address."""
        mail = read(message(sender="Website <noreply@harbour.example>", Reply_To="Jane Roe <jane@acme.example>"))

        assert (mail.fields["contact_email"], mail.fields["contact_name"]) == ("jane@acme.example", "Jane Roe")
        assert mail.fields["attributes"]["from"] == "Website <noreply@harbour.example>"

    def test_a_lists_own_address_is_nobody(self):
        raw = message(
            Reply_To="pumps@lists.example", List_Post="<mailto:pumps@lists.example>", List_Id="<pumps.lists.example>"
        )

        assert read(raw).fields["contact_email"] == "jane@acme.example"

    def test_a_group_that_writes_itself_into_from(self):
        raw = message(sender="'Jane Roe' via Sales <sales@harbour.example>", X_Original_Sender="jane@acme.example")

        assert read(raw).fields["contact_email"] == "jane@acme.example"
        assert read(raw).fields["contact_name"] == "Jane Roe"

    def test_without_date_sender_and_identifier(self):
        raw = message(sender="", date="", message_id="")
        mail = read(raw)

        assert mail.fields["snippet"] == "Pumps\n\nWe need forty pumps."
        assert "contact_email" not in mail.fields
        assert mail.sent_at is None
        assert mail.message_id == ""
        assert mail.key.startswith("sha256:")
        assert read(raw).key == mail.key
        assert read(raw + b"More.\r\n").key != mail.key

    @pytest.mark.parametrize(
        ("date", "instant"),
        [
            ("Tue, 3 Mar 2026 10:00:00 GMT", datetime(2026, 3, 3, 10, tzinfo=UTC)),
            ("3 Mar 2026 10:00:00 -0000", datetime(2026, 3, 3, 10, tzinfo=UTC)),
            ("Tue, 03 Mar 26 10:00:00 +0100 (CET)", datetime(2026, 3, 3, 9, tzinfo=UTC)),
            ("yesterday", None),
            ("Thu, 1 Jan 1970 00:00:00 +0000", None),
            ("Tue, 99 Mar 2026 10:00:00 +0100", None),
            ("Fri, 31 Dec 9999 23:59:59 -1400", None),
        ],
    )
    def test_dates(self, date, instant):
        assert read(message(date=date)).sent_at == instant


class TestCharsets:
    @pytest.mark.parametrize(
        ("raw", "words"),
        [
            (wild.ISO_2022_JP, "ポンプを四十台お願いします。"),
            (wild.MISLABELLED_1252, "It costs € 100, “all in”."),
            (wild.MISLABELLED_UTF8, "It costs € 100, “all in”."),
            (wild.UTF8_AS_LATIN, "Grüße aus Köln – 40 Stück."),
            (wild.UNKNOWN_CHARSET, "Café au lait"),
        ],
    )
    def test_bodies(self, raw, words):
        assert words in snippet(raw)

    def test_japanese_headers(self):
        assert read(wild.ISO_2022_JP).fields["contact_email"] == "hanako@nippon.example"
        assert read(wild.ISO_2022_JP).subject.startswith("ポンプ")

    @pytest.mark.parametrize("charset", ["utf-8", "cp1252"])
    def test_raw_bytes_in_headers(self, charset):
        mail = read(wild.RAW_HEADERS.encode(charset))

        assert (mail.fields["contact_name"], mail.subject) == ("Jürgen Müller", "Anfrage für Köln")

    def test_encoded_words_cut_inside_a_character(self):
        mail = read(wild.SPLIT_WORDS)

        assert (mail.fields["contact_name"], mail.subject) == ("Jürgen Müller", "Anfrage für Pumpen")

    @pytest.mark.parametrize("charset", ["euc-kr", "gb2312", "big5", "koi8-r", "utf-16", "shift_jis", "windows-1251"])
    def test_texts_of_the_world(self, charset):
        words = {"euc-kr": "펌프 사십 대", "gb2312": "四十台水泵", "big5": "四十台水泵", "shift_jis": "ポンプ四十台"}
        text = words.get(charset, "Сорок насосов")
        head = f"From: a@acme.example\r\nContent-Type: text/plain; charset={charset}\r\n"
        body = text.encode(charset)
        if charset == "utf-16":
            import base64

            head, body = head + "Content-Transfer-Encoding: base64\r\n", base64.encodebytes(body)

        assert snippet(head.encode() + b"\r\n" + body) == text


class TestWhatWasWritten:
    @pytest.mark.parametrize(
        ("text", "words"),
        [
            (wild.GMAIL_REPLY, "Yes, forty of them. Could you\ncall me tomorrow?"),
            (wild.OUTLOOK_REPLY, "Ja, vierzig Stück bitte."),
            (wild.INLINE_REPLY, "Forty.\n\nBy May."),
            ("Thanks, please send the offer.\n\nWe need:\n- forty pumps\n- two valves\n", None),
            ("Fine.\n\nSent from my iPhone\n", "Fine."),
            ("Fine.\n\n-- \nJane\n", "Fine."),
            (
                "CAUTION: This email came from outside the organisation. Do not click links.\n\nWe need pumps.\n",
                "We need pumps.",
            ),
            (
                "D'accord.\n\nCordialement,\nJ.\n\nLe 2 mars 2026 à 17:12, Rita <r@h.example> a écrit :\n> Bonjour\n",
                "D'accord.",
            ),
            ("Oké.\n\nOp ma 2 mrt 2026 om 17:12 schreef Rita Rep <rita@harbour.example>:\n> Hallo\n", "Oké."),
            ("Ok.\n\n-----Original Message-----\nFrom: Rita\nSent: Monday\n\nHello\n", "Ok."),
            (
                "Ok.\n\n________________________________\nFrom: Rita <r@h.example>\nSent: Monday\nTo: Jane\n\nHello\n",
                "Ok.",
            ),
            (
                "Ok.\n\nOn Mon, 2 Mar 2026 at 17:12, Rita Rep of Harbour <\nrita@harbour.example> wrote:\n\n> Hello\n",
                "Ok.",
            ),
            (
                "了解しました。\n\n2026年3月2日(月) 17:12 Rita Rep <rita@harbour.example>のメール:\n> Hello\n",
                "了解しました。",
            ),
        ],
    )
    def test_replies_and_signatures(self, text, words):
        found = snippet(message(text, subject="Re: Pumps"))

        expected = words if words is not None else text.strip()
        assert found.removeprefix("Pumps\n\n") == expected

    def test_only_a_quote_stays(self):
        assert "how many" in snippet(message("> how many\n", subject=""))

    def test_the_subject_stands_for_no_words(self):
        assert snippet(message("\n", subject="Re: Please call 040 1234")) == "Please call 040 1234"

    def test_long_texts_are_cut_at_a_word(self):
        found = snippet(message("pump " * 1000))

        assert len(found) <= 1000
        assert found.endswith("pump…")

    def test_phone_and_company_of_a_signature(self):
        fields = read(message(wild.GMAIL_REPLY)).fields

        assert fields["contact_phone"] == "+447911123456"
        assert fields["company_name"] == "Acme Pumps Ltd"

    def test_a_german_signature_with_a_fax(self):
        fields = read(message(wild.OUTLOOK_REPLY)).fields

        assert fields["contact_phone"] == "+49401234567"
        assert fields["company_name"] == "Müller Pumpen GmbH & Co. KG"

    @pytest.mark.parametrize(
        "signature",
        ["Tel. 040 1234567\nTel. 040 7654321", "Order 4711-0815", "Fax: 040 1234567"],
    )
    def test_what_is_not_certain_is_left_out(self, signature):
        assert "contact_phone" not in read(message(f"Fine.\n\n-- \nJane\n{signature}\n")).fields

    def test_two_companies_are_none(self):
        text = "Fine.\n\n-- \nJane Roe\nAcme Pumps Ltd\nA company of Global Flow Inc.\nGlobal Flow Inc.\n"

        assert "company_name" not in read(message(text)).fields

    def test_a_company_in_a_sentence_is_no_signature(self):
        assert "company_name" not in read(message("We bought from Acme Pumps Ltd\nlast year.\n")).fields


class TestHtml:
    def test_blocks_lists_and_tables(self):
        html = (
            "<style>p{color:red}</style><p>We&nbsp;need</p><ul><li>forty pumps</li><li>two valves</li></ul>"
            "<table><tr><td>by</td><td>May</td></tr></table>"
        )

        assert snippet(html_message(html)) == "Pumps\n\nWe need\n\n- forty pumps\n- two valves\n\nby May"

    def test_gmail_quotes_and_signatures(self):
        html = (
            '<div dir="ltr">Forty, please.<div class="gmail_signature">Jane Roe<br>+49 40 1234567</div></div><br>'
            '<div class="gmail_quote"><div class="gmail_attr">'
            'On Mon, 2 Mar 2026 at 17:12, Rita &lt;<a href="mailto:r@h.example">r@h.example</a>&gt; '
            "wrote:<br></div>"
            '<blockquote class="gmail_quote" style="margin:0 0 0 .8ex;border-left:1px solid">'
            "How many?</blockquote></div>"
        )
        mail = read(html_message(html, subject="Re: Pumps"))

        assert mail.fields["snippet"] == "Forty, please."
        assert mail.fields["contact_phone"] == "+49401234567"

    def test_outlook_quotes(self):
        html = (
            '<div class="WordSection1"><p class="MsoNormal">Forty, please.</p>'
            '<div style="border:none;border-top:solid #E1E1E1 1.0pt;padding:3.0pt">'
            "<p><b>From:</b> Rita Rep &lt;rita@harbour.example&gt; "
            "<br><b>Sent:</b> Monday<br><b>To:</b> Jane<br><b>Subject:</b> Pumps</p></div><p>How many?</p></div>"
        )

        assert snippet(html_message(html, subject="RE: Pumps")) == "Forty, please."

    def test_hidden_preview_lines_are_not_read(self):
        html = '<div style="display:none">Preview‌​</div><p>Hello</p><script>alert(1)</script>'

        assert snippet(html_message(html, subject="")) == "Hello"

    def test_html_beside_a_stub(self):
        html = "<p>We need forty pumps by the end of May, delivered to Hamburg.</p>"

        assert "forty pumps" in snippet(html_message(html, text="HTML only"))

    def test_broken_html(self):
        assert "forty" in snippet(html_message("<div><p>We need <b>forty<table></div></span><td>pumps"))


class TestParts:
    def test_attachments_by_name_type_and_size(self):
        assert read(wild.ATTACHMENTS).fields["attributes"]["attachments"] == [
            {"name": "logo.png", "type": "image/png", "size": 8, "inline": True},
            {"name": "Übersicht Pumpen.pdf", "type": "application/pdf", "size": 9},
            {"name": "Preise €.xlsx", "type": "application/octet-stream", "size": 5},
        ]
        assert "See the drawings" in snippet(wild.ATTACHMENTS)

    def test_a_huge_attachment_takes_no_time(self):
        raw = wild.huge(15)
        began = time.monotonic()
        mail = read(raw)

        assert mail.fields["snippet"].endswith("The drawings are attached.")
        assert mail.fields["attributes"]["attachments"][0]["size"] == 15_000_000
        assert time.monotonic() - began < 10

    def test_format_flowed_is_one_paragraph(self):
        raw = crlf("From: a@acme.example\nContent-Type: text/plain; format=flowed\n\nWe need \nforty pumps.\n")

        assert snippet(raw) == "We need forty pumps."

    def test_a_message_that_breaks_off(self):
        cut = wild.ATTACHMENTS[: wild.ATTACHMENTS.index(b"JVBERi")]

        assert "See the drawings" in snippet(cut)

    def test_nested_beyond_reason(self):
        head = b"From: a@acme.example\r\nSubject: Deep\r\n"
        parts = b"".join(b"Content-Type: multipart/mixed; boundary=b%d\r\n\r\n--b%d\r\n" % (n, n) for n in range(3000))
        try:
            mail = read(head + parts + b"\r\nHello")
        except NoMessage as error:
            assert "nested" in str(error) or "taken apart" in str(error)
        else:
            assert mail.fields["snippet"]


class TestForwards:
    @pytest.mark.parametrize("text", [wild.FORWARD_TEXT, wild.APPLE_FORWARD])
    def test_inline(self, text):
        mail = read(message(text, sender="Rita Rep <rita@harbour.example>", subject="Fwd: Pumps for our new site"))

        assert mail.fields["contact_email"] == "jane@acme.example"
        assert mail.fields["contact_name"] == "Jane Roe"
        assert mail.fields["snippet"] == "Pumps for our new site\n\nWe need forty pumps by May."
        assert mail.fields["attributes"]["forwarded_by"] == "Rita Rep <rita@harbour.example>"

    def test_the_note_above_is_kept(self):
        mail = read(message(wild.FORWARD_TEXT, sender="rita@harbour.example", subject="Fwd: Pumps"))

        assert mail.fields["attributes"]["forward_note"] == "Please take care of this one."

    def test_attached(self):
        mail = read(wild.attached_forward())

        assert mail.fields["contact_email"] == "jane@acme.example"
        assert mail.fields["snippet"] == "Pumps\n\nWe need forty pumps by May."
        assert mail.message_id == "outer@harbour.example"

    def test_only_our_own_people_forward_for_others(self):
        raw = message(wild.FORWARD_TEXT, sender="boss@acme.example", subject="Fwd: Pumps")

        assert read(raw, own_domains=["harbour.example"]).fields["contact_email"] == "boss@acme.example"
        assert read(raw).fields["contact_email"] == "jane@acme.example"

    def test_an_outlook_reply_is_no_forward(self):
        mail = read(message(wild.OUTLOOK_REPLY, sender="Jürgen Müller <jm@mueller.example>", subject="AW: Pumpen"))

        assert mail.fields["contact_email"] == "jm@mueller.example"


class TestAutomaticMessages:
    def test_a_bounce_is_nobodys(self):
        mail = read(wild.BOUNCE)

        assert mail.automatic == "bounce"
        assert "contact_email" not in mail.fields
        assert mail.fields["attributes"]["bounce"] == {
            "recipients": ["gone@acme.example"],
            "action": "failed",
            "status": "5.1.1",
            "diagnostic": "smtp; 550 5.1.1 user unknown",
        }
        assert mail.references == ["offer@harbour.example"]

    @pytest.mark.parametrize(
        ("headers", "kind"),
        [
            ({"Auto_Submitted": "auto-replied"}, "auto_reply"),
            ({"Auto_Submitted": "auto-generated; owner-email=x"}, "generated"),
            ({"Auto_Submitted": "no"}, ""),
            ({"X_Autoreply": "yes"}, "auto_reply"),
            ({"Precedence": "bulk"}, "bulk"),
            ({"List_Unsubscribe": "<https://x.example>"}, "bulk"),
            ({"subject": "Automatic reply: Pumps"}, "auto_reply"),
            ({"subject": "Abwesenheitsnotiz: Pumpen"}, "auto_reply"),
            ({"subject": "Undeliverable: Pumps", "Return_Path": "<>"}, "bounce"),
            ({"subject": "Delivery status notification of our pumps"}, ""),
        ],
    )
    def test_marks(self, headers, kind):
        mail = read(message(**headers))

        assert mail.automatic == kind
        assert mail.fields["attributes"].get("automatic", "") == kind


class TestThreads:
    def test_references_before_in_reply_to(self):
        mail = read(message(References="<a@x.example>\n <b@x.example>", In_Reply_To="<c@x.example>"))

        assert mail.references == ["a@x.example", "b@x.example", "c@x.example"]

    def test_a_message_does_not_answer_itself(self):
        assert read(message(References="<one@acme.example> <a@x.example>")).references == ["a@x.example"]

    def test_very_long_identifiers_are_hashed(self):
        mail = read(message(message_id=f"<{'x' * 400}@acme.example>"))

        assert mail.message_id.startswith("sha256:")
        assert len(mail.message_id) == 71

    def test_endless_references_keep_both_ends(self):
        found = read(message(References=" ".join(f"<{n}@x>" for n in range(500)))).references

        assert (len(found), found[0], found[-1]) == (100, "0@x", "499@x")


class TestNoMessage:
    @pytest.mark.parametrize(
        "raw", [b"", b" \r\n\r\n", b"hello", b"\x00\xff\xfe", b'{"a": 1}', b"To: a@b.example\r\n\r\n"]
    )
    def test_is_refused_with_a_sentence(self, raw):
        with pytest.raises(NoMessage, match=r"\.$"):
            read(raw)
