"""The memory card on the pages of the back office: shown, kept fresh, never more than its reader may read."""

from __future__ import annotations

from datetime import timedelta
from html import unescape
from typing import Any

import pytest
from django.urls import reverse
from django.utils.timezone import now

from flowledger.backoffice.panels import Panel
from flowledger.tenancy.actors import Role
from memory.admin.card_panel import CardPanel
from memory.models import Audience, CardLook, MemoryCard
from tests.factories import ClientFactory, ContactFactory
from tests.memory.card_rows import remember
from tests.memory.closed_deals import deal
from tests.memory.factories import AtomConflictFactory, entity_name
from tests.queries import counted_queries
from tests.workstream.back_office import address
from tests.workstream.factories import (
    CandidateFactory,
    EngagementFactory,
    ProposalFactory,
    SignalFactory,
    open_pursuit,
)
from workstream.machines import PursuitStage

MINUTE = timedelta(minutes=1)
MADE: dict[str, Any] = {
    "client": lambda org: ClientFactory(org=org),
    "contact": lambda org: ContactFactory(org=org),
    "signal": lambda org: SignalFactory(org=org),
    "candidate": lambda org: CandidateFactory(org=org),
    "pursuit": lambda org: open_pursuit(org),
    "proposal": lambda org: ProposalFactory(org=org),
    "engagement": lambda org: EngagementFactory(org=org),
}


def page_of(row):
    return address(type(row), "change", row.pk)


def rows_of(row):
    return reverse("admin:memory_card", args=[entity_name(row), row.pk])


def panel_of(response) -> CardPanel:
    found: list[Panel] = response.context["registered_panels"]
    [panel] = [each.content for each in found if isinstance(each.content, CardPanel)]
    return panel


def texts(lines):
    return [line.text for line in lines]


class TestPage:
    @pytest.mark.parametrize("kind", MADE)
    def test_stands_on_the_page_of_every_kind_of_entity(self, home, as_role, kind):
        row = MADE[kind](home.org)
        remember(home.org, "They <prefer> email.", kind="preference", **{kind: row}, at=now())

        response = as_role(Role.VIEWER).get(page_of(row))

        text = response.content.decode()
        assert response.status_code == 200
        assert [(heading, texts(lines)) for heading, lines in panel_of(response).sections] == [
            ("Preferences", ["They <prefer> email."])
        ]
        assert text.count('id="memory-card"') == 1
        assert "They &lt;prefer&gt; email." in text
        assert "They <prefer>" not in text
        assert f'hx-get="{rows_of(row)}"' in text
        assert text.count("polling.js") == 1

    def test_says_so_where_nothing_is_known(self, home, as_role):
        client = ClientFactory(org=home.org)

        text = as_role(Role.VIEWER).get(page_of(client)).content.decode()

        assert "Nothing is remembered of this client yet." in text

    def test_names_what_a_line_was_said_of_and_marks_what_is_contested(self, home, as_role):
        client, pursuit = ClientFactory(org=home.org), open_pursuit(home.org)
        older = remember(home.org, "They stay.", kind="risk", pursuit=pursuit, through=[client], at=now())
        newer = remember(home.org, "They leave.", kind="risk", client=client, at=now())
        AtomConflictFactory(org=home.org, older=older, newer=newer)

        response = as_role(Role.VIEWER).get(page_of(client))

        [(_, lines)] = panel_of(response).sections
        said = {line.text: (line.about, line.about_link, line.is_contested) for line in lines}
        assert said == {
            "They stay.": (pursuit.title, page_of(pursuit), True),
            "They leave.": ("", "", True),
        }
        assert unescape(response.content.decode()).count("Contested:") == 2

    def test_shows_what_came_since_one_last_looked(self, home, as_role):
        client, reader = ClientFactory(org=home.org), as_role(Role.REP)
        remember(home.org, "Old news.", client=client, at=now() - timedelta(days=3))
        reader.get(page_of(client))
        look_back(client, days=1)
        remember(home.org, "They signed elsewhere.", client=client, at=now())

        panel = panel_of(reader.get(page_of(client)))

        assert (panel.new_count, texts(panel.news)) == ("1", ["They signed elsewhere."])
        assert panel_of(as_role(Role.MANAGER).get(page_of(client))).new_count == ""

    def test_shows_managers_what_others_do_not_see(self, home, as_role):
        client = ClientFactory(org=home.org)
        remember(home.org, "We may drop them.", client=client, audience=Audience.MANAGERS, at=now())

        shown = {
            role: "We may drop them." in as_role(role).get(page_of(client)).content.decode()
            for role in (Role.REP, Role.MANAGER, Role.ADMIN)
        }

        assert shown == {Role.REP: False, Role.MANAGER: True, Role.ADMIN: True}

    def test_costs_as_many_queries_for_many_atoms_as_for_few(self, home, as_role):
        client, reader = ClientFactory(org=home.org), as_role(Role.VIEWER)
        pursuits = [open_pursuit(home.org) for _ in range(6)]
        counts = []
        for size in (1, 5):
            for number in range(size):
                text = f"Risk {size}.{number}."
                remember(home.org, text, kind="risk", pursuit=pursuits[number], through=[client], at=now())
            reader.get(page_of(client))
            with counted_queries() as statements:
                reader.get(page_of(client))
            counts.append(len(statements))
        assert counts[0] == counts[1]


