"""The text of a message taken apart: what its writer wrote, their signature, and whom they forward."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import NamedTuple

from mailparser_reply.parser import EmailMessage

from workstream.intake.mail_phrases import (
    BANNER,
    CLOSING_LINE,
    DATED_SENDER,
    DEVICE_LINE,
    DISCLAIMER_LINE,
    FORWARDED_LINE,
    FROM_LINE,
    LABEL_LINE,
    ORIGINAL_LINE,
    RULE_LINE,
    SUBJECT_LABEL,
    WROTE_LINE,
)

MAX_TEXT = 60_000
MAX_LINES = 2_000
MAX_LINE = 2_000
# An attribution is one sentence, at most on three lines.
MAX_ATTRIBUTION = 300
# The longest signature that is taken for one.
SIGNATURE_LINES = 25
# What the library gets: its expressions look again and again at long texts.
LIBRARY_TEXT, LIBRARY_LINE = 4_000, 300
LANGUAGES = ("en", "de", "cs", "da", "es", "fr", "it", "ja", "ko", "nl", "pl", "sv", "zh")


@dataclass(frozen=True)
class Written:
    """What the writer of a message wrote themselves, and the signature below it."""

    text: str
    signature: str = ""
    has_quote: bool = False


class Forwarded(NamedTuple):
    """A message in the text of another: the value of its From line, its subject and text, and what stands above."""

    sender: str
    subject: str
    text: str
    note: str


class _Quote(NamedTuple):
    """Where a quote begins, where what it quotes begins, and whether a line with who and when introduces it."""

    start: int
    after: int
    is_attribution: bool


def written_part(text: str) -> Written:
    """What the writer wrote, without quoted messages, signature, disclaimer and the mail server's banner.

    A message of nothing but a quote keeps the quote: better too much than nothing.
    """
    lines = _lines(BANNER.sub("", text[:MAX_TEXT].strip(), count=1))
    own, has_quote = _without_quotes(lines)
    body, signature = _without_signature(own)
    body = _by_library(body)
    if not body.strip():
        rest = "\n".join(line.lstrip("> ") for line in lines)
        return Written(_tidy(rest), signature, has_quote)
    return Written(_tidy(body), signature, has_quote)


def forwarded_part(text: str, *, says_forward: bool) -> Forwarded | None:
    """The message that the text forwards; None when it forwards none.

    `says_forward`: its subject says so, then any quoted message with From and another header is the forwarded one.
    """
    lines = _lines(text[:MAX_TEXT].strip())
    plain = [re.sub(r"^(?:> ?)+", "", line) for line in lines]
    for index, line in enumerate(plain):
        explicit = FORWARDED_LINE.match(line) is not None
        if not explicit and not (says_forward and (ORIGINAL_LINE.match(line) or _header_block(plain, index))):
            continue
        start = index if FROM_LINE.match(line) else _next_from(plain, index + 1)
        block = None if start is None else _header_block(plain, start)
        if start is None or block is None:
            continue
        values, end = block
        note = "\n".join(lines[:index])
        return Forwarded(values["from"], values.get("subject", ""), "\n".join(plain[end:]), note)
    return None


def _lines(text: str) -> list[str]:
    return [line[:MAX_LINE].rstrip() for line in text.split("\n")[:MAX_LINES]]


def _without_quotes(lines: list[str]) -> tuple[list[str], bool]:
    """The lines that are no quote: above the first quote, between its lines, or below it."""
    quote = _first_quote(lines)
    if quote is None:
        kept = [line for line in lines if not line.lstrip().startswith(">")]
        return kept, len(kept) < len(lines)
    above = [line for line in lines[: quote.start] if not line.startswith(">")]
    below = lines[quote.after :]
    first = next((line for line in below if line.strip()), "")
    if quote.is_attribution and first.startswith(">"):
        # Answers between and below the quoted lines are the writer's too.
        return [*above, *(line for line in below if not line.startswith(">"))], True
    return above, True


def _first_quote(lines: list[str]) -> _Quote | None:
    for index, line in enumerate(lines):
        text = line.strip()
        if not text:
            continue
        if ORIGINAL_LINE.match(text) or FORWARDED_LINE.match(text):
            return _Quote(index, index + 1, is_attribution=False)
        if RULE_LINE.match(text) and text[0] in "_-" and _leads_to_quote(lines, index + 1):
            return _Quote(index, index + 1, is_attribution=False)
        if block := _header_block(lines, index):
            return _Quote(index, block[1], is_attribution=False)
        if length := _attribution(lines, index):
            return _Quote(index, index + length, is_attribution=True)
    return None


def _attribution(lines: list[str], index: int) -> int:
    """On how many lines from here somebody is said to have written; 0 when nobody is."""
    joined = ""
    for length, line in enumerate(lines[index : index + 3], start=1):
        text = line.strip()
        if not text or text.startswith(">") or len(joined) + len(text) > MAX_ATTRIBUTION:
            return 0
        joined = f"{joined} {text}".strip()
        if text[-1] in ":：":
            says = WROTE_LINE.match(joined) and re.search(r"\d|@", joined)
            return length if says or DATED_SENDER.match(joined) else 0
    return 0


def _header_block(lines: list[str], index: int) -> tuple[dict[str, str], int] | None:
    """The headers of a quoted message that begin on a line with From, and the index behind them."""
    found = FROM_LINE.match(lines[index].strip())
    if found is None or not found["value"].strip():
        return None
    values = {"from": found["value"].strip()}
    labels = 1
    end = index + 1
    last = "from"
    for line in lines[index + 1 : index + 12]:
        text = line.strip()
        match = LABEL_LINE.match(text)
        if match is not None:
            labels += 1
            last = "subject" if SUBJECT_LABEL.match(match["label"]) else match["label"].lower()
            values.setdefault(last, match["value"].strip())
        elif not text or labels == 1 or len(text) > 200:
            break
        elif line[:1] in " \t" or values[last].endswith((",", ";")):
            values[last] = f"{values[last]} {text}"
        else:
            break
        end += 1
    return (values, end) if labels >= 3 or (labels == 2 and "@" in values["from"]) else None


def _leads_to_quote(lines: list[str], index: int) -> bool:
    """Whether the next written line begins a quoted message; below a rule nothing else may come first."""
    start = next((at for at in range(index, min(index + 4, len(lines))) if lines[at].strip()), None)
    if start is None:
        return True
    text = lines[start].strip()
    is_mark = ORIGINAL_LINE.match(text) or FORWARDED_LINE.match(text)
    return bool(is_mark or _header_block(lines, start) or _attribution(lines, start))


def _next_from(lines: list[str], index: int) -> int | None:
    """The first From line below a mark, with nothing but blank and label lines before it."""
    for at in range(index, min(index + 10, len(lines))):
        text = lines[at].strip()
        if FROM_LINE.match(text):
            return at
        if text and not LABEL_LINE.match(text):
            return None
    return None


def _without_signature(lines: list[str]) -> tuple[str, str]:
    """Text and signature. What is cut off is never all there is."""
    cut = len(lines)
    written = sum(1 for line in lines if line.strip())
    passed = 0
    for index, line in enumerate(lines):
        text = line.strip()
        if not text:
            continue
        passed += 1
        left = written - passed
        if passed == 1:
            continue
        is_end = left <= SIGNATURE_LINES and not any(len(each) > 200 for each in lines[index + 1 : index + 4])
        if text == "--" or (is_end and (CLOSING_LINE.match(text) or DEVICE_LINE.match(text))):
            cut = index
            break
        if DISCLAIMER_LINE.match(text):
            cut = index
            break
    return "\n".join(lines[:cut]), "\n".join(_contact_lines(lines[cut:]))


def _contact_lines(lines: list[str]) -> list[str]:
    """A signature up to its disclaimer."""
    for index, line in enumerate(lines):
        if DISCLAIMER_LINE.match(line.strip()):
            return lines[:index]
    return lines[: SIGNATURE_LINES * 2]


def _by_library(text: str) -> str:
    """What mail-parser-reply finds besides: headers of further programs, signatures of further languages.

    It takes any line that begins with a greeting for a signature, so its cut counts only where short lines follow.
    """
    lines = re.sub(r"\n{3,}", "\n\n", "\n".join(line.strip() for line in text.strip().split("\n"))).split("\n")
    head = "\n".join(line[:LIBRARY_LINE] for line in lines)
    if not head or len(head) > LIBRARY_TEXT:
        return text
    replies = EmailMessage(text=head, languages=list(LANGUAGES), keep_hyphen_lists=True).read().replies
    if not replies or not replies[0].content.strip():
        return text
    kept, signature = replies[0].content, replies[0].signatures or ""
    position = kept.rfind(signature) if signature else -1
    if position > 0 and kept[:position].strip() and _looks_like_signature(kept[position:].split("\n")):
        kept = kept[:position].rstrip()
    return "\n".join(lines[: kept.count("\n") + 1])


def _looks_like_signature(lines: list[str]) -> bool:
    is_short = len(lines) <= SIGNATURE_LINES and all(len(line) <= 90 for line in lines) and len(lines[0]) <= 60
    return is_short and not _is_sentence(lines[0])


def _is_sentence(line: str) -> bool:
    """`Thanks, please send the offer.` begins like a greeting and goes on."""
    return len(line.split()) > 6 or line.rstrip().endswith((".", "?"))


def _tidy(text: str) -> str:
    text = "\n".join(line.strip() for line in text.split("\n"))
    return re.sub(r"\n{3,}", "\n\n", text).strip()
