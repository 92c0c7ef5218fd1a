"""Companies, people, and what is to be done for a new client."""

from __future__ import annotations

from datetime import datetime
from typing import Any, ClassVar

from django.conf import settings
from django.db import models
from django.db.models import F, Func, Q, Value
from django.db.models.functions import Lower
from django.db.models.lookups import Exact

from flowledger.clients.querysets import ClientQuerySet, ContactQuerySet, OnboardingTaskQuerySet
from flowledger.tenancy.constraints import tenant_constraints
from flowledger.tenancy.fields import OrgForeignKey
from flowledger.tenancy.models import OrgModel
from flowledger.tenancy.querysets import OrgManager

DOMAIN_SHAPE = r"^([a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?\.)+[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$"
E164_SHAPE = r"^\+[1-9][0-9]{6,14}$"
# In lower case by ASCII, which is all that our addresses have; lower() depends on the database's locale.
EMAIL_SHAPE = r"^[^A-Z@[:space:]][^A-Z[:space:]]*@[^A-Z@[:space:]]+$"


def is_object(field: str) -> Exact:
    """The condition that a JSON column holds an object."""
    return Exact(Func(F(field), function="jsonb_typeof", output_field=models.TextField()), Value("object"))


class SizeBand(models.TextChoices):
    """How many people work for a company."""

    MICRO = "1-10", "1–10"
    SMALL = "11-50", "11–50"
    MEDIUM = "51-200", "51–200"
    LARGE = "201-1000", "201–1,000"
    VERY_LARGE = "1001-5000", "1,001–5,000"
    GIANT = "5001+", "More than 5,000"

    @classmethod
    def of(cls, employees: int) -> SizeBand:
        """The band of a head count."""
        for band, most in zip(cls, (10, 50, 200, 1000, 5000), strict=False):
            if employees <= most:
                return band
        return cls.GIANT


class Client(OrgModel):
    """A company we do or might do business with. Names are not unique; domains are, through their identity key."""

    name = models.CharField(max_length=200)
    domain = models.CharField(max_length=253, blank=True, help_text="Registrable domain in lower case: acme.co.uk")
    industry = models.CharField(max_length=100, blank=True)
    size_band = models.CharField(max_length=9, choices=SizeBand.choices, blank=True)
    annual_revenue = models.DecimalField(
        max_digits=18, decimal_places=2, null=True, blank=True, help_text="In the organisation's currency."
    )
    country = models.CharField(max_length=2, blank=True, help_text="ISO 3166 code of two letters.")
    is_active = models.BooleanField(default=True)
    attributes = models.JSONField(default=dict, blank=True)
    canonical = OrgForeignKey(
        "clients.Client",
        models.PROTECT,
        null=True,
        blank=True,
        editable=False,
        related_name="merged",
        help_text="The survivor of a merge; this row is then only its tombstone.",
    )

    all_orgs: ClassVar[Any] = models.Manager.from_queryset(ClientQuerySet)()
    objects: ClassVar[Any] = OrgManager.from_queryset(ClientQuerySet)()

    class Meta(OrgModel.Meta):
        constraints = [
            *tenant_constraints("client", canonical="clients.Client"),
            models.CheckConstraint(condition=~Q(name=""), name="client_has_name"),
            models.CheckConstraint(condition=Q(domain="") | Q(domain__regex=DOMAIN_SHAPE), name="client_domain_shape"),
            models.CheckConstraint(condition=Q(size_band__in=["", *SizeBand.values]), name="client_size_band"),
            models.CheckConstraint(
                condition=Q(annual_revenue__isnull=True) | Q(annual_revenue__gte=0), name="client_revenue"
            ),
            models.CheckConstraint(condition=Q(country="") | Q(country__regex=r"^[A-Z]{2}$"), name="client_country"),
            models.CheckConstraint(condition=is_object("attributes"), name="client_attributes_object"),
            models.CheckConstraint(condition=~Q(canonical=F("id")), name="client_canonical_other"),
        ]
        indexes = [
            models.Index(fields=["org", "name", "id"], name="client_list_by_name"),
            models.Index("org", Lower("name"), "id", name="client_by_name"),  # `?name=`: a name in any case
            models.Index(fields=["org", "domain"], condition=~Q(domain=""), name="client_by_domain"),
            models.Index(fields=["org", "industry", "-id"], condition=~Q(industry=""), name="client_by_industry"),
            models.Index(fields=["org", "country", "-id"], condition=~Q(country=""), name="client_by_country"),
            # Tombstones of a survivor: merges, and the check before a delete.
            models.Index(fields=["org", "canonical"], condition=Q(canonical__isnull=False), name="client_merged"),
        ]

    def __str__(self) -> str:
        return self.name


