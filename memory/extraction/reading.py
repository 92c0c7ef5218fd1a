"""What of a text a reader sees and its writer wrote, sentence by sentence, with the place of each in the text."""

from __future__ import annotations

import re
from dataclasses import dataclass

from workstream.intake.mail_replies import written_part

# Nothing is read beyond this, nor in a sentence that is longer.
MAX_TEXT = 60_000
MAX_SENTENCE = 700
# A line that a mail program broke inside a sentence is at least so long; longer, where the next begins like a sentence.
WRAPPED_LINE, FULL_LINE = 30, 62

# Characters that nobody sees: zero-width, direction marks, soft hyphens, tags, fillers.
_UNSEEN = re.compile(
    "[\u00ad\u034f\u061c\u115f\u1160\u180e\u200b-\u200f\u202a-\u202e\u2060-\u206f\u3164\ufeff\uffa0"
    "\U000e0000-\U000e0fff]"
)
_TAG = re.compile(r"</?([a-zA-Z][a-zA-Z0-9]{0,15})(?:\s[^<>]{0,2000})?/?>")
_COMMENT = re.compile(r"<!--.*?(?:-->|\Z)", re.DOTALL)
_HIDES = re.compile(
    (
        r"display\s*:\s*none|visibility\s*:\s*(?:hidden|collapse)|mso-hide\s*:\s*all"
        r"|opacity\s*:\s*0(?:\.0+)?\s*(?:[;\"']|$)|font-size\s*:\s*0*(?:\.\d+)?[01]?(?:px|pt|em|rem|%)?\s*(?:[;\"']|$)"
        r"|\bhidden\b|aria-hidden\s*=\s*[\"']?true|(?:max-)?(?:height|width)\s*:\s*0|text-indent\s*:\s*-|(?:left"
        r"|top)\s*:\s*-\d{3}|(?<!-)color\s*:\s*(?:#fff(?:fff)?\b|white\b|transparent\b"
        r"|rgba?\(\s*255\s*,\s*255\s*,\s*255)"
    ),
    re.IGNORECASE,
)
_UNREAD_TAGS = frozenset({"head", "style", "script", "title", "template", "noscript", "object", "svg", "textarea"})
_VOID_TAGS = frozenset({"br", "hr", "img", "input", "meta", "link", "wbr", "area", "base", "col", "embed", "source"})
_INLINE_TAGS = frozenset({"a", "b", "strong", "i", "em", "u", "span", "font", "code", "small", "mark", "sub", "sup"})
# Stands for a character that is not read, and ends a sentence.
_WALL = "\x00"

_ABBREVIATION = re.compile(
    (
        r"(?:^|[\s(])(?:mr|mrs|ms|dr|prof|sr|jr|st|no|nr|vs|e\.g|i\.e|eg|ie|approx|ca|cf|etc|inc|ltd|co|corp|dept|est"
        r"|min|max|fig|ext|tel|jan|feb|mar|apr|jun|jul|aug|sep|sept|oct|nov|dec|(?-i:[A-Z]))\.$"
    ),
    re.IGNORECASE,
)
_TERMINAL = re.compile(r"[.!?…]+[\"'”’)\]]*(?=\s)|\n|\x00+")
_BULLET = re.compile(r"[ \t]*(?:[-*•–—▪◦]|\(?\d{1,2}[.)]|\(?[a-z]\))[ \t]+")


@dataclass(frozen=True)
class Sentence:
    """`text[start:end]` of the passage; `seen` is what is to be read of it, in lower case and with plain quotes."""

    start: int
    end: int
    seen: str


def sentences(text: str) -> list[Sentence]:
    """The sentences that are read, in order; what is quoted, hidden, or stands in a signature is left out."""
    masked = _without_quoted(_without_hidden(text[:MAX_TEXT].replace(_WALL, " ")))
    return [
        Sentence(start, end, _plain(masked[start:end]))
        for start, end in _spans(masked)
        if end - start <= MAX_SENTENCE and any(char.isalpha() for char in masked[start:end])
    ]


def _plain(text: str) -> str:
    text = text.replace("’", "'").replace("‘", "'").replace("“", '"').replace("”", '"').replace("\u00a0", " ")
    return re.sub(r"\s+", " ", text).lower()


