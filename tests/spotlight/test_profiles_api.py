"""`/api/spotlights` with its fields, criteria, rules and versions, as programs use it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from spotlight import services
from spotlight.models import Spotlight, SpotlightCriterion, SpotlightField, SpotlightVersion
from tests.queries import counted_queries
from tests.spotlight.factories import (
    AT,
    CLERK,
    WORKED_DATA,
    WORKED_EXAMPLE,
    FieldRuleFactory,
    SpotlightFieldFactory,
    open_spotlight,
    wish,
)
from tests.workstream.factories import SignalFactory
from tests.workstream.test_query_counts import FEW, MANY, MOST_OF_A_DETAIL, MOST_OF_A_LIST
from tests.workstream.trail import nothing_changes

pytestmark = pytest.mark.django_db

URL = "/api/spotlights"
BANKS: Mapping[str, Any] = {"name": "Banks", "domain": "finance", "criteria": list(WORKED_EXAMPLE)}


def json_of(response: Any, status: int = 200) -> Any:
    assert response.status_code == status, response.content
    return response.json()


def send(client: Any, method: str, path: str, data: Any, **headers: Any) -> Any:
    return getattr(client, method)(path, data, content_type="application/json", headers=headers)


class TestProfile:
    def test_is_made_with_its_criteria_and_read_as_it_was_made(self, as_manager):
        made = json_of(as_manager.post(URL, BANKS), 201)
        assert (made["name"], made["domain"], made["version"], made["active"]) == ("Banks", "finance", 1, True)
        assert [(each["field_name"], each["operator"], each["value"], each["weight"]) for each in made["criteria"]] == [
            ("industry", "=", "Financial Services", 10.0),
            ("budget", ">=", 100_000, 10.0),
            ("employees", "between", [50, 200], 10.0),
            ("sites", ">=", 2, 10.0),
        ]
        assert json_of(as_manager.get(f"{URL}/{made['spotlight_id']}")) == made

    def test_is_written_back_as_it_was_read_without_an_edit(self, as_manager):
        made = json_of(as_manager.post(URL, BANKS), 201)
        written = {name: made[name] for name in ("name", "domain", "description", "active", "criteria")}
        with nothing_changes():
            again = json_of(send(as_manager, "put", f"{URL}/{made['spotlight_id']}", written))
        assert again == made

    def test_put_writes_it_whole(self, as_manager):
        made = json_of(as_manager.post(URL, {**BANKS, "description": "Ours", "active": False}), 201)
        bare = {"name": "Banks", "domain": "finance"}
        put = json_of(send(as_manager, "put", f"{URL}/{made['spotlight_id']}", bare))
        assert (put["description"], put["active"], put["criteria"], put["version"]) == ("", True, [], 2)

    def test_patch_changes_what_is_given(self, as_manager):
        made = json_of(as_manager.post(URL, BANKS), 201)
        path = f"{URL}/{made['spotlight_id']}"
        patched = json_of(send(as_manager, "patch", path, {"description": "Ours"}))
        assert patched["criteria"] == made["criteria"]
        heavier = [{**each, "weight": 20} for each in made["criteria"]]
        patched = json_of(send(as_manager, "patch", path, {"criteria": heavier, "note": "They matter more"}))
        assert [each["criterion_id"] for each in patched["criteria"]] == [
            each["criterion_id"] for each in made["criteria"]
        ]
        assert {each["weight"] for each in patched["criteria"]} == {20.0}
        assert SpotlightVersion.all_orgs.get(version=2).note == "They matter more"

    def test_names_what_is_wrong_with_a_criterion(self, as_manager):
        wrong = [WORKED_EXAMPLE[0], {**WORKED_EXAMPLE[1], "value": "much"}]
        with nothing_changes():
            refusal = json_of(as_manager.post(URL, {**BANKS, "criteria": wrong}), 400)
        assert refusal["code"] == "validation_error"
        assert list(refusal["fields"]) == ["criteria.1.value"]

    @pytest.mark.parametrize(
        "body",
        [
            {},
            {**BANKS, "colour": "red"},
            {**BANKS, "version": 7},
            {**BANKS, "criteria": "all"},
            {**BANKS, "criteria": [5]},
            {**BANKS, "criteria": [{**WORKED_EXAMPLE[0], "value": {"a": 1}}]},
            {**BANKS, "criteria": [{**WORKED_EXAMPLE[0], "weight": "heavy"}]},
            {**BANKS, "criteria": [{**WORKED_EXAMPLE[0], "operator": "in", "value": [None, [1]]}]},
            {**BANKS, "name": "a\x00b"},
            {**BANKS, "domain": "x" * 61},
        ],
    )
    def test_refuses_nonsense_with_400_and_keeps_nothing(self, as_manager, body):
        with nothing_changes():
            assert as_manager.post(URL, body).status_code == 400

    def test_a_change_on_an_old_reading_is_refused(self, as_manager):
        made = as_manager.post(URL, BANKS)
        path, etag = f"{URL}/{made.json()['spotlight_id']}", made.headers["ETag"]
        assert as_manager.get(path, headers={"If-None-Match": etag}).status_code == 304
        fresh = send(as_manager, "patch", path, {"criteria": list(WORKED_EXAMPLE[:2])}, **{"If-Match": etag})
        assert fresh.status_code == 200
        with nothing_changes():
            stale = send(as_manager, "patch", path, {"criteria": []}, **{"If-Match": etag})
        assert (stale.status_code, stale.json()["code"]) == (412, "stale")
        assert stale.json()["current_etag"] == fresh.headers["ETag"] == as_manager.get(path).headers["ETag"]

    def test_a_taken_name_is_a_conflict(self, as_manager):
        as_manager.post(URL, BANKS)
        with nothing_changes():
            assert as_manager.post(URL, BANKS).status_code == 409

    def test_is_listed_by_name_and_filtered(self, org, as_viewer):
        for name, domain, active in (("C", "x", True), ("A", "x", False), ("B", "y", True)):
            open_spotlight(org, [], name=name, domain=domain, active=active)

        def names(query: str) -> list[str]:
            return [each["name"] for each in json_of(as_viewer.get(f"{URL}{query}"))["data"]]

        assert names("") == ["A", "B", "C"]
        assert names("?domain=x") == ["A", "C"]
        assert names("?active=true&ordering=-name") == ["C", "B"]
        assert as_viewer.get(f"{URL}?colour=red").status_code == 400

    def test_is_deleted(self, org, as_manager):
        spotlight = open_spotlight(org)
        path = f"{URL}/{spotlight.pk}"
        assert as_manager.delete(path).status_code == 204
        assert as_manager.get(path).status_code == 404
        assert not Spotlight.all_orgs.filter(pk=spotlight.pk).exists()

    def test_is_copied(self, org, as_manager):
        spotlight = open_spotlight(org, name="Banks")
        copy = json_of(as_manager.post(f"{URL}/{spotlight.pk}/clone", {}), 201)
        assert (copy["name"], copy["active"], len(copy["criteria"])) == ("Banks (copy)", False, 4)
        assert json_of(as_manager.post(f"{URL}/{spotlight.pk}/clone", {"name": "Mine"}), 201)["name"] == "Mine"

    def test_versions_are_listed_read_and_gone_back_to(self, org, as_manager):
        spotlight = open_spotlight(org)
        path = f"{URL}/{spotlight.pk}"
        send(as_manager, "patch", path, {"criteria": list(WORKED_EXAMPLE[:1])})
        listed = json_of(as_manager.get(f"{path}/versions"))["data"]
        assert [(each["version"], each["origin"], each["made_by_label"]) for each in listed] == [
            (2, "edited", "maria"),
            (1, "edited", "tests"),
        ]
        assert json_of(as_manager.get(f"{path}/versions/1")) == listed[1]
        reverted = json_of(as_manager.post(f"{path}/versions/1/revert", {"note": "It was better"}))
        assert (reverted["version"], len(reverted["criteria"])) == (3, 4)
        for address in (f"{path}/versions/9", "/api/spotlights/9999/versions/1", "/api/spotlights/9999/versions"):
            assert as_manager.get(address).status_code == 404
        assert as_manager.post(f"{path}/versions/9/revert", {}).status_code == 404
        assert as_manager.post(f"{path}/versions/3/revert", {}).status_code == 409


class TestTrials:
    def test_the_worked_example_is_a_high_match_that_adds_up(self, org, as_viewer):
        spotlight = open_spotlight(org)
        answer = json_of(as_viewer.post(f"{URL}/{spotlight.pk}/evaluate", {"signal_data": WORKED_DATA}))
        assert (answer["match_score"], answer["recommendation"], answer["coverage"]) == (0.8, "high_match", 1.0)
        assert [each["score_part"] for each in answer["components"]] == [0.25, 0.05, 0.25, 0.25]
        budget = answer["components"][1]
        assert (budget["status"], budget["seen"], budget["source"]) == ("partial", 60_000, "signal")
        assert "60k" in budget["sentence"]
        assert "100k" in budget["sentence"]

    def test_attributes_count_as_if_they_stood_outside(self, org, as_viewer):
        spotlight = open_spotlight(org)
        data = {"attributes": {**WORKED_DATA, "budget": "1m"}, "budget": "60k"}
        answer = json_of(as_viewer.post(f"{URL}/{spotlight.pk}/evaluate", {"signal_data": data}))
        assert answer["match_score"] == 0.8

    def test_what_is_not_known_lowers_the_coverage_alone(self, org, as_viewer):
        spotlight = open_spotlight(org)
        answer = json_of(
            as_viewer.post(f"{URL}/{spotlight.pk}/evaluate", {"signal_data": {"industry": "financial services"}})
        )
        assert (answer["match_score"], answer["coverage"], answer["recommendation"]) == (1.0, 0.25, "low_match")
        assert [each["reason"] for each in answer["caps"]] == ["coverage"]

    @pytest.mark.parametrize("junk", [None, [], {}, "x" * 5000, [[[1]]], {"a": {"b": None}}, -1e308, True])
    def test_no_value_breaks_it(self, org, as_viewer, junk):
        spotlight = open_spotlight(org)
        data = dict.fromkeys(WORKED_DATA, junk)
        with nothing_changes():
            json_of(as_viewer.post(f"{URL}/{spotlight.pk}/evaluate", {"signal_data": data}))

    def test_a_profile_without_weight_says_so(self, org, as_viewer):
        spotlight = open_spotlight(org, [])
        answer = json_of(as_viewer.post(f"{URL}/{spotlight.pk}/evaluate", {"signal_data": {}}), 409)
        assert "no criterion with a weight" in answer["error"]

    def test_a_draft_is_shown_on_the_newest_signals_beside_the_stored_profile(self, org, as_viewer):
        spotlight = open_spotlight(org)
        signal = SignalFactory(org=org, attributes=dict(WORKED_DATA))
        draft = [WORKED_EXAMPLE[0], wish("town", "=", "Kiel", field_type="text")]
        with nothing_changes():
            answer = json_of(as_viewer.post(f"{URL}/{spotlight.pk}/preview", {"criteria": draft, "limit": 5}))
        [row] = answer["signals"]
        assert row["signal_id"] == signal.pk
        assert row["before"] == {"match_score": 0.8, "recommendation": "high_match", "coverage": 1.0}
        assert row["after"] == {"match_score": 1.0, "recommendation": "high_match", "coverage": 0.5}
        assert answer["bands_before"]["high_match"] == answer["bands_after"]["high_match"] == 1
        assert not SpotlightField.all_orgs.filter(field_name="town").exists()


class TestFieldsCriteriaAndRules:
    def test_a_field_is_made_changed_listed_and_deleted(self, as_manager):
        body = {"domain": "finance", "field_name": "Size", "field_type": "enum", "enum_values": ["S", "L"]}
        made = json_of(as_manager.post(f"{URL}/fields", body), 201)
        path = f"{URL}/fields/{made['field_id']}"
        assert (made["field_name"], made["enum_values"], made["is_required"]) == ("size", ["S", "L"], False)
        changed = json_of(send(as_manager, "patch", path, {"enum_values": ["S", "M", "L"], "display_order": 3}))
        assert (changed["enum_values"], changed["display_order"]) == (["S", "M", "L"], 3)
        listed = json_of(as_manager.get(f"{URL}/fields?domain=finance&field_type=enum"))["data"]
        assert [each["field_id"] for each in listed] == [made["field_id"]]
        assert as_manager.delete(path).status_code == 204

    def test_a_field_in_use_is_a_conflict(self, org, as_manager):
        field = open_spotlight(org).criteria.order_by("pk")[0].field
        with nothing_changes():
            answer = json_of(as_manager.delete(f"{URL}/fields/{field.pk}"), 409)
        assert "Profile 1" in answer["error"]

    def test_a_criterion_is_made_changed_listed_and_deleted(self, org, as_manager):
        spotlight = open_spotlight(org)
        body = {"spotlight_id": spotlight.pk, **wish("town", "=", "Kiel", field_type="text")}
        made = as_manager.post(f"{URL}/criteria", body)
        pk, etag = json_of(made, 201)["criterion_id"], made.headers["ETag"]
        path = f"{URL}/criteria/{pk}"
        changed = send(as_manager, "patch", path, {"weight": 2.5}, **{"If-Match": etag})
        assert json_of(changed)["weight"] == 2.5
        with nothing_changes():
            assert send(as_manager, "patch", path, {"weight": 3}, **{"If-Match": etag}).status_code == 412
        listed = json_of(as_manager.get(f"{URL}/criteria?spotlight_id={spotlight.pk}"))["data"]
        assert [each["position"] for each in listed] == [0, 1, 2, 3, 4]
        assert as_manager.delete(path).status_code == 204
        spotlight.refresh_from_db()
        assert (spotlight.version, SpotlightCriterion.all_orgs.count()) == (4, 4)

    def test_a_rule_is_made_changed_listed_and_deleted(self, org, as_manager):
        field, condition = SpotlightFieldFactory(org=org), SpotlightFieldFactory(org=org, field_type="number")
        body = {"field_id": field.pk, "condition_field_id": condition.pk, "operator": ">=", "effect": "require"}
        made = json_of(as_manager.post(f"{URL}/rules", {**body, "condition_value": "50k"}), 201)
        path = f"{URL}/rules/{made['rule_id']}"
        assert made["condition_value"] == 50_000
        assert json_of(send(as_manager, "patch", path, {"effect": "hide"}))["effect"] == "hide"
        assert len(json_of(as_manager.get(f"{URL}/rules?field_id={field.pk}"))["data"]) == 1
        assert as_manager.delete(path).status_code == 204

    def test_nobody_names_another_organisations_rows(self, org, other_org, as_manager):
        ours, theirs = open_spotlight(org), open_spotlight(other_org)
        field = theirs.criteria.order_by("pk")[0].field
        with nothing_changes():
            for body in (
                {"spotlight_id": theirs.pk, **WORKED_EXAMPLE[0]},
                {"spotlight_id": ours.pk, "field_id": field.pk, "operator": "=", "value": "x"},
            ):
                assert as_manager.post(f"{URL}/criteria", body).status_code == 400
            for path in (f"{theirs.pk}", f"criteria/{theirs.criteria.order_by('pk')[0].pk}", f"fields/{field.pk}"):
                assert as_manager.get(f"{URL}/{path}").status_code == 404
                assert send(as_manager, "patch", f"{URL}/{path}", {}, **{"If-Match": '"x"'}).status_code == 404

    def test_representatives_read_and_do_not_write(self, org, as_rep):
        spotlight = open_spotlight(org)
        with nothing_changes():
            assert as_rep.post(URL, BANKS).status_code == 403
            assert send(as_rep, "patch", f"{URL}/{spotlight.pk}", {"name": "Mine"}).status_code == 403
            assert as_rep.delete(f"{URL}/{spotlight.pk}").status_code == 403
        assert as_rep.get(f"{URL}/{spotlight.pk}").status_code == 200


LISTS = {
    "": lambda org: open_spotlight(org),
    "/fields": lambda org: SpotlightFieldFactory(org=org),
    "/criteria": lambda org: open_spotlight(org, WORKED_EXAMPLE[:1]),
    "/rules": lambda org: FieldRuleFactory(org=org),
}


class TestQueries:
    @pytest.mark.parametrize(("path", "make"), LISTS.items())
    def test_a_list_costs_the_same_for_few_and_for_many(self, org, as_viewer, path, make):
        costs = []
        as_viewer.get(URL)
        for wanted in (FEW, MANY - FEW):
            for _ in range(wanted):
                make(org)
            with counted_queries() as asked:
                json_of(as_viewer.get(URL + path))
            costs.append(len(asked))
        assert costs[0] == costs[1] <= MOST_OF_A_LIST

    def test_versions_cost_the_same_for_few_and_for_many(self, org, as_viewer):
        spotlight = open_spotlight(org, [])
        as_viewer.get(URL)
        costs = []
        for wanted in (FEW, MANY - FEW - 1):
            for _ in range(wanted):
                services.create_criterion(
                    org=org, spotlight_id=spotlight.pk, fields=WORKED_EXAMPLE[0], actor=CLERK, at=AT
                )
            with counted_queries() as asked:
                json_of(as_viewer.get(f"{URL}/{spotlight.pk}/versions"))
            costs.append(len(asked))
        assert costs[0] == costs[1] <= MOST_OF_A_LIST

    @pytest.mark.parametrize("count", [1, 12])
    def test_a_profile_costs_the_same_for_few_and_for_many_criteria(self, org, as_viewer, count):
        criteria = [wish(f"field_{number}", "=", "x", field_type="text") for number in range(count)]
        spotlight = open_spotlight(org, criteria)
        as_viewer.get(URL)
        with counted_queries() as asked:
            json_of(as_viewer.get(f"{URL}/{spotlight.pk}"))
        assert len(asked) == MOST_OF_A_DETAIL

    def test_writing_costs_the_same_for_few_and_for_many_criteria(self, org):
        costs = []
        for count in (3, 30):
            criteria = [wish(f"field_{number}", "=", "x", field_type="text") for number in range(count)]
            spotlight = open_spotlight(org, criteria)
            with counted_queries() as asked:
                services.update_spotlight(
                    org=org,
                    spotlight_id=spotlight.pk,
                    fields={},
                    criteria=[{**each, "weight": 3} for each in criteria],
                    actor=CLERK,
                    at=AT,
                )
            costs.append(len(asked))
        assert costs[0] == costs[1]
