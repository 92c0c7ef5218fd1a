"""What goes out and what comes in: names, times, numbers, relations inside the organisation, strict bodies."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal
from typing import Any

import pytest
from django.core.exceptions import ImproperlyConfigured
from django.db import connection
from django.test.utils import CaptureQueriesContext
from rest_framework import serializers

from flowledger.api.fields import (
    DayField,
    FiniteFloatField,
    InstantField,
    MemberField,
    MoneyField,
    NumberField,
    OrgRelatedField,
    OrgRelatedListField,
)
from flowledger.api.serializers import Body, OrgSerializer
from flowledger.tenancy.actors import Role
from flowledger.tenancy.models import ApiKey, Membership


class KeySerializer(OrgSerializer):
    """Names of the kernel's columns and a computed one."""

    length = serializers.SerializerMethodField()

    class Meta:
        model = ApiKey
        resource = "api_key"
        fields = ("name", "scopes", "expires_at", "created_by_user_id", "length")
        read_only_fields = ("scopes",)

    def get_length(self, key: ApiKey) -> int:
        return len(key.name)


class TestRepresentation:
    def test_carries_identifier_organisation_and_times(self):
        at = datetime(2026, 3, 1, 8, 30, 0, 125, tzinfo=UTC)
        key = ApiKey(pk=5, org_id=7, name="loader", scopes=["a:read"], created_by_id=3, created_at=at, updated_at=at)
        assert KeySerializer(key).data == {
            "api_key_id": 5,
            "name": "loader",
            "scopes": ["a:read"],
            "expires_at": None,
            "created_by_user_id": 3,
            "length": 6,
            "org_id": 7,
            "created_at": "2026-03-01T08:30:00.000125Z",
            "updated_at": "2026-03-01T08:30:00.000125Z",
        }

    def test_times_are_utc_whatever_the_zone(self):
        at = datetime(2026, 3, 1, 8, tzinfo=timezone(timedelta(hours=2)))
        key = ApiKey(pk=5, org_id=7, name="x", expires_at=at, created_at=at, updated_at=at)
        assert KeySerializer(key).data["expires_at"] == "2026-03-01T06:00:00Z"

    @pytest.mark.django_db
    def test_asks_the_database_nothing(self, org):
        keys = ApiKey.all_orgs.bulk_create(ApiKey(org=org, name=f"k{n}", secret_sha256="") for n in range(5))
        with CaptureQueriesContext(connection) as captured:
            assert len(KeySerializer(keys, many=True).data) == 5
        assert len(captured) == 0

    def test_a_declared_field_that_is_not_listed_is_a_mistake(self):
        class Forgetful(KeySerializer):
            class Meta(KeySerializer.Meta):
                fields = ("name",)

        with pytest.raises(ImproperlyConfigured, match="length"):
            _ = Forgetful().fields

    def test_relations_are_written_as_identifiers(self):
        class Loose(OrgSerializer):
            class Meta:
                model = ApiKey
                resource = "api_key"
                fields = ("created_by",)

        with pytest.raises(ImproperlyConfigured, match="created_by_id"):
            _ = Loose().fields

    def test_relations_that_could_leave_the_organisation_are_refused(self):
        with pytest.raises(ImproperlyConfigured, match="OrgRelatedField"):

            class Leaking(KeySerializer):
                created_by_user_id = serializers.PrimaryKeyRelatedField(queryset=Membership.all_orgs.all())


class TestStrictBodies:
    class Colours(Body):
        colour = serializers.CharField()
        code = serializers.CharField(read_only=True)

    def errors(self, data: Any) -> dict[str, Any]:
        body = self.Colours(data=data)
        assert not body.is_valid()
        return body.errors

    def test_unknown_and_read_only_fields_are_named(self):
        found = self.errors({"colour": "red", "color": "red", "code": "x"})
        assert found == {"color": ["Unknown field."], "code": ["This field cannot be set here."]}

    def test_org_id_passes(self):
        body = self.Colours(data={"colour": "red", "org_id": 1})
        assert body.is_valid()
        assert body.validated_data == {"colour": "red"}

    def test_representations_are_strict_bodies_too(self):
        serializer = KeySerializer(data={"name": "x", "scopes": []})
        assert not serializer.is_valid()
        assert "scopes" in serializer.errors


