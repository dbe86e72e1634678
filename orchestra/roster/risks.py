"""What a roster of a stranger could do: programs that it names, and keys that it sends away."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from ipaddress import ip_address
from urllib.parse import urlsplit

from orchestra.roster.expert import Expert

_CODE = (
    "worker_cls",
    "worker_extension_cls",
    "scheduler_cls",
    "logits_processors",
    "load_format",
    "tokenizer_mode",
    "distributed_executor_backend",
)
"""Engine options whose value may name a class or a plugin, if it has a dot in it."""
_OTHER_KEYS = re.compile(
    r"(AWS|GCP|GITHUB|GH|GITLAB|NPM|PYPI|TWINE|DOCKER|KUBE\w*|SSH|GPG|DB|DATABASE|PG|POSTGRES\w*"
    r"|MYSQL|MONGO\w*|REDIS|SLACK|STRIPE|TWILIO|SMTP|MAIL|VAULT|SENTRY|CI)_\w+"
    r"|\w*(PASSWORD|PASSWD|PASSPHRASE|PRIVATE_KEY|SECRET_ACCESS_KEY|SESSION_TOKEN|COOKIE)\w*"
)
"""Names of variables that hold something other than the key of a model's provider."""


def risks(expert: Expert) -> Iterator[str]:
    """What to know of an expert before a roster of others is used, one sentence each."""
    name = f"expert `{expert.name}`"
    host = urlsplit(expert.base_url).hostname or ""
    if expert.api_key_env:
        where = f"to {host}" if host else "to its provider"
        if urlsplit(expert.base_url).scheme == "http" and not _is_local(host):
            yield f"{name} sends the key in `{expert.api_key_env}` {where} without encryption"
        if _OTHER_KEYS.fullmatch(expert.api_key_env):
            yield (
                f"{name} sends `{expert.api_key_env}` {where}, and by its name it is no key of a "
                "model's provider"
            )
    program = expert.engine.get("python", sys.executable)
    if program != sys.executable:
        yield f"{name} runs the program {program!r}"
    if expert.engine.get("trust_remote_code"):
        yield f"{name} runs programs that its checkpoint brings (`trust_remote_code`)"
    for key in _CODE:
        if "." in str(value := expert.engine.get(key, "")):
            yield f"{name} runs the program that `{key}` names: {value!r}"


def _is_local(host: str) -> bool:
    """Whether a host is this machine."""
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost" or host.endswith(".localhost")
