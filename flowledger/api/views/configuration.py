"""Configuration over REST: GET|POST /api/workstream/config, its history, schema, roll-back and way back to defaults."""

from __future__ import annotations

from typing import Any

from django.utils.timezone import now
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, extend_schema, extend_schema_field
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from flowledger.api.base import OrgAPIView
from flowledger.api.fields import InstantField
from flowledger.api.filters import ChoicesFilter, OrgFilterSet, TextsFilter, refuse_unknown
from flowledger.api.serializers import Body
from flowledger.api.viewsets import OrgViewSet
from flowledger.configuration import reports, services
from flowledger.configuration.models import Change, ConfigValue
from flowledger.configuration.registry import RuleType, keys
from flowledger.errors import InvalidInput
from flowledger.tenancy.actors import Origin, Role

SOURCES = ["default", "organisation"]


@extend_schema_field(OpenApiTypes.ANY)
class AnyField(serializers.JSONField):
    """Any JSON value, also none."""


class PlannedSerializer(serializers.Serializer[ConfigValue]):
    """What holds later; `is_default` stands for the default, whatever it is then."""

    version = serializers.IntegerField(min_value=1)
    value = AnyField(allow_null=True)
    is_default = serializers.BooleanField()
    effective_from = InstantField()
    effective_to = InstantField(allow_null=True)
    reason = serializers.CharField()
    changed_by = serializers.CharField(source="changed_by_label")


class ConfigSerializer(serializers.Serializer[reports.Entry]):
    """One key as it stands now.

    `version` is the version in force, 0 for the default; `latest_version` the newest one that was made, planned ones
    included: name it as `expected_version` in the next change. `problem` says why a stored value is not understood.
    """

    rule_type = serializers.ChoiceField(choices=RuleType.choices)
    key = serializers.CharField()
    help = serializers.CharField()
    value = AnyField(allow_null=True)
    source = serializers.ChoiceField(choices=SOURCES)  # type: ignore[assignment]
    version = serializers.IntegerField(min_value=0)
    latest_version = serializers.IntegerField(min_value=0)
    effective_from = InstantField(allow_null=True)
    effective_to = InstantField(allow_null=True)
    reason = serializers.CharField()
    changed_by = serializers.CharField()
    changed_at = InstantField(allow_null=True)
    problem = serializers.CharField()
    planned = PlannedSerializer(many=True)


class ConfigListSerializer(serializers.Serializer[object]):
    """Every key; there are as many as the code declares."""

    data = ConfigSerializer(many=True)  # type: ignore[assignment]


class ChangeBody(Body):
    """Which key, from when, why, and the newest version that the caller knows of, so that nobody is overwritten."""

    rule_type = serializers.ChoiceField(choices=RuleType.choices)
    key = serializers.CharField(max_length=60)
    reason = serializers.CharField(max_length=1_000)
    effective_from = InstantField(required=False, allow_null=True, help_text="At once when left out.")
    expected_version = serializers.IntegerField(
        required=False, allow_null=True, min_value=0, max_value=2**31 - 1, help_text="`latest_version` as it was read."
    )


class SetBody(ChangeBody):
    """The value, checked against the key's schema. Without an end it replaces what was planned for later."""

    value = AnyField()
    effective_to = InstantField(required=False, allow_null=True)


class RollbackBody(ChangeBody):
    """The version whose value comes back; 0 is the default."""

    to_version = serializers.IntegerField(min_value=0, max_value=2**31 - 1)


class DifferenceSerializer(serializers.Serializer[reports.Difference]):
    """A place in which the value differs from the version before."""

    path = serializers.CharField()
    before = AnyField(allow_null=True)
    after = AnyField(allow_null=True)


class ConfigHistorySerializer(serializers.Serializer[reports.HistoryEntry]):
    """One version: who made it, when and why, when it holds, and what it changed.

    `of_version` is the version whose value came back or goes on. A default is compared as it is today.
    """

    config_value_id = serializers.IntegerField(source="row.pk")
    rule_type = serializers.ChoiceField(choices=RuleType.choices, source="row.rule_type")
    key = serializers.CharField(source="row.key")
    version = serializers.IntegerField(source="row.version")
    change = serializers.ChoiceField(choices=Change.choices, source="row.change")
    of_version = serializers.IntegerField(source="row.of_version", allow_null=True)
    is_default = serializers.BooleanField(source="row.is_default")
    before = AnyField(allow_null=True)
    after = AnyField(allow_null=True)
    differences = DifferenceSerializer(many=True)
    effective_from = InstantField(source="row.effective_from")
    effective_to = InstantField(source="row.effective_to", allow_null=True)
    never_began = serializers.BooleanField(source="row.never_began")
    reason = serializers.CharField(source="row.reason")
    changed_by = serializers.CharField(source="row.changed_by_label")
    changed_by_kind = serializers.CharField(source="row.changed_by_kind")
    changed_by_id = serializers.IntegerField(source="row.changed_by_id", allow_null=True)
    origin = serializers.ChoiceField(choices=Origin.choices, source="row.origin")
    changed_at = InstantField(source="row.changed_at")


