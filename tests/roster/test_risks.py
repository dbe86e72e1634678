"""Programs that a roster names, and keys that it sends away, are named before anything is done."""

from __future__ import annotations

import sys
from typing import Any

import pytest

from orchestra.roster import Expert, risks
from orchestra.workers.pool import WorkerPool


def expert(**given: Any) -> Expert:
    return Expert("e", **{"model": "m", "worker": "openai", **given})


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"base_url": "http://a.example/v1", "api_key_env": "MY_KEY"}, ["without encryption"]),
        ({"base_url": "http://10.0.0.3/v1", "api_key_env": "MY_KEY"}, ["without encryption"]),
        ({"base_url": "https://a.example/v1", "api_key_env": "MY_KEY"}, []),
        ({"base_url": "http://127.0.0.1:1/v1", "api_key_env": "MY_KEY"}, []),
        ({"base_url": "http://[::1]:1/v1", "api_key_env": "MY_KEY"}, []),
        ({"base_url": "http://localhost:1/v1", "api_key_env": "MY_KEY"}, []),
        ({"base_url": "http://localhost.a.example/v1", "api_key_env": "K"}, ["to localhost.a.ex"]),
        ({"base_url": "http://a.example/v1"}, []),
        (
            {"base_url": "https://a.example/v1", "api_key_env": "AWS_SECRET_ACCESS_KEY"},
            ["`AWS_SECRET_ACCESS_KEY` to a.example, and by its name"],
        ),
        ({"base_url": "https://a.example/v1", "api_key_env": "GITHUB_TOKEN"}, ["GITHUB_TOKEN"]),
        ({"base_url": "https://a.example/v1", "api_key_env": "APP_DB_PASSWORD"}, ["APP_DB"]),
        ({"base_url": "https://a.example/v1", "api_key_env": "OPENAI_API_KEY"}, []),
        (
            {"base_url": "http://a.example/v1", "api_key_env": "PGP_PRIVATE_KEY"},
            ["without encryption", "by its name"],
        ),
        ({"worker": "vllm", "engine": {"python": "/any/file"}}, ["runs the program '/any/file'"]),
        ({"worker": "vllm", "engine": {"python": sys.executable}}, []),
        ({"worker": "vllm", "engine": {"trust_remote_code": True}}, ["programs that its check"]),
        ({"worker": "vllm", "engine": {"trust_remote_code": False}}, []),
        ({"worker": "vllm", "engine": {"worker_cls": "evil.Worker"}}, ["`worker_cls` names"]),
        ({"worker": "vllm", "engine": {"load_format": "safetensors"}}, []),
    ],
)
def test_what_is_named(given: dict[str, Any], said: list[str]) -> None:
    found = list(risks(expert(**given)))
    assert len(found) == len(said)
    for each, part in zip(found, said, strict=True):
        assert each.startswith("expert `e` ")
        assert part in each


def test_a_run_reports_each_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MY_KEY", "k" * 20)
    reported: list[str] = []
    pool = WorkerPool(report=reported.append)
    one = expert(base_url="http://a.example/v1", api_key_env="MY_KEY")
    pool.check([one])
    pool.check([one])
    assert reported == ["expert `e` sends the key in `MY_KEY` to a.example without encryption"]
