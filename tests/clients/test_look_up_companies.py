"""Companies are looked up by the index of their blocks, whatever the planner believes of the table."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from django.db import connection

from flowledger.clients.models import Client, IdentityKey
from flowledger.clients.sql.matching import find_companies
from flowledger.tenancy.models import Organization
from flowledger.tenancy.scope import org_scope

AT = datetime(2026, 3, 1, 9, 0, tzinfo=UTC)


def scans_of(index: str) -> int:
    """How often this connection has read an index, as far as that is not reported yet."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_stat_get_xact_numscans(%s::regclass)", [f"public.{index}"])
        return int(cursor.fetchone()[0])


@pytest.mark.parametrize("known", [0, 3])
def test_names_are_looked_up_by_their_blocks(transactional_db: None, org: Organization, known: int) -> None:
    """A connection has looked up often while hardly any names were stored; then an import brings many."""
    with org_scope(org):
        acme = Client.objects.for_org(org).create(org=org, name="Acme", domain="acme.example")
    _fill(org, acme, "local", known)
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE clients_identitykey")
    for _ in range(8):
        with org_scope(org):
            find_companies(["worldwide widgets"] * 30)
    _fill(org, acme, "worldwide", 400)

    with org_scope(org):
        before = scans_of("identity_key_blocks")
        found = find_companies([f"worldwide widgets {number}" for number in range(30)])

        assert scans_of("identity_key_blocks") - before == 30
        assert found == [[acme.pk]] * 30


def _fill(org: Organization, client: Client, name: str, many: int) -> None:
    with org_scope(org):
        IdentityKey.objects.for_org(org).bulk_create(
            IdentityKey(
                org=org,
                key_type="company_name",
                key_value=f"{name} widgets {number}",
                client=client,
                status="auto",
                first_seen=AT,
                last_seen=AT,
            )
            for number in range(many)
        )
