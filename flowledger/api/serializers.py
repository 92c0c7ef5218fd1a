"""Bases of what goes in and out: strict bodies, and representations with the API's names at the speed of lists."""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping
from datetime import UTC, date, datetime
from operator import attrgetter
from typing import Any, ClassVar

from django.contrib.auth import get_user_model
from django.core.exceptions import ImproperlyConfigured
from django.db import models
from rest_framework import serializers
from rest_framework.relations import ManyRelatedField, RelatedField
from rest_framework.validators import UniqueValidator

from flowledger.api.fields import (
    DayField,
    FiniteFloatField,
    InstantField,
    MemberField,
    MoneyField,
    NumberField,
    OrgRelatedField,
)
from flowledger.tenancy.models import OrgModel

MONEY_DIGITS = 10


class StrictFields:
    """Refuses what the serializer does not take: a misspelt or computed field must not pass in silence."""

    def to_internal_value(self, data: Any) -> Any:
        """`org_id` is let through: the view has compared it with the credential's organisation."""
        if isinstance(data, Mapping):
            fields: Mapping[str, Any] = self.fields  # type: ignore[attr-defined]
            errors = {}
            for name in data:
                if name not in fields and name != "org_id":
                    errors[str(name)] = ["Unknown field."]
                elif name != "org_id" and fields[name].read_only:
                    errors[str(name)] = ["This field cannot be set here."]
            if errors:
                raise serializers.ValidationError(errors)
        return super().to_internal_value(data)  # type: ignore[misc]


class Body(StrictFields, serializers.Serializer[Any]):
    """Base of the optional JSON bodies of verbs."""


def _utc(value: datetime) -> str:
    text = value.isoformat() if value.tzinfo is UTC else value.astimezone(UTC).isoformat()
    return text.removesuffix("+00:00") + "Z"


def _day(value: Any) -> str:
    return value.isoformat() if isinstance(value, date) else str(value)


# Field classes whose representation is the attribute itself (None) or one plain function of it. Exact classes:
# a subclass may represent itself differently and takes the ordinary way.
PLAIN: dict[type, Callable[[Any], Any] | None] = {
    serializers.CharField: None,
    serializers.EmailField: None,
    serializers.URLField: None,
    serializers.SlugField: None,
    serializers.ChoiceField: None,
    serializers.BooleanField: None,
    serializers.IntegerField: None,
    serializers.BigIntegerField: None,
    serializers.JSONField: None,
    serializers.UUIDField: str,
    FiniteFloatField: None,
    NumberField: float,
    InstantField: _utc,
    DayField: _day,
    OrgRelatedField: None,
    MemberField: None,
}


