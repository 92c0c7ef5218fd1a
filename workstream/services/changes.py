"""What an edit really changes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django.db import models


def changed_names(row: models.Model, values: Mapping[str, Any]) -> list[str]:
    """The fields that hold something else than these values; relations are compared by key, without reading them."""
    changed = []
    for name, value in values.items():
        field: Any = row._meta.get_field(name)
        if getattr(row, field.attname) != (value.pk if isinstance(value, models.Model) else value):
            changed.append(name)
    return changed
