"""Names in a question: in full, in part, misspelt, after a merge, and those that name nobody."""

from __future__ import annotations

from typing import Any

import pytest

from flowledger.clients.models import Client
from flowledger.tenancy.scope import org_scope
from memory.search.ranking import NAMED
from memory.services.entity_names import entities_named_in
from memory.sql.search_functions import NAMED_WORTH
from tests.factories import ClientFactory, ContactFactory, IdentityKeyFactory, OrganizationFactory

pytestmark = pytest.mark.django_db


@pytest.fixture
def org() -> Any:
    return OrganizationFactory()


def named(org: Any, question: str) -> set[str]:
    with org_scope(org):
        return {each.name for each in entities_named_in(org=org, question=question)}


@pytest.mark.parametrize(
    ("question", "names"),
    [
        ("What does Hartmann Logistik GmbH want?", {"Hartmann Logistik GmbH"}),
        ("What does Hartmann want?", {"Hartmann Logistik GmbH"}),
        ("what does hartmann logistik want", {"Hartmann Logistik GmbH"}),
        ("what does hartmann want", {"Hartmann Logistik GmbH"}),
        ("Hartmann's price", {"Hartmann Logistik GmbH"}),
        ("What did Ann Lee say?", {"Ann Lee"}),
        ("What did Ann say?", {"Ann Lee"}),
        ("What did Lee, Ann of Hartmann say?", {"Ann Lee", "Hartmann Logistik GmbH"}),
        # The trade of a company is not its name, and a word in small letters beside names in capitals is none.
        ("Which logistik costs are open?", set()),
        ("What do we know about Monday?", set()),
        ("Did Berta meet ann?", set()),
    ],
)
def test_a_question_names(org, question, names):
    ClientFactory(org=org, name="Hartmann Logistik GmbH")
    ContactFactory(org=org, name="Ann Lee")

    assert named(org, question) == names


def test_what_many_carry_names_nobody(org):
    for family in ("Smith", "Jones", "Brown", "Young", "Marsh", "Fox"):
        ContactFactory(org=org, name=f"Ann {family}")

    assert named(org, "What did Ann say?") == set()
    assert named(org, "What did Ann Marsh say?") == {"Ann Marsh"}


def test_a_merged_client_is_named_by_its_old_name(org):
    survivor = ClientFactory(org=org, name="Nordwind Spedition")
    old = ClientFactory(org=org, name="Blaupunkt Transporte")
    with org_scope(org):
        Client.objects.for_org(org).filter(pk=old.pk).update(canonical=survivor.pk)
        found = entities_named_in(org=org, question="What did Blaupunkt Transporte order?")

    assert [each.entity_id for each in found] == [survivor.pk]


def test_a_misspelt_company_is_found_by_its_key(org):
    client = ClientFactory(org=org, name="Hartmann Logistik")
    IdentityKeyFactory(org=org, key_type="company_name", key_value="hartmann logistik", client=client, status="auto")

    assert named(org, "Why did Hartman Logistik say no?") == {"Hartmann Logistik"}


def test_names_next_door_are_not_known(org):
    ClientFactory(org=OrganizationFactory(), name="Hartmann Logistik")

    assert named(org, "What does Hartmann Logistik want?") == set()


def test_candidates_are_chosen_with_the_worth_that_ranks_them():
    """The function in the database has it by migration; whoever changes one changes the other."""
    assert NAMED_WORTH == NAMED
