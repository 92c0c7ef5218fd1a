"""The HTML of public web forms: the hosted page, what follows it, and the snippet that other pages embed.

Everything an organisation wrote goes through the template engine's escaping, so that no text can become markup.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django.template.loader import render_to_string

from workstream.intake.form_reading import CONSENT, SUBMISSION
from workstream.intake.options import WebFormOptions

AUTOCOMPLETE = {
    "contact_name": "name",
    "contact_email": "email",
    "contact_phone": "tel",
    "company_name": "organization",
}


def snippet(options: WebFormOptions, *, action: str) -> str:
    """HTML to paste into a page: a form that works without a script, and sends to the hosted page's address."""
    return render_to_string("forms/snippet.html", _context(options, action=action)).strip() + "\n"


def page(
    options: WebFormOptions,
    *,
    action: str,
    organization: str,
    values: Mapping[str, str] | None = None,
    errors: Mapping[str, list[str]] | None = None,
    sentence: str = "",
    submission: str = "",
) -> str:
    """The hosted page; after a refusal with what was typed and what is wrong with it."""
    more = {
        "organization": organization,
        "sentence": sentence,
        "submission": submission,
        "submission_name": SUBMISSION,
    }
    context = _context(options, action=action, values=values or {}, errors=errors or {})
    return render_to_string("forms/page.html", {**context, **more})


def message(*, title: str, sentence: str, organization: str = "", action: str = "", button: str = "") -> str:
    """A page with one sentence; with a button that posts to `action`."""
    context = {"title": title, "sentence": sentence, "organization": organization, "action": action, "button": button}
    return render_to_string("forms/message.html", context)


def _context(
    options: WebFormOptions,
    *,
    action: str,
    values: Mapping[str, str] | None = None,
    errors: Mapping[str, list[str]] | None = None,
) -> dict[str, Any]:
    given, wrong = values or {}, errors or {}
    inputs = [
        {
            "field": each,
            "autocomplete": AUTOCOMPLETE.get(each.target, "off"),
            "value": given.get(each.name, ""),
            "errors": wrong.get(each.name, []),
        }
        for each in options.fields
    ]
    return {
        "options": options,
        "action": action,
        "inputs": inputs,
        "consent_name": CONSENT,
        "consent_value": given.get(CONSENT, ""),
        "consent_errors": wrong.get(CONSENT, []),
    }