def look_back(client, *, days):
    """As if whoever looked had done so earlier, and the card had been built then."""
    earlier = now() - timedelta(days=days)
    CardLook.all_orgs.filter(client=client).update(looked_at=earlier)
    MemoryCard.all_orgs.filter(client=client).update(last_built_at=earlier)


class TestPolling:
    def test_answers_304_while_nothing_changed_and_the_card_alone_when_it_did(self, home, as_role):
        client, reader = ClientFactory(org=home.org), as_role(Role.REP)
        remember(home.org, "They prefer email.", client=client, at=now() - 5 * MINUTE)
        etag = panel_of(reader.get(page_of(client))).etag

        same = reader.get(rows_of(client), headers={"If-None-Match": etag})
        remember(home.org, "They prefer calls.", client=client, at=now() - 3 * MINUTE)
        changed = reader.get(rows_of(client), headers={"If-None-Match": etag})

        assert (same.status_code, same.headers["ETag"], same.content) == (304, etag, b"")
        assert changed.status_code == 200
        assert changed.headers["ETag"] not in ("", etag)
        text = changed.content.decode()
        assert "They prefer calls." in text
        assert "<html" not in text
        assert "polling.js" not in text

    def test_of_what_is_not_there_or_not_ours_there_is_none(self, home, abroad, as_role):
        stranger, reader = ClientFactory(org=abroad.org), as_role(Role.ADMIN)

        for link in (
            rows_of(stranger),
            reverse("admin:memory_card", args=["task", 1]),
            reverse("admin:memory_card", args=["client", 2**40]),
        ):
            assert reader.get(link).status_code == 404
        assert reader.post(rows_of(ClientFactory(org=home.org))).status_code == 405

    def test_asks_strangers_to_log_in(self, client, home):
        row = ClientFactory(org=home.org)

        assert client.get(rows_of(row)).status_code == 302


class TestLessons:
    def test_an_open_pursuit_shows_why_deals_like_it_were_lost(self, home, as_role):
        asked = deal(home.org, industry="farming", stage=PursuitStage.QUAL)
        lost = deal(home.org, industry="farming")
        other = deal(home.org, industry="farming")
        remember(home.org, "Lost on price.", kind="decision", pursuit=lost, at=now())
        remember(home.org, "Secret reason.", kind="risk", pursuit=other, audience=Audience.MANAGERS, at=now())

        response = as_role(Role.REP).get(page_of(asked))

        [lesson] = panel_of(response).lessons
        assert (lesson.title, texts(lesson.lines), lesson.link) == (lost.title, ["Lost on price."], page_of(lost))
        assert "Secret reason." not in response.content.decode()
        assert len(panel_of(as_role(Role.MANAGER).get(page_of(asked))).lessons) == 2
        assert panel_of(as_role(Role.REP).get(page_of(lost))).lessons == []
