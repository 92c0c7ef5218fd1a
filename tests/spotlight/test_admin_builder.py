"""The builder of profiles in the back office: criteria in lines, preview of a draft, trial, copies, versions."""

from __future__ import annotations

import json
import re
from html import unescape
from typing import Any

import pytest
from django.urls import reverse

from flowledger.tenancy.actors import Role
from flowledger.tenancy.scope import org_scope, system_scope
from spotlight import services
from spotlight.models import Spotlight, SpotlightCriterion, SpotlightField, SpotlightScore, SpotlightVersion
from tests.queries import counted_queries
from tests.spotlight.factories import (
    AT,
    CLERK,
    WORKED_DATA,
    WORKED_EXAMPLE,
    FieldRuleFactory,
    SpotlightFieldFactory,
    open_spotlight,
)
from tests.workstream.back_office import address, events_of, form_values, press, said, save, stored
from tests.workstream.factories import SignalFactory

FORM = "spotlight_form"


@pytest.fixture(autouse=True)
def no_wake(settings: Any) -> None:
    settings.OUTBOX_WAKE = False


def signal(org, **attributes):
    with system_scope("tests"):
        return SignalFactory(org=org, company_name="Harbour Bank", attributes=attributes)


def field(spotlight, name):
    with org_scope(spotlight.org_id):
        return SpotlightField.objects.for_org(spotlight.org_id).get(domain=spotlight.domain, field_name=name)


def criteria_of(spotlight):
    with org_scope(spotlight.org_id):
        rows = SpotlightCriterion.objects.for_org(spotlight.org_id).filter(spotlight=spotlight)
        names = ("field__field_name", "operator", "value", "weight", "required")
        return list(rows.order_by("position").values_list(*names))


def lines_link(**query):
    return reverse("admin:spotlight_spotlight_lines", query=query)


def preview_link(spotlight=None):
    name = "admin:spotlight_spotlight_preview"
    return reverse(f"{name}_new") if spotlight is None else reverse(name, args=[spotlight.pk])