class OrgSerializer(StrictFields, serializers.ModelSerializer[Any]):
    """One object of an organisation, under the API's names.

    `Meta.model`, `Meta.resource` and `Meta.fields` are given; `<resource>_id`, `org_id`, `created_at` and
    `updated_at` are added. In `fields`, a relation is written `<name>_id` and takes rows of the organisation only;
    a person is written `<name>_user_id` and takes members only. Both validate to the row, under the relation's name.
    Decimals of MONEY_DIGITS digits and more are money and go as strings, others as numbers; declare to differ.
    Uniqueness is the database's answer (409), never a query before it.
    """

    serializer_field_mapping = {
        **serializers.ModelSerializer.serializer_field_mapping,
        models.DateTimeField: InstantField,
        models.DateField: DayField,
        models.DecimalField: NumberField,
        models.FloatField: FiniteFloatField,
    }

    _templates: ClassVar[dict[type, dict[str, Any]]] = {}
    _plans: ClassVar[dict[type, list[tuple[str, Callable[[Any], Any] | None, Callable[[Any], Any] | None]]]] = {}

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        for name, field in cls._declared_fields.items():
            if isinstance(field, ManyRelatedField | RelatedField) and not field.read_only:
                raise ImproperlyConfigured(
                    f"{cls.__name__}.{name} could name another organisation's row; use OrgRelatedField."
                )

    def get_fields(self) -> dict[str, Any]:
        """The fields, derived from the model once per class; asking the model again costs more than copying."""
        templates = self._templates.get(type(self))
        if templates is None:
            templates = self._templates[type(self)] = super().get_fields()
        return copy.deepcopy(templates)

    def get_field_names(self, declared_fields: Mapping[str, Any], info: Any) -> list[str]:
        meta = self.Meta
        names = [f"{meta.resource}_id", *meta.fields, "org_id", "created_at", "updated_at"]
        if forgotten := set(declared_fields) - set(names):
            raise ImproperlyConfigured(f"{type(self).__name__}: {', '.join(sorted(forgotten))} missing in Meta.fields.")
        return list(dict.fromkeys(names))

    def build_field(
        self, field_name: str, info: Any, model_class: Any, nested_depth: int
    ) -> tuple[Any, dict[str, Any]]:
        meta = self.Meta
        if field_name == f"{meta.resource}_id":
            return serializers.IntegerField, {"source": "pk", "read_only": True, "min_value": 1}
        if field_name == "org_id":
            return serializers.IntegerField, {"read_only": True, "min_value": 1}
        for suffix in ("_user_id", "_id"):
            relation = field_name.removesuffix(suffix)
            if field_name.endswith(suffix) and relation in info.forward_relations:
                return self._build_identifier(relation, model_class._meta.get_field(relation))
        return super().build_field(field_name, info, model_class, nested_depth)

    def _build_identifier(self, relation: str, column: Any) -> tuple[Any, dict[str, Any]]:
        kwargs: dict[str, Any] = {"source": relation, "allow_null": column.null}
        if not column.editable:
            kwargs["read_only"] = True
        else:
            kwargs["required"] = not (column.null or column.blank or column.has_default())
        target = column.related_model
        if target is get_user_model():
            return MemberField, kwargs
        if issubclass(target, OrgModel):
            return OrgRelatedField, {"model": target, **kwargs}
        raise ImproperlyConfigured(
            f"{type(self).__name__}: {relation} is neither a member nor a row of the organisation."
        )

    def build_standard_field(self, field_name: str, model_field: Any) -> tuple[Any, dict[str, Any]]:
        field_class, kwargs = super().build_standard_field(field_name, model_field)
        if field_class is NumberField and model_field.max_digits >= MONEY_DIGITS:
            field_class = MoneyField
        # A unique column is checked by its constraint; the validator would ask across organisations.
        validators = kwargs.pop("validators", None)
        if validators is not None:
            kwargs["validators"] = [v for v in validators if not isinstance(v, UniqueValidator)]
        if field_name in {"created_at", "updated_at"}:
            kwargs = {"read_only": True}
        elif model_field.null:
            kwargs["allow_null"] = True
        return field_class, kwargs

    def build_relational_field(self, field_name: str, relation_info: Any) -> tuple[Any, dict[str, Any]]:
        raise ImproperlyConfigured(f"{type(self).__name__}: write the relation {field_name} as {field_name}_id.")

    def get_uniqueness_extra_kwargs(self, field_names: Any, declared_fields: Any, extra_kwargs: Any) -> Any:
        return extra_kwargs, {}

    def get_unique_together_validators(self) -> list[Any]:
        return []

    def to_representation(self, instance: Any) -> dict[str, Any]:
        """As ModelSerializer does, along a plan made once per class."""
        plan = self._plans.get(type(self))
        if plan is None:
            plan = self._plans[type(self)] = [self._step(field) for field in self._readable_fields]
        answer: dict[str, Any] = {}
        for name, read, convert in plan:
            if read is None:
                field = self.fields[name]
                value = field.get_attribute(instance)
                answer[name] = None if value is None else field.to_representation(value)
                continue
            value = read(instance)
            answer[name] = value if convert is None or value is None else convert(value)
        return answer

    @staticmethod
    def _step(field: Any) -> tuple[str, Callable[[Any], Any] | None, Callable[[Any], Any] | None]:
        """(name, reader, converter); without a reader the field itself is asked."""
        if type(field) not in PLAIN or len(field.source_attrs) != 1:
            return field.field_name, None, None
        attribute = field.source_attrs[0]
        if isinstance(field, OrgRelatedField | MemberField):
            attribute = f"{attribute}_id"
        return field.field_name, attrgetter(attribute), PLAIN[type(field)]
