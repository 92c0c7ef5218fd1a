"""Profiles, criteria and fields that several people write at the same moment."""

from __future__ import annotations

from typing import Any

import pytest
from django.db import connection

from flowledger.errors import Conflict, InvalidInput, NotFound
from flowledger.outbox.drain import drain_all
from flowledger.tenancy.models import Organization
from flowledger.tenancy.scope import org_scope, system_scope
from spotlight import services
from spotlight.models import Spotlight, SpotlightCriterion, SpotlightField, SpotlightVersion
from spotlight.services.definitions import definition_of
from tests.client import ApiClient, bearer
from tests.spotlight.factories import AT, CLERK, open_spotlight, wish
from tests.workstream.trail import at_once

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("transactional_db")]


def edit(spotlight: Spotlight, criteria: Any) -> Any:
    return lambda: services.update_spotlight(
        org=spotlight.org, spotlight_id=spotlight.pk, fields={}, criteria=criteria, actor=CLERK, at=AT
    )


def require_whole(org: Organization) -> None:
    """Every profile is as its newest version keeps it, and its versions have no gap."""
    drain_all()
    with system_scope("tests"), org_scope(org):
        for spotlight in Spotlight.all_orgs.filter(org=org):
            kept = list(SpotlightVersion.all_orgs.filter(spotlight=spotlight).order_by("version"))
            assert [each.version for each in kept] == list(range(1, spotlight.version + 1))
            assert kept[-1].definition["criteria"] == definition_of(spotlight)["criteria"]


class TestAtOnce:
    def test_edits_of_a_profile_follow_each_other(self, org):
        spotlight = open_spotlight(org, [])
        wishes = [[wish(f"field_{number}", "=", "x", field_type="text")] for number in range(12)]
        answers = at_once(*[edit(spotlight, criteria) for criteria in wishes])
        assert all(isinstance(answer, Spotlight) for answer in answers), answers
        assert sorted(answer.version for answer in answers) == list(range(2, 14))
        with system_scope("tests"):
            assert SpotlightCriterion.all_orgs.filter(spotlight=spotlight).count() == 1
        require_whole(org)

    def test_additions_all_stay(self, org):
        spotlight = open_spotlight(org, [])
        fields = wish("industry", "=", "Banking", field_type="text")
        answers = at_once(
            *[lambda: services.create_criterion(org=org, spotlight_id=spotlight.pk, fields=fields, actor=CLERK, at=AT)]
            * 10
        )
        assert sorted(answer.position for answer in answers) == list(range(10)), answers
        require_whole(org)

    def test_a_field_that_all_describe_is_made_once(self, org):
        fields = [wish(f"field_{number}", "=", "x", field_type="text") for number in range(5)]
        answers = at_once(
            *[
                lambda number=number: open_spotlight(
                    org, fields if number % 2 else fields[::-1], name=f"At once {number}"
                )
                for number in range(10)
            ]
        )
        assert all(isinstance(answer, Spotlight) for answer in answers), answers
        with system_scope("tests"):
            assert SpotlightField.all_orgs.filter(org=org).count() == 5
        require_whole(org)

    def test_a_name_is_taken_once(self, org):
        answers = at_once(*[lambda: open_spotlight(org, [], name="Banks")] * 6)
        assert sorted(type(answer).__name__ for answer in answers) == [*["Conflict"] * 5, "Spotlight"]

    def test_a_field_changes_while_profiles_take_it_up(self, org):
        """No profile keeps what the field was, and nobody waits for each other."""
        first = open_spotlight(org, [wish("industry", "=", "Banking", field_type="text")])
        with system_scope("tests"):
            field = SpotlightField.all_orgs.get(org=org)

        def rename(number: int) -> Any:
            return lambda: services.update_field(
                org=org, field_id=field.pk, fields={"aliases": [f"trade_{number}"]}, actor=CLERK, at=AT
            )

        def take_up(number: int) -> Any:
            fields = [wish("industry", "contains", "bank", number)]
            return lambda: open_spotlight(org, fields, name=f"At once {number}")

        calls = [call for number in range(1, 7) for call in (rename(number), take_up(number))]
        answers = at_once(*calls, edit(first, [wish("industry", "=", "Insurance")]))
        assert not [answer for answer in answers if isinstance(answer, Exception)], answers
        require_whole(org)
        with system_scope("tests"):
            field.refresh_from_db()
            newest = SpotlightVersion.all_orgs.filter(org=org).order_by("spotlight_id", "-version")
            heads = {each.spotlight_id: each for each in reversed(newest)}
            assert {tuple(each.definition["criteria"][0]["aliases"]) for each in heads.values()} == {
                tuple(field.aliases)
            }

    def test_a_type_changes_before_or_after_a_criterion_asks_for_the_old_one(self, org):
        open_spotlight(org, [wish("size", "=", "L", field_type="text")])
        with system_scope("tests"):
            SpotlightCriterion.all_orgs.filter(org=org).delete()
            field = SpotlightField.all_orgs.get(org=org)
        change = {"field_type": "number"}
        retyped, made = at_once(
            lambda: services.update_field(org=org, field_id=field.pk, fields=change, actor=CLERK, at=AT),
            lambda: open_spotlight(org, [wish("size", "=", "XL")], name="Asks for a text"),
        )
        assert isinstance(retyped, Conflict) != isinstance(made, InvalidInput), (retyped, made)

    def test_deleting_beside_edits_ends_in_one_of_both(self, org, manager):
        """Changes on If-Match lock the row before the service does."""
        token = bearer(manager)
        for _ in range(3):
            spotlight = open_spotlight(org)
            with system_scope("tests"):
                criterion = SpotlightCriterion.all_orgs.filter(spotlight=spotlight).order_by("pk")[0]
            etag = ApiClient(token).get(f"/api/spotlights/criteria/{criterion.pk}").headers["ETag"]

            def patch(pk: int = criterion.pk, etag: str = etag) -> int:
                headers = {"If-Match": etag}
                path = f"/api/spotlights/criteria/{pk}"
                answer = ApiClient(token).patch(path, {"weight": 3}, content_type="application/json", headers=headers)
                return int(answer.status_code)

            pk = spotlight.pk
            answers = at_once(
                patch,
                edit(spotlight, [wish("industry", "=", "Insurance")]),
                patch,
                lambda pk=pk: services.delete_spotlight(org=org, spotlight_id=pk, actor=CLERK, at=AT),
            )
            assert answers[0] in {200, 404, 412}
            assert answers[2] in {200, 404, 412}
            assert isinstance(answers[1], Spotlight | NotFound)
            assert answers[3] is None, answers
            with system_scope("tests"):
                assert not Spotlight.all_orgs.filter(pk=pk).exists()
        assert connection.is_usable()
