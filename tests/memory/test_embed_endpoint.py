"""The embeddings endpoint: a real server that answers well, badly, late and too much."""

from __future__ import annotations

import json
import time

import pytest

from memory.embeddings import EmbeddingFailed, TextsRefused
from memory.embeddings.endpoint import Endpoint
from tests.memory.embedding_endpoint import fake_endpoint, vector_of


@pytest.fixture
def fake():
    with fake_endpoint() as served:
        yield served


@pytest.fixture
def endpoint(fake):
    return Endpoint(url=fake.url, key="secret", model="small")


def test_asks_for_all_texts_at_once_with_the_key(fake, endpoint):
    texts = ["The price is too high", "Call them"]
    assert endpoint.embed(texts, seconds=5) == [vector_of(text) for text in texts]
    assert fake.asked == [{"model": "small", "input": texts, "encoding_format": "float"}]
    assert fake.headers[0]["Authorization"] == "Bearer secret"


def test_takes_an_address_with_and_without_its_last_part(fake):
    for url in (fake.url, f"{fake.url}/", f"{fake.url}/embeddings"):
        assert Endpoint(url=url, key="", model="small").embed(["a"], seconds=5) == [vector_of("a")]
    assert "Authorization" not in fake.headers[0]


@pytest.mark.parametrize("status", [401, 404, 429, 500, 503, 302])
def test_a_failure_is_none_of_the_texts(fake, endpoint, status):
    fake.reply = lambda texts: (status, {"error": "no"})
    with pytest.raises(EmbeddingFailed, match=f"answered {status}") as failed:
        endpoint.embed(["Our secret plan"], seconds=5)
    assert not isinstance(failed.value, TextsRefused)
    assert "secret" not in str(failed.value)


@pytest.mark.parametrize("status", [400, 413, 422])
def test_texts_may_be_refused_and_others_taken(fake, endpoint, status):
    fake.reply = lambda texts: (status, {"error": "too long"})
    with pytest.raises(TextsRefused):
        endpoint.embed(["x" * 9_000], seconds=5)
    fake.reply = fake.answer
    assert endpoint.embed(["short"], seconds=5) == [vector_of("short")]


@pytest.mark.parametrize(
    "answer",
    [
        b"<html>busy</html>",
        b"",
        [],
        {"data": None},
        {"data": []},
        {"data": [{"index": 0}]},
        {"data": [{"index": 0, "embedding": []}, {"index": 1, "embedding": []}]},
        {"data": [{"index": 0, "embedding": [1.0]}, {"index": 0, "embedding": [1.0]}]},
        {"data": [{"index": 0, "embedding": [1.0]}, {"index": 5, "embedding": [1.0]}]},
        {"data": [{"index": 0, "embedding": [1.0]}, {"index": 1, "embedding": [1.0, 2.0]}]},
        {"data": [{"index": 0, "embedding": [1.0]}, {"index": 1, "embedding": ["x"]}]},
        json.dumps({"data": [{"embedding": [float("nan")]}, {"embedding": [1.0]}]}).encode(),
        {"data": [{"index": n, "embedding": [1.0]} for n in range(3)]},
    ],
    ids=lambda answer: str(answer)[:40],
)
def test_junk_is_a_failure(fake, endpoint, answer):
    fake.reply = lambda texts: (200, json.dumps(answer).encode() if answer == [] else answer)
    with pytest.raises(EmbeddingFailed):
        endpoint.embed(["a", "b"], seconds=5)


def test_a_server_that_drips_is_left_in_time(fake, endpoint):
    fake.reply = lambda texts: (200, [b"{"] + [b" "] * 100)
    began = time.monotonic()
    with pytest.raises(EmbeddingFailed, match="took too long"):
        endpoint.embed(["a"], seconds=1)
    assert time.monotonic() - began < 2


def test_a_server_that_says_nothing_is_left_in_time(fake, endpoint):
    fake.meanwhile = lambda texts: time.sleep(3)
    began = time.monotonic()
    with pytest.raises(EmbeddingFailed, match="cannot be asked: ReadTimeout"):
        endpoint.embed(["a"], seconds=0.5)
    assert time.monotonic() - began < 2


def test_after_a_failure_nobody_asks_for_a_while(fake, endpoint):
    fake.reply = lambda texts: (500, {})
    for _ in range(3):
        with pytest.raises(EmbeddingFailed):
            endpoint.embed(["a"], seconds=5)
    assert len(fake.asked) == 1


def test_a_redirection_leads_nowhere(fake, endpoint):
    fake.reply = lambda texts: (307, {})
    with pytest.raises(EmbeddingFailed, match="answered 307"):
        endpoint.embed(["a"], seconds=5)
    assert len(fake.asked) == 1


def test_nobody_at_home_is_a_failure():
    with pytest.raises(EmbeddingFailed, match="cannot be asked: ConnectionError"):
        Endpoint(url="http://127.0.0.1:9", key="", model="small").embed(["a"], seconds=5)


@pytest.mark.parametrize(
    ("url", "model", "sentence"),
    [
        ("ftp://x", "small", "no web address"),
        ("here", "small", "no web address"),
        ("https://x", "", "MEMORY_EMBEDDINGS_MODEL"),
    ],
)
def test_what_cannot_be_asked_is_said(url, model, sentence):
    with pytest.raises(EmbeddingFailed, match=sentence):
        Endpoint(url=url, key="", model=model)
