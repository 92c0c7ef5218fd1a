"""The pages of configuration in the back office: the list, typed forms, history, comparison and the way back."""

from __future__ import annotations

from datetime import timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from django.urls import reverse
from django.utils.timezone import now

from flowledger.configuration import services
from flowledger.configuration.models import ConfigValue
from flowledger.configuration.registry import keys
from flowledger.tenancy.actors import Actor, Role
from flowledger.tenancy.scope import org_scope
from tests.workstream.back_office import form_values, said, save
from workstream.rules import CHECKLISTS, KICKOFF, PURSUIT_DEFAULTS, REQUIREMENTS, TODAY, UNTOUCHED_HOURS

pytestmark = pytest.mark.django_db

FORM = "config-form"


def link(entry: Any) -> str:
    return reverse("admin:configuration_key", args=[entry.rule_type.value, entry.name])


def put(home: Any, hours: int) -> None:
    services.set_value(
        org=home.org,
        rule_type="sla_rule",
        key="untouched_hours",
        value=hours,
        reason=f"{hours} is right",
        actor=Actor.system("Ada"),
        at=now(),
    )


def versions(home: Any) -> list[ConfigValue]:
    with org_scope(home.org):
        return list(ConfigValue.objects.for_org(home.org).order_by("pk"))


class TestList:
    def test_shows_every_rule_with_what_holds(self, home: Any, as_role: Any):
        put(home, 48)
        page = as_role(Role.MANAGER).get(reverse("admin:configuration"))

        shown = {line.entry.key: line for _, lines in page.context["groups"] for line in lines}
        assert set(shown) == {entry.name for entry in keys()}
        assert (shown["untouched_hours"].summary, shown["untouched_hours"].entry.version) == ("48", 1)
        text = page.content.decode()
        assert "Organisation, version 1" in text
        assert link(UNTOUCHED_HOURS) in text

    @pytest.mark.parametrize(("role", "status"), [(Role.ADMIN, 200), (Role.MANAGER, 200), (Role.REP, 403)])
    def test_is_for_managers(self, as_role: Any, role: Role, status: int):
        assert as_role(role).get(reverse("admin:configuration")).status_code == status
        assert as_role(role).get(link(UNTOUCHED_HOURS)).status_code == status


