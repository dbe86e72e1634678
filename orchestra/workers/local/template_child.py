"""The program of the child process that renders chat templates (`templates`).

A template is a stranger's program, so this process has little memory, and its parent ends it
where a template does not end. Requests and replies are JSON, one a line. Run as a script, it
imports nothing of orchestra.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from jinja2 import TemplateError
from jinja2.ext import Extension
from jinja2.sandbox import ImmutableSandboxedEnvironment

if sys.platform != "win32":
    import resource

MEMORY = 1 << 30
"""Bytes that the process may take, those of Python and jinja2 included."""
LONGEST = 8_000_000
"""Characters of a prompt at most."""


class Generation(Extension):
    """`{% generation %}`, which marks an assistant's words for training, is its content."""

    tags = {"generation"}  # an attribute of jinja2's class

    def parse(self, parser: Any) -> Any:
        """The statements up to `{% endgeneration %}`."""
        next(parser.stream)
        return parser.parse_statements(("name:endgeneration",), drop_needle=True)


def main() -> None:
    """Answer requests until standard input ends."""
    limit_memory()
    compiled: dict[str, Any] = {}
    compile_template = compiler()
    for line in sys.stdin.buffer:
        request = json.loads(line)
        try:
            source = request["source"]
            if source not in compiled:
                compiled[source] = compile_template(source)
            text = str(compiled[source].render(**request["given"]))
            if len(text) > LONGEST:
                raise ValueError(f"it makes a prompt of {len(text)} characters")
            reply: dict[str, Any] = {"text": text}
        except Exception as error:  # a template raises what it likes
            words = " ".join(str(error).split())[:500]
            line_number = getattr(error, "lineno", None)
            reply = {"kind": type(error).__name__, "words": words, "line": line_number}
        sys.stdout.buffer.write(json.dumps(reply).encode() + b"\n")
        sys.stdout.buffer.flush()


def limit_memory() -> None:
    """Let the process take so much memory and no more."""
    if sys.platform != "win32":
        with suppress(OSError, ValueError):  # macOS refuses
            resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))


def compiler() -> Callable[[str], Any]:
    """What makes a template of a source, as the libraries that templates are written for do."""
    # No `strftime_now`: what a model is asked must not depend on the day. Templates that know
    # of it ask whether it is there and fall back on a fixed date.
    environment = ImmutableSandboxedEnvironment(
        trim_blocks=True, lstrip_blocks=True, extensions=["jinja2.ext.loopcontrols", Generation]
    )
    environment.filters["tojson"] = tojson

    def raise_exception(reason: str) -> None:
        raise TemplateError(reason)

    environment.globals["raise_exception"] = raise_exception
    return environment.from_string


def tojson(value: object, indent: int | None = None) -> str:
    """JSON in which letters stay letters."""
    return json.dumps(value, ensure_ascii=False, indent=indent)


if __name__ == "__main__":
    main()
