"""The worked example, the same everywhere: four wishes, 3.2 of them met, so 0.8 and a high match.

It is what `docs/recipes/spotlight.md` tells. The signal comes through the door like any other; the score is read from
the engine, the trial, the event, the scores of the signal, its page, and the candidate that came of it.
"""

from __future__ import annotations

import html
import json
import re
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from django.urls import reverse

from flowledger.outbox.drain import drain_all
from flowledger.outbox.models import WorkEvent
from flowledger.tenancy.actors import Role
from flowledger.tenancy.models import Membership
from flowledger.tenancy.scope import org_scope
from spotlight.evaluation.engine import compile_profiles
from spotlight.evaluation.explaining import explain
from spotlight.evaluation.reading import facts_from
from spotlight.models import SpotlightScore
from spotlight.services.definitions import active_profiles, scale_of
from tests.client import ApiClient, bearer
from tests.spotlight.factories import WORKED_DATA, open_spotlight
from workstream.models import Candidate

pytestmark = pytest.mark.django_db

RECIPE = (Path(__file__).resolve().parents[2] / "docs" / "recipes" / "spotlight.md").read_text()

SENTENCES = [
    "+10 industry match: Financial Services",
    "−6 budget below range: 60k of 100k+ (20% credit)",
    "+10 employees match: 120 of 50–200",
    "+10 sites match: 3 of 2+",
]
PARTS = [0.25, 0.05, 0.25, 0.25]
POINTS = [10.0, -6.0, 10.0, 10.0]


@pytest.fixture
def profile(home: Any) -> Any:
    return open_spotlight(home.org, name="Banks of a good size")


@pytest.fixture
def as_manager(home: Any) -> ApiClient:
    return ApiClient(bearer(Membership.all_orgs.get(org=home.org, user=home.people[Role.MANAGER])))


@pytest.fixture
def signal_id(profile: Any, as_manager: ApiClient) -> int:
    """The signal, received and scored."""
    body = {"source_type": "web_form", "company_name": "Quay Bank", "attributes": dict(WORKED_DATA)}
    answer = as_manager.post("/api/signals", body)
    assert answer.status_code == 201, answer.content
    result = drain_all()
    assert (result.failed, result.dead) == (0, 0)
    return int(answer.json()["signal_id"])


def is_the_example(document: dict[str, Any]) -> None:
    """An explanation as the API writes it."""
    assert (document["match_score"], document["recommendation"], document["coverage"]) == (0.8, "high_match", 1.0)
    assert (document["matched_fields"], document["total_fields"]) == (3, 4)
    components = document["components"]
    assert [each["sentence"] for each in components] == SENTENCES
    assert [each["score_part"] for each in components] == PARTS
    assert [each["points"] for each in components] == POINTS
    assert sum(Decimal(str(each["score_part"])) for each in components) == Decimal("0.8")
    assert [each["credit"] for each in components] == [1.0, 0.2, 1.0, 1.0]
    assert document["top_negative"] == [SENTENCES[1]]
    assert document["caps"] == []


def block(name: str) -> Any:
    """A JSON block of the recipe."""
    (found,) = re.findall(rf"^```json {name}\n(.*?)^```", RECIPE, re.DOTALL | re.MULTILINE)
    return json.loads(found)


def test_in_the_recipe(as_manager: ApiClient) -> None:
    made = as_manager.post("/api/spotlights", block("profile"))
    assert made.status_code == 201, made.content
    answer = as_manager.post(
        f"/api/spotlights/{made.json()['spotlight_id']}/evaluate", {"signal_data": block("signal")}
    )
    is_the_example(answer.json())
    assert [sentence for sentence in SENTENCES if f"| {sentence} |" not in RECIPE] == []


def test_in_the_engine(home: Any, profile: Any) -> None:
    with org_scope(home.org):
        profiles, scale = active_profiles(home.org), scale_of(home.org)
    (evaluation,) = compile_profiles(profiles, scale).evaluate(facts_from(WORKED_DATA, "signal"))
    is_the_example(explain(profiles[0], evaluation, scale).as_dict())


def test_in_a_trial(profile: Any, as_manager: ApiClient) -> None:
    answer = as_manager.post(f"/api/spotlights/{profile.pk}/evaluate", {"signal_data": dict(WORKED_DATA)})
    assert answer.status_code == 200, answer.content
    is_the_example(answer.json())
    assert not SpotlightScore.all_orgs.exists()


def test_in_the_scores_of_the_signal(signal_id: int, as_manager: ApiClient) -> None:
    answer = as_manager.get(f"/api/spotlights/scores/signal/{signal_id}")
    assert answer.status_code == 200, answer.content
    (score,) = answer.json()["scores"]
    is_the_example(score)
    assert answer.json()["best"]["recommendation"] == score["counts"]["recommendation"] == "high_match"


def test_in_the_event(profile: Any, signal_id: int) -> None:
    (payload,) = WorkEvent.all_orgs.filter(event_name="spotlight.evaluated", item_type="signal").values_list(
        "payload", flat=True
    )
    assert (payload["item_id"], payload["cause"]) == (signal_id, "new")
    said = {name: payload["best"][name] for name in ("spotlight_id", "name", "version", "recommendation")}
    assert said == {
        "spotlight_id": profile.pk,
        "name": "Banks of a good size",
        "version": 1,
        "recommendation": "high_match",
    }
    assert float(payload["best"]["match_score"]) == 0.8
    (result,) = payload["results"]
    assert (float(result["match_score"]), result["previous_score"]) == (0.8, None)


def test_on_the_page_of_the_signal(signal_id: int, as_role: Any) -> None:
    page = as_role(Role.VIEWER).get(reverse("admin:workstream_signal_change", args=[signal_id]))
    # Points stand in a column of their own, and a sentence begins with a capital there.
    text = " ".join(html.unescape(re.sub(r"<[^>]*>", " ", page.content.decode())).split())
    assert [sentence for sentence in SENTENCES if sentence.lower() not in text.lower()] == []
    assert "Customer fit 0.80 High match" in text


def test_as_a_candidate(home: Any, signal_id: int) -> None:
    (candidate,) = Candidate.all_orgs.filter(org=home.org, signals=signal_id)
    assert (candidate.icp_score, candidate.icp_band) == (Decimal("0.800"), "high")
    assert drain_all().failed == 0
    assert Candidate.all_orgs.filter(org=home.org).count() == 1