class TestSave:
    def test_a_profile_is_made_with_its_criteria_as_one_version(self, home, as_role):
        with system_scope("tests"):
            industry = SpotlightFieldFactory(
                org=home.org, field_name="industry", field_type="enum", enum_values=["Banking", "Retail"]
            )
            budget = SpotlightFieldFactory(org=home.org, field_name="budget", field_type="number")
        save(
            as_role(Role.MANAGER),
            address(Spotlight, "add"),
            FORM,
            **{
                "name": "Banks",
                "domain": "manufacturing",
                "criteria-0-field": industry.pk,
                "criteria-0-operator": "in",
                "criteria-0-value": ["Banking"],
                "criteria-0-weight": "12",
                "criteria-0-required": "on",
                "criteria-4-field": budget.pk,
                "criteria-4-operator": "between",
                "criteria-4-value": "50k",
                "criteria-4-value_upper": "1.2m",
                "criteria-4-weight": "2.5",
                "note": "First try",
            },
        )
        with org_scope(home.org):
            spotlight = Spotlight.objects.for_org(home.org).get()
            version = SpotlightVersion.objects.for_org(home.org).get()
        assert criteria_of(spotlight) == [
            ("industry", "in", ["Banking"], 12, True),
            ("budget", "between", [50000, 1200000], 2.5, False),
        ]
        assert (spotlight.name, spotlight.active, version.version, version.note) == ("Banks", True, 1, "First try")
        assert events_of(home.org) == ["spotlight.created"]

    def test_an_edit_keeps_the_other_criteria_and_makes_a_version(self, home, as_role):
        spotlight = open_spotlight(home.org)
        before = self._ids(spotlight)
        values = {"criteria-1-weight": "25", "note": "Budget counts more"}
        save(as_role(Role.MANAGER), address(Spotlight, "change", spotlight.pk), FORM, **values)
        assert [row[3] for row in criteria_of(spotlight)] == [10, 25, 10, 10]
        assert self._ids(spotlight) == before
        assert stored(spotlight)["version"] == 2

    def test_a_form_that_nobody_touched_changes_nothing(self, home, as_role):
        spotlight = open_spotlight(home.org)
        before = stored(spotlight)
        save(as_role(Role.MANAGER), address(Spotlight, "change", spotlight.pk), FORM)
        assert stored(spotlight) == before
        assert events_of(home.org) == ["spotlight.created"]

    def test_a_line_that_is_not_sent_is_removed(self, home, as_role):
        spotlight = open_spotlight(home.org)
        client, link = as_role(Role.MANAGER), address(Spotlight, "change", spotlight.pk)
        values = form_values(client.get(link), FORM)
        sent = {name: value for name, value in values.items() if not name.startswith("criteria-2-")}
        client.post(link, sent)
        assert [row[0] for row in criteria_of(spotlight)] == ["industry", "budget", "sites"]

    @pytest.mark.parametrize(
        ("changes", "sentence"),
        [
            ({"criteria-1-value": "much"}, "much"),
            ({"criteria-2-value_upper": "20"}, "lower one first"),
            ({"criteria-2-value": ""}, "This field is required."),
            ({"criteria-0-operator": "matches", "criteria-0-value": "(a"}, "pattern"),
            ({"criteria-0-value": "a\x00b"}, "Null characters"),
            ({"criteria-3-weight": "-1"}, "greater than or equal to 0"),
            ({"criteria-3-field": str(2**61)}, "valid choice"),
            ({"criteria-3-operator": "contains"}, "does not compare a number"),
        ],
    )
    def test_a_line_that_makes_no_sense_says_so_and_keeps_what_was_typed(self, home, as_role, changes, sentence):
        spotlight = open_spotlight(home.org)
        before = criteria_of(spotlight)
        link = address(Spotlight, "change", spotlight.pk)
        response = save(as_role(Role.MANAGER), link, FORM, name="Renamed", **changes)
        text = unescape(response.content.decode())
        assert response.status_code == 200
        assert "Some criteria need another look." in text
        assert sentence in text
        assert 'value="Renamed"' in text
        assert criteria_of(spotlight) == before
        assert stored(spotlight)["name"] != "Renamed"

    def test_over_somebody_elses_change_is_refused_and_stores_nothing(self, home, as_role):
        spotlight = open_spotlight(home.org)
        client, link = as_role(Role.MANAGER), address(Spotlight, "change", spotlight.pk)
        values = form_values(client.get(link), FORM)
        services.update_spotlight(
            org=home.org, spotlight_id=spotlight.pk, fields={}, criteria=WORKED_EXAMPLE[:2], actor=CLERK, at=AT
        )
        response = client.post(link, {**values, "criteria-0-weight": "99"})
        assert "Somebody else changed this" in response.content.decode()
        assert [row[3] for row in criteria_of(spotlight)] == [10, 10]

    def test_a_field_of_another_organisation_is_no_choice(self, home, abroad, as_role):
        spotlight = open_spotlight(home.org)
        with system_scope("tests"):
            theirs = SpotlightFieldFactory(org=abroad.org, domain="manufacturing")
        link = address(Spotlight, "change", spotlight.pk)
        save(as_role(Role.MANAGER), link, FORM, **{"criteria-0-field": theirs.pk})
        assert criteria_of(spotlight)[0][0] == "industry"

    @pytest.mark.parametrize("role", [Role.VIEWER, Role.REP])
    def test_is_for_managers_and_the_others_read(self, home, as_role, role):
        spotlight = open_spotlight(home.org)
        link = address(Spotlight, "change", spotlight.pk)
        page = as_role(role).get(link)
        assert "industry is Financial Services (weight 10)" in page.content.decode()
        assert as_role(role).post(link, {"name": "Mine"}).status_code == 403
        assert stored(spotlight)["name"] != "Mine"

    def test_deleting_goes_through_the_use_case(self, home, as_role):
        spotlight = open_spotlight(home.org)
        row = signal(home.org, **WORKED_DATA)
        services.evaluate_items(org=home.org, item_type="signal", item_ids=[row.pk], cause="new", actor=CLERK, at=AT)
        client, link = as_role(Role.MANAGER), address(Spotlight, "delete", spotlight.pk)
        assert dict(client.get(link).context["model_count"]) == {"profiles": 1, "scores": 1}
        client.post(link, {"post": "yes"})
        with org_scope(home.org):
            assert not Spotlight.objects.for_org(home.org).exists()
            assert not SpotlightScore.objects.for_org(home.org).exists()
        assert events_of(home.org)[-1] == "spotlight.deleted"

    @staticmethod
    def _ids(spotlight):
        with org_scope(spotlight.org_id):
            rows = SpotlightCriterion.objects.for_org(spotlight.org_id).filter(spotlight=spotlight)
            return dict(rows.values_list("pk", "field__field_name"))


