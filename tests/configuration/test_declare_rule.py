"""The registry: what a declaration must say, and how a value is checked against it."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import BaseModel
from pydantic.dataclasses import dataclass

from flowledger.configuration.registry import Key, Rule, RuleType, declare, key_of, keys
from flowledger.errors import InvalidInput, NotFound
from tests.configuration.limits import Limits
from workstream import gates, rules
from workstream.rule_schemas import Requirement, StagePoints


class Open(BaseModel):
    most: int = 1


class Careless(Rule):
    inner: Open = Open()


@dataclass(frozen=True)
class Plain:
    most: int = 1


class TestDeclare:
    def test_gives_the_key_and_its_default(self, limits: Key[Limits]):
        assert key_of("memory_rule", "limits") is limits
        assert limits in keys()
        assert (str(limits), limits.default) == ("memory_rule/limits", Limits(most=10))
        assert limits.schema()["additionalProperties"] is False

    @pytest.mark.parametrize(
        ("changed", "sentence"),
        [
            ({"type_": "money_rule"}, "not a valid RuleType"),
            ({"key": "Big Limits"}, "is no key"),
            ({"key": "limits"}, "already declared"),
            ({"help": " "}, "a sentence of help"),
            ({"schema": Open, "default": Open()}, "takes unknown fields"),
            ({"schema": Careless, "default": Careless()}, "takes unknown fields"),
            ({"schema": Plain, "default": Plain()}, "takes unknown fields"),
            ({"schema": dict[str, int], "default": {}}, "takes unknown fields"),
            ({"default": Limits.model_construct(most=0, names=())}, "is not valid"),
            ({"schema": tuple[int, ...], "default": [1]}, "changes when it is stored"),
        ],
    )
    def test_refuses_a_declaration_that_would_not_hold(
        self, limits: Key[Limits], changed: dict[str, Any], sentence: str
    ):
        given = {"type_": "memory_rule", "key": "more", "schema": Limits, "default": Limits(most=1), "help": "x"}
        before = keys()

        with pytest.raises((TypeError, ValueError), match=sentence):
            declare(**{**given, **changed})

        assert keys() == before

    def test_an_unknown_key_is_not_found(self):
        with pytest.raises(NotFound, match="no rule memory_rule/nothing"):
            key_of("memory_rule", "nothing")


class TestParse:
    def test_reads_json_into_the_key_s_type(self, limits: Key[Limits]):
        assert limits.parse({"most": 3, "names": ["a"]}) == Limits(most=3, names=("a",))

    @pytest.mark.parametrize(
        ("value", "fields"),
        [
            ({"most": 0}, {"value.most": ["Input should be greater than or equal to 1."]}),
            ({"most": "3"}, {"value.most": ["Input should be a valid integer."]}),
            ({"most": True}, {"value.most": ["Input should be a valid integer."]}),
            ({}, {"value.most": ["Field required."]}),
            ({"most": 1, "leats": 1}, {"value.leats": ["Extra inputs are not permitted."]}),
            ({"most": 1, "names": ["a", 2]}, {"value.names.1": ["Input should be a valid string."]}),
            (
                {"most": 0, "names": 1},
                {
                    "value.most": ["Input should be greater than or equal to 1."],
                    "value.names": ["Input should be a valid array."],
                },
            ),
            ({"most": float("nan")}, {"value": ["This is no JSON value."]}),
        ],
    )
    def test_names_every_field_at_fault(self, limits: Key[Limits], value: Any, fields: dict[str, list[str]]):
        with pytest.raises(InvalidInput) as refused:
            limits.parse(value)

        assert refused.value.details["fields"] == fields


class TestRulesOfThePipeline:
    def test_are_declared_with_the_defaults_of_the_specification(self):
        names = {str(entry) for entry in keys()}
        ranking = rules.TODAY.default

        assert names >= {
            *("sla_rule/defaults", "sla_rule/untouched_hours", "sla_rule/response_hours"),
            *("gate_rule/requirements", "gate_rule/checklists", "gate_rule/kickoff_tasks", "gate_rule/proposal"),
            *("ranking_rule/pursuit_defaults", "ranking_rule/today", "notification_rule/sla"),
        }
        assert [
            (one.item_type, one.metric, int(one.threshold_hours), one.warn_before_hours)
            for one in rules.SLA_DEFAULTS.default
        ] == [
            ("signal", "triage_sla", 24, None),
            ("candidate", "triage_sla", 24, None),
            ("pursuit", "proposal_sla", 72, None),
            ("pursuit", "response_sla", 96, None),
        ]
        assert ranking.urgency.model_dump() == {"breached": 100, "past_due": 75, "warned": 50, "otherwise": 20}
        assert ranking.band.model_dump() == {"high": 30, "med": 15, "low": 5}
        assert ranking.stage == StagePoints(
            submit=35, red=25, pink=15, nurture=15, qual=10, triaged=10, on_hold=0, new=0
        )
        assert ranking.workload.model_dump() == {"per_item": 2, "cap": 20}
        assert ranking.tiers.model_dump() == {"urgent": 100, "high": 75, "medium": 50}

    def test_the_engine_looks_at_every_word_of_a_gate(self):
        assert set(gates.REQUIREMENTS) == {str(one) for one in Requirement}

    def test_the_defaults_read_from_the_registry_are_those_of_the_type(self):
        assert rules.REQUIREMENTS.default.as_mapping() == rules.DEFAULTS.gates
        assert rules.PURSUIT_DEFAULTS.default.band_values.as_mapping() == rules.DEFAULTS.band_values

    @pytest.mark.parametrize(
        ("key", "value", "path", "sentence"),
        [
            ("gate_rule/requirements", {"blue": []}, "value.blue", "Extra inputs are not permitted."),
            ("gate_rule/requirements", {"qual": ["owner"]}, "value.qual", "Extra inputs are not permitted."),
            ("gate_rule/requirements", {"red": ["luck"]}, "value.red.0", "Input should be 'client', 'owner'"),
            ("gate_rule/requirements", {"red": ["owner", "owner"]}, "value.red", "Given twice: owner."),
            ("gate_rule/requirements", {"won": ["outcome_reason"]}, "value", "nobody could enter won"),
            ("gate_rule/checklists", {"pink": [], "red": [{"name": "x"}]}, "value.pink", "at least 1 item"),
            (
                "gate_rule/checklists",
                {"pink": [{"name": "a"}, {"name": "a"}], "red": [{"name": "x"}]},
                "value.pink",
                "Given twice: a.",
            ),
            ("gate_rule/checklists", {"pink": [{"name": " "}], "red": [{"name": "x"}]}, "value.pink.0.name", "pattern"),
            ("gate_rule/kickoff_tasks", [{"name": "Call", "due_in_days": -1}], "value.0.due_in_days", "equal to 0"),
            ("gate_rule/proposal", {"title": "{{ price }}", "body": "x"}, "value.title", "Unknown variables: price."),
            ("gate_rule/proposal", {"title": "x", "body": "{{ a }} {{ b }}"}, "value.body", "Unknown variables: a, b."),
            (
                "ranking_rule/pursuit_defaults",
                {"band_values": {"low": "1", "med": "-1", "high": "3"}, "pursuit_due_days": 1},
                "value.band_values.med",
                "greater than or equal to 0",
            ),
            ("ranking_rule/today", {"tiers": {"urgent": 60, "high": 75, "medium": 50}}, "value.tiers", "urgent must"),
            ("ranking_rule/today", {"workload": {"per_item": -2}}, "value.workload.per_item", "equal to 0"),
            ("sla_rule/untouched_hours", 0, "value", "greater than or equal to 1"),
            (
                "sla_rule/defaults",
                [{"default_key": "x", "item_type": "pursuit", "metric": "triage_sla", "threshold_hours": "2"}],
                "value.0",
                "triage_sla is about a signal",
            ),
            ("notification_rule/sla", {"warned": {"owner": 1}}, "value.warned.owner", "valid boolean"),
        ],
    )
    def test_refuse_what_would_break_the_pipeline(self, key: str, value: Any, path: str, sentence: str):
        entry = key_of(*key.split("/"))

        with pytest.raises(InvalidInput) as refused:
            entry.parse(value)

        assert sentence in refused.value.details["fields"][path][0]

    def test_the_alias_of_the_response_clock_is_understood(self):
        line = {"default_key": "x", "item_type": "pursuit", "metric": "submit_sla", "threshold_hours": "2"}

        assert rules.SLA_DEFAULTS.parse([line])[0].metric == "response_sla"

    def test_every_type_of_the_specification_is_there(self):
        assert RuleType.values == [
            *("sla_rule", "gate_rule", "ranking_rule", "spotlight_rule"),
            *("routing_rule", "memory_rule", "retention_rule", "notification_rule"),
        ]
