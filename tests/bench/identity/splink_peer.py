"""Splink on the same people and companies; run by the peers' environment, it imports nothing of FlowLedger.

python -m tests.bench.identity.splink_peer INPUT OUTPUT

Two models, people and companies, both `link_only` between the base and the records: u by random sampling, m by
expectation maximisation over several blockings, term frequencies for names, addresses, numbers, companies and domains,
so that a shared switchboard or a frequent name says less. The blocking rules reach nearly every true pair. The answer
to a record is the pair with the highest match weight (log2 of the odds; 0 is a probability of one half).
"""

from __future__ import annotations

import json
import logging
import sys
import time
from pathlib import Path
from typing import Any

import duckdb
import pyarrow
import splink.comparison_level_library as cll
import splink.comparison_library as cl
from splink import DuckDBAPI, Linker, SettingsCreator, block_on

SEED = 7
SAMPLED_PAIRS = 2_000_000

Row = dict[str, Any]


def main(source: str, target: str) -> None:
    logging.getLogger("splink").setLevel(logging.ERROR)
    tables = json.loads(Path(source).read_text())
    answer: dict[str, Any] = {}
    for name, base, records, build in (
        ("contacts", "base_people", "people", _people),
        ("clients", "base_companies", "companies", _companies),
    ):
        began = time.perf_counter()
        linker = build(tables[base], tables[records])
        trained = time.perf_counter()
        best, pairs = _best(linker)
        answer[name] = {
            "best": best,
            "pairs": pairs,
            "training_seconds": trained - began,
            "predicting_seconds": time.perf_counter() - trained,
        }
    Path(target).write_text(json.dumps(answer))


def _linker(base: list[Row], records: list[Row], settings: SettingsCreator) -> Linker:
    """Schemas are named: a column that is empty in a small table has no type of its own."""
    api = DuckDBAPI(duckdb.connect())
    inputs = []
    for title, rows in (("base", base), ("records", records)):
        schema = pyarrow.schema(
            [
                (name, pyarrow.int64() if name == "unique_id" else _FORMS if name == "forms" else pyarrow.string())
                for name in rows[0]
            ]
        )
        table = pyarrow.Table.from_pylist(rows, schema=schema)
        inputs.append(api.register(table, dataset_display_name=title))
    return Linker(inputs, settings, log_level=logging.ERROR)


_FORMS = pyarrow.list_(pyarrow.string())


def _people(base: list[Row], records: list[Row]) -> Linker:
    settings = SettingsCreator(
        link_type="link_only",
        comparisons=[_names(), _addresses(), _phones(), _employers(), cl.ExactMatch("country")],
        blocking_rules_to_generate_predictions=[
            block_on("email"),
            block_on("phone"),
            block_on("sorted_name"),
            block_on("domain"),
            block_on("company"),
            block_on("email_local"),
            block_on("family", "substr(given, 1, 1)"),
            block_on("family", "company_start"),
            block_on("given", "company_start"),
            block_on("given", "substr(family, 1, 3)"),
            block_on("domain_label"),
        ],
        retain_matching_columns=False,
        max_iterations=50,
    )
    linker = _linker(base, records, settings)
    linker.training.estimate_probability_two_random_records_match(
        [block_on("email"), block_on("sorted_name", "company"), block_on("phone", "family")], recall=0.75
    )
    linker.training.estimate_u_using_random_sampling(max_pairs=SAMPLED_PAIRS, seed=SEED)
    for rule in (block_on("email"), block_on("sorted_name"), block_on("phone"), block_on("domain", "family")):
        linker.training.estimate_parameters_using_expectation_maximisation(rule)
    return linker


