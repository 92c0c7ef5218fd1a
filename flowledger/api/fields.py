"""Serializer fields of the API: bounded times, numbers, money, and relations that stay inside the organisation."""

from __future__ import annotations

import math
from collections.abc import Iterable
from datetime import date, datetime
from decimal import Decimal
from typing import Any

from django.db.models import Model
from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from flowledger.api.converters import MAX_ID
from flowledger.tenancy.models import Membership, Organization, OrgModel, User

EARLIEST_YEAR, LATEST_YEAR = 1900, 2200
MAX_RELATED = 1_000
ID_SCHEMA = {"type": "integer", "format": "int64", "minimum": 1}


def _refuse_far_years(value: date) -> None:
    # PostgreSQL stores years that Python cannot read back, for instance after a shift of time zone.
    if not EARLIEST_YEAR <= value.year <= LATEST_YEAR:
        raise serializers.ValidationError(f"The year must lie between {EARLIEST_YEAR} and {LATEST_YEAR}.")


class InstantField(serializers.DateTimeField):
    """A point in time, ISO 8601, answered in UTC."""

    def to_internal_value(self, value: Any) -> datetime:
        instant: datetime = super().to_internal_value(value)
        _refuse_far_years(instant)
        return instant


class DayField(serializers.DateField):
    """A calendar date."""

    def to_internal_value(self, value: Any) -> date:
        day: date = super().to_internal_value(value)
        _refuse_far_years(day)
        return day


class NumberField(serializers.DecimalField):
    """A decimal that is no money: a JSON number."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **{**kwargs, "coerce_to_string": False})

    def to_representation(self, value: Any) -> Any:
        return float(value)


class MoneyField(serializers.DecimalField):
    """An amount of money: a JSON string, so that no reader rounds it."""

    def __init__(self, max_digits: int = 14, decimal_places: int = 2, **kwargs: Any) -> None:
        super().__init__(max_digits, decimal_places, **{**kwargs, "coerce_to_string": True})

    def to_representation(self, value: Any) -> str:
        return format(Decimal(value), f".{self.decimal_places}f")


class FiniteFloatField(serializers.FloatField):
    """A float that JSON can say."""

    def to_internal_value(self, data: Any) -> float:
        number = float(super().to_internal_value(data))
        if not math.isfinite(number):
            self.fail("invalid")
        return number


def _identifier(data: Any) -> int:
    """A whole number that a bigint column can hold; strings of digits are accepted, booleans and floats are not."""
    if isinstance(data, str) and data.isascii() and data.isdigit() and len(data) <= 19:
        data = int(data)
    if isinstance(data, bool) or not isinstance(data, int):
        raise serializers.ValidationError("An identifier is a whole number.")
    return data


def _org_of(field: serializers.Field[Any, Any, Any, Any]) -> Organization:
    org: Organization = field.context["org"]
    return org


def _standing(row: Any, org: Organization) -> Any:
    """The row itself, or the one that it was merged into: a tombstone names its survivor in `canonical`."""
    survivor_id: int | None = getattr(row, "canonical_id", None)
    return row if survivor_id is None else type(row).objects.for_org(org).get(pk=survivor_id)


@extend_schema_field(ID_SCHEMA)
class OrgRelatedField(serializers.Field[Any, Any, Any, Any]):
    """The identifier of a row of the same organisation; becomes that row.

    Another organisation's row is answered exactly like one that never existed. The tombstone of a merge means its
    survivor.
    """

    def __init__(self, model: type[OrgModel], **kwargs: Any) -> None:
        self.model = model
        super().__init__(**kwargs)

    def to_internal_value(self, data: Any) -> Model:
        pk = _identifier(data)
        row: Model | None = None
        if 1 <= pk <= MAX_ID:
            row = self.model.objects.for_org(_org_of(self)).filter(pk=pk).order_by("pk").first()
        if row is None:
            raise serializers.ValidationError(f"There is no {self.model._meta.verbose_name} {pk}.")
        return _standing(row, _org_of(self))

    def get_attribute(self, instance: Any) -> Any:
        # The column, not the row: reading a list must not fetch what it only names.
        return getattr(instance, f"{self.source_attrs[-1]}_id")

    def to_representation(self, value: Any) -> Any:
        return value


@extend_schema_field({"type": "array", "items": ID_SCHEMA, "maxItems": MAX_RELATED})
class OrgRelatedListField(serializers.Field[Any, Any, Any, Any]):
    """Identifiers of rows of the same organisation; becomes those rows, in the order given, from one query.

    Tombstones of merges mean their survivors; these are looked up one by one, and a row that is meant twice comes once.
    """

    def __init__(self, model: type[OrgModel], *, allow_empty: bool = True, **kwargs: Any) -> None:
        self.model = model
        self.allow_empty = allow_empty
        super().__init__(**kwargs)

    def to_internal_value(self, data: Any) -> list[Model]:
        if not isinstance(data, list):
            raise serializers.ValidationError("This is a list of identifiers.")
        if not data and not self.allow_empty:
            raise serializers.ValidationError("At least one identifier is needed.")
        if len(data) > MAX_RELATED:
            raise serializers.ValidationError(f"At most {MAX_RELATED} identifiers can be given.")
        wanted = list(dict.fromkeys(_identifier(item) for item in data))
        storable = [pk for pk in wanted if 1 <= pk <= MAX_ID]
        found = self.model.objects.for_org(_org_of(self)).in_bulk(storable) if storable else {}
        if missing := [str(pk) for pk in wanted if pk not in found]:
            name = self.model._meta.verbose_name
            raise serializers.ValidationError(f"There is no {name} {', '.join(missing[:10])}.")
        return list({row.pk: row for row in (_standing(found[pk], _org_of(self)) for pk in wanted)}.values())

    def to_representation(self, value: Any) -> list[Any]:
        rows: Iterable[Any] = value.all() if hasattr(value, "all") else value
        return [row.pk for row in rows]


@extend_schema_field(ID_SCHEMA)
class MemberField(serializers.Field[Any, Any, Any, Any]):
    """The identifier of a user who is an active member of the organisation; becomes that user."""

    def to_internal_value(self, data: Any) -> User:
        pk = _identifier(data)
        membership: Membership | None = None
        if 1 <= pk <= MAX_ID:
            members = Membership.objects.for_org(_org_of(self)).select_related("user")
            membership = members.filter(user_id=pk, is_active=True, user__is_active=True).order_by("pk").first()
        if membership is None:
            raise serializers.ValidationError(f"There is no member {pk}.")
        user: User = membership.user
        return user

    def get_attribute(self, instance: Any) -> Any:
        return getattr(instance, f"{self.source_attrs[-1]}_id")

    def to_representation(self, value: Any) -> Any:
        return value
