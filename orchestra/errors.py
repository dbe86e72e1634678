"""Everything that can go wrong, as one tree.

Knows what the user gave, what was allowed and what to do next; does not know
how an error is shown (the command line decides that) nor what caused it below.

    OrchestraError
        InputError            the user's input is wrong (exit code 2)
            InputErrors       several input errors found at one door, raised together
            MissingExtra      an optional package is needed for what was asked
            MissingKey        the key of a provider is not in the environment
            RunConflict       a run folder belongs to another command or another process
        WorkerError           a model or provider failed past the run's tolerance (exit code 3)
        BudgetExhausted       a budget stopped the run; finished work is kept (exit code 4)
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Sequence

_UNSAFE = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\ud800-\udfff]")
"""Control characters, marks that reorder a line, and halves of a character."""


class OrchestraError(Exception):
    """Root of the tree. `message` says what happened, `hint` what to do about it."""

    retryable: bool = False
    exit_code: int = 1

    def __init__(self, message: str, *, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint

    def __str__(self) -> str:
        return f"{self.message}\n  hint: {self.hint}" if self.hint else self.message


class InputError(OrchestraError):
    """What the user gave is wrong. `place` names the file and the spot in it, where known."""

    exit_code = 2

    def __init__(self, message: str, *, place: str = "", hint: str = "") -> None:
        super().__init__(f"{place}: {message}" if place else message, hint=hint)
        self.place = place


class InputErrors(InputError):
    """Every error found at one door, so that the user mends them in one go."""

    def __init__(self, errors: Iterable[InputError]) -> None:
        self.errors: tuple[InputError, ...] = tuple(errors)
        super().__init__("\n".join(str(error) for error in self.errors))


class MissingExtra(InputError):
    """An optional package is not installed; the hint is the command that installs it."""


class MissingKey(InputError):
    """No environment variable holds the key that an expert needs."""


class RunConflict(InputError):
    """A run folder is held by another process, or was made by another command."""


class WorkerError(OrchestraError):
    """A model or provider failed more often than the run tolerates."""

    exit_code = 3


class BudgetExhausted(OrchestraError):
    """A budget would be passed by the next call; everything finished is kept."""

    exit_code = 4


def raise_all(errors: Sequence[InputError]) -> None:
    """Raise nothing for no error, the error itself for one, `InputErrors` for several."""
    if len(errors) == 1:
        raise errors[0]
    if errors:
        raise InputErrors(errors)


def shown(value: object) -> str:
    """What a value is, for a message: its type, and the value itself if that is short."""
    try:
        text = repr(value)
    except Exception:  # some stranger's class, which must not replace the error about it
        return type(value).__name__
    short = len(text) <= 40 and "\n" not in text
    return f"{type(value).__name__} {text}" if short else type(value).__name__


def expect(
    name: str, value: object, types: type | tuple[type, ...], words: str, *, hint: str = ""
) -> None:
    """Raise an InputError where `value` is of none of `types`; `words` describe what it must be.

    Numbers are no truth values: a bool is taken only where `types` names it.
    """
    allowed = types if isinstance(types, tuple) else (types,)
    wrong_bool = isinstance(value, bool) and bool not in allowed and object not in allowed
    if wrong_bool or not isinstance(value, allowed):
        raise InputError(f"{name} must be {words}, not {shown(value)}", hint=hint)


def unknown(kind: str, given: str, allowed: Iterable[str], *, place: str = "") -> InputError:
    """An error for a name that is not known, with the near valid names first in its hint."""
    names = sorted(allowed)
    near = difflib.get_close_matches(given, names, n=3, cutoff=0.5)
    shown = ", ".join(f"`{name}`" for name in names[:12]) + (", ..." if len(names) > 12 else "")
    hint = f"did you mean {' or '.join(f'`{name}`' for name in near)}? " if near else ""
    return InputError(
        f"unknown {kind}: {given!r}", place=place, hint=f"{hint}allowed: {shown or 'none'}"
    )


def visible(text: str) -> str:
    """Text from a file or a model in a form that no terminal obeys.

    Each control character but a line break and a tab becomes one mark: `␛` for ESC. All text
    that is printed passes here, because terminals clear screens, set titles and write clipboards
    when they receive such characters.
    """
    return _UNSAFE.sub(_mark, text)


def _mark(unsafe: re.Match[str]) -> str:
    code = ord(unsafe[0])
    return chr(0x2400 + code) if code < 0x20 else "␡" if code == 0x7F else "\ufffd"
