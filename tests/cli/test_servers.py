"""`models`, `init` and `check --live`, against servers on loopback."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from time import sleep
from typing import Any

import pytest
import yaml
from click.testing import CliRunner, Result

from orchestra.cli import main
from orchestra.roster import Roster
from orchestra.roster.discover import local_servers
from tests.loopback import listing, loopback


def call(*arguments: object) -> Result:
    result = CliRunner().invoke(main, [str(each) for each in arguments])
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result


def data(*arguments: object, code: int = 0) -> dict[str, Any]:
    result = call(*arguments, "--json")
    assert result.exit_code == code, result.output
    found: dict[str, Any] = json.loads(result.stdout)
    return found


@pytest.fixture(autouse=True)
def _nobody_else(monkeypatch: pytest.MonkeyPatch) -> None:
    """No test asks servers that happen to run on this machine."""
    for module in ("orchestra.cli.init", "orchestra.workers.live"):
        monkeypatch.setattr(
            f"{module}.local_servers", lambda *ports: local_servers(*ports or ((),))
        )


def late(model: str, prompt: str) -> str:
    sleep(0.3)
    return "late"


class TestModels:
    def test_what_is_told_is_shown(self) -> None:
        rows = ({"id": "a", "max_model_len": 8192, "owned_by": "vllm"}, "bge-m3")
        with loopback(listing=listing(*rows)) as server:
            result = call("models", server.origin)
            told = data("models", server.url)
        assert "`/v1` was added" in result.stderr
        for words in ("a ", "8,192", "vllm", "bge-m3", "embeds texts", "2 models"):
            assert words in result.stdout
        assert told["base_url"] == server.url
        assert [(each["id"], each["context"], each["answers"]) for each in told["models"]] == [
            ("a", 8192, True),
            ("bge-m3", None, False),
        ]

    def test_with_a_key(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("RIGHT", "key-of-the-server")
        monkeypatch.setenv("WRONG", "another-key-here")
        with loopback(key="key-of-the-server") as server:
            assert data("models", server.url, "--key-env", "RIGHT")["models"]
            without, wrong = (
                call("models", server.url),
                call("models", server.url, "--key-env", "WRONG"),
            )
        assert (without.exit_code, wrong.exit_code) == (2, 2)
        assert "--key-env NAME" in without.stderr
        assert "refuses the key of `WRONG`" in wrong.stderr
        assert "another-key" not in wrong.output


class TestInit:
    def test_from_two_servers(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("MY_KEY", "key-of-the-server")
        rows = ("m", {"id": "small", "max_model_len": 2048}, "nomic-embed-text", "odd\nname")
        with (
            loopback(listing=listing(*rows)) as one,
            loopback(key="key-of-the-server") as two,
        ):
            told = data(
                *("init", "--from", one.origin, "--from", two.url, "--out", tmp_path / "new"),
                *("--key-env", "-", "--key-env", "MY_KEY"),
            )
        roster = Roster.load(tmp_path / "new" / "roster.yaml")
        assert [(e.name, e.base_url, e.api_key_env) for e in roster] == [
            ("m", one.url, ""),
            ("small", one.url, ""),
            ("odd-name", one.url, ""),
            ("m-2", two.url, "MY_KEY"),
        ]
        assert roster["small"].sampling.max_tokens == 1024
        assert told["left_out"] == {"nomic-embed-text": "embeds texts"}
        text = (tmp_path / "new" / "roster.yaml").read_text()
        assert "left out: 'nomic-embed-text' embeds texts" in text
        assert "key-of-the-server" not in text
        assert yaml.safe_load((tmp_path / "new" / "orchestra.yaml").read_text()) == {
            "schema": 1,
            "roster": "roster.yaml",
            "table": "table.json",
            "pipeline": "orchestra",
        }
        assert told["next"][0] == f"cd {tmp_path / 'new'}"

    def test_addresses_stand_in_one_column(self, tmp_path: Path) -> None:
        with loopback(models=["m", "a-longer-name"]) as server:
            lines = call("init", "--from", server.url, "--out", tmp_path).stdout.splitlines()
        assert len({line.index(server.url) for line in lines if server.url in line}) == 1

    def test_odd_names_are_read_back(self, tmp_path: Path) -> None:
        ids = [
            *("1e5", "null", "yes", "~", "x: y", "- dash", "'quote\"", "#hash", "*b", "&a", "!t"),
            *("{{x}}", "[1]", "%d", "a\tb", "a\nb", "a\u2028b", "\x1b[31mred", "模型", "🙂"),
            *("0x1F", " lead", "trail ", ".", "../../x", "a" * 300, "1:30", "2024-01-01", "<<"),
        ]
        with loopback(listing=listing(*ids)) as server:
            assert call("init", "--from", server.url, "--out", tmp_path).exit_code == 0
        assert [expert.model for expert in Roster.load(tmp_path / "roster.yaml")] == ids

    def test_nothing_is_replaced_unless_forced(self, tmp_path: Path) -> None:
        (tmp_path / "roster.yaml").write_text("mine")
        with loopback() as server:
            arguments = ("init", "--from", server.url, "--out", tmp_path)
            result = call(*arguments)
            assert result.exit_code == 2
            assert "--force" in result.stderr
            assert (tmp_path / "roster.yaml").read_text() == "mine"
            assert not (tmp_path / "orchestra.yaml").exists()
            assert call(*arguments, "--force").exit_code == 0
        assert Roster.load(tmp_path / "roster.yaml").names == ("m",)

    def test_servers_of_this_machine(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        with loopback() as one, loopback(key="k") as locked:
            monkeypatch.setattr(
                "orchestra.cli.init.local_servers",
                lambda: local_servers((one.port, locked.port)),
            )
            result = call("init", "--out", tmp_path)
        assert result.exit_code == 0
        assert f"found {one.url}" in result.stderr
        assert "wants a key" in result.stderr
        assert "orchestra check roster.yaml --live" in result.stdout

    @pytest.mark.parametrize(
        ("dead", "says", "hints"),
        [
            (["http://127.0.0.1:9"], "nothing listens at 127.0.0.1:9", "its port?"),
            (["http://127.0.0.1:9/v1", "http://127.0.0.1:9"], "nothing listens", "its port?"),
            (["http://nowhere.invalid/v1"], "nowhere.invalid: ", "name of the host"),
            (["{locked}"], "wants a key", "--key-env NAME"),
            (["{empty}"], "lists no models", "load a model"),
            (["{other}"], "refuses to list its models: 404", "the root of its API"),
        ],
    )
    def test_a_dead_server_among_live_ones_is_told_once(
        self, tmp_path: Path, dead: Sequence[str], says: str, hints: str
    ) -> None:
        with (
            loopback() as one,
            loopback(models=["n"]) as two,
            loopback(key="k") as locked,
            loopback(listing=listing()) as empty,
            loopback(listing="no", status=404) as other,
        ):
            urls = {"locked": locked.url, "empty": empty.url, "other": other.url}
            named = [each.format(**urls) for each in dead]
            given = [part for each in (one.url, *named, two.url) for part in ("--from", each)]
            result = call("init", "--out", tmp_path / "new", *given)
            told = data("init", "--out", tmp_path / "data", *given)
            alone = call("init", "--out", tmp_path / "none", "--from", named[0])
        assert result.exit_code == 0
        words = " ".join(result.output.split())
        assert words.count(says) == words.count(hints) == 1
        assert Roster.load(tmp_path / "new" / "roster.yaml").names == ("m", "n")
        [silent] = told["silent"]
        assert (says in silent["why"], hints in silent["hint"]) == (True, True)
        assert alone.exit_code == 2
        words = " ".join(alone.output.split())
        assert words.count(says) == words.count(hints) == 1
        assert not (tmp_path / "none").exists()

    @pytest.mark.parametrize(
        ("arguments", "says"),
        [
            ([], "no server was found"),
            (["--from", "http://127.0.0.1:9", "--from", "x y"], "not an address"),
            (["--from", "http://127.0.0.1:9"], "nothing listens"),
            (["--from", "http://127.0.0.1:9", "--key-env", "A", "--key-env", "B"], "2 `--key-env`"),
            (["--from", "http://127.0.0.1:9", "--key-env", "NOT_SET_HERE"], "`NOT_SET_HERE`"),
        ],
    )
    def test_mistakes(self, tmp_path: Path, arguments: Sequence[str], says: str) -> None:
        result = call("init", "--out", tmp_path, *arguments)
        assert result.exit_code == 2
        assert says in result.stderr
        assert list(tmp_path.iterdir()) == []


class TestLive:
    def check(self, tmp_path: Path, *experts: str, code: int) -> dict[str, Any]:
        """What `check --live` says of each expert."""
        rows = "".join(f"  - {{{expert}}}\n" for expert in experts)
        path = tmp_path / "roster.yaml"
        path.write_text(f"schema: 1\nexperts:\n{rows}")
        told = data("check", path, "--live", "--timeout", "5", code=code)
        return {each["expert"]: each for each in told["live"]}

    def test_all_answer(self, tmp_path: Path) -> None:
        with loopback(chat=lambda model, prompt: "ready") as server:
            rows = [f"name: e{n}, model: m, base_url: '{server.url}'" for n in range(3)]
            told = self.check(tmp_path, *rows, code=0)
            words = call("check", tmp_path / "roster.yaml", "--live").stdout
        assert [each["outcome"] for each in told.values()] == ["ok"] * 3
        assert told["e0"]["text"] == "ready"
        assert len(server.prompts) == 6
        assert "ms  'ready'" in words

    @pytest.mark.parametrize(
        ("expert", "failure", "says", "hint"),
        [
            ("model: right, base_url: ORIGIN", "not_found", "`/v1` was added", "base_url: URL"),
            ("model: right, base_url: URL/v1", "not_found", "root of the API", "base_url: URL"),
            ("model: Rigth, base_url: URL", "not_found", "no `Rigth`", "did you mean `right`"),
            ("model: other, base_url: URL", "not_found", "no `other`", "it lists `right`"),
            ("model: no, base_url: ORIGIN", "not_found", "was added", "URL`, and the server lists"),
            (
                "model: right, base_url: 'http://127.0.0.1:9/v1'",
                "unreachable",
                "nothing listens at 127.0.0.1:9",
                "is this its port?",
            ),
            ("model: m, base_url: LOCKED", "unauthorised", "401", "api_key_env: NAME"),
            (
                "model: m, base_url: LOCKED, api_key_env: BAD",
                "unauthorised",
                "401",
                "value of `BAD`",
            ),
            ("model: m, base_url: LOCKED, api_key_env: NONE_SET", "input", "`NONE_SET`", "set it"),
        ],
    )
    def test_what_is_wrong(
        self,
        tmp_path: Path,
        monkeypatch: pytest.MonkeyPatch,
        expert: str,
        failure: str,
        says: str,
        hint: str,
    ) -> None:
        monkeypatch.setenv("BAD", "not-this-servers-key")
        with loopback(models=["right", "left"]) as server, loopback(key="k") as locked:
            names = {"ORIGIN": server.origin, "LOCKED": locked.url, "URL": server.url}
            for name, value in names.items():
                expert, hint = expert.replace(name, value), hint.replace(name, value)
            told = self.check(
                *(
                    tmp_path,
                    f"name: e, {expert}",
                    f"name: ok, model: right, base_url: {server.url}",
                ),
                code=2,
            )
        assert told["ok"]["outcome"] == "ok"
        assert (told["e"]["outcome"], told["e"]["failure"]) == ("wrong", failure)
        assert says in " ".join(told["e"]["details"])
        assert hint in told["e"]["hint"]
        assert "not-this-servers-key" not in json.dumps(told)

    def test_a_wrong_port_names_the_servers_of_this_machine(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        with loopback(listing=listing("right")) as server:
            monkeypatch.setattr(
                "orchestra.workers.live.local_servers", lambda: local_servers((server.port,))
            )
            told = self.check(
                tmp_path, "name: e, model: right, base_url: 'http://localhost:9/v1'", code=2
            )
        assert f"On this machine: {server.url} (`right`" in told["e"]["hint"]

    def test_a_silent_server(self, tmp_path: Path) -> None:
        with loopback() as server:
            server.chat = late
            path = tmp_path / "roster.yaml"
            path.write_text(
                f"schema: 1\nexperts:\n  - {{name: e, model: m, base_url: '{server.url}'}}\n"
            )
            told = data("check", path, "--live", "--timeout", "0.1", code=2)
        assert told["live"][0]["failure"] == "timeout"
        assert "--timeout" in told["live"][0]["hint"]

    def test_engines_and_functions_are_named(self, tmp_path: Path) -> None:
        told = self.check(tmp_path, "name: e, worker: vllm, model: org/name", code=0)
        assert told["e"]["outcome"] == "not called"
        assert "an engine is loaded" in told["e"]["details"][0]

    def test_no_roster(self, tmp_path: Path) -> None:
        result = call("check", "majority", "--live")
        assert result.exit_code == 2
        assert "no file is one" in result.stderr
