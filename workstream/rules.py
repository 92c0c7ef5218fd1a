"""Every business rule of the pipeline with its default, declared for organisations to set their own."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from types import MappingProxyType

from flowledger.configuration.registry import declare
from flowledger.tenancy.models import Organization
from workstream.machines import PursuitStage
from workstream.rule_schemas import (
    BandValues,
    Checklists,
    GateRequirements,
    Hours,
    KickoffTask,
    ProposalTexts,
    PursuitDefaults,
    SignalClusters,
    SlaDefault,
    SlaDefaults,
    SlaNotices,
    Tasks,
    TemplateItem,
    TodayRanking,
)

PINK_ITEMS = tuple(
    TemplateItem(name)
    for name in ("Budget confirmed", "Technical scope defined", "Decision makers identified", "Timeline agreed")
)
RED_ITEMS = tuple(
    TemplateItem(name)
    for name in ("Proposal reviewed", "Pricing approved", "Legal terms agreed", "Delivery plan finalised")
)
KICKOFF_TASKS = (
    KickoffTask("Hand over from sales to delivery", 1),
    KickoffTask("Send the welcome message and introduce the team", 2),
    KickoffTask("Hold the kickoff meeting", 7),
    KickoffTask("Agree the first milestone", 14),
)

PROPOSAL_TITLE = "Proposal for {{ client_name }}: {{ pursuit_title }}"
PROPOSAL_BODY = """\
# {{ pursuit_title }}

Prepared for **{{ client_name }}**{{ contact_line }} on {{ date }} by {{ owner_name }}, {{ organization_name }}.

## What we understood

{{ scope }}

## What we propose

{{ solution }}

## Investment

{{ amount }}

## Next step

Please let us have your questions or your agreement by {{ response_date }}.
"""


@dataclass(frozen=True)
class PipelineRules:
    """The rules of one organisation. Hours are wall-clock hours, money is in the organisation's currency."""

    # What each gate asks for; see workstream.gates.REQUIREMENTS for the words.
    gates: Mapping[str, tuple[str, ...]] = field(
        default_factory=lambda: MappingProxyType(
            {
                PursuitStage.RED.value: ("client", "owner"),
                PursuitStage.SUBMIT.value: ("pink_checklist", "proposal"),
                PursuitStage.WON.value: ("red_checklist",),
                PursuitStage.LOST.value: ("red_checklist", "outcome_reason"),
            }
        )
    )
    pink_items: tuple[TemplateItem, ...] = PINK_ITEMS
    red_items: tuple[TemplateItem, ...] = RED_ITEMS
    kickoff_tasks: tuple[KickoffTask, ...] = KICKOFF_TASKS
    # What a value band is worth on promotion while the candidate has no figure of its own.
    band_values: Mapping[str, Decimal] = field(
        default_factory=lambda: MappingProxyType(
            {"low": Decimal("10000"), "med": Decimal("50000"), "high": Decimal("150000")}
        )
    )
    pursuit_due_days: int = 30
    response_hours: int = 96
    proposal_title: str = PROPOSAL_TITLE
    proposal_body: str = PROPOSAL_BODY


DEFAULTS = PipelineRules()


