"""`.env.example` names every variable that the settings and the Procfile read, and no other."""

import re
from pathlib import Path

CHECKOUT = Path(__file__).resolve().parents[2]
READ_IN_PYTHON = re.compile(r"""\benv(?:\.\w+)?\(\s*["']([A-Z][A-Z0-9_]+)["']""")
READ_IN_SHELL = re.compile(r"\$\{([A-Z][A-Z0-9_]+)")
EXAMPLE = re.compile(r"^#?([A-Z][A-Z0-9_]+)=", re.MULTILINE)

# Read by the embedded servers, which know no django-environ, and by anymail under the provider's own name.
READ_ELSEWHERE = {"FLOWLEDGER_DATA_DIR", "ANYMAIL_POSTMARK_SERVER_TOKEN"}
# Not for people: one of the addresses under its own name.
UNDOCUMENTED = {"CELERY_BROKER_URL"}


def test_names_what_is_read():
    read = {*READ_IN_PYTHON.findall((CHECKOUT / "flowledger" / "settings.py").read_text())}
    read |= {*READ_IN_SHELL.findall((CHECKOUT / "Procfile").read_text())}

    assert {*EXAMPLE.findall((CHECKOUT / ".env.example").read_text())} == (read | READ_ELSEWHERE) - UNDOCUMENTED
