"""The program of a vLLM child: loads one engine and does what the parent says.

Knows vLLM and the line to the parent; imports nothing of this package, so that vLLM may live in
an environment of its own. Runs vLLM's offline `LLM` step by step, so that each answer leaves
when it is finished and new requests join the batch that is under way.
"""

from __future__ import annotations

import math
import os
import time
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from orchestra.workers.vllm.process_child import Message, Parent

_TELL = 0.05
"""Seconds that finished answers wait for others to leave with."""
_BEAT = 5.0
"""Seconds without an answer after which a parent is told that work goes on."""
_LEAST_LOGPROB = -9999.0
"""Stands for what JSON cannot say; vLLM's server does the same."""


def main(parent: Parent) -> None:
    """Load what is ordered first, then obey until told to end."""
    order = parent.hear(wait=True)[0]
    if order["do"] == "end":
        return
    try:
        engine = Engine(order)
        told = {"canary": engine.canary(), "window": engine.window, "sleeps": engine.sleeps}
        parent.say({"event": "loaded", **told})
    except Exception as error:
        if not _is_mistake(error):
            raise
        parent.say({"event": "refused", "error": f"{type(error).__name__}: {error}"[:2000]})
        return
    Conversation(parent, engine).run()


def _is_mistake(error: Exception) -> bool:
    """Whether the order can never be loaded: a name, file or option is wrong.

    vLLM raises ValueError for too little memory as well, which another time may be there.
    """
    lost = isinstance(error, OSError) and (error.errno is None or error.filename is not None)
    option = isinstance(error, TypeError) and "unexpected keyword" in str(error)
    return (
        lost or option or isinstance(error, _Refused) or type(error).__name__ == "ValidationError"
    )


class _Refused(Exception):
    """Something cannot be done as it was asked."""


class Conversation:
    """Between the parent, who may speak at any time, and the engine, which works in steps."""

    def __init__(self, parent: Parent, engine: Engine) -> None:
        self._parent, self._engine = parent, engine
        self._answers: list[Message] = []
        self._told = self._counted = time.monotonic()

    def run(self) -> None:
        """Until the parent says that it is over."""
        doing: Mapping[str, Callable[[Message], None]] = {
            "generate": self._generate,
            "sleep": self._sleep,
            "wake": self._wake,
        }
        while True:
            busy = self._engine.busy
            for message in self._parent.hear(wait=not busy):
                if message["do"] == "end":
                    self._engine.close()
                    return
                if not busy:  # time without work is nobody's
                    self._told = self._counted = time.monotonic()
                doing[message["do"]](message)
            self._answers += self._engine.step()
            self._tell()

    def _tell(self) -> None:
        now = time.monotonic()
        if self._answers and (now - self._told > _TELL or not self._engine.busy):
            seconds, self._counted = now - self._counted, now
            self._parent.say({"event": "answers", "answers": self._answers, "seconds": seconds})
            self._answers, self._told = [], now
        elif not self._answers and self._engine.busy and now - self._told > _BEAT:
            self._parent.say({"event": "beat"})
            self._told = now

    def _generate(self, message: Message) -> None:
        for request in message["requests"]:
            try:
                self._engine.add(request)
            except _Refused as refused:
                kind, detail = refused.args
                self._answers.append({"id": request["id"], "failure": [kind, detail]})

    def _sleep(self, message: Message) -> None:
        self._engine.sleep(message["level"])
        self._parent.say({"event": "asleep"})

    def _wake(self, message: Message) -> None:
        self._engine.wake()
        self._parent.say({"event": "awake", "canary": self._engine.canary()})


