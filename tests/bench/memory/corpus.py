"""The stories of the suite: what was heard and done in deals, and the questions whose answers stand in them.

The stories of `stories/` and their questions are written by hand; each question names the lines that answer it, not
their words. `held-out-*` is what the figures are about, `development-*` is what may be looked at when search is
changed. The stories of `background` are drawn from phrases that the same trade uses, and have no questions: they are
what an answer has to be told from.
"""

from __future__ import annotations

import random
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

HERE = Path(__file__).resolve().parent
HALVES = ("development", "held-out")
SEED = 41

_LINE = re.compile(
    r"(?:(?P<label>[a-z]) )?(?P<verb>signal|call|meeting|note|mail[<>]|won|lost|hold|archive): (?P<text>.+)"
)
_MOVE = re.compile(r"(?P<verb>promote|send|nurture)(?: (?P<amount>\d+))?")
# Parts of names of companies that are no names: nobody is named by them.
_PLAIN_WORDS = frozenset(
    (
        "and", "the", "of", "old", "school", "schools", "trust", "service", "services", "supply", "group", "trading",
        "business", "parts", "stores", "hospital", "food", "foods", "bakeries", "outdoor", "pharma", "wholesale",
        "tyre", "cosmetics", "wines", "fasteners", "books", "peat", "garden", "ceramics", "fish", "auctions",
        "mutual", "insurance", "cables", "nurseries", "logistics", "archive", "dairies", "distillery", "toys", "rim",
        "seafood", "furniture", "paper", "energy", "sports", "lighting", "stationery", "dental", "plumbing", "frozen",
        "moving", "brewery", "perfumes", "electronics", "spices", "bike", "uniforms", "ferries", "catering",
        "auction", "house", "drones", "repair", "clotted", "cream", "labs", "mill", "flour", "pet", "safety", "shoes",
        "honey", "optics", "organic", "soap", "marine", "spares", "linen", "timber", "hotels", "hill", "ridge", "and",
        "&",
    )
)  # fmt: skip
_HONORIFICS = frozenset({"dr", "lady", "councillor", "pater", "mr", "madame"})


@dataclass(frozen=True)
class Step:
    """One thing that happened: a `verb` with its text, or with the amount that was asked for."""

    verb: str
    label: str = ""
    text: str = ""
    amount: int | None = None


@dataclass(frozen=True)
class Person:
    name: str
    title: str


@dataclass(frozen=True)
class Story:
    """One deal from the first message on. `key` names it in the whole corpus."""

    key: str
    half: str
    company: str
    industry: str
    country: str
    employees: int
    people: tuple[Person, ...]
    product: str
    steps: tuple[Step, ...]

    def line(self, label: str) -> Step:
        (found,) = [step for step in self.steps if label in (step.label, step.verb) and step.text]
        return found


@dataclass(frozen=True)
class Question:
    """A question and the labels of the lines that answer it; `names` says whether it names the company or a person."""

    half: str
    story: str
    text: str
    evidence: tuple[str, ...]
    names: bool


@dataclass(frozen=True)
class Corpus:
    stories: tuple[Story, ...]
    questions: tuple[Question, ...]

    def story(self, key: str) -> Story:
        (found,) = [story for story in self.stories if story.key == key]
        return found


def written() -> Corpus:
    """The stories that were written by hand, with their questions."""
    stories: list[Story] = []
    questions: list[Question] = []
    for half in HALVES:
        for path in sorted((HERE / "stories").glob(f"{half}-*.txt")):
            for block in re.split(r"\n(?== )", path.read_text().strip()):
                story, asked = _parsed(block.splitlines(), half=half, key=f"{path.stem}/{len(stories)}")
                stories.append(story)
                questions.extend(asked)
    return Corpus(tuple(stories), tuple(questions))


def _parsed(lines: list[str], *, half: str, key: str) -> tuple[Story, list[Question]]:
    company, industry, country, employees, people, product = lines[0].removeprefix("= ").split(" | ")
    steps, asked = [], []
    for line in lines[1:]:
        if line.startswith("? "):
            evidence, _, text = line.removeprefix("? ").partition(" | ")
            asked.append((tuple(evidence.split()), text))
        elif line:
            steps.append(_step(line))
    persons = tuple(Person(*each.split(", ", 1)) if ", " in each else Person(each, "") for each in people.split("; "))
    story = Story(key, half, company, industry, country, int(employees), persons, product, tuple(steps))
    questions = []
    for labels, text in asked:
        for label in labels:
            story.line(label)
        questions.append(Question(half, key, text, labels, _names(text, story)))
    return story, questions


def _step(line: str) -> Step:
    if found := _LINE.fullmatch(line):
        return Step(found["verb"], found["label"] or "", found["text"])
    if moved := _MOVE.fullmatch(line):
        return Step(moved["verb"], amount=int(moved["amount"]) if moved["amount"] else None)
    raise ValueError(f"No step of a story: {line}")


def _names(question: str, story: Story) -> bool:
    """Whether a telling word of the company's or a person's name stands in the question."""
    words = {word.removesuffix("'s").casefold() for word in re.findall(r"[\w']+", question)}
    names = {word.casefold() for word in re.findall(r"\w+", story.company)} - _PLAIN_WORDS
    for person in story.people:
        names |= {word.casefold() for word in re.findall(r"\w+", person.name)} - _HONORIFICS
    return bool(words & {name for name in names if len(name) > 2})