class Contact(OrgModel):
    """A person; known by name, address or phone, perhaps before their company is."""

    client = OrgForeignKey(Client, models.CASCADE, null=True, blank=True, related_name="contacts")
    name = models.CharField(max_length=200, blank=True)
    email = models.CharField(max_length=254, blank=True)
    phone = models.CharField(max_length=16, blank=True, help_text="E.164: +4930123456")
    title = models.CharField("job title", max_length=150, blank=True)
    preferences = models.JSONField(default=dict, blank=True)
    social_links = models.JSONField(default=dict, blank=True)
    is_active = models.BooleanField(default=True)
    canonical = OrgForeignKey(
        "clients.Contact",
        models.PROTECT,
        null=True,
        blank=True,
        editable=False,
        related_name="merged",
        help_text="The survivor of a merge; this row is then only its tombstone.",
    )

    all_orgs: ClassVar[Any] = models.Manager.from_queryset(ContactQuerySet)()
    objects: ClassVar[Any] = OrgManager.from_queryset(ContactQuerySet)()

    class Meta(OrgModel.Meta):
        constraints = [
            *tenant_constraints("contact", client="clients.Client", canonical="clients.Contact"),
            # Tombstones keep the address that their survivor may have too.
            models.UniqueConstraint(
                fields=["org", "email"], condition=~Q(email="") & Q(canonical__isnull=True), name="contact_email"
            ),
            models.CheckConstraint(condition=~Q(name="") | ~Q(email="") | ~Q(phone=""), name="contact_is_somebody"),
            models.CheckConstraint(condition=Q(email="") | Q(email__regex=EMAIL_SHAPE), name="contact_email_shape"),
            models.CheckConstraint(condition=Q(phone="") | Q(phone__regex=E164_SHAPE), name="contact_phone_shape"),
            models.CheckConstraint(condition=is_object("preferences"), name="contact_preferences_object"),
            models.CheckConstraint(condition=is_object("social_links"), name="contact_social_links_object"),
            models.CheckConstraint(condition=~Q(canonical=F("id")), name="contact_canonical_other"),
        ]
        indexes = [
            models.Index(fields=["org", "name", "id"], name="contact_list_by_name"),
            # The contacts of a client, newest first; the check before a delete.
            models.Index(fields=["org", "client", "-id"], condition=Q(client__isnull=False), name="contact_by_client"),
            models.Index(fields=["org", "phone"], condition=~Q(phone=""), name="contact_by_phone"),
            models.Index(fields=["org", "canonical"], condition=Q(canonical__isnull=False), name="contact_merged"),
        ]

    def __str__(self) -> str:
        return self.name or self.email or self.phone


class OnboardingStatus(models.TextChoices):
    """Whether an onboarding task still wants doing."""

    OPEN = "open", "Open"
    DONE = "done", "Done"
    CANCELLED = "cancelled", "Cancelled"


class OnboardingTask(OrgModel):
    """One step of taking on a client. Its status follows from the two times, so they cannot disagree."""

    client = OrgForeignKey(Client, models.CASCADE, related_name="onboarding_tasks")
    title = models.CharField(max_length=200)
    assignee = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.SET_NULL, null=True, blank=True, related_name="+", db_index=False
    )
    due_date = models.DateField(null=True, blank=True)
    done_at = models.DateTimeField(null=True, blank=True, editable=False)
    cancelled_at = models.DateTimeField(null=True, blank=True, editable=False)
    status = models.GeneratedField(
        expression=models.Case(
            models.When(done_at__isnull=False, then=Value(OnboardingStatus.DONE.value)),
            models.When(cancelled_at__isnull=False, then=Value(OnboardingStatus.CANCELLED.value)),
            default=Value(OnboardingStatus.OPEN.value),
        ),
        output_field=models.CharField(max_length=9, choices=OnboardingStatus.choices),
        db_persist=True,
    )

    all_orgs: ClassVar[Any] = models.Manager.from_queryset(OnboardingTaskQuerySet)()
    objects: ClassVar[Any] = OrgManager.from_queryset(OnboardingTaskQuerySet)()

    class Meta(OrgModel.Meta):
        constraints = [
            *tenant_constraints("onboarding_task", client="clients.Client"),
            models.CheckConstraint(condition=~Q(title=""), name="onboarding_task_has_title"),
            models.CheckConstraint(
                condition=Q(done_at__isnull=True) | Q(cancelled_at__isnull=True), name="onboarding_task_one_end"
            ),
        ]
        indexes = [
            # The tasks of a client in the order in which they are due.
            models.Index(fields=["org", "client", "due_date", "id"], name="onboarding_task_of_client"),
            # What one person still has to do.
            models.Index(
                fields=["org", "assignee", "due_date"],
                condition=Q(done_at__isnull=True, cancelled_at__isnull=True, assignee__isnull=False),
                name="onboarding_task_open",
            ),
        ]

    def __str__(self) -> str:
        return self.title

    def complete(self, *, at: datetime) -> None:
        """Note that it was done."""
        self.done_at, self.cancelled_at = at, None

    def cancel(self, *, at: datetime) -> None:
        """Note that it is not wanted any more."""
        self.done_at, self.cancelled_at = None, at

    def reopen(self) -> None:
        """It wants doing after all."""
        self.done_at = self.cancelled_at = None
