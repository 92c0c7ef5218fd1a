"""Profiles: made whole, changed whole, copied, taken back, and kept version by version."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest
from django.db import IntegrityError, transaction

from flowledger.errors import Conflict, InvalidInput, NotFound, PermissionRefused
from flowledger.outbox.models import WorkEvent
from spotlight import services
from spotlight.models import Spotlight, SpotlightCriterion, SpotlightField, SpotlightVersion, VersionOrigin
from spotlight.services.definitions import definition_of
from tests.spotlight.factories import AT, CLERK, WORKED_EXAMPLE, SpotlightScoreFactory, open_spotlight, wish
from tests.workstream.conftest import actor_of
from tests.workstream.trail import newest_event, nothing_changes

pytestmark = pytest.mark.django_db

INDUSTRY = wish("industry", "=", "Banking", field_type="text")
BUDGET = wish("budget", ">=", 100_000, field_type="number")


def change(spotlight: Spotlight, criteria: Any = None, *, note: str = "", **fields: Any) -> Spotlight:
    return services.update_spotlight(
        org=spotlight.org,
        spotlight_id=spotlight.pk,
        fields=fields,
        criteria=criteria,
        note=note,
        actor=CLERK,
        at=AT,
    )


def criteria_of(spotlight: Spotlight) -> list[SpotlightCriterion]:
    return list(SpotlightCriterion.all_orgs.filter(spotlight=spotlight).order_by("position", "pk"))


def versions_of(spotlight: Spotlight) -> list[SpotlightVersion]:
    return list(SpotlightVersion.all_orgs.filter(spotlight=spotlight).order_by("version"))


def events_about(spotlight: Spotlight) -> list[str]:
    rows = WorkEvent.all_orgs.filter(item_type="spotlight", item_id=spotlight.pk).order_by("pk")
    return list(rows.values_list("event_name", flat=True))


class TestCreate:
    def test_makes_the_fields_the_criteria_in_order_and_the_first_version(self, org):
        spotlight = open_spotlight(org, name="Banks", domain=" Retail Finance ")
        found = [(row.field.field_name, row.operator, row.value, row.weight) for row in criteria_of(spotlight)]
        assert found == [
            ("industry", "=", "Financial Services", 10),
            ("budget", ">=", 100_000, 10),
            ("employees", "between", [50, 200], 10),
            ("sites", ">=", 2, 10),
        ]
        assert set(SpotlightField.all_orgs.filter(org=org).values_list("domain", flat=True)) == {"retail-finance"}
        [kept] = versions_of(spotlight)
        assert (kept.version, kept.origin, kept.definition) == (1, "edited", definition_of(spotlight))
        assert newest_event(org, "spotlight.created").payload == {
            "spotlight_id": spotlight.pk,
            "version": 1,
            "cloned_from": None,
        }

    def test_takes_a_field_of_the_domain_that_is_there(self, org):
        first = open_spotlight(org, [INDUSTRY])
        field = first.criteria.get().field
        second = open_spotlight(org, [wish("Industry", "contains", "bank")])
        third = open_spotlight(org, [{"field_id": field.pk, "operator": "!=", "value": "Retail"}])
        assert {criteria_of(each)[0].field_id for each in (first, second, third)} == {field.pk}
        assert criteria_of(third)[0].weight == 1

    @pytest.mark.parametrize(
        ("fields", "criteria", "path", "sentence"),
        [
            ({"name": " "}, [], "name", "needs a name"),
            ({"name": "x" * 121}, [], "name", "at most 120"),
            ({"domain": "Ä/B"}, [], "domain", "one word"),
            ({"active": "yes"}, [], "active", "true or false"),
            ({"version": 3}, [], "version", "cannot be set"),
            ({}, [{"operator": "=", "value": 1}], "criteria.0.field_name", "field_id or field_name"),
            ({}, [INDUSTRY, wish("town", "=", "Kiel")], "criteria.1.field_name", "give its field_type"),
            ({}, [wish("1st", "=", "x", field_type="text")], "criteria.0.field_name", "a letter first"),
            ({}, [{"field_id": 2**62, "operator": "=", "value": 1}], "criteria.0.field_id", "no field"),
            ({}, [wish("size", "=", "L", field_type="enum")], "criteria.0.enum_values", "List the values"),
            (
                {},
                [wish("size", "=", "XL", field_type="enum", enum_values=["S", "L"])],
                "criteria.0.value",
                "not in the list",
            ),
            ({}, [wish("size", "=", "L", field_type="colour")], "criteria.0.field_type", "Choose a type"),
            ({}, [{**INDUSTRY, "operator": "~"}], "criteria.0.operator", "Choose an operator"),
            ({}, [{**INDUSTRY, "operator": ">"}], "criteria.0.operator", "does not compare"),
            ({}, [{**BUDGET, "value": "much"}], "criteria.0.value", "budget"),
            ({}, [{**BUDGET, "operator": "between", "value": [5]}], "criteria.0.value", "two bounds"),
            ({}, [{**BUDGET, "operator": "between", "value": [9, 5]}], "criteria.0.value", "lower one first"),
            ({}, [{**INDUSTRY, "operator": "in", "value": []}], "criteria.0.value", "at least one"),
            ({}, [{**INDUSTRY, "operator": "matches", "value": "(a"}], "criteria.0.value", "pattern"),
            ({}, [{**INDUSTRY, "weight": -1}], "criteria.0.weight", "0 to 1,000"),
            ({}, [{**INDUSTRY, "weight": 1001}], "criteria.0.weight", "0 to 1,000"),
            ({}, [{**INDUSTRY, "weight": "NaN"}], "criteria.0.weight", "0 to 1,000"),
            ({}, [{**INDUSTRY, "required": 1}], "criteria.0.required", "true or false"),
            ({}, [{**INDUSTRY, "criterion_id": 1}], "criteria.0.criterion_id", "no criterion 1"),
            ({}, [INDUSTRY] * 101, "criteria", "at most 100"),
        ],
    )
    def test_refuses_what_does_not_fit_and_keeps_nothing(self, org, fields, criteria, path, sentence):
        with nothing_changes(), pytest.raises(InvalidInput) as refusal:
            open_spotlight(org, criteria, **fields)
        assert sentence in refusal.value.details["fields"][path][0]

    def test_refuses_a_taken_name(self, org, other_org):
        open_spotlight(org, name="Banks")
        open_spotlight(other_org, name="Banks")
        with nothing_changes(), pytest.raises(Conflict, match="'Banks' already"):
            open_spotlight(org, name="Banks")

    def test_refuses_a_representative(self, org, rep):
        with nothing_changes(), pytest.raises(PermissionRefused, match="manager"):
            open_spotlight(org, actor=actor_of(rep))


class TestUpdate:
    def test_makes_the_next_version_and_says_that_scores_move(self, org, manager):
        spotlight = open_spotlight(org, [INDUSTRY])
        services.update_spotlight(
            org=org,
            spotlight_id=spotlight.pk,
            fields={"description": "Ours"},
            criteria=[INDUSTRY, BUDGET],
            note="They need money",
            actor=actor_of(manager),
            at=AT,
        )
        spotlight.refresh_from_db()
        first, second = versions_of(spotlight)
        assert spotlight.version == second.version == 2
        assert (second.note, second.made_by, second.made_by_label) == ("They need money", manager.user, "maria")
        assert [len(each.definition["criteria"]) for each in (first, second)] == [1, 2]
        assert newest_event(org, "spotlight.updated").payload == {
            "spotlight_id": spotlight.pk,
            "version": 2,
            "changed": ["description", "criteria"],
            "moves_scores": True,
        }

    def test_of_the_same_is_no_edit(self, org):
        spotlight = open_spotlight(org, name="Banks", description="Ours")
        with nothing_changes():
            change(spotlight, WORKED_EXAMPLE, name="Banks", description="Ours ", note="Nothing new")

    def test_of_words_alone_moves_no_score(self, org):
        spotlight = open_spotlight(org)
        change(spotlight, name="Insurers", description="Theirs")
        assert len(versions_of(spotlight)) == 1
        payload = newest_event(org, "spotlight.updated").payload
        assert (payload["changed"], payload["moves_scores"]) == (["description", "name"], False)

    def test_switching_off_and_on_moves_scores_without_a_version(self, org):
        spotlight = open_spotlight(org)
        for active in (False, True):
            change(spotlight, active=active)
            payload = newest_event(org, "spotlight.updated").payload
            assert (payload["changed"], payload["moves_scores"], payload["version"]) == (["active"], True, 1)

    def test_of_a_profile_that_is_off_moves_no_score(self, org):
        spotlight = open_spotlight(org, active=False)
        change(spotlight, WORKED_EXAMPLE[:1])
        payload = newest_event(org, "spotlight.updated").payload
        assert (payload["version"], payload["moves_scores"]) == (2, False)

    def test_criteria_keep_their_identity(self, org):
        """By their id, else by asking the same of the same field; in any order."""
        spotlight = open_spotlight(org)
        industry, budget, employees, sites = (row.pk for row in criteria_of(spotlight))
        change(
            spotlight,
            [
                {"criterion_id": sites, "field_name": "sites", "operator": ">", "value": 3, "weight": 4},
                wish("budget", ">=", 80_000, 7),
                wish("industry", "contains", "bank"),
            ],
        )
        rows = criteria_of(spotlight)
        assert [row.pk for row in rows[:2]] == [sites, budget]
        assert rows[2].pk not in {industry, budget, employees, sites}
        assert [(row.operator, row.value, row.weight) for row in rows] == [
            (">", 3, 4),
            (">=", 80_000, 7),
            ("contains", "bank", 10),
        ]

    def test_the_same_criterion_twice_is_refused(self, org):
        spotlight = open_spotlight(org, [INDUSTRY])
        twice = {"criterion_id": criteria_of(spotlight)[0].pk, **INDUSTRY}
        with nothing_changes(), pytest.raises(InvalidInput, match="given twice"):
            change(spotlight, [twice, twice])

    def test_does_not_change_a_shared_field(self, org):
        spotlight = open_spotlight(org, [INDUSTRY])
        for name, value in {"field_type": "number", "label": "Trade", "aliases": ["trade"]}.items():
            with nothing_changes(), pytest.raises(InvalidInput) as refusal:
                change(spotlight, [{**INDUSTRY, name: value}])
            assert f"criteria.0.{name}" in refusal.value.details["fields"]

    def test_another_domain_needs_its_own_criteria(self, org):
        spotlight = open_spotlight(org, [INDUSTRY])
        with nothing_changes(), pytest.raises(InvalidInput, match="together with the new one"):
            change(spotlight, domain="finance")
        change(spotlight, [INDUSTRY], domain="finance")
        assert [row.field.domain for row in criteria_of(spotlight)] == ["finance"]

    def test_a_strangers_profile_does_not_exist(self, org, other_org):
        theirs = open_spotlight(other_org)
        with nothing_changes(), pytest.raises(NotFound):
            services.update_spotlight(org=org, spotlight_id=theirs.pk, fields={"name": "Ours"}, actor=CLERK, at=AT)

    def test_a_strangers_field_cannot_be_named(self, org, other_org):
        theirs = open_spotlight(other_org).criteria.order_by("pk")[0].field
        with nothing_changes(), pytest.raises(InvalidInput, match="no field"):
            open_spotlight(org, [{"field_id": theirs.pk, "operator": "=", "value": "x"}])

    def test_a_version_is_kept_as_it_was(self, org):
        [kept] = versions_of(open_spotlight(org))
        kept.definition = {**kept.definition, "criteria": []}
        with pytest.raises(IntegrityError, match="kept as it was"), transaction.atomic():
            kept.save()
        kept.refresh_from_db()
        assert len(kept.definition["criteria"]) == 4

    def test_a_version_outlives_who_made_it(self, org, manager):
        spotlight = open_spotlight(org, actor=actor_of(manager))
        user = manager.user
        manager.delete()
        user.delete()
        [kept] = versions_of(spotlight)
        assert (kept.made_by, kept.made_by_label) == (None, "maria")


class TestDelete:
    def test_takes_versions_and_scores_along_and_leaves_the_fields(self, org):
        spotlight = open_spotlight(org)
        SpotlightScoreFactory(org=org, spotlight=spotlight)
        pk = spotlight.pk
        services.delete_spotlight(org=org, spotlight_id=pk, actor=CLERK, at=AT)
        assert not Spotlight.all_orgs.filter(pk=pk).exists()
        assert SpotlightField.all_orgs.filter(org=org).count() == 4
        assert newest_event(org, "spotlight.deleted").payload == {"spotlight_id": pk, "name": "Profile 1"}

    def test_refuses_a_representative(self, org, rep):
        spotlight = open_spotlight(org)
        with nothing_changes(), pytest.raises(PermissionRefused):
            services.delete_spotlight(org=org, spotlight_id=spotlight.pk, actor=actor_of(rep), at=AT)


class TestClone:
    def test_copies_the_profile_whole_and_switched_off(self, org):
        source = open_spotlight(org, name="Banks", description="Ours")
        copy = services.clone_spotlight(org=org, spotlight_id=source.pk, actor=CLERK, at=AT)
        assert (copy.name, copy.description, copy.domain, copy.active, copy.version) == (
            "Banks (copy)",
            "Ours",
            "manufacturing",
            False,
            1,
        )

        def asked(spotlight: Spotlight) -> list[tuple[Any, ...]]:
            rows = criteria_of(spotlight)
            return [(row.field_id, row.operator, row.value, row.weight, row.required) for row in rows]

        assert asked(copy) == asked(source)
        assert {row.pk for row in criteria_of(copy)}.isdisjoint({row.pk for row in criteria_of(source)})
        [kept] = versions_of(copy)
        assert (kept.origin, kept.note) == ("cloned", "Copy of Banks, version 1")
        assert newest_event(org, "spotlight.created").payload["cloned_from"] == source.pk

    def test_finds_a_free_name_or_takes_one(self, org):
        source = open_spotlight(org, name="x" * 120)
        keys: dict[str, Any] = {"org": org, "spotlight_id": source.pk, "actor": CLERK, "at": AT}
        names = [services.clone_spotlight(**keys).name for _ in range(2)]
        assert names == ["x" * 113 + " (copy)", "x" * 111 + " (copy 2)"]
        assert services.clone_spotlight(name=" Mine ", **keys).name == "Mine"
        with nothing_changes(), pytest.raises(Conflict):
            services.clone_spotlight(name="Mine", **keys)

    def test_what_is_changed_in_the_copy_stays_out_of_the_original(self, org):
        source = open_spotlight(org)
        copy = services.clone_spotlight(org=org, spotlight_id=source.pk, actor=CLERK, at=AT)
        change(copy, [BUDGET])
        assert len(criteria_of(source)) == 4


class TestRevert:
    def revert(self, spotlight: Spotlight, version: int) -> Spotlight:
        return services.revert_spotlight(
            org=spotlight.org, spotlight_id=spotlight.pk, version=version, actor=CLERK, at=AT
        )

    def test_goes_back_as_a_new_version_and_keeps_identities(self, org):
        spotlight = open_spotlight(org, name="Banks")
        before = [(row.pk, row.operator, row.value) for row in criteria_of(spotlight)]
        change(spotlight, [{"criterion_id": before[0][0], **wish("industry", "=", "Retail", 3)}], name="Shops")
        reverted = self.revert(spotlight, 1)
        after = [(row.pk, row.operator, row.value) for row in criteria_of(spotlight)]
        assert (reverted.version, reverted.name) == (3, "Shops")
        assert after[0] == before[0]
        assert [each[1:] for each in after] == [each[1:] for each in before]
        third = versions_of(spotlight)[2]
        assert (third.origin, third.note) == (VersionOrigin.REVERTED, "Back to version 1")
        assert newest_event(org, "spotlight.updated").payload["moves_scores"] is True

    def test_makes_a_field_that_is_gone_anew(self, org):
        spotlight = open_spotlight(org, [wish("size", "=", "L", field_type="enum", enum_values=["S", "L"])])
        gone = criteria_of(spotlight)[0].field
        change(spotlight, [])
        services.delete_field(org=org, field_id=gone.pk, actor=CLERK, at=AT)
        self.revert(spotlight, 1)
        [row] = criteria_of(spotlight)
        assert (row.field.field_name, row.field.enum_values, row.value) == ("size", ["S", "L"], "L")

    def test_says_that_a_field_is_of_another_type_by_now(self, org):
        spotlight = open_spotlight(org, [wish("size", "=", "L", field_type="text")])
        field = criteria_of(spotlight)[0].field
        change(spotlight, [])
        services.update_field(org=org, field_id=field.pk, fields={"field_type": "number"}, actor=CLERK, at=AT)
        with nothing_changes(), pytest.raises(InvalidInput, match="of the type number, not text"):
            self.revert(spotlight, 1)

    def test_to_what_it_is_already_is_refused(self, org):
        spotlight = open_spotlight(org)
        with nothing_changes(), pytest.raises(Conflict, match="version 1"):
            self.revert(spotlight, 1)

    def test_to_a_version_that_was_never_made_is_refused(self, org):
        spotlight = open_spotlight(org)
        with nothing_changes(), pytest.raises(NotFound, match="no version 2"):
            self.revert(spotlight, 2)


class TestApplyWeights:
    def apply(self, spotlight: Spotlight, weights: dict[int, Any]) -> Spotlight:
        return services.apply_weights(
            org=spotlight.org,
            spotlight_id=spotlight.pk,
            weights=weights,
            origin=VersionOrigin.LEARNED,
            note="From 120 outcomes",
            actor=CLERK,
            at=AT,
        )

    def test_changes_those_that_are_named_in_one_version(self, org):
        spotlight = open_spotlight(org)
        first, second, *_ = criteria_of(spotlight)
        applied = self.apply(spotlight, {first.pk: 12.5, second.pk: Decimal("0.1")})
        assert [row.weight for row in criteria_of(spotlight)] == [Decimal("12.5"), Decimal("0.1"), 10, 10]
        kept = versions_of(spotlight)[-1]
        assert (applied.version, kept.version, kept.origin, kept.note) == (2, 2, "learned", "From 120 outcomes")

    def test_of_a_criterion_that_is_not_its_own_are_refused(self, org):
        spotlight, other = open_spotlight(org), open_spotlight(org)
        theirs = criteria_of(other)[0].pk
        with nothing_changes(), pytest.raises(InvalidInput, match=f"no criterion {theirs}"):
            self.apply(spotlight, {criteria_of(spotlight)[0].pk: 3, theirs: 3})

    def test_that_are_what_they_were_make_no_version(self, org):
        spotlight = open_spotlight(org)
        with nothing_changes():
            self.apply(spotlight, {criteria_of(spotlight)[0].pk: 10})


class TestOneCriterion:
    def test_each_change_makes_a_version(self, org):
        spotlight = open_spotlight(org, [INDUSTRY])
        keys: dict[str, Any] = {"org": org, "actor": CLERK, "at": AT}
        added = services.create_criterion(spotlight_id=spotlight.pk, fields=BUDGET, **keys)
        changed = services.update_criterion(criterion_id=added.pk, fields={"weight": 3, "value": "50k"}, **keys)
        assert (changed.pk, changed.position, changed.weight, changed.value) == (added.pk, 1, 3, 50_000)
        services.delete_criterion(criterion_id=criteria_of(spotlight)[0].pk, **keys)
        spotlight.refresh_from_db()
        assert spotlight.version == len(versions_of(spotlight)) == 4
        assert [(row.pk, row.position) for row in criteria_of(spotlight)] == [(added.pk, 0)]
        assert events_about(spotlight) == ["spotlight.created", *["spotlight.updated"] * 3]

    def test_that_asks_what_another_asks_is_one_more(self, org):
        spotlight = open_spotlight(org, [INDUSTRY])
        services.create_criterion(org=org, spotlight_id=spotlight.pk, fields=INDUSTRY, actor=CLERK, at=AT)
        assert len(criteria_of(spotlight)) == 2

    def test_refuses_what_does_not_fit(self, org):
        spotlight = open_spotlight(org, [BUDGET])
        pk = criteria_of(spotlight)[0].pk
        with nothing_changes(), pytest.raises(InvalidInput) as refusal:
            services.update_criterion(org=org, criterion_id=pk, fields={"value": "much"}, actor=CLERK, at=AT)
        assert list(refusal.value.details["fields"]) == ["value"]

    def test_refuses_a_representative_and_a_stranger(self, org, other_org, rep):
        pk = criteria_of(open_spotlight(org, [BUDGET]))[0].pk
        with nothing_changes(), pytest.raises(PermissionRefused):
            services.delete_criterion(org=org, criterion_id=pk, actor=actor_of(rep), at=AT)
        with nothing_changes(), pytest.raises(NotFound):
            services.delete_criterion(org=other_org, criterion_id=pk, actor=CLERK, at=AT)
