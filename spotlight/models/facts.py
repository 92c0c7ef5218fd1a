"""What enrichment says of clients and contacts."""

from __future__ import annotations

from django.db import models
from django.db.models import Q

from flowledger.tenancy.constraints import tenant_constraints
from flowledger.tenancy.fields import OrgForeignKey
from flowledger.tenancy.models import OrgModel


class EnrichedFact(OrgModel):
    """One fact from a provider; the newest of a provider and field stands."""

    goes_with = frozenset({"clients.client", "clients.contact"})

    client = OrgForeignKey("clients.Client", models.CASCADE, null=True, blank=True, related_name="enriched_facts")
    contact = OrgForeignKey("clients.Contact", models.CASCADE, null=True, blank=True, related_name="enriched_facts")
    field_name = models.CharField(max_length=60)
    value = models.JSONField()
    provider = models.CharField(max_length=60)
    confidence = models.DecimalField(max_digits=3, decimal_places=2, default=1)
    fetched_at = models.DateTimeField()

    class Meta(OrgModel.Meta):
        constraints = [
            *tenant_constraints("enriched_fact", client="clients.Client", contact="clients.Contact"),
            models.CheckConstraint(
                condition=Q(client__isnull=False, contact__isnull=True) | Q(client__isnull=True, contact__isnull=False),
                name="enriched_fact_one_subject",
            ),
            *(
                models.UniqueConstraint(
                    fields=["org", name, "field_name", "provider"],
                    condition=Q(**{f"{name}__isnull": False}),
                    name=f"enriched_fact_of_{name}",
                )
                for name in ("client", "contact")
            ),
            models.CheckConstraint(condition=Q(confidence__gte=0, confidence__lte=1), name="enriched_fact_confidence"),
            models.CheckConstraint(condition=~Q(provider="") & ~Q(field_name=""), name="enriched_fact_named"),
        ]

    def __str__(self) -> str:
        return f"{self.field_name} ({self.provider})"
