"""Proposals as text and as a printable page: named variables, Markdown, safe HTML."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import datetime, timedelta
from decimal import Decimal
from zoneinfo import ZoneInfo

import nh3
from django.template.loader import render_to_string
from markdown_it import MarkdownIt

from flowledger.errors import InvalidInput
from flowledger.tenancy.models import Organization
from workstream.models import Proposal, Pursuit

PROPOSAL_VARIABLES: dict[str, str] = {
    "client_name": "Name of the client",
    "contact_name": "Name of the contact",
    "contact_line": "', for NAME' when there is a contact, else nothing",
    "pursuit_title": "Title of the pursuit",
    "organization_name": "Name of your organisation",
    "owner_name": "Name of the pursuit's owner",
    "scope": "The candidate's one-line scope, or its problem",
    "solution": "The candidate's solution",
    "amount": "Forecast value with currency",
    "date": "Today's date in the organisation's time zone",
    "response_date": "The date an answer is asked for",
}

_VARIABLE = re.compile(r"\{\{\s*([A-Za-z_][A-Za-z0-9_]*)\s*\}\}")
_markdown = MarkdownIt("commonmark", {"html": False}).enable(["table", "strikethrough"])


def require_known_variables(text: str, *, field: str) -> None:
    """Raise InvalidInput naming every variable that does not exist: a template fails when saved, not when sent."""
    unknown = sorted({name for name in _VARIABLE.findall(text) if name not in PROPOSAL_VARIABLES})
    if unknown:
        sentence = f"Unknown variables: {', '.join(unknown)}. Known are: {', '.join(sorted(PROPOSAL_VARIABLES))}."
        raise InvalidInput(sentence, fields={field: [sentence]})


def fill(text: str, values: Mapping[str, str]) -> str:
    """Put values in place of `{{ names }}`; values are never looked at again, so they cannot smuggle variables in."""
    return _VARIABLE.sub(lambda match: values[match.group(1)], text)


def money(amount: Decimal, currency: str) -> str:
    """An amount for people, such as `12,500.00 USD`."""
    return f"{amount:,.2f} {currency}"


def proposal_values(pursuit: Pursuit, *, org: Organization, at: datetime, response_hours: int) -> dict[str, str]:
    """The variables of a pursuit's proposal; `at` in the organisation's time zone gives the dates."""
    here = at.astimezone(ZoneInfo(org.timezone))
    candidate = pursuit.candidate
    contact_name = pursuit.contact.name if pursuit.contact else ""
    owner = pursuit.owner
    solution = candidate.solution.name if candidate.solution else ""
    return {
        "client_name": pursuit.client.name if pursuit.client else pursuit.title,
        "contact_name": contact_name,
        "contact_line": f", for {contact_name}," if contact_name else "",
        "pursuit_title": pursuit.title,
        "organization_name": org.name,
        "owner_name": (owner.get_full_name() or owner.get_username()) if owner else org.name,
        "scope": candidate.one_liner_scope or (candidate.problem.name if candidate.problem else pursuit.title),
        "solution": solution or "The solution that we discussed; details follow in the next version.",
        "amount": money(pursuit.forecast_value, pursuit.currency),
        "date": here.date().isoformat(),
        "response_date": (here + timedelta(hours=response_hours)).date().isoformat(),
    }


def html_of(markdown: str) -> str:
    """Markdown as HTML that is safe to show: raw HTML is not let through and the result is sanitised."""
    return nh3.clean(_markdown.render(markdown))


def printable_page(proposal: Proposal, *, org: Organization) -> str:
    """One version as an HTML page of its own that prints well; needs nothing from elsewhere."""
    context = {
        "org": org,
        "proposal": proposal,
        "pursuit": proposal.pursuit,
        "document": html_of(proposal.body),
        "amount": money(proposal.amount, proposal.currency),
    }
    return render_to_string("workstream/proposal_print.html", context)
