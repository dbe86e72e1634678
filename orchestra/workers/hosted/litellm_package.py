"""litellm itself: the one place that imports it.

Knows which releases are safe and how it is kept quiet, off the network and without callbacks;
does not know how it is called.
"""

from __future__ import annotations

import logging
import os
import re
from functools import cache
from importlib import metadata
from types import ModuleType
from typing import Any

from orchestra.errors import InputError, MissingExtra

_INSTALL = "pip install 'orchestra-experts[litellm]'"
_OLDEST = (1, 83, 7)
"""Those before it have holes that were used."""
_STOLEN = ((1, 82, 7), (1, 82, 8))
"""Releases that were not litellm's own: they send away what keys they find."""
_WITHDRAWN = (1, 107)
"""A series that the package index has withdrawn; it is said to be compromised."""

_ENVIRONMENT = {
    "LITELLM_LOCAL_MODEL_COST_MAP": "True",  # or else it fetches prices from the network
    "LITELLM_MODE": "PRODUCTION",  # or else it reads whatever `.env` lies about
}
_LOGGERS = ("LiteLLM", "LiteLLM Router", "LiteLLM Proxy")
_CALLBACKS = (
    "callbacks",
    "input_callback",
    "success_callback",
    "failure_callback",
    "service_callback",
    "_async_input_callback",
    "_async_success_callback",
    "_async_failure_callback",
)


@cache
def package() -> ModuleType:
    """The package, imported and made quiet; that takes seconds the first time.

    Raises:
        InputError: it is not installed, or not to be trusted.
    """
    _check_version()
    for name, value in _ENVIRONMENT.items():
        os.environ.setdefault(name, value)
    import litellm

    found: Any = litellm  # not all that is set here is in its types
    found.suppress_debug_info = True
    found.set_verbose = False
    if hasattr(found, "telemetry"):
        found.telemetry = False
    found.cache = None
    for name in _CALLBACKS:
        if isinstance(held := getattr(found, name, None), list):
            held.clear()
    for name in _LOGGERS:  # what it logs may have keys in it
        logger = logging.getLogger(name)
        logger.handlers[:] = [logging.NullHandler()]
        logger.setLevel(logging.WARNING)
        logger.propagate = False
    quiet: ModuleType = found
    return quiet


def _check_version() -> None:
    """Look before it is imported: then it would be too late."""
    try:
        told = metadata.version("litellm")
    except metadata.PackageNotFoundError:
        said = "`worker: litellm` needs litellm, which is not installed here"
        raise MissingExtra(said, hint=_INSTALL) from None
    version = tuple(int(part) for part in re.findall(r"\d+", told)[:3])
    if version in _STOLEN:
        raise InputError(
            f"litellm {told} is not genuine: it sends away the keys that it finds",
            hint=f"remove it, change every key that this machine has seen, then {_INSTALL}",
        )
    if version[:2] == _WITHDRAWN:
        raise InputError(
            f"litellm {told} was withdrawn and may be compromised",
            hint=f"remove it, change every key that this machine has seen, then {_INSTALL}",
        )
    if version < _OLDEST:
        needed = ".".join(map(str, _OLDEST))
        said = f"litellm {told} has known holes; {needed} is the oldest without"
        raise InputError(said, hint=f"pip install --upgrade 'litellm>={needed},<2'")
