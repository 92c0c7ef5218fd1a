"""The change lists of the pipeline: a fixed number of queries whatever the number of rows, and searches by word."""

from __future__ import annotations

import re

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from flowledger.tenancy.actors import Role
from tests.queries import OF_EVERY_REQUEST
from tests.workstream import factories
from tests.workstream.back_office import address
from workstream.models import CandidateTag

# The page of rows, its count, one per relation filter, and what is in force above the templates.
QUERIES = {
    factories.SignalFactory: 3,
    factories.CandidateFactory: 4,
    factories.PursuitFactory: 4,
    factories.ProposalFactory: 2,
    factories.EngagementFactory: 3,
    factories.ActivityFactory: 2,
    factories.TaskFactory: 3,
    factories.WorkItemLinkFactory: 2,
    factories.GateCheckFactory: 2,
    factories.StageHistoryFactory: 2,
    factories.ChecklistTemplateFactory: 4,
    factories.ProposalTemplateFactory: 3,
    factories.ProblemFactory: 2,
    factories.SolutionFactory: 2,
    factories.TagFactory: 2,
    factories.SignalClusterFactory: 2,
    factories.SlaRuleFactory: 3,
    factories.BusinessCalendarFactory: 2,
    factories.SlaBreachFactory: 1,
}
# Who is it, and may they come in: session, user, permissions of Django's own, which are none; the bell, and the numbers
# of pairs to judge and of signals to review beside their entries of the menu.
OF_EVERY_PAGE = re.compile(
    r'^SELECT "tenancy_membership"'
    r'|^SELECT COUNT\(\*\) AS "__count" FROM "workstream_notification"'
    r'|^SELECT COUNT\(\*\) FROM \(SELECT "(clients_identityconflict|spotlight_routedsignal|memory_atomconflict)"'
    r'|FROM "(django_session|auth_permission)"'
    r'|FROM "tenancy_user" WHERE "tenancy_user"."id" = \d+ LIMIT'
)


def own(statements: list[str]) -> list[str]:
    """The statements that the page itself asked."""
    return [sql for sql in statements if not OF_EVERY_REQUEST.match(sql) and not OF_EVERY_PAGE.search(sql)]


@pytest.mark.parametrize("factory", QUERIES, ids=lambda factory: factory._meta.model._meta.model_name)
def test_costs_a_fixed_number_of_queries(home, as_role, factory):
    client = as_role(Role.MANAGER)
    link = address(factory._meta.model, "changelist")

    def asked() -> list[str]:
        with CaptureQueriesContext(connection) as captured:
            response = client.get(link)
        assert response.status_code == 200
        return own([each["sql"] for each in captured.captured_queries])

    factory.create_batch(5, org=home.org)
    client.get(link)
    with_5 = asked()
    factory.create_batch(45, org=home.org)
    with_50 = asked()
    assert (len(with_5), len(with_50)) == (QUERIES[factory],) * 2, "\n".join(sql[:150] for sql in with_50)


@pytest.mark.parametrize("factory", [factories.CandidateFactory, factories.PursuitFactory])
def test_finds_by_word_within_the_organisation(home, abroad, as_role, factory):
    mine = factory(org=home.org, title="Packing line for Northwind")
    factory(org=home.org, title="Something else")
    factory(org=abroad.org, title="Packing line abroad")
    page = as_role(Role.VIEWER).get(address(factory._meta.model, "changelist"), {"q": "line pack"})
    assert [row.pk for row in page.context["cl"].result_list] == [mine.pk]


def test_filters_candidates_by_tag(home, as_role):
    tag = factories.TagFactory(org=home.org)
    candidate = factories.CandidateFactory(org=home.org)
    factories.CandidateFactory(org=home.org)
    CandidateTag.all_orgs.create(org=home.org, candidate=candidate, tag=tag)
    page = as_role(Role.VIEWER).get(address(type(candidate), "changelist"), {"tags__id__exact": tag.pk})
    assert [row.pk for row in page.context["cl"].result_list] == [candidate.pk]


def test_stage_history_filters_by_state(home, as_role):
    row = factories.StageHistoryFactory(org=home.org, state="pink")
    factories.StageHistoryFactory(org=home.org, state="red")
    page = as_role(Role.VIEWER).get(address(type(row), "changelist"), {"state": "pink"})
    assert [each.pk for each in page.context["cl"].result_list] == [row.pk]
