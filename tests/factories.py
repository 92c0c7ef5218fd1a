"""Rows for tests, made past the use cases: through `all_orgs`, in a system scope when the test has opened none."""

from __future__ import annotations

from contextlib import nullcontext
from decimal import Decimal
from functools import cache
from typing import Any

import factory
from django.contrib.auth.hashers import make_password
from django.utils.timezone import now
from factory.django import DjangoModelFactory

from flowledger.clients.models import (
    Client,
    ConflictKind,
    Contact,
    IdentityConflict,
    IdentityKey,
    KeyStatus,
    MergedKind,
    MergeRecord,
    OnboardingTask,
)
from flowledger.tenancy.actors import Role
from flowledger.tenancy.models import Membership, Organization, User
from flowledger.tenancy.scope import current_scope, system_scope

PASSWORD = "correct horse battery staple"


@cache
def _hashed_password() -> str:
    """Once for all users: hashing is slow on purpose."""
    return make_password(PASSWORD)


class ScopedFactory(DjangoModelFactory[Any]):
    """Stores in the scope that is open, else in a system scope of its own."""

    class Meta:
        abstract = True

    @classmethod
    def _create(cls, model_class: Any, *args: Any, **kwargs: Any) -> Any:
        manager = getattr(model_class, "all_orgs", None) or model_class._default_manager
        with nullcontext() if current_scope() else system_scope("factories"):
            return manager.create(*args, **kwargs)


class UserFactory(ScopedFactory):
    class Meta:
        model = User

    username = factory.Sequence(lambda n: f"user-{n}")
    email = factory.LazyAttribute(lambda user: f"{user.username}@example.com")
    password = factory.LazyFunction(_hashed_password)


class OrganizationFactory(ScopedFactory):
    class Meta:
        model = Organization

    name = factory.Sequence(lambda n: f"Organisation {n}")


class OrgFactory(ScopedFactory):
    """Base of tenant rows; give `org` to put several rows into one organisation."""

    class Meta:
        abstract = True

    org = factory.SubFactory(OrganizationFactory)


class MembershipFactory(OrgFactory):
    class Meta:
        model = Membership

    user = factory.SubFactory(UserFactory)
    role = Role.REP


class ClientFactory(OrgFactory):
    class Meta:
        model = Client

    name = factory.Sequence(lambda n: f"Client {n}")


class ContactFactory(OrgFactory):
    class Meta:
        model = Contact

    name = factory.Sequence(lambda n: f"Contact {n}")


class OnboardingTaskFactory(OrgFactory):
    class Meta:
        model = OnboardingTask

    client = factory.SubFactory(ClientFactory, org=factory.SelfAttribute("..org"))
    title = factory.Sequence(lambda n: f"Step {n}")


class IdentityKeyFactory(OrgFactory):
    class Meta:
        model = IdentityKey

    key_type = "company_domain"
    key_value = factory.Sequence(lambda n: f"firm-{n}.example")
    client = factory.SubFactory(ClientFactory, org=factory.SelfAttribute("..org"))
    status = KeyStatus.MANUAL
    first_seen = factory.LazyFunction(now)
    last_seen = factory.SelfAttribute("first_seen")


class IdentityConflictFactory(OrgFactory):
    """A pair of clients that may be the same."""

    class Meta:
        model = IdentityConflict

    kind = ConflictKind.SUGGESTION
    client = factory.SubFactory(ClientFactory, org=factory.SelfAttribute("..org"))
    other_client = factory.SubFactory(ClientFactory, org=factory.SelfAttribute("..org"))
    score = Decimal("0.75")
    first_seen = factory.LazyFunction(now)
    last_seen = factory.SelfAttribute("first_seen")


class MergeRecordFactory(OrgFactory):
    """A merge of two contacts, as it is kept; the rows themselves are untouched."""

    class Meta:
        model = MergeRecord
        exclude = ("survivor", "loser")

    survivor = factory.SubFactory(ContactFactory, org=factory.SelfAttribute("..org"))
    loser = factory.SubFactory(ContactFactory, org=factory.SelfAttribute("..org"))
    entity_type = MergedKind.CONTACT
    survivor_id = factory.SelfAttribute("survivor.pk")
    loser_id = factory.SelfAttribute("loser.pk")
    survivor_before = factory.LazyAttribute(lambda merge: {"name": merge.survivor.name})
    loser_before = factory.LazyAttribute(lambda merge: {"name": merge.loser.name})
    survivor_after = factory.LazyAttribute(lambda merge: {"name": merge.survivor.name})
    merged_at = factory.LazyFunction(now)