def _companies(base: list[Row], records: list[Row]) -> Linker:
    settings = SettingsCreator(
        link_type="link_only",
        comparisons=[_company_names(), _domains(), cl.ExactMatch("country")],
        blocking_rules_to_generate_predictions=[
            block_on("domain"),
            block_on("company"),
            block_on("company_sorted"),
            block_on("domain_label"),
            block_on("company_start"),
            block_on("substr(company, 1, 4)"),
            block_on("substr(domain_label, 1, 5)"),
            block_on("substr(company, length(company) - 5)", "substr(company, 1, 1)"),
        ],
        retain_matching_columns=False,
        max_iterations=50,
    )
    linker = _linker(base, records, settings)
    linker.training.estimate_probability_two_random_records_match(
        [block_on("domain"), block_on("company", "country")], recall=0.85
    )
    linker.training.estimate_u_using_random_sampling(max_pairs=SAMPLED_PAIRS, seed=SEED)
    for rule in (block_on("domain"), block_on("company")):
        linker.training.estimate_parameters_using_expectation_maximisation(rule)
    return linker


def _level(sql: str, label: str, *, frequency: str = "", minimum: float = 0.0) -> Any:
    level = cll.CustomLevel(sql, label_for_charts=label)
    if frequency:
        return level.configure(tf_adjustment_column=frequency, tf_minimum_u_value=minimum)
    return level


def _names() -> Any:
    """Given and family name in one comparison, since they are swapped, shortened and married together."""
    both = "{0}_l is not null and {0}_r is not null"
    return cl.CustomComparison(
        output_column_name="name",
        comparison_levels=[
            cll.NullLevel("full_name"),
            cll.ExactMatchLevel("full_name").configure(tf_adjustment_column="full_name"),
            _level("sorted_name_l = sorted_name_r", "swapped", frequency="sorted_name"),
            _level(
                f"family_l = family_r and list_has_any(forms_l, forms_r) and {both.format('forms')}",
                "nickname",
                frequency="family",
            ),
            _level(
                "(jaro_winkler_similarity(full_name_l, full_name_r) >= 0.95 or"
                " jaro_winkler_similarity(sorted_name_l, sorted_name_r) >= 0.95)",
                "nearly the same",
            ),
            _level(
                "family_l = family_r and substr(given_l, 1, 1) = substr(given_r, 1, 1)"
                " and (length(given_l) = 1 or length(given_r) = 1)",
                "initial",
                frequency="family",
            ),
            _level(
                "(jaro_winkler_similarity(given_l, given_r) >= 0.85"
                " and jaro_winkler_similarity(family_l, family_r) >= 0.85)"
                " or (jaro_winkler_similarity(given_l, family_r) >= 0.9"
                " and jaro_winkler_similarity(family_l, given_r) >= 0.9)",
                "both similar",
            ),
            _level("family_l = family_r", "family name", frequency="family"),
            _level("given_l = given_r", "given name", frequency="given"),
            _level("jaro_winkler_similarity(full_name_l, full_name_r) >= 0.85", "similar"),
            cll.ElseLevel(),
        ],
    )


def _addresses() -> Any:
    return cl.CustomComparison(
        output_column_name="email",
        comparison_levels=[
            cll.NullLevel("email"),
            cll.ExactMatchLevel("email").configure(tf_adjustment_column="email"),
            _level(
                "abs(length(email_l) - length(email_r)) < 2 and damerau_levenshtein(email_l, email_r) <= 1", "one edit"
            ),
            _level("email_local_l = email_local_r", "the same before the @", frequency="email_local"),
            _level(
                "abs(length(email_l) - length(email_r)) < 3 and damerau_levenshtein(email_l, email_r) <= 2", "two edits"
            ),
            _level("jaro_winkler_similarity(email_local_l, email_local_r) >= 0.88", "similar before the @"),
            cll.ElseLevel(),
        ],
    )


def _phones() -> Any:
    return cl.CustomComparison(
        output_column_name="phone",
        comparison_levels=[
            cll.NullLevel("phone"),
            cll.ExactMatchLevel("phone").configure(tf_adjustment_column="phone"),
            _level("damerau_levenshtein(phone_l, phone_r) <= 1", "one edit"),
            _level("right(phone_l, 7) = right(phone_r, 7)", "the same end"),
            cll.ElseLevel(),
        ],
    )


