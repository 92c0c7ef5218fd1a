"""Triggers that tally signals, candidates and pursuits in the transaction that adds, removes, moves or revalues them.

They only ever insert, so writers wait for nobody. The tally of what is there already must be taken in the same
transaction as the triggers, which keep writers out of a table for as long as counting it takes (about a second for a
million rows); readers are not held up.
"""

from dataclasses import dataclass

from django.conf import settings
from django.db import migrations


@dataclass(frozen=True)
class Counted:
    """A table and what its rows are tallied by. `{0}` stands for the row."""

    item: str
    state: str
    currency: str
    has_value: str
    value: str
    weighted: str
    moves_with: tuple[str, ...] = ()

    @property
    def table(self) -> str:
        return f"public.workstream_{self.item}"

    def select(self, rows: str, sign: str = "") -> str:
        """The tally rows of a set of rows."""
        state, currency = self.state.format("r"), self.currency.format("r")
        return (
            f"SELECT r.org_id, now(), now(), 1, '{self.item}', {state}, {currency}, {sign}count(*), "
            f"{sign}count(*) FILTER (WHERE {self.has_value.format('r')}), "
            f"{sign}coalesce(sum({self.value.format('r')}), 0), {sign}coalesce(sum({self.weighted.format('r')}), 0) "
            f"FROM {rows} r GROUP BY r.org_id, {state}, {currency}"
        )

    def one(self, row: str, sign: str = "") -> str:
        """The tally row of a single row."""
        return (
            f"({row}.org_id, now(), now(), 1, '{self.item}', {self.state.format(row)}, {self.currency.format(row)}, "
            f"{sign}1, {sign}({self.has_value.format(row)})::int, {sign}coalesce({self.value.format(row)}, 0), "
            f"{sign}coalesce({self.weighted.format(row)}, 0))"
        )


COUNTED = [
    Counted(item="signal", state="''::text", currency="''::text", has_value="false", value="0", weighted="0"),
    Counted(
        item="candidate",
        state="{0}.status",
        currency="{0}.currency",
        has_value="{0}.estimated_value IS NOT NULL",
        value="{0}.estimated_value",
        weighted="0",
        moves_with=("status", "currency", "estimated_value"),
    ),
    Counted(
        item="pursuit",
        state="{0}.stage",
        currency="{0}.currency",
        has_value="true",
        value="{0}.forecast_value",
        weighted="{0}.forecast_value * {0}.probability",
        moves_with=("stage", "currency", "forecast_value", "probability"),
    ),
]
INTO = (
    "INSERT INTO public.workstream_itemtally (org_id, created_at, updated_at, row_version, item_type, state, currency, "
    "count, valued, value, weighted)"
)


def start(counted: Counted) -> str:
    name, table = f"{counted.item}_is_tallied", counted.table
    statements = f"""
        CREATE FUNCTION public.{name}() RETURNS trigger LANGUAGE plpgsql AS $tally$
        BEGIN
            IF TG_OP = 'INSERT' THEN
                {INTO} {counted.select("rows")};
            ELSIF TG_OP = 'DELETE' THEN
                {INTO} {counted.select("rows", "-")};
            ELSE
                {INTO} VALUES {counted.one("OLD", "-")}, {counted.one("NEW")};
            END IF;
            RETURN NULL;
        END $tally$;
        CREATE TRIGGER {name}_in AFTER INSERT ON {table} REFERENCING NEW TABLE AS rows
            FOR EACH STATEMENT EXECUTE FUNCTION public.{name}();
        CREATE TRIGGER {name}_out AFTER DELETE ON {table} REFERENCING OLD TABLE AS rows
            FOR EACH STATEMENT EXECUTE FUNCTION public.{name}();
    """
    if counted.moves_with:
        old, new = (", ".join(f"{row}.{column}" for column in counted.moves_with) for row in ("OLD", "NEW"))
        statements += f"""
        CREATE TRIGGER {name}_moved AFTER UPDATE ON {table}
            FOR EACH ROW WHEN (({old}) IS DISTINCT FROM ({new})) EXECUTE FUNCTION public.{name}();
        """
    return f"""{statements}
        SET LOCAL ROLE "{settings.SYSTEM_DB_ROLE}";
        {INTO} {counted.select(table)};
        RESET ROLE;
    """


def stop(counted: Counted) -> str:
    """The role is the system's, because nobody else may empty the table of every organisation."""
    return f"""
        DROP FUNCTION public.{counted.item}_is_tallied() CASCADE;
        SET LOCAL ROLE "{settings.SYSTEM_DB_ROLE}";
        DELETE FROM public.workstream_itemtally WHERE item_type = '{counted.item}';
        RESET ROLE;
    """


class Migration(migrations.Migration):
    dependencies = [("workstream", "0009_item_tally")]

    operations = [migrations.RunSQL(start(counted), stop(counted)) for counted in COUNTED]
