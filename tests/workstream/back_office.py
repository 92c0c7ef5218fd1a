"""Working the back-office pages of the pipeline from tests: addresses, forms as a browser sends them, stored rows."""

from __future__ import annotations

from html import unescape
from html.parser import HTMLParser
from typing import Any

from django.test import Client
from django.urls import reverse

from flowledger.outbox.models import WorkEvent
from flowledger.tenancy.models import Organization
from flowledger.tenancy.scope import org_scope, system_scope


def address(model: Any, kind: str, *args: Any) -> str:
    """The address of a page of a model: `changelist`, `add`, `change`, `transition`, …"""
    return reverse(f"admin:{model._meta.app_label}_{model._meta.model_name}_{kind}", args=args)


def press(client: Client, row: Any, button: str, /, follow: bool = True, **values: Any) -> Any:
    """Send the form of a button."""
    return client.post(address(row, "transition", row.pk, button), values, follow=follow)


def buttons_on(response: Any) -> set[str]:
    """The names of the transition buttons on a page."""
    return {each["button"].name for each in response.context.get("transition_buttons") or ()}


def save(client: Client, link: str, form_id: str, /, follow: bool = True, **changes: Any) -> Any:
    """Open a page, change fields of its form and send it."""
    page = client.get(link)
    assert page.status_code == 200
    return client.post(link, {**form_values(page, form_id), **changes}, follow=follow)


def form_values(response: Any, form_id: str) -> dict[str, Any]:
    """What a browser would send if nobody touched the form."""
    reader = _Form(form_id)
    reader.feed(response.content.decode())
    assert reader.found, f"There is no form {form_id} on the page."
    return reader.values


def said(response: Any) -> str:
    """The messages of a followed answer, as one text."""
    return unescape("\n".join(str(message) for message in response.context["messages"]))


def stored(row: Any) -> dict[str, Any]:
    """The row's columns as they are in the database now."""
    with system_scope("tests"):
        values: dict[str, Any] = type(row)._default_manager.filter(pk=row.pk).values().get()
        return values


def events_of(org: Organization) -> list[str]:
    """The names of the organisation's events, oldest first."""
    with org_scope(org):
        return list(WorkEvent.objects.for_org(org).order_by("pk").values_list("event_name", flat=True))


class _Form(HTMLParser):
    """Collects the controls of one form."""

    def __init__(self, form_id: str) -> None:
        super().__init__()
        self.form_id = form_id
        self.found = False
        self.values: dict[str, Any] = {}
        self._inside = False
        self._select = ""
        self._multiple = False
        self._text: str | None = None

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        if tag == "form":
            self._inside = given.get("id") == self.form_id
            self.found = self.found or self._inside
        if not self._inside:
            return
        name = given.get("name") or ""
        if tag == "input" and name and given.get("type") not in {"submit", "button"}:
            if given.get("type") not in {"checkbox", "radio"} or "checked" in given:
                value = given.get("value") or ("on" if given.get("type") == "checkbox" else "")
                if given.get("type") == "checkbox" and name in self.values:
                    # Boxes of one name are a choice of several.
                    value = [*self._listed(name), value]  # type: ignore[assignment]
                self.values[name] = value
        elif tag == "select":
            self._select, self._multiple = name, "multiple" in given
            self.values[name] = [] if self._multiple else ""
        elif tag == "option" and "selected" in given:
            if self._multiple:
                self.values[self._select].append(given.get("value") or "")
            else:
                self.values[self._select] = given.get("value") or ""
        elif tag == "textarea":
            self._text = name
            self.values[name] = ""

    def _listed(self, name: str) -> list[str]:
        before = self.values[name]
        return before if isinstance(before, list) else [before]

    def handle_endtag(self, tag: str) -> None:
        if tag == "form":
            self._inside = False
        elif tag == "textarea":
            self._text = None

    def handle_data(self, data: str) -> None:
        if self._inside and self._text is not None:
            # HTML drops the first line break of a textarea.
            self.values[self._text] += data.removeprefix("\n") if not self.values[self._text] else data
