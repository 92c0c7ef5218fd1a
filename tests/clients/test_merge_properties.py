"""Any merges in any order, undone in any order that is allowed, leave what they found."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from flowledger.clients.models import Contact, IdentityKey, MergeRecord
from flowledger.clients.services import create_contact, merge_contacts, undo_merge
from flowledger.errors import Conflict
from flowledger.tenancy.models import Organization
from flowledger.tenancy.scope import org_scope
from tests.clients.merge_world import AT, CLERK, LATER, contents, moved_tables
from workstream.models import Signal

pytestmark = pytest.mark.django_db

PEOPLE = 5
STEPS = st.lists(
    st.tuples(
        st.integers(0, PEOPLE - 1),
        st.integers(0, PEOPLE - 1),
        st.dictionaries(
            st.sampled_from(["name", "email", "phone", "title", "preferences"]), st.sampled_from(["survivor", "loser"])
        ),
        st.booleans(),
    ),
    max_size=8,
)


@pytest.fixture
def people(org: Organization) -> list[Contact]:
    found = []
    for number in range(PEOPLE):
        fields: dict[str, Any] = {"name": f"Ann {number}", "title": "" if number % 2 else f"Head of {number}"}
        fields |= {"email": f"ann{number}@acme.example"} if number % 3 else {}
        fields |= {"preferences": {"number": number}, "phone": f"+4930123450{number}"}
        found.append(create_contact(org=org, fields=fields, actor=CLERK, at=AT))
        with org_scope(org):
            Signal.objects.for_org(org).create(org=org, source_type="note", ts=AT, contact=found[-1])
    return found


@settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)
@given(steps=STEPS)
def test_merges_and_undos(org: Organization, people: list[Contact], steps: list[Any]) -> None:
    before = contents(org)
    standing: list[MergeRecord] = []
    for survivor, loser, choices, undoes in steps:
        if undoes and standing:
            undo_merge(org=org, merge_id=standing.pop().pk, actor=CLERK, at=LATER)
        elif survivor != loser:
            try:
                merge = merge_contacts(
                    org=org,
                    survivor_id=people[survivor].pk,
                    loser_id=people[loser].pk,
                    choices=choices,
                    actor=CLERK,
                    at=LATER,
                )
            except Conflict:
                assert {people[survivor].pk, people[loser].pk} & {record.loser_id for record in standing}
                continue
            standing.append(merge)
        with org_scope(org):
            tombstones = dict(Contact.objects.for_org(org).exclude(canonical=None).values_list("pk", "canonical"))
            named = set(Signal.objects.for_org(org).values_list("contact", flat=True))
            named |= set(IdentityKey.objects.for_org(org).exclude(contact=None).values_list("contact", flat=True))
        assert set(tombstones) == {record.loser_id for record in standing}
        assert not named & set(tombstones)
        assert not set(tombstones.values()) & set(tombstones)
    for record in reversed(standing):
        undo_merge(org=org, merge_id=record.pk, actor=CLERK, at=LATER)
    assert moved_tables(before, contents(org)) == set()
