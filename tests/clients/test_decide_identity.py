"""The pure decision: facts in, resolution out, without a database."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flowledger.clients.identity import Key, KeyType, KnownKey, Resolution, SignalKeys, Status, resolve

EMAIL = Key(KeyType.EMAIL.value, "ann@acme.com")
PHONE = Key(KeyType.PHONE.value, "+4930123456")
DOMAIN = Key(KeyType.COMPANY_DOMAIN.value, "acme.com")
NAME = Key(KeyType.COMPANY_NAME.value, "acme")

ANN = KnownKey(contact_id=1, contact_client_id=10, contact_email="ann@acme.com")
ANN_ALONE = KnownKey(contact_id=1, contact_email="ann@acme.com")
BOB = KnownKey(contact_id=2, contact_client_id=20, contact_email="bob@other.com")
BOB_BY_PHONE_ONLY = KnownKey(contact_id=2, contact_client_id=20)
ACME = KnownKey(client_id=10)
OTHER = KnownKey(client_id=20)


def keys(**given: str) -> SignalKeys:
    return SignalKeys(**given)


def fired(resolution: Resolution) -> list[str]:
    return [rule.rule for rule in resolution.rules]


ANNS = {"email": EMAIL.value}
CALL = {"phone": PHONE.value}
SAYS_ACME = {"stated_domain": DOMAIN.value}
FROM_ACME = {"email_domain": DOMAIN.value}
NAMED_ACME = {"company_name": NAME.value}


def test_somebody_who_writes_from_another_company_and_names_it_is_there_now() -> None:
    known = {PHONE: BOB_BY_PHONE_ONLY, DOMAIN: ACME, NAME: ACME}
    moved = resolve(keys(**CALL, **FROM_ACME, **NAMED_ACME), known)
    assert (moved.status, moved.contact_id, moved.client_id) == (Status.LINKED, 2, 10)
    assert fired(moved) == ["exact_phone", "exact_company_domain"]
    for given_keys in (CALL | FROM_ACME, CALL | NAMED_ACME):
        assert resolve(keys(**given_keys), known).client_id == 20
    assert resolve(keys(**CALL, **FROM_ACME, **NAMED_ACME), known | {NAME: OTHER}).client_id == 20


@pytest.mark.parametrize(
    ("given", "known", "status", "contact", "client", "score", "rules"),
    [
        pytest.param({}, {}, "unresolved", None, None, "0", [], id="nothing to go by"),
        pytest.param(ANNS, {EMAIL: ANN}, "linked", 1, 10, "1", ["exact_email"], id="known address"),
        pytest.param(CALL, {PHONE: ANN}, "linked", 1, 10, "0.95", ["exact_phone"], id="known phone"),
        pytest.param(
            ANNS | CALL, {EMAIL: ANN, PHONE: ANN}, "linked", 1, 10, "1", ["exact_email", "exact_phone"], id="both agree"
        ),
        pytest.param(SAYS_ACME, {DOMAIN: ACME}, "linked", None, 10, "0.95", ["exact_company_domain"], id="a domain"),
        pytest.param(NAMED_ACME, {NAME: ACME}, "linked", None, 10, "0.9", ["exact_company_name"], id="known name"),
        pytest.param(
            ANNS | FROM_ACME,
            {EMAIL: ANN_ALONE, DOMAIN: ACME},
            "linked",
            1,
            10,
            "1",
            ["exact_email", "exact_company_domain"],
            id="address without company, its domain known",
        ),
        pytest.param(
            ANNS | FROM_ACME,
            {EMAIL: ANN, DOMAIN: OTHER},
            "linked",
            1,
            10,
            "1",
            ["exact_email"],
            id="the contact's client goes before the domain of the address",
        ),
        pytest.param(
            ANNS | CALL,
            {EMAIL: ANN, PHONE: BOB},
            "conflict",
            1,
            10,
            "0.6",
            ["exact_email", "exact_phone"],
            id="address and phone of two people",
        ),
        pytest.param(
            ANNS | SAYS_ACME,
            {EMAIL: BOB, DOMAIN: ACME},
            "conflict",
            2,
            10,
            "0.6",
            ["exact_email", "exact_company_domain"],
            id="the stated domain names the client against the contact's",
        ),
        pytest.param(
            ANNS | CALL,
            {EMAIL: KnownKey(contact_id=1, contact_email="ann@acme.com", contact_phone=PHONE.value), PHONE: BOB},
            "linked",
            1,
            None,
            "1",
            ["exact_email", "shared_phone"],
            id="a number that both have is no contradiction",
        ),
        pytest.param(
            CALL | ANNS,
            {PHONE: BOB_BY_PHONE_ONLY},
            "linked",
            2,
            20,
            "0.95",
            ["exact_phone"],
            id="phone only",
        ),
    ],
)
def test_known_keys_link(
    given: dict[str, str],
    known: dict[Key, KnownKey],
    status: str,
    contact: int | None,
    client: int | None,
    score: str,
    rules: list[str],
) -> None:
    found = resolve(keys(**given), known)
    assert (found.status, found.contact_id, found.client_id) == (status, contact, client)
    assert found.confidence_score == Decimal(score)
    assert fired(found) == rules
    assert not found.creates_contact
    assert not found.creates_client


@pytest.mark.parametrize(
    ("given", "known", "makes_contact", "makes_client", "contact", "client", "rules"),
    [
        pytest.param(ANNS, {}, True, False, None, None, ["new_contact"], id="free mail"),
        pytest.param(ANNS | FROM_ACME, {}, True, True, None, None, ["new_contact", "new_client"], id="both new"),
        pytest.param(
            ANNS | FROM_ACME,
            {DOMAIN: ACME},
            True,
            False,
            None,
            10,
            ["exact_company_domain", "new_contact"],
            id="a new person of a known company",
        ),
        pytest.param(
            ANNS | SAYS_ACME, {EMAIL: ANN_ALONE}, False, True, 1, None, ["exact_email", "new_client"], id="new company"
        ),
        pytest.param(NAMED_ACME, {}, False, True, None, None, ["new_client"], id="a company by name only"),
        pytest.param(
            SAYS_ACME | NAMED_ACME,
            {NAME: OTHER},
            False,
            True,
            None,
            None,
            ["new_client"],
            id="an unknown domain goes before a known name",
        ),
        pytest.param(
            ANNS | CALL,
            {PHONE: BOB},
            True,
            False,
            None,
            None,
            ["shared_phone", "new_contact"],
            id="a colleague on a shared line",
        ),
    ],
)
def test_what_nothing_points_at_is_created(
    given: dict[str, str],
    known: dict[Key, KnownKey],
    makes_contact: bool,
    makes_client: bool,
    contact: int | None,
    client: int | None,
    rules: list[str],
) -> None:
    found = resolve(keys(**given), known)
    assert found.status is Status.CREATED
    assert (found.creates_contact, found.creates_client) == (makes_contact, makes_client)
    assert (found.contact_id, found.client_id) == (contact, client)
    assert found.confidence_score == 1
    assert fired(found) == rules


def test_a_domain_unknown_so_far_does_not_move_a_contact_of_another_client() -> None:
    found = resolve(keys(email=EMAIL.value, stated_domain="acme-labs.io"), {EMAIL: ANN})
    assert (found.status, found.contact_id, found.client_id) == (Status.LINKED, 1, 10)
    assert found.company_keys_to_point == ()


def test_new_keys_of_a_known_contact_are_learned() -> None:
    found = resolve(keys(email=EMAIL.value, phone=PHONE.value), {EMAIL: ANN})
    assert found.person_keys_to_point == (PHONE,)


def test_a_conflict_names_the_other_side() -> None:
    found = resolve(keys(email=EMAIL.value, phone=PHONE.value), {EMAIL: ANN, PHONE: BOB})
    assert found.other_contact_ids == (2,)
    assert found.other_client_ids == ()


def test_free_mail_is_no_company() -> None:
    read = SignalKeys.read(
        email="ann@gmail.com", phone="", company_name="", company_domain="gmail.com", source_ref="", region="DE"
    )
    assert read.company_domain is None
    assert read.all() == [Key("email", "ann@gmail.com")]


def test_what_does_not_parse_is_no_key() -> None:
    read = SignalKeys.read(
        email="not an address", phone="ring me", company_name="&", company_domain="co.uk", source_ref=" ", region="DE"
    )
    assert read.all() == []


FACTS = st.builds(
    KnownKey,
    contact_id=st.none() | st.integers(1, 3),
    contact_client_id=st.none() | st.integers(10, 12),
    contact_email=st.sampled_from(["", "x@y.de"]),
    contact_phone=st.sampled_from(["", PHONE.value]),
) | st.builds(KnownKey, client_id=st.none() | st.integers(10, 12))


@given(
    st.fixed_dictionaries(
        {},
        optional={
            "email": st.just(EMAIL.value),
            "phone": st.just(PHONE.value),
            "source_ref": st.just("crm-7"),
            "stated_domain": st.just(DOMAIN.value),
            "email_domain": st.just("mail.example"),
            "company_name": st.just(NAME.value),
        },
    ),
    st.data(),
)
def test_every_combination_of_facts_has_one_consistent_answer(given: dict[str, Any], data: st.DataObject) -> None:
    asked = keys(**given)
    known: dict[Key, KnownKey] = {}
    for key in asked.all():
        fact = data.draw(FACTS)
        is_person = key in asked.person_keys
        if (fact.contact_id is None or is_person) and (fact.client_id is None or not is_person):
            known[key] = fact
    found = resolve(asked, known)
    assert found == resolve(asked, known)
    assert not (found.creates_contact and found.contact_id)
    assert not (found.creates_client and found.client_id)
    assert (found.status is Status.CONFLICT) == bool(found.other_contact_ids or found.other_client_ids)
    if asked.email or asked.phone:
        assert found.contact_id or found.creates_contact
    if asked.company_keys:
        assert found.client_id or found.creates_client
    for key in (*found.person_keys_to_point, *found.company_keys_to_point):
        fact = known.get(key, KnownKey())
        assert fact.contact_id is None
        assert fact.client_id is None
