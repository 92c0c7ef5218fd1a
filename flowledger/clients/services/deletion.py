"""What stands in the way of deleting a client or contact, asked of the model graph: the pipeline lies above us."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from django.db import models

from flowledger.clients.models import Client, Contact, IdentityKey
from flowledger.clients.services.keys import lock_keys
from flowledger.errors import Conflict
from flowledger.tenancy.models import Organization


def lock_to_delete(*, org: Organization, clients: Sequence[int], contacts: Sequence[int]) -> None:
    """Lock rows against changes and new references.

    Their identity keys come first: resolution holds keys while it refers to rows, so it has to be through.
    """
    keys = IdentityKey.objects.for_org(org).filter(models.Q(client__in=clients) | models.Q(contact__in=contacts))
    lock_keys(keys)
    for model, pks in ((Client, clients), (Contact, contacts)):
        # The full lock, not `no_key`: who refers to a row that is going has to wait, and then fails.
        list(model.objects.for_org(org).filter(pk__in=pks).select_for_update().order_by("pk").values_list("pk"))


def references_to(model: type[models.Model]) -> list[Any]:
    """The foreign keys to a model, hidden ones too."""
    return [each for each in model._meta.get_fields(include_hidden=True) if isinstance(each, models.ManyToOneRel)]


def goes_with(other: Any, model: type[models.Model]) -> bool:
    """Whether rows of a model are nothing but part of what they name, as it says: `goes_with = frozenset({…})`."""
    return model._meta.label_lower in getattr(other, "goes_with", ())


def delete_what_goes_with(org_id: int, model: type[models.Model], pks: Sequence[int]) -> None:
    """Delete the parts of rows that are about to go, those of apps above as well.

    By hand: Django orders the deletes of a nullable reference by deferring its constraint, ours is not deferred.
    """
    for relation in references_to(model):
        if goes_with(relation.related_model, model):
            rows: Any = relation.related_model._default_manager
            rows.filter(org=org_id, **{f"{relation.field.attname}__in": pks}).delete()


def refuse_used(*, org: Organization, clients: Sequence[int], contacts: Sequence[int], kind: str) -> None:
    """Raise Conflict with counts by kind of item while protected references name one of the rows."""
    used: dict[str, int] = {}
    for model, pks in ((Client, clients), (Contact, contacts)):
        for relation in model._meta.related_objects:
            if not pks or getattr(relation, "on_delete", None) is not models.PROTECT:
                continue
            items: Any = relation.related_model
            rows = items.objects.for_org(org).filter(**{f"{relation.field.name}__in": pks})
            if count := rows.count():
                name = str(items._meta.verbose_name_plural)
                used[name] = used.get(name, 0) + count
    if used:
        listed = ", ".join(f"{count:,} {name}" for name, count in sorted(used.items()))
        raise Conflict(f"This {kind} is named by {listed}; set it inactive instead of deleting it.", used_by=used)
