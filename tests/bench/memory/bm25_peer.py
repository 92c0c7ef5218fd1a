"""BM25 by bm25s over the same atoms; run by the peers' environment, it imports nothing of FlowLedger.

python -m tests.bench.memory.bm25_peer INPUT OUTPUT

INPUT: JSON with `documents`, lists of lexemes as PostgreSQL's English configuration made them, as often as they stand
in the text, by atom id; and `questions`, likewise. OUTPUT: the ids of the best for each question, best first. Words
are handed over as lexemes since stemming alone is worth more than the choice of formula; k1 and b are those of Lucene.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import bm25s


def main(source: str, target: str) -> None:
    given = json.loads(Path(source).read_text())
    ids = [int(each) for each in given["documents"]]
    index = bm25s.BM25(method="lucene")
    index.index(list(given["documents"].values()), show_progress=False)
    answer: dict[str, list[int]] = {}
    for number, lexemes in given["questions"].items():
        known = [lexeme for lexeme in lexemes if lexeme in index.vocab_dict]
        if not known:
            answer[number] = []
            continue
        places, scores = index.retrieve([known], k=min(given["top"], len(ids)), show_progress=False)
        answer[number] = [
            ids[place] for place, score in zip(places[0].tolist(), scores[0].tolist(), strict=True) if score > 0
        ]
    Path(target).write_text(json.dumps(answer))


if __name__ == "__main__":
    main(*sys.argv[1:])
