"""Cost of sale: hours and money of a role, summed on the pursuit."""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from typing import Any

import pytest

from flowledger.errors import InvalidInput, PermissionRefused
from tests.workstream.conftest import actor_of
from tests.workstream.factories import AT, CLERK, open_pursuit
from tests.workstream.trail import nothing_changes
from workstream import services
from workstream.models import CostEntry, Pursuit

pytestmark = pytest.mark.django_db


def record(pursuit: Pursuit, **more: Any) -> CostEntry:
    arguments = {
        "org": pursuit.org,
        "pursuit_id": pursuit.pk,
        "role": "Solution architect",
        "hours": Decimal("2.50"),
        "amount": Decimal("300"),
        "spent_on": date(2026, 3, 2),
        "actor": CLERK,
        "at": AT,
    }
    return services.record_cost(**{**arguments, **more})


class TestRecordCost:
    def test_adds_up_on_the_pursuit(self, org, rep):
        pursuit = open_pursuit(org, owner=rep.user)
        entry = record(pursuit, actor=actor_of(rep))
        record(pursuit, hours=Decimal("1.25"), amount=Decimal(0))

        assert (entry.role, entry.recorded_by_id) == ("Solution architect", rep.user_id)
        stored = Pursuit.all_orgs.get(pk=pursuit.pk)
        assert (stored.cost_hours, stored.cost_amount) == (Decimal("3.75"), Decimal(300))
        assert stored.row_version == pursuit.row_version + 2

    @pytest.mark.parametrize(
        "change",
        [
            {"hours": Decimal(0), "amount": Decimal(0)},
            {"hours": Decimal(-1)},
            {"amount": Decimal(-1)},
            {"role": " "},
        ],
    )
    def test_what_does_not_fit_is_refused(self, org, change):
        pursuit = open_pursuit(org)
        with nothing_changes(), pytest.raises(InvalidInput):
            record(pursuit, **change)

    def test_somebody_elses_pursuit_is_refused(self, org, rep, colleague):
        pursuit = open_pursuit(org, owner=colleague.user)
        with nothing_changes(), pytest.raises(PermissionRefused):
            record(pursuit, actor=actor_of(rep))

    def test_over_rest(self, org, as_rep, as_stranger):
        pursuit = open_pursuit(org)
        path = f"/api/pursuits/{pursuit.pk}/costs"
        answer = as_rep.post(path, {"role": "Sales", "hours": 1.5, "spent_on": "2026-03-02"})

        assert answer.status_code == 201
        assert (answer.json()["hours"], answer.json()["amount"]) == (1.5, "0.00")
        assert as_rep.post(path, {"role": "Sales", "amount": "99.50"}).status_code == 201
        assert [row["amount"] for row in as_rep.get(path).json()["data"]] == ["99.50", "0.00"]
        shown = as_rep.get(f"/api/pursuits/{pursuit.pk}").json()
        assert (shown["cost_hours"], shown["cost_amount"]) == (1.5, "99.50")
        with nothing_changes():
            assert as_rep.post(path, {"role": "Sales"}).status_code == 400
            assert as_stranger.post(path, {"role": "Sales", "hours": 1}).status_code == 404
