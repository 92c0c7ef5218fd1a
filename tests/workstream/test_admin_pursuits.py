"""Pursuits in the back office: stages by buttons, gates in view, checklists worked on the page."""

from __future__ import annotations

import pytest
from django.test import Client

from flowledger.tenancy.actors import Role
from flowledger.tenancy.scope import org_scope
from tests.queries import counted_queries
from tests.workstream.back_office import address, buttons_on, events_of, press, said, save, stored
from tests.workstream.factories import (
    ActivityFactory,
    ChecklistItemFactory,
    CostEntryFactory,
    GateCheckFactory,
    TaskFactory,
    complete_checklist,
    open_pursuit,
)
from workstream.machines import PursuitStage
from workstream.models import Activity, ChecklistItem, CostEntry, GateCheck, Proposal, Pursuit

PINK = ["Budget confirmed", "Technical scope defined", "Decision makers identified", "Timeline agreed"]


def link(pursuit):
    return address(Pursuit, "change", pursuit.pk)


def item_of(pursuit, name=PINK[0]):
    with org_scope(pursuit.org_id):
        return ChecklistItem.objects.for_org(pursuit.org_id).get(pursuit=pursuit, name=name)


def work(client, pursuit, item, action, **values):
    return client.post(address(Pursuit, "checklist", pursuit.pk, item.pk, action), values, follow=True)


class TestStageButtons:
    @pytest.mark.parametrize(
        ("stage", "shown"),
        [
            (PursuitStage.QUAL, {"pink"}),
            (PursuitStage.PINK, {"red", "back-to-qualification"}),
            (PursuitStage.RED, {"submit", "back-to-pink"}),
            (PursuitStage.SUBMIT, {"won", "lost"}),
            (PursuitStage.WON, set()),
            (PursuitStage.LOST, set()),
        ],
    )
    def test_are_the_moves_of_the_machine(self, home, as_role, stage, shown):
        pursuit = open_pursuit(home.org, stage=stage, owner=home.people[Role.REP])
        assert buttons_on(as_role(Role.REP).get(link(pursuit))) == shown
        assert buttons_on(as_role(Role.VIEWER).get(link(pursuit))) == set()

    def test_move_there_and_back(self, home, as_role):
        pursuit = open_pursuit(home.org, owner=home.people[Role.REP])
        for button, stage in (
            ("pink", "pink"),
            ("back-to-qualification", "qual"),
            ("pink", "pink"),
            ("red", "red"),
            ("back-to-pink", "pink"),
        ):
            press(as_role(Role.REP), pursuit, button)
            assert stored(pursuit)["stage"] == stage

    def test_submit_asks_first(self, home, as_role):
        pursuit = open_pursuit(home.org, stage=PursuitStage.RED, owner=home.people[Role.REP])
        before = stored(pursuit)
        page = as_role(Role.REP).get(address(Pursuit, "transition", pursuit.pk, "submit"))
        assert "goes to the contact by email" in page.content.decode()
        assert stored(pursuit) == before

    def test_a_blocked_submit_names_all_that_is_missing_and_keeps_the_check(self, home, as_role):
        pursuit = open_pursuit(home.org, stage=PursuitStage.RED, owner=home.people[Role.REP])
        before, events = stored(pursuit), events_of(home.org)
        with org_scope(home.org):
            checks = GateCheck.objects.for_org(home.org).count()
        text = said(press(as_role(Role.REP), pursuit, "submit"))
        assert all(name in text for name in PINK)
        assert "Complete the item with its evidence, or ask a manager to waive it with a reason." in text
        assert (stored(pursuit), events_of(home.org)) == (before, events)
        with org_scope(home.org):
            kept = GateCheck.objects.for_org(home.org).order_by("-pk")[0]
            assert GateCheck.objects.for_org(home.org).count() == checks + 1
        assert (kept.gate, kept.passed, [miss["name"] for miss in kept.unmet]) == ("submit", False, PINK)
        assert kept.actor_id == home.people[Role.REP].pk

    def test_win(self, home, as_role):
        pursuit = open_pursuit(home.org, stage=PursuitStage.SUBMIT, owner=home.people[Role.REP])
        assert "blocked" in said(press(as_role(Role.REP), pursuit, "won"))
        assert stored(pursuit)["stage"] == "submit"
        complete_checklist(pursuit, "red")
        press(as_role(Role.REP), pursuit, "won", reason="The references")
        assert (stored(pursuit)["stage"], stored(pursuit)["outcome_reason"]) == ("won", "The references")
        assert events_of(home.org)[-1] == "pursuit.won"

    def test_lose_needs_a_reason(self, home, as_role):
        pursuit = open_pursuit(home.org, stage=PursuitStage.SUBMIT, owner=home.people[Role.REP])
        complete_checklist(pursuit, "red")
        assert press(as_role(Role.REP), pursuit, "lost", reason=" ").status_code == 400
        assert stored(pursuit)["stage"] == "submit"
        press(as_role(Role.REP), pursuit, "lost", reason="Too dear")
        assert (stored(pursuit)["stage"], stored(pursuit)["outcome_reason"]) == ("lost", "Too dear")

    @pytest.mark.parametrize("button", ["pink", "red", "submit", "won", "lost", "draft-proposal"])
    def test_a_forged_post_of_a_viewer_or_a_colleague_changes_nothing(self, home, as_role, button):
        pursuit = open_pursuit(home.org, owner=home.people[Role.MANAGER])
        before, events = stored(pursuit), events_of(home.org)
        for role in (Role.VIEWER, Role.REP):
            assert "needs the owner" in said(press(as_role(role), pursuit, button, reason="Forged"))
        assert (stored(pursuit), events_of(home.org)) == (before, events)

    def test_a_strangers_pursuit_does_not_exist(self, home, abroad, as_role):
        theirs = open_pursuit(abroad.org)
        before = stored(theirs)
        assert press(as_role(Role.ADMIN), theirs, "pink").status_code == 404
        assert as_role(Role.ADMIN).get(address(Pursuit, "transition", theirs.pk, "lost")).status_code == 404
        assert stored(theirs) == before