class TestLines:
    def test_a_new_line_has_a_number_of_its_own_and_offers_the_fields_of_the_domain(self, home, as_role):
        spotlight = open_spotlight(home.org)
        with system_scope("tests"):
            SpotlightFieldFactory(org=home.org, domain="retail", field_name="shops")
        text = self._post(as_role, {"domain": spotlight.domain, "criteria-7-field": "1"}, new=1)
        assert 'name="criteria-8-field"' in text
        assert "industry" in text
        assert "shops" not in text

    @pytest.mark.parametrize(
        ("kind", "operator", "shows"),
        [
            ("number", "between", 'name="criteria-0-value_upper"'),
            ("number", ">=", 'inputmode="decimal"'),
            ("text", "in", "<textarea"),
            ("enum", "in", 'type="checkbox" name="criteria-0-value" value="Banking"'),
            ("enum", "=", '<option value="Banking"'),
            ("boolean", "=", '<option value="true"'),
            ("date", ">=", 'type="date"'),
        ],
    )
    def test_a_line_has_the_inputs_that_field_and_operator_ask_for(self, home, as_role, kind, operator, shows):
        with system_scope("tests"):
            row = SpotlightFieldFactory(
                org=home.org, field_type=kind, enum_values=["Banking", "Retail"] if kind == "enum" else []
            )
        sent = {"criteria-0-field": row.pk, "criteria-0-shown_field": row.pk, "criteria-0-operator": operator}
        text = self._post(as_role, {"domain": row.domain, **sent}, line=0)
        assert shows in text
        assert f'<option value="{row.pk}" selected' in text
        assert "required." not in text

    def test_another_field_takes_away_what_only_the_old_one_could_ask(self, home, as_role):
        spotlight = open_spotlight(home.org)
        sent = {
            "domain": spotlight.domain,
            "criteria-0-field": field(spotlight, "industry").pk,
            "criteria-0-shown_field": field(spotlight, "budget").pk,
            "criteria-0-operator": "between",
            "criteria-0-value": "50k",
            "criteria-0-value_upper": "60k",
            "criteria-0-weight": "3",
        }
        text = self._post(as_role, sent, line=0)
        assert '<option value="=" selected' in text
        assert "50k" not in text
        assert 'value="3"' in text

    def test_takes_a_post_only(self, home, as_role):
        assert as_role(Role.MANAGER).get(lines_link(new=1)).status_code == 405

    @staticmethod
    def _post(as_role, sent, **query):
        response = as_role(Role.MANAGER).post(lines_link(**query), sent)
        assert response.status_code == 200
        return unescape(response.content.decode())


