"""Every spelling of an address, number, domain or name becomes one key, or none."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flowledger.clients import normalising
from flowledger.clients.models import DOMAIN_SHAPE, E164_SHAPE, EMAIL_SHAPE

# Text as it comes in the wild: anything, and things that nearly parse.
ANYTHING = st.text(max_size=60)
NEARLY_EMAIL = st.builds(
    "{}@{}.{}".format, st.text(max_size=12), st.text(max_size=12), st.sampled_from(["de", "co.uk", "test", "中国", ""])
)
NEARLY_PHONE = st.from_regex(r"\+?[0-9 ()./-]{0,20}", fullmatch=True)


class TestEmail:
    @pytest.mark.parametrize(
        ("text", "address", "key"),
        [
            ("Ann@Acme.COM", "ann@acme.com", "ann@acme.com"),
            ("  ann@acme.com ", "ann@acme.com", "ann@acme.com"),
            ("ann+news@acme.com", "ann+news@acme.com", "ann+news@acme.com"),
            ("a.n.n+x@gmail.com", "a.n.n+x@gmail.com", "ann@gmail.com"),
            ("A.nn@GoogleMail.com", "a.nn@googlemail.com", "ann@gmail.com"),
            ("ann.b+x@outlook.com", "ann.b+x@outlook.com", "ann.b@outlook.com"),
            ("a.nn@pm.me", "a.nn@pm.me", "ann@proton.me"),
            ("info@bücher.de", "info@xn--bcher-kva.de", "info@xn--bcher-kva.de"),
            ("INFO@XN--BCHER-KVA.de", "info@xn--bcher-kva.de", "info@xn--bcher-kva.de"),
        ],
    )
    def test_has_one_spelling(self, text: str, address: str, key: str) -> None:
        assert normalising.email_address(text) == address
        assert normalising.email_key(text) == key

    @pytest.mark.parametrize("text", ["", "ann", "ann@", "@acme.com", "a b@acme.com", "ann@a..com", "jürgen@acme.de"])
    def test_is_none_without_an_address(self, text: str) -> None:
        assert normalising.email_address(text) is None
        assert normalising.email_key(text) is None

    @given(st.one_of(ANYTHING, NEARLY_EMAIL, st.emails()))
    def test_never_raises_and_is_stable(self, text: str) -> None:
        for normalise in (normalising.email_address, normalising.email_key):
            once = normalise(text)
            if once is not None:
                assert normalise(once) == once
                assert re.search(EMAIL_SHAPE.replace("[:space:]", r"\s"), once)
                assert len(once) <= normalising.MAX_EMAIL


class TestPhone:
    @pytest.mark.parametrize(
        ("text", "region", "number"),
        [
            ("030 123456", "DE", "+4930123456"),
            ("+49 (30) 123-456", "US", "+4930123456"),
            ("0049 30 123456", "DE", "+4930123456"),
            ("(415) 555-2671", "us", "+14155552671"),
            ("+1 415 555 2671 ext. 9", "DE", "+14155552671"),
        ],
    )
    def test_is_e164(self, text: str, region: str, number: str) -> None:
        assert normalising.phone_number(text, region) == number

    @pytest.mark.parametrize("text", ["", "call me", "12", "+", "1" * 40, "+999 1234567"])
    def test_is_none_when_no_such_number_can_exist(self, text: str) -> None:
        assert normalising.phone_number(text, "DE") is None

    @given(st.one_of(ANYTHING, NEARLY_PHONE), st.sampled_from(["DE", "US", "GB", "", "ZZ"]))
    def test_never_raises_and_is_stable(self, text: str, region: str) -> None:
        once = normalising.phone_number(text, region)
        if once is not None:
            assert re.search(E164_SHAPE, once)
            assert normalising.phone_number(once, "US") == once


class TestDomain:
    @pytest.mark.parametrize(
        ("text", "domain"),
        [
            ("Acme.com", "acme.com"),
            ("https://www.shop.acme.co.uk:8080/path?q=1", "acme.co.uk"),
            ("ann@mail.acme.com", "acme.com"),
            ("Bücher.de", "xn--bcher-kva.de"),
            ("acme.github.io", "acme.github.io"),
            ("acme.com.", "acme.com"),
        ],
    )
    def test_is_what_was_registered(self, text: str, domain: str) -> None:
        assert normalising.registrable_domain(text) == domain

    @pytest.mark.parametrize("text", ["", "co.uk", "localhost", "127.0.0.1", "[::1]", "a_b.com", "..", "acme"])
    def test_is_none_without_one(self, text: str) -> None:
        assert normalising.registrable_domain(text) is None

    @pytest.mark.parametrize("text", ["gmail.com", "ann@GMX.de", "mail.yahoo.co.uk"])
    def test_of_free_mail_is_no_company(self, text: str) -> None:
        assert normalising.registrable_domain(text) is not None
        assert normalising.company_domain(text) is None

    def test_every_free_mail_domain_is_registrable(self) -> None:
        domains = normalising.lines_of("free_mail_domains.txt")
        assert len(domains) >= 150
        assert [domain for domain in domains if normalising.registrable_domain(domain) != domain] == []

    @given(st.one_of(ANYTHING, NEARLY_EMAIL, st.from_regex(r"(https?://)?[a-z0-9.-]{1,40}(/.*)?", fullmatch=True)))
    def test_never_raises_and_is_stable(self, text: str) -> None:
        once = normalising.registrable_domain(text)
        if once is not None:
            assert re.search(DOMAIN_SHAPE, once)
            assert normalising.registrable_domain(once) == once


class TestCompanyName:
    @pytest.mark.parametrize(
        ("text", "key"),
        [
            ("ACME Inc.", "acme"),
            ("Müller & Söhne GmbH & Co. KG", "muller sohne"),
            ("Straße AG", "strasse"),
            ("Acme S.p.A.", "acme"),
            ("ACME, L.L.C.", "acme"),
            ("  Acme   Holding  Pty Ltd ", "acme holding"),
            ("The Co Company", "the"),
            ("Limited", "limited"),
            ("Ａｃｍｅ", "acme"),
        ],
    )
    def test_is_folded_without_its_legal_form(self, text: str, key: str) -> None:
        assert normalising.company_name_key(text) == key

    @pytest.mark.parametrize("text", ["", "  ", "&", "___"])
    def test_is_none_without_a_word(self, text: str) -> None:
        assert normalising.company_name_key(text) is None

    @given(ANYTHING)
    def test_never_raises_and_is_stable(self, text: str) -> None:
        once = normalising.company_name_key(text)
        if once is not None:
            assert normalising.company_name_key(once) == once
            assert len(once) <= normalising.MAX_COMPANY_NAME
