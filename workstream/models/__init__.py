"""Columns, constraints, indexes and transitions of the pipeline."""

from workstream.models.activities import Activity, Task, WorkItemLink
from workstream.models.candidates import Candidate, CandidateSignal, CandidateTag
from workstream.models.checklists import ChecklistItem, ChecklistTemplate, GateCheck
from workstream.models.engagements import Engagement
from workstream.models.history import StageHistory
from workstream.models.proposals import Proposal, ProposalTemplate
from workstream.models.pursuits import CostEntry, Pursuit, PursuitTag
from workstream.models.signals import Signal, SignalCluster, SignalDelivery, SignalPayload
from workstream.models.taxonomy import Problem, Solution, Tag

__all__ = [
    "Activity",
    "Candidate",
    "CandidateSignal",
    "CandidateTag",
    "ChecklistItem",
    "ChecklistTemplate",
    "CostEntry",
    "Engagement",
    "GateCheck",
    "Problem",
    "Proposal",
    "ProposalTemplate",
    "Pursuit",
    "PursuitTag",
    "Signal",
    "SignalCluster",
    "SignalDelivery",
    "SignalPayload",
    "Solution",
    "StageHistory",
    "Tag",
    "Task",
    "WorkItemLink",
]