REQUIREMENTS = declare(
    "gate_rule",
    "requirements",
    schema=GateRequirements,
    default=GateRequirements.model_validate(dict(DEFAULTS.gates), strict=False),
    help=(
        "What a pursuit needs to enter each stage: client, owner, proposal, pink_checklist, red_checklist and, for a "
        "loss, outcome_reason. A stage that is left out asks for nothing."
    ),
)
CHECKLISTS = declare(
    "gate_rule",
    "checklists",
    schema=Checklists,
    default=Checklists(pink=PINK_ITEMS, red=RED_ITEMS),
    help=(
        "The pink and red items that a new pursuit gets while no checklist template is published. "
        "Pursuits that have their items keep them."
    ),
)
KICKOFF = declare(
    "gate_rule",
    "kickoff_tasks",
    schema=Tasks,
    default=KICKOFF_TASKS,
    help="The tasks that a new engagement begins with while no template is published; days count from its start.",
)
PROPOSAL = declare(
    "gate_rule",
    "proposal",
    schema=ProposalTexts,
    default=ProposalTexts(title=PROPOSAL_TITLE, body=PROPOSAL_BODY),
    help=(
        "Title and Markdown body of a pursuit's first proposal while no template is published. "
        "Variables are written {{ client_name }}; one that does not exist is refused."
    ),
)
PURSUIT_DEFAULTS = declare(
    "ranking_rule",
    "pursuit_defaults",
    schema=PursuitDefaults,
    default=PursuitDefaults(
        band_values=BandValues.model_validate(dict(DEFAULTS.band_values)), pursuit_due_days=DEFAULTS.pursuit_due_days
    ),
    help=(
        "What a value band is worth when a candidate without a figure is promoted, and in how many days the pursuit is "
        "due when nobody says."
    ),
)
TODAY = declare(
    "ranking_rule",
    "today",
    schema=TodayRanking,
    default=TodayRanking(),
    help=(
        "Points that place an item on the Today panel: how its clocks stand, its band and its stage, less the workload "
        "of its owner; and the least score of each tier."
    ),
)
SLA_DEFAULTS = declare(
    "sla_rule",
    "defaults",
    schema=SlaDefaults,
    default=(
        SlaDefault(default_key="signal_triage", item_type="signal", metric="triage_sla", threshold_hours=Decimal("24")),
        SlaDefault(
            default_key="candidate_triage", item_type="candidate", metric="triage_sla", threshold_hours=Decimal("24")
        ),
        SlaDefault(
            default_key="pursuit_proposal", item_type="pursuit", metric="proposal_sla", threshold_hours=Decimal("72")
        ),
        SlaDefault(
            default_key="pursuit_response", item_type="pursuit", metric="response_sla", threshold_hours=Decimal("96")
        ),
    ),
    help="The SLA rules that a new organisation begins with; from then on the rules themselves are edited.",
)
UNTOUCHED_HOURS = declare(
    "sla_rule",
    "untouched_hours",
    schema=Hours,
    default=72,
    help="After so many hours without a touch an open candidate or pursuit turns amber.",
)
RESPONSE_HOURS = declare(
    "sla_rule",
    "response_hours",
    schema=Hours,
    default=DEFAULTS.response_hours,
    help="The hours after which an answer to a proposal is asked for; also the date that a proposal names.",
)
SLA_NOTICES = declare(
    "notification_rule",
    "sla",
    schema=SlaNotices,
    default=SlaNotices(),
    help=(
        "Who is told of SLA warnings and breaches: the owner of the item, the managers, the administrators; and "
        "whether by email as well, where the person's own settings ask for it."
    ),
)
SIGNAL_CLUSTERS = declare(
    "routing_rule",
    "signal_clusters",
    schema=SignalClusters,
    default=SignalClusters(),
    help=(
        "Which signals of one contact or client are one buying event: those no more than window_days apart whose texts "
        "are alike, from 0 (nothing in common) to 1 (the same words) at least by similarity; with same_thread also "
        "those of one conversation by email, whatever they say. Signals that came before a change stay where they are."
    ),
)


def rules_for(org: Organization) -> PipelineRules:
    """The rules in force for an organisation: its own where it has set them, else the defaults."""
    checklists, texts, promoted = CHECKLISTS.of(org), PROPOSAL.of(org), PURSUIT_DEFAULTS.of(org)
    return PipelineRules(
        gates=REQUIREMENTS.of(org).as_mapping(),
        pink_items=checklists.pink,
        red_items=checklists.red,
        kickoff_tasks=KICKOFF.of(org),
        band_values=promoted.band_values.as_mapping(),
        pursuit_due_days=promoted.pursuit_due_days,
        response_hours=RESPONSE_HOURS.of(org),
        proposal_title=texts.title,
        proposal_body=texts.body,
    )
