"""The evidence for learned weights, drawn."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from workstream.admin.report_tables import BAD, GOOD, Chart, bar_chart, line_chart

# Longer names would leave no room for the bars.
LONGEST_LABEL = 30


def charts_of(evidence: Mapping[str, Any]) -> list[Chart]:
    """Weights, effects, lift and calibration."""
    effects, steps, bins = evidence["effects"], evidence["lift"], evidence["calibration"]
    names = [_short(effect["label"]) for effect in effects]
    return [
        _side_by_side(
            bar_chart(
                "Weights",
                names,
                {
                    "Proposed": [effect["weight_after"] for effect in effects],
                    "Now": [effect["weight_before"] for effect in effects],
                },
            )
        ),
        _side_by_side(
            bar_chart(
                "Won, in per cent, by criterion",
                names,
                {
                    "Where it is met": [_percent(effect["met_rate"]) for effect in effects],
                    "Where it is not": [_percent(effect["unmet_rate"]) for effect in effects],
                },
                colours=(GOOD, BAD),
            )
        ),
        line_chart(
            "Lift: how often the best so many per cent were won, against the average",
            [f"{100 * step['share']:.0f} %" for step in steps],
            {"Proposed": [step["after"] for step in steps], "Now": [step["before"] for step in steps]},
        ),
        line_chart(
            "Calibration: the predicted chance and what was won, in per cent",
            [f"{100 * each['predicted']:.0f} %" for each in bins],
            {
                "Won": [_percent(each["observed"]) for each in bins],
                "As predicted": [_percent(each["predicted"]) for each in bins],
            },
        ),
    ]


def _side_by_side(chart: Chart) -> Chart:
    """With stacks of their own the bars of one label do not hide each other."""
    drawing = json.loads(chart.data)
    for place, dataset in enumerate(drawing["datasets"]):
        dataset["stack"] = str(place)
    return replace(chart, data=json.dumps(drawing))


def _percent(share: float | None) -> float | None:
    return None if share is None else round(100 * share, 1)


def _short(label: str) -> str:
    return label if len(label) <= LONGEST_LABEL else f"{label[: LONGEST_LABEL - 1]}…"
