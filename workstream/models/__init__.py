"""Columns, constraints, indexes and transitions of the pipeline."""

from workstream.models.activities import Activity, Task, WorkItemLink
from workstream.models.calendars import BusinessCalendar, ClosingDay
from workstream.models.candidates import Candidate, CandidateSignal, CandidateTag
from workstream.models.checklists import ChecklistItem, ChecklistTemplate, GateCheck
from workstream.models.engagements import Engagement
from workstream.models.history import StageHistory
from workstream.models.imports import ImportChange, ImportRow, ImportRun
from workstream.models.intake import FormSubmission, IntakeReject, IntakeSource
from workstream.models.mail import MailMessage, MailThread
from workstream.models.notifications import Notification, NotificationPreference
from workstream.models.proposals import Proposal, ProposalTemplate
from workstream.models.pursuits import CostEntry, Pursuit, PursuitTag
from workstream.models.signals import Signal, SignalCluster, SignalDelivery, SignalPayload
from workstream.models.sla import SlaBreach, SlaClock, SlaRule
from workstream.models.tallies import ItemTally
from workstream.models.taxonomy import Problem, Solution, Tag
from workstream.models.today import TodayItem, TodayVersion

__all__ = [
    "Activity",
    "BusinessCalendar",
    "Candidate",
    "CandidateSignal",
    "CandidateTag",
    "ChecklistItem",
    "ChecklistTemplate",
    "ClosingDay",
    "CostEntry",
    "Engagement",
    "FormSubmission",
    "GateCheck",
    "ImportChange",
    "ImportRow",
    "ImportRun",
    "IntakeReject",
    "IntakeSource",
    "ItemTally",
    "MailMessage",
    "MailThread",
    "Notification",
    "NotificationPreference",
    "Problem",
    "Proposal",
    "ProposalTemplate",
    "Pursuit",
    "PursuitTag",
    "Signal",
    "SignalCluster",
    "SignalDelivery",
    "SignalPayload",
    "SlaBreach",
    "SlaClock",
    "SlaRule",
    "Solution",
    "StageHistory",
    "Tag",
    "Task",
    "TodayItem",
    "TodayVersion",
    "WorkItemLink",
]
