"""What a server offers becomes a roster, and what it refuses a clear error."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from orchestra.errors import InputError, MissingKey
from orchestra.roster import Roster, Served, local_servers, served
from tests.loopback import listing, loopback


def test_every_model_is_an_expert() -> None:
    models = ("Qwen/Qwen2.5-7B", "llama3:8b", "llama3 8b", "llama3:8b", "nomic-embed-text")
    with loopback(listing=listing(*models)) as server:
        roster = Roster.discover(f"{server.url}/")
    assert [(expert.name, expert.model) for expert in roster] == [
        ("Qwen/Qwen2.5-7B", "Qwen/Qwen2.5-7B"),
        ("llama3-8b", "llama3:8b"),
        ("llama3-8b-2", "llama3 8b"),
    ]
    assert {(expert.worker, expert.base_url) for expert in roster} == {("openai", server.url)}
    assert server.keys == [""]


def test_the_key_is_sent_and_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MY_KEY", "very-secret-key")
    with loopback(key="very-secret-key") as server:
        roster = Roster.discover(server.url, api_key_env="MY_KEY")
    assert server.keys == ["Bearer very-secret-key"]
    assert roster["m"].api_key_env == "MY_KEY"


def test_a_missing_key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MY_KEY", raising=False)
    with pytest.raises(MissingKey, match="MY_KEY"):
        Roster.discover("http://127.0.0.1:9/v1", api_key_env="MY_KEY")


@pytest.mark.parametrize(
    ("body", "status", "says", "hint"),
    [
        ({}, 200, "JSON of another kind", "/v1"),
        ({"error": "Unexpected endpoint"}, 200, "JSON of another kind", "/v1"),
        ([1, 2], 200, "lists no models", "load a model"),
        (b"<html>", 200, "its reply is a web page", "login page"),
        (b"", 200, "its reply is no JSON", "root of its API"),
        (b"pong", 200, "its reply is no JSON", "root of its API"),
        (listing(), 200, "lists no models", "ollama pull"),
        ({"data": [{"id": 5}]}, 200, "lists no models", "load a model"),
        ({"data": None}, 200, "JSON of another kind", "/v1"),
        (b"", 401, "wants a key", "--key-env NAME"),
        (b"", 403, "wants a key", "--key-env NAME"),
        (b"", 500, "refuses to list its models: 500", ""),
        (b"", 429, "refuses to list its models: 429", ""),
    ],
)
def test_what_is_no_list(body: object, status: int, says: str, hint: str) -> None:
    with (
        loopback(listing=body, status=status) as server,
        pytest.raises(InputError, match=says) as caught,
    ):
        Roster.discover(server.url)
    assert caught.value.place == server.url
    assert hint in caught.value.hint


@pytest.mark.parametrize(
    ("root", "given", "note"),
    [
        ("/v1", "", "`/v1` was added"),
        ("/v1", "/", "`/v1` was added"),
        ("/v1", "/v1", ""),
        ("/v1", "/v1/", ""),
        ("/v1", "/v1/v1", "the root of the API is"),
        ("/v1", "/v1/models", "the root of the API is"),
        ("/v1", "/v1/chat/completions", "the root of the API is"),
        ("/v1", "//v1", "the root of the API is"),
        ("", "/v1", "`/v1` was removed"),
        ("", "", ""),
        ("/api/v1", "/api", "`/v1` was added"),
        ("/openai", "/openai/v1", "`/v1` was removed"),
    ],
)
def test_the_root_is_found(root: str, given: str, note: str) -> None:
    with loopback(root=root) as server:
        found = served(f"{server.origin}{given}")
    assert found.base_url == f"{server.origin}{root}"
    assert (note in found.note) if note else found.note == ""


@pytest.mark.parametrize(
    ("row", "context", "owner", "base", "other_use"),
    [
        ({"id": "m", "max_model_len": 4096, "owned_by": "vllm"}, 4096, "vllm", "", ""),
        ({"id": "lora", "parent": "m", "root": "x"}, None, "", "m", ""),
        ({"id": "m", "meta": {"n_ctx": 512, "n_ctx_train": 4096}}, 512, "", "", ""),
        ({"name": "llama3:8b"}, None, "", "", ""),
        ({"id": "m", "context_length": "many", "organization": "Acme"}, None, "Acme", "", ""),
        ({"id": "m", "context_window": -1}, None, "", "", ""),
        ({"id": "m", "type": "embeddings"}, None, "", "", "embeds texts"),
        ({"id": "reward-chat", "type": "llm"}, None, "", "", ""),
        ({"id": "m", "capabilities": {"completion_chat": False}}, None, "", "", "does not chat"),
        ({"id": "m", "capabilities": ["embedding"]}, None, "", "", "embeds texts"),
        ({"id": "m", "architecture": {"output_modalities": ["image", "text"]}}, None, "", "", ""),
        ("bge-reranker-v2-m3", None, "", "", "ranks texts"),
        ("text-embedding-3-small", None, "", "", "embeds texts"),
        ("intfloat/e5-large", None, "", "", "embeds texts"),
        ("Systran/faster-whisper-small", None, "", "", "hears or speaks"),
        ("gpt-4o-mini-tts", None, "", "", "hears or speaks"),
        ("stable-diffusion-xl", None, "", "", "makes images"),
        ("llama-guard3:1b", None, "", "", "judges texts"),
        ("Qwen/Qwen2.5-VL-7B-Instruct", None, "", "", ""),
        ("mistral-7b-instruct-v0.3", None, "", "", ""),
        ("text-bison", None, "", "", ""),
    ],
)
def test_what_a_row_says(
    row: Any, context: int | None, owner: str, base: str, other_use: str
) -> None:
    with loopback(listing=listing(row)) as server:
        (model,) = served(server.url).models
    assert (model.context, model.owner, model.base, model.other_use) == (
        context,
        owner,
        base,
        other_use,
    )


@pytest.mark.parametrize("body", [["a", "b"], {"models": [{"name": "a"}, {"model": "b"}]}])
def test_other_forms_of_lists(body: object) -> None:
    with loopback(listing=body) as server:
        assert [each.id for each in served(server.url).models] == ["a", "b"]


def test_adapters_are_of_one_family_with_their_base() -> None:
    with loopback(listing=listing("base", {"id": "tuned", "parent": "base"}, "other")) as server:
        roster = Roster.discover(server.url)
    assert [expert.family for expert in roster] == ["base", "base", ""]


@pytest.mark.parametrize(
    "given",
    [
        {"listing": listing("m", {"id": "of KEY", "owned_by": "KEY"})},
        {"listing": {"error": "KEY"}},
        {"listing": b"<html>KEY"},
        {"listing": b"", "status": 302, "headers": {"Location": "http://other/?key=KEY"}},
    ],
)
def test_a_repeated_key_is_hidden(given: dict[str, Any]) -> None:
    key = "sk-1234567890"
    given = json.loads(json.dumps(given, default=lambda raw: raw.decode()).replace("KEY", key))
    if isinstance(given["listing"], str):
        given["listing"] = given["listing"].encode()
    with loopback(**given) as server:
        try:
            words = repr(served(server.url, key=key, key_name="MINE"))
        except InputError as error:
            words = str(error)
    assert key not in words


def test_nothing_to_ask() -> None:
    with (
        loopback(listing=listing("whisper-1")) as server,
        pytest.raises(InputError, match="whisper-1 hears or speaks"),
    ):
        Roster.discover(server.url)


def test_no_redirect_is_followed() -> None:
    with (
        loopback() as other,
        loopback(listing=b"", status=302, headers={"Location": f"{other.url}/models"}) as server,
        pytest.raises(InputError, match="302") as caught,
    ):
        Roster.discover(server.url)
    assert other.keys == []
    assert other.url in caught.value.hint


@contextmanager
def talking(words: bytes) -> Iterator[int]:
    """The port of a server that says these words, of whatever protocol, and hangs up."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        listening.settimeout(0.2)

        def talk() -> None:
            for _ in range(2):
                try:
                    caller, _ = listening.accept()
                except OSError:
                    return
                with caller:
                    caller.recv(4096)
                    caller.sendall(words)

        thread = threading.Thread(target=talk, daemon=True)
        thread.start()
        yield listening.getsockname()[1]
    thread.join()


