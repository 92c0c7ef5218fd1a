"""Atoms, conflicts, legal holds and redactions in the back office."""

from __future__ import annotations

from typing import Any

import pytest

from flowledger.tenancy.actors import Role
from flowledger.tenancy.scope import system_scope
from memory import services
from memory.models import Atom, AtomConflict, LegalHold, Redaction
from tests.factories import ClientFactory
from tests.memory.factories import AtomConflictFactory, AtomFactory, LegalHoldFactory, RedactionFactory
from tests.workstream.back_office import address, buttons_on, press, said, save, stored
from tests.workstream.factories import AT, CLERK

pytestmark = pytest.mark.django_db
EVERY_BUTTON = {"correct", "pin", "archive", "redact"}


def known(home: Any, **fields: Any) -> Atom:
    with system_scope("tests"):
        atom: Atom = AtomFactory(org=home.org, **fields)
    return atom


def shown(client: Any, model: Any, query: str = "") -> list[int]:
    return [row.pk for row in client.get(address(model, "changelist") + query).context["cl"].result_list]


def one(client: Any, row: Any) -> Any:
    return client.get(address(row, "change", row.pk))


class TestList:
    def test_begins_with_what_is_active_and_says_what_it_is_about(self, home, as_role):
        with system_scope("tests"):
            client = ClientFactory(org=home.org, name="Northwind")
        atom = known(home, client=client, content="They <b>press</b> steel.")
        archived = known(home, state="archived")
        page = as_role(Role.VIEWER).get(address(Atom, "changelist"))
        text = page.content.decode()
        assert [row.pk for row in page.context["cl"].result_list] == [atom.pk]
        assert "They &lt;b&gt;press&lt;/b&gt; steel." in text
        assert (address(client, "change", client.pk) in text, "Northwind" in text) == (True, True)
        assert shown(as_role(Role.VIEWER), Atom, "?state=archived") == [archived.pk]

    @pytest.mark.parametrize("role", [Role.VIEWER, Role.REP, Role.MANAGER, Role.ADMIN])
    def test_shows_everybody_what_is_for_them(self, home, as_role, role):
        for_all, for_managers = known(home), known(home, audience="managers")
        own = known(home, audience="author", author=home.people[Role.REP])
        allowed = {for_all.pk} | ({for_managers.pk} if role.at_least(Role.MANAGER) else set())
        allowed |= {own.pk} if role is Role.REP else set()
        assert set(shown(as_role(role), Atom)) == allowed
        for atom in (for_managers, own):
            assert (one(as_role(role), atom).status_code == 200) == (atom.pk in allowed)


class TestOne:
    @pytest.mark.parametrize(
        ("role", "buttons"),
        [
            (Role.VIEWER, set()),
            (Role.REP, {"correct", "pin"}),
            (Role.MANAGER, EVERY_BUTTON),
            (Role.ADMIN, EVERY_BUTTON),
        ],
    )
    def test_offers_what_the_role_may(self, home, as_role, role, buttons):
        assert buttons_on(one(as_role(role), known(home))) == buttons

    @pytest.mark.parametrize(
        ("fields", "buttons"),
        [
            ({"is_pinned": True}, {"correct", "unpin", "archive", "redact"}),
            ({"state": "archived"}, {"correct", "restore", "redact"}),
            ({"state": "superseded"}, {"redact"}),
            ({"state": "redacted", "content": "", "redacted_at": AT}, set()),
        ],
    )
    def test_offers_what_its_state_allows(self, home, as_role, fields, buttons):
        assert buttons_on(one(as_role(Role.ADMIN), known(home, **fields))) == buttons

    def test_shows_where_it_comes_from_and_from_where_it_is_visible(self, home, as_role):
        with system_scope("tests"):
            client = ClientFactory(org=home.org, name="Northwind")
        text = one(as_role(Role.VIEWER), known(home, through=[client])).content.decode()
        assert "Northwind" in text
        assert "read by tests" in text

    def test_is_corrected_with_a_form_that_holds_the_text(self, home, as_role):
        atom = known(home, content="Three machines.")
        rep = as_role(Role.REP)
        form = rep.get(address(atom, "transition", atom.pk, "correct"))
        assert "Three machines." in form.content.decode()
        answer = press(rep, atom, "correct", content="Four machines.", because="error", reason="Misheard")
        assert "It says the new text now." in said(answer)
        assert (stored(atom)["content"], stored(atom)["version"]) == ("Four machines.", 2)
        refused = press(rep, atom, "correct", content="Four machines.", because="error", reason="Again")
        assert "This is what it says already." in refused.content.decode()

    def test_only_auditors_see_what_it_said_before(self, home, as_role):
        atom = known(home, content="Three machines.")
        keys: dict[str, Any] = {"org": home.org, "atom_id": atom.pk, "actor": CLERK, "at": AT}
        services.correct_atom(**keys, content="Four machines.", reason="Misheard")
        assert "Three machines." in one(as_role(Role.ADMIN), atom).content.decode()
        assert "Three machines." not in one(as_role(Role.MANAGER), atom).content.decode()

    @pytest.mark.parametrize(
        ("verb", "column", "value"), [("pin", "is_pinned", True), ("archive", "state", "archived")]
    )
    def test_buttons_call_services(self, home, as_role, verb, column, value):
        atom = known(home)
        press(as_role(Role.MANAGER), atom, verb)
        assert stored(atom)[column] == value

    def test_a_forged_request_is_refused(self, home, as_role, abroad):
        atom = known(home)
        before = stored(atom)
        assert "manager" in said(press(as_role(Role.REP), atom, "archive"))
        with system_scope("tests"):
            theirs = AtomFactory(org=abroad.org)
        assert press(as_role(Role.ADMIN), theirs, "archive").status_code == 404
        as_role(Role.ADMIN).post(address(atom, "change", atom.pk), {"content": "forged", "state": "archived"})
        assert (stored(atom), stored(theirs)["state"]) == (before, "active")

    def test_is_redacted_for_good(self, home, as_role):
        atom = known(home, content="Their secret is a canary.")
        answer = press(as_role(Role.MANAGER), atom, "redact", reason="They asked for it")
        assert "It was redacted." in said(answer)
        assert (stored(atom)["content"], stored(atom)["state"]) == ("", "redacted")
        assert "canary" not in answer.content.decode()