class TestThePage:
    def test_shows_gates_checklists_proposals_and_what_happened(self, home, as_role):
        pursuit = open_pursuit(home.org, stage=PursuitStage.RED, owner=home.people[Role.REP])
        page = as_role(Role.VIEWER).get(link(pursuit))
        cards = {card.label: card for card in page.context["gate_cards"]}
        assert [(card.passed, card.is_next) for card in cards.values()] == [
            (True, False),
            (False, True),
            (False, False),
            (False, False),
        ]
        assert cards["Submitted"].missing == [
            {
                "names": ", ".join(PINK),
                "how": "Complete the item with its evidence, or ask a manager to waive it with a reason.",
            }
        ]
        assert [len(card.items) for card in page.context["checklist_cards"]] == [4, 4]
        assert [each["row"].version for each in page.context["proposals"]] == [1]
        assert page.context["trail"][0]["name"] == "pursuit.stage_changed"

    def test_a_reader_gets_no_forms_but_the_empty_one(self, home, as_role):
        pursuit = open_pursuit(home.org, stage=PursuitStage.RED)
        text = as_role(Role.VIEWER).get(link(pursuit)).content.decode()
        assert "/checklist/" not in text
        assert "/transition/" not in text

    def test_costs_as_many_queries_for_many_rows_as_for_few(self, home, as_role):
        pursuit = open_pursuit(home.org, stage=PursuitStage.RED, owner=home.people[Role.REP])
        client = as_role(Role.MANAGER)

        def add_rows(count: int) -> None:
            for number in range(count):
                ChecklistItemFactory(org=home.org, pursuit=pursuit)
                TaskFactory(org=home.org, candidate=None, pursuit=pursuit, assignee=home.people[list(Role)[number % 4]])
                ActivityFactory(org=home.org, candidate=None, pursuit=pursuit)
                CostEntryFactory(org=home.org, pursuit=pursuit)
                GateCheckFactory(org=home.org, pursuit=pursuit)

        def asked() -> list[str]:
            with counted_queries() as statements:
                assert client.get(link(pursuit)).status_code == 200
            return statements

        add_rows(2)
        client.get(link(pursuit))
        few = asked()
        add_rows(8)
        many = asked()
        assert len(many) == len(few), "\n".join(sql[:200] for sql in many)

    def test_edits_go_through_the_use_case(self, home, as_role):
        pursuit = open_pursuit(home.org, owner=home.people[Role.REP])
        save(
            as_role(Role.REP),
            link(pursuit),
            "pursuit_form",
            title="Two lines",
            forecast_value="70000",
            stage="won",
            tag_names=["press"],
        )
        after = stored(pursuit)
        assert (after["title"], str(after["forecast_value"]), after["stage"]) == ("Two lines", "70000.00", "qual")
        with org_scope(home.org):
            assert pursuit.tags.get().name == "press"

    def test_the_client_stays_after_qualification(self, home, as_role):
        pursuit = open_pursuit(home.org, stage=PursuitStage.RED)
        before = stored(pursuit)
        response = save(as_role(Role.MANAGER), link(pursuit), "pursuit_form", client="")
        assert "keeps a client" in response.content.decode()
        assert stored(pursuit) == before

    def test_costs_are_booked_and_summed(self, home, as_role):
        pursuit = open_pursuit(home.org)
        prefix = "cost_entries"
        row = {"role": "Architect", "hours": "4.5", "amount": "900", "spent_on": "2026-03-03", "note": ""}
        values = {f"{prefix}-0-{name}": value for name, value in row.items()}
        save(as_role(Role.MANAGER), link(pursuit), "pursuit_form", **{f"{prefix}-TOTAL_FORMS": "1"}, **values)
        assert (str(stored(pursuit)["cost_hours"]), str(stored(pursuit)["cost_amount"])) == ("4.50", "900.00")
        with org_scope(home.org):
            assert CostEntry.objects.for_org(home.org).get().recorded_by_id == home.people[Role.MANAGER].pk

    def test_activities_are_added_beside_what_is_there(self, home, as_role):
        pursuit = open_pursuit(home.org)
        prefix = "activity_set"
        for number, summary in enumerate(["First", "Second"]):
            row = {"kind": "note", "direction": "internal", "summary": summary}
            values = {f"{prefix}-{number}-{name}": value for name, value in row.items()}
            save(
                as_role(Role.MANAGER),
                link(pursuit),
                "pursuit_form",
                **{f"{prefix}-TOTAL_FORMS": str(number + 1)},
                **values,
            )
        with org_scope(home.org):
            rows = Activity.objects.for_org(home.org).order_by("pk").values_list("summary", flat=True)
            assert list(rows) == ["First", "Second"]

    def test_there_is_no_add_page(self, home, as_role):
        assert as_role(Role.ADMIN).get(address(Pursuit, "add")).status_code == 403


