"""Every rule of memory with its default, declared for organisations to set their own."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from flowledger.configuration.registry import Rule, declare
from memory.capture_rules import Capture

Days = Annotated[int, Field(ge=1, le=36_500)]


class KindRule(Rule):
    """What one kind of atom is worth: points, days in which its relevance halves, and days it is kept at most."""

    points: Annotated[int, Field(ge=1, le=100)]
    half_life_days: Days
    kept_days: Days | None


class Kinds(Rule):
    """Points, half-life and retention of each kind. An atom expires when its relevance falls below `floor` points."""

    decision: KindRule = KindRule(points=100, half_life_days=365, kept_days=365)
    risk: KindRule = KindRule(points=90, half_life_days=180, kept_days=365)
    preference: KindRule = KindRule(points=80, half_life_days=365, kept_days=365)
    note: KindRule = KindRule(points=60, half_life_days=90, kept_days=90)
    status: KindRule = KindRule(points=40, half_life_days=30, kept_days=30)
    floor: Annotated[float, Field(gt=0, le=50)] = 5.0
    # What each further source that says the same adds to the relevance, and the most that all of them add (points).
    confirmation_points: Annotated[float, Field(ge=0, le=50)] = 5.0
    most_confirmation_points: Annotated[float, Field(ge=0, le=100)] = 20.0


KINDS = declare(
    "memory_rule",
    "kinds",
    schema=Kinds,
    default=Kinds(),
    help=(
        "What each kind of atom is worth on cards and feeds, in how many days that halves, and how long it is kept "
        "before it is archived."
    ),
)


Weight = Annotated[float, Field(ge=0, le=10)]


class SimilarDeals(Rule):
    """What makes two deals alike: the weight of each trait, the least likeness that counts, and how many are shown."""

    industry: Weight = 3.0
    problem: Weight = 3.0
    solution: Weight = 3.0
    size_band: Weight = 2.0
    value_band: Weight = 1.0
    source: Weight = 1.0
    owner: Weight = 0.5
    least_likeness: Annotated[float, Field(ge=0, le=1)] = 0.3
    most_deals: Annotated[int, Field(ge=1, le=50)] = 10
    # Decisions and risks that are shown of each deal.
    lessons_each: Annotated[int, Field(ge=1, le=10)] = 3


SIMILAR_DEALS = declare(
    "memory_rule",
    "similar_deals",
    schema=SimilarDeals,
    default=SimilarDeals(),
    help="What makes closed deals like an open one, whose decisions and risks are then shown as lessons.",
)


class Patterns(Rule):
    """How many closed pursuits a pattern needs: with the trait, without it, and in how many months they were closed."""

    least_with: Annotated[int, Field(ge=2, le=10_000)] = 8
    least_without: Annotated[int, Field(ge=2, le=10_000)] = 8
    months: Annotated[int, Field(ge=1, le=120)] = 24


PATTERNS = declare(
    "memory_rule",
    "patterns",
    schema=Patterns,
    default=Patterns(),
    help="From how many closed pursuits on it is said how often deals with a trait were won, and over which months.",
)
CAPTURE = declare(
    "memory_rule",
    "capture",
    schema=Capture,
    default=Capture(),
    help=(
        "Which events become atoms, of which kind and in which words, and whose texts are read. A template is one "
        "sentence with slots in double braces; a slot that an event does not have is refused with those that it has."
    ),
)


class Assistants(Rule):
    """What may be asked of outside services, where the installation has configured them, about this organisation."""

    # Whether a language model reads what is said, to extract more than the deterministic rules find.
    model: bool = False
    # Whether texts become vectors, so that search finds what is said in other words.
    embeddings: bool = True


ASSISTANTS = declare(
    "memory_rule",
    "assistants",
    schema=Assistants,
    default=Assistants(),
    help=(
        "Whether a language model and embeddings are used for this organisation, where the installation has configured "
        "them. Nothing is sent of what was redacted, archived or is not for everyone."
    ),
)
