"""Reading CSV files as they are found in the wild: any encoding, delimiter, quoting and damage, within bounds.

The encoding is taken from a byte-order mark, else UTF-8 where the bytes are that but for single damaged places, else
guessed. A damaged row is one row's trouble: it comes out with its problem, and the rows after it are read.
"""

from __future__ import annotations

import codecs
import csv
import io
import re
from collections import Counter, deque
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, BinaryIO

from charset_normalizer import from_bytes

MAX_COLUMNS = 200
MAX_CELL = 20_000
MAX_HEADING = 100
# A cell that goes on for more lines than this was opened by a stray quotation mark.
MAX_LINES_OF_ROW = 500
DELIMITERS = (",", ";", "\t", "|")
_SAMPLE_BYTES = 128 * 1024
_SAMPLE_ROWS = 100
_SAMPLE_LINE = 64 * 1024
_BLOCK = 1024 * 1024
# Fewer say nothing about an alphabet.
_FEW_BYTES = 4

_MARKS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
# What programs that write CSV files use; a guess among all that exist goes astray on short texts.
_GUESSED = (
    *("cp1252", "cp1250", "cp1251", "cp1253", "cp1254", "cp1255", "cp1256", "cp1257"),
    *("shift_jis", "cp932", "euc_jp", "gb18030", "big5", "euc_kr", "cp949", "koi8_r", "mac_roman"),
)
# Beside its fellows this one is by far the most frequent, and many others decode the same few letters.
_WESTERN = {"cp1250", "cp1254", "cp1257", "mac_roman", "cp1252", "cp1253", "cp1255", "cp1256"}
_WESTERN_LETTERS = frozenset("äöüÄÖÜßéèêëàâáãåæøœçñíìîïóòôõúùûýÿÉÈÊËÀÂÁÃÅÆØŒÇÑÍÌÎÏÓÒÔÕÚÙÛÝ€£©®°§–—‘’“”„…•·«»´¡¿\u00a0")
_SEP_LINE = re.compile(r'"?sep=(?P<delimiter>[,;|\t])"?[\r\n]*\Z', re.IGNORECASE)
_LOOKS_LIKE_DATA = re.compile(r"[^@\s]+@[^@\s]+\.[^@\s]+|\+?[\d ()/.-]{5,}")

ENCODINGS = (
    *("utf-8", "utf-16", "utf-32", "cp1252", "iso-8859-1", "iso-8859-15", "mac_roman", "cp1250", "iso-8859-2"),
    *("cp1251", "koi8_r", "cp1253", "cp1254", "cp1255", "cp1256", "shift_jis", "euc_jp", "gb18030", "big5", "euc_kr"),
)


class UnreadableCsv(ValueError):
    """The file as a whole is no CSV file that could be imported; the text says what to do."""


@dataclass(frozen=True)
class CsvRow:
    """One row below the headings, one text per heading; with a `problem` it cannot be used.

    `number` counts from 1 for the first row below the headings, blank rows included, as a spreadsheet does.
    """

    number: int
    cells: list[str]
    problem: str = ""


@dataclass(frozen=True)
class CsvFile:
    """A file whose form is known. `rows` can be gone through once."""

    encoding: str
    delimiter: str
    headings: list[str]
    rows: Iterator[CsvRow]


def read_csv(file: BinaryIO, *, encoding: str = "", delimiter: str = "", has_headings: bool | None = None) -> CsvFile:
    """The form and the rows of a file; encoding, delimiter and whether headings come first are found out if not said.

    Reads as it goes: memory is bounded by a row. Raises UnreadableCsv.
    """
    if encoding and encoding not in ENCODINGS:
        raise UnreadableCsv(f"Choose one of the encodings: {', '.join(ENCODINGS)}.")
    if delimiter and delimiter not in DELIMITERS:
        raise UnreadableCsv("Choose a comma, semicolon, tab or vertical bar as the delimiter.")
    name = encoding or encoding_of(file)
    file.seek(0)
    codec = {"utf-8": "utf-8-sig"}.get(name, name)
    # Half-characters stand for bytes that are none; the rows that have them are told apart below.
    errors = "surrogateescape" if codec.startswith("utf-8") else "replace"
    try:
        text: io.TextIOWrapper[Any] = io.TextIOWrapper(
            io.BufferedReader(_Unclosed(file)), encoding=codec, errors=errors, newline=""
        )
        lines = _Lines(text)
        said = _said_by(lines)
        chosen = delimiter or said or _delimiter_of(lines)
        records = _records(lines, chosen)
        first = next((record for record in records if not record.is_blank), None)
    except UnicodeError as error:
        raise UnreadableCsv(f"The file is not in the encoding {name}; choose another.") from error
    if first is None:
        raise UnreadableCsv("The file is empty; it needs a row of headings and rows below it.")
    if first.problem:
        raise UnreadableCsv(f"The first row cannot be read: {first.problem}")
    if len(first.cells) > MAX_COLUMNS:
        raise UnreadableCsv(f"The file has {len(first.cells):,} columns; at most {MAX_COLUMNS} are read.")
    if has_headings is None:
        has_headings = not any(_LOOKS_LIKE_DATA.fullmatch(cell.strip()) for cell in first.cells)
    if has_headings:
        headings, before = headings_of(first.cells), []
    else:
        headings, before = [f"Column {place}" for place in range(1, len(first.cells) + 1)], [first]
    return CsvFile(name, chosen, headings, _rows(before, records, headings))


