"""Reading CSV files of the wild: encodings, delimiters, quotation marks, damage; a bad row is one row's trouble."""

from __future__ import annotations

import csv
import io

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from workstream.intake import csv_reading
from workstream.intake.csv_reading import MAX_CELL, MAX_COLUMNS, UnreadableCsv, read_csv

GERMAN = "Name;Firma\r\nJörg Müller;Müller & Söhne GmbH\r\nÄnne Großmann;Café Übersee\r\n"
WILD = {
    "utf-8": ("utf-8", GERMAN),
    "utf-8-sig": ("utf-8", GERMAN),
    "utf-16": ("utf-16", GERMAN),
    "utf-16-le": ("utf-16-le", GERMAN),
    "utf-16-be": ("utf-16-be", GERMAN),
    "utf-32": ("utf-32", GERMAN),
    "cp1252": ("cp1252", GERMAN),
    "iso-8859-1": ("cp1252", GERMAN),
    "mac_roman": ("mac_roman", GERMAN),
    "cp1251": ("cp1251", "Имя,Компания\nИван Петров,Рога и копыта\nМария Сидорова,Газпром\n"),
    "koi8_r": ("koi8_r", "Имя,Компания\nИван Петров,Рога и копыта\nМария Сидорова,Газпром\n"),
    "shift_jis": ("cp932", "名前,会社\n山田太郎,株式会社東京\n佐藤花子,大阪商事\n"),
    "gb18030": ("gb18030", "姓名,公司\n王小明,北京科技有限公司\n李华,上海贸易公司\n"),
    "cp1250": ("cp1250", "Imię,Firma\nŻaneta Wójcik,Łódź Spółka\nPaweł Święch,Gdańsk Źródło\n"),
    "cp1253": ("cp1253", "Όνομα,Εταιρεία\nΓιώργος Παπαδόπουλος,Ελληνική Εταιρεία\n"),
}


def read(body: bytes, **said):
    found = read_csv(io.BytesIO(body), **said)
    return found, list(found.rows)


def cells(body: bytes, **said) -> list[list[str]]:
    return [row.cells for row in read(body, **said)[1]]


class TestEncodings:
    @pytest.mark.parametrize("encoding", WILD)
    def test_are_found_out_and_no_letter_is_lost(self, encoding):
        """A peer reads every file as ISO 8859-1 and garbles UTF-8 (peers.md, defect 10)."""
        name, text = WILD[encoding]
        found, rows = read(text.encode(encoding))
        expected = list(csv.reader(io.StringIO(text), delimiter=found.delimiter))

        assert (found.encoding, found.headings) == (name, expected[0])
        assert [row.cells for row in rows] == expected[1:]
        assert not any(row.problem for row in rows)

    def test_the_one_that_is_said_is_taken(self):
        assert cells("a\nß\n".encode("cp1252"), encoding="iso-8859-15") == [["ß"]]
        with pytest.raises(UnreadableCsv, match="Choose one of the encodings"):
            read(b"a\nb\n", encoding="rot13")

    def test_a_damaged_byte_does_not_change_how_the_rest_is_read(self):
        body = GERMAN.encode() + b"broken \xff;x\r\n" + "Zoë;y\r\n".encode()
        found, rows = read(body)

        assert found.encoding == "utf-8"
        assert [bool(row.problem) for row in rows] == [False, False, True, False]
        assert "no UTF-8 text" in rows[2].problem
        assert rows[3].cells == ["Zoë", "y"]

    def test_few_letters_are_western(self):
        found, rows = read("Name\nZoë\n".encode("cp1252"))

        assert (found.encoding, rows[0].cells) == ("cp1252", ["Zoë"])

    def test_umlauts_far_behind_are_found(self):
        body = b"name\n" + b"plain\n" * 60_000 + "Müller Größe Äpfel\n".encode("cp1252")

        assert cells(body)[-1] == ["Müller Größe Äpfel"]


class TestDelimiters:
    @pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
    def test_are_found_out(self, delimiter):
        body = delimiter.join(["name", "amount", "note"]) + "\n" + delimiter.join(["Ann", "1.5", "x"]) + "\n"
        found, rows = read(body.encode())

        assert (found.delimiter, rows[0].cells) == (delimiter, ["Ann", "1.5", "x"])

    def test_decimal_commas_do_not_win_over_semicolons(self):
        found, _ = read(b"name;amount\nAnn;1,5\nBob;2,5\n")

        assert found.delimiter == ";"

    def test_the_line_of_excel_is_believed(self):
        found, rows = read(b"sep=|\nname|note\nAnn|a,b,c\n")

        assert (found.delimiter, found.headings, rows[0].cells) == ("|", ["name", "note"], ["Ann", "a,b,c"])

    def test_one_column_is_a_file_too(self):
        assert cells(b"email\na@b.example\nc@d.example\n") == [["a@b.example"], ["c@d.example"]]


