"""What the pipeline's endpoints ask the database: at most six statements a list, four a detail, whatever the rows."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from tests.queries import counted_queries
from tests.workstream.factories import (
    AT,
    CLERK,
    ActivityFactory,
    CandidateFactory,
    ChecklistItemFactory,
    ChecklistTemplateFactory,
    ClientFactory,
    ContactFactory,
    CostEntryFactory,
    EngagementFactory,
    GateCheckFactory,
    ProblemFactory,
    ProposalFactory,
    ProposalTemplateFactory,
    PursuitFactory,
    SignalFactory,
    SolutionFactory,
    StageHistoryFactory,
    TagFactory,
    TaskFactory,
    WorkItemLinkFactory,
    open_candidate,
    open_pursuit,
)
from workstream import services
from workstream.models import (
    Candidate,
    CandidateSignal,
    CandidateTag,
    ChecklistTemplate,
    Engagement,
    Problem,
    Proposal,
    ProposalTemplate,
    Pursuit,
    PursuitTag,
    Signal,
    SlaBreach,
    SlaRule,
    Solution,
    Tag,
    Task,
)

pytestmark = pytest.mark.django_db

MOST_OF_A_LIST = 6
MOST_OF_A_DETAIL = 4
FEW, MANY = 5, 50

Fill = Callable[[Any, int], str]


def rows_of(path: str, make: Any) -> Fill:
    """Fill a list of its own."""

    def fill(org: Any, count: int) -> str:
        make.create_batch(count, org=org)
        return path

    return fill


def candidates(org: Any, count: int) -> str:
    """Candidates with tags, signals and (every second) a pursuit."""
    tags = TagFactory.create_batch(2, org=org)
    for number, candidate in enumerate(CandidateFactory.create_batch(count, org=org)):
        CandidateTag.all_orgs.bulk_create(CandidateTag(org=org, candidate=candidate, tag=tag) for tag in tags)
        CandidateSignal.all_orgs.create(
            org=org, candidate=candidate, signal=SignalFactory(org=org, client=None), linked_at=AT
        )
        if number % 2:
            PursuitFactory(org=org, candidate=candidate)
    return "/api/candidates"


def pursuits(org: Any, count: int) -> str:
    """Pursuits with tags."""
    tags = TagFactory.create_batch(2, org=org)
    for pursuit in PursuitFactory.create_batch(count, org=org):
        PursuitTag.all_orgs.bulk_create(PursuitTag(org=org, pursuit=pursuit, tag=tag) for tag in tags)
    return "/api/pursuits"


ITEMS = {
    "signal": SignalFactory,
    "candidate": CandidateFactory,
    "pursuit": PursuitFactory,
    "engagement": EngagementFactory,
    "client": ClientFactory,
    "contact": ContactFactory,
}
OF_ONE_CANDIDATE = {ActivityFactory, TaskFactory, WorkItemLinkFactory}  # unless told otherwise


def below(item: str, path: str, make: Any, **fields: Any) -> Fill:
    """Fill a list below one item, which is the same for a second filling."""

    def fill(org: Any, count: int) -> str:
        row = ITEMS[item]._meta.model.all_orgs.filter(org=org).order_by("pk").first() or ITEMS[item](org=org)
        elsewhere = {"candidate": None} if make in OF_ONE_CANDIDATE else {}
        make.create_batch(count, org=org, **{**elsewhere, item: row, **fields})
        return path.format(row.pk)

    return fill


def versions(org: Any, count: int) -> str:
    pursuit = Pursuit.all_orgs.filter(org=org).order_by("pk").first() or PursuitFactory(org=org)
    start = Proposal.all_orgs.filter(pursuit=pursuit).count()
    for number in range(start, start + count):
        proposal = ProposalFactory(org=org, pursuit=pursuit, version=number + 1)
        services.void_proposal(org=org, proposal_id=proposal.pk, actor=CLERK, at=AT)
    return f"/api/pursuits/{pursuit.pk}/proposals"


def trail(org: Any, count: int) -> str:
    for _ in range(count):
        open_candidate(org)
    return "/api/workstream/events"


def sla_rules(org: Any, count: int) -> str:
    SlaRule.all_orgs.bulk_create(
        SlaRule(org=org, item_type="candidate", metric="triage_sla", threshold_hours=24) for _ in range(count)
    )
    return "/api/sla/rules"


def breaches(org: Any, count: int) -> str:
    """Candidates that were triaged a day too late."""
    for _ in range(count):
        candidate = open_candidate(org)
        late = AT + timedelta(days=2)
        services.triage_candidate(org=org, candidate_id=candidate.pk, actor=CLERK, at=late)
    return "/api/sla/breaches"


LISTS: dict[str, Fill] = {
    "signals": rows_of("/api/signals", SignalFactory),
    "signals below the module": rows_of("/api/workstream/signals", SignalFactory),
    "candidates": candidates,
    "pursuits": pursuits,
    "proposals": rows_of("/api/proposals", ProposalFactory),
    "tasks": rows_of("/api/tasks", TaskFactory),
    "engagements": rows_of("/api/engagements", EngagementFactory),
    "problems": rows_of("/api/problems", ProblemFactory),
    "solutions": rows_of("/api/solutions", SolutionFactory),
    "tags": rows_of("/api/tags", TagFactory),
    "checklist templates": rows_of("/api/checklist-templates", ChecklistTemplateFactory),
    "proposal templates": rows_of("/api/proposal-templates", ProposalTemplateFactory),
    "events": trail,
    "SLA rules": sla_rules,
    "breaches": breaches,
    **{
        f"activities of a {item}": below(item, f"/api/{item}s/{{}}/activities", ActivityFactory)
        for item in ("signal", "candidate", "pursuit", "engagement")
    },
    **{
        f"notes of a {item}": below(item, f"/api/{item}s/{{}}/notes", ActivityFactory) for item in ("client", "contact")
    },
    **{
        f"tasks of a {item}": below(item, f"/api/{item}s/{{}}/tasks", TaskFactory)
        for item in ("candidate", "pursuit", "engagement")
    },
    **{
        f"links of a {item}": below(item, f"/api/{item}s/{{}}/links", WorkItemLinkFactory)
        for item in ("candidate", "pursuit", "engagement")
    },
    "checklist": below("pursuit", "/api/pursuits/{}/checklist", ChecklistItemFactory),
    "gate checks": below("pursuit", "/api/pursuits/{}/gate-checks", GateCheckFactory),
    "costs": below("pursuit", "/api/pursuits/{}/costs", CostEntryFactory),
    "history of a candidate": below(
        "candidate", "/api/candidates/{}/history", StageHistoryFactory, pursuit=None, left_at=AT
    ),
    "history of a pursuit": below("pursuit", "/api/pursuits/{}/history", StageHistoryFactory, left_at=AT),
    "versions": versions,
}


class TestLists:
    @pytest.mark.parametrize("name", LISTS)
    def test_ask_the_same_for_few_and_many_rows(self, org, as_viewer, name):
        path = LISTS[name](org, FEW)
        with counted_queries() as few:
            shown = as_viewer.get(path).json()["data"]
        assert len(shown) == FEW
        LISTS[name](org, MANY - FEW)
        with counted_queries() as many:
            shown = as_viewer.get(path).json()["data"]
        assert len(shown) == MANY
        assert len(many) == len(few)
        assert 0 < len(many) <= MOST_OF_A_LIST, "\n".join(many)

    @pytest.mark.parametrize(
        ("name", "query"),
        [
            ("candidates", "?limit=10&tag=none,hot&status=new&ordering=-last_touch_at"),
            ("candidates", "?limit=10&page=2"),
            ("pursuits", "?limit=10&stage=qual&q=Pursuit"),
            ("signals", "?limit=10&q=machine&source_type=web_form"),
        ],
    )
    def test_pages_filters_and_searches_stay_within(self, org, as_viewer, name, query):
        path = LISTS[name](org, 25)
        with counted_queries() as asked:
            assert as_viewer.get(path + query).status_code == 200
        assert 0 < len(asked) <= MOST_OF_A_LIST, "\n".join(asked)


def one(model: Any, fill: Fill) -> Callable[[Any], str]:
    """The address of the only row of a list."""
    return lambda org: f"{fill(org, 1)}/{model.all_orgs.get(org=org).pk}"


def clustered(org: Any) -> str:
    """A signal with 30 others of the same buying event, some of which feed candidates."""
    client = ClientFactory(org=org)
    signals = SignalFactory.create_batch(31, org=org, client=client, snippet="Our press stops twice a day")
    services.cluster_signals(org=org, signal_ids=[signal.pk for signal in signals], actor=CLERK, at=AT)
    for signal in signals[:3]:
        candidate = CandidateFactory(org=org)
        CandidateSignal.all_orgs.create(org=org, candidate=candidate, signal=signal, linked_at=AT)
    return f"/api/signals/{signals[0].pk}/cluster"


DETAILS: dict[str, Callable[[Any], str]] = {
    "signal": one(Signal, LISTS["signals"]),
    "cluster": clustered,
    "candidate": one(Candidate, candidates),
    "pursuit": one(Pursuit, pursuits),
    "gates": lambda org: f"/api/pursuits/{open_pursuit(org).pk}/gates",
    "proposal": one(Proposal, LISTS["proposals"]),
    "task": one(Task, LISTS["tasks"]),
    "engagement": one(Engagement, LISTS["engagements"]),
    "problem": one(Problem, LISTS["problems"]),
    "solution": one(Solution, LISTS["solutions"]),
    "tag": one(Tag, LISTS["tags"]),
    "checklist template": one(ChecklistTemplate, LISTS["checklist templates"]),
    "proposal template": one(ProposalTemplate, LISTS["proposal templates"]),
    "SLA rule": one(SlaRule, LISTS["SLA rules"]),
    "breach": one(SlaBreach, LISTS["breaches"]),
    "stats": lambda org: "/api/workstream/stats",
}


class TestDetails:
    @pytest.mark.parametrize("name", DETAILS)
    def test_ask_at_most_four(self, org, as_viewer, name):
        path = DETAILS[name](org)
        with counted_queries() as asked:
            assert as_viewer.get(path).status_code == 200
        assert 0 < len(asked) <= MOST_OF_A_DETAIL, "\n".join(asked)
