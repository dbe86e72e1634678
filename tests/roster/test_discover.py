"""What a server offers becomes a roster, and what it refuses a clear error."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest

from orchestra.errors import InputError, MissingKey
from orchestra.roster import Roster


@contextmanager
def server(body: object, status: int = 200, **headers: str) -> Iterator[tuple[str, list[str]]]:
    """A server that answers every GET with that body, and the keys that it was sent."""
    keys: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            keys.append(self.headers.get("Authorization", ""))
            self.send_response(status if self.path == "/v1/models" else 404)
            for name, value in headers.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(body if isinstance(body, bytes) else json.dumps(body).encode())

        def log_message(self, *args: object) -> None:
            pass

    with HTTPServer(("127.0.0.1", 0), Handler) as listening:
        thread = threading.Thread(target=listening.serve_forever, args=(0.01,))
        thread.start()
        try:
            yield f"http://127.0.0.1:{listening.server_port}/v1", keys
        finally:
            listening.shutdown()
            thread.join()


def listing(*models: str) -> dict[str, object]:
    return {"object": "list", "data": [{"id": model, "object": "model"} for model in models]}


def test_every_model_is_an_expert() -> None:
    models = ("Qwen/Qwen2.5-7B", "llama3:8b", "llama3 8b", "llama3:8b")
    with server(listing(*models)) as (url, keys):
        roster = Roster.discover(f"{url}/")
    assert [(expert.name, expert.model) for expert in roster] == [
        ("Qwen/Qwen2.5-7B", "Qwen/Qwen2.5-7B"),
        ("llama3-8b", "llama3:8b"),
        ("llama3-8b-2", "llama3 8b"),
    ]
    assert {(expert.worker, expert.base_url) for expert in roster} == {("openai", url)}
    assert keys == [""]


def test_the_key_is_sent_and_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MY_KEY", "very-secret-key")
    with server(listing("m")) as (url, keys):
        roster = Roster.discover(url, api_key_env="MY_KEY")
    assert keys == ["Bearer very-secret-key"]
    assert roster["m"].api_key_env == "MY_KEY"


def test_a_missing_key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MY_KEY", raising=False)
    with pytest.raises(MissingKey, match="MY_KEY"):
        Roster.discover("http://127.0.0.1:9/v1", api_key_env="MY_KEY")


@pytest.mark.parametrize(
    ("body", "status", "says"),
    [
        ({}, 200, "lists no models"),
        (b"<html>", 200, "lists no models"),
        (listing(), 200, "lists no models"),
        ({"data": [{"id": 5}]}, 200, "lists no models"),
        (b"", 401, "refuses to list its models: 401"),
        (b"", 500, "refuses to list its models: 500"),
    ],
)
def test_what_is_no_list(body: object, status: int, says: str) -> None:
    with server(body, status) as (url, _), pytest.raises(InputError, match=says) as caught:
        Roster.discover(url)
    assert caught.value.place == url


def test_a_wrong_path_has_a_hint() -> None:
    with server(listing("m")) as (url, _), pytest.raises(InputError) as caught:
        Roster.discover(url.removesuffix("/v1"))
    assert "/v1" in caught.value.hint


def test_no_redirect_is_followed() -> None:
    with (
        server(listing("m")) as (other, keys),
        server(b"", 302, Location=f"{other}/models") as (url, _),
        pytest.raises(InputError, match="302"),
    ):
        Roster.discover(url)
    assert keys == []


def test_nobody_there() -> None:
    with pytest.raises(InputError, match="cannot be reached"):
        Roster.discover("http://127.0.0.1:9/v1")


def test_no_address() -> None:
    with pytest.raises(InputError, match="not an address"):
        Roster.discover("localhost:8000")
