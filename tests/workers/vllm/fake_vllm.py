"""Plays the program of a vLLM child, faults included; run by tests in a real child process.

A checkpoint's folder says what goes wrong: line `i` of `faults` holds for load `i`, as JSON.
"""

from __future__ import annotations

import json
import os
import sys
import time
from pathlib import Path
from typing import Any


def main(parent: Any) -> None:
    """Load, then answer what each message says, its adapter's name in front."""
    order = parent.hear(wait=True)[0]
    faults = next_faults(Path(order["model"]))
    at_load(parent, faults)
    canary = {name: [3, 1, 4] for name in ("", *order["adapters"])}
    spoiled = {name: [0, 0, 0] for name in canary}
    wrote = spoiled if faults.get("spoiled") else canary
    told = {} if "sleeps" not in faults else {"sleeps": faults["sleeps"]}
    parent.say({"event": "loaded", "canary": wrote, **told})
    left = faults.get("answers", 10**9)
    while True:
        for message in parent.hear(wait=True):
            if message["do"] == "end":
                return
            if message["do"] == "sleep":
                parent.say({"event": "asleep"})
            if message["do"] == "wake":
                parent.say({"event": "awake", "canary": spoiled if "garbage" in faults else canary})
            for request in message.get("requests", ()):
                if not left:
                    die(faults)
                left -= 1
                parent.say({"event": "answers", "seconds": 0.5, "answers": [answer(request)]})


def next_faults(folder: Path) -> dict[str, Any]:
    with (folder / "loads").open("a+") as file:
        file.write(f"{os.getpid()}\n")
        file.seek(0)
        load = len(file.readlines())
    lines = (folder / "faults").read_text().splitlines()
    return json.loads(lines[load - 1]) if load <= len(lines) else {}


def at_load(parent: Any, faults: dict[str, Any]) -> None:
    if faults.get("load") == "refused":
        parent.say({"event": "refused", "error": "OSError: no such thing on the hub"})
        parent.hear(wait=True)
    elif "load" in faults:
        die({"dies": faults["load"]})


def die(faults: dict[str, Any]) -> None:
    print("torch.OutOfMemoryError: no room for 3 GiB", file=sys.stderr, flush=True)
    if faults.get("dies") == "silent":
        time.sleep(600)
    os._exit(1)


def answer(request: dict[str, Any]) -> dict[str, Any]:
    said = request["messages"][-1]["content"]
    if said == "endless":
        return {"id": request["id"], "failure": ["too_long", "prompt of 9 tokens"]}
    if said == "device":
        said = os.environ.get("CUDA_VISIBLE_DEVICES", "all")
    sampling = request["sampling"]
    draws = [
        {
            "text": f"{request['adapter']}:{said}:{seed(sampling, index)}",
            "reasoning": "hm",
            "finish": "stop",
            "written": 5,
            "thought": 1,
            "logprobs": [-0.5] if sampling["logprobs"] else None,
        }
        for index in range(sampling["n"])
    ]
    return {"id": request["id"], "read": 7, "cached": 2, "draws": draws}


def seed(sampling: dict[str, Any], index: int) -> int | None:
    return None if sampling["seed"] is None else sampling["seed"] + index