class KeySerializer(serializers.Serializer[object]):
    """A key with the JSON schema of its value."""

    rule_type = serializers.ChoiceField(choices=RuleType.choices)
    key = serializers.CharField()
    help = serializers.CharField()
    default = AnyField()
    schema = serializers.DictField()


class SchemaSerializer(serializers.Serializer[object]):
    """Every key that can be set."""

    data = KeySerializer(many=True)  # type: ignore[assignment]


class ConfigHistoryFilters(OrgFilterSet):
    """Filters of the history."""

    rule_type = ChoicesFilter("rule_type", choices=RuleType.choices)
    key = TextsFilter("key")


class ConfigView(OrgAPIView):
    """The rules of the organisation."""

    scope = "workstream"
    action_roles = {"post": Role.ADMIN}
    body_classes = {"post": SetBody}

    @extend_schema(
        responses=ConfigListSerializer,
        parameters=[
            OpenApiParameter("rule_type", enum=RuleType.values, description="Only keys of this type."),
            OpenApiParameter("key", description="Only keys of this name."),
        ],
    )
    def get(self, request: Request) -> Response:
        """Every rule with what holds now, where it comes from, since and until when, and what is planned."""
        asked = request.query_params
        _refuse(refuse_unknown(asked, ["rule_type", "key", "org_id"]))
        rule_type = asked.get("rule_type", "")
        if rule_type and rule_type not in RuleType.values:
            _refuse({"rule_type": [f"'{rule_type}' is not one of: {', '.join(RuleType.values)}."]})
        found = reports.overview(self.org, at=now(), rule_type=rule_type, key=asked.get("key", ""))
        return Response(ConfigListSerializer({"data": found}).data)

    @extend_schema(responses={201: ConfigSerializer})
    def post(self, request: Request) -> Response:
        """Set a rule, at once or from a later moment on."""
        given, at = self.body(), now()
        services.set_value(org=self.org, actor=self.actor, at=at, **given)
        return _standing(self, given)


class ConfigResetView(OrgAPIView):
    """The way back to the default."""

    scope = "workstream"
    action_roles = {"post": Role.ADMIN}
    body_classes = {"post": ChangeBody}

    @extend_schema(responses={201: ConfigSerializer})
    def post(self, request: Request) -> Response:
        """Let the default hold again, at once or from a later moment on."""
        given, at = self.body(), now()
        services.end_value(org=self.org, actor=self.actor, at=at, **given)
        return _standing(self, given)


class ConfigRollbackView(OrgAPIView):
    """The way back to an earlier version."""

    scope = "workstream"
    action_roles = {"post": Role.ADMIN}
    body_classes = {"post": RollbackBody}

    @extend_schema(responses={201: ConfigSerializer})
    def post(self, request: Request) -> Response:
        """Make a new version with the value of an earlier one."""
        given, at = self.body(), now()
        services.roll_back(org=self.org, actor=self.actor, at=at, **given)
        return _standing(self, given)


class ConfigSchemaView(OrgAPIView):
    """What can be set."""

    scope = "workstream"

    @extend_schema(responses=SchemaSerializer)
    def get(self, request: Request) -> Response:
        """Every key with its help, its default and the JSON schema of its value."""
        found = [
            {
                "rule_type": entry.rule_type.value,
                "key": entry.name,
                "help": entry.help,
                "default": entry.plain(entry.default),
                "schema": entry.schema(),
            }
            for entry in keys()
        ]
        return Response({"data": found})


class ConfigHistoryViewSet(OrgViewSet):
    """Every version of every rule, newest first."""

    model = ConfigValue
    resource = "config_value"
    scope = "workstream"
    serializer_class = ConfigHistorySerializer
    filterset_class = ConfigHistoryFilters

    def scoped_queryset(self, rows: Any) -> Any:
        return rows.order_by("-id")

    def list(self, request: Request) -> Response:
        """Who changed what, when and why, with the value before and after."""
        page = self.paginate_queryset(self.filter_queryset(self.get_queryset()))
        found: Any = reports.history(self.org, list(page or ()))
        return self.get_paginated_response(ConfigHistorySerializer(found, many=True).data)


def _standing(view: OrgAPIView, given: dict[str, Any]) -> Response:
    """How the key stands after the change."""
    entry = reports.entry_of(view.org, rule_type=given["rule_type"], key=given["key"], at=now())
    return Response(ConfigSerializer(entry).data, status=201)


def _refuse(fields: dict[str, list[str]]) -> None:
    if fields:
        name, sentences = next(iter(fields.items()))
        raise InvalidInput(f"{name}: {sentences[0]}", fields=fields)
