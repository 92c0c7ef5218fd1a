"""The rules by which people and companies are recognised, declared for organisations to set their own."""

from __future__ import annotations

from typing import Annotated, Self

from pydantic import Field, model_validator

from flowledger.configuration.registry import Rule, declare

Likelihood = Annotated[float, Field(ge=0.5, le=1)]


class IdentityMatching(Rule):
    """From which similarity on a signal is linked, and from which a person is asked."""

    auto: Likelihood = 0.9
    review: Likelihood = 0.6

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        if self.review > self.auto:
            raise ValueError("Nothing is left to ask about when review is above auto; set it at most as high")
        return self


IDENTITY_MATCHING = declare(
    "routing_rule",
    "identity_matching",
    schema=IdentityMatching,
    default=IdentityMatching(),
    help=(
        "How similar a person or company must be to one that is known when no address, number or domain says it "
        "exactly: from auto on the signal is linked; from review on a new one is made and the pair is put in the "
        "review queue; below that a new one is made. 1 for both turns similarity off."
    ),
)
