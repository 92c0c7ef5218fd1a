"""Fields and field rules in the back office."""

from __future__ import annotations

from html import unescape
from typing import Any

import pytest
from django.urls import reverse

from flowledger.tenancy.actors import Role
from flowledger.tenancy.scope import org_scope, system_scope
from spotlight.models import FieldRule, SpotlightField
from tests.spotlight.factories import FieldRuleFactory, SpotlightFieldFactory, open_spotlight
from tests.workstream.back_office import address, said, save, stored


@pytest.fixture(autouse=True)
def no_wake(settings: Any) -> None:
    settings.OUTBOX_WAKE = False


def make(org, **columns):
    with system_scope("tests"):
        return SpotlightFieldFactory(org=org, **columns)


class TestFields:
    def test_are_added_by_managers_with_values_and_other_names(self, home, as_role):
        save(
            as_role(Role.MANAGER),
            address(SpotlightField, "add"),
            "spotlightfield_form",
            domain="finance",
            field_name="Company Size",
            field_type="enum",
            enum_values="Small\n\n Large \n",
            aliases="head count\nstaff",
            display_order="2",
        )
        with org_scope(home.org):
            row = SpotlightField.objects.for_org(home.org).get()
        assert (row.domain, row.field_name, row.display_order) == ("finance", "company_size", 2)
        assert (row.enum_values, row.aliases) == (["Small", "Large"], ["head_count", "staff"])

    def test_an_edit_goes_through_the_use_case(self, home, as_role):
        row = make(home.org, field_name="size", field_type="enum", enum_values=["Small", "Large"])
        link = address(SpotlightField, "change", row.pk)
        save(as_role(Role.MANAGER), link, "spotlightfield_form", label="Company size", domain="elsewhere")
        assert (stored(row)["label"], stored(row)["domain"]) == ("Company size", row.domain)
        before = stored(row)
        save(as_role(Role.MANAGER), link, "spotlightfield_form")
        assert stored(row) == before

    @pytest.mark.parametrize(
        ("values", "sentence"),
        [
            ({"field_type": "enum"}, "List the values that there are to choose from."),
            ({"field_name": "9 lives"}, "a letter first"),
            ({"domain": "%%"}, "Write the domain as one word"),
            ({"enum_values": "Small"}, "Only a field of the type enum has a list of values."),
            ({"field_name": "size"}, "already"),
        ],
    )
    def test_one_that_makes_no_sense_is_refused_in_words(self, home, as_role, values, sentence):
        make(home.org, domain="finance", field_name="size")
        given = {"domain": "finance", "field_name": "budget", "field_type": "number", "display_order": "0", **values}
        response = save(as_role(Role.MANAGER), address(SpotlightField, "add"), "spotlightfield_form", **given)
        assert sentence in unescape(response.content.decode())
        with org_scope(home.org):
            assert SpotlightField.objects.for_org(home.org).count() == 1

    def test_one_in_use_is_not_deleted(self, home, as_role):
        open_spotlight(home.org, name="Banks")
        with org_scope(home.org):
            row = SpotlightField.objects.for_org(home.org).get(field_name="industry")
        client = as_role(Role.MANAGER)
        client.post(address(SpotlightField, "delete", row.pk), {"post": "yes"}, follow=True)
        assert stored(row)["id"] == row.pk

    @pytest.mark.parametrize("role", [Role.VIEWER, Role.REP])
    def test_are_read_by_the_others(self, home, as_role, role):
        row = make(home.org, field_type="enum", enum_values=["Small", "Large"], aliases=["staff"])
        link = address(SpotlightField, "change", row.pk)
        text = as_role(role).get(link).content.decode()
        assert "Small, Large" in text
        assert "Add a rule" not in text
        assert as_role(role).post(link, {"label": "Mine"}).status_code == 403
        assert stored(row)["label"] != "Mine"