class Engine:
    """One vLLM engine and the adapters of its base."""

    def __init__(self, order: Message) -> None:
        from vllm import LLM
        from vllm.lora.request import LoRARequest

        options = _options(order)
        self.sleeps = bool(options.get("enable_sleep_mode"))
        self._llm = LLM(model=order["model"], **options)
        self._engine = self._llm.llm_engine
        self._tokenizer: Any = self._llm.get_tokenizer()
        self._template = {
            "tokenize": False,
            "add_generation_prompt": True,
            "chat_template": self._llm.chat_template,
            **order["chat_template_kwargs"],
        }
        self._given = self._llm.model_config.get_diff_sampling_param()
        self._think = _splitter(options.get("reasoning_parser", ""), self._tokenizer)
        # Experts that name the same adapter share it.
        folders = {path: i + 1 for i, path in enumerate(dict.fromkeys(order["adapters"].values()))}
        self._adapters = {
            name: LoRARequest(path, folders[path], path) for name, path in order["adapters"].items()
        }
        self._level = 0
        self._canary = order["canary"]
        self.window: int = self._llm.model_config.max_model_len
        self._check_template()

    @property
    def busy(self) -> bool:
        """Whether anything is under way."""
        return bool(self._engine.has_unfinished_requests())

    def add(self, request: Message) -> None:
        """Let a request join the batch.

        Raises:
            _Refused: (kind, detail) of the failure that it is.
        """
        try:
            tokens = self._tokens(request["messages"])
        except Exception as error:  # a template raises what it likes: no system prompts here, say
            raise _Refused("refused", f"{type(error).__name__}: {error}"[:500]) from error
        room = self.window - len(tokens)
        sampling = {**self._given, **request["sampling"]}
        if room < 1:
            wanted = f"{sampling['max_tokens']} new tokens wanted, window of {self.window}"
            raise _Refused("too_long", f"prompt of {len(tokens)} tokens, {wanted}")
        sampling["max_tokens"] = min(sampling["max_tokens"], room)
        try:
            self._submit(str(request["id"]), tokens, sampling, request)
        except (ValueError, TypeError) as error:  # vLLM says so of what it cannot sample
            raise _Refused("refused", f"{type(error).__name__}: {error}"[:500]) from error

    def step(self) -> list[Message]:
        """Go on by one step; what is finished with it."""
        if not self.busy:
            return []
        return [self._answer(output) for output in self._engine.step() if output.finished]

    def canary(self) -> dict[str, list[int]]:
        """What the base and each adapter write for the canary's prompt: token ids."""
        sampling = {"temperature": 0.0, "max_tokens": self._canary["tokens"], "ignore_eos": True}
        prompt = self._tokenizer.encode(self._canary["prompt"], add_special_tokens=False)
        tokens = prompt[: max(self.window - self._canary["tokens"], 1)]
        wrote: dict[str, list[int]] = {}
        for name in ("", *self._adapters):  # one by one: a batch of others may round otherwise
            self._submit(f"canary {name}", tokens, sampling, {"adapter": name, "choices": []})
            while self.busy:
                for output in self._engine.step():
                    wrote[name] = list(output.outputs[0].token_ids)
        return wrote

    def sleep(self, level: int) -> None:
        """Give the accelerator's memory back: 1 keeps the weights in main memory, 2 drops them."""
        self._llm.sleep(level=level)
        self._level = level

    def wake(self) -> None:
        """Be ready again. Weights that were dropped are read again before the cache is made."""
        if self._level == 2:
            self._llm.wake_up(tags=["weights"])
            self._llm.collective_rpc("reload_weights")
            self._llm.wake_up(tags=["kv_cache"])
        else:
            self._llm.wake_up()
        self._llm.reset_prefix_cache()

    def close(self) -> None:
        """End the processes that the engine started, if it did."""
        self._engine.engine_core.shutdown()

    def _submit(
        self, number: str, tokens: list[int], sampling: Mapping[str, Any], request: Message
    ) -> None:
        from vllm import SamplingParams
        from vllm.sampling_params import RequestOutputKind, StructuredOutputsParams

        choices = request["choices"]
        params = SamplingParams(
            **sampling,
            output_kind=RequestOutputKind.FINAL_ONLY,
            structured_outputs=StructuredOutputsParams(choice=choices) if choices else None,
        )
        adapter = self._adapters.get(request["adapter"])
        prompt = {"prompt_token_ids": tokens}
        self._engine.add_request(number, prompt, params, lora_request=adapter)

    def _check_template(self) -> None:
        try:
            self._tokens([{"role": "user", "content": "?"}])
        except Exception as error:
            raise _Refused(f"the checkpoint's chat template cannot be used: {error}") from error

    def _tokens(self, messages: list[dict[str, str]]) -> list[int]:
        # The template writes the special tokens; the tokeniser must not add them again.
        text = self._tokenizer.apply_chat_template(messages, **self._template)
        tokens: list[int] = self._tokenizer.encode(text, add_special_tokens=False)
        return tokens

    def _answer(self, output: Any) -> Message:
        return {
            "id": int(output.request_id),
            "read": len(output.prompt_token_ids),
            "cached": output.num_cached_tokens or 0,
            "draws": [self._draw(each) for each in output.outputs],
        }

    def _draw(self, drawn: Any) -> Message:
        reasoning, text = self._think(drawn.text)
        thought = (
            len(self._tokenizer.encode(reasoning, add_special_tokens=False)) if reasoning else 0
        )
        return {
            "text": text,
            "reasoning": reasoning,
            "finish": drawn.finish_reason
            if drawn.finish_reason in ("stop", "length")
            else "unknown",
            "written": len(drawn.token_ids),
            "thought": min(thought, len(drawn.token_ids)),
            "logprobs": _logprobs(drawn),
        }


