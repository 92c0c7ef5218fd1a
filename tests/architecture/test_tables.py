"""The walls as they stand in the database, read from its own catalogue after every migration has run."""

from __future__ import annotations

from typing import Any

import pytest
from django.apps import apps
from django.conf import settings
from django.db import connection, models

from flowledger.tenancy.checks import CROSS_TENANT_INDEXES, tenant_models
from flowledger.tenancy.models import Organization

pytestmark = pytest.mark.django_db

# Tables without org_id that hold nobody's pipeline, and why.
SHARED_TABLES = {
    "tenancy_user": "a person may belong to several organisations",
    "tenancy_user_groups": "Django's",
    "tenancy_user_user_permissions": "Django's",
    "tenancy_organization": "its own id is the organisation",
    "auth_group": "Django's",
    "auth_group_permissions": "Django's",
    "auth_permission": "Django's",
    "django_admin_log": "Django's",
    "django_content_type": "Django's",
    "django_migrations": "Django's",
    "django_session": "Django's",
}
INVERTED = {"gin", "brin"}
# What stands beside Django's own tables: the rows of the log of the admin are shown by nobody.
SEARCHED = {
    *("workstream_signal", "workstream_candidate", "workstream_pursuit", "workstream_todayitem"),
    *("clients_client", "clients_contact", "clients_identitykey"),
    *("memory_atom", "memory_atomlink", "memory_termstat", "memory_memoryledger"),
}


def rows(sql: str, *params: Any) -> list[tuple[Any, ...]]:
    with connection.cursor() as cursor:
        cursor.execute(sql, params)
        return cursor.fetchall()


def tenant_tables() -> set[str]:
    return {model._meta.db_table for model in tenant_models()}


def tables_with_org_id() -> set[str]:
    return {
        name
        for (name,) in rows(
            """
            SELECT c.relname FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid
            WHERE c.relnamespace = 'public'::regnamespace AND c.relkind IN ('r', 'p') AND a.attname = 'org_id'
              AND NOT c.relispartition
            """
        )
    }


def test_every_table_is_a_tenants_or_named():
    everything = {
        name
        for (name,) in rows(
            """
            SELECT relname FROM pg_class
            WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'p') AND NOT relispartition
            """
        )
    }
    installed = {table for table in everything if not table.startswith(("tests_", "fault_"))}

    assert installed - tables_with_org_id() - set(SHARED_TABLES) == set()


def test_every_table_with_org_id_is_a_tenant_model():
    assert tables_with_org_id() == tenant_tables()


def test_row_security_is_enabled_and_forced():
    open_tables = [
        name
        for name, enabled, forced in rows(
            "SELECT relname, relrowsecurity, relforcerowsecurity FROM pg_class WHERE relname = ANY(%s)",
            sorted(tenant_tables() | {Organization._meta.db_table}),
        )
        if not (enabled and forced)
    ]

    assert open_tables == []


def test_the_policies_are_the_two_and_the_searchs():
    expected: dict[str, set[tuple[str, str, str]]] = {}
    for table in tenant_tables() | {Organization._meta.db_table}:
        expected[table] = {
            ("org_isolation", "ALL", settings.TENANT_DB_ROLE),
            ("system_access", "ALL", settings.SYSTEM_DB_ROLE),
        }
    found: dict[str, set[tuple[str, str, str]]] = {}
    searched: set[str] = set()
    for table, name, command, roles in rows(
        """
        SELECT tablename, policyname, cmd, array_to_string(roles, ',') FROM pg_policies
        JOIN pg_class c ON c.relname = tablename AND c.relnamespace = 'public'::regnamespace
        WHERE schemaname = 'public' AND NOT c.relispartition
        """
    ):
        if name == "search_access":
            assert (command, roles) == ("SELECT", settings.SEARCH_DB_ROLE)
            searched.add(table)
        else:
            found.setdefault(table, set()).add((name, command, roles))

    assert found == expected
    assert searched <= SEARCHED


def test_a_partition_is_open_to_the_system_role_alone():
    """Tenants go through the partitioned table, whose policies see every row; named directly there is nothing."""
    found = rows(
        """
        SELECT child.relname, child.relrowsecurity, child.relforcerowsecurity,
            (SELECT string_agg(policyname || ' ' || cmd || ' ' || array_to_string(roles, ','), ';')
               FROM pg_policies WHERE schemaname = 'public' AND tablename = child.relname),
            has_table_privilege(%s, child.oid, 'SELECT, INSERT, UPDATE, DELETE, TRUNCATE, REFERENCES, TRIGGER')
        FROM pg_inherits JOIN pg_class child ON child.oid = inhrelid WHERE child.relkind = 'r'
        """,
        settings.TENANT_DB_ROLE,
    )

    assert len(found) >= 5
    assert {wall[1:] for wall in found} == {(True, True, f"system_access ALL {settings.SYSTEM_DB_ROLE}", False)}


def test_the_isolation_compares_the_column_as_it_is():
    """A cast of the column would keep the indexes out and spoil every estimate; reading and writing say the same."""
    for table, qual, with_check in rows(
        "SELECT tablename, qual, with_check FROM pg_policies WHERE policyname = 'org_isolation'"
    ):
        column = "id" if table == Organization._meta.db_table else "org_id"
        assert qual.startswith(f"({column} = "), table
        assert "current_setting('flowledger.org_id'" in qual, table
        assert qual == with_check, table


