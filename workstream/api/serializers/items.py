"""Fields and bodies that several resources share."""

from __future__ import annotations

from typing import Any

from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from flowledger.api.fields import ID_SCHEMA, InstantField, MemberField, OrgRelatedListField
from flowledger.api.serializers import Body, OrgSerializer
from workstream.models import Activity, StageHistory, Tag, Task, WorkItemLink
from workstream.models.activities import ITEM_MODELS, ActivityKind, Direction, LinkType
from workstream.services.taxonomy import MOST_TAGS, names_of_tags


@extend_schema_field({"type": "array", "items": {"type": "string", "maxLength": 60}, "maxItems": MOST_TAGS})
class TagNamesField(serializers.Field[Any, Any, Any, Any]):
    """Names of an item's tags; writing makes the missing ones. Reads the item's tag links."""

    def to_internal_value(self, data: Any) -> list[str]:
        if not isinstance(data, list) or not all(isinstance(name, str) and name.strip() for name in data):
            raise serializers.ValidationError("This is a list of names, none of them blank.")
        longest = Tag._meta.get_field("name").max_length or 0
        if len(data) > MOST_TAGS or any(len(name) > longest for name in data):
            raise serializers.ValidationError(f"At most {MOST_TAGS} names of at most {longest} characters.")
        if any("\x00" in name for name in data):
            raise serializers.ValidationError("NUL characters are not allowed.")
        return data

    def get_attribute(self, instance: Any) -> list[str]:
        # Lists bring the names along (`for_list`); a row that was just written asks.
        names: list[str] | None = getattr(instance, "tag_names", None)
        return names_of_tags(instance) if names is None else names

    def to_representation(self, value: Any) -> list[str]:
        names: list[str] = value
        return names


BADGES = ("red", "amber", "green")


@extend_schema_field(
    {"type": "string", "enum": list(BADGES), "description": "red: in breach; amber: warned; read from the clocks."}
)
class BadgeField(serializers.ReadOnlyField):
    """How an item stands by its SLA clocks."""

    def get_attribute(self, instance: Any) -> str:
        return badge_of(instance)


def badge_of(item: Any) -> str:
    """The item's badge. Lists bring it along (`for_list`); a row that was just written asks, once."""
    if not hasattr(item, "sla_badge"):
        rows = type(item).objects.for_org(item.org_id).filter(pk=item.pk).with_badge()
        item.sla_badge = rows.values_list("sla_badge", flat=True).get()
    badge: str = item.sla_badge
    return badge


def aspect_of(item: Any) -> str | None:
    """What the item's ETag says beside its version: a badge that is not green."""
    badge = badge_of(item)
    return None if badge == "green" else badge


@extend_schema_field({"type": "array", "items": ID_SCHEMA})
class LinkedSignalsField(OrgRelatedListField):
    """Identifiers of the signals behind a candidate; reads the links, writes the signals."""

    def get_attribute(self, instance: Any) -> list[int]:
        ids: list[int] | None = getattr(instance, "linked_signal_ids", None)
        if ids is None:
            ids = list(instance.signal_links.order_by("signal_id").values_list("signal_id", flat=True))
        return ids

    def to_representation(self, value: Any) -> list[int]:
        ids: list[int] = value
        return ids


class ReasonBody(Body):
    """A verb that wants a reason."""

    reason = serializers.CharField(max_length=500)


class EmptyBody(Body):
    """A verb that needs nothing said."""


class ActivitySerializer(OrgSerializer):
    """One activity on an item."""

    item_type = serializers.ChoiceField(choices=[(name, name) for name in ITEM_MODELS], read_only=True)
    item_id = serializers.IntegerField(read_only=True)

    class Meta:
        model = Activity
        resource = "activity"
        fields = (
            "item_type",
            "item_id",
            "kind",
            "direction",
            "summary",
            "body",
            "happened_at",
            "actor_kind",
            "actor_label",
            "origin",
        )


class ActivityBody(Body):
    """What to log on an item."""

    kind = serializers.ChoiceField(choices=ActivityKind.choices, default=ActivityKind.NOTE)
    direction = serializers.ChoiceField(choices=Direction.choices, default=Direction.INTERNAL)
    summary = serializers.CharField(max_length=300)
    body = serializers.CharField(max_length=100_000, required=False, allow_blank=True, default="")
    happened_at = InstantField(required=False)


class TaskSerializer(OrgSerializer):
    """Something to be done on an item."""

    item_type = serializers.ChoiceField(choices=[(name, name) for name in ITEM_MODELS], read_only=True)
    item_id = serializers.IntegerField(read_only=True)

    class Meta:
        model = Task
        resource = "task"
        fields = (
            "item_type",
            "item_id",
            "title",
            "assignee_user_id",
            "due_at",
            "status",
            "done_at",
            "created_by_rule",
        )


class TaskBody(Body):
    """A task to open on an item."""

    title = serializers.CharField(max_length=200)
    assignee_user_id = MemberField(source="assignee", required=False, allow_null=True)
    due_at = InstantField(required=False, allow_null=True)


class LinkSerializer(OrgSerializer):
    """A pointer from an item to something elsewhere."""

    item_type = serializers.ChoiceField(choices=[(name, name) for name in ITEM_MODELS], read_only=True)
    item_id = serializers.IntegerField(read_only=True)

    class Meta:
        model = WorkItemLink
        resource = "link"
        fields = ("item_type", "item_id", "link_type", "target_type", "target_ref", "title")


class LinkBody(Body):
    """What to link an item to."""

    link_type = serializers.ChoiceField(choices=LinkType.choices)
    target_type = serializers.CharField(max_length=60, required=False, allow_blank=True, default="")
    target_ref = serializers.CharField(max_length=1000)
    title = serializers.CharField(max_length=200, required=False, allow_blank=True, default="")


class StayInStateSerializer(OrgSerializer):
    """One stay of an item in one state."""

    class Meta:
        model = StageHistory
        resource = "stay"
        fields = ("state", "entered_at", "left_at", "actor_kind", "actor_label", "origin", "is_inferred")