@pytest.mark.parametrize(
    ("words", "scheme", "says", "hint"),
    [
        (b"SSH-2.0-OpenSSH_9.6\r\n", "http", "does not answer in HTTP", "https://"),
        (b"\x15\x03\x01\x00\x02\x02\x46", "http", "does not answer in HTTP", "https://"),
        (b"", "http", "does not answer in HTTP", "https://"),
        (b"HTTP/1.1 400 Bad Request\r\n\r\n", "https", "does not speak TLS", "http://"),
    ],
)
def test_other_protocols(words: bytes, scheme: str, says: str, hint: str) -> None:
    with talking(words) as port, pytest.raises(InputError, match=says) as caught:
        served(f"{scheme}://127.0.0.1:{port}/v1", patience=2)
    assert hint in caught.value.hint


def test_nobody_there() -> None:
    with pytest.raises(InputError, match=r"cannot be reached: nothing listens at 127.0.0.1:9"):
        Roster.discover("http://127.0.0.1:9/v1")


@pytest.mark.parametrize(
    ("given", "hint"),
    [
        ("localhost:8000", "http://localhost:8000"),
        ("127.0.0.1:8000/v1", "http://127.0.0.1:8000/v1"),
        ("ftp://host/v1", "http://host:port/v1"),
        ("", "http://host:port/v1"),
        ("http://", "http://host:port/v1"),
        ("http://host:99999/v1", "http://host:port/v1"),
        ("http://[::1/v1", "http://host:port/v1"),
        ("http://me:pass@host/v1", "environment variable"),
    ],
)
def test_no_address(given: str, hint: str) -> None:
    with pytest.raises(InputError, match="address") as caught:
        Roster.discover(given)
    assert hint in caught.value.hint
    assert "pass@" not in str(caught.value)


def test_servers_of_this_machine() -> None:
    with loopback() as one, loopback(key="k") as locked, loopback(listing=b"<html>") as page:
        found = local_servers((9, page.port, one.port, locked.port), patience=2)
    lists = [each for each in found if isinstance(each, Served)]
    assert [each.base_url for each in lists] == [one.url]
    (error,) = [str(each) for each in found if isinstance(each, InputError)]
    assert "wants a key" in error
