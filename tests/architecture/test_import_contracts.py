"""Imports go down between apps and inside an app, and so do foreign keys, whose texts import-linter cannot see."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from django.apps import apps
from django.db import models

from tests.architecture.source import CHECKOUT, PACKAGES, project


def layers() -> dict[str, int]:
    """App → height, from the first import contract."""
    contract = project()["tool"]["importlinter"]["contracts"][0]
    assert contract["type"] == "layers"
    lowest_first = reversed(contract["layers"])
    return {
        part.strip(" ()"): height
        for height, layer in enumerate(lowest_first)
        for part in layer.replace(":", "|").split("|")
    }


def test_the_import_contracts_hold():
    program = Path(sys.executable).parent / "lint-imports"
    run = subprocess.run([program, "--no-cache"], cwd=CHECKOUT, capture_output=True, text=True, check=False)

    assert run.returncode == 0, run.stdout[-3000:]


def test_foreign_keys_go_down():
    height = layers()
    upward = []
    for model in apps.get_models():
        app = model._meta.app_config.name
        if app.split(".")[0] not in PACKAGES:
            continue
        for field in model._meta.get_fields():
            if not isinstance(field, models.ForeignKey | models.ManyToManyField) or field.model is not model:
                continue
            target = field.related_model._meta.app_config.name
            if target != app and target.split(".")[0] in PACKAGES and height[target] >= height[app]:
                upward.append(f"{model._meta.label}.{field.name} → {target}")

    assert upward == []


def test_every_app_has_a_height():
    ours = {config.name for config in apps.get_app_configs() if config.name.split(".")[0] in PACKAGES}

    assert ours - set(layers()) == set()
