"""Invents what happened at the demonstration's company: the same stories for the same seed, in every state."""

from __future__ import annotations

import random
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum

from workstream.demo import words

SEED = 20_260_101


class Ending(StrEnum):
    """How far a story came; everything before it happened, too."""

    UNTOUCHED = "untouched"
    REJECTED = "rejected"
    NEW = "new"
    TRIAGED = "triaged"
    NURTURE = "nurture"
    ON_HOLD = "on_hold"
    ARCHIVED = "archived"
    QUAL = "qual"
    PINK = "pink"
    RED = "red"
    SUBMIT = "submit"
    WON = "won"
    LOST = "lost"


# How many stories of each ending, and how many days ago they began at least and at most.
_CAST: dict[Ending, tuple[int, int, int]] = {
    Ending.UNTOUCHED: (14, 0, 6),
    Ending.REJECTED: (5, 5, 60),
    Ending.NEW: (7, 1, 8),
    Ending.TRIAGED: (8, 3, 20),
    Ending.NURTURE: (4, 30, 120),
    Ending.ON_HOLD: (4, 20, 90),
    Ending.ARCHIVED: (4, 30, 200),
    Ending.QUAL: (5, 8, 30),
    Ending.PINK: (5, 15, 45),
    Ending.RED: (4, 20, 55),
    Ending.SUBMIT: (5, 30, 70),
    Ending.WON: (9, 60, 330),
    Ending.LOST: (6, 50, 300),
}
_CHANNELS = ("email", "email", "web_form", "web_form", "call", "ad", "api", "note")


@dataclass(frozen=True)
class Company:
    """A customer of the demonstration."""

    name: str
    domain: str
    industry: str
    country: str
    employees: int
    revenue: int


@dataclass(frozen=True)
class Person:
    """Somebody who writes to the demonstration's company."""

    company: Company
    name: str
    email: str
    phone: str
    job_title: str


@dataclass(frozen=True)
class Story:
    """One sign of interest and what became of it. `begun` is how long ago it came in, `pace` the time of one step."""

    number: int
    ending: Ending
    person: Person
    channel: str
    problem: str
    solution: str
    texts: tuple[str, ...]
    urgency: str
    budget: int
    confidence: str
    owner: int
    tags: tuple[str, ...]
    begun: timedelta
    pace: timedelta

    @property
    def title(self) -> str:
        return f"{words.PROBLEMS[self.problem][2]} for {self.person.company.name}"


@dataclass(frozen=True)
class World:
    """Everything invented: companies, the people in them, and what happened, oldest first."""

    companies: tuple[Company, ...]
    people: tuple[Person, ...]
    stories: tuple[Story, ...]


def invent(*, seed: int = SEED) -> World:
    """The world of a seed; the same seed gives the same world on every machine."""
    dice = random.Random(seed)  # noqa: S311  (a story, no secret)
    companies = tuple(
        Company(name, f"{_slug(name)}.example", industry, country, employees, revenue)
        for name, industry, country, employees, revenue in words.COMPANIES
    )
    people = tuple(person for company in companies for person in _people(company, dice))
    stories = [
        _story(ending, youngest, oldest, people, dice)
        for ending, (times, youngest, oldest) in _CAST.items()
        for _ in range(times)
    ]
    stories.sort(key=lambda story: -story.begun)
    return World(companies, people, tuple(_numbered(story, number) for number, story in enumerate(stories, start=1)))


def _people(company: Company, dice: random.Random) -> list[Person]:
    people: list[Person] = []
    for _ in range(dice.choice((1, 2, 2, 3))):
        first, last = dice.choice(words.FIRST_NAMES), dice.choice(words.LAST_NAMES)
        email = f"{first}.{last}@{company.domain}".lower()
        if any(other.email == email for other in people):
            continue
        # Numbers that are kept for fiction.
        phone = f"+1 212 555 {dice.randint(100, 199):04d}" if company.country in ("US", "CA") else ""
        people.append(Person(company, f"{first} {last}", email, phone, dice.choice(words.JOB_TITLES)))
    return people


def _story(ending: Ending, youngest: int, oldest: int, people: tuple[Person, ...], dice: random.Random) -> Story:
    problem = dice.choice(list(words.PROBLEMS))
    solution = words.SOLUTION_OF[problem]
    price, _ = words.SOLUTIONS[solution]
    begun = timedelta(days=dice.uniform(youngest + 0.05, oldest))
    texts = [dice.choice(words.PROBLEMS[problem][1])]
    if ending is Ending.REJECTED:
        texts = [dice.choice(words.SPAM)]
    elif dice.random() < 0.35:
        texts.append(f"Following up on my message: {dice.choice(words.PROBLEMS[problem][1])}")
    # A finished story takes most of its time; an open one was worked on until yesterday or so.
    steps = 24 if ending in (Ending.WON, Ending.LOST) else 16
    return Story(
        number=0,
        ending=ending,
        person=dice.choice(people),
        channel=dice.choice(_CHANNELS),
        problem=problem,
        solution=solution,
        texts=tuple(texts),
        urgency=f"{dice.choice((20, 35, 50, 60, 75, 90)) / 100:.2f}",
        budget=round(price * dice.uniform(0.6, 2.4) / 100) * 100,
        confidence=f"{dice.choice((30, 45, 60, 70, 85)) / 100:.2f}",
        owner=dice.randrange(100),
        tags=tuple(sorted(dice.sample(words.TAGS, dice.choice((0, 1, 1, 2))))),
        begun=begun,
        pace=begun / steps,
    )


def _numbered(story: Story, number: int) -> Story:
    return Story(**{**story.__dict__, "number": number})


def _slug(name: str) -> str:
    return "-".join("".join(c if c.isalnum() else " " for c in name.lower()).split())
