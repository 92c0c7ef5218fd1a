"""The view of what holds now, and the walls that hold through it."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.utils.timezone import now

from flowledger.configuration import services
from flowledger.tenancy.actors import Actor
from flowledger.tenancy.models import Organization
from flowledger.tenancy.scope import org_scope, system_scope

pytestmark = pytest.mark.django_db(transaction=True)


def rows() -> list[tuple[Any, ...]]:
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT org_id, rule_type, key, version, value::text, reason FROM v_active_config ORDER BY org_id, key"
        )
        return list(cursor.fetchall())


@pytest.fixture
def two_houses(org: Organization, other_org: Organization) -> None:
    for each, hours in ((org, 48), (other_org, 24)):
        given: dict[str, Any] = {"org": each, "rule_type": "sla_rule", "actor": Actor.system("tests")}
        services.set_value(key="untouched_hours", value=hours, reason="first", at=now(), **given)
        services.set_value(key="untouched_hours", value=hours + 1, reason="second", at=now(), **given)
        services.set_value(
            key="response_hours", value=9, reason="later", effective_from=now() + timedelta(days=1), at=now(), **given
        )


class TestActiveConfig:
    def test_shows_what_holds_now_inside_the_scope_only(
        self, org: Organization, other_org: Organization, two_houses: None
    ):
        mine = (org.pk, "sla_rule", "untouched_hours", 2, "49", "second")
        theirs = (other_org.pk, "sla_rule", "untouched_hours", 2, "25", "second")

        with org_scope(org):
            assert rows() == [mine]
        with org_scope(other_org):
            assert rows() == [theirs]
        with system_scope("tests"):
            assert rows() == [mine, theirs]

    def test_an_ended_value_is_gone(self, org: Organization, two_houses: None):
        services.end_value(
            org=org,
            rule_type="sla_rule",
            key="untouched_hours",
            reason="enough",
            actor=Actor.system("tests"),
            at=now(),
        )
        with org_scope(org):
            assert rows() == []

    def test_reads_with_the_rights_of_whoever_asks(self, two_houses: None):
        with connection.cursor() as cursor:
            cursor.execute("SELECT reloptions FROM pg_class WHERE relname = 'v_active_config'")
            assert cursor.fetchall() == [(["security_invoker=true"],)]
