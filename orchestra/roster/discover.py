"""The models that OpenAI-compatible servers list, of a named address or of this machine.

Knows the listing under `/models` and the ways in which an address may be wrong; asks no model
anything.
"""

from __future__ import annotations

import os
import re
import ssl
import time
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from http.client import HTTPException, responses
from types import MappingProxyType
from typing import Any
from urllib.error import HTTPError, URLError
from urllib.parse import SplitResult, urlsplit, urlunsplit
from urllib.request import HTTPRedirectHandler, ProxyHandler, Request, build_opener

import orjson

from orchestra.errors import InputError, MissingKey
from orchestra.roster.expert import Expert

_PATIENCE = 15.0
"""Seconds that a server may take to answer."""
_GLANCE = 1.5
"""Seconds that a server of this machine may take, where nobody named it."""
_LARGEST = 16 << 20
"""Bytes of the longest list of models that is read."""
LOCAL_PORTS: Mapping[int, str] = MappingProxyType(
    {
        1234: "LM Studio",
        1337: "Jan",
        3000: "text-generation-inference",
        4000: "LiteLLM's proxy",
        4891: "GPT4All",
        5000: "text-generation-webui",
        5001: "KoboldCpp",
        8000: "vLLM",
        8001: "vLLM",
        8080: "llama.cpp",
        9997: "Xinference",
        11434: "Ollama",
        23333: "LMDeploy",
        30000: "SGLang",
    }
)
"""The loopback ports on which servers listen where nobody changes them, and a server of each."""

_CONTEXT = (
    *("max_model_len", "context_length", "context_window", "max_context_length"),
    *("max_input_tokens", "inputTokenLimit", "n_ctx", "n_ctx_train"),
)
_OWNER = ("owned_by", "organization", "publisher", "owner")
_ENDPOINT = re.compile(r"/(?:models|(?:chat/)?completions|embeddings|responses)$")
_VERSION = re.compile(r"/v\d+$")
# What a model is for, by the words of its name or of the type that the server tells.
_OTHER_USES: Mapping[str, re.Pattern[str]] = MappingProxyType(
    {
        "ranks texts": re.compile(r"rerank\w*"),
        "embeds texts": re.compile(r"embed\w*|e5|bge|gte|minilm|mpnet|splade|sentence|\w*bert"),
        "hears or speaks": re.compile(
            r"whisper|asr|stt|tts|speech|transcri\w+|audio|kokoro|bark|realtime"
        ),
        "makes images": re.compile(r"dall|sdxl|flux|\w*diffusion|images?|imagen|video|sora|veo"),
        "judges texts": re.compile(r"moderation\w*|\w*guard\d*|shield\w*|reward"),
    }
)
_CHATS = re.compile(r"llm|vlm|chat|language|code|completion|text|generat\w+")


@dataclass(frozen=True, slots=True)
class ServedModel:
    """One model of a server's list."""

    id: str
    """The name by which the server knows it."""
    context: int | None = None
    """Tokens that prompt and answer may have together; None: the server does not tell."""
    owner: str = ""
    """Who made or serves it, in the server's words; empty: the server does not tell."""
    base: str = ""
    """The model that it is an adapter of; empty: none."""
    other_use: str = ""
    """What it does in place of answering questions; empty: it answers, as far as is known."""


@dataclass(frozen=True, slots=True)
class Served:
    """What a server lists."""

    base_url: str
    """The root under which it lists its models: the `base_url` of a roster."""
    models: tuple[ServedModel, ...]
    """In the server's order, at least one."""
    note: str = ""
    """How `base_url` differs from the address that was given; empty: it does not."""


class _Stay(HTTPRedirectHandler):
    """Follows no redirect: the key is for this server and no other."""

    def redirect_request(self, *args: object, **given: object) -> None:
        """No request in place of the first."""


