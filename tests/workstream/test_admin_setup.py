"""Set-up of the pipeline in the back office: versioned templates and the organisation's vocabulary."""

from __future__ import annotations

import pytest

from flowledger.tenancy.actors import Role
from flowledger.tenancy.scope import org_scope
from tests.workstream.back_office import address, save, stored
from tests.workstream.factories import (
    CandidateFactory,
    ChecklistTemplateFactory,
    ProblemFactory,
    ProposalTemplateFactory,
    TagFactory,
    open_pursuit,
)
from workstream.models import ChecklistItem, ChecklistTemplate, Problem, ProposalTemplate, Solution, Tag, Task


def names_on(pursuit, kind):
    with org_scope(pursuit.org_id):
        items = ChecklistItem.objects.for_org(pursuit.org_id).filter(pursuit=pursuit, kind=kind)
        return list(items.order_by("position").values_list("name", flat=True))


class TestChecklistTemplates:
    def test_the_page_shows_what_is_in_force(self, home, as_role):
        page = as_role(Role.VIEWER).get(address(ChecklistTemplate, "changelist"))
        assert [card["title"] for card in page.context["in_force"]] == [
            "Pink checklist",
            "Red checklist",
            "Kickoff tasks",
        ]
        assert page.context["in_force"][2]["lines"][0] == "Hand over from sales to delivery (day 1)"
        assert "?kind=pink" not in page.content.decode()
        assert "?kind=pink" in as_role(Role.MANAGER).get(address(ChecklistTemplate, "changelist")).content.decode()

    def test_editing_publishes_the_next_version_for_new_pursuits_only(self, home, as_role):
        before = open_pursuit(home.org)
        link = address(ChecklistTemplate, "add") + "?kind=pink"
        page = as_role(Role.MANAGER).get(link)
        assert page.content.decode().count('name="items_name"') == 8
        save(
            as_role(Role.MANAGER),
            link,
            "checklisttemplate_form",
            items_name=["Budget confirmed", "", "Site visited"],
            items_second=["required", "required", "optional"],
        )
        with org_scope(home.org):
            template = ChecklistTemplate.objects.for_org(home.org).get()
        assert (template.kind, template.version, template.published_by_id) == (
            "pink",
            1,
            home.people[Role.MANAGER].pk,
        )
        assert template.items == [
            {"name": "Budget confirmed", "is_required": True},
            {"name": "Site visited", "is_required": False},
        ]
        after = open_pursuit(home.org)
        assert names_on(after, "pink") == ["Budget confirmed", "Site visited"]
        assert len(names_on(before, "pink")) == 4

    def test_kickoff_tasks_have_days(self, home, as_role):
        link = address(ChecklistTemplate, "add") + "?kind=kickoff"
        save(
            as_role(Role.MANAGER),
            link,
            "checklisttemplate_form",
            items_name=["Say hello", "Meet"],
            items_second=["0", "5"],
        )
        with org_scope(home.org):
            template = ChecklistTemplate.objects.for_org(home.org).get()
        assert template.items == [{"name": "Say hello", "due_in_days": 0}, {"name": "Meet", "due_in_days": 5}]

    def test_a_name_given_twice_is_refused_and_what_was_typed_stays(self, home, as_role):
        response = save(
            as_role(Role.MANAGER),
            address(ChecklistTemplate, "add") + "?kind=red",
            "checklisttemplate_form",
            items_name=["Same", "Same"],
            items_second=["required", "required"],
        )
        text = response.content.decode()
        assert "no name twice" in text
        assert text.count('value="Same"') == 2
        with org_scope(home.org):
            assert not ChecklistTemplate.objects.for_org(home.org).exists()

    def test_a_published_version_is_read_only(self, home, as_role):
        template = ChecklistTemplateFactory(org=home.org)
        before = stored(template)
        link = address(ChecklistTemplate, "change", template.pk)
        assert "Budget confirmed" in as_role(Role.ADMIN).get(link).content.decode()
        assert as_role(Role.ADMIN).post(link, {"kind": "pink", "items_name": "Forged"}).status_code == 403
        assert stored(template) == before

    @pytest.mark.parametrize("role", [Role.VIEWER, Role.REP])
    def test_are_kept_by_managers(self, home, as_role, role):
        link = address(ChecklistTemplate, "add")
        assert as_role(role).post(link, {"kind": "pink", "items_name": "Mine"}).status_code == 403
        with org_scope(home.org):
            assert not ChecklistTemplate.objects.for_org(home.org).exists()