def encoding_of(file: BinaryIO) -> str:
    """The name of the encoding, from the mark at the beginning, by UTF-8's own rules, or by a guess."""
    file.seek(0)
    head = file.read(_SAMPLE_BYTES)
    for mark, name in _MARKS:
        if head.startswith(mark):
            return "utf-8" if name == "utf-8-sig" else name
    if (wide := _wide_without_mark(head)) is not None:
        return wide
    if _is_utf8(file):
        return "utf-8"
    return _guess(file)


def headings_of(cells: Sequence[str]) -> list[str]:
    """One name per column, each once: blanks are numbered, repeated ones get a number behind them."""
    names: list[str] = []
    seen: Counter[str] = Counter()
    taken = {_heading(cell) for cell in cells}
    for place, cell in enumerate(cells, start=1):
        name = _heading(cell) or f"Column {place}"
        seen[name] += 1
        if seen[name] > 1 or name in names:
            number = seen[name]
            while f"{name} ({number})" in names or f"{name} ({number})" in taken:
                number += 1
            name = f"{name} ({number})"
        names.append(name)
    return names


# --- encodings ---


def _wide_without_mark(head: bytes) -> str | None:
    """UTF-16 of mostly Latin text has a NUL in every other place."""
    if len(head) < 4:
        return None
    even, odd = head[0::2].count(0), head[1::2].count(0)
    half = len(head) // 2
    if odd > half * 0.6 and even < half * 0.1:
        return "utf-16-le"
    if even > half * 0.6 and odd < half * 0.1:
        return "utf-16-be"
    return None


def _is_utf8(file: BinaryIO) -> bool:
    """Whether the bytes are UTF-8, but for few damaged places beside many good ones."""
    file.seek(0)
    decoder = codecs.getincrementaldecoder("utf-8")("surrogateescape")
    good = bad = 0
    while block := file.read(_BLOCK):
        text = decoder.decode(block)
        if text.isascii():
            continue
        broken = len(_ESCAPED.findall(text))
        bad += broken
        good += sum(1 for letter in text if letter > "\x7f") - broken
    bad += len(_ESCAPED.findall(decoder.decode(b"", final=True)))
    return bad == 0 or good >= 4 * bad


def _guess(file: BinaryIO) -> str:
    """The likeliest of the encodings that have a letter for every byte; Western European when none stands out."""
    sample = b"".join(_telling_lines(file))[:_SAMPLE_BYTES]
    if sum(byte > 0x7F for byte in sample) < _FEW_BYTES:
        return "cp1252"
    found = from_bytes(sample, cp_isolation=list(_GUESSED), threshold=0.35)
    best = found.best()
    if best is None:
        return "cp1252"
    if best.encoding in _WESTERN and _reads_western(sample):
        return "cp1252"
    return str(best.encoding)


def _reads_western(sample: bytes) -> bool:
    try:
        text = sample.decode("cp1252")
    except UnicodeDecodeError:
        return False
    special = [letter for letter in text if letter > "\x7f"]
    return sum(letter in _WESTERN_LETTERS for letter in special) >= 0.9 * len(special)


def _telling_lines(file: BinaryIO) -> Iterator[bytes]:
    """Lines with bytes beyond ASCII, wherever in the file they begin."""
    file.seek(0)
    size = 0
    while size < _SAMPLE_BYTES and (line := file.readline(_SAMPLE_LINE)):
        if not line.isascii():
            size += len(line)
            yield line


# --- lines and records ---


