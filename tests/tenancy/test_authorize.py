"""The table of verbs and roles, and the rule that a representative works on their own and on unowned items."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest

from flowledger.errors import PermissionRefused
from flowledger.tenancy import permissions
from flowledger.tenancy.actors import Actor, Role
from flowledger.tenancy.permissions import authorize, may, register_verbs, required_role

# The verbs that are not a representative's (pipeline.md, Tenancy).
EVERYBODY = {"view", "try_spotlight"}
MANAGERS = {
    *("waive", "edit_taxonomy", "edit_templates", "edit_sla", "edit_sources", "import_records", "merge"),
    *("edit_spotlight", "rescore_all", "override_score", "learn_weights", "watch_match_rates"),
}
ADMINISTRATORS = {"manage_members", "manage_api_keys", "import_history", "configure"}

SOMEBODY = replace(Actor.system("tests"), user_id=7)
MINE, UNOWNED, OTHERS = (SimpleNamespace(owner_id=owner) for owner in (7, None, 8))


def acting(role: Role) -> Actor:
    return replace(SOMEBODY, role=role)


class TestVerbs:
    @pytest.mark.parametrize(
        ("verbs", "role"), [(EVERYBODY, Role.VIEWER), (MANAGERS, Role.MANAGER), (ADMINISTRATORS, Role.ADMIN)]
    )
    def test_need_their_role(self, verbs: set[str], role: Role):
        assert {verb: required_role(verb) for verb in verbs} == dict.fromkeys(verbs, role)

    def test_viewers_change_nothing(self):
        changing = {verb for verb, role in permissions._verbs.items() if role is Role.VIEWER}

        assert changing == EVERYBODY

    def test_an_unknown_verb_is_a_mistake_in_the_code(self):
        with pytest.raises(KeyError):
            authorize(SOMEBODY, "fly")

    def test_a_verb_has_one_meaning(self, monkeypatch: pytest.MonkeyPatch):
        monkeypatch.setattr(permissions, "_verbs", dict(permissions._verbs))
        register_verbs({"waive": Role.MANAGER})
        with pytest.raises(ValueError, match="already registered"):
            register_verbs({"waive": Role.REP})

        assert required_role("waive") is Role.MANAGER


class TestRoles:
    @pytest.mark.parametrize("role", list(Role))
    @pytest.mark.parametrize("needed", ["view", "close", "waive", "manage_members"])
    def test_reach_what_is_theirs_and_below(self, role: Role, needed: str):
        assert may(acting(role), needed) is role.at_least(required_role(needed))

    def test_are_ordered_weakest_first(self):
        assert [role.rank for role in (Role.VIEWER, Role.REP, Role.MANAGER, Role.ADMIN)] == [0, 1, 2, 3]

    def test_the_refusal_says_who_could(self):
        with pytest.raises(PermissionRefused, match="This needs the role manager; you act as rep"):
            authorize(acting(Role.REP), "waive")


class TestOwnership:
    @pytest.mark.parametrize(
        ("role", "item", "allowed"),
        [
            (Role.REP, MINE, True),
            (Role.REP, UNOWNED, True),
            (Role.REP, OTHERS, False),
            (Role.MANAGER, OTHERS, True),
            (Role.ADMIN, OTHERS, True),
            (Role.VIEWER, MINE, False),
        ],
    )
    def test_binds_representatives_alone(self, role: Role, item: Any, allowed: bool):
        assert may(acting(role), "close", item) is allowed

    def test_a_machine_of_that_role_owns_nothing(self):
        machine = replace(acting(Role.REP), user_id=None)

        assert [may(machine, "close", item) for item in (MINE, UNOWNED, OTHERS)] == [False, True, False]

    def test_does_not_make_a_representative_a_manager(self):
        assert not may(acting(Role.REP), "waive", MINE)

    def test_the_refusal_says_whom_to_ask(self):
        with pytest.raises(PermissionRefused, match="Ask its owner or a manager"):
            authorize(acting(Role.REP), "close", OTHERS)