class TestPreview:
    def test_shows_the_newest_signals_before_and_after_and_stores_nothing(self, home, abroad, as_role):
        spotlight = open_spotlight(home.org)
        signal(home.org, **WORKED_DATA)
        signal(abroad.org, **WORKED_DATA)
        client = as_role(Role.MANAGER)
        values = form_values(client.get(address(Spotlight, "change", spotlight.pk)), FORM)
        response = client.post(preview_link(spotlight), {**values, "criteria-1-weight": "30"})
        [line] = response.context["lines"]
        # 30 of 60 with a credit of 0.2, the other 30 in full.
        assert (line.who, line.before.score, line.after.score) == ("Harbour Bank", "0.80", "0.60")
        assert (line.delta, line.before.label, line.after.label) == ("−0.20", "High match", "Medium match")
        assert "Budget below range: 60k of 100k+ (20% credit)" in unescape(response.content.decode())
        assert stored(spotlight)["version"] == 1
        with org_scope(home.org):
            assert not SpotlightScore.objects.for_org(home.org).exists()
        assert events_of(home.org) == ["spotlight.created"]

    def test_leaves_out_the_line_that_is_not_complete_yet(self, home, as_role):
        spotlight = open_spotlight(home.org)
        signal(home.org, **WORKED_DATA)
        client = as_role(Role.MANAGER)
        values = form_values(client.get(address(Spotlight, "change", spotlight.pk)), FORM)
        response = client.post(preview_link(spotlight), {**values, "criteria-1-value": "", "criteria-9-field": ""})
        assert "2 criteria are not complete yet and left out." in response.content.decode()
        assert response.context["lines"][0].after.score == "1.00"

    def test_of_a_new_profile_has_no_before(self, home, as_role):
        spotlight = open_spotlight(home.org, WORKED_EXAMPLE[:1])
        signal(home.org, industry="Financial Services")
        sent = {
            "domain": spotlight.domain,
            "criteria-0-field": field(spotlight, "industry").pk,
            "criteria-0-operator": "=",
            "criteria-0-value": "Financial Services",
            "criteria-0-weight": "1",
        }
        response = as_role(Role.MANAGER).post(preview_link(), sent)
        [line] = response.context["lines"]
        assert (line.before, line.after.score) == (None, "1.00")

    def test_says_that_a_profile_without_weight_is_never_evaluated(self, home, as_role):
        open_spotlight(home.org)
        signal(home.org, **WORKED_DATA)
        response = as_role(Role.MANAGER).post(preview_link(), {"domain": "manufacturing"})
        assert "is never evaluated" in response.content.decode()

    def test_costs_the_same_for_one_signal_and_for_many(self, home, as_role):
        spotlight = open_spotlight(home.org)
        client = as_role(Role.MANAGER)
        values = form_values(client.get(address(Spotlight, "change", spotlight.pk)), FORM)
        signal(home.org, **WORKED_DATA)
        client.post(preview_link(spotlight), values)
        with counted_queries() as few:
            client.post(preview_link(spotlight), values)
        for _ in range(4):
            signal(home.org, **WORKED_DATA)
        with counted_queries() as many:
            response = client.post(preview_link(spotlight), values)
        assert len(response.context["lines"]) == 5
        assert len(many) == len(few), "\n".join(many)

    def test_of_a_strangers_profile_does_not_exist(self, abroad, as_role):
        theirs = open_spotlight(abroad.org)
        for name in ("preview", "try", "versions"):
            link = reverse(f"admin:spotlight_spotlight_{name}", args=[theirs.pk])
            assert as_role(Role.MANAGER).post(link, {"version": "1"}).status_code == 404


class TestTrial:
    def test_scores_typed_values_and_says_which_fields_show(self, home, as_role):
        spotlight = open_spotlight(home.org)
        with system_scope("tests"):
            FieldRuleFactory(
                org=home.org,
                field=field(spotlight, "sites"),
                condition_field=field(spotlight, "industry"),
                operator="=",
                condition_value="Financial Services",
                effect="require",
            )
            FieldRuleFactory(
                org=home.org,
                field=field(spotlight, "employees"),
                condition_field=field(spotlight, "industry"),
                operator="=",
                condition_value="Retail",
                effect="show",
            )
        typed = {f"try-{name}": value for name, value in WORKED_DATA.items()}
        link = reverse("admin:spotlight_spotlight_try", args=[spotlight.pk])
        for role in (Role.VIEWER, Role.MANAGER):
            client = as_role(role)
            page = client.get(address(Spotlight, "change", spotlight.pk))
            values = form_values(page, FORM) if role is Role.MANAGER else {}
            response = client.post(link, {**values, **typed})
            states = json.loads(unescape(re.search(r'data-states="([^"]*)"', response.content.decode())[1]))
            assert states["sites"] == {"visible": True, "required": True}
            assert states["employees"] == {"visible": False, "required": False}
            # What does not show was not asked: three known criteria, 2.2 of 3.
            assert response.context["side"].score == "0.73"
            assert "75% of the weight is known" in response.content.decode()

    def test_uses_the_draft_of_who_may_edit(self, home, as_role):
        spotlight = open_spotlight(home.org)
        client = as_role(Role.MANAGER)
        values = form_values(client.get(address(Spotlight, "change", spotlight.pk)), FORM)
        link = reverse("admin:spotlight_spotlight_try", args=[spotlight.pk])
        response = client.post(link, {**values, "criteria-1-value": "50000", "try-budget": "60k"})
        assert response.context["side"].score == "1.00"
        assert stored(spotlight)["version"] == 1


