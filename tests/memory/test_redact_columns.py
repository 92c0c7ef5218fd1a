"""No column is forgotten: every table with texts says what becomes of them when a person is erased."""

from __future__ import annotations

from typing import Any

import pytest
from django.apps import apps
from django.contrib.postgres.fields import ArrayField
from django.db import models

from flowledger.clients.services import copies, people
from flowledger.clients.services.texts import Texts
from flowledger.tenancy.models import OrgModel
from memory.services import erasure
from spotlight.services import erasing as spotlight
from workstream.services import erasing as workstream

TABLES: list[Texts] = [
    *people.TABLES,
    *copies.TABLES,
    *workstream.PIPELINE,
    *workstream.PANEL,
    *spotlight.TABLES,
    *erasure.TABLES,
]
# Tables without a text about anybody but members of the organisation.
SPARED = {
    *workstream.SPARED,
    *spotlight.SPARED,
    *erasure.SPARED,
    "outbox.dedupekey",
    "configuration.configvalue",
    "configuration.configstamp",
    "tenancy.membership",
    "tenancy.apikey",
    "api.tokenfamily",
}
# Codes: currencies, languages, two letters of a country.
LONGEST_CODE = 8
BY_LABEL = {table.label: table for table in TABLES}


def _models() -> list[type[Any]]:
    ours = {"clients", "workstream", "spotlight", "memory", "api", "outbox", "configuration", "tenancy"}
    found = [
        model
        for model in apps.get_models()
        if model._meta.app_label in ours and model._meta.managed and _belongs_to_organisations(model)
    ]
    return sorted(found, key=lambda model: model._meta.label_lower)


def _belongs_to_organisations(model: type[Any]) -> bool:
    return issubclass(model, OrgModel) or any(field.name == "org" for field in model._meta.concrete_fields)


def _is_text(field: Any) -> bool:
    if isinstance(field, models.TextField | models.JSONField | models.BinaryField):
        return True
    if isinstance(field, ArrayField):
        return _is_text(field.base_field)
    if not isinstance(field, models.CharField) or field.choices:
        return False
    return field.max_length is None or field.max_length > LONGEST_CODE


@pytest.mark.parametrize("model", _models(), ids=lambda model: model._meta.label_lower)
def test_every_text_has_an_answer(model):
    label = model._meta.label_lower
    texts = {
        field.name
        for field in model._meta.concrete_fields
        if _is_text(field) and not isinstance(field, models.GeneratedField) and not hasattr(field, "protected")
    }
    if label in SPARED:
        assert label not in BY_LABEL, "it is spared and said at once"
        return
    assert label in BY_LABEL, f"Say in an eraser what becomes of {sorted(texts)}, or that the table has none."
    said = BY_LABEL[label]
    assert texts - said.columns == set(), "columns without an answer"
    assert said.columns - {field.name for field in model._meta.concrete_fields} == set(), "columns that are none"


@pytest.mark.parametrize("table", TABLES, ids=lambda table: table.label)
def test_a_table_says_each_column_once(table):
    assert set(table.spared) & {*table.left, *table.named_in} == set()
    assert sum(each.label == table.label for each in TABLES) == 1
    assert table.own is not None or not (table.left or table.goes)
    assert all(reason for reason in table.spared.values())
