"""What was learned, in sentences."""

from __future__ import annotations

from collections.abc import Sequence

from spotlight.learning.types import Effect, Quality, Verdict, Wish

Group = tuple[int, float | None]


def effect_sentence(
    wish: Wish, weight: float, *, met: Group, unmet: Group, different: int, is_kept: bool, is_harmful: bool
) -> str:
    """What a criterion did for winning and what becomes of its weight.

    `met` and `unmet` are (outcomes, share won or None); `different` outcomes differ from the rest in it.
    """
    if is_kept:
        return (
            f"Only {different} of the earlier outcomes differ in it, too few to learn from: it keeps its weight of "
            f"{number(wish.weight)}."
        )
    seen = f"Won {_of(met)} where it is met and {_of(unmet)} where it is not"
    if weight > 0:
        return f"{seen}: weight {number(wish.weight)} → {number(weight)}."
    change = f"weight {number(wish.weight)} → 0"
    if is_harmful:
        return f"{seen}; with the others alike it speaks against winning: {change}. Ask whether the opposite is wanted."
    return f"{seen}; it adds nothing to what the others say: {change}."


def summary(quality: Quality, effects: Sequence[Effect]) -> str:
    """What the proof came to."""
    told = {
        Verdict.BETTER: "The learned weights rank the outcomes that were held back better than the present ones",
        Verdict.WORSE: "The learned weights rank the outcomes that were held back worse than the present ones",
        Verdict.UNCLEAR: (
            "The outcomes that were held back do not show whether the learned weights rank better than the present ones"
        ),
    }[quality.verdict]
    advice = {
        Verdict.BETTER: "",
        Verdict.WORSE: " Better reject them.",
        Verdict.UNCLEAR: " More outcomes would tell.",
    }[quality.verdict]
    dropped = sum(effect.weight_after == 0 < effect.weight_before for effect in effects)
    without = {0: "", 1: " One criterion would lose its weight."}.get(
        dropped, f" {dropped} criteria would lose their weight."
    )
    return (
        f"{told}: a won pursuit scores above a lost one {percent(quality.auc_after)} of the time instead of "
        f"{percent(quality.auc_before)}.{advice}{without}"
    )


def percent(share: float) -> str:
    """A share in words, to the tenth of a per cent."""
    return f"{100 * share:.1f} %"


def number(value: float) -> str:
    """A weight without needless noughts."""
    return f"{value:.3f}".rstrip("0").rstrip(".")


def _of(group: Group) -> str:
    outcomes, rate = group
    return "none of none" if rate is None else f"{100 * rate:.0f} % of {outcomes:,}"