def served(
    address: str, *, key: str = "", key_name: str = "", patience: float = _PATIENCE
) -> Served:
    """What the server at an address lists, with `/v1` added or removed where it has to be.

    Args:
        address: the root of its API or one of its paths, `http://host:port/v1`.
        key: sent to this server; empty: none.
        key_name: the variable that holds the key, for messages.
        patience: seconds that it may take.

    Raises:
        InputError: it cannot be reached, refuses, is no such server, or lists no models.
    """
    parts = _address(address)
    roots = _roots(parts)
    problems: list[InputError] = []
    deadline = time.monotonic() + patience
    for root in roots:
        found = _listed(root, key=key, key_name=key_name, deadline=deadline)
        if isinstance(found, InputError):
            problems.append(found)
            if not _may_be_elsewhere(found):
                break
            continue
        return Served(root, found, _difference(address.strip().rstrip("/"), root))
    raise max(problems, key=lambda each: _TELLING.get(_outcome(each), 0))


def local_servers(
    ports: Sequence[int] = tuple(LOCAL_PORTS), *, patience: float = _GLANCE
) -> list[Served | InputError]:
    """The servers that listen on loopback ports, by port; an error for one that wants a key."""
    if not ports:
        return []

    def glance(port: int) -> Served | InputError:
        try:
            return served(f"http://127.0.0.1:{port}/v1", patience=patience)
        except InputError as error:
            return error

    with ThreadPoolExecutor(max_workers=len(ports)) as pool:
        found = list(pool.map(glance, ports))
    wanted = ("key", "empty")
    return [each for each in found if isinstance(each, Served) or _outcome(each) in wanted]


def offered(base_url: str, *, api_key_env: str = "") -> list[Expert]:
    """An expert for each model that the server lists and that answers questions, in its order.

    Raises:
        MissingKey: the variable `api_key_env` is not set.
        InputError: as `served` does, or none of the models answers questions.
    """
    key = os.environ.get(api_key_env, "").strip() if api_key_env else ""
    if api_key_env and not key:
        raise MissingKey(f"the variable `{api_key_env}` is not set", place=base_url)
    found = served(base_url, key=key, key_name=api_key_env)
    made = experts_of(found, api_key_env=api_key_env)
    if not made:
        uses = ", ".join(f"{each.id} {each.other_use}" for each in found.models[:8])
        raise InputError(f"no model of the server answers questions: {uses}", place=base_url)
    return made


def experts_of(found: Served, *, api_key_env: str = "", taken: Sequence[str] = ()) -> list[Expert]:
    """An expert for each model that answers questions; `taken` are names that are in use.

    Adapters are of one family with their base.
    """
    names = set(taken)
    bases = {model.base for model in found.models}
    experts = []
    for model in found.models:
        if model.other_use:
            continue
        name = _free(re.sub(r"[^\w.@/-]", "-", model.id, flags=re.ASCII)[:100], names)
        names.add(name)
        experts.append(
            Expert(
                name,
                model.id,
                worker="openai",
                family=model.base or (model.id if model.id in bases else ""),
                base_url=found.base_url,
                api_key_env=api_key_env,
            )
        )
    return experts


# The address


def _address(address: str) -> SplitResult:
    """The parts of an address. Raises InputError where it is none, or holds what it must not."""
    given = address.strip()
    try:
        parts = urlsplit(given)
        sound = parts.scheme in ("http", "https") and bool(parts.hostname)
        _ = parts.port
    except ValueError:
        sound, parts = False, SplitResult("", "", "", "", "")
    if not sound:
        bare = re.fullmatch(r"[\w.-]+(?::\d{1,5})?(?:/[\w./-]*)?", given)
        hint = f"`http://{given}`, or `https://{given}`" if bare else "`http://host:port/v1`"
        raise InputError(f"not an address: {address!r}", hint=hint)
    if parts.username is not None or parts.password is not None:
        raise InputError(
            "the address holds a user name or password",
            place=parts.hostname or "",
            hint="put the key into an environment variable and name the variable",
        )
    return parts._replace(query="", fragment="")


def _roots(parts: SplitResult) -> list[str]:
    """The address itself, then the same with `/v1` and without it."""
    path = re.sub(r"//+", "/", parts.path).rstrip("/")
    path = _ENDPOINT.sub("", path)
    path = re.sub(r"(/v\d+)(?:\1)+$", r"\1", path)  # doubled
    paths = [path, f"{path}/v1"]
    if _VERSION.search(path):
        paths = [path, _VERSION.sub("", path)]
    return [urlunsplit(parts._replace(path=each)) for each in paths]


