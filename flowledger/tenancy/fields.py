"""Foreign keys between tenant tables."""

from __future__ import annotations

from typing import Any

from django.db import models


class OrgForeignKey(models.ForeignKey[Any, Any]):
    """A reference to a row of the same organisation.

    The database constraint is composite, (org_id, <column>) → (org_id, id), and is declared through
    `tenant_constraints`; Django's own single-column constraint and index are therefore off. Give the model an index
    that leads with `org` where rows are looked up by this reference.
    """

    def __init__(self, to: Any, on_delete: Any, **kwargs: Any) -> None:
        kwargs.setdefault("db_constraint", False)
        kwargs.setdefault("db_index", False)
        super().__init__(to, on_delete, **kwargs)
