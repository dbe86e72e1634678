"""What must hold between the values of a roster.

Knows which fields go with which worker and what may not be said twice; does not know
what one value may be on its own (`shape` does). Works on unchecked data, so that one look
at a file finds errors of both kinds.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from types import MappingProxyType
from typing import Any, get_args

from orchestra.roster.complaints import Complaint
from orchestra.roster.document import Document
from orchestra.roster.expert import WorkerName
from orchestra.roster.shape import SCHEMA

WORKERS: frozenset[str] = frozenset(get_args(WorkerName))
_SERVED = frozenset({"openai", "litellm", "remote"})
_OWN_ENGINE = frozenset({"vllm", "local", "remote"})

USED_BY: Mapping[str, frozenset[str]] = MappingProxyType(
    {
        "recordings": frozenset({"recorded"}),
        "base_url": _SERVED,
        "api_key_env": _SERVED,
        # For hosted models they go into the body of each call, in the provider's own words.
        "engine": _OWN_ENGINE | {"litellm", "openai"},
        "calls": _SERVED,
        # A recorded expert may say which adapter the recordings were made with.
        "adapter": _OWN_ENGINE | {"openai", "recorded"},
    }
)
"""The workers that can use a field; fields that are not here go with every worker."""

_NEEDS = {
    "recorded": ("recordings", "the file of answers that a recorded expert replays"),
    "openai": ("base_url", "the server's address, such as `http://127.0.0.1:8000/v1`"),
}


def merged(defaults: Mapping[str, Any], own: Mapping[str, Any]) -> dict[str, Any]:
    """An expert's fields over the defaults; null undoes a default.

    `sampling` is joined key by key, everything else as a whole. A default that the expert's
    worker cannot use does not reach it.
    """
    worker = own.get("worker", defaults.get("worker"))
    known = isinstance(worker, str) and worker in WORKERS
    whole = {
        key: value
        for key, value in defaults.items()
        if not (known and key in USED_BY and worker not in USED_BY[key])
    } | dict(own)
    inherited = defaults.get("sampling")
    if isinstance(inherited, Mapping) and isinstance(own.get("sampling"), Mapping):
        whole["sampling"] = {**inherited, **own["sampling"]}
    return {key: value for key, value in whole.items() if value is not None}


def newer(document: Document) -> Complaint | None:
    """A complaint if the file is of a later format, about which nothing else can be said."""
    version = document.data.get("schema")
    if isinstance(version, int) and version > SCHEMA:
        return Complaint(
            ("schema",),
            f"`schema` {version} is newer than this version of orchestra reads ({SCHEMA})",
            "upgrade orchestra: `pip install --upgrade orchestra-experts`",
        )
    return None


def broken_rules(document: Document) -> list[Complaint]:
    """Names given twice, fields that a worker needs and has not, or has and cannot use."""
    defaults = document.data.get("defaults")
    experts = document.data.get("experts")
    found = list(_twice(document))
    limited: dict[Any, Any] = {}
    for at, own in enumerate(experts if isinstance(experts, list) else []):
        if isinstance(own, Mapping):
            whole = merged(defaults if isinstance(defaults, Mapping) else {}, own)
            found += _missing(at, whole)
            found += _useless(at, own, whole.get("worker"))
            found += _discordant(at, whole, limited)
    return found


def _discordant(at: int, whole: Mapping[str, Any], first: dict[Any, Any]) -> Iterator[Complaint]:
    """Limits of one provider key that two experts state differently."""
    given = whole.get("limits")
    limits = {k: v for k, v in given.items() if v is not None} if isinstance(given, Mapping) else {}
    per = limits.pop("per", "key")
    worker, model = whole.get("worker"), whole.get("model")
    if not isinstance(worker, str) or not isinstance(model, str) or worker not in _SERVED:
        return
    address = str(whole.get("base_url") or "").rstrip("/") or (
        model.partition("/")[0] if worker == "litellm" else ""
    )
    key = worker, address, str(whole.get("api_key_env")), model if per == "model" else ""
    name, stated = first.setdefault(key, (whole.get("name"), limits))
    if stated != limits:
        yield Complaint(
            ("experts", at, "limits") if limits else ("experts", at),
            f"the limits are not those of expert {name!r}, which has the same address and key",
            "limits are of a key: state them in `defaults`, or the same for each; `per: model` "
            "where every model has its own",
        )


def _twice(document: Document) -> Iterator[Complaint]:
    first: dict[str, int] = {}
    experts = document.data.get("experts")
    for at, own in enumerate(experts if isinstance(experts, list) else []):
        name = own.get("name") if isinstance(own, Mapping) else None
        if isinstance(name, str) and first.setdefault(name, at) != at:
            before = document.place(("experts", first[name], "name"))
            yield Complaint(
                ("experts", at, "name"),
                f"the name {name!r} is taken",
                f"it is first given at {before}; every expert needs a name of its own",
            )


def _missing(at: int, whole: Mapping[str, Any]) -> Iterator[Complaint]:
    spot = ("experts", at)
    if "worker" not in whole:
        yield Complaint(
            spot, "`worker` is missing", "how the model is reached; " + _listed(WORKERS)
        )
    if "model" not in whole:
        yield Complaint(
            spot,
            "`model` is missing",
            "the recording's, provider's or checkpoint's name for the model",
        )
    worker = whole.get("worker")
    field, meaning = _NEEDS.get(worker, ("", "")) if isinstance(worker, str) else ("", "")
    if field and field not in whole:
        yield Complaint(spot, f"`{field}` is missing", meaning)


def _useless(at: int, own: Mapping[str, Any], worker: Any) -> Iterator[Complaint]:
    if not isinstance(worker, str) or worker not in WORKERS:
        return
    for field, workers in USED_BY.items():
        if own.get(field) is not None and worker not in workers:
            yield Complaint(
                ("experts", at, field),
                f"`{field}` makes no sense with `worker: {worker}`",
                f"remove it, or choose a worker that uses it: {_listed(workers)}",
            )


def _listed(names: frozenset[str]) -> str:
    return ", ".join(f"`{name}`" for name in sorted(names))
