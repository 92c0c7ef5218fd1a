"""What every tenant table promises the database: row-level security, a composite key, composite foreign keys.

They are Django constraints, so `makemigrations` writes them and a forgotten one is a missing migration.
"""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.db import models
from django.db.models.constraints import BaseConstraint


class _StatementConstraint(BaseConstraint):
    """A constraint of ours that is plain SQL after the table exists."""

    def create_sql(self, model: type[models.Model] | None, schema_editor: Any) -> str | None:  # type: ignore[override]
        """The statement to run now; None when it was left for the end of the migration."""
        raise NotImplementedError

    def constraint_sql(self, model: type[models.Model] | None, schema_editor: Any) -> None:  # type: ignore[override]
        # Called while CREATE TABLE is put together: ours come after it.
        if statement := self.create_sql(model, schema_editor):
            schema_editor.deferred_sql.append(statement)

    def validate(self, *args: Any, **kwargs: Any) -> None:
        """The database decides; forms offer only rows of the scope."""


class RowSecurity(_StatementConstraint):
    """Row-level security, enabled and forced, with the organisation and the system policy.

    `column` holds the organisation's id (`id` on Organization itself). The comparison is in the column's own type:
    a cast of the column would spoil every row estimate and keep the indexes out.
    """

    def __init__(self, *, name: str, column: str = "org_id") -> None:
        super().__init__(name=name)
        self.column = column

    def __eq__(self, other: object) -> bool:
        if isinstance(other, RowSecurity):
            return (self.name, self.column) == (other.name, other.column)
        return NotImplemented

    __hash__ = None  # type: ignore[assignment]

    def deconstruct(self) -> tuple[str, tuple[Any, ...], dict[str, Any]]:
        return f"{RowSecurity.__module__}.{RowSecurity.__qualname__}", (), {"name": self.name, "column": self.column}

    def create_sql(self, model: type[models.Model] | None, schema_editor: Any) -> str:
        assert model is not None
        quote = schema_editor.quote_name
        table = quote(model._meta.db_table)
        # Nothing rather than an error outside of a scope: PostgreSQL itself looks when a foreign key is added.
        mine = f"{quote(self.column)} = nullif(current_setting('flowledger.org_id', true), '')::bigint"
        tenant, system = settings.TENANT_DB_ROLE, settings.SYSTEM_DB_ROLE
        return (
            f"ALTER TABLE {table} ENABLE ROW LEVEL SECURITY; "
            f"ALTER TABLE {table} FORCE ROW LEVEL SECURITY; "
            f"CREATE POLICY org_isolation ON {table} TO {quote(tenant)} USING ({mine}) WITH CHECK ({mine}); "
            # current_user: a login role that inherits the system role must still open a system scope.
            f"CREATE POLICY system_access ON {table} TO {quote(system)} "
            f"USING (current_user = '{system}') WITH CHECK (current_user = '{system}')"
        )

    def remove_sql(self, model: type[models.Model] | None, schema_editor: Any) -> str:
        assert model is not None
        table = schema_editor.quote_name(model._meta.db_table)
        return (
            f"DROP POLICY org_isolation ON {table}; DROP POLICY system_access ON {table}; "
            f"ALTER TABLE {table} NO FORCE ROW LEVEL SECURITY; ALTER TABLE {table} DISABLE ROW LEVEL SECURITY"
        )


class OrgForeignKeyConstraint(_StatementConstraint):
    """FOREIGN KEY (org_id, field) REFERENCES target (org_id, id): a row cannot point across organisations."""

    def __init__(self, *, name: str, field: str, to: str) -> None:
        super().__init__(name=name)
        self.field = field
        self.to = to

    def __eq__(self, other: object) -> bool:
        if isinstance(other, OrgForeignKeyConstraint):
            return (self.name, self.field, self.to) == (other.name, other.field, other.to)
        return NotImplemented

    __hash__ = None  # type: ignore[assignment]

    def deconstruct(self) -> tuple[str, tuple[Any, ...], dict[str, Any]]:
        path = f"{OrgForeignKeyConstraint.__module__}.{OrgForeignKeyConstraint.__qualname__}"
        return path, (), {"name": self.name, "field": self.field, "to": self.to}

    def create_sql(self, model: type[models.Model] | None, schema_editor: Any) -> str:
        """Leave the statement for the end of the migration, when the key that it points at exists."""
        assert model is not None
        quote = schema_editor.quote_name
        meta = model._meta
        target = meta.apps.get_model(self.to)._meta.db_table
        field: Any = meta.get_field(self.field)
        column = field.column
        schema_editor.deferred_sql.append(
            f"ALTER TABLE {quote(meta.db_table)} ADD CONSTRAINT {quote(self.name)} "
            f"FOREIGN KEY ({quote('org_id')}, {quote(column)}) "
            f"REFERENCES {quote(target)} ({quote('org_id')}, {quote('id')})"
        )
        return ""  # not None: CREATE TABLE of a table with a database default defers whatever comes back

    def remove_sql(self, model: type[models.Model] | None, schema_editor: Any) -> str:
        assert model is not None
        quote = schema_editor.quote_name
        return f"ALTER TABLE {quote(model._meta.db_table)} DROP CONSTRAINT {quote(self.name)}"


def tenant_constraints(model: str, **references: str) -> list[BaseConstraint]:
    """The constraints of a tenant model: `model` is its snake_case name, `references` maps OrgForeignKeys to models.

    Gives <model>_row_security, <model>_org_id (the key that composite foreign keys point at) and one
    <model>_<field>_same_org per reference.
    """
    return [
        RowSecurity(name=f"{model}_row_security"),
        models.UniqueConstraint(fields=["org", "id"], name=f"{model}_org_id"),
        *(
            OrgForeignKeyConstraint(name=f"{model}_{field}_same_org", field=field, to=to)
            for field, to in references.items()
        ),
    ]
