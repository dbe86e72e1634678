"""The models that an OpenAI-compatible server offers, as experts."""

from __future__ import annotations

import os
import re
from http.client import HTTPException
from urllib.error import HTTPError, URLError
from urllib.request import HTTPRedirectHandler, Request, build_opener

import orjson

from orchestra.errors import InputError, MissingKey
from orchestra.roster.expert import Expert

_PATIENCE = 15.0
"""Seconds that the server may take to answer."""
_LARGEST = 16 << 20
"""Bytes of the longest list of models that is read."""


class _Stay(HTTPRedirectHandler):
    """Follows no redirect: the key is for this server and no other."""

    def redirect_request(self, *args: object, **given: object) -> None:
        """No request in place of the first."""


def offered(base_url: str, *, api_key_env: str = "") -> list[Expert]:
    """An expert for each model that the server lists under `/models`, in the server's order.

    Raises:
        MissingKey: the variable `api_key_env` is not set.
        InputError: the server cannot be reached, refuses, or lists no models.
    """
    root = base_url.rstrip("/")
    if not re.match(r"https?://", root):
        raise InputError(f"not an address: {base_url!r}", hint="http://host:port/v1")
    request = Request(f"{root}/models", headers={"Accept": "application/json"})
    if api_key_env:
        key = os.environ.get(api_key_env, "").strip()
        if not key:
            raise MissingKey(f"the variable `{api_key_env}` is not set", place=root)
        request.add_header("Authorization", f"Bearer {key}")
    names = _names(_answer(request, root), root)
    experts: dict[str, Expert] = {}
    for model in dict.fromkeys(names):
        name = _free(re.sub(r"[^\w.@/-]", "-", model, flags=re.ASCII), experts)
        experts[name] = Expert(name, model, worker="openai", base_url=root, api_key_env=api_key_env)
    return list(experts.values())


def _answer(request: Request, root: str) -> bytes:
    try:
        with build_opener(_Stay).open(request, timeout=_PATIENCE) as response:
            body: bytes = response.read(_LARGEST)
            return body
    except HTTPError as error:
        error.close()
        hint = "`api_key_env` names the variable with the key" if error.code in (401, 403) else ""
        hint = "the address ends in /v1 with most servers" if error.code == 404 else hint
        message = f"the server refuses to list its models: {error.code} {error.reason}"
        raise InputError(message, place=root, hint=hint) from error
    except (URLError, HTTPException, OSError) as error:
        reason = getattr(error, "reason", error)
        raise InputError(f"the server cannot be reached: {reason}", place=root) from error


def _names(body: bytes, root: str) -> list[str]:
    try:
        models = orjson.loads(body)["data"]
        names = [model["id"] for model in models]
    except (orjson.JSONDecodeError, KeyError, TypeError):
        names = []
    if not names or not all(isinstance(name, str) and name for name in names):
        raise InputError("the server lists no models", place=root)
    return names


def _free(name: str, taken: dict[str, Expert]) -> str:
    number, free = 2, name
    while free in taken:
        number, free = number + 1, f"{name}-{number}"
    return free
