"""Every business rule of the pipeline with its default, typed; the configuration registry overrides them later."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from types import MappingProxyType

from flowledger.tenancy.models import Organization
from workstream.machines import PursuitStage


@dataclass(frozen=True)
class TemplateItem:
    """One line of a checklist template."""

    name: str
    is_required: bool = True


@dataclass(frozen=True)
class KickoffTask:
    """One task that a new engagement begins with; days count from its start."""

    name: str
    due_in_days: int


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


def rules_for(org: Organization) -> PipelineRules:
    """The rules in force for an organisation; today the defaults for everyone."""
    return DEFAULTS