def test_every_row_can_be_pointed_at_together_with_its_organisation():
    """UNIQUE (org_id, id), or a primary key that begins with both."""
    keyed = {
        table
        for table, columns in rows(
            """
            SELECT c.relname, array_agg(a.attname ORDER BY place)
            FROM pg_constraint k
            JOIN pg_class c ON c.oid = k.conrelid
            CROSS JOIN LATERAL unnest(k.conkey) WITH ORDINALITY AS key (number, place)
            JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum = key.number
            WHERE k.contype IN ('u', 'p') GROUP BY c.relname, k.oid
            """
        )
        if columns[:2] == ["org_id", "id"]
    }
    pointed_at = {
        field.related_model._meta.db_table
        for model in tenant_models()
        for field in model._meta.local_concrete_fields
        if isinstance(field, models.ForeignKey) and field.related_model in set(tenant_models())
    }
    based_on_org_model = {
        model._meta.db_table for model in tenant_models() if any(f.name == "row_version" for f in model._meta.fields)
    }

    assert (pointed_at | based_on_org_model) - keyed == set()


def foreign_keys() -> set[tuple[str, str, tuple[str, ...], tuple[str, ...]]]:
    """(table, target, columns, target columns) of every foreign key."""
    return {
        (table, target, tuple(columns), tuple(target_columns))
        for table, target, columns, target_columns in rows(
            """
            SELECT c.relname, t.relname,
                   (SELECT array_agg(a.attname ORDER BY place) FROM unnest(k.conkey) WITH ORDINALITY AS key (n, place)
                    JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum = key.n),
                   (SELECT array_agg(a.attname ORDER BY place) FROM unnest(k.confkey) WITH ORDINALITY AS key (n, place)
                    JOIN pg_attribute a ON a.attrelid = t.oid AND a.attnum = key.n)
            FROM pg_constraint k
            JOIN pg_class c ON c.oid = k.conrelid JOIN pg_class t ON t.oid = k.confrelid
            WHERE k.contype = 'f' AND c.relnamespace = 'public'::regnamespace AND NOT c.relispartition
            """
        )
    }


def test_every_reference_between_tenant_tables_carries_the_organisation():
    stored = foreign_keys()
    tenants = set(tenant_models())
    missing = []
    for model in apps.get_models():
        if model not in tenants:
            continue
        for field in model._meta.local_concrete_fields:
            if isinstance(field, models.ForeignKey) and field.related_model in tenants:
                target = field.related_model._meta.db_table
                wanted = (model._meta.db_table, target, ("org_id", field.column), ("org_id", "id"))
                if wanted not in stored:
                    missing.append(f"{model._meta.label}.{field.name}")

    assert missing == []


def test_no_reference_between_tenant_tables_goes_without_it():
    tenants = tenant_tables()
    single = [
        f"{table}.{columns[0]} → {target}"
        for table, target, columns, _ in foreign_keys()
        if table in tenants and target in tenants and columns[0] != "org_id"
    ]

    assert single == []


def test_every_index_leads_with_the_organisation():
    """Named cross-tenant work, inverted indexes and plain primary keys apart."""
    strays = [
        f"{table}: {name} leads with {first}"
        for table, name, method, is_primary, first in rows(
            """
            SELECT t.relname, x.relname, am.amname, i.indisprimary,
                   coalesce(a.attname, pg_get_indexdef(i.indexrelid, 1, true))
            FROM pg_index i
            JOIN pg_class t ON t.oid = i.indrelid JOIN pg_class x ON x.oid = i.indexrelid
            JOIN pg_am am ON am.oid = x.relam
            LEFT JOIN pg_attribute a ON a.attrelid = t.oid AND a.attnum = i.indkey[0]
            WHERE t.relname = ANY(%s)
            """,
            sorted(tenant_tables()),
        )
        if first != "org_id" and not is_primary and method not in INVERTED and name not in CROSS_TENANT_INDEXES
    ]

    assert strays == []


def test_the_cross_tenant_indexes_exist():
    stored = {name for (name,) in rows("SELECT indexname FROM pg_indexes WHERE schemaname = 'public'")}

    assert CROSS_TENANT_INDEXES - stored == set()


def test_the_login_role_cannot_pass_the_walls_by_itself():
    ((is_superuser, bypasses),) = rows("SELECT rolsuper, rolbypassrls FROM pg_roles WHERE rolname = session_user")

    assert (is_superuser, bypasses) == (False, False)


def test_nobody_inherits_the_role_that_searches():
    ((inherits,),) = rows("SELECT pg_has_role(session_user, %s, 'USAGE')", settings.SEARCH_DB_ROLE)

    assert inherits is False


def test_the_scopes_roles_cannot_log_in_or_pass_row_security():
    found = rows(
        "SELECT rolname, rolcanlogin, rolsuper, rolbypassrls FROM pg_roles WHERE rolname = ANY(%s) ORDER BY rolname",
        [settings.TENANT_DB_ROLE, settings.SYSTEM_DB_ROLE, settings.SEARCH_DB_ROLE],
    )

    assert [row[1:] for row in found] == [(False, False, False)] * 3
