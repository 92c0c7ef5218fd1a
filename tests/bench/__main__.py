"""Runs one suite and writes its figures."""

from __future__ import annotations

import argparse
import importlib
from pathlib import Path
from typing import Any

from tests.bench.figures import Figures

SUITES = sorted(path.stem for path in Path(__file__).parent.glob("suite_*.py"))


def main() -> None:
    names = [name.removeprefix("suite_") for name in SUITES]
    parser = argparse.ArgumentParser(prog="python -m tests.bench", description=__doc__)
    parser.add_argument("--suite", choices=names, required=True)
    parser.add_argument("--out", type=Path, required=True, help="file for the JSON lines")
    parser.add_argument("--quick", action="store_true", help="small tables and few requests: a trial of the suite")
    parser.add_argument("--short", action="store_true", help="all rounds, smaller backlogs: ten minutes (outbox)")
    parser.add_argument("--only", default="", help="only the parts of the suite whose name begins so (outbox)")
    options = parser.parse_args()
    figures = Figures(suite=options.suite)
    choice: dict[str, Any] = {"only": options.only} if options.only else {}
    if options.short:
        choice["short"] = True
    options.out.parent.mkdir(parents=True, exist_ok=True)
    try:
        importlib.import_module(f"tests.bench.suite_{options.suite}").run(figures, quick=options.quick, **choice)
    finally:
        # Half an hour's figures are not lost with the part that failed.
        figures.write(options.out)
    print(figures.table())
    print(f"Written to {options.out}.")


if __name__ == "__main__":
    main()
