"""The SQL views as read-only models; migrations make the views, Django never touches them."""

from __future__ import annotations

from typing import Any, ClassVar

from django.db import models

from flowledger.tenancy.models import Organization
from flowledger.tenancy.querysets import OrgManager, OrgQuerySet


class ViewRow(models.Model):
    """Base of a row of a view: asked for through an organisation like every other row, and never stored."""

    org = models.ForeignKey(Organization, on_delete=models.DO_NOTHING, related_name="+", db_index=False)

    all_orgs: ClassVar[Any] = models.Manager.from_queryset(OrgQuerySet)()
    objects: ClassVar[Any] = OrgManager.from_queryset(OrgQuerySet)()

    class Meta:
        abstract = True
        managed = False
        default_manager_name = "all_orgs"
        base_manager_name = "all_orgs"


class TodayPanelRow(ViewRow):
    """A row of the Today panel that is not snoozed."""

    today_item_id = models.BigIntegerField(primary_key=True)
    item_type = models.CharField(max_length=10)
    item_id = models.BigIntegerField()
    label = models.CharField(max_length=200)
    client_name = models.CharField(max_length=200)
    state = models.CharField(max_length=20)
    last_touch_at = models.DateTimeField()
    due_date = models.DateField(null=True)
    sla_metric = models.CharField(max_length=20)
    sla_due_at = models.DateTimeField(null=True)
    badge = models.CharField(max_length=10)
    owner_id = models.BigIntegerField(null=True)
    value_band = models.CharField(max_length=10)
    icp_band = models.CharField(max_length=10)

    class Meta(ViewRow.Meta):
        db_table = "v_today_panel"


class TodayPanelEnhancedRow(ViewRow):
    """A row of the panel with what places it."""

    today_item_id = models.BigIntegerField(primary_key=True)
    item_type = models.CharField(max_length=10)
    item_id = models.BigIntegerField()
    label = models.CharField(max_length=200)
    badge = models.CharField(max_length=10)
    hours_since_touch = models.DecimalField(max_digits=12, decimal_places=1)
    urgency = models.CharField(max_length=10)
    urgency_points = models.SmallIntegerField()
    value_points = models.SmallIntegerField()
    stage_points = models.SmallIntegerField()
    workload_penalty = models.SmallIntegerField()
    priority_score = models.SmallIntegerField()
    priority_tier = models.CharField(max_length=10)

    class Meta(ViewRow.Meta):
        db_table = "v_today_panel_enhanced"


class PursuitChecklistReady(ViewRow):
    """An open pursuit and the reviews before it; `is_ready` says whether the checklist lets it into the next stage."""

    id = models.BigIntegerField(primary_key=True)
    title = models.CharField(max_length=200)
    stage = models.CharField(max_length=10)
    owner_id = models.BigIntegerField(null=True)
    client_id = models.BigIntegerField(null=True)
    due_date = models.DateField(null=True)
    pink_done = models.PositiveSmallIntegerField()
    pink_required = models.PositiveSmallIntegerField()
    pink_ready = models.BooleanField()
    red_done = models.PositiveSmallIntegerField()
    red_required = models.PositiveSmallIntegerField()
    red_ready = models.BooleanField()
    compliance_score = models.DecimalField(max_digits=4, decimal_places=3)
    next_stage = models.CharField(max_length=10)
    is_ready = models.BooleanField()

    class Meta(ViewRow.Meta):
        db_table = "v_pursuit_checklist_ready"
        verbose_name = "open pursuit"

    def __str__(self) -> str:
        return self.title


class FunnelStage(ViewRow):
    """How many items stand in a stage; every stage has a row."""

    pk = models.CompositePrimaryKey("org_id", "item_type", "stage")
    item_type = models.CharField(max_length=10)
    stage = models.CharField(max_length=20)
    place = models.PositiveSmallIntegerField()
    items = models.BigIntegerField()

    class Meta(ViewRow.Meta):
        db_table = "v_workstream_funnel"


class FunnelVelocity(ViewRow):
    """The stays of one stage that began in one month."""

    pk = models.CompositePrimaryKey("org_id", "stage", "month")
    item_type = models.CharField(max_length=10)
    stage = models.CharField(max_length=20)
    month = models.DateField()
    entered = models.BigIntegerField()
    finished = models.BigIntegerField()
    measured = models.BigIntegerField()
    advanced = models.BigIntegerField()
    dropped = models.BigIntegerField()
    median_hours = models.DecimalField(max_digits=12, decimal_places=2, null=True)
    p90_hours = models.DecimalField(max_digits=12, decimal_places=2, null=True)
    conversion_percent = models.DecimalField(max_digits=4, decimal_places=1)
    drop_off_percent = models.DecimalField(max_digits=4, decimal_places=1)

    class Meta(ViewRow.Meta):
        db_table = "v_workstream_funnel_velocity"


class SlaCompliance(ViewRow):
    """How one metric was kept, ever."""

    pk = models.CompositePrimaryKey("org_id", "metric")
    metric = models.CharField(max_length=20)
    met = models.BigIntegerField()
    breached = models.BigIntegerField()
    open = models.BigIntegerField()
    open_breaches = models.BigIntegerField()
    compliance_percent = models.DecimalField(max_digits=4, decimal_places=1, null=True)

    class Meta(ViewRow.Meta):
        db_table = "v_sla_compliance_summary"


class UserWorkload(ViewRow):
    """What one owner has on the panel; the row of what nobody owns reads None for its owner."""

    pk = models.CompositePrimaryKey("org_id", "owner_id")
    owner_id = models.BigIntegerField()
    owner_name = models.CharField(max_length=301)
    items = models.BigIntegerField()
    urgent = models.BigIntegerField()
    high = models.BigIntegerField()
    medium = models.BigIntegerField()
    low = models.BigIntegerField()
    breaches = models.BigIntegerField()
    stale = models.BigIntegerField()
    snoozed = models.BigIntegerField()
    mean_hours_since_touch = models.DecimalField(max_digits=12, decimal_places=1, null=True)
    longest_hours_since_touch = models.DecimalField(max_digits=12, decimal_places=1, null=True)

    class Meta(ViewRow.Meta):
        db_table = "v_user_workload"


class IdentityStatus(ViewRow):
    """Signals by what became of the question who sent them."""

    pk = models.CompositePrimaryKey("org_id", "status")
    status = models.CharField(max_length=20)
    signals = models.BigIntegerField()
    with_contact = models.BigIntegerField()
    with_client = models.BigIntegerField()

    class Meta(ViewRow.Meta):
        db_table = "v_identity_resolution_status"


class SalesOutcome(ViewRow):
    """A pursuit that was won or lost."""

    id = models.BigIntegerField(primary_key=True)
    outcome = models.CharField(max_length=10)
    closed_at = models.DateTimeField()
    closed_on = models.DateField()
    solution_id = models.BigIntegerField(null=True)
    solution_name = models.CharField(max_length=200, null=True)
    owner_id = models.BigIntegerField(null=True)
    owner_name = models.CharField(max_length=301)
    client_id = models.BigIntegerField(null=True)
    value = models.DecimalField(max_digits=14, decimal_places=2)
    currency = models.CharField(max_length=3)
    seconds_to_close = models.FloatField(null=True)

    class Meta(ViewRow.Meta):
        db_table = "v_sales_outcome"