class TestRules:
    @pytest.fixture
    def fields(self, home):
        return (
            make(home.org, field_name="budget", label="Budget", field_type="number"),
            make(home.org, field_name="size", label="Size", field_type="enum", enum_values=["Small", "Large"]),
        )

    def test_are_added_as_a_sentence(self, home, as_role, fields):
        budget, size = fields
        save(
            as_role(Role.MANAGER),
            address(FieldRule, "add"),
            "fieldrule_form",
            effect="require",
            field=budget.pk,
            condition_field=size.pk,
            operator="in",
            condition_value=["Large"],
        )
        with org_scope(home.org):
            rule = FieldRule.objects.for_org(home.org).get()
        assert (rule.field_id, rule.effect, rule.condition_value) == (budget.pk, "require", ["Large"])
        page = as_role(Role.VIEWER).get(address(FieldRule, "changelist"))
        assert "Require Budget when Size one of Large" in page.content.decode()
        page = as_role(Role.VIEWER).get(address(SpotlightField, "change", budget.pk))
        assert "Require Budget when Size one of Large" in page.content.decode()

    def test_an_edit_shows_what_is_stored(self, home, as_role, fields):
        budget, size = fields
        with system_scope("tests"):
            rule = FieldRuleFactory(
                org=home.org, field=size, condition_field=budget, operator="between", condition_value=[10, 20]
            )
        link = address(FieldRule, "change", rule.pk)
        save(as_role(Role.MANAGER), link, "fieldrule_form", condition_value_upper="30k")
        assert stored(rule)["condition_value"] == [10, 30000]

    @pytest.mark.parametrize(
        ("values", "sentence"),
        [
            ({"condition_value": "Huge"}, "not in the list"),
            ({"operator": ">"}, "does not compare"),
            ({"condition_value": ""}, "This field is required."),
        ],
    )
    def test_one_that_makes_no_sense_is_refused_in_words(self, home, as_role, fields, values, sentence):
        budget, size = fields
        given = {"field": budget.pk, "condition_field": size.pk, "operator": "=", "condition_value": "Large", **values}
        response = save(as_role(Role.MANAGER), address(FieldRule, "add"), "fieldrule_form", effect="show", **given)
        assert sentence in unescape(response.content.decode())
        with org_scope(home.org):
            assert not FieldRule.objects.for_org(home.org).exists()

    def test_fields_of_other_domains_and_organisations_are_refused(self, home, abroad, as_role, fields):
        elsewhere = make(home.org, domain="retail", field_type="text")
        theirs = make(abroad.org, field_type="text")
        for wrong, sentence in ((elsewhere, "same domain"), (theirs, "valid choice")):
            given = {"field": fields[0].pk, "condition_field": wrong.pk, "operator": "=", "condition_value": "x"}
            response = save(as_role(Role.MANAGER), address(FieldRule, "add"), "fieldrule_form", effect="show", **given)
            assert sentence in unescape(response.content.decode())
        with org_scope(home.org):
            assert not FieldRule.objects.for_org(home.org).exists()

    def test_the_inputs_follow_the_field_that_decides(self, home, as_role, fields):
        budget, size = fields
        client, link = as_role(Role.MANAGER), reverse("admin:spotlight_fieldrule_inputs")
        text = client.post(link, {"condition_field": size.pk, "operator": "in"}).content.decode()
        assert 'type="checkbox" name="condition_value" value="Large"' in text
        text = client.post(link, {"condition_field": budget.pk, "operator": "between"}).content.decode()
        assert 'name="condition_value_upper"' in text
        assert client.post(link, {"condition_field": "x", "operator": "fly"}).status_code == 200
        assert client.get(link).status_code == 405

    def test_deleting_goes_through_the_use_case(self, home, as_role, fields):
        with system_scope("tests"):
            rule = FieldRuleFactory(org=home.org, field=fields[0], condition_field=fields[1])
        response = as_role(Role.MANAGER).post(address(FieldRule, "delete", rule.pk), {"post": "yes"}, follow=True)
        assert "deleted" in said(response)
        with org_scope(home.org):
            assert not FieldRule.objects.for_org(home.org).exists()