class TestCopy:
    def test_is_whole_and_switched_off(self, home, as_role):
        spotlight = open_spotlight(home.org, name="Banks")
        response = press(as_role(Role.MANAGER), spotlight, "clone", name="Banks abroad")
        with org_scope(home.org):
            copy = Spotlight.objects.for_org(home.org).get(name="Banks abroad")
        assert criteria_of(copy) == criteria_of(spotlight)
        assert not copy.active
        assert response.redirect_chain[-1][0] == address(Spotlight, "change", copy.pk)

    def test_of_a_taken_name_says_so_on_the_form(self, home, as_role):
        spotlight = open_spotlight(home.org, name="Banks")
        response = press(as_role(Role.MANAGER), spotlight, "clone", name="Banks")
        assert "There is a profile named 'Banks' already" in unescape(said(response) + response.content.decode())
        with org_scope(home.org):
            assert Spotlight.objects.for_org(home.org).count() == 1


class TestVersions:
    @pytest.fixture
    def spotlight(self, home):
        spotlight = open_spotlight(home.org)
        heavier = [{**WORKED_EXAMPLE[0], "weight": 30}, *WORKED_EXAMPLE[1:3]]
        services.update_spotlight(
            org=home.org,
            spotlight_id=spotlight.pk,
            fields={},
            criteria=heavier,
            note="Industry first",
            actor=CLERK,
            at=AT,
        )
        return spotlight

    def link(self, spotlight):
        return reverse("admin:spotlight_spotlight_versions", args=[spotlight.pk])

    def test_are_listed_with_what_each_changed(self, spotlight, as_role):
        page = as_role(Role.VIEWER).get(self.link(spotlight))
        newest, first = page.context["versions"]
        found = [(each.name, each.before, each.after) for each in newest.differences]
        assert found == [
            ("Weight of industry", "10", "30"),
            ("Removed", "sites at least 2 (weight 10)", ""),
        ]
        assert (newest.row.note, newest.is_present, first.differences) == ("Industry first", True, [])
        assert "Go back to this" not in page.content.decode()

    def test_two_are_compared(self, spotlight, as_role):
        page = as_role(Role.VIEWER).get(self.link(spotlight), {"left": "2", "right": "1"})
        names = [each.name for each in page.context["comparison"]["differences"]]
        assert names == ["Weight of industry", "Added"]
        page = as_role(Role.VIEWER).get(self.link(spotlight), {"left": "2", "right": "9"})
        assert "There is no version 9." in page.content.decode()

    def test_going_back_makes_a_new_version(self, spotlight, as_role):
        client = as_role(Role.MANAGER)
        response = client.post(self.link(spotlight), {"version": "1", "note": "Too narrow"}, follow=True)
        assert "Version 3 asks what version 1 asked." in said(response)
        assert [row[3] for row in criteria_of(spotlight)] == [10, 10, 10, 10]
        assert response.context["versions"][0].row.note == "Too narrow"

    @pytest.mark.parametrize("version", ["9", "x", "", "2"])
    def test_going_nowhere_says_so_and_changes_nothing(self, spotlight, as_role, version):
        response = as_role(Role.MANAGER).post(self.link(spotlight), {"version": version}, follow=True)
        assert said(response)
        assert stored(spotlight)["version"] == 2

    def test_going_back_is_for_managers(self, spotlight, as_role):
        response = as_role(Role.REP).post(self.link(spotlight), {"version": "1"}, follow=True)
        assert "needs the role manager" in said(response)
        assert stored(spotlight)["version"] == 2
