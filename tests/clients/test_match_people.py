"""How likely two people, or two companies, are the same: every field says its part, in words."""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from flowledger.clients.company_names import NamesAgree, are_apart, compare_companies, place_of
from flowledger.clients.identity import Key, KnownKey, SignalKeys, Status, resolve
from flowledger.clients.matching import Company, Person, score_companies, score_people
from flowledger.clients.person_names import (
    Alike,
    compare_names,
    fits_mailbox,
    is_role_mailbox,
    name_of_mailbox,
    words_of,
)
from flowledger.clients.similarity import Candidates, Thresholds

AUTO, REVIEW = Decimal("0.90"), Decimal("0.60")
ACME = Company(name="Acme Widgets GmbH", domains=("acme.de",), country="DE", client_id=10)


@pytest.mark.parametrize(
    ("name", "country", "place"),
    [
        ("Fischer Handel S.L.U.", "", "ES"),
        ("Fischer Handel S. r. o.", "", ""),
        ("Fischer Handel, s.r.o.", "", "CZ SK"),
        ("Fischer Handel Sp. z o.o.", "", "PL"),
        ("Fischer Handel S.L.U.", "DE", "DE"),
        ("Fischer Handel GmbH & Co. KG", "", "AT DE"),
        ("Fischer Handel S.A.", "", ""),
        ("Inc", "", ""),
        ("", "", ""),
    ],
)
def test_a_company_is_where_it_says_or_where_its_legal_form_is_in_use(name: str, country: str, place: str) -> None:
    assert place_of(name, country) == place


@pytest.mark.parametrize(
    ("one", "other", "apart"),
    [("CZ SK", "SK", False), ("CZ SK", "PL", True), ("", "PL", False), ("", "", False)],
)
def test_companies_are_apart_that_have_no_country_in_common(one: str, other: str, apart: bool) -> None:
    assert are_apart(one, other) is are_apart(other, one) is apart


class TestPersonNames:
    @pytest.mark.parametrize(
        ("name", "words"),
        [
            ("Dr. Ann Lee", ("ann", "lee")),
            ("LEE, Ann", ("ann", "lee")),
            ("Prof. Dr. Lee-Smith, Ann M.", ("ann", "m", "lee", "smith")),
            ("Жанна Ковалёва", ("zhanna", "kovaleva")),
            ("Γιώργος Παππάς", ("giorgos", "pappas")),
            ("Seán O'Neill", ("sean", "oneill")),
            ("8arry Arno1d", ("barry", "arnold")),
            ("Dr.", ()),
            ("", ()),
        ],
    )
    def test_are_words_without_titles(self, name: str, words: tuple[str, ...]) -> None:
        assert words_of(name) == words

    @pytest.mark.parametrize(
        ("one", "other", "given_name", "family_name"),
        [
            ("Ann Lee", "ann LEE", Alike.EQUAL, Alike.EQUAL),
            ("Bob Smith", "Robert Smith", Alike.NICKNAME, Alike.EQUAL),
            ("Paco Ruiz", "Francisco Ruiz", Alike.NICKNAME, Alike.EQUAL),
            ("A. Lee", "Ann Lee", Alike.INITIAL, Alike.EQUAL),
            ("Lee Ann", "Ann Lee", Alike.EQUAL, Alike.EQUAL),
            ("Jürgen Müller", "Juergen Mueller", Alike.SOUND, Alike.SOUND),
            ("Micheal Brown", "Michael Brown", Alike.TYPO, Alike.EQUAL),
            ("Nadja Baurn", "Nadja Baum", Alike.EQUAL, Alike.DIFFERENT),
            ("Ann Lee", "Bob Lee", Alike.DIFFERENT, Alike.EQUAL),
        ],
    )
    def test_agree_part_by_part(self, one: str, other: str, given_name: Alike, family_name: Alike) -> None:
        found = compare_names(one, other)
        assert found is not None
        assert (found.given, found.family) == (given_name, family_name)

    def test_a_single_word_is_compared_with_what_it_fits(self) -> None:
        found = compare_names("Lee", "Ann Lee")
        assert found is not None
        assert found.is_single
        assert found.family is Alike.EQUAL

    def test_a_second_family_name_agrees_in_part(self) -> None:
        found = compare_names("Ann Lee-Smith", "Ann Lee")
        assert found is not None
        assert found.is_part
        assert found.family is Alike.EQUAL

    @pytest.mark.parametrize(
        ("email", "is_role"),
        [("info@acme.de", True), ("sales2@acme.de", True), ("ann@acme.de", False), ("einkauf@acme.de", True)],
    )
    def test_know_the_mailbox_of_a_function(self, email: str, is_role: bool) -> None:
        assert is_role_mailbox(email) is is_role

    def test_are_read_from_an_address(self) -> None:
        assert name_of_mailbox("ann.lee@acme.de") == "ann lee"
        assert name_of_mailbox("alee@acme.de") == ""
        assert name_of_mailbox("no-reply@acme.de") == "no reply"
        assert fits_mailbox("Ann Lee", "alee@acme.de")
        assert not fits_mailbox("Ann Lee", "bray@acme.de")

    @example("A2A", "B2A2A")
    @given(st.text(max_size=40), st.text(max_size=40))
    def test_are_compared_the_same_from_both_sides(self, one: str, other: str) -> None:
        there, back = compare_names(one, other), compare_names(other, one)
        assert (there is None) == (back is None)
        if there is not None and back is not None:
            assert (there.given + there.family) == (back.given + back.family)