class TestChecklist:
    def test_complete_with_evidence_and_reopen(self, home, as_role):
        pursuit = open_pursuit(home.org, owner=home.people[Role.REP])
        item = item_of(pursuit)
        response = work(as_role(Role.REP), pursuit, item, "complete", evidence="Mail of 3 March")
        assert "Done: Budget confirmed." in said(response)
        after = stored(item)
        assert (after["is_done"], after["evidence"], after["done_by_id"]) == (
            True,
            "Mail of 3 March",
            home.people[Role.REP].pk,
        )
        assert stored(pursuit)["pink_done"] == 1
        assert events_of(home.org)[-1] == "checklist.item_done"
        work(as_role(Role.REP), pursuit, item, "reopen")
        assert (stored(item)["is_done"], stored(item)["evidence"]) == (False, "Mail of 3 March")
        work(as_role(Role.REP), pursuit, item, "complete", evidence="")
        assert (stored(item)["is_done"], stored(item)["evidence"]) == (True, "Mail of 3 March")

    def test_a_manager_waives_with_a_reason(self, home, as_role):
        pursuit = open_pursuit(home.org)
        item = item_of(pursuit)
        work(as_role(Role.MANAGER), pursuit, item, "waive", reason="Their own engineers")
        after = stored(item)
        assert (after["waive_reason"], after["waived_by_id"]) == ("Their own engineers", home.people[Role.MANAGER].pk)
        assert events_of(home.org)[-1] == "gate.waived"
        page = as_role(Role.VIEWER).get(link(pursuit)).content.decode()
        assert "Waived: Budget confirmed" in page

    def test_a_waiver_without_a_reason_is_refused(self, home, as_role):
        pursuit = open_pursuit(home.org)
        item = item_of(pursuit)
        before, events = stored(item), events_of(home.org)
        assert "This field is required" in said(work(as_role(Role.MANAGER), pursuit, item, "waive", reason=""))
        assert (stored(item), events_of(home.org)) == (before, events)

    def test_add_an_item(self, home, as_role):
        pursuit = open_pursuit(home.org)
        add = address(Pursuit, "checklist_add", pursuit.pk)
        as_role(Role.MANAGER).post(add, {"kind": "red", "name": "Insurance checked"})
        item = item_of(pursuit, "Insurance checked")
        assert (item.kind, item.is_required) == ("red", False)
        response = as_role(Role.MANAGER).post(add, {"kind": "red", "name": "Insurance checked"}, follow=True)
        assert "has an item 'Insurance checked' already" in said(response)

    def test_is_closed_with_the_pursuit(self, home, as_role):
        pursuit = open_pursuit(home.org, stage=PursuitStage.WON)
        item = item_of(pursuit)
        before = stored(item)
        assert "its checklist is closed" in said(work(as_role(Role.ADMIN), pursuit, item, "reopen"))
        assert stored(item) == before

    @pytest.mark.parametrize("action", ["complete", "reopen", "waive"])
    def test_is_post_only(self, home, as_role, action):
        pursuit = open_pursuit(home.org)
        item = item_of(pursuit)
        before = stored(item)
        response = as_role(Role.ADMIN).get(address(Pursuit, "checklist", pursuit.pk, item.pk, action))
        assert response.status_code == 405
        assert stored(item) == before

    @pytest.mark.parametrize(
        ("role", "action"),
        [
            (Role.VIEWER, "complete"),
            (Role.VIEWER, "reopen"),
            (Role.VIEWER, "waive"),
            (Role.REP, "complete"),
            (Role.REP, "waive"),
        ],
    )
    def test_a_forged_post_without_the_right_changes_nothing(self, home, as_role, role, action):
        pursuit = open_pursuit(home.org, owner=home.people[Role.MANAGER])
        item = item_of(pursuit)
        before, events = stored(item), events_of(home.org)
        text = said(work(as_role(role), pursuit, item, action, reason="Forged", evidence="Forged"))
        assert "This needs the owner" in text
        assert (stored(item), events_of(home.org)) == (before, events)

    def test_an_owner_below_manager_does_not_waive(self, home, as_role):
        pursuit = open_pursuit(home.org, owner=home.people[Role.REP])
        item = item_of(pursuit)
        before = stored(item)
        page = as_role(Role.REP).get(link(pursuit)).content.decode()
        assert "/waive/" not in page
        assert "/complete/" in page
        work(as_role(Role.REP), pursuit, item, "waive", reason="I say so")
        assert stored(item) == before

    def test_a_strangers_item_does_not_exist(self, home, abroad, as_role):
        mine, theirs = open_pursuit(home.org), open_pursuit(abroad.org)
        item = item_of(theirs)
        before = stored(item)
        for pursuit in (mine, theirs):
            assert work(as_role(Role.ADMIN), pursuit, item, "complete").status_code == 404
        add = address(Pursuit, "checklist_add", theirs.pk)
        assert as_role(Role.ADMIN).post(add, {"kind": "pink", "name": "Forged"}).status_code == 404
        assert stored(item) == before

    def test_an_item_of_another_pursuit_is_not_reached_through_this_one(self, home, as_role):
        one, other = open_pursuit(home.org), open_pursuit(home.org)
        item = item_of(other)
        before = stored(item)
        assert work(as_role(Role.ADMIN), one, item, "complete").status_code == 404
        assert stored(item) == before

    def test_an_unknown_verb_does_not_exist(self, home, as_role):
        pursuit = open_pursuit(home.org)
        assert work(as_role(Role.ADMIN), pursuit, item_of(pursuit), "delete").status_code == 404

    def test_needs_a_csrf_token(self, home):
        pursuit = open_pursuit(home.org)
        item = item_of(pursuit)
        client = Client(enforce_csrf_checks=True)
        client.force_login(home.people[Role.ADMIN])
        assert work(client, pursuit, item, "complete").status_code == 403
        assert not stored(item)["is_done"]


class TestDraftProposal:
    def test_is_offered_beside_versions_that_are_out(self, home, as_role):
        pursuit = open_pursuit(home.org, owner=home.people[Role.REP])
        client = as_role(Role.REP)
        assert client.get(link(pursuit)).context["draft_button"] is None
        with org_scope(home.org):
            first = Proposal.objects.for_org(home.org).get()
        press(client, first, "send")
        assert client.get(link(pursuit)).context["draft_button"] is not None
        response = press(client, pursuit, "draft-proposal", follow=False)
        with org_scope(home.org):
            second = Proposal.objects.for_org(home.org).get(version=2)
        assert response.headers["Location"] == address(Proposal, "change", second.pk)
        assert (second.status, second.body) == ("draft", first.body)
