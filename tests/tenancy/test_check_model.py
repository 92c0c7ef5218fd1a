"""The system checks refuse a tenant model that lacks a wall; each model here lacks exactly one."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from django.apps import apps
from django.contrib.postgres.indexes import GinIndex
from django.db import models
from django.db.models.functions import Lower
from django.test.utils import isolate_apps

from flowledger.clients.models import Client
from flowledger.tenancy.checks import CROSS_TENANT_INDEXES, allow_cross_tenant_index, check_model
from flowledger.tenancy.constraints import RowSecurity, tenant_constraints
from flowledger.tenancy.fields import OrgForeignKey
from flowledger.tenancy.models import Organization, OrgModel, User

# The checks look at models of the application and its tests; pytest imports this file under a name of its own.
HERE = "tests.tenancy.models"


@pytest.fixture(autouse=True)
def nobody_elses_registry() -> Iterator[None]:
    with isolate_apps("flowledger.tenancy"):
        yield


def findings(model: type[models.Model]) -> list[str]:
    return [finding.id for finding in check_model(model)]


def test_a_whole_model_passes():
    class Crate(OrgModel):
        __module__ = HERE
        client = OrgForeignKey(Client, models.CASCADE)
        owner = models.ForeignKey(User, models.SET_NULL, null=True, db_index=False)
        label = models.CharField(max_length=20)

        class Meta(OrgModel.Meta):
            app_label = "tenancy"
            constraints = [
                *tenant_constraints("crate", client="clients.Client"),
                models.UniqueConstraint("org", Lower("label"), name="crate_label"),
            ]
            indexes = [
                models.Index(fields=["org", "client"], name="crate_by_client"),
                models.Index(models.F("org"), Lower("label").desc(), name="crate_by_label"),
                GinIndex(fields=["label"], name="crate_words"),
            ]

    assert findings(Crate) == []


def test_without_org():
    class Crate(models.Model):
        __module__ = HERE
        client = models.ForeignKey(Client, models.CASCADE)

        class Meta:
            app_label = "tenancy"

    assert findings(Crate) == ["tenancy.E001"]


def test_without_the_scoped_manager():
    class Crate(OrgModel):
        __module__ = HERE
        objects = models.Manager()

        class Meta(OrgModel.Meta):
            app_label = "tenancy"
            constraints = [*tenant_constraints("crate")]

    assert findings(Crate) == ["tenancy.E002"]


def test_with_the_scoped_manager_as_djangos_own():
    class Crate(OrgModel):
        __module__ = HERE

        class Meta:
            app_label = "tenancy"
            default_manager_name = "objects"
            constraints = [*tenant_constraints("crate")]

    assert findings(Crate) == ["tenancy.E002"]


def test_without_row_security():
    class Crate(OrgModel):
        __module__ = HERE

        class Meta(OrgModel.Meta):
            app_label = "tenancy"
            constraints = [models.UniqueConstraint(fields=["org", "id"], name="crate_org_id")]

    assert findings(Crate) == ["tenancy.E003"]


def test_with_row_security_on_another_column():
    class Crate(OrgModel):
        __module__ = HERE

        class Meta(OrgModel.Meta):
            app_label = "tenancy"
            constraints = [RowSecurity(name="crate_row_security", column="id")]

    assert findings(Crate) == ["tenancy.E003"]


def test_with_a_plain_reference_to_a_tenants_row():
    class Crate(OrgModel):
        __module__ = HERE
        client = models.ForeignKey(Client, models.CASCADE, db_index=False)

        class Meta(OrgModel.Meta):
            app_label = "tenancy"
            constraints = [*tenant_constraints("crate", client="clients.Client")]

    assert findings(Crate) == ["tenancy.E004"]


def test_with_a_reference_that_the_database_does_not_hold():
    class Crate(OrgModel):
        __module__ = HERE
        client = OrgForeignKey(Client, models.CASCADE)

        class Meta(OrgModel.Meta):
            app_label = "tenancy"
            constraints = [*tenant_constraints("crate")]

    assert findings(Crate) == ["tenancy.E004"]


def test_with_the_database_holding_it_against_another_table():
    class Crate(OrgModel):
        __module__ = HERE
        client = OrgForeignKey(Client, models.CASCADE)

        class Meta(OrgModel.Meta):
            app_label = "tenancy"
            constraints = [*tenant_constraints("crate", client="clients.Contact")]

    assert findings(Crate) == ["tenancy.E004"]


@pytest.mark.parametrize(
    "index",
    [
        models.Index(fields=["label"], name="crate_by_label"),
        models.Index(fields=["label", "org"], name="crate_by_label"),
        models.Index(Lower("label"), name="crate_by_label"),
        models.Index(Lower("label"), "org", name="crate_by_label"),
    ],
)
def test_with_an_index_that_leads_with_another_column(index: models.Index):
    class Crate(OrgModel):
        __module__ = HERE
        label = models.CharField(max_length=20)

        class Meta(OrgModel.Meta):
            app_label = "tenancy"
            constraints = [*tenant_constraints("crate")]
            indexes = [index]

    assert findings(Crate) == ["tenancy.E005"]


def test_with_a_unique_constraint_across_organisations():
    class Crate(OrgModel):
        __module__ = HERE
        label = models.CharField(max_length=20)

        class Meta(OrgModel.Meta):
            app_label = "tenancy"
            constraints = [*tenant_constraints("crate"), models.UniqueConstraint(fields=["label"], name="crate_label")]

    assert findings(Crate) == ["tenancy.E005"]


def test_a_cross_tenant_index_needs_its_name_on_the_list(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("flowledger.tenancy.checks.CROSS_TENANT_INDEXES", set(CROSS_TENANT_INDEXES))

    class Crate(OrgModel):
        __module__ = HERE
        due_at = models.DateTimeField()

        class Meta(OrgModel.Meta):
            app_label = "tenancy"
            constraints = [*tenant_constraints("crate")]
            indexes = [models.Index(fields=["due_at"], name="crate_due")]

    assert findings(Crate) == ["tenancy.E005"]
    allow_cross_tenant_index("crate_due")
    assert findings(Crate) == []


@pytest.mark.parametrize(
    ("field", "finding"),
    [
        (models.CharField(max_length=20, unique=True), "tenancy.E005"),
        (models.CharField(max_length=20, db_index=True), "tenancy.E006"),
    ],
)
def test_with_a_columns_own_index(field: models.Field, finding: str):
    class Crate(OrgModel):
        __module__ = HERE
        label = field.clone()

        class Meta(OrgModel.Meta):
            app_label = "tenancy"
            constraints = [*tenant_constraints("crate")]

    assert findings(Crate) == [finding]


def test_with_the_index_that_a_foreign_key_brings():
    class Crate(OrgModel):
        __module__ = HERE
        owner = models.ForeignKey(User, models.CASCADE)

        class Meta(OrgModel.Meta):
            app_label = "tenancy"
            constraints = [*tenant_constraints("crate")]

    assert findings(Crate) == ["tenancy.E006"]


def test_with_a_hidden_table_between():
    class Label(OrgModel):
        __module__ = HERE

        class Meta(OrgModel.Meta):
            app_label = "tenancy"
            constraints = [*tenant_constraints("label")]

    class Crate(OrgModel):
        __module__ = HERE
        labels = models.ManyToManyField(Label)

        class Meta(OrgModel.Meta):
            app_label = "tenancy"
            constraints = [*tenant_constraints("crate")]

    assert findings(Crate) == ["tenancy.E007"]


def test_the_application_itself_has_no_finding():
    # What is not managed is a view; tests/architecture/test_views.py holds those to their rules.
    tables = [model for model in apps.get_models() if model._meta.managed]
    assert [finding for model in tables for finding in check_model(model)] == []


def test_the_organisation_is_nobodys_row():
    assert findings(Organization) == []