def _options(order: Message) -> dict[str, Any]:
    """The order's options, and what they leave open where there is no accelerator."""
    from vllm.platforms import current_platform

    options: dict[str, Any] = order["options"]
    if not current_platform.is_cpu():
        return options
    # One process: on a CPU a second one only takes cores away from the first.
    os.environ.setdefault("VLLM_ENABLE_V1_MULTIPROCESSING", "0")
    options = {**order["on_cpu"], **options}
    options.pop("enable_sleep_mode", None)  # vLLM has none there
    if os.environ.get("VLLM_CPU_KVCACHE_SPACE"):
        options.pop("kv_cache_memory_bytes", None)
    if order["adapters"]:
        # Requests without an adapter get the last slot's there (0.32): it stays empty.
        needed = len(set(order["adapters"].values()))
        options["max_loras"] = max(options["max_loras"], needed) + 1
    return options


def _logprobs(drawn: Any) -> list[float] | None:
    """Of the tokens that were drawn; None where they were not asked for."""
    if drawn.logprobs is None:
        return None
    said = [at[token].logprob for at, token in zip(drawn.logprobs, drawn.token_ids, strict=True)]
    return [max(each, _LEAST_LOGPROB) if math.isfinite(each) else _LEAST_LOGPROB for each in said]


def _splitter(parser: str, tokenizer: Any) -> Callable[[str], tuple[str, str]]:
    """What takes reasoning and visible text apart: vLLM's own parser of that name, or tags."""
    if not parser:
        return split_reasoning
    from vllm.entrypoints.openai.chat_completion.protocol import ChatCompletionRequest
    from vllm.reasoning import ReasoningParserManager

    found = ReasoningParserManager.get_reasoning_parser(parser)(tokenizer)
    request = ChatCompletionRequest(messages=[])

    def split(text: str) -> tuple[str, str]:
        reasoning, visible = found.extract_reasoning(text, request)
        return reasoning or "", visible or ""

    return split


def split_reasoning(text: str) -> tuple[str, str]:
    """(reasoning, visible text) of a text with `<think>...</think>`.

    Templates may open the tag in the prompt, so that only its end is in the text. Reasoning
    that never ends is reasoning still.
    """
    head, end, rest = text.partition("</think>")
    before, begin, inside = head.partition("<think>")
    if end:
        reasoning = inside if begin else before
        return reasoning.strip(), ((before if begin else "") + rest).strip()
    if begin and not before.strip():
        return inside.strip(), ""
    return "", text
