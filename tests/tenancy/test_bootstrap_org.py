"""`manage.py bootstrap_org`: an organisation with a member, however often and however concurrently."""

from __future__ import annotations

import json
import threading
from io import StringIO
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.db import connection

from flowledger.errors import InvalidInput
from flowledger.tenancy.actors import Role
from flowledger.tenancy.models import Membership, Organization, User
from flowledger.tenancy.scope import system_scope
from flowledger.tenancy.services import bootstrap_organization

PASSWORD = "correct horse battery staple"


def bootstrap(**given: Any) -> tuple[Organization, User]:
    return bootstrap_organization(
        **{"name": "Harbour", "username": "ann", "password": PASSWORD, "role": Role.ADMIN, **given}
    )


def rows() -> tuple[list[str], list[str], list[tuple[str, str, bool]]]:
    with system_scope("tests"):
        return (
            list(Organization.objects.order_by("name").values_list("name", flat=True)),
            list(User.objects.order_by("username").values_list("username", flat=True)),
            list(Membership.all_orgs.order_by("pk").values_list("user__username", "role", "is_active")),
        )


@pytest.mark.django_db
class TestBootstrapOrganization:
    def test_founds_an_organisation_with_its_first_member(self):
        org, user = bootstrap()

        assert rows() == (["Harbour"], ["ann"], [("ann", "admin", True)])
        assert user.is_staff
        assert user.check_password(PASSWORD)
        assert org.name == "Harbour"

    def test_again_changes_nothing(self):
        first = bootstrap()
        with system_scope("tests"):
            before = Membership.all_orgs.get().row_version
        second = bootstrap(name="HARBOUR ")

        assert [row.pk for row in second] == [row.pk for row in first]
        assert rows() == (["Harbour"], ["ann"], [("ann", "admin", True)])
        with system_scope("tests"):
            assert Membership.all_orgs.get().row_version == before

    def test_brings_role_password_and_access_to_the_given_state(self):
        bootstrap(role=Role.REP, password="another long password")
        with system_scope("tests"):
            Membership.all_orgs.update(is_active=False)
            User.objects.update(is_active=False)
        _, user = bootstrap(role=Role.MANAGER)

        assert rows()[2] == [("ann", "manager", True)]
        assert user.is_active
        assert user.check_password(PASSWORD)

    def test_a_person_may_belong_to_several(self):
        bootstrap()
        bootstrap(name="Lighthouse", role=Role.VIEWER)

        assert rows() == (["Harbour", "Lighthouse"], ["ann"], [("ann", "admin", True), ("ann", "viewer", True)])

    @pytest.mark.parametrize("blank", ["name", "username", "password"])
    def test_a_blank_is_refused_and_nothing_is_made(self, blank: str):
        with pytest.raises(InvalidInput) as refused:
            bootstrap(**{blank: "  "})

        assert list(refused.value.details["fields"]) == [blank]
        assert rows() == ([], [], [])


@pytest.mark.django_db
class TestCommand:
    def test_prints_the_ids_as_json(self):
        out = StringIO()
        call_command(
            "bootstrap_org", "Harbour", "--username", "ann", "--password", PASSWORD, "--role", "rep", stdout=out
        )

        with system_scope("tests"):
            membership = Membership.all_orgs.get()
        assert json.loads(out.getvalue()) == {"org_id": membership.org_id, "user_id": membership.user_id}
        assert membership.role == "rep"

    def test_a_refusal_is_a_sentence(self):
        with pytest.raises(CommandError, match="must not be blank"):
            call_command("bootstrap_org", " ", "--username", "ann", "--password", PASSWORD)

        assert rows() == ([], [], [])


@pytest.mark.django_db(transaction=True)
def test_two_at_once_found_one_organisation():
    together = threading.Barrier(2)
    found: list[tuple[int, int]] = []
    failed: list[BaseException] = []

    def run() -> None:
        try:
            together.wait(timeout=10)
            org, user = bootstrap()
            found.append((org.pk, user.pk))
        except BaseException as error:
            failed.append(error)
        finally:
            connection.close()

    threads = [threading.Thread(target=run) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert failed == []
    assert len(set(found)) == 1
    assert rows() == (["Harbour"], ["ann"], [("ann", "admin", True)])
