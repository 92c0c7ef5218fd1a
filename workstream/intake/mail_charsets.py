"""Bytes of messages as text, whatever their label says."""

from __future__ import annotations

import codecs
import re

from charset_normalizer import from_bytes

# What mailers write, and what they mean by it. The Latin labels are read as Windows does, like browsers do
# (https://encoding.spec.whatwg.org/#names-and-labels); the others are the larger set that mailers really use.
_MEANT = {
    "ascii": "cp1252",
    "iso8859-1": "cp1252",
    "iso8859-9": "cp1254",
    "iso8859-11": "cp874",
    "tis-620": "cp874",
    "gb2312": "gb18030",
    "gbk": "gb18030",
    "euc_kr": "cp949",
    "shift_jis": "cp932",
    "big5": "big5hkscs",
    "iso2022_jp": "iso2022_jp_ext",
}
# Labels that Python does not know.
_ALIASES = {
    "ks_c_5601-1987": "cp949",
    "ks_c_5601": "cp949",
    "x-sjis": "cp932",
    "windows-31j": "cp932",
    "x-gbk": "gb18030",
    "unicode-1-1-utf-7": "utf-7",
    "utf8mb4": "utf-8",
    "unicode": "utf-8",
    "iso-8859-8-i": "iso8859-8",
    "x-mac-roman": "mac_roman",
    "ansi": "cp1252",
    "x-unknown": "",
    "default_charset": "",
    "unknown-8bit": "",
}
# Codecs of Python that are no charsets: they turn bytes into bytes, or run.
_NO_CHARSETS = frozenset({"idna", "punycode", "undefined", "unicode_escape", "raw_unicode_escape", "mbcs", "oem"})
_HIGH = re.compile(rb"[\x80-\xff]")
# Above this share of bytes beyond ASCII a text is hardly a Western one.
_WESTERN_SHARE = 0.2
_SAMPLE = 20_000


def decode_text(data: bytes, declared: str = "") -> str:
    """The text of bytes that are labelled `declared`, which may be wrong, unknown or missing.

    UTF-8 is recognised whatever the label says: bytes of another charset hardly ever are valid UTF-8. A label that
    fits is believed; where none does, the charset is guessed. What still cannot be read becomes U+FFFD.
    """
    if b"\x1b$" in data and not _HIGH.search(data):
        return data.decode("iso2022_jp_ext", "replace")
    for mark, name in (
        (codecs.BOM_UTF8, "utf-8-sig"),
        (codecs.BOM_UTF16_LE, "utf-16"),
        (codecs.BOM_UTF16_BE, "utf-16"),
    ):
        if data.startswith(mark):
            return data.decode(name, "replace")
    charset = known_charset(declared)
    wide = charset.startswith(("utf_16", "utf-16", "utf_32", "utf-32", "utf-7", "iso2022", "hz"))
    attempts = [charset, "utf-8"] if wide else ["utf-8", charset]
    for name in filter(None, attempts):
        try:
            return data.decode(name)
        except (UnicodeError, LookupError, ValueError):
            continue
    return data.decode(_guess(data), "replace")


def known_charset(declared: str) -> str:
    """The codec of a label, blank when it names none."""
    label = declared.strip().strip("\"'").lower()
    label = _ALIASES.get(label, label)
    if not label:
        return ""
    try:
        codec = codecs.lookup(label)
    except (LookupError, ValueError, UnicodeError):
        # `windows-1252http-equiv`, `charset=utf-8;`: what is left when the end is cut off.
        found = re.match(r"(windows-\d{3,4}|iso-8859-\d{1,2}|utf-?8|utf-?16|koi8-[ru])", label)
        if found is None or found.group() == label:
            return ""
        return known_charset(found.group())
    # Codecs like base64 or rot13 are found too; only text encodings decode bytes to text.
    if not getattr(codec, "_is_text_encoding", True) or codec.name in _NO_CHARSETS:
        return ""
    return _MEANT.get(codec.name, codec.name)


def _guess(data: bytes) -> str:
    """A charset for bytes that are neither UTF-8 nor what their label says."""
    sample = data[:_SAMPLE]
    if len(_HIGH.findall(sample)) <= _WESTERN_SHARE * len(sample):
        # A few accents in plain text: guessing by frequencies errs here more often than Windows' own charset.
        try:
            data.decode("cp1252")
        except UnicodeError:
            pass
        else:
            return "cp1252"
    best = from_bytes(sample).best()
    return best.encoding if best is not None else "cp1252"


_CONTROLS = {code: None for code in range(32) if chr(code) not in "\t\n"} | {0x7F: None}
# Zero-width characters with which newsletters pad their preview line.
_CONTROLS |= dict.fromkeys((0x200B, 0x200C, 0x200E, 0x200F, 0x2060, 0xFEFF, 0x034F, 0x00AD))


def clean(text: str) -> str:
    """The text with one kind of line break and without what cannot be stored or seen."""
    text = text.replace("\r\n", "\n").replace("\r", "\n").replace("\f", "\n").replace("\u2028", "\n")
    text = text.translate(_CONTROLS).replace("\u00a0", " ")
    return text if text.isascii() else text.encode("utf-8", "replace").decode()