class TestCompanyNames:
    @pytest.mark.parametrize(
        ("one", "other", "agree"),
        [
            ("Müller & Söhne GmbH", "Mueller und Soehne", NamesAgree.HEARD),
            ("Acme Intl", "Acme International Ltd", NamesAgree.EQUAL),
            ("North Wind Ltd", "Northwind", NamesAgree.EQUAL),
            ("Widgets Acme", "Acme Widgets", NamesAgree.REORDERED),
            ("Acme Masch.", "Acme Maschinenbau", NamesAgree.ABBREVIATED),
            ("Acme Widgets", "Acmee Widgets", NamesAgree.HEARD),
            ("Acne Widgets", "Acme Widgets", NamesAgree.MISSPELLED),
            ("The Acme Group", "Acme", NamesAgree.NOISE),
            ("Acme GmbH - Einkauf", "Acme", NamesAgree.NOISE),
            ("Müller", "Müller Logistik", NamesAgree.SHORTENED),
            ("AWL", "Acme Widgets London", NamesAgree.INITIALS),
            ("Müller Logistik", "Müller Bau", NamesAgree.DIFFERENT),
            ("Acme", "Zenith", NamesAgree.DIFFERENT),
        ],
    )
    def test_agree_in_kind(self, one: str, other: str, agree: NamesAgree) -> None:
        assert compare_companies(one, other) is agree
        assert compare_companies(other, one) is agree

    @pytest.mark.parametrize(
        ("other", "least", "most"),
        [
            pytest.param(Company(name="ACME Widgets"), "0.90", "1", id="the same name"),
            pytest.param(Company(name="Acme Widgets", country="DE"), "0.90", "1", id="in the same country"),
            pytest.param(Company(name="Acme Widgets", country="FR"), "0", "0.59", id="in another country"),
            pytest.param(Company(name="Acme Widgets", domains=("acme.fr",)), "0.60", "0.89", id="another ending"),
            pytest.param(Company(name="Acme Widgets", domains=("acme-w.de",)), "0.60", "0.89", id="another domain"),
            pytest.param(Company(name="Acme Wodgets"), "0.60", "0.89", id="a slip"),
            pytest.param(Company(name="Acme Tools"), "0", "0.59", id="another trade"),
            pytest.param(Company(name="Zenith"), "0", "0.01", id="another name"),
        ],
    )
    def test_a_subsidiary_or_a_slip_is_never_certain(self, other: Company, least: str, most: str) -> None:
        assert Decimal(least) <= score_companies(other, ACME).value <= Decimal(most)


ANN = Person(name="Ann Lee", emails=("ann.lee@acme.de",), phones=("+4930123456",), company=ACME)


