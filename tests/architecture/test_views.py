"""Every SQL view of the database is declared by a migration, reads with the caller's rights, and holds no strangers."""

from __future__ import annotations

from typing import Any

import pytest
from django.apps import apps
from django.conf import settings
from django.db import DatabaseError, connection, transaction
from django.db.migrations.loader import MigrationLoader

from flowledger.sqlviews import InstallSql, SqlFunction, SqlView
from flowledger.tenancy.models import Organization
from flowledger.tenancy.scope import org_scope, system_scope
from tests.architecture.view_rows import fill
from tests.factories import OrganizationFactory
from tests.workstream.conftest import no_limits  # noqa: F401  (nothing wakes a worker here)

pytestmark = pytest.mark.django_db


def installed() -> dict[str, SqlView | SqlFunction]:
    """What the migrations leave behind, by name, read from the migrations themselves."""
    loader = MigrationLoader(None)
    found: dict[str, SqlView | SqlFunction] = {}
    for key in dict.fromkeys(node for leaf in loader.graph.leaf_nodes() for node in loader.graph.forwards_plan(leaf)):
        for operation in loader.graph.nodes[key].operations:
            if isinstance(operation, InstallSql):
                before = found.get(operation.new.name)
                assert before == operation.replaces, f"{key}: {operation.new.name} replaces what is not there"
                found[operation.new.name] = operation.new
    return found


DECLARED = installed()
VIEWS = sorted(name for name, each in DECLARED.items() if isinstance(each, SqlView))
FUNCTIONS = sorted(name for name, each in DECLARED.items() if isinstance(each, SqlFunction))


def rows(sql: str, *params: Any) -> list[tuple[Any, ...]]:
    with connection.cursor() as cursor:
        cursor.execute(sql, params)
        return cursor.fetchall()


def orgs_seen(view: str) -> set[int]:
    return {org_id for (org_id,) in rows(f'SELECT DISTINCT org_id FROM "{view}"')}


class TestCatalogue:
    def test_the_chapters_views_are_there(self):
        assert set(VIEWS) >= {
            *("v_today_panel", "v_today_panel_enhanced", "v_pursuit_checklist_ready", "v_workstream_funnel"),
            *("v_workstream_funnel_velocity", "v_sla_compliance_summary", "v_user_workload", "v_outbox_health"),
            *("v_identity_resolution_status", "v_active_config", "v_spotlight_score_summary"),
        }

    def test_every_view_of_the_database_is_declared(self):
        found = rows("SELECT viewname FROM pg_views WHERE schemaname = 'public'")
        assert sorted(name for (name,) in found) == VIEWS
        assert rows("SELECT matviewname FROM pg_matviews WHERE schemaname = 'public'") == []

    def test_every_view_reads_with_the_rights_of_the_caller(self):
        found = rows(
            "SELECT relname, coalesce(reloptions, '{}') FROM pg_class "
            "WHERE relkind = 'v' AND relnamespace = 'public'::regnamespace"
        )
        assert [name for name, options in found if "security_invoker=true" not in options] == []

    def test_every_view_says_its_version(self):
        found = rows(
            "SELECT relname, obj_description(oid, 'pg_class') FROM pg_class "
            "WHERE relkind = 'v' AND relnamespace = 'public'::regnamespace"
        )
        assert dict(found) == {name: f"version {DECLARED[name].version}" for name in VIEWS}

    @pytest.mark.parametrize("name", FUNCTIONS)
    def test_a_function_runs_with_the_rights_of_the_caller(self, name):
        found = rows(
            "SELECT prosecdef, proconfig, obj_description(oid, 'pg_proc') FROM pg_proc "
            "WHERE proname = %s AND pronamespace = 'public'::regnamespace",
            name,
        )
        assert found == [(False, None, f"version {DECLARED[name].version}")]

    def test_the_roles_may_read_and_nobody_may_write(self):
        for role in (settings.TENANT_DB_ROLE, settings.SYSTEM_DB_ROLE):
            for name in VIEWS:
                ((reads, writes),) = rows(
                    "SELECT has_table_privilege(%s, %s, 'SELECT'), "
                    "has_table_privilege(%s, %s, 'INSERT, UPDATE, DELETE, TRUNCATE')",
                    *(role, f"public.{name}") * 2,
                )
                assert (reads, writes) == (True, False), (role, name)

    def test_every_view_names_the_organisation(self):
        found = rows(
            "SELECT table_name FROM information_schema.columns WHERE table_schema = 'public' "
            "AND column_name = 'org_id' AND data_type = 'bigint' AND table_name = ANY(%s)",
            VIEWS,
        )
        assert sorted(name for (name,) in found) == VIEWS

    def test_the_models_over_views_have_the_views_columns(self):
        """A model may leave columns out; it names none that is not there."""
        over_views = [model for model in apps.get_models() if model._meta.db_table in VIEWS]
        assert len(over_views) >= 9
        for model in over_views:
            assert not model._meta.managed
            stored = rows(
                "SELECT column_name FROM information_schema.columns WHERE table_name = %s", model._meta.db_table
            )
            named = {field.column for field in model._meta.concrete_fields if field.column}
            assert named - {name for (name,) in stored} == set(), model


