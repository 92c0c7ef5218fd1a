"""Versioned SQL views, and the functions behind them, made by migrations from files of their own.

A view reads with the rights of whoever asks (`security_invoker`), so that row-level security holds through it: inside
an organisation's scope it shows that organisation, outside of any scope nothing. The comment of each object in the
database carries its version. A text that was released never changes; the next version is a file of its own.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from django.conf import settings
from django.db import migrations


@dataclass(frozen=True)
class SqlView:
    """One version of a view; `query` is its SELECT, with `org_id` among the columns."""

    name: str
    version: int
    query: str

    def create(self) -> str:
        """Make it: for tenant and system role to read, and for nobody to write."""
        roles = f'"{settings.TENANT_DB_ROLE}", "{settings.SYSTEM_DB_ROLE}"'
        return f"""
            CREATE VIEW public."{self.name}" WITH (security_invoker = true) AS
            {self.query};
            COMMENT ON VIEW public."{self.name}" IS 'version {self.version}';
            REVOKE ALL ON public."{self.name}" FROM PUBLIC, {roles};
            GRANT SELECT ON public."{self.name}" TO {roles};
        """

    def drop(self) -> str:
        """Take it away."""
        return f'DROP VIEW public."{self.name}";'


@dataclass(frozen=True)
class SqlFunction:
    """One version of a function that answers rows: a view with parameters.

    `signature` is what stands between the name's parentheses, `columns` what stands in RETURNS TABLE. It runs with the
    rights of whoever calls and has no settings of its own, so the planner sees through it.
    """

    name: str
    version: int
    signature: str
    columns: str
    query: str

    def create(self) -> str:
        """Make it, for tenant and system role to call."""
        roles = f'"{settings.TENANT_DB_ROLE}", "{settings.SYSTEM_DB_ROLE}"'
        return f"""
            CREATE FUNCTION public."{self.name}"({self.signature}) RETURNS TABLE ({self.columns})
            LANGUAGE sql STABLE PARALLEL SAFE AS $function$
            {self.query}
            $function$;
            COMMENT ON FUNCTION public."{self.name}" IS 'version {self.version}';
            REVOKE ALL ON FUNCTION public."{self.name}" FROM PUBLIC;
            GRANT EXECUTE ON FUNCTION public."{self.name}" TO {roles};
        """

    def drop(self) -> str:
        """Take it away; there is one of the name."""
        return f'DROP FUNCTION public."{self.name}";'


SqlObject = SqlView | SqlFunction


class InstallSql(migrations.RunSQL):
    """Operation that makes a view or function, in the place of `replaces` where there was a version before.

    What stands on it (a view on a function) is dropped before and made again after, by operations of its own.
    """

    def __init__(self, new: SqlObject, *, replaces: SqlObject | None = None) -> None:
        if replaces is not None and (replaces.name, replaces.version + 1) != (new.name, new.version):
            raise ValueError(f"Version {new.version} of {new.name} does not follow {replaces.name} {replaces.version}.")
        if replaces is None and new.version != 1:
            raise ValueError(f"Version {new.version} of {new.name} must say which version it replaces.")
        self.new, self.replaces = new, replaces
        before = (replaces.drop(), replaces.create()) if replaces else ("", "")
        super().__init__(before[0] + new.create(), new.drop() + before[1])

    def deconstruct(self) -> tuple[str, list[Any], dict[str, Any]]:
        return type(self).__qualname__, [self.new], {"replaces": self.replaces} if self.replaces else {}

    def describe(self) -> str:
        return f"Install version {self.new.version} of {self.new.name}"


def read_view(folder: Path, name: str, version: int) -> SqlView:
    """The view whose SELECT is in `<folder>/<name>.<version>.sql`."""
    return SqlView(name=name, version=version, query=_text(folder, name, version))


def read_function(folder: Path, name: str, version: int, *, signature: str, columns: str) -> SqlFunction:
    """The function whose SELECT is in `<folder>/<name>.<version>.sql`."""
    query = _text(folder, name, version)
    return SqlFunction(name=name, version=version, signature=signature, columns=columns, query=query)


def _text(folder: Path, name: str, version: int) -> str:
    return (folder / f"{name}.{version}.sql").read_text(encoding="utf-8").strip().removesuffix(";")