def _employers() -> Any:
    """Company name and domain in one comparison: they go together, and counted apart a colleague would pass for one."""
    return cl.CustomComparison(
        output_column_name="employer",
        comparison_levels=[
            _null("(company_l is null or company_r is null) and (domain_l is null or domain_r is null)"),
            cll.ExactMatchLevel("domain").configure(tf_adjustment_column="domain"),
            cll.ExactMatchLevel("company").configure(tf_adjustment_column="company"),
            _level("domain_label_l = domain_label_r", "another suffix", frequency="domain_label"),
            _level("company_sorted_l = company_sorted_r", "other order", frequency="company_sorted"),
            _level(
                "damerau_levenshtein(company_l, company_r) <= 1 or damerau_levenshtein(domain_l, domain_r) <= 1",
                "one edit",
            ),
            _level("jaro_winkler_similarity(company_l, company_r) >= 0.92", "nearly the same"),
            _level("contains(company_l, company_r) or contains(company_r, company_l)", "one in the other"),
            _level("jaro_winkler_similarity(company_l, company_r) >= 0.8", "similar"),
            cll.ElseLevel(),
        ],
    )


def _null(sql: str) -> Any:
    return cll.CustomLevel(sql, label_for_charts="nothing to compare").configure(is_null_level=True)


def _company_names() -> Any:
    return cl.CustomComparison(
        output_column_name="company",
        comparison_levels=[
            cll.NullLevel("company"),
            _level("company_full_l = company_full_r", "with the legal form", frequency="company_full"),
            cll.ExactMatchLevel("company").configure(tf_adjustment_column="company"),
            _level("company_sorted_l = company_sorted_r", "other order", frequency="company_sorted"),
            _level("damerau_levenshtein(company_l, company_r) <= 1 and length(company_l) > 4", "one edit"),
            _level("jaro_winkler_similarity(company_l, company_r) >= 0.95", "nearly the same"),
            _level("contains(company_l, company_r) or contains(company_r, company_l)", "one in the other"),
            _level("company_start_l = company_start_r", "the same first word", frequency="company_start"),
            _level("jaro_winkler_similarity(company_l, company_r) >= 0.88", "similar"),
            _level("jaro_winkler_similarity(company_l, company_r) >= 0.75", "a little similar"),
            cll.ElseLevel(),
        ],
    )


def _domains() -> Any:
    return cl.CustomComparison(
        output_column_name="domain",
        comparison_levels=[
            cll.NullLevel("domain"),
            cll.ExactMatchLevel("domain").configure(tf_adjustment_column="domain"),
            _level("domain_label_l = domain_label_r", "another suffix", frequency="domain_label"),
            _level("damerau_levenshtein(domain_l, domain_r) <= 1", "one edit"),
            _level("jaro_winkler_similarity(domain_label_l, domain_label_r) >= 0.9", "similar"),
            cll.ElseLevel(),
        ],
    )


def _best(linker: Linker) -> tuple[dict[int, tuple[int, float]], int]:
    """By record the base's row with the highest weight, the smaller id among equals; and how many pairs were scored."""
    predicted = linker.inference.predict()
    rows = predicted.as_duckdbpyrelation().project(
        "source_dataset_l, unique_id_l, source_dataset_r, unique_id_r, match_weight"
    )
    best: dict[int, tuple[int, float]] = {}
    pairs = 0
    for source_l, id_l, _source_r, id_r, weight in rows.fetchall():
        known, record = (id_l, id_r) if source_l == "base" else (id_r, id_l)
        pairs += 1
        there = best.get(record)
        if there is None or (weight, -known) > (there[1], -there[0]):
            best[record] = (known, weight)
    return best, pairs


if __name__ == "__main__":
    main(*sys.argv[1:])
