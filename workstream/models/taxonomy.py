"""The organisation's own vocabulary: problems it solves, solutions it sells, tags."""

from __future__ import annotations

from django.db import models
from django.db.models.functions import Lower

from flowledger.tenancy.constraints import tenant_constraints
from flowledger.tenancy.models import OrgModel


class Problem(OrgModel):
    """A kind of problem that customers come with."""

    name = models.CharField(max_length=120)
    definition = models.TextField(blank=True)
    is_active = models.BooleanField(default=True)

    class Meta(OrgModel.Meta):
        constraints = [
            *tenant_constraints("problem"),
            models.UniqueConstraint("org", Lower("name"), name="problem_name"),
            models.CheckConstraint(condition=~models.Q(name=""), name="problem_has_name"),
        ]

    def __str__(self) -> str:
        return self.name


class Solution(OrgModel):
    """An entry of the solution catalogue with its playbook."""

    name = models.CharField(max_length=120)
    playbook_reference = models.CharField(max_length=500, blank=True)
    list_price = models.DecimalField(max_digits=14, decimal_places=2, null=True, blank=True)
    is_active = models.BooleanField(default=True)

    class Meta(OrgModel.Meta):
        constraints = [
            *tenant_constraints("solution"),
            models.UniqueConstraint("org", Lower("name"), name="solution_name"),
            models.CheckConstraint(condition=~models.Q(name=""), name="solution_has_name"),
        ]

    def __str__(self) -> str:
        return self.name


class Tag(OrgModel):
    """A free label on candidates and pursuits."""

    name = models.CharField(max_length=60)

    class Meta(OrgModel.Meta):
        constraints = [
            *tenant_constraints("tag"),
            models.UniqueConstraint("org", Lower("name"), name="tag_name"),
            models.CheckConstraint(condition=~models.Q(name=""), name="tag_has_name"),
        ]

    def __str__(self) -> str:
        return self.name