class _Unclosed(io.RawIOBase):
    """Passes reads on; closing the text above it leaves the caller's file open."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any, /) -> int:
        block = self._file.read(len(buffer))
        buffer[: len(block)] = block
        return len(block)


class _Lines:
    """The lines of a text, of which some can be given back; one that never ends comes in pieces."""

    def __init__(self, text: io.TextIOWrapper[Any]) -> None:
        self._text = text
        self._back: deque[str] = deque()

    def next(self) -> str:
        """The next line with its end; "" after the last."""
        if self._back:
            return self._back.popleft()
        return self._text.readline(MAX_COLUMNS * MAX_CELL)

    def give_back(self, lines: Sequence[str]) -> None:
        self._back.extendleft(reversed(lines))


@dataclass(frozen=True)
class _Record:
    cells: list[str]
    problem: str = ""

    @property
    def is_blank(self) -> bool:
        return not self.problem and not any(cell.strip() for cell in self.cells)


def _records(lines: _Lines, delimiter: str) -> Iterator[_Record]:
    """The records of the text. Where one cannot end, its first line alone is damaged and reading goes on behind it."""
    while True:
        used: list[str] = []
        reader = csv.reader(_counted(lines, used), delimiter=delimiter)
        try:
            cells = next(reader)
        except StopIteration:
            return
        except csv.Error:
            lines.give_back(used[1:])
            yield _Record([used[0][:MAX_CELL]], "It could not be taken apart into cells; look at its quotation marks.")
            continue
        if len(used) > 1 and (len(used) > MAX_LINES_OF_ROW or _is_open(used, lines)):
            lines.give_back(used[1:])
            yield _Record(
                next(csv.reader([used[0].replace('"', "")], delimiter=delimiter), []),
                'A quotation mark is opened and never closed; write quotation marks inside of a cell twice ("").',
            )
            continue
        yield _Record(cells, _problem_of(cells))


def _counted(lines: _Lines, used: list[str]) -> Iterator[str]:
    while len(used) <= MAX_LINES_OF_ROW and (line := lines.next()):
        used.append(line)
        yield line


def _is_open(used: Sequence[str], lines: _Lines) -> bool:
    """Whether the record ended with the text and not with its last quotation mark."""
    following = lines.next()
    if following:
        lines.give_back([following])
        return False
    return sum(line.count('"') for line in used) % 2 == 1


def _problem_of(cells: Sequence[str]) -> str:
    if any(len(cell) > MAX_CELL for cell in cells):
        return f"A cell is longer than {MAX_CELL:,} characters; shorten it."
    if any("\x00" in cell for cell in cells):
        return "A cell has NUL characters, which text cannot contain; the file may be damaged."
    if any(_ESCAPED.search(cell) for cell in cells if not cell.isascii()):
        return "A cell has bytes that are no UTF-8 text; save the file anew as UTF-8."
    return ""


def _rows(before: list[_Record], records: Iterator[_Record], headings: list[str]) -> Iterator[CsvRow]:
    number = 0
    for record in _chained(before, records):
        number += 1
        if record.is_blank:
            continue
        cells, problem = record.cells, record.problem
        if any(cell.strip() for cell in cells[len(headings) :]):
            problem = problem or (
                f"The row has {len(cells):,} cells and the headings are {len(headings):,}; "
                "put cells that contain the delimiter into quotation marks."
            )
        kept = cells[: len(headings)] if not problem else cells[: len(headings) + 5]
        padded = [*kept, *[""] * (len(headings) - len(kept))]
        yield CsvRow(number, [storable(cell) for cell in padded], problem)


def _chained(before: list[_Record], records: Iterator[_Record]) -> Iterator[_Record]:
    yield from before
    yield from records


_ESCAPED = re.compile("[\ud800-\udfff]")
_UNSTORABLE = re.compile("[\x00\ud800-\udfff]")


def storable(text: str) -> str:
    """The text as a database keeps it: cut to its bound, what is no character replaced."""
    return _UNSTORABLE.sub("\ufffd", text[:MAX_CELL])


def _heading(cell: str) -> str:
    return " ".join(storable(cell).replace("\ufeff", "").split())[:MAX_HEADING].strip()


# --- delimiters ---


def _said_by(lines: _Lines) -> str:
    """The delimiter that a first line `sep=;` names, as Excel writes it; else nothing, and nothing is read."""
    first = lines.next()
    said = _SEP_LINE.match(first.removeprefix("\ufeff"))
    if said:
        return said["delimiter"]
    if first:
        lines.give_back([first])
    return ""


def _delimiter_of(lines: _Lines) -> str:
    """The delimiter under which the first rows have the most columns and agree best on how many."""
    sample: list[str] = []
    size = 0
    while len(sample) < _SAMPLE_ROWS and size < _SAMPLE_BYTES and (line := lines.next()):
        sample.append(line)
        size += len(line)
    lines.give_back(sample)
    best, best_score = ",", 0.0
    for delimiter in DELIMITERS:
        widths = [len(cells) for cells in _tolerant(sample, delimiter) if cells]
        if not widths or widths[0] < 2:
            continue
        agreeing = sum(width == widths[0] for width in widths) / len(widths)
        score = agreeing * min(widths[0], 10) ** 0.5
        if score > best_score:
            best, best_score = delimiter, score
    return best


def _tolerant(sample: Iterable[str], delimiter: str) -> Iterator[list[str]]:
    reader = csv.reader(iter(sample), delimiter=delimiter)
    while True:
        try:
            yield next(reader)
        except StopIteration:
            return
        except csv.Error:
            continue