def run(field: Any, value: Any, **context: Any) -> Any:
    holder = type("Holder", (serializers.Serializer,), {"it": field})(data={"it": value}, context=context)
    return holder.validated_data["it"] if holder.is_valid() else holder.errors["it"]


class TestPlainFields:
    @pytest.mark.parametrize("value", ["nan", "inf", "-inf", float("inf"), "x", {}, []])
    def test_floats_are_finite(self, value):
        assert isinstance(run(FiniteFloatField(), value), list)

    @pytest.mark.parametrize(
        "value", ["0001-01-01T00:00:00Z", "9999-12-31T23:59:59-12:00", "now", 5, {}, "2026-13-01T00:00:00Z"]
    )
    def test_instants_are_ones_that_can_be_read_back(self, value):
        assert isinstance(run(InstantField(), value), list)

    def test_days(self):
        assert run(DayField(), "2026-02-03").isoformat() == "2026-02-03"
        assert isinstance(run(DayField(), "0001-01-01"), list)

    def test_money_is_text_and_other_numbers_are_not(self):
        assert MoneyField().to_representation(Decimal("5")) == "5.00"
        assert run(MoneyField(), "12.50") == Decimal("12.50")
        assert isinstance(run(MoneyField(), "12.505"), list)
        assert isinstance(run(MoneyField(), "NaN"), list)
        assert NumberField(3, 2).to_representation(Decimal("0.25")) == 0.25


@pytest.mark.django_db
class TestRelations:
    @pytest.mark.parametrize("given", ["own", "strangers", "none"])
    def test_rows_of_the_organisation_only(self, org, other_org, key_for, given):
        own, _ = key_for(org)
        strangers, _ = key_for(other_org)
        pk = {"own": own.pk, "strangers": strangers.pk, "none": strangers.pk + 1000}[given]
        found = run(OrgRelatedField(ApiKey), pk, org=org)
        assert found == (own if given == "own" else [f"There is no API key {pk}."])

    @pytest.mark.parametrize("value", [True, 1.5, "x", {}, [], 10**30, -1, 0, "99999999999999999999"])
    def test_what_is_no_identifier(self, org, value):
        assert isinstance(run(OrgRelatedField(ApiKey), value, org=org), list)
        assert isinstance(run(MemberField(), value, org=org), list)

    def test_lists_ask_once_and_keep_their_order(self, org, key_for):
        keys = [key_for(org)[0] for _ in range(3)]
        wanted = [keys[2].pk, keys[0].pk, keys[2].pk]
        with CaptureQueriesContext(connection) as captured:
            assert run(OrgRelatedListField(ApiKey), wanted, org=org) == [keys[2], keys[0]]
        assert len(captured) == 1

    def test_lists_name_what_is_missing(self, org, other_org, key_for):
        own, strangers = key_for(org)[0], key_for(other_org)[0]
        found = run(OrgRelatedListField(ApiKey), [own.pk, strangers.pk], org=org)
        assert found == [f"There is no API key {strangers.pk}."]
        assert isinstance(run(OrgRelatedListField(ApiKey, allow_empty=False), [], org=org), list)
        assert isinstance(run(OrgRelatedListField(ApiKey), list(range(1, 1100)), org=org), list)
        assert isinstance(run(OrgRelatedListField(ApiKey), "1", org=org), list)

    def test_people_are_active_members(self, org, other_org, member_of):
        here, there = member_of(org, Role.REP), member_of(other_org, Role.REP)
        assert run(MemberField(), here.user_id, org=org) == here.user
        assert run(MemberField(), there.user_id, org=org) == [f"There is no member {there.user_id}."]
        Membership.all_orgs.filter(pk=here.pk).update(is_active=False)
        assert run(MemberField(), here.user_id, org=org) == [f"There is no member {here.user_id}."]
