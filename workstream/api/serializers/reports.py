"""Figures as they travel: shares and hours as numbers, money as text."""

from __future__ import annotations

from typing import Any

from rest_framework import serializers

from flowledger.api.fields import DayField, MoneyField, NumberField
from workstream.machines import OPEN_STAGES
from workstream.models.sla import RULED_METRICS


def _percent(help_text: str) -> NumberField:
    return NumberField(max_digits=5, decimal_places=1, allow_null=True, help_text=help_text)


def _hours(help_text: str, places: int = 2) -> NumberField:
    return NumberField(max_digits=12, decimal_places=places, allow_null=True, help_text=help_text)


def _days(help_text: str) -> NumberField:
    return NumberField(max_digits=12, decimal_places=4, allow_null=True, help_text=help_text)


class HealthFigureSerializer(serializers.Serializer[Any]):
    """A figure beside its target."""

    name = serializers.CharField()
    label = serializers.CharField()  # type: ignore[assignment]  # a field named label
    value = NumberField(max_digits=20, decimal_places=3, allow_null=True)
    target = serializers.CharField()
    unit = serializers.CharField()
    is_met = serializers.BooleanField(allow_null=True, help_text="null where there is nothing to judge yet.")
    sentence = serializers.CharField()


# `from` is no name that a class body can hold.
PeriodSerializer: type[serializers.Serializer[Any]] = type(
    "ReportPeriodSerializer",
    (serializers.Serializer,),
    {
        "__doc__": "Whole days of the organisation's time zone, both ends with them.",
        "from": DayField(source="first"),
        "to": DayField(source="last"),
        "timezone": serializers.CharField(),
    },
)


class FunnelRowSerializer(serializers.Serializer[Any]):
    """One stage, counted now."""

    item_type = serializers.ChoiceField(choices=["candidate", "pursuit"])
    stage = serializers.CharField()
    items = serializers.IntegerField()


class VelocityRowSerializer(serializers.Serializer[Any]):
    """The stays in one stage that began in one month."""

    item_type = serializers.ChoiceField(choices=["candidate", "pursuit"])
    stage = serializers.CharField()
    month = DayField(help_text="Its first day.")
    entered = serializers.IntegerField(help_text="Stays that began, those with inferred times among them.")
    finished = serializers.IntegerField(help_text="Of these, stays that are over.")
    measured = serializers.IntegerField(help_text="Of these, stays whose times nobody guessed: the hours are theirs.")
    median_hours = _hours("Median of the measured stays.")
    p90_hours = _hours("Nine of ten measured stays were no longer.")
    advanced = serializers.IntegerField(help_text="Went on to the next stage on the way.")
    dropped = serializers.IntegerField(help_text="Were archived or lost from here.")
    conversion_percent = _percent("advanced of entered.")
    drop_off_percent = _percent("dropped of entered.")


class ComplianceFiguresSerializer(serializers.Serializer[Any]):
    """How time was kept."""

    met = serializers.IntegerField()
    breached = serializers.IntegerField(help_text="With breaches that still stand.")
    open = serializers.IntegerField(help_text="Run now and are in time.")
    open_breaches = serializers.IntegerField(help_text="Stand now, whenever they happened.")
    compliance_percent = _percent("met of met and breached.")


class ComplianceRowSerializer(ComplianceFiguresSerializer):
    """One metric."""

    metric = serializers.ChoiceField(choices=[each.value for each in RULED_METRICS])
    label = serializers.CharField()  # type: ignore[assignment]  # a field named label


class WorkloadRowSerializer(serializers.Serializer[Any]):
    """One owner's rows of the Today panel."""

    owner_id = serializers.IntegerField(allow_null=True, help_text="null: nobody's.")
    owner_name = serializers.CharField(allow_blank=True)
    items = serializers.IntegerField()
    urgent = serializers.IntegerField()
    high = serializers.IntegerField()
    medium = serializers.IntegerField()
    low = serializers.IntegerField()
    breaches = serializers.IntegerField(help_text="Items with an open breach.")
    stale = serializers.IntegerField(help_text="Untouched for longer than sla_rule/untouched_hours.")
    snoozed = serializers.IntegerField(help_text="Not among the items.")
    mean_hours_since_touch = _hours("Of the items.", 1)
    longest_hours_since_touch = _hours("Of the item that was left alone longest.", 1)


