"""A server of this process that lists models and chats as it is told, on a free loopback port."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, ClassVar

Chat = Callable[[str, str], str]


@dataclass
class Loopback:
    """What it serves, and what it was sent."""

    listing: object = None
    """The body under `ROOT/models`: bytes as they are, anything else as JSON."""
    root: str = "/v1"
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)
    key: str = ""
    """The key that it wants; empty: none."""
    models: Sequence[str] | None = None
    """The models that chat; None: any."""
    chat: Chat = lambda model, prompt: "The answer is (A)."
    port: int = 0
    keys: list[str] = field(default_factory=list)
    prompts: list[str] = field(default_factory=list)

    @property
    def origin(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def url(self) -> str:
        return f"{self.origin}{self.root}"


def listing(*models: str | dict[str, Any]) -> dict[str, object]:
    """A list in OpenAI's form."""
    rows = [{"id": each, "object": "model"} if isinstance(each, str) else each for each in models]
    return {"object": "list", "data": rows}


class _Handler(BaseHTTPRequestHandler):
    served: ClassVar[Loopback]

    def do_GET(self) -> None:
        self.served.keys.append(self.headers.get("Authorization", ""))
        if self.path != f"{self.served.root}/models":
            self.answer(404, b"not here")
        elif self.refused():
            self.answer(401, {"error": {"message": "a key is wanted"}})
        else:
            self.answer(self.served.status, self.served.listing, self.served.headers)

    def do_POST(self) -> None:
        asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        if self.path != f"{self.served.root}/chat/completions":
            return self.answer(404, {"error": "no such path"})
        if self.refused():
            return self.answer(401, {"error": {"message": "a key is wanted"}})
        if self.served.models is not None and asked["model"] not in self.served.models:
            words = f"The model `{asked['model']}` does not exist."
            return self.answer(404, {"error": {"message": words}})
        prompt = asked["messages"][-1]["content"]
        self.served.prompts.append(prompt)
        said = {"role": "assistant", "content": self.served.chat(asked["model"], prompt)}
        return self.answer(
            200,
            {
                "model": asked["model"],
                "choices": [{"index": 0, "message": said, "finish_reason": "stop"}],
                "usage": {"prompt_tokens": 11, "completion_tokens": 5, "total_tokens": 16},
            },
        )

    def refused(self) -> bool:
        return (
            bool(self.served.key)
            and self.headers.get("Authorization") != f"Bearer {self.served.key}"
        )

    def answer(self, status: int, body: object, headers: Mapping[str, str] | None = None) -> None:
        raw = body if isinstance(body, bytes) else json.dumps(body).encode()
        kind = "text/html" if raw[:1] == b"<" else "application/json"
        self.send_response(status)
        for name, value in {"Content-Type": kind, **(headers or {})}.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(raw)))
        self.end_headers()
        with suppress(BrokenPipeError):  # the client gave up
            self.wfile.write(raw)

    def log_message(self, *args: object) -> None:
        pass


@contextmanager
def loopback(**given: Any) -> Iterator[Loopback]:
    """The server, for as long as the context lasts."""
    served = Loopback(**given)

    handler = type("Handler", (_Handler,), {"served": served})
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as listening:
        served.port = listening.server_port
        if served.listing is None:
            served.listing = listing(*(served.models or ("m",)))
        thread = threading.Thread(target=listening.serve_forever, args=(0.01,))
        thread.start()
        try:
            yield served
        finally:
            listening.shutdown()
            thread.join()
