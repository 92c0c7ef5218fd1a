"""One row of any model that has a page in the back office, for the tests that walk all pages."""

from __future__ import annotations

import importlib
import itertools
from pathlib import Path
from typing import Any

from django.contrib import admin
from django.utils.timezone import now
from factory.django import DjangoModelFactory

from flowledger.backoffice.org_admin import OrgAdmin
from flowledger.outbox.models import OutgoingEmail, WorkEvent
from flowledger.tenancy.actors import ActorKind, Origin, Role
from flowledger.tenancy.models import ApiKey, Membership, Organization, User
from flowledger.tenancy.scope import system_scope

_numbers = itertools.count(1)


def org_pages() -> list[OrgAdmin]:
    """Every page over a tenant model, in a stable order."""
    pages = [page for page in admin.site._registry.values() if isinstance(page, OrgAdmin)]
    return sorted(pages, key=lambda page: page.model._meta.label)


def page_id(page: OrgAdmin) -> str:
    return page.model._meta.label_lower


def make_row(model: type[Any], org: Organization) -> Any:
    """A stored row of the organisation. A model without a maker here needs a factory."""
    number = next(_numbers)
    with system_scope("tests"):
        if model is Membership:
            user = User.objects.create(username=f"person-{number}", email=f"person-{number}@example.org")
            return Membership.all_orgs.create(org=org, user=user, role=Role.REP)
        if model is ApiKey:
            owner = Membership.all_orgs.filter(org=org).order_by("pk")[0].user
            return ApiKey.all_orgs.create(
                org=org, name=f"key {number}", scopes=["signals:read"], secret_sha256="0" * 64, created_by=owner
            )
        if model is WorkEvent:
            return WorkEvent.all_orgs.create(
                org=org,
                event_name="test.happened",
                item_type="test",
                item_id=number,
                payload={"test_id": number},
                actor_kind=ActorKind.SYSTEM,
                actor_label="tests",
                origin=Origin.SYSTEM,
                occurred_at=now(),
            )
        if model is OutgoingEmail:
            return OutgoingEmail.all_orgs.create(
                org=org, key=f"test-{number}", to=["someone@example.org"], subject=f"Subject {number}", body="Text"
            )
        return _factory_of(model)(org=org)


def _factory_of(model: type[Any]) -> Any:
    tests = Path(__file__).parent.parent
    for file in sorted(tests.glob("**/factories.py")):
        name = ".".join(("tests", *file.relative_to(tests).with_suffix("").parts))
        for each in vars(importlib.import_module(name)).values():
            if isinstance(each, type) and issubclass(each, DjangoModelFactory) and each._meta.model is model:
                return each
    raise LookupError(f"{model._meta.label} has a page in the back office and no factory in the tests.")
