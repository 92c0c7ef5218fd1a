"""Why signals of the review queue score what they score, in sentences, for a page of them at once."""

from __future__ import annotations

from collections.abc import Collection

from flowledger.tenancy.models import Organization
from spotlight.evaluation.explaining import explain
from spotlight.models import RoutedSignal, SpotlightScore
from spotlight.services.definitions import evaluation_of, profiles_at, scale_of


def sentences_of(*, org: Organization, reviews: Collection[RoutedSignal]) -> dict[int, list[str]]:
    """By review: what caps the recommendation, and what counts most against the score and for it.

    The sentences are those of the stored score by the profile that routed the signal. A review whose profile or score
    is gone has none. Two statements, and one for every other version of a profile than the present one.
    """
    wanted = {(row.signal_id, row.spotlight_id): row.pk for row in reviews if row.spotlight_id is not None}
    if not wanted:
        return {}
    rows = SpotlightScore.objects.for_org(org).filter(
        signal__in={signal_id for signal_id, _ in wanted}, spotlight__in={pk for _, pk in wanted}
    )
    scores = [score for score in rows.order_by("pk") if (score.signal_id, score.spotlight_id) in wanted]
    if not scores:
        return {}
    profiles = profiles_at(org, ((score.spotlight_id, score.spotlight_version) for score in scores))
    scale = scale_of(org)
    said: dict[int, list[str]] = {}
    for score in scores:
        profile = profiles[score.spotlight_id, score.spotlight_version]
        explained = explain(profile, evaluation_of(score), scale, score.algorithm_version)
        tops = (*explained.top_negative, *explained.top_positive)
        said[wanted[score.signal_id, score.spotlight_id]] = [
            *(cap.sentence for cap in explained.caps),
            *(component.sentence for component in tops),
        ]
    return said
