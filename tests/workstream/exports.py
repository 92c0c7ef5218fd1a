"""Small exports of a CRM, written for one test, and the way to load them."""

from __future__ import annotations

import csv
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from flowledger.tenancy.actors import Actor
from flowledger.tenancy.models import Organization
from workstream.history import DEFAULT_MAPPING, HistoryReport, import_history, load_mapping
from workstream.history.reading import Export

IMPORTED_AT = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)

ACCOUNTS = [
    {
        "account": "Cancity",
        "sector": "technolgy",
        "year_established": "2001",
        "revenue": "718.62",
        "employees": "2448",
        "office_location": "Philipines",
        "subsidiary_of": "Acme Corporation",
    },
    {
        "account": "Isdom",
        "sector": "medical",
        "year_established": "2002",
        "revenue": "3178.24",
        "employees": "40",
        "office_location": "Atlantis",
        "subsidiary_of": "",
    },
]
PRODUCTS = [
    {"product": "GTX Pro", "series": "GTX", "sales_price": "4821"},
    {"product": "GTK 500", "series": "GTK", "sales_price": "26768"},
]
TEAM = [
    {"sales_agent": "Anna Snelling", "manager": "Dustin Brinkmann", "regional_office": "Central"},
    {"sales_agent": "Moses Frase", "manager": "Dustin Brinkmann", "regional_office": "Central"},
]


def deal(number: str, stage: str = "Engaging", **more: str) -> dict[str, str]:
    """One opportunity; a closed one has its dates and value."""
    closed = stage in ("Won", "Lost")
    return {
        "opportunity_id": number,
        "sales_agent": "Anna Snelling",
        "product": "GTXPro",
        "account": "Cancity",
        "deal_stage": stage,
        "engage_date": "" if stage == "Prospecting" else "10/20/2016",
        "close_date": "3/1/2017" if closed else "",
        "close_value": {"Won": "4514", "Lost": "0"}.get(stage, ""),
        **more,
    }


def write_export(directory: Path, opportunities: list[dict[str, str]], **files: list[dict[str, str]]) -> Path:
    """The four files of an export, in the shape of the default mapping."""
    directory.mkdir(exist_ok=True)
    tables = {"accounts": ACCOUNTS, "products": PRODUCTS, "sales_teams": TEAM, "sales_pipeline": opportunities, **files}
    for name, rows in tables.items():
        with (directory / f"{name}.csv").open("w", newline="") as file:
            writer = csv.DictWriter(file, rows[0])
            writer.writeheader()
            writer.writerows(rows)
    return directory


def load(directory: Path, org: Organization, **more: Any) -> HistoryReport:
    """Import an export as the command does."""
    export = Export(directory, load_mapping(more.pop("mapping", DEFAULT_MAPPING)), HistoryReport())
    return import_history(export=export, org=org, actor=more.pop("actor", Actor.importer()), at=IMPORTED_AT, **more)