class TestPeople:
    @pytest.mark.parametrize(
        "other",
        [
            pytest.param(Person(name="Ann Lee", company=ACME), id="name and company"),
            pytest.param(Person(name="Lee, Ann", company=ACME), id="turned"),
            pytest.param(Person(name="Annie Lee", company=ACME), id="a short form"),
            pytest.param(Person(name="Ann Lee", emails=("ann.lee77@gmx.de",), company=ACME), id="a private address"),
            pytest.param(Person(name="Ann Lee", phones=("+4930123456",)), id="name and phone"),
            pytest.param(Person(name="Ann Lee", company=Company(name="Acme Widgtes")), id="the company with a slip"),
        ],
    )
    def test_are_certainly_the_same(self, other: Person) -> None:
        assert score_people(other, ANN).value >= AUTO

    @pytest.mark.parametrize(
        "other",
        [
            pytest.param(Person(name="Ann Lee"), id="nothing but the name"),
            pytest.param(Person(name="Ann Lee", company=Company(name="Zenith Ltd")), id="a namesake elsewhere"),
            pytest.param(Person(name="Bob Lee", company=ACME), id="a relative at the same company"),
            pytest.param(Person(name="Bob Ray", phones=("+4930123456",), company=ACME), id="a colleague on the line"),
            pytest.param(Person(emails=("ann@gmail.com",)), id="an address that says little"),
            pytest.param(Person(name="Ann Smith", emails=("ann.smith@acme.de",), company=ACME), id="a first name"),
        ],
    )
    def test_are_left_alone(self, other: Person) -> None:
        assert score_people(other, ANN).value < REVIEW

    def test_are_asked_about_when_an_initial_is_all_there_is(self) -> None:
        found = score_people(Person(name="A. Lee", company=ACME), ANN)
        assert REVIEW <= found.value < AUTO

    def test_say_why_in_sentences(self) -> None:
        found = score_people(Person(name="Annie Lee", company=ACME), ANN)
        assert [term.sentence for term in found.terms] == [
            "'Annie Lee' and 'Ann Lee': one given name is a short form of the other, the family name is the same.",
            "Both belong to the same client.",
        ]

    def test_one_switchboard_says_less_among_colleagues(self) -> None:
        at_work = score_people(Person(phones=("+4930123456",), company=ACME), ANN)
        elsewhere = score_people(Person(phones=("+4930123456",)), ANN)
        assert {t.field: t.points for t in at_work.terms}["phone"] < elsewhere.terms[0].points

    @given(
        *[
            st.builds(
                Person,
                name=st.sampled_from(["", "Ann Lee", "Lee", "Bob Ray", "A. Lee", "Dr. X"]),
                emails=st.sampled_from([(), ("ann.lee@acme.de",), ("alee@acme.de",), ("info@acme.de",), ("a@gmx.de",)]),
                phones=st.sampled_from([(), ("+4930123456",), ("+4930123465",)]),
                company=st.sampled_from([Company(), ACME, Company(name="Acme", country="FR")]),
            )
        ]
        * 2
    )
    def test_score_the_same_from_both_sides(self, one: Person, other: Person) -> None:
        assert score_people(one, other).value == score_people(other, one).value
        assert 0 <= score_people(one, other).value <= 1


