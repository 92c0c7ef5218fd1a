"""What the database itself refuses, whoever asks: every invariant of the pipeline that SQL can state."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from django.db import IntegrityError, connection, transaction

from tests.workstream.factories import (
    ActivityFactory,
    CandidateFactory,
    ChecklistItemFactory,
    ClientFactory,
    ContactFactory,
    EngagementFactory,
    GateCheckFactory,
    ProblemFactory,
    ProposalFactory,
    PursuitFactory,
    SignalFactory,
    SolutionFactory,
    StageHistoryFactory,
    TaskFactory,
    WorkItemLinkFactory,
)
from tests.workstream.trail import nothing_changes

pytestmark = pytest.mark.django_db


def stored(row: Any, change: str) -> Any:
    """Change a stored row past every service and model."""
    with connection.cursor() as cursor:
        cursor.execute(f"UPDATE {row._meta.db_table} SET {change} WHERE id = %s", [row.pk])


def twice(make: Any, *same: str, **fields: Any) -> Callable[[Any], Callable[[], Any]]:
    """A second row like the first, with the same `same`."""

    def prepare(org: Any) -> Callable[[], Any]:
        first = make(org=org, **fields)
        return lambda: make(org=org, **fields, **{name: getattr(first, name) for name in same})

    return prepare


def changed(make: Any, change: str, **fields: Any) -> Callable[[Any], Callable[[], Any]]:
    """A row that is brought into a state that cannot be."""

    def prepare(org: Any) -> Callable[[], Any]:
        row = make(org=org, **fields)
        return lambda: stored(row, change)

    return prepare


def second_draft(org: Any) -> Callable[[], Any]:
    """Version 2 while version 1 is a draft."""
    first = ProposalFactory(org=org)
    return lambda: ProposalFactory(org=org, pursuit=first.pursuit, version=2)


REFUSED: dict[str, Callable[[Any], Callable[[], Any]]] = {
    "signal_natural_key": twice(SignalFactory, dedupe_key="form:1"),
    "signal_no_blank_key": changed(SignalFactory, "dedupe_key = ''"),
    "signal_disposition": changed(SignalFactory, "disposition = 'lost'"),
    "signal_urgency_range": changed(SignalFactory, "urgency_score = 1.01"),
    "signal_rejected_with_reason": changed(SignalFactory, "disposition = 'rejected'"),
    "candidate_status": changed(CandidateFactory, "status = 'won'"),
    "candidate_has_title": changed(CandidateFactory, "title = ''"),
    "candidate_confidence": changed(CandidateFactory, "confidence = 1.01"),
    "candidate_held_with_reason": changed(CandidateFactory, "status = 'on_hold'"),
    "candidate_archived_with_reason": changed(CandidateFactory, "status = 'archived'"),
    "candidate_promoted_when": changed(CandidateFactory, "status = 'promoted'"),
    "pursuit_one_per_candidate": twice(PursuitFactory, "candidate"),
    "pursuit_stage": changed(PursuitFactory, "stage = 'green'"),
    "pursuit_red_has_client": changed(PursuitFactory, "stage = 'red', client_id = NULL"),
    "pursuit_submitted_when": changed(PursuitFactory, "stage = 'submit'"),
    "pursuit_closed_when": changed(PursuitFactory, "stage = 'won', submitted_at = now()"),
    "pursuit_lost_with_reason": changed(
        PursuitFactory, "stage = 'lost', submitted_at = now(), closed_at = now(), outcome_reason = ''"
    ),
    "pursuit_compliance": changed(PursuitFactory, "compliance_score = 1.001"),
    "pursuit_value": changed(PursuitFactory, "forecast_value = -1"),
    "proposal_version": twice(ProposalFactory, "pursuit", "version"),
    "proposal_one_draft": second_draft,
    "proposal_version_from_one": changed(ProposalFactory, "version = 0"),
    "proposal_not_blank": changed(ProposalFactory, "body = ''"),
    "proposal_sent_when": changed(ProposalFactory, "status = 'sent'"),
    "proposal_signed_when": changed(ProposalFactory, "status = 'signed', sent_at = now(), delivery = 'email'"),
    "engagement_one_per_pursuit": twice(EngagementFactory, "pursuit"),
    "stage_history_pursuit_now": twice(StageHistoryFactory, "pursuit"),
    "stage_history_one_item": changed(StageHistoryFactory, "pursuit_id = NULL"),
    "stage_history_forward": changed(StageHistoryFactory, "left_at = entered_at - interval '1 second'"),
    "checklist_item_once": twice(ChecklistItemFactory, "pursuit", "name"),
    "checklist_item_done_when": changed(ChecklistItemFactory, "is_done = true"),
    "checklist_item_waived_with_reason": changed(ChecklistItemFactory, "waived_at = now()"),
    "gate_check_says_why": changed(GateCheckFactory, "passed = false"),
    "activity_one_item": changed(ActivityFactory, "candidate_id = NULL"),
    "task_one_item": changed(TaskFactory, "candidate_id = NULL"),
    "task_done_when": changed(TaskFactory, "status = 'done'"),
    "task_once_per_cause": twice(TaskFactory, "candidate", rule_key="cause:1"),
    "work_item_link_one_item": changed(WorkItemLinkFactory, "candidate_id = NULL"),
}


@pytest.mark.parametrize("rule", REFUSED)
def test_the_rule_holds(org, rule):
    attempt = REFUSED[rule](org)
    with nothing_changes(), pytest.raises(IntegrityError, match=rule), transaction.atomic():
        attempt()


def test_an_activity_on_two_items_is_refused(org):
    activity, pursuit = ActivityFactory(org=org), PursuitFactory(org=org)
    with pytest.raises(IntegrityError, match="activity_one_item"), transaction.atomic():
        stored(activity, f"pursuit_id = {pursuit.pk}")


@pytest.mark.parametrize(
    ("column", "make"),
    [
        ("client_id", ClientFactory),
        ("contact_id", ContactFactory),
        ("problem_id", ProblemFactory),
        ("solution_id", SolutionFactory),
    ],
)
def test_a_candidate_cannot_point_into_another_organisation(org, other_org, column, make):
    theirs, mine = make(org=other_org), CandidateFactory(org=org)
    with pytest.raises(IntegrityError, match="foreign key"), transaction.atomic():
        stored(mine, f"{column} = {theirs.pk}")
        with connection.cursor() as cursor:
            cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")
