"""Fields that the profiles of a domain share, and the rules that show, require or hide them."""

from __future__ import annotations

from typing import Any

import pytest

from flowledger.errors import Conflict, InvalidInput, NotFound, PermissionRefused
from flowledger.outbox.drain import drain_all
from flowledger.outbox.models import WorkEvent
from flowledger.tenancy.models import Organization
from spotlight import services
from spotlight.models import FieldRule, Spotlight, SpotlightField, SpotlightVersion
from spotlight.services.definitions import active_profiles
from tests.spotlight.factories import (
    AT,
    CLERK,
    FieldRuleFactory,
    SpotlightFieldFactory,
    open_spotlight,
    wish,
)
from tests.workstream.conftest import actor_of
from tests.workstream.trail import newest_event, nothing_changes

pytestmark = pytest.mark.django_db


def make(org: Organization, **fields: Any) -> SpotlightField:
    fields = {"domain": "finance", "field_name": "industry", "field_type": "text", **fields}
    return services.create_field(org=org, fields=fields, actor=CLERK, at=AT)


def change(field: SpotlightField, **fields: Any) -> SpotlightField:
    return services.update_field(org=field.org, field_id=field.pk, fields=fields, actor=CLERK, at=AT)


class TestCreateField:
    def test_folds_names_and_aliases(self, org):
        field = make(org, field_name="Company Size", aliases=["company-size", "Head  Count", "head_count"])
        assert (field.field_name, field.aliases, str(field)) == ("company_size", ["head_count"], "company size")

    def test_keeps_the_values_of_an_enum_once(self, org):
        field = make(org, field_type="enum", enum_values=["Small", " small ", "Very  large"])
        assert field.enum_values == ["Small", "Very large"]

    @pytest.mark.parametrize(
        ("fields", "path", "sentence"),
        [
            ({"field_name": ""}, "field_name", "a letter first"),
            ({"field_name": "größe"}, "field_name", "letters a to z"),
            ({"domain": ""}, "domain", "one word"),
            ({"field_type": "colour"}, "field_type", "Choose a type"),
            ({"field_type": "enum"}, "enum_values", "List the values"),
            ({"enum_values": ["x"]}, "enum_values", "Only a field of the type enum"),
            ({"field_type": "enum", "enum_values": "abc"}, "enum_values", "a list of texts"),
            ({"field_type": "enum", "enum_values": [" "]}, "enum_values", "1 to 200 characters"),
            ({"aliases": [5]}, "aliases", "1 to 200 characters"),
            ({"display_order": -1}, "display_order", "from 0 to"),
            ({"is_required": "yes"}, "is_required", "true or false"),
            ({"label": "x" * 121}, "label", "at most 120"),
            ({"colour": "red"}, "colour", "cannot be set"),
        ],
    )
    def test_refuses_what_cannot_be(self, org, fields, path, sentence):
        with nothing_changes(), pytest.raises(InvalidInput) as refusal:
            make(org, **fields)
        assert sentence in refusal.value.details["fields"][path][0]

    def test_refuses_a_taken_name(self, org, other_org):
        make(org)
        make(org, domain="retail")
        make(other_org)
        with nothing_changes(), pytest.raises(Conflict, match="change that one"):
            make(org, field_name="Industry")

    def test_refuses_a_representative(self, org, rep):
        with nothing_changes(), pytest.raises(PermissionRefused):
            services.create_field(
                org=org,
                fields={"domain": "finance", "field_name": "industry", "field_type": "text"},
                actor=actor_of(rep),
                at=AT,
            )


class TestUpdateField:
    def test_reaches_the_profiles_as_new_versions(self, org):
        mine, other = open_spotlight(org), open_spotlight(org, [wish("sites", ">", 3)])
        field = SpotlightField.all_orgs.get(org=org, field_name="industry")
        change(field, aliases=["trade"], label="Trade")
        assert newest_event(org, "spotlight.field_updated").payload == {
            "field_id": field.pk,
            "changed": ["label", "aliases"],
        }
        drain_all()
        assert [profile.version for profile in active_profiles(org)] == [2, 1]
        assert active_profiles(org)[0].criteria[0].aliases == ("trade",)
        kept = SpotlightVersion.all_orgs.get(spotlight=mine, version=2)
        assert kept.note == "A field was changed: label, aliases"
        updated = WorkEvent.all_orgs.get(org=org, event_name="spotlight.updated")
        assert (updated.item_id, updated.payload["moves_scores"]) == (mine.pk, True)
        assert Spotlight.all_orgs.get(pk=other.pk).version == 1

    def test_delivered_again_makes_no_further_version(self, org):
        spotlight = open_spotlight(org)
        field = SpotlightField.all_orgs.get(org=org, field_name="industry")
        change(field, aliases=["trade"])
        drain_all()
        with nothing_changes():
            renewed = services.renew_profiles(org=org, field_id=field.pk, changed=["aliases"], actor=CLERK, at=AT)
        assert renewed == 0
        assert Spotlight.all_orgs.get(pk=spotlight.pk).version == 2

    def test_of_a_forms_own_business_concerns_no_profile(self, org):
        open_spotlight(org)
        field = SpotlightField.all_orgs.get(org=org, field_name="industry")
        change(field, is_required=True, display_order=3)
        assert not WorkEvent.all_orgs.filter(event_name="spotlight.field_updated").exists()

    def test_of_the_same_is_no_edit(self, org):
        field = make(org, label="Trade")
        with nothing_changes():
            change(field, label="Trade ", domain="Finance", field_name="INDUSTRY")

    def test_refuses_what_a_profile_could_not_ask_any_more(self, org):
        open_spotlight(org, [wish("size", "=", "L", field_type="enum", enum_values=["S", "L"])], name="Banks")
        field = SpotlightField.all_orgs.get(org=org, field_name="size")
        for fields in ({"enum_values": ["S", "XL"]}, {"field_type": "number", "enum_values": []}):
            with nothing_changes(), pytest.raises(Conflict, match="the profile Banks"):
                change(field, **fields)
        change(field, enum_values=["L", "S", "XL"])

    def test_refuses_what_a_rule_could_not_ask_any_more(self, org):
        rule = FieldRuleFactory(org=org, operator="contains", condition_value="bank")
        with nothing_changes(), pytest.raises(Conflict, match="a rule of"):
            change(rule.condition_field, field_type="boolean")

    def test_stays_in_its_domain(self, org):
        field = make(org)
        with nothing_changes(), pytest.raises(InvalidInput, match="stays in its domain"):
            change(field, domain="retail")

    def test_refuses_a_taken_name(self, org):
        make(org)
        field = make(org, field_name="trade")
        with nothing_changes(), pytest.raises(Conflict):
            change(field, field_name="industry")

    def test_a_strangers_field_does_not_exist(self, org, other_org):
        field = make(other_org)
        with nothing_changes(), pytest.raises(NotFound):
            services.update_field(org=org, field_id=field.pk, fields={"label": "x"}, actor=CLERK, at=AT)