def _without_hidden(text: str) -> str:
    """The text with walls in place of what no reader sees; as long as before."""
    text = _UNSEEN.sub(" ", text)
    if "<" not in text:
        return text
    text = _COMMENT.sub(lambda found: _WALL * len(found[0]), text)
    pieces: list[str] = []
    hidden = ""  # the tag that hides, and how many of its name are open
    depth = 0
    position = 0
    for tag in _TAG.finditer(text):
        between = text[position : tag.start()]
        pieces.append(_WALL * len(between) if hidden else between)
        position = tag.end()
        name = tag[1].lower()
        is_inline = name in _INLINE_TAGS and not hidden
        closes = tag[0].startswith("</")
        if name == hidden and not tag[0].endswith("/>"):
            depth += -1 if closes else 1
            hidden = hidden if depth else ""
        elif not hidden and not closes and _hides(name, tag[0]):
            hidden, depth, is_inline = name, 1, False
        pieces.append((" " if is_inline else _WALL) * len(tag[0]))
    rest = text[position:]
    pieces.append(_WALL * len(rest) if hidden else rest)
    return "".join(pieces)


def _hides(name: str, tag: str) -> bool:
    """Whether an opening tag hides what stands in it."""
    if name in _VOID_TAGS or tag.endswith("/>"):
        return False
    return name in _UNREAD_TAGS or _HIDES.search(tag) is not None


def _without_quoted(text: str) -> str:
    """The text with walls in place of lines that another wrote, and of the signature; as long as before."""
    if "\n" not in text:
        return _WALL * len(text) if text.lstrip().startswith(">") else text
    written = written_part(text.replace(_WALL, " "))
    own = [line.strip() for line in written.text.split("\n") if line.strip()]
    lines = text.split("\n")
    stripped = [line.replace(_WALL, " ").strip() for line in lines]
    if written.has_quote and len(own) == sum(1 for line in stripped if line.lstrip("> ")):
        # Nothing but a quote: the parser of mails keeps it then, and nothing of it is the writer's.
        own = []
    kept: list[str] = []
    place = 0
    for line, plain in zip(lines, stripped, strict=True):
        is_own = not plain
        if plain and place < len(own) and not plain.startswith(">") and _same(plain, own[place]):
            is_own, place = True, place + 1
        kept.append(line if is_own else _WALL * len(line))
    return "\n".join(kept)


def _same(line: str, own: str) -> bool:
    return line == own or " ".join(line.split()) == " ".join(own.split()) or line.startswith(own) or line.endswith(own)


def _spans(text: str) -> list[tuple[int, int]]:
    spans: list[tuple[int, int]] = []
    start = 0
    for found in _TERMINAL.finditer(text):
        if found.start() < start or not _ends(text, start, found):
            continue
        end = found.start() if found[0][0] in f"\n{_WALL}" else found.end()
        spans.append((start, end))
        start = found.end()
    spans.append((start, len(text)))
    return [trimmed for span in spans if (trimmed := _trimmed(text, *span)) is not None]


def _ends(text: str, start: int, found: re.Match[str]) -> bool:
    """Whether a sentence ends here."""
    mark = found[0]
    if mark[0] == _WALL:
        return True
    if mark == "\n":
        line = text[text.rfind("\n", 0, found.start()) + 1 : found.start()].rstrip()
        following = text[found.end() : found.end() + 80]
        first = following.lstrip(" \t")[:1]
        if not first or first in f"\n{_WALL}" or _BULLET.match(following) or line[-1:] in ".!?:;…":
            return True
        return len(line) < (WRAPPED_LINE if first.islower() else FULL_LINE)
    following = text[found.end() :].lstrip(" \t")[:1]
    if mark[0] == "." and _ABBREVIATION.search(text[max(start, found.start() - 10) : found.start() + 1]):
        # `… at no. 5` goes on; `… per sq. m. We …` is rare enough to be read as one.
        return following == "\n"
    return not following.islower()


def _trimmed(text: str, start: int, end: int) -> tuple[int, int] | None:
    """The span without blanks and a bullet around it; None when nothing is left."""
    while start < end and (text[start].isspace() or text[start] == _WALL):
        start += 1
    bullet = _BULLET.match(text, start, end)
    if bullet is not None:
        start = bullet.end()
    while end > start and (text[end - 1].isspace() or text[end - 1] == _WALL):
        end -= 1
    return (start, end) if end > start else None
