"""What the evaluation is given: the active profiles at their present versions, read by one statement."""

from __future__ import annotations

from decimal import Decimal

import pytest

from flowledger.configuration.services import set_value
from flowledger.errors import NotFound
from flowledger.tenancy.scope import org_scope
from spotlight import services
from spotlight.evaluation.types import Scale
from spotlight.services.definitions import active_profiles, definition_of, profile_at, scale_of
from tests.queries import counted_queries
from tests.spotlight.factories import AT, CLERK, WORKED_EXAMPLE, open_spotlight, wish

pytestmark = pytest.mark.django_db


class TestActiveProfiles:
    def test_are_read_by_one_statement_however_many_there_are(self, org):
        for number in range(3):
            open_spotlight(org, name=f"Profile {number}")
        with counted_queries() as cold:
            found = active_profiles(org)
        with counted_queries() as warm:
            again = active_profiles(org)
        assert [profile.name for profile in found] == ["Profile 0", "Profile 1", "Profile 2"]
        assert (len(cold), len(warm)) == (1, 1)
        assert all(first is second for first, second in zip(found, again, strict=True)), "parsed once"

    def test_leave_out_what_is_off_or_weighs_nothing(self, org):
        open_spotlight(org, active=False)
        open_spotlight(org, [])
        open_spotlight(org, [wish("industry", "=", "Banking", 0, field_type="text")])
        counted = open_spotlight(org)
        assert [profile.spotlight_id for profile in active_profiles(org)] == [counted.pk]

    def test_are_the_own_ones(self, org, other_org):
        open_spotlight(other_org)
        assert active_profiles(org) == ()

    def test_follow_an_edit_and_a_new_name_at_once(self, org):
        spotlight = open_spotlight(org, name="Banks")
        before = active_profiles(org)[0]
        keys = {"org": org, "spotlight_id": spotlight.pk, "actor": CLERK, "at": AT}
        services.update_spotlight(fields={"name": "Big banks"}, **keys)
        assert (active_profiles(org)[0].name, active_profiles(org)[0].version) == ("Big banks", 1)
        services.update_spotlight(fields={}, criteria=WORKED_EXAMPLE[:2], **keys)
        after = active_profiles(org)[0]
        assert (before.version, after.version, len(before.criteria), len(after.criteria)) == (1, 2, 4, 2)

    def test_say_all_that_the_evaluation_asks_of_a_field(self, org):
        described = wish(
            "size",
            "in",
            ["Large"],
            weight=12.5,
            required=True,
            field_type="enum",
            enum_values=["Small", "Large"],
            aliases=["Company Size"],
            label="Size of the company",
        )
        spotlight = open_spotlight(org, [described])
        [criterion] = active_profiles(org)[0].criteria
        assert criterion.criterion_id == spotlight.criteria.get().pk
        assert (criterion.field_name, criterion.label, criterion.field_type) == ("size", "Size of the company", "enum")
        assert (criterion.enum_values, criterion.aliases) == (("Small", "Large"), ("company_size",))
        assert (criterion.operator, criterion.value, criterion.required) == ("in", ["Large"], True)
        assert criterion.weight == Decimal("12.5")


class TestProfileAt:
    def test_is_the_profile_as_it_was(self, org):
        spotlight = open_spotlight(org)
        first = definition_of(spotlight)
        services.update_spotlight(
            org=org, spotlight_id=spotlight.pk, fields={}, criteria=WORKED_EXAMPLE[:1], actor=CLERK, at=AT
        )
        found = profile_at(org, spotlight.pk, 1)
        assert [each.criterion_id for each in found.criteria] == [each["criterion_id"] for each in first["criteria"]]

    def test_of_another_organisation_does_not_exist(self, org, other_org):
        spotlight = open_spotlight(other_org)
        with pytest.raises(NotFound):
            profile_at(org, spotlight.pk, 1)

    def test_of_a_version_that_was_never_made_does_not_exist(self, org):
        with pytest.raises(NotFound, match="no version 2"):
            profile_at(org, open_spotlight(org).pk, 2)


class TestScale:
    def test_is_that_of_the_registry(self, org):
        assert scale_of(org) == Scale(0.8, 0.6, 0.4, 0.5, 0.5, 30)
        bands = {"high": 0.9, "medium": 0.7, "low": 0.3, "least_coverage": 0.25}
        with org_scope(org):
            set_value(
                org=org,
                rule_type="spotlight_rule",
                key="bands",
                value=bands,
                reason="We are picky.",
                actor=CLERK,
                at=AT,
            )
            assert scale_of(org) == Scale(0.9, 0.7, 0.3, 0.25, 0.5, 30)
