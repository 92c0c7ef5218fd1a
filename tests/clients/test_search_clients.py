"""`?q=`: words in any case, parts of addresses, newest first, one organisation only, by an index."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from django.conf import settings
from django.db import ProgrammingError, connection

from flowledger.clients.models import Client, Contact
from flowledger.tenancy.models import Organization
from flowledger.tenancy.scope import org_scope, system_scope
from flowledger.tenancy.search import NEWEST_MATCHES
from tests.factories import ClientFactory, ContactFactory


@pytest.fixture
def directory(org: Organization, other_org: Organization) -> Iterator[None]:
    ClientFactory(org=org, name="Müller & Söhne GmbH", domain="mueller-soehne.de", industry="Machine Tools")
    ClientFactory(org=org, name="ACME Corporation", domain="shop.acme.co.uk")
    ClientFactory(org=org, name="Acme Labs", domain="acme-labs.io", industry="Software")
    ClientFactory(org=other_org, name="Acme Secret")
    with org_scope(org):
        yield


def found(org: Organization, q: str, **more: int) -> list[str]:
    return list(Client.objects.for_org(org).search(q, **more).order_by("-pk").values_list("name", flat=True))


@pytest.mark.usefixtures("directory")
class TestWords:
    @pytest.mark.parametrize(
        ("q", "names"),
        [
            ("acme", ["Acme Labs", "ACME Corporation"]),
            ("ACM", ["Acme Labs", "ACME Corporation"]),
            ("müller", ["Müller & Söhne GmbH"]),
            ("MÜLL", ["Müller & Söhne GmbH"]),
            ("labs acme", ["Acme Labs"]),
            ("acme soft", ["Acme Labs"]),
            ("lab acme", []),
            ("acme.co.uk", ["ACME Corporation"]),
            ("shop.acme.co", ["ACME Corporation"]),
            ("uk.acme", []),
            ("https://shop.acme.co.uk/", []),
            ("(acme) 'labs'", ["Acme Labs"]),
            ("acme & | ! <-> :* labs", ["Acme Labs"]),
            ("secret", []),
            ("nothing", []),
            ("cme", []),
        ],
    )
    def test_find(self, org: Organization, q: str, names: list[str]) -> None:
        assert found(org, q) == names

    @pytest.mark.parametrize("q", ["", "   ", "&", "---", "\x00"])
    def test_without_letters_find_everything(self, org: Organization, q: str) -> None:
        assert len(found(org, q)) == 3

    @pytest.mark.parametrize("q", ["a\x00cme", "\ud800acme", "acme " * 200, "'; DROP --", "a:*b<->c\\", "𝒜 acme"])
    def test_of_any_kind_are_harmless(self, org: Organization, q: str) -> None:
        found(org, q)

    def test_the_newest_come_first_when_there_are_too_many(self, org: Organization) -> None:
        rows = Client.objects.for_org(org).search("acme", at_most=1)
        assert [row.name for row in rows] == ["Acme Labs"]
        assert rows.filter(is_active=True).capped_at == 1

    def test_combine_with_filters(self, org: Organization) -> None:
        rows = Client.objects.for_org(org).search("acme").filter(industry="")
        assert [row.name for row in rows] == ["ACME Corporation"]


def test_contacts_are_found_by_parts_of_their_address(org: Organization) -> None:
    ann = ContactFactory(org=org, name="Ann Lee", email="ann.lee@acme.com", phone="+4930123456", title="Head of Sales")
    ContactFactory(org=org, name="Bob", email="bob@acme.de")
    with org_scope(org):
        for q in ("ann.lee@acme.com", "lee@acme", "ann.lee", "lee", "+4930123", "sales lee", "acme.com"):
            assert list(Contact.objects.for_org(org).search(q)) == [ann], q


def test_a_changed_row_is_found_by_its_new_words(org: Organization) -> None:
    client = ClientFactory(org=org, name="Acme")
    with org_scope(org):
        Client.objects.for_org(org).filter(pk=client.pk).update(name="Apex")
        assert list(Client.objects.for_org(org).search("acme")) == []
        assert list(Client.objects.for_org(org).search("apex")) == [client]


@pytest.mark.usefixtures("directory")
class TestWalls:
    def test_the_function_answers_for_the_scope_whatever_is_asked(
        self, org: Organization, other_org: Organization
    ) -> None:
        assert list(Client.objects.for_org(other_org).search("acme")) == []
        with connection.cursor() as cursor:
            cursor.execute("SELECT count(*) FROM client_search('acme', 100)")
            assert cursor.fetchone() == (2,)

    def test_only_the_tenant_role_may_call_it_and_nobody_inherits_its_owner(self) -> None:
        with connection.cursor() as cursor:
            cursor.execute(
                """
                SELECT pg_get_userbyid(proowner), proconfig,
                    has_function_privilege(%s, oid, 'EXECUTE'), has_function_privilege(session_user, oid, 'EXECUTE'),
                    pg_has_role(session_user, proowner, 'USAGE'), has_schema_privilege(proowner, 'public', 'CREATE')
                FROM pg_proc WHERE proname = 'client_search'
                """,
                [settings.SYSTEM_DB_ROLE],
            )
            assert cursor.fetchall() == [
                (settings.SEARCH_DB_ROLE, ["search_path=pg_catalog, pg_temp"], False, True, False, False)
            ]


def test_outside_of_a_scope_nobody_searches(org: Organization) -> None:
    with pytest.raises(ProgrammingError, match="permission denied"), system_scope("tests"):
        list(Client.all_orgs.search("acme"))


def test_both_ways_of_reading_find_the_same(org: Organization, other_org: Organization) -> None:
    with system_scope("tests"):
        for house in (org, other_org):
            Client.all_orgs.bulk_create(
                Client(org=house, name=f"Common {'rare' if n == 7 else 'plain'} {n}") for n in range(2000)
            )
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE clients_client")
    with org_scope(org):
        assert [row.name for row in Client.objects.for_org(org).search("common rare")] == ["Common rare 7"]
        assert Client.objects.for_org(org).search("common").count() == NEWEST_MATCHES
        assert Client.objects.for_org(org).search("common", at_most=5000).count() == 2000
