"""Keys of providers: where they are found, and that nobody ever sees them.

Knows environment variables, and files that such variables name; does not know what a key is for.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path

from orchestra.errors import InputError, MissingKey
from orchestra.records import Generation

HIDDEN = "[hidden]"
"""What is shown in place of a key."""

_SENSITIVE = re.compile(r"(?i)(^|_)(key|token|secret|password|credentials?)s?(_|$)")
_SHORTEST = 8
"""Values that are shorter are no keys; hiding them would make holes in ordinary words."""


class Secret:
    """A key that does not show itself: not printed, not formatted, not pickled."""

    __slots__ = ("_value",)

    def __init__(self, value: str) -> None:
        self._value = value

    def reveal(self) -> str:
        """The key itself, for the request that needs it and nothing else."""
        return self._value

    def __repr__(self) -> str:
        return f"Secret({HIDDEN})"

    __str__ = __repr__

    def __reduce__(self) -> str:
        raise TypeError("a secret is not written anywhere")


def read_secret(
    variable: str, *, place: str = "", environ: Mapping[str, str] = os.environ
) -> Secret:
    """The key that an environment variable holds, or that stands in the file it names.

    Args:
        variable: `MY_KEY`; where it is not set, `MY_KEY_FILE` may name a file with the key.
        place: who needs it, for messages.
        environ: where variables are looked up.

    Raises:
        MissingKey: neither is set.
        InputError: the file cannot be read, or there is no usable key in it.
    """
    value = environ.get(variable, "").strip()
    file = environ.get(f"{variable}_FILE", "").strip()
    if not value and file:
        value = _contents(file, variable, place)
    if not value:
        raise MissingKey(
            f"the environment variable `{variable}` is not set",
            place=place,
            hint=f"set it to the key, or `{variable}_FILE` to the path of a file that holds it",
        )
    if not value.isascii() or not value.isprintable():
        raise InputError(
            f"what `{variable}` holds is no key: it has line breaks or other special characters",
            place=place,
        )
    return Secret(value)


def hide(text: str, secrets: Iterable[Secret]) -> str:
    """The text without the secrets, should somebody have repeated one.

    Nor does it end in the beginning of one, where a text was cut.
    """
    values = {secret.reveal() for secret in secrets}
    for value in sorted(values, key=len, reverse=True):  # one may begin another
        if len(value) < _SHORTEST or value[:_SHORTEST] not in text:
            continue
        text = text.replace(value, HIDDEN)
        for length in range(len(value) - 1, _SHORTEST - 1, -1):
            if text.endswith(value[:length]):
                text = text[:-length] + HIDDEN
                break
    return text


def without(generation: Generation, secrets: Iterable[Secret]) -> Generation:
    """The generation without the secrets, should the server have repeated one anywhere in it."""
    secrets = tuple(secrets)
    text, reasoning = hide(generation.text, secrets), hide(generation.reasoning, secrets)
    failure = generation.failure
    if failure is not None:
        failure = replace(failure, detail=hide(failure.detail, secrets))
    if (text, reasoning, failure) == (generation.text, generation.reasoning, generation.failure):
        return generation
    return replace(generation, text=text, reasoning=reasoning, failure=failure)


def environment_secrets(environ: Mapping[str, str] = os.environ) -> tuple[Secret, ...]:
    """What the environment holds under names such as `..._KEY` and `..._TOKEN`.

    For libraries that find their keys there by themselves.
    """
    return tuple(
        Secret(value)
        for name, value in environ.items()
        if _SENSITIVE.search(name) and len(value) >= _SHORTEST
    )


def _contents(file: str, variable: str, place: str) -> str:
    try:
        raw = Path(file).expanduser().read_bytes()
    except (OSError, RuntimeError, ValueError) as error:  # RuntimeError: `~` of nobody
        reason = getattr(error, "strerror", None) or type(error).__name__
        raise InputError(
            f"the file that `{variable}_FILE` names cannot be read: {reason}", place=place
        ) from None
    # Strictly decoded, an error would carry what it could not decode.
    return raw.decode("utf-8-sig", "replace").strip()