def _difference(given: str, root: str) -> str:
    if given == root:
        return ""
    change = {f"{given}/v1": "`/v1` was added: ", _VERSION.sub("", given): "`/v1` was removed: "}
    return f"{change.get(root, '')}the root of the API is {root}"


# One request


_TELLING = {"key": 4, "empty": 3, "status": 2, "page": 1}
"""Of several attempts the one with the highest number says most."""


class Unlisted(InputError):
    """Why one address gave no list of models."""

    def __init__(self, outcome: str, message: str, *, place: str, hint: str = "") -> None:
        super().__init__(message, place=place, hint=hint)
        self.outcome = outcome
        """`key`, `empty`, `status`, `page`, `nothing` (no such list) or `unreachable`."""


def _outcome(error: InputError) -> str:
    return error.outcome if isinstance(error, Unlisted) else ""


def _may_be_elsewhere(error: InputError) -> bool:
    """Whether the list may be at another path of the same server."""
    return _outcome(error) in ("key", "status", "page", "nothing")


def _listed(
    root: str, *, key: str, key_name: str, deadline: float
) -> tuple[ServedModel, ...] | InputError:
    request = Request(f"{root}/models", headers={"Accept": "application/json"})
    if key:
        request.add_header("Authorization", f"Bearer {key}")
    direct = [ProxyHandler({})] if _is_loopback(root) else []
    try:
        left = max(deadline - time.monotonic(), 0.1)
        with build_opener(_Stay, *direct).open(request, timeout=left) as response:
            body = _body(response, deadline)
            # A server may repeat the key in whatever it says.
            body = body.replace(key.encode(), b"[hidden]") if key else body
            return _models(body, response.headers.get_content_type(), root)
    except HTTPError as error:
        error.close()
        there = error.headers.get("Location", "")
        there = there.replace(key, "[hidden]") if key else there
        return _refused(error.code, there, root, key_name if key else "")
    except (URLError, HTTPException, OSError, ValueError) as error:
        return _unreachable(getattr(error, "reason", error), root)


def _is_loopback(root: str) -> bool:
    host = urlsplit(root).hostname or ""
    return host in ("localhost", "::1") or host.startswith("127.")


def _body(response: Any, deadline: float) -> bytes:
    """What the server sends, up to a size and a time. Raises TimeoutError after the deadline."""
    parts, size = [], 0
    while size < _LARGEST and (part := response.read1(1 << 16)):
        if time.monotonic() > deadline:
            raise TimeoutError("timed out")
        parts.append(part)
        size += len(part)
    return b"".join(parts)


def _refused(status: int, there: str, root: str, key_name: str) -> InputError:
    said = f"{status} {responses.get(status, '')}".strip()
    if status in (401, 403):
        if key_name:
            words, hint = f"the server refuses the key of `{key_name}` ({said})", "is it its key?"
        else:
            words = f"the server wants a key ({said})"
            hint = "name the environment variable that holds it: `--key-env NAME` on the command "
            hint += "line, `api_key_env` in a roster"
        return Unlisted("key", words, place=root, hint=hint)
    if 300 <= status < 400:
        hint = f"give that address: {there}" if there else ""
        return Unlisted("status", f"the server is elsewhere ({said})", place=root, hint=hint)
    words = f"the server refuses to list its models: {said}"
    if status in (404, 405):
        hint = "is this the root of its API? With most servers it ends in /v1"
        return Unlisted("nothing", words, place=root, hint=hint)
    hint = ""
    if status == 400 and root.startswith("http:"):
        hint = f"if the port speaks TLS: {root.replace('http:', 'https:', 1)}"
    return Unlisted("status", words, place=root, hint=hint)