class TestConflicts:
    def test_are_decided_on_their_page(self, home, as_role):
        with system_scope("tests"):
            conflict = AtomConflictFactory(org=home.org)
        rep = as_role(Role.REP)
        assert shown(rep, AtomConflict) == [conflict.pk]
        assert (
            "The newer one: They prefer email."
            in rep.get(address(conflict, "transition", conflict.pk, "resolve")).content.decode()
        )
        assert "It was decided." in said(press(rep, conflict, "resolve", kept="older", note="Asked them"))
        assert (stored(conflict)["kept"], stored(conflict.newer)["state"]) == ("older", "superseded")
        assert shown(rep, AtomConflict) == []
        assert shown(rep, AtomConflict, "?status=resolved") == [conflict.pk]

    def test_the_menu_says_how_many_wait_for_somebody_who_may_read_them(self, home, as_role):
        with system_scope("tests"):
            AtomConflictFactory(org=home.org)
            AtomConflictFactory(org=home.org, newer=AtomFactory(org=home.org, audience="managers"))

        def badge(role: Role) -> Any:
            page = as_role(role).get(address(AtomConflict, "changelist"))
            items = [item for group in page.context["sidebar_navigation"] for item in group["items"]]
            return next(item.get("badge") for item in items if item["title"] == "Memory conflicts")

        assert (badge(Role.REP), badge(Role.MANAGER)) == (1, 2)


class TestHolds:
    def test_are_placed_and_released_by_administrators(self, home, as_role):
        with system_scope("tests"):
            client = ClientFactory(org=home.org, name="Northwind")
        admin = as_role(Role.ADMIN)
        save(
            admin,
            address(LegalHold, "add"),
            "legalhold_form",
            entity_type="client",
            entity_id=str(client.pk),
            reason="A case",
        )
        with system_scope("tests"):
            hold = LegalHold.all_orgs.get(org=home.org)
        assert (hold.client_id, hold.reason, hold.placed_by) == (client.pk, "A case", home.people[Role.ADMIN])
        assert "Northwind" in one(admin, hold).content.decode()
        assert "The hold was released." in said(press(admin, hold, "release", reason="Settled"))
        assert stored(hold)["release_reason"] == "Settled"
        assert (shown(admin, LegalHold), shown(admin, LegalHold, "?state=released")) == ([], [hold.pk])

    def test_say_what_is_wrong(self, home, as_role, abroad):
        with system_scope("tests"):
            theirs = ClientFactory(org=abroad.org)
        values = {"entity_type": "client", "entity_id": str(theirs.pk), "reason": "A case"}
        page = save(as_role(Role.ADMIN), address(LegalHold, "add"), "legalhold_form", **values)
        assert f"There is no client {theirs.pk} in this organisation." in page.content.decode()
        with system_scope("tests"):
            assert LegalHold.all_orgs.count() == 0

    def test_are_hidden_from_everybody_else(self, home, as_role):
        with system_scope("tests"):
            hold = LegalHoldFactory(org=home.org)
        assert one(as_role(Role.MANAGER), hold).status_code == 403


class TestRedactions:
    def test_tell_managers_who_when_and_why(self, home, as_role):
        with system_scope("tests"):
            redaction = RedactionFactory(org=home.org, touched={"memory_atom": 3, "clients_contact": 1})
        text = one(as_role(Role.MANAGER), redaction).content.decode()
        assert "The customer asked for it" in text
        assert "clients_contact: 1, memory_atom: 3" in text
        assert shown(as_role(Role.MANAGER), Redaction) == [redaction.pk]
        assert one(as_role(Role.REP), redaction).status_code == 403
