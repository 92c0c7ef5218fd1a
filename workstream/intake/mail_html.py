"""HTML of messages as plain text in which quotes and signatures stand as mail programs without HTML write them."""

from __future__ import annotations

import re
from html.parser import HTMLParser

from workstream.intake.mail_charsets import clean

# Nothing in a message is read beyond this.
MAX_HTML = 2_000_000
MAX_DEPTH = 400

# A line that the reply rules take for the beginning of a quoted message.
QUOTE_LINE = "________________________________"
SIGNATURE_LINE = "-- "

# A bracket before which no other closes begins no tag; the parser would look for its end each time.
_STRAY = re.compile(r"<(?=[^<>]*(?:<|\Z))")
_UNSEEN = frozenset({"head", "style", "script", "title", "template", "noscript", "object", "svg", "select", "textarea"})
_VOID = frozenset({"br", "hr", "img", "input", "meta", "link", "wbr", "area", "base", "col", "embed", "source"})
_BLOCKS = frozenset(
    {
        *("p", "div", "table", "tr", "ul", "ol", "dl", "dt", "dd", "h1", "h2", "h3", "h4", "h5", "h6", "pre"),
        *("blockquote", "section", "article", "header", "footer", "address", "center", "form", "fieldset", "main"),
    }
)
_PARAGRAPHS = frozenset({"p", "h1", "h2", "h3", "h4", "h5", "h6", "ul", "ol", "blockquote", "pre"})
_HIDDEN = re.compile(
    r"display\s*:\s*none|visibility\s*:\s*hidden|mso-hide\s*:\s*all|font-size\s*:\s*0(?:px|pt)?\s*(?:;|$)"
)
# Boxes in which programs put the message that is answered, besides <blockquote>.
_QUOTE_CLASSES = frozenset({"yahoo_quoted", "protonmail_quote", "zmail_extra", "moz-forward-container"})
_QUOTE_IDS = frozenset(
    {"divrplyfwdmsg", "x_divrplyfwdmsg", "appendonsend", "replyforwardmessage", "olk_src_body_section"}
)
_SIGNATURE_CLASSES = frozenset({"gmail_signature", "moz-signature", "protonmail_signature_block", "x_gmail_signature"})
_SIGNATURE_IDS = frozenset({"signature", "outlook_signature", "ms-outlook-mobile-signature", "x_signature"})


def html_to_text(html: str) -> str:
    """The text that a reader sees: blocks in lines, quotes behind `> `, a signature below `-- `.

    Scripts, styles and what is hidden are left out. Broken HTML is read as far as it goes.
    """
    reader = _Reader()
    reader.feed(_STRAY.sub("&lt;", _without_comments(html[:MAX_HTML])))
    reader.close()
    return clean(reader.text())


def _without_comments(html: str) -> str:
    """The HTML outside of comments; the parser looks to the end of the text for each that has none."""
    kept: list[str] = []
    start = 0
    while (begin := html.find("<!--", start)) >= 0:
        kept.append(html[start:begin])
        end = html.find("-->", begin + 4)
        if end < 0:
            return "".join(kept)
        start = end + 3
    return "".join([*kept, html[start:]])