class IdentityFiguresSerializer(serializers.Serializer[Any]):
    """How many signals, and of how many the sender is known."""

    signals = serializers.IntegerField()
    with_contact = serializers.IntegerField()
    with_client = serializers.IntegerField()


class IdentityRowSerializer(IdentityFiguresSerializer):
    """One status of identity resolution."""

    status = serializers.CharField(allow_blank=True, help_text="Empty: nobody was looked for.")
    share_percent = _percent("Of all signals.")


class OutboxRowSerializer(serializers.Serializer[Any]):
    """What waits now."""

    pending = serializers.IntegerField()
    retrying = serializers.IntegerField()
    claimed = serializers.IntegerField()
    dead_letters = serializers.IntegerField()
    oldest_due_seconds = NumberField(max_digits=20, decimal_places=3)


class RevenueSerializer(serializers.Serializer[Any]):
    """Money of one currency."""

    currency = serializers.CharField()
    revenue = MoneyField()


class OutcomeFiguresSerializer(serializers.Serializer[Any]):
    """Won and lost."""

    won = serializers.IntegerField()
    lost = serializers.IntegerField()
    win_rate_percent = _percent("won of won and lost.")
    currency = serializers.CharField(help_text="The organisation's.")
    revenue = MoneyField(help_text="What was won in that currency.")
    other_revenue = RevenueSerializer(many=True, help_text="What was won in others; never added up.")
    median_days_to_close = _days("From promotion to the close, won and lost.")
    p90_days_to_close = _days("Nine of ten were no slower.")
    median_won_days_to_close = _days("Of what was won.")
    p90_won_days_to_close = _days("Of what was won.")


class OutcomeRowSerializer(OutcomeFiguresSerializer):
    """One group; the columns of groupings that were not asked for are absent."""

    sometimes_absent = ("period", "solution_id", "solution_name", "owner_id", "owner_name")

    period = DayField(required=False, help_text="First day of the month or quarter.")
    solution_id = serializers.IntegerField(required=False, allow_null=True)
    solution_name = serializers.CharField(required=False, allow_null=True)
    owner_id = serializers.IntegerField(required=False, allow_null=True)
    owner_name = serializers.CharField(required=False, allow_blank=True)

    def to_representation(self, instance: Any) -> dict[str, Any]:
        """A field that may be null would be shown as null where the row does not have it."""
        shown: dict[str, Any] = super().to_representation(instance)
        return {name: value for name, value in shown.items() if name in instance or name not in self.sometimes_absent}


class ChecklistReadySerializer(serializers.Serializer[Any]):
    """An open pursuit and what its checklists say."""

    pursuit_id = serializers.IntegerField(source="pk")
    org_id = serializers.IntegerField()
    title = serializers.CharField()
    stage = serializers.ChoiceField(choices=[stage.value for stage in OPEN_STAGES])
    owner_user_id = serializers.IntegerField(source="owner_id", allow_null=True)
    client_id = serializers.IntegerField(allow_null=True)
    due_date = DayField(allow_null=True)
    pink_done = serializers.IntegerField()
    pink_required = serializers.IntegerField()
    pink_ready = serializers.BooleanField()
    red_done = serializers.IntegerField()
    red_required = serializers.IntegerField()
    red_ready = serializers.BooleanField()
    compliance_score = NumberField(max_digits=4, decimal_places=3)
    next_stage = serializers.CharField(help_text="Where the pursuit would go next.")
    is_ready = serializers.BooleanField(help_text="Whether the checklists let it; the gate may want more.")