_FIRST = (
    "Adele", "Bashir", "Clara", "Duncan", "Elsa", "Felix", "Gita", "Hugo", "Irene", "Jamal", "Karin", "Leon", "Moira",
    "Nils", "Olive", "Piotr", "Ruth", "Stefan", "Thea", "Uri",
)  # fmt: skip
_LAST = (
    "Abbott", "Bianchi", "Corrigan", "Drake", "Engel", "Farrow", "Gallo", "Hoffman", "Ivers", "Janssen", "Keane",
    "Laurent", "Moss", "Nolan", "Ortiz", "Price", "Quinn", "Rossi", "Sharp", "Tanner",
)  # fmt: skip
_HEADS = (
    "Ash", "Birch", "Cliff", "Dale", "Elm", "Fern", "Glen", "Heath", "Ivy", "Lark", "Marsh", "North", "Oak", "Pine",
    "Quarry", "Raven", "Stone", "Thorn", "Vale", "Wren",
)  # fmt: skip
_TAILS = (
    "bridge", "croft", "field", "ford", "gate", "ham", "holt", "ley", "mere", "stead", "ton", "wick", "wood", "worth",
)  # fmt: skip
_TRADES = (
    ("Foods", "food"), ("Textiles", "textiles"), ("Pharma", "pharmaceuticals"), ("Tools", "metals"),
    ("Books", "retail"), ("Motors", "automotive"), ("Logistics", "logistics"), ("Timber", "building materials"),
)  # fmt: skip
_PRODUCTS = (
    *("Cross-belt sorter", "Warehouse software", "Mobile robots", "Pallet shuttle"),
    *("Print and apply", "Pick by light", "Yard management"),
)
_SLOTS = {
    "area": ("goods-in", "picking area", "packing area", "returns department", "cold store", "yard", "high bay"),
    "month": ("January", "March", "May", "June", "September", "October", "November"),
    "rival": ("Robotanic", "Trieur", "Delmontane", "Logivanta", "Polar Matic", "Nastro", "Fahrwerk", "Axlebot"),
    "number": ("800", "1,400", "2,500", "6,000", "9,500", "12,000"),
    "small": ("two", "three", "four", "six", "eight"),
    "amount": ("30,000", "60,000", "120,000", "250,000", "400,000"),
}
# How a drawn story goes on after its first message, with how many things noted before and after it becomes a pursuit.
_ENDINGS = ("won", "won", "lost", "lost", "hold", "archive", "open", "open")


def background(count: int, *, seed: int = SEED) -> Iterator[Story]:
    """So many drawn stories; two of three companies have two of them."""
    dice = random.Random(seed)
    phrases = _phrases()
    companies: list[tuple[str, str, int, tuple[Person, ...]]] = []
    names = [f"{head}{tail} {trade}|{industry}" for head in _HEADS for tail in _TAILS for trade, industry in _TRADES]
    dice.shuffle(names)
    for number in range(count):
        if number % 5 < 3 or not companies:
            company, industry = names[number].split("|")
            people = tuple(
                Person(f"{dice.choice(_FIRST)} {dice.choice(_LAST)}", title)
                for title in ("Logistics manager", "Purchasing manager")[: dice.choice((1, 2))]
            )
            companies.append((company, industry, dice.randrange(40, 4_000), people))
            chosen = companies[-1]
        else:
            chosen = dice.choice(companies)
        company, industry, employees, people = chosen
        product = dice.choice(_PRODUCTS)
        steps = tuple(_drawn(phrases, dice, people, product, companies))
        yield Story(f"background/{number}", "", company, industry, "GB", employees, people, product, steps)


def _drawn(
    phrases: dict[str, list[str]],
    dice: random.Random,
    people: tuple[Person, ...],
    product: str,
    companies: list[tuple[str, str, int, tuple[Person, ...]]],
) -> Iterator[Step]:
    ending, amount = dice.choice(_ENDINGS), dice.randrange(20, 900) * 1_000

    def said(verb: str) -> Step:
        slots = {name: dice.choice(values) for name, values in _SLOTS.items()}
        first = dice.choice(people).name.split()[0]
        text = dice.choice(phrases[verb])
        return Step(
            verb, text=text.format(**slots, first=first, product=product.lower(), other=dice.choice(companies)[0])
        )

    def some(most: int) -> Iterator[Step]:
        verbs = ("call", "call", "call", "meeting", "mail<", "mail>", "note")
        for _ in range(dice.randrange(2, most)):
            yield said(dice.choice(verbs))

    yield said("signal")
    yield from some(5)
    if ending in ("hold", "archive"):
        yield said(ending)
        return
    yield Step("promote", amount=amount)
    yield from some(6)
    if ending != "open":
        yield Step("send", amount=amount * dice.randrange(90, 111) // 100)
        yield from some(4)
        yield said(ending)


def _phrases() -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for block in (HERE / "background.txt").read_text().strip().split("# ")[1:]:
        verb, *lines = block.strip().splitlines()
        found[verb] = lines
    return found