class TestDeleteField:
    def test_deletes_one_that_nobody_names(self, org):
        field = make(org)
        services.delete_field(org=org, field_id=field.pk, actor=CLERK, at=AT)
        assert not SpotlightField.all_orgs.filter(pk=field.pk).exists()

    def test_refuses_one_that_a_profile_looks_at(self, org):
        open_spotlight(org, name="Banks")
        field = SpotlightField.all_orgs.get(org=org, field_name="industry")
        with nothing_changes(), pytest.raises(Conflict, match="used by Banks"):
            services.delete_field(org=org, field_id=field.pk, actor=CLERK, at=AT)

    @pytest.mark.parametrize("role", ["field", "condition_field"])
    def test_refuses_one_that_a_rule_names(self, org, role):
        field = getattr(FieldRuleFactory(org=org), role)
        with nothing_changes(), pytest.raises(Conflict, match="delete them first"):
            services.delete_field(org=org, field_id=field.pk, actor=CLERK, at=AT)


class TestRules:
    def make(self, org: Organization, **fields: Any) -> FieldRule:
        field, condition = SpotlightFieldFactory(org=org), SpotlightFieldFactory(org=org, field_type="number")
        fields = {
            "field": field,
            "condition_field": condition,
            "operator": ">=",
            "condition_value": "50k",
            "effect": "show",
            **fields,
        }
        return services.create_rule(org=org, fields=fields, actor=CLERK, at=AT)

    def test_keeps_the_value_as_it_is_compared(self, org):
        rule = self.make(org)
        assert FieldRule.all_orgs.get(pk=rule.pk).condition_value == 50_000

    def test_are_changed_and_deleted(self, org):
        rule = self.make(org)
        keys: dict[str, Any] = {"org": org, "rule_id": rule.pk, "actor": CLERK, "at": AT}
        services.update_rule(fields={"effect": "require", "condition_value": 7}, **keys)
        rule.refresh_from_db()
        assert (rule.effect, rule.condition_value, rule.operator) == ("require", 7, ">=")
        services.delete_rule(**keys)
        assert not FieldRule.all_orgs.filter(pk=rule.pk).exists()

    @pytest.mark.parametrize(
        ("fields", "path", "sentence"),
        [
            ({"operator": "~"}, "operator", "Choose an operator"),
            ({"effect": "blink"}, "effect", "Choose an effect"),
            ({"condition_value": "much"}, "condition_value", "field"),
            ({"operator": "contains"}, "operator", "does not compare"),
            ({"field": None}, "field_id", "Name a field"),
        ],
    )
    def test_refuse_what_cannot_be(self, org, fields, path, sentence):
        with pytest.raises(InvalidInput) as refusal:
            self.make(org, **fields)
        assert sentence in refusal.value.details["fields"][path][0]
        assert not FieldRule.all_orgs.exists()

    def test_refuse_fields_of_two_domains_and_a_field_of_itself(self, org):
        field = SpotlightFieldFactory(org=org, field_type="number")
        for other in (SpotlightFieldFactory(org=org, domain="finance"), field):
            with pytest.raises(InvalidInput) as refusal:
                self.make(org, field=other, condition_field=field)
            assert list(refusal.value.details["fields"]) == ["condition_field_id"]
        assert not FieldRule.all_orgs.exists()

    def test_refuse_a_strangers_field(self, org, other_org):
        theirs = SpotlightFieldFactory(org=other_org)
        with pytest.raises(InvalidInput, match="no field"):
            self.make(org, field=theirs)
        assert not FieldRule.all_orgs.exists()

    def test_refuse_a_representative(self, org, rep):
        rule = self.make(org)
        with nothing_changes(), pytest.raises(PermissionRefused):
            services.delete_rule(org=org, rule_id=rule.pk, actor=actor_of(rep), at=AT)
