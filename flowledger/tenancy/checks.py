"""System checks that refuse a tenant model without its walls."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from django.apps import AppConfig, apps
from django.core.checks import CheckMessage, Error, register
from django.db import models

from flowledger.tenancy.constraints import OrgForeignKeyConstraint, RowSecurity
from flowledger.tenancy.fields import OrgForeignKey
from flowledger.tenancy.models import OrgModel
from flowledger.tenancy.querysets import OrgManager

# Cross-tenant work: what is due, what is ready, who logs in; and inverted indexes, which cannot lead with a number.
CROSS_TENANT_INDEXES: set[str] = {"membership_login"}
INVERTED_INDEX_TYPES = ("GinIndex", "BrinIndex")


def allow_cross_tenant_index(*names: str) -> None:
    """Name indexes that serve a cross-tenant sweep and so may not lead with the organisation."""
    CROSS_TENANT_INDEXES.update(names)


def has_org(model: type[models.Model]) -> bool:
    """Whether the model is a tenant table: it has a column `org_id`."""
    return any(getattr(field, "attname", "") == "org_id" for field in model._meta.local_concrete_fields)


def tenant_models() -> Iterator[type[models.Model]]:
    """Every concrete, managed tenant model."""
    for model in apps.get_models():
        if model._meta.managed and not model._meta.proxy and has_org(model):
            yield model


@register()
def tenant_models_have_their_walls(app_configs: Sequence[AppConfig] | None, **kwargs: Any) -> Iterable[CheckMessage]:
    """Refuse what would leak: see the ids tenancy.E001 to E007."""
    wanted = {config.label for config in app_configs} if app_configs is not None else None
    errors: list[CheckMessage] = []
    for model in apps.get_models():
        if wanted is not None and model._meta.app_label not in wanted:
            continue
        if not model._meta.managed or model._meta.proxy:
            continue
        errors += check_model(model)
    return errors


def check_model(model: type[models.Model]) -> list[CheckMessage]:
    """The findings for one model; empty for a model outside our apps or without faults."""
    if not model.__module__.startswith(("flowledger.", "workstream", "spotlight", "memory", "tests.")):
        return []
    label = model._meta.label
    if not has_org(model):
        points_at_tenants = [
            field.name
            for field in model._meta.local_concrete_fields
            if field.is_relation and isinstance(field.related_model, type) and has_org(field.related_model)
        ]
        if issubclass(model, OrgModel) or points_at_tenants:
            return [Error(f"{label} holds tenant data and has no org.", id="tenancy.E001", obj=model)]
        return []
    found: list[CheckMessage] = []
    if not isinstance(getattr(model, "objects", None), OrgManager) or model._default_manager.name != "all_orgs":
        found.append(
            Error(
                f"{label} is not scoped: `objects` must be an OrgManager and `all_orgs` the default manager.",
                hint="Inherit from OrgModel and its Meta.",
                id="tenancy.E002",
                obj=model,
            )
        )
    constraints = model._meta.constraints
    if not any(isinstance(c, RowSecurity) and c.column == "org_id" for c in constraints):
        found.append(
            Error(
                f"{label} has no row-level security.",
                hint="Begin Meta.constraints with *tenant_constraints(...).",
                id="tenancy.E003",
                obj=model,
            )
        )
    composite = {(c.field, c.to.lower()) for c in constraints if isinstance(c, OrgForeignKeyConstraint)}
    fields: tuple[Any, ...] = tuple(model._meta.local_concrete_fields)
    for field in fields:
        if not isinstance(field, models.ForeignKey) or field.name == "org":
            if field.unique and not field.primary_key and field.name != "org":
                found.append(
                    Error(f"{label}.{field.name} is unique across organisations.", id="tenancy.E005", obj=model)
                )
            elif field.db_index and field.name != "org":
                found.append(_own_index(model, field))
            continue
        target = field.related_model
        if isinstance(target, type) and has_org(target):
            key = (field.name, target._meta.label_lower)
            if not isinstance(field, OrgForeignKey) or key not in composite:
                found.append(
                    Error(
                        f"{label}.{field.name} can point across organisations.",
                        hint="Use OrgForeignKey and name it in tenant_constraints(...).",
                        id="tenancy.E004",
                        obj=model,
                    )
                )
        if (field.unique or field.db_index) and field.name not in {"org"}:
            found.append(_own_index(model, field))
    found += _index_findings(model)
    for many in model._meta.local_many_to_many:
        through = many.remote_field.through
        if through is not None and through._meta.auto_created:
            found.append(
                Error(f"{label}.{many.name} needs an explicit through model with org.", id="tenancy.E007", obj=model)
            )
    return found


def _own_index(model: type[models.Model], field: models.Field[Any, Any]) -> CheckMessage:
    return Error(
        f"{model._meta.label}.{field.name} has an index of its own that does not lead with org.",
        hint="Set db_index=False (or use OrgForeignKey) and add an index that leads with org.",
        id="tenancy.E006",
        obj=model,
    )


def _index_findings(model: type[models.Model]) -> Iterator[CheckMessage]:
    for index in [*model._meta.indexes, *model._meta.constraints]:
        if not isinstance(index, models.Index | models.UniqueConstraint):
            continue
        if type(index).__name__ in INVERTED_INDEX_TYPES or index.name in CROSS_TENANT_INDEXES:
            continue
        if index.fields:
            first = str(index.fields[0])
        elif index.expressions:
            leading: Any = index.expressions[0]
            parts = leading.flatten() if hasattr(leading, "flatten") else [leading]
            first = next((str(vars(part)["name"]) for part in parts if isinstance(part, models.F)), "")
        else:
            continue
        if first not in {"org", "org_id"}:
            yield Error(
                f"{model._meta.label}: {index.name} does not lead with org.",
                hint="Lead with org, or name it through allow_cross_tenant_index with the sweep it serves.",
                id="tenancy.E005",
                obj=model,
            )
