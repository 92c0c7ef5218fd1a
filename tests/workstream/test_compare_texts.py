"""What makes two texts the same message: not greeting, signature, case or accents, but what they say."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from workstream.clustering import Parameters, Sign, features, gist, grouped, similarity, words_of

AT = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)
RULE = Parameters(window_days=14, similarity=0.65, same_thread=True)
PRESS = "Our press stops twice a day and we need help before the summer."


def likeness(one: str, other: str) -> float:
    return similarity(features(one), features(other))


class TestWords:
    @pytest.mark.parametrize(
        ("text", "said"),
        [
            ("Hello, our press stops.", "our press stops"),
            ("Dear Sir or Madam,\nOur press stops.\n\nKind regards\nAnn Moss\nNorthwind Ltd", "our press stops"),
            ("Guten Tag Frau Müller,\nunsere Presse steht.\nMit freundlichen Grüßen\nHans", "unsere presse steht"),
            ("Bonjour Madame, notre presse s'arrête. Merci d'avance, Luc", "notre presse s arrete"),
            ("Hola, nuestra prensa se para. Un saludo, Ana", "nuestra prensa se para"),
            ("Добрый день! Наш пресс стоит. С уважением, Анна", "наш пресс стоит"),
            ("RE: AW: Offer\nOur press stops.\n> Our old text\n-- \nAnn", "offer our press stops"),
            ("Our press stops, see https://northwind.com/press or ann@northwind.com", "our press stops see or"),
            ("Thanks for your call. We need the offer by Friday.", "thanks for your call we need the offer by friday"),
            ("Hello", "hello"),
            ("", ""),
        ],
    )  # fmt: skip
    def test_are_those_of_the_message_itself(self, text: str, said: str):
        assert " ".join(words_of(text)) == said


class TestSimilarity:
    @pytest.mark.parametrize(
        "other",
        [
            PRESS.upper(),
            f"Hello,\n{PRESS}\nBest regards\nAnn Moss",
            PRESS.replace(".", "!!"),
        ],
    )
    def test_the_same_words_are_the_same(self, other: str):
        assert likeness(PRESS, other) == 1.0

    @pytest.mark.parametrize(
        ("one", "other"),
        [
            (PRESS, "Our pres stops twice a day and we need help befor the summer"),
            (PRESS, f"{PRESS} Could you send somebody on Monday or Tuesday? We are open from eight."),
            (
                "Wir suchen eine neue Verpackungsanlage für unser Werk in Bremen. Können Sie ein Angebot schicken?",
                "wir suchen eine neue Verpackungs-Anlage für unser Werk in Bremen; bitte ein Angebot schicken",
            ),
            (
                "弊社の生産ラインが一日に二回停止します。助けが必要です。",
                "お世話になっております。弊社の生産ラインは一日に2回停止します。助けが必要です。",
            ),
        ],
    )
    def test_slips_and_additions_leave_them_alike(self, one: str, other: str):
        assert likeness(one, other) >= RULE.similarity

    @pytest.mark.parametrize(
        ("one", "other"),
        [
            (PRESS, "We are looking for a warehouse management system for three sites."),
            ("Need a quote", "Need a demo"),
            ("Please send a price list of your CRM to our sales", "Please send a technician for our press to Bremen"),
            ("弊社の生産ラインが一日に二回停止します。", "新しい倉庫管理システムを探しています。"),
            ("", ""),
            ("Hello", "Hi"),
        ],
    )
    def test_other_messages_are_not(self, one: str, other: str):
        assert likeness(one, other) < RULE.similarity

    @given(st.text(max_size=300), st.text(max_size=300))
    def test_any_two_texts_are_compared_either_way_round(self, one: str, other: str):
        found = likeness(one, other)

        assert 0 <= found <= 1
        assert found == likeness(other, one)
        assert likeness(one, one) == (1.0 if words_of(one) else 0.0)


class TestGist:
    @pytest.mark.parametrize(
        ("text", "said"),
        [
            ("Dear Ms Moss,\nour press stops. It is urgent.", "our press stops."),
            ("Hello, our press stops", "our press stops"),
            (f"{'word ' * 40}end", f"{'word ' * 17}word…"),
            ("", ""),
            ("???", "???"),
        ],
    )
    def test_is_the_first_sentence_that_says_something(self, text: str, said: str):
        assert gist(text) == said

    @given(st.text(max_size=500))
    def test_any_text_has_a_short_one(self, text: str):
        assert len(gist(text)) <= 91


def sign(pk: int, *, contact: int | None = None, client: int | None = None, day: int = 0, **more: object) -> Sign:
    return Sign(
        pk=pk,
        ts=AT + timedelta(days=day),
        contact_id=contact,
        client_id=client,
        cluster_id=more.get("cluster"),  # type: ignore[arg-type]
        features=features(str(more.get("text", PRESS))),
        thread_ids=frozenset(more.get("threads", ())),  # type: ignore[arg-type, call-overload]
    )


class TestGroups:
    def test_are_what_pairs_connect(self):
        signs = [
            sign(1, client=1),
            sign(2, client=1, contact=7, day=10),
            sign(3, contact=7, day=20),
            sign(4, client=2),
            sign(5, client=1, text="We are looking for a warehouse management system for three sites."),
        ]
        known = {each.pk: each for each in signs}

        assert grouped(known, [1, 2, 3, 4, 5], RULE) == [{1, 2, 3}]
        # Only the groups of new signals are told of.
        assert grouped(known, [4], RULE) == []

    def test_signals_of_one_cluster_stay_together_whatever_they_say(self):
        signs = [sign(1, client=1, cluster=9, text="One"), sign(2, client=2, cluster=9), sign(3, client=2)]

        assert grouped({each.pk: each for each in signs}, [3], RULE) == [{1, 2, 3}]

    def test_a_conversation_counts_unless_it_is_switched_off(self):
        signs = [sign(1, text="One", threads={5}), sign(2, text="Two", threads={5}, day=14)]
        known = {each.pk: each for each in signs}

        assert grouped(known, [1, 2], RULE) == [{1, 2}]
        assert grouped(known, [1, 2], Parameters(window_days=14, similarity=0.65, same_thread=False)) == []
        assert grouped(known, [1, 2], Parameters(window_days=13, similarity=0.65, same_thread=True)) == []