class TestRowSecurity:
    @pytest.fixture
    def houses(self) -> tuple[Organization, Organization]:
        """Two organisations, each with something for every view."""
        mine, theirs = OrganizationFactory(), OrganizationFactory()
        for org in (mine, theirs):
            fill(org)
        return mine, theirs

    @pytest.mark.parametrize("view", VIEWS)
    def test_a_scope_sees_its_own_rows_only(self, view, houses):
        mine, theirs = houses
        with system_scope("tests"):
            assert orgs_seen(view) >= {mine.pk, theirs.pk}, "the test has no rows for this view"
        for org in houses:
            with org_scope(org):
                assert orgs_seen(view) == {org.pk}

    @pytest.mark.parametrize("view", VIEWS)
    def test_outside_of_a_scope_there_is_nothing(self, view, houses):
        assert orgs_seen(view) == set()

    @pytest.mark.parametrize("view", VIEWS)
    def test_nothing_is_written_through_a_view(self, view, houses):
        refused = pytest.raises(DatabaseError, match=r"cannot delete|permission denied")
        with org_scope(houses[0]), refused, transaction.atomic():
            rows(f'DELETE FROM "{view}"')

    @pytest.mark.parametrize(
        ("call", "function"),
        [
            ("workstream_velocity('-infinity', 'infinity')", "workstream_velocity"),
            ("workstream_sla_compliance('-infinity', 'infinity')", "workstream_sla_compliance"),
            ("workstream_user_workload(now(), '72 hours')", "workstream_user_workload"),
        ],
    )
    def test_functions_hold_no_strangers_either(self, call, function, houses):
        assert function in FUNCTIONS
        with system_scope("tests"):
            assert {org_id for (org_id,) in rows(f"SELECT org_id FROM {call}")} >= {org.pk for org in houses}
        with org_scope(houses[0]):
            assert {org_id for (org_id,) in rows(f"SELECT org_id FROM {call}")} == {houses[0].pk}
        assert rows(f"SELECT org_id FROM {call}") == []

    def test_every_function_is_in_the_test_above(self):
        assert FUNCTIONS == ["workstream_sla_compliance", "workstream_user_workload", "workstream_velocity"]


class TestInstall:
    """Forward, back, and the next version."""

    ONE = SqlView("v_of_a_test", 1, "SELECT id AS org_id, 1 AS version FROM tenancy_organization")
    TWO = SqlView("v_of_a_test", 2, "SELECT id AS org_id, 2 AS version, name FROM tenancy_organization")

    def test_the_next_version_takes_the_place_and_goes_back(self):
        OrganizationFactory()
        first, second = InstallSql(self.ONE), InstallSql(self.TWO, replaces=self.ONE)

        def version() -> Any:
            with system_scope("tests"):
                shown = rows("SELECT DISTINCT version FROM v_of_a_test")
            return shown, rows("SELECT obj_description('v_of_a_test'::regclass, 'pg_class')")

        self.run(first.sql)
        assert version() == ([(1,)], [("version 1",)])
        self.run(second.sql)
        assert version() == ([(2,)], [("version 2",)])
        self.run(second.reverse_sql)
        assert version() == ([(1,)], [("version 1",)])
        self.run(first.reverse_sql)
        assert rows("SELECT to_regclass('v_of_a_test')") == [(None,)]

    def test_versions_follow_each_other(self):
        with pytest.raises(ValueError, match="must say which version"):
            InstallSql(self.TWO)
        with pytest.raises(ValueError, match="does not follow"):
            InstallSql(SqlView("v_of_a_test", 3, "SELECT 1"), replaces=self.ONE)

    def run(self, sql: Any) -> None:
        with connection.cursor() as cursor:
            cursor.execute(sql)