def _unreachable(reason: object, root: str) -> InputError:
    parts = urlsplit(root)
    where = parts.netloc
    hint = ""
    if isinstance(reason, ConnectionRefusedError):
        words = f"nothing listens at {where}"
        hint = "is the server running, and is this its port? `orchestra init` finds local servers"
        hint += " on well-known ports"
    elif isinstance(reason, TimeoutError):
        words = f"{where} did not answer in time"
        hint = "is the address right, and does the server still load a model?"
    elif isinstance(reason, ssl.SSLCertVerificationError):
        words = f"the certificate of {where} is not trusted: {reason.verify_message}"
    elif isinstance(reason, ssl.SSLError):
        words = f"{where} does not speak TLS"
        hint = f"without TLS: {root.replace('https:', 'http:', 1)}"
    elif isinstance(reason, HTTPException | ConnectionResetError | ValueError):
        words = f"what listens at {where} does not answer in HTTP"
        hint = f"if it speaks TLS: {root.replace('http:', 'https:', 1)}"
        hint = hint if parts.scheme == "http" else ""
    else:
        words = f"{where}: {getattr(reason, 'strerror', None) or reason}"
        hint = "is the name of the host right, and is it in reach of this machine?"
    return Unlisted("unreachable", f"the server cannot be reached: {words}", place=root, hint=hint)


# The list


def _models(body: bytes, content_type: str, root: str) -> tuple[ServedModel, ...] | InputError:
    try:
        told = orjson.loads(body)
    except orjson.JSONDecodeError:
        page = "html" in content_type or body.lstrip()[:1] == b"<"
        what = "a web page" if page else f"no JSON ({content_type})"
        words = f"the server lists no models: its reply is {what}"
        hint = "is this the root of its API, and no login page or proxy before it?"
        return Unlisted("page", words, place=root, hint=hint)
    rows = told
    if isinstance(told, Mapping):
        rows = next((told[name] for name in ("data", "models") if name in told), None)
    if not isinstance(rows, list):
        words = "the server lists no models: its reply is JSON of another kind"
        hint = "is this the root of its API? With most servers it ends in /v1"
        return Unlisted("nothing", words, place=root, hint=hint)
    models = {each.id: each for each in map(_model, rows) if each is not None}
    if not models:
        hint = "load a model into the server first (`ollama pull NAME`, for instance)"
        return Unlisted("empty", "the server lists no models", place=root, hint=hint)
    return tuple(models.values())


def _model(row: object) -> ServedModel | None:
    if isinstance(row, str):
        row = {"id": row}
    if not isinstance(row, Mapping):
        return None
    name = next((row[key] for key in ("id", "name", "model") if _is_name(row.get(key))), None)
    if name is None:
        return None
    base = str(row["parent"]) if _is_name(row.get("parent")) else ""
    return ServedModel(
        name,
        next((size for size in _told(row, _CONTEXT) if _is_size(size)), None),
        next((who for who in _told(row, _OWNER) if _is_name(who)), ""),
        base if base != name else "",
        _other_use(name, row),
    )


def _is_name(value: object) -> bool:
    return isinstance(value, str) and 0 < len(value) <= 500 and not value.isspace()


def _is_size(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 0 < value < 2**40


def _told(row: Mapping[str, Any], names: Sequence[str]) -> Iterator[Any]:
    """What stands under these names in the row, then in the objects in it."""
    inner = [each for each in row.values() if isinstance(each, Mapping)]
    for part in (row, *inner):
        yield from (part[name] for name in names if name in part)


def _other_use(name: str, row: Mapping[str, Any]) -> str:
    """What a model is for, where it is not for answers: by what the server tells, else by name."""
    can = row.get("capabilities")
    if isinstance(can, Mapping) and can.get("completion_chat") is False:
        return _use_of(name) or "does not chat"
    told = [row.get("type"), row.get("task"), row.get("model_type")]
    told += can if isinstance(can, list) else []
    architecture = row.get("architecture")
    written = architecture.get("output_modalities") if isinstance(architecture, Mapping) else None
    told += written if isinstance(written, list) else []
    words = [each for each in told if isinstance(each, str)]
    if any(not _use_of(each) and any(map(_CHATS.fullmatch, _words(each))) for each in words):
        return ""
    return next((use for each in words if (use := _use_of(each))), "") or _use_of(name)


def _use_of(words: str) -> str:
    found = _words(words)
    uses = (use for use, form in _OTHER_USES.items() if any(map(form.fullmatch, found)))
    return next(uses, "")


def _words(text: str) -> list[str]:
    return re.findall(r"[a-z0-9]+", text.lower())


def _free(name: str, taken: set[str]) -> str:
    number, free = 2, name
    while free in taken:
        number, free = number + 1, f"{name}-{number}"
    return free