class TestForm:
    @pytest.mark.parametrize("entry", keys(), ids=str)
    def test_of_every_rule_gives_back_what_it_was_given(self, home: Any, as_role: Any, entry: Any):
        answer = save(as_role(Role.ADMIN), link(entry), FORM, reason="the same")

        assert answer.redirect_chain, answer.context["errors"]
        (row,) = versions(home)
        assert row.value == entry.plain(entry.default)

    def test_sets_a_number(self, home: Any, as_role: Any):
        answer = save(as_role(Role.ADMIN), link(UNTOUCHED_HOURS), FORM, value="48", reason="We are slower.")

        assert "Version 1 of sla_rule/untouched_hours is set." in said(answer)
        assert UNTOUCHED_HOURS.of(home.org) == 48
        (row,) = versions(home)
        assert (row.reason, row.changed_by_label) == ("We are slower.", home.people[Role.ADMIN].username)

    def test_sets_part_of_a_whole(self, home: Any, as_role: Any):
        save(as_role(Role.ADMIN), link(TODAY), FORM, **{"value.urgency.breached": "120", "reason": "x"})

        assert TODAY.of(home.org).urgency.breached == 120
        assert TODAY.of(home.org).tiers == TODAY.default.tiers

    def test_sets_choices_and_lists(self, home: Any, as_role: Any):
        save(as_role(Role.ADMIN), link(REQUIREMENTS), FORM, **{"value.red": ["client"], "reason": "x"})
        save(as_role(Role.ADMIN), link(KICKOFF), FORM, value='[{"name": "Call", "due_in_days": 2}]', reason="x")
        money = {"value.band_values.low": "12.50", "reason": "x"}
        save(as_role(Role.ADMIN), link(PURSUIT_DEFAULTS), FORM, **money)

        assert REQUIREMENTS.of(home.org).red == ("client",)
        assert [task.name for task in KICKOFF.of(home.org)] == ["Call"]
        assert str(PURSUIT_DEFAULTS.of(home.org).band_values.low) == "12.50"

    @pytest.mark.parametrize(
        ("entry", "changes", "field", "sentence"),
        [
            (UNTOUCHED_HOURS, {"value": "0"}, "value", "greater than or equal to 1"),
            (UNTOUCHED_HOURS, {"value": "48", "reason": ""}, "reason", "required"),
            (UNTOUCHED_HOURS, {"value": "48", "effective_from": "2020-01-01T10:00"}, "effective_from", "in the past"),
            (UNTOUCHED_HOURS, {"value": "48", "expected_version": "4"}, "__all__", "was changed"),
            (TODAY, {"value.tiers.urgent": "10"}, "__all__", "value.tiers: urgent must lie above high"),
            (KICKOFF, {"value": "[{"}, "value", "This is no JSON in line 1."),
            (CHECKLISTS, {"value.pink": '[{"name": ""}]'}, "value.pink", "0.name: "),
            (CHECKLISTS, {"value.pink": '[{"name": "a", "is_required": "yes"}]'}, "value.pink", "0.is_required: "),
        ],
    )
    def test_shows_refusals_beside_their_fields(
        self, home: Any, as_role: Any, entry: Any, changes: dict[str, Any], field: str, sentence: str
    ):
        answer = save(as_role(Role.ADMIN), link(entry), FORM, **{"reason": "x", **changes})

        assert answer.status_code == 400
        assert sentence in " ".join(answer.context["errors"][field])
        assert versions(home) == []

    def test_times_are_those_of_the_organisation(self, home: Any, as_role: Any):
        with org_scope(home.org):
            home.org.timezone = "Asia/Tokyo"
            home.org.save()
        start = (now() + timedelta(days=2)).astimezone(ZoneInfo("Asia/Tokyo")).replace(second=0, microsecond=0)
        when = {"effective_from": f"{start:%Y-%m-%dT%H:%M}", "value": "48", "reason": "x"}
        page = save(as_role(Role.ADMIN), link(UNTOUCHED_HOURS), FORM, **when)

        (row,) = versions(home)
        assert row.effective_from == start
        assert f"{start:%Y-%m-%d %H:%M}" in page.content.decode()

    def test_a_manager_sees_no_form_and_cannot_send_one(self, home: Any, as_role: Any):
        page = as_role(Role.MANAGER).get(link(UNTOUCHED_HOURS))
        assert FORM not in page.content.decode()
        sent = {"verb": "set", "value": "48", "reason": "x", "expected_version": "0"}
        assert as_role(Role.MANAGER).post(link(UNTOUCHED_HOURS), sent).status_code == 400
        assert versions(home) == []

    def test_an_unknown_rule_is_not_found(self, as_role: Any):
        assert as_role(Role.ADMIN).get("/admin/configuration/sla_rule/nothing/").status_code == 404


class TestHistory:
    def test_lists_and_compares(self, home: Any, as_role: Any):
        put(home, 48)
        put(home, 24)
        page = as_role(Role.MANAGER).get(f"{link(UNTOUCHED_HOURS)}?left=0&right=2")

        assert [version.row.version for version in page.context["versions"]] == [2, 1]
        (difference,) = page.context["comparison"]["differences"]
        assert (difference.before, difference.after) == (72, 24)
        assert "48 is right" in page.content.decode()

    def test_rolls_back_by_post(self, home: Any, as_role: Any):
        put(home, 48)
        put(home, 24)
        sent = {"verb": "rollback", "to_version": "1", "expected_version": "2", "reason": "it was better"}
        client = as_role(Role.ADMIN)
        assert client.get(link(UNTOUCHED_HOURS), sent).status_code == 200
        assert UNTOUCHED_HOURS.of(home.org) == 24
        client.post(link(UNTOUCHED_HOURS), sent)

        assert UNTOUCHED_HOURS.of(home.org) == 48

    @pytest.mark.parametrize(
        "changed", [{"reason": ""}, {"expected_version": "1"}, {"expected_version": ""}, {"to_version": "9"}]
    )
    def test_a_refused_roll_back_says_why(self, home: Any, as_role: Any, changed: dict[str, str]):
        put(home, 48)
        put(home, 24)
        sent = {"verb": "rollback", "to_version": "1", "expected_version": "2", "reason": "x", **changed}
        answer = as_role(Role.ADMIN).post(link(UNTOUCHED_HOURS), sent, follow=True)

        assert said(answer)
        assert len(versions(home)) == 2

    def test_goes_back_to_the_default(self, home: Any, as_role: Any):
        put(home, 48)
        page = as_role(Role.ADMIN).get(link(UNTOUCHED_HOURS))
        assert form_values(page, FORM)["expected_version"] == "1"
        sent = {"verb": "reset", "expected_version": "1", "reason": "enough"}
        as_role(Role.ADMIN).post(link(UNTOUCHED_HOURS), sent)

        assert UNTOUCHED_HOURS.of(home.org) == 72
