"""A worker made of a plain function: for tests, demonstrations and your own engines.

Knows nothing but the function. What it returns is the text; what it raises is a
failure record, as with any engine.
"""

from __future__ import annotations

import inspect
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable

from orchestra.records import Failure, Generation, Request, Usage

Script = Callable[[Request], str | Generation | Awaitable[str | Generation]]


class ScriptedWorker:
    """Answers each request by calling `script(request)`.

    Args:
        script: returns the text, or a whole Generation; may be async. An exception becomes a
            Generation with a failure of kind `crash`.
    """

    def __init__(self, script: Script) -> None:
        self._script = script

    async def generate(self, requests: Iterable[Request]) -> AsyncIterator[Generation]:
        """One Generation for each request, in order."""
        for request in requests:
            yield await self._one(request)

    async def _one(self, request: Request) -> Generation:
        try:
            said = self._script(request)
            if inspect.isawaitable(said):
                said = await said
            if not isinstance(said, str | Generation):
                raise TypeError(f"the script returned {type(said).__name__}, not text")
        except Exception as error:  # the script is the user's engine: its faults are records
            return self._generation(
                request, "", Failure("crash", f"{type(error).__name__}: {error}")
            )
        return said if isinstance(said, Generation) else self._generation(request, said, None)

    @staticmethod
    def _generation(request: Request, text: str, failure: Failure | None) -> Generation:
        words = sum(len(message.content.split()) for message in request.messages)
        return Generation(
            request.key,
            request.question_id,
            request.expert,
            text=text,
            finish_reason="error" if failure else "stop",
            usage=Usage(1, words, len(text.split()), estimated=True),
            failure=failure,
            layer=request.layer,
            sample=request.sample,
        )