class TestResolveByLikeness:
    """The decision with candidates; what is found by keys never asks them."""

    SIGNAL = SignalKeys(email="ann@gmx.de", name="Ann Lee", company="Acme Widgets", company_name="acme widgets")
    NAME = Key("company_name", "acme widgets")

    def test_a_certain_one_is_linked_with_its_client(self) -> None:
        found = resolve(self.SIGNAL, {}, Candidates(contacts={1: ANN}))
        assert (found.status, found.contact_id, found.client_id) == (Status.LINKED, 1, 10)
        assert [rule.rule for rule in found.rules] == ["similar_contact"]
        assert found.confidence_score >= AUTO
        assert found.person_keys_to_point == (Key("email", "ann@gmx.de"),)

    def test_a_likely_one_is_made_and_asked_about(self) -> None:
        signal = SignalKeys(email="a.lee@gmx.de", name="A. Lee", company="Acme", company_name="acme")
        found = resolve(signal, {Key("company_name", "acme"): KnownKey(client_id=10)}, Candidates(contacts={1: ANN}))
        assert (found.status, found.creates_contact) == (Status.CREATED, True)
        assert [likely.pk for likely in found.suggested_contacts] == [1]

    def test_two_equally_likely_ones_are_asked_about(self) -> None:
        twin = Person(name="Ann Lee", emails=("ann.lee@zenith.de",), company=ACME)
        other = Person(name="Ann Lee", emails=("a.lee@acme.de",), phones=("+493099",), company=Company(name="Acme W."))
        found = resolve(SignalKeys(email="x@gmx.de", name="Ann Lee", company="Acme Widgets"), {}, Candidates())
        assert found.creates_contact
        same = resolve(self.SIGNAL, {}, Candidates(contacts={1: ANN, 2: twin, 3: other}))
        # 1 and 2 are probably one person twice: the best is taken rather than a third made.
        assert same.contact_id in (1, 2)

    def test_thresholds_are_the_organisations(self) -> None:
        off = Thresholds(auto=Decimal(1), review=Decimal(1))
        found = resolve(self.SIGNAL, {}, Candidates(contacts={1: ANN}, clients={10: ACME}, thresholds=off))
        assert (found.creates_contact, found.creates_client) == (True, True)
        assert found.suggested_contacts == ()

    def test_keys_go_before_likeness(self) -> None:
        known = {Key("email", "ann@gmx.de"): KnownKey(contact_id=7, contact_client_id=70)}
        found = resolve(self.SIGNAL, known, Candidates(contacts={1: ANN}, clients={10: ACME}))
        assert (found.contact_id, found.client_id) == (7, 70)

    def test_a_function_mailbox_names_nobody_else(self) -> None:
        info, domain = Key("email", "info@acme.de"), Key("company_domain", "acme.de")
        known = {
            info: KnownKey(contact_id=7, contact_name="Bob Ray", contact_email="info@acme.de"),
            domain: KnownKey(client_id=10),
        }

        def asked(name: str) -> SignalKeys:
            return SignalKeys(email="info@acme.de", email_domain="acme.de", name=name)

        found = resolve(asked("Ann Lee"), known)
        assert (found.creates_contact, found.client_id) == (True, 10)
        assert [rule.rule for rule in found.rules] == ["shared_mailbox", "exact_company_domain", "new_contact"]
        assert resolve(asked("Robert Ray"), known).contact_id == 7
        assert resolve(asked(""), known).contact_id == 7

    def test_a_phone_does_not_name_somebody_of_another_name(self) -> None:
        known = {Key("phone", "+4930123456"): KnownKey(contact_id=7, contact_name="Bob Ray")}
        found = resolve(SignalKeys(phone="+4930123456", name="Ann Lee"), known)
        assert found.creates_contact
        assert found.shared_keys == (Key("phone", "+4930123456"),)

    def test_a_subsidiary_that_is_named_goes_before_the_domain_of_its_group(self) -> None:
        keys = SignalKeys(
            email_domain="acme.de", company="Acme Widgets France", company_name="acme widgets france", name="Ann"
        )
        known = {Key("company_domain", "acme.de"): KnownKey(client_id=10)}
        france = Company(name="Acme Widgets France SARL", country="FR", client_id=11)
        assert resolve(keys, known).client_id == 10
        assert resolve(keys, known, Candidates(clients={10: ACME, 11: france})).client_id == 11
        assert resolve(keys, known, Candidates(clients={10: ACME})).creates_client

    def test_a_department_at_its_domain_is_no_company(self) -> None:
        keys = SignalKeys(email_domain="acme.de", company="Acme Widgets Einkauf", company_name="acme widgets einkauf")
        known = {Key("company_domain", "acme.de"): KnownKey(client_id=10)}
        assert resolve(keys, known, Candidates(clients={10: ACME})).client_id == 10

    def test_a_legal_form_of_another_country_is_asked_about(self) -> None:
        known = {self.NAME: KnownKey(client_id=10, client_country="DE")}
        spanish = SignalKeys(company="Acme Widgets, S.L.U.", company_name="acme widgets")
        found = resolve(spanish, known, Candidates(clients={10: ACME}))
        assert found.creates_client
        assert [(one.pk, one.score.value) for one in found.suggested_clients] == [(10, Decimal("0.63"))]
        assert found.company_keys_to_point == (Key("company_name", "acme widgets @es"),)
        german = SignalKeys(company="Acme Widgets UG", company_name="acme widgets")
        assert resolve(german, known, Candidates(clients={10: ACME})).client_id == 10

    def test_of_companies_of_one_name_the_one_of_a_person_who_is_alike_is_meant(self) -> None:
        known = {self.NAME: KnownKey(client_id=11)}
        ann = Person(name="Ann Lee", emails=("ann.lee@acme.de",), company=ACME)
        keys = SignalKeys(email="ann77@gmx.de", name="Ann Lee", company="Acme Widgets", company_name="acme widgets")
        found = resolve(keys, known, Candidates(contacts={1: ann}, clients={10: ACME}))
        assert (found.contact_id, found.client_id) == (1, 10)
        assert resolve(keys, known).client_id == 11

    def test_the_same_name_in_another_country_is_another_company(self) -> None:
        known = {self.NAME: KnownKey(client_id=10, client_country="DE")}
        french = SignalKeys(company="Acme Widgets", company_name="acme widgets", country="FR")
        found = resolve(french, known, Candidates(clients={10: ACME}))
        assert found.creates_client
        assert found.company_keys_to_point == (Key("company_name", "acme widgets @fr"),)
        assert found.shared_keys == (self.NAME,)
