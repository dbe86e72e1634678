"""Chat templates and tokenizers."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestra.errors import InputError, WorkerError
from orchestra.records import Message
from orchestra.workers.local import templates
from orchestra.workers.local.chat import Chat, check_template
from training.checkpoint import encode

HELLO = (Message("user", "hello"),)


def with_config(folder: Path, to: Path, **changes: Any) -> Path:
    """A copy of the checkpoint with another tokenizer config; None takes a key out."""
    copied = shutil.copytree(folder, to / "copy")
    path = copied / "tokenizer_config.json"
    config = json.loads(path.read_text()) | changes
    path.write_text(json.dumps({key: each for key, each in config.items() if each is not None}))
    return copied


def test_a_shipped_template_ends_where_the_answer_begins(babbler: Path) -> None:
    chat = Chat(babbler)
    text = chat.prompt((Message("system", "be brief"), Message("user", "1 + 1?")))
    assert text == "<|system|>be brief<|end|><|user|>1 + 1?<|end|><|assistant|>"
    assert chat.ends == {7}


@given(st.text(st.characters(min_codepoint=32, max_codepoint=126).filter(lambda c: c != "<")))
def test_ids_are_those_of_the_training(babbler: Path, text: str) -> None:
    chat = Chat(babbler)
    assert chat.ids(chat.prompt((Message("user", text),))) == encode(text)
    assert chat.text(encode(text, chat=False)) == text


def test_special_tokens_are_not_text(babbler: Path) -> None:
    assert Chat(babbler).text([5, *encode("hi", chat=False), 7]) == "hi"


@pytest.mark.parametrize(
    ("template", "shown"),
    [
        ("{{ bos_token }}{{ messages[0].content }}{{ eos_token }}", "<s>hello</s>"),
        ("{{ messages | tojson }}", '[{"role": "user", "content": "hello"}]'),
        ("{% for m in messages %}{% if loop.first %}{% break %}{% endif %}{% endfor %}.", "."),
        ("a\n  {% if true %}\nb\n  {% endif %}\nc", "a\nb\nc"),
        ("{{ 'now' if strftime_now is defined else 'no date' }}", "no date"),
        ("{% generation %}{{ messages[0].content }}{% endgeneration %}!", "hello!"),
        ([{"name": "tools", "template": "t"}, {"name": "default", "template": "d"}], "d"),
    ],
)
def test_what_templates_may_use(
    template: object, shown: str, babbler: Path, tmp_path: Path
) -> None:
    changes: dict[str, Any] = {"bos_token": {"content": "<s>"}, "eos_token": "</s>"}
    folder = with_config(babbler, tmp_path, chat_template=template, **changes)
    assert Chat(folder).prompt(HELLO) == shown


def test_a_template_in_its_own_file_comes_first(babbler: Path, tmp_path: Path) -> None:
    folder = with_config(babbler, tmp_path)
    (folder / "chat_template.jinja").write_text("from the file")
    assert Chat(folder).prompt(HELLO) == "from the file"


@pytest.mark.parametrize(
    ("template", "reason"),
    [
        ("{{ raise_exception('no system\nrole') }}", "no system role"),
        ("{{ ''.__class__.__mro__ }}", "unsafe"),
        ("{{ messages.append(1) }}", "unsafe"),
        ("{{ messages[0].content + 1 }}", "str"),
        ("{{ nothing.there }}", "nothing"),
    ],
)
def test_a_template_that_refuses(template: str, reason: str, babbler: Path, tmp_path: Path) -> None:
    chat = Chat(with_config(babbler, tmp_path, chat_template=template))
    with pytest.raises(WorkerError, match=reason):
        chat.prompt(HELLO)


@pytest.mark.parametrize(
    ("template", "said"),
    [(None, "no chat template"), ("{% if %}", "broken in its line 1"), ([], "no chat template")],
)
def test_a_template_that_is_wrong(
    template: object, said: str, babbler: Path, tmp_path: Path
) -> None:
    with pytest.raises(InputError, match=said) as caught:
        check_template(with_config(babbler, tmp_path, chat_template=template))
    assert caught.value.place.endswith("tokenizer_config.json")


HOSTILE = [
    ("{% for a in range(99999) %}{% for b in range(99999) %}{% endfor %}{% endfor %}", "not end"),
    ("{% set x = namespace(y=1) %}{% for a in range(99999) %}{% for b in range(99999) %}"
     "{% set x.y = x.y + 1 %}{% endfor %}{% endfor %}{{ x.y }}", "not end"),
    ("{{ 1/0 }}", "ZeroDivisionError"),
    ("{{ 2.0**99999 }}", "OverflowError"),
    ("{{ 'a' * 99999999999 }}", "MemoryError"),
    ("{% for a in range(9999) %}{{ 'aaaaaaaaaaaaaa' * 9999 }}{% endfor %}", "MemoryError|not end"),
    ("{{ 'a' * 9000000 }}", "prompt of 9000000 characters"),
    ("{% macro f() %}{{ f() }}{% endmacro %}{{ f() }}", "RecursionError"),
    ("{{ " + "(" * 5000 + "1" + ")" * 5000 + " }}", "no sound program|broken|SyntaxError|Memory"),
    ("{{ [0] * 999999999999 }}", "MemoryError"),
    ("{{ messages[0].content.format(**cycler.__init__.__globals__) }}", "unsafe|Security"),
    ("{{ '%0999999999d' % 1 }}", "MemoryError|OverflowError|not end"),
]  # fmt: skip


@pytest.mark.parametrize(("template", "said"), HOSTILE)
def test_a_hostile_template_is_wrong_input(
    template: str, said: str, babbler: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(templates, "_LATER", 0.5)
    sound = Chat(babbler)
    sound.prompt(HELLO)
    folder = with_config(babbler, tmp_path, chat_template=template)
    with pytest.raises(InputError, match=said):
        check_template(folder)
    assert sound.prompt(HELLO).endswith("<|assistant|>")  # whatever became of the process


def test_a_template_that_is_not_text_is_wrong_input(babbler: Path, tmp_path: Path) -> None:
    folder = with_config(babbler, tmp_path)
    (folder / "chat_template.jinja").write_bytes(b"\xff\xfe{{ 1 }}")
    with pytest.raises(InputError, match="cannot be read"):
        check_template(folder)


@pytest.mark.parametrize("text", ["", "{}", '{"model": {"type": "None"}}'])
def test_a_broken_tokenizer(text: str, babbler: Path, tmp_path: Path) -> None:
    folder = with_config(babbler, tmp_path)
    (folder / "tokenizer.json").write_text(text)
    with pytest.raises(InputError, match=r"tokenizer\.json: not a tokenizer"):
        Chat(folder)


@pytest.mark.parametrize(
    ("generation", "config", "word", "ends"),
    [
        ([2, 7], 3, "<|end|>", {2, 7}),
        (None, 3, "<|end|>", {3, 7}),
        (None, None, "</s>", {2}),
        (None, None, None, set()),
        (5, 3, "not a token", {5}),
    ],
)
def test_what_ends_an_answer(
    generation: Any, config: Any, word: Any, ends: set[int], babbler: Path, tmp_path: Path
) -> None:
    folder = with_config(babbler, tmp_path, eos_token=word)
    (folder / "generation_config.json").write_text(json.dumps({"eos_token_id": generation}))
    whole = json.loads((folder / "config.json").read_text()) | {"eos_token_id": config}
    (folder / "config.json").write_text(json.dumps(whole))
    assert Chat(folder).ends == ends
