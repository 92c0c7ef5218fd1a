"""A schema that only tests declare."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from flowledger.configuration.registry import Rule


class Limits(Rule):
    """Two fields, one of them with bounds."""

    most: Annotated[int, Field(ge=1, le=100)]
    names: tuple[str, ...] = ()
