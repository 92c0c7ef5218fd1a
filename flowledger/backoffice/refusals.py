"""Refusals in words and lists for people: what is missing, and how to satisfy it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString

from flowledger.errors import FlowLedgerError


def explain(error: FlowLedgerError) -> SafeString:
    """The sentence of a refusal, followed by everything it lists."""
    lines = [*_field_lines(error), *_missing_lines(error)]
    if not lines:
        return format_html("{}", error.message)
    items = format_html_join("", "<li>{}</li>", ((line,) for line in lines))
    return format_html('{}<ul class="list-disc ml-5 mt-1">{}</ul>', error.message, items)


def _missing_lines(error: FlowLedgerError) -> Iterator[str]:
    """Missing items are sentences, or mappings with `missing` (what) and `how` (to satisfy it)."""
    for item in error.details.get("missing_items") or ():
        if isinstance(item, Mapping):
            yield " ".join(str(item[name]) for name in ("missing", "how") if item.get(name))
        else:
            yield str(item)


def _field_lines(error: FlowLedgerError) -> Iterator[str]:
    for name, sentences in (error.details.get("fields") or {}).items():
        for sentence in sentences:
            yield f"{name.replace('_', ' ').capitalize()}: {sentence}"
