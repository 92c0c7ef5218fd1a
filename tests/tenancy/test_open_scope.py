"""The two walls: what a scope lets through, what a forgotten one does, and that one undoes itself."""

from __future__ import annotations

import threading
from typing import Any

import pytest
from django.conf import settings
from django.db import DatabaseError, IntegrityError, connection, transaction
from django.test.utils import CaptureQueriesContext

from flowledger.clients.models import Client, Contact
from flowledger.errors import ScopeError, UnscopedQueryError
from flowledger.tenancy.models import Membership, Organization
from flowledger.tenancy.scope import Scope, current_org_id, current_scope, org_scope, system_scope

pytestmark = pytest.mark.django_db


def names(sql: str = "SELECT name FROM clients_client ORDER BY name") -> list[str]:
    """Raw SQL without a word about organisations, as somebody might forget it."""
    with connection.cursor() as cursor:
        cursor.execute(sql)
        return [name for (name,) in cursor.fetchall()]


def database_scope() -> tuple[str, str]:
    """Role and organisation as PostgreSQL sees them."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT current_user::text, coalesce(current_setting('flowledger.org_id', true), '')")
        role, org = cursor.fetchone()
        return role, org


@pytest.fixture
def clients(org: Organization, other_org: Organization) -> tuple[Client, Client]:
    with system_scope("tests"):
        return Client.all_orgs.create(org=org, name="Acme"), Client.all_orgs.create(org=other_org, name="Globex")


class TestForgottenScope:
    @pytest.mark.parametrize(
        "ask",
        [
            lambda: Client.objects.all(),
            lambda: Client.objects.filter(name="Acme"),
            lambda: Client.objects.count(),
            lambda: Client.objects.get(pk=1),
            lambda: Client.objects.create(name="Acme"),
            lambda: Client.objects.exists(),
        ],
    )
    def test_raises_in_the_orm(self, ask: Any):
        with pytest.raises(UnscopedQueryError, match=r"Client\.objects needs for_org\(\)"):
            ask()

    def test_raw_sql_sees_nothing(self, clients: tuple[Client, Client]):
        assert names() == []

    def test_the_crossing_manager_sees_nothing_either(self, clients: tuple[Client, Client]):
        assert list(Client.all_orgs.all()) == []

    def test_naming_the_organisation_without_opening_it_sees_nothing(self, org: Organization, clients: Any):
        assert list(Client.objects.for_org(org)) == []

    def test_writes_are_refused(self, org: Organization):
        with pytest.raises(DatabaseError, match="row-level security"), transaction.atomic():
            Client.all_orgs.create(org=org, name="Acme")

        with system_scope("tests"):
            assert Client.all_orgs.count() == 0

    def test_changes_and_deletions_meet_no_row(self, clients: tuple[Client, Client]):
        with connection.cursor() as cursor:
            cursor.execute("UPDATE clients_client SET name = 'taken'")
            updated = cursor.rowcount
            cursor.execute("DELETE FROM clients_client")
            deleted = cursor.rowcount

        assert (updated, deleted) == (0, 0)
        with system_scope("tests"):
            assert names() == ["Acme", "Globex"]


class TestOrganisationScope:
    def test_raw_sql_sees_its_rows_only(self, org: Organization, other_org: Organization, clients: Any):
        with org_scope(org):
            assert names() == ["Acme"]
            assert names("SELECT name FROM tenancy_organization") == ["Harbour"]
        with org_scope(other_org):
            assert names() == ["Globex"]

    def test_the_crossing_manager_does_not_cross(self, org: Organization, clients: tuple[Client, Client]):
        with org_scope(org):
            assert [client.name for client in Client.all_orgs.order_by("pk")] == ["Acme"]

    def test_raw_sql_cannot_write_for_another(self, org: Organization, other_org: Organization, clients: Any):
        with (
            org_scope(org),
            pytest.raises(DatabaseError, match="row-level security"),
            transaction.atomic(),
            connection.cursor() as cursor,
        ):
            cursor.execute("UPDATE clients_client SET org_id = %s", [other_org.pk])

        with org_scope(other_org):
            assert names() == ["Globex"]

    def test_a_row_of_another_can_be_neither_changed_nor_deleted(self, org: Organization, clients: Any):
        stranger = clients[1]
        with org_scope(org), connection.cursor() as cursor:
            cursor.execute("UPDATE clients_client SET name = 'taken' WHERE id = %s", [stranger.pk])
            assert cursor.rowcount == 0
            cursor.execute("DELETE FROM clients_client WHERE id = %s", [stranger.pk])
            assert cursor.rowcount == 0

    def test_costs_one_round_trip(self, org: Organization):
        with CaptureQueriesContext(connection) as captured, org_scope(org):
            pass
        entered, left = [query["sql"] for query in captured if "set_config" in query["sql"]]

        # Left by a statement only because the test's own transaction goes on.
        assert f"set_config('role', '{settings.TENANT_DB_ROLE}', true)" in entered
        assert f"set_config('flowledger.org_id', '{org.pk}', true)" in entered
        assert "set_config('role', 'none', true)" in left

    def test_entering_the_same_one_again_costs_nothing(self, org: Organization, django_assert_num_queries: Any):
        with org_scope(org), django_assert_num_queries(0), org_scope(org.pk):
            assert current_org_id() == org.pk

    def test_another_one_inside_is_refused_before_any_statement(
        self, org: Organization, other_org: Organization, django_assert_num_queries: Any
    ):
        with org_scope(org):
            with (
                django_assert_num_queries(0),
                pytest.raises(
                    ScopeError, match=f"{other_org.pk} was asked for inside the scope of organisation {org.pk}"
                ),
                org_scope(other_org),
            ):
                pytest.fail("entered")
            assert current_org_id() == org.pk

    def test_cannot_widen_itself(self, org: Organization):
        with org_scope(org):
            with pytest.raises(ScopeError, match="crosses organisations"), system_scope("everything"):
                pytest.fail("entered")
            assert names("SELECT name FROM tenancy_organization") == ["Harbour"]

    def test_is_known_to_python_and_to_the_database(self, org: Organization):
        with org_scope(org):
            assert current_scope() == Scope(org.pk)
            assert database_scope() == (settings.TENANT_DB_ROLE, str(org.pk))
        assert current_scope() is None
        assert database_scope()[1] == ""
        assert database_scope()[0] != settings.TENANT_DB_ROLE

    def test_an_exception_leaves_it_too(self, org: Organization):
        with pytest.raises(LookupError), org_scope(org):
            raise LookupError

        assert current_scope() is None
        assert database_scope()[1] == ""
        assert names() == []

    def test_what_it_wrote_goes_with_the_exception(self, org: Organization):
        with pytest.raises(LookupError), org_scope(org):
            Client(org=org, name="Acme").save()
            raise LookupError

        with system_scope("tests"):
            assert names() == []


class TestSystemScope:
    def test_sees_every_organisation(self, clients: tuple[Client, Client]):
        with system_scope("tests"):
            assert names() == ["Acme", "Globex"]
            assert current_org_id() is None

    def test_narrows_to_one_organisation_and_comes_back(self, org: Organization, clients: tuple[Client, Client]):
        with system_scope("tests"):
            with org_scope(org):
                assert names() == ["Acme"]
            assert names() == ["Acme", "Globex"]
            assert current_scope() == Scope(None, "tests")

    def test_comes_back_after_an_exception(self, org: Organization, clients: tuple[Client, Client]):
        with system_scope("tests"):
            with pytest.raises(LookupError), org_scope(org):
                raise LookupError
            assert names() == ["Acme", "Globex"]
            assert current_scope() == Scope(None, "tests")

    def test_comes_back_after_a_refused_statement(self, org: Organization, clients: tuple[Client, Client]):
        with system_scope("tests"):
            with pytest.raises(DatabaseError), org_scope(org), connection.cursor() as cursor:
                cursor.execute("SELECT 1 / 0")
            assert names() == ["Acme", "Globex"]

    def test_goes_through_organisations_one_after_the_other(
        self, org: Organization, other_org: Organization, clients: tuple[Client, Client]
    ):
        found = []
        with system_scope("tests"):
            for each in (org, other_org, org):
                with org_scope(each):
                    found.append(names())

        assert found == [["Acme"], ["Globex"], ["Acme"]]

    def test_a_second_one_inside_costs_nothing(self, db: None, django_assert_num_queries: Any):
        with system_scope("tests"), django_assert_num_queries(0), system_scope("again"):
            assert current_scope() == Scope(None, "tests")


class TestRollback:
    def test_of_an_inner_transaction_keeps_the_scope(self, org: Organization, clients: tuple[Client, Client]):
        with org_scope(org):
            with pytest.raises(LookupError), transaction.atomic():
                Client(org=org, name="Initech").save()
                raise LookupError
            assert names() == ["Acme"]
            assert database_scope() == (settings.TENANT_DB_ROLE, str(org.pk))

    @pytest.mark.django_db(transaction=True)
    def test_of_the_outermost_transaction_ends_it_with_the_connection_clean(self, db: None):
        with system_scope("tests"):
            org = Organization.objects.create(name="Harbour")
        with pytest.raises(DatabaseError), org_scope(org), connection.cursor() as cursor:
            cursor.execute("SELECT 1 / 0")

        assert current_scope() is None
        assert database_scope()[1] == ""
        with org_scope(org):
            assert names("SELECT name FROM tenancy_organization") == ["Harbour"]

    @pytest.mark.django_db(transaction=True)
    def test_the_outermost_scope_is_one_statement_in_its_transaction(self, db: None):
        with system_scope("tests"):
            org = Organization.objects.create(name="Harbour")
        with CaptureQueriesContext(connection) as captured, org_scope(org):
            assert names() == []

        sql = [query["sql"] for query in captured if query["sql"] not in {"BEGIN", "COMMIT"}]
        assert len(sql) == 2
        assert sql[0].startswith("SELECT set_config('role', ")


class TestReferences:
    def test_a_row_cannot_point_at_another_organisations_row(
        self, org: Organization, other_org: Organization, clients: tuple[Client, Client]
    ):
        """The foreign key itself refuses, with no policy in the way."""
        with pytest.raises(IntegrityError, match="contact_client_same_org"), system_scope("tests"):
            Contact.all_orgs.create(org=org, name="Ann", client=clients[1])

    def test_raw_sql_cannot_either(self, org: Organization, clients: tuple[Client, Client]):
        with system_scope("tests"):
            contact = Contact.all_orgs.create(org=org, name="Ann", client=clients[0])
        with (
            pytest.raises(IntegrityError, match="contact_client_same_org"),
            system_scope("tests"),
            connection.cursor() as cursor,
        ):
            cursor.execute("UPDATE clients_contact SET client_id = %s WHERE id = %s", [clients[1].pk, contact.pk])

        with org_scope(org):
            contact.refresh_from_db()
            assert contact.client_id == clients[0].pk

    def test_a_row_cannot_move_away_from_what_points_at_it(
        self, org: Organization, other_org: Organization, clients: tuple[Client, Client]
    ):
        with system_scope("tests"):
            Contact.all_orgs.create(org=org, name="Ann", client=clients[0])
        with (
            pytest.raises(IntegrityError, match="contact_client_same_org"),
            system_scope("tests"),
            connection.cursor() as cursor,
        ):
            cursor.execute("UPDATE clients_client SET org_id = %s WHERE id = %s", [other_org.pk, clients[0].pk])


class TestThreads:
    @pytest.mark.django_db(transaction=True)
    def test_a_scope_belongs_to_its_thread(self, db: None):
        with system_scope("tests"):
            org = Organization.objects.create(name="Harbour")
        seen: list[Scope | None] = []

        def look() -> None:
            try:
                seen.append(current_scope())
            finally:
                connection.close()

        with org_scope(org):
            thread = threading.Thread(target=look)
            thread.start()
            thread.join()

        assert seen == [None]


class TestRowVersion:
    def test_grows_with_every_stored_change(self, org: Organization):
        with org_scope(org):
            client = Client(org=org, name="Acme")
            client.save()
            assert client.row_version == 1
            client.name = "Acme Ltd"
            client.save(update_fields=["name"])
            client.refresh_from_db()
            assert (client.row_version, client.name) == (2, "Acme Ltd")
            Client.objects.for_org(org).filter(pk=client.pk).update(industry="Ships")
            client.refresh_from_db()
            assert client.row_version == 3

    def test_a_state_is_no_column_for_update(self, org: Organization):
        from workstream.models import Pursuit

        with org_scope(org), pytest.raises(TypeError, match=r"Pursuit\.stage is a state"):
            Pursuit.objects.for_org(org).update(stage="won")

    def test_membership_rows_are_walled_too(self, org: Organization, other_org: Organization):
        with org_scope(org), pytest.raises(UnscopedQueryError):
            Membership.objects.all()
