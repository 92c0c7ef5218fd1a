"""What a text says beside the statements that were found in it: notes, each a stretch of whole sentences."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal

from memory.extraction import Extract, Passage
from memory.extraction.reading import Sentence, sentences

# A note ends with the sentence that makes it this long (characters): short atoms are found better.
LONG = 500
# Fewer words than this are a greeting, unless they are all that is said.
FEWEST_WORDS = 4
# Gaps and bullets, which sentences of one list have between them.
_BETWEEN = " \t\r\n\f\v\u00a0-*•–—▪◦().0123456789"


def rest_of(passage: Passage, found: Sequence[Extract]) -> list[Extract]:
    """The sentences that no extract took, in stretches that stand together in the text."""
    taken = [(each.start, each.end) for each in found]
    stretches: list[list[Sentence]] = [[]]
    for sentence in sentences(passage.text):
        stretch = stretches[-1]
        if any(start < sentence.end and sentence.start < end for start, end in taken):
            stretches.append([])
        elif not stretch:
            stretch.append(sentence)
        elif sentence.end - stretch[0].start > LONG or passage.text[stretch[-1].end : sentence.start].strip(_BETWEEN):
            # What stands between two sentences and is none is not read: a quote, a signature, something hidden.
            stretches.append([sentence])
        else:
            stretch.append(sentence)
    spans = [(stretch[0].start, stretch[-1].end) for stretch in stretches if stretch]
    telling = [(start, end) for start, end in spans if _tells(passage.text[start:end])]
    if not telling and not found:
        telling = spans[:1]
    return [_note(passage, start, end, number) for number, (start, end) in enumerate(telling, start=1)]


def _tells(text: str) -> bool:
    return len(text.split()) >= FEWEST_WORDS or any(letter.isdigit() for letter in text)


def _note(passage: Passage, start: int, end: int, number: int) -> Extract:
    return Extract(
        kind="note",
        text=passage.text[start:end],
        start=start,
        end=end,
        confidence=Decimal("1.00"),
        slot=f"{passage.source_field}:rest:{number}",
    )