class TestProposalTemplates:
    def test_editing_publishes_the_next_version(self, home, as_role):
        ProposalTemplateFactory(org=home.org, version=1, title="Offer to {{ client_name }}")
        link = address(ProposalTemplate, "add")
        assert "Offer to {{ client_name }}" in as_role(Role.MANAGER).get(link).content.decode()
        save(as_role(Role.MANAGER), link, "proposaltemplate_form", body="{{ scope }}")
        with org_scope(home.org):
            newest = ProposalTemplate.objects.for_org(home.org).get(version=2)
        assert (newest.title, newest.body) == ("Offer to {{ client_name }}", "{{ scope }}")

    def test_an_unknown_variable_is_refused_when_it_is_saved(self, home, as_role):
        link = address(ProposalTemplate, "add")
        response = save(as_role(Role.MANAGER), link, "proposaltemplate_form", body="{{ price_of_gold }}")
        assert "Unknown variables: price_of_gold" in response.content.decode()
        with org_scope(home.org):
            assert not ProposalTemplate.objects.for_org(home.org).exists()

    def test_a_representative_does_not_edit_them(self, home, as_role):
        assert as_role(Role.REP).get(address(ProposalTemplate, "add")).status_code == 403


class TestVocabulary:
    @pytest.mark.parametrize("model", [Problem, Solution, Tag])
    def test_is_kept_by_managers_through_the_use_cases(self, home, as_role, model):
        form = f"{model._meta.model_name}_form"
        save(as_role(Role.MANAGER), address(model, "add"), form, name="Downtime")
        with org_scope(home.org):
            row = model.objects.for_org(home.org).get()
        save(as_role(Role.MANAGER), address(model, "change", row.pk), form, name="Unplanned downtime")
        assert stored(row)["name"] == "Unplanned downtime"
        for role in (Role.VIEWER, Role.REP):
            client = as_role(role)
            assert client.post(address(model, "add"), {"name": "Mine"}).status_code == 403
            assert client.post(address(model, "change", row.pk), {"name": "Mine"}).status_code == 403
        assert stored(row)["name"] == "Unplanned downtime"

    def test_a_taken_name_is_said_in_words(self, home, as_role):
        TagFactory(org=home.org, name="Press")
        response = save(as_role(Role.MANAGER), address(Tag, "add"), "tag_form", name="press")
        assert "already" in response.content.decode()
        with org_scope(home.org):
            assert Tag.objects.for_org(home.org).count() == 1

    def test_what_is_in_use_is_not_deleted(self, home, as_role):
        problem = ProblemFactory(org=home.org)
        CandidateFactory(org=home.org, problem=problem)
        response = as_role(Role.MANAGER).post(address(Problem, "delete", problem.pk), {"post": "yes"}, follow=True)
        assert response.status_code == 200
        assert stored(problem)["name"] == problem.name


class TestTasks:
    def test_are_about_exactly_one_item(self, home, as_role):
        candidate, pursuit = CandidateFactory(org=home.org), open_pursuit(home.org)
        link = address(Task, "add")
        for values in ({}, {"candidate": candidate.pk, "pursuit": pursuit.pk}):
            response = save(as_role(Role.REP), link, "task_form", title="Call them", **values)
            assert "exactly one item" in response.content.decode(), (
                values,
                response.redirect_chain,
                response.context.get("errors"),
            )
        with org_scope(home.org):
            assert not Task.objects.for_org(home.org).filter(title="Call them").exists()
        save(as_role(Role.REP), link, "task_form", title="Call them", pursuit=pursuit.pk)
        with org_scope(home.org):
            assert Task.objects.for_org(home.org).get(title="Call them").pursuit_id == pursuit.pk