class _Reader(HTMLParser):
    """Collects lines; the depth of quoting belongs to the line on which it was begun."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self._open: list[tuple[str, bool, bool]] = []  # tag, hides, quotes
        self._hiding = 0
        self._quoting = 0
        self._verbatim = 0
        self._lines: list[tuple[int, str]] = []
        self._line: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attrs}
        if tag in _VOID:
            self._void(tag)
            return
        self._close_implied(tag)
        if len(self._open) >= MAX_DEPTH:
            return
        classes = set(given.get("class", "").lower().split())
        hides = tag in _UNSEEN or "hidden" in given or bool(_HIDDEN.search(given.get("style", "").lower()))
        quotes = tag == "blockquote" and self._is_quote(given, classes)
        if tag in _BLOCKS:
            self._end_line(blank=tag in _PARAGRAPHS)
        if not self._hiding and not hides:
            self._mark(given, classes)
        if tag == "li":
            self._end_line(blank=False)
            self._line.append("- ")
        elif tag in {"td", "th"} and any(self._line):
            self._line.append(" ")
        self._open.append((tag, hides, quotes))
        self._hiding += hides
        self._quoting += quotes
        self._verbatim += tag == "pre"

    def handle_endtag(self, tag: str) -> None:
        if not any(each == tag for each, _, _ in self._open):
            if tag in {"p", "br"}:
                self._end_line(blank=False)
            return
        while self._open:
            closed = self._open[-1][0]
            self._close()
            if closed == tag:
                return

    def handle_data(self, data: str) -> None:
        if self._hiding:
            return
        if self._verbatim:
            first, *rest = data.split("\n")
            self._line.append(first)
            for line in rest:
                self._end_line(blank=False, keep=True)
                self._line.append(line)
        else:
            self._line.append(re.sub(r"[ \t\r\n]+", " ", data))

    def text(self) -> str:
        """Everything read so far."""
        self._end_line(blank=False)
        lines = [f"{'> ' * depth}{line}".rstrip() if line != SIGNATURE_LINE else line for depth, line in self._lines]
        return re.sub(r"\n{3,}", "\n\n", "\n".join(lines)).strip("\n")

    def _void(self, tag: str) -> None:
        if self._hiding:
            return
        if tag == "br":
            self._end_line(blank=False, keep=True)
        elif tag == "hr":
            self._end_line(blank=False)

    def _close_implied(self, tag: str) -> None:
        """`<li>` ends the one before it, a block ends an open `<p>`."""
        if not self._open:
            return
        last = self._open[-1][0]
        if (last == tag and tag in {"li", "p", "td", "th", "tr", "option"}) or (last == "p" and tag in _BLOCKS):
            self._close()

    def _close(self) -> None:
        tag, hides, quotes = self._open.pop()
        if tag in _BLOCKS or tag == "li":
            self._end_line(blank=tag in _PARAGRAPHS)
        self._hiding -= hides
        self._quoting -= quotes
        self._verbatim -= tag == "pre"

    def _end_line(self, *, blank: bool, keep: bool = False) -> None:
        line = "".join(self._line)
        self._line = []
        line = line.rstrip() if self._verbatim else re.sub(r" {2,}", " ", line).strip()
        if line or keep:
            self._lines.append((self._quoting, line))
        if blank and self._lines and self._lines[-1][1]:
            self._lines.append((self._quoting, ""))

    def _mark(self, given: dict[str, str], classes: set[str]) -> None:
        """A line of its own where a quoted message or a signature begins."""
        identity = given.get("id", "").lower()
        if classes & _QUOTE_CLASSES or identity in _QUOTE_IDS or _is_outlook_border(given.get("style", "")):
            self._end_line(blank=False)
            self._lines.append((self._quoting, QUOTE_LINE))
        elif classes & _SIGNATURE_CLASSES or identity in _SIGNATURE_IDS or "data-signature" in given:
            self._end_line(blank=False)
            if not any(line == SIGNATURE_LINE for _, line in self._lines[-2:]):
                self._lines.append((self._quoting, SIGNATURE_LINE))

    @staticmethod
    def _is_quote(given: dict[str, str], classes: set[str]) -> bool:
        """Not every <blockquote> quotes: some programs indent with it."""
        if given.get("type", "").lower() == "cite" or classes & {"gmail_quote", "yahoo_quoted", "protonmail_quote"}:
            return True
        return "margin" not in given.get("style", "").lower() or "border-left" in given.get("style", "").lower()


def _is_outlook_border(style: str) -> bool:
    """The thin line above From, Sent, To and Subject of the message that Outlook answers."""
    return re.search(r"border\s*:\s*none\s*;\s*border-top\s*:\s*solid\s+#[0-9a-f]{6}", style.lower()) is not None