class TestQuotation:
    def test_cells_may_have_delimiters_line_ends_and_marks(self):
        assert cells(b'a,b\n"x, y","first\r\nsecond"\n"say ""hi""",z\n') == [
            ["x, y", "first\r\nsecond"],
            ['say "hi"', "z"],
        ]

    def test_inches_are_no_quotation(self):
        assert cells(b'a,b\n5" pipe,x\n') == [['5" pipe', "x"]]

    def test_a_mark_that_is_never_closed_spoils_its_own_row_alone(self):
        _, rows = read(b'a,b\n1,2\n"open,3\n4,5\n6,7\n')

        assert [row.cells for row in rows] == [["1", "2"], ["open", "3"], ["4", "5"], ["6", "7"]]
        assert [bool(row.problem) for row in rows] == [False, True, False, False]
        assert "never closed" in rows[1].problem

    def test_nor_does_it_swallow_a_long_file(self):
        _, rows = read(b'a,b\n"open,3\n' + b"4,5\n" * 2000)

        assert [bool(row.problem) for row in rows] == [True] + [False] * 2000


class TestDamage:
    def test_rows_of_other_widths(self):
        _, rows = read(b"a,b,c\n1\n1,2,3\n1,2,3,,\n1,2,3,4\n\n,,\n9,9,9\n")

        assert [(row.number, row.cells[:3]) for row in rows] == [
            (1, ["1", "", ""]),
            (2, ["1", "2", "3"]),
            (3, ["1", "2", "3"]),
            (4, ["1", "2", "3"]),
            (7, ["9", "9", "9"]),
        ]
        assert [bool(row.problem) for row in rows] == [False, False, False, True, False]
        assert "4 cells and the headings are 3" in rows[3].problem

    def test_nul_characters(self):
        _, rows = read(b"a,b\nx\x00y,1\nz,2\n")

        assert "NUL" in rows[0].problem
        assert rows[0].cells == ["x\ufffdy", "1"]
        assert rows[1].problem == ""

    def test_huge_cells(self):
        _, rows = read(b"a,b\n" + b"x" * (MAX_CELL + 1) + b",1\n" + b"y" * 300_000 + b",2\nz,3\n")

        assert [bool(row.problem) for row in rows] == [True, True, False]
        assert all(len(cell) <= MAX_CELL for row in rows for cell in row.cells)

    @pytest.mark.parametrize("body", [b"", b"\n\n \n", b"\xef\xbb\xbf", b",,,\n"])
    def test_empty_files(self, body):
        with pytest.raises(UnreadableCsv, match="The file is empty"):
            read(body)

    def test_too_many_columns(self):
        with pytest.raises(UnreadableCsv, match=f"at most {MAX_COLUMNS}"):
            read(b"a," * MAX_COLUMNS + b"b\n1\n")

    @given(body=st.binary(max_size=400))
    @settings(max_examples=200, deadline=None)
    def test_any_bytes_are_rows_or_a_reason(self, body):
        try:
            _found, rows = read(body)
        except UnreadableCsv as error:
            assert str(error)
            return
        for row in rows:
            "".join(row.cells).encode()
            assert "\x00" not in "".join(row.cells)

    @given(table=st.lists(st.lists(st.text(max_size=20), min_size=3, max_size=3), min_size=1, max_size=8))
    @settings(max_examples=150, deadline=None)
    def test_what_python_writes_comes_back(self, table):
        """But for what text cannot contain, which is said, and rows without anything."""
        out = io.StringIO()
        writer = csv.writer(out)
        writer.writerows([["first", "second", "third"], *table])
        found, rows = read(out.getvalue().encode("utf-8", "replace"), encoding="utf-8", delimiter=",")
        expected = [
            row
            for row in ([cell.encode("utf-8", "replace").decode() for cell in row] for row in table)
            if any(cell.strip() for cell in row)
        ]

        assert found.headings == ["first", "second", "third"]
        assert len(rows) == len(expected)
        for row, cells_written in zip(rows, expected, strict=True):
            if not row.problem:
                assert row.cells == cells_written
            else:
                assert "\x00" in "".join(cells_written)


class TestHeadings:
    def test_are_made_one_of_each(self):
        found, _ = read(b"Email,,Email,  Email (2) ,E\xc2\xa0 mail\n1,2,3,4,5\n")

        assert found.headings == ["Email", "Column 2", "Email (3)", "Email (2)", "E mail"]

    def test_a_first_row_of_data_is_none(self):
        found, rows = read(b"ann@acme.example,Ann\nbob@acme.example,Bob\n")

        assert found.headings == ["Column 1", "Column 2"]
        assert [row.cells for row in rows] == [["ann@acme.example", "Ann"], ["bob@acme.example", "Bob"]]

    def test_what_is_said_counts(self):
        found, rows = read(b"Ann,Bob\nCid,Dan\n", has_headings=False)

        assert (found.headings, len(rows)) == (["Column 1", "Column 2"], 2)


def test_memory_is_bounded_by_a_row():
    """The rows come as they are asked for: of a long file only the beginning is read for the first ones."""

    class Counted(io.BytesIO):
        taken = 0

        def read(self, size: int | None = -1, /) -> bytes:
            block = super().read(size)
            self.taken += len(block)
            return block

    file = Counted(b"a,b\n" + b"1,2\n" * 500_000)
    found = read_csv(file, encoding="utf-8")
    file.taken = 0
    next(iter(found.rows))

    assert file.taken < 100_000
    assert csv_reading.MAX_LINES_OF_ROW * MAX_CELL < 50_000_000
