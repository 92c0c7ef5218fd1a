"""Which file and column of an export means what: data, checked when it is loaded."""

from __future__ import annotations

import codecs
import tomllib
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from flowledger.errors import InvalidInput

DEFAULT_MAPPING = Path(__file__).resolve().parents[1] / "data" / "crm_export.toml"


class MappingRefused(InvalidInput):
    """The mapping file cannot be used; the sentence says what is wrong and where."""


class SourceStage(StrEnum):
    """How far an opportunity came, in the import's own words."""

    PROSPECTING = "prospecting"
    ENGAGING = "engaging"
    WON = "won"
    LOST = "lost"


Column = Annotated[str, Field(min_length=1)]


class _Table(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class AccountColumns(_Table):
    """Columns of the accounts file; all but the name may be absent."""

    name: Column
    domain: Column | None = None
    industry: Column | None = None
    annual_revenue: Column | None = None
    employees: Column | None = None
    country: Column | None = None


class ProductColumns(_Table):
    """Columns of the products file."""

    name: Column
    list_price: Column | None = None


class TeamColumns(_Table):
    """Columns of the team file; `manager` names a person, too."""

    name: Column
    manager: Column | None = None
    email: Column | None = None


class OpportunityColumns(_Table):
    """Columns of the opportunities file."""

    id: Column
    agent: Column
    product: Column
    account: Column
    stage: Column
    engaged_on: Column
    closed_on: Column
    value: Column
    outcome_reason: Column | None = None


class _Source(_Table):
    """One file: its name, further columns kept as facts, and other spellings of values by field."""

    file: str = Field(min_length=1)
    attributes: dict[str, Column] = Field(default_factory=dict)
    aliases: dict[str, dict[str, str]] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _aliases_belong_to_fields(self) -> Self:
        columns: _Table = self.columns  # type: ignore[attr-defined]
        unknown = sorted(set(self.aliases) - set(type(columns).model_fields))
        if unknown:
            raise ValueError(f"aliases are given for {', '.join(unknown)}, which is no field of {self.file}")
        return self

    def wanted_columns(self) -> list[str]:
        """Every column of the file that the mapping names."""
        columns: _Table = self.columns  # type: ignore[attr-defined]
        named = [name for name in columns.model_dump().values() if name is not None]
        return list(dict.fromkeys([*named, *self.attributes.values()]))


class AccountSource(_Source):
    """The accounts; `revenue_unit` is what one unit of the revenue column is worth, `countries` are codes by name."""

    columns: AccountColumns
    revenue_unit: int = Field(default=1, ge=1)
    countries: dict[str, Annotated[str, Field(pattern=r"^[A-Z]{2}$")]] = Field(default_factory=dict)


class ProductSource(_Source):
    """The products."""

    columns: ProductColumns


class TeamSource(_Source):
    """The salespeople."""

    columns: TeamColumns


class OpportunitySource(_Source):
    """The opportunities; `stages` translates the export's stages, case aside."""

    columns: OpportunityColumns
    stages: dict[str, SourceStage]

    @field_validator("stages")
    @classmethod
    def _stages_fold(cls, stages: dict[str, SourceStage]) -> dict[str, SourceStage]:
        if not stages:
            raise ValueError("at least one stage is needed")
        return {name.casefold(): stage for name, stage in stages.items()}


class HistoryMapping(_Table):
    """A whole mapping file."""

    date_format: str = "%Y-%m-%d"
    encoding: str = "utf-8-sig"
    delimiter: str = Field(default=",", min_length=1, max_length=1)
    accounts: AccountSource | None = None
    products: ProductSource | None = None
    team: TeamSource | None = None
    opportunities: OpportunitySource

    @field_validator("encoding")
    @classmethod
    def _encoding_exists(cls, encoding: str) -> str:
        try:
            codecs.lookup(encoding)
        except LookupError:
            raise ValueError(f"there is no encoding '{encoding}'") from None
        return encoding


def load_mapping(path: Path = DEFAULT_MAPPING) -> HistoryMapping:
    """Read and check a mapping file. Raises MappingRefused naming every entry that is missing, unknown or wrong."""
    try:
        content = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise MappingRefused(f"The mapping {path} cannot be read: {error.strerror or error}.") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise MappingRefused(f"The mapping {path} is no valid TOML: {error}.") from error
    try:
        return HistoryMapping.model_validate(content)
    except ValidationError as error:
        problems = "; ".join(
            f"{'.'.join(str(part) for part in problem['loc']) or 'the file'}: {problem['msg']}"
            for problem in error.errors(include_url=False)
        )
        raise MappingRefused(f"The mapping {path} does not fit: {problems}.") from error
