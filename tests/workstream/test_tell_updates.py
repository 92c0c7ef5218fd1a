"""Editing plain fields is told once, with the names of what really changed, and not at all when nothing did."""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from typing import Any

import pytest

from flowledger.errors import InvalidInput, PermissionRefused
from tests.workstream.conftest import actor_of
from tests.workstream.factories import AT, CLERK, ClientFactory, open_candidate, open_pursuit
from tests.workstream.trail import events_of, newest_event, nothing_changes
from workstream import services

pytestmark = pytest.mark.django_db

MAKERS = {"candidate": open_candidate, "pursuit": open_pursuit}
DUE = {"candidate": "next_step_due", "pursuit": "due_date"}
BOTH = pytest.mark.parametrize("kind", MAKERS)


def update(item: Any, *, actor: Any = CLERK, tags: Any = None, **fields: Any) -> Any:
    kind = item._meta.model_name
    service = getattr(services, f"update_{kind}")
    return service(org=item.org, **{f"{kind}_id": item.pk}, fields=fields, tags=tags, actor=actor, at=AT)


@BOTH
class TestUpdate:
    def test_is_told_with_what_changed(self, org, manager, kind):
        item = MAKERS[kind](org)
        other = ClientFactory(org=org)
        fields = {"title": item.title, "client": other, DUE[kind]: date(2026, 5, 5), "currency": item.currency}
        update(item, actor=actor_of(manager), tags=["Hot"], **fields)

        event = newest_event(org, f"{kind}.updated")
        assert event.payload == {f"{kind}_id": item.pk, "changed": ["client", DUE[kind], "tags"]}
        assert (event.item_type, event.item_id, event.actor_label) == (kind, item.pk, "maria")
        assert events_of(item).count(f"{kind}.updated") == 1

    def test_that_says_what_is_said_already_is_not_told(self, org, kind):
        item = MAKERS[kind](org)
        update(item, tags=["Hot", "Export"])
        item.refresh_from_db()
        before = events_of(item)
        update(item, tags=["export", "hot"], title=item.title, client=item.client, owner=None, currency=item.currency)

        assert events_of(item) == before

    def test_compares_values_and_not_their_spelling(self, org, kind):
        item = MAKERS[kind](org)
        name = "confidence" if kind == "candidate" else "probability"
        update(item, **{name: Decimal("0.250")})
        before = events_of(item)
        update(item, **{name: Decimal("0.25")})

        assert events_of(item) == before

    def test_taking_a_tag_off_is_a_change(self, org, kind):
        item = MAKERS[kind](org)
        update(item, tags=["Hot", "Export"])
        update(item, tags=["Hot"])

        assert newest_event(org, f"{kind}.updated").payload["changed"] == ["tags"]
        assert events_of(item).count(f"{kind}.updated") == 2

    def test_that_is_refused_is_not_told(self, org, viewer, kind):
        item = MAKERS[kind](org)
        with nothing_changes():
            with pytest.raises(PermissionRefused):
                update(item, actor=actor_of(viewer), title="Other")
            with pytest.raises(InvalidInput):
                update(item, title=" ", currency="EUR")
