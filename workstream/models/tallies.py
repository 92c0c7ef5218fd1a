"""How much there is of everything, kept beside the rows themselves so that nobody has to count them."""

from __future__ import annotations

from decimal import Decimal
from typing import Any, ClassVar

from django.db import models

from flowledger.tenancy.constraints import tenant_constraints
from flowledger.tenancy.models import OrgModel
from flowledger.tenancy.querysets import OrgManager
from workstream.querysets import TallyQuerySet


class ItemTally(OrgModel):
    """One change of the number of items of a kind, state and currency, and of what they are worth.

    Triggers add a row in the transaction that adds, removes or moves items; the sum over an organisation's rows is
    what a count in the same snapshot would find. Rows are added and never changed, so that writers wait for nobody;
    `fold_tallies` puts the old ones together. `valued` is the number of items that have a value at all.
    """

    item_type = models.CharField(max_length=10)
    state = models.CharField(max_length=20, blank=True)
    currency = models.CharField(max_length=3, blank=True)
    count = models.BigIntegerField()
    valued = models.BigIntegerField(default=0)
    value = models.DecimalField(max_digits=24, decimal_places=2, default=Decimal("0"))
    weighted = models.DecimalField(max_digits=26, decimal_places=4, default=Decimal("0"))

    all_orgs: ClassVar[Any] = models.Manager.from_queryset(TallyQuerySet)()
    objects: ClassVar[Any] = OrgManager.from_queryset(TallyQuerySet)()

    class Meta(OrgModel.Meta):
        verbose_name_plural = "item tallies"
        constraints = tenant_constraints("item_tally")

    def __str__(self) -> str:
        return f"{self.count:+d} {self.item_type} {self.state}"
