"""Keys: where they are found, and that nobody sees them."""

from __future__ import annotations

import copy
import pickle
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestra.errors import InputError
from orchestra.workers.secrets import HIDDEN, Secret, environment_secrets, hide, read_secret

KEY = "sk-planted-5f0c2a97d1e84b36"


def test_a_key_does_not_show_itself() -> None:
    secret = Secret(KEY)
    shown = (repr(secret), str(secret), f"{secret}", f"{[secret]}", "%s %r" % (secret, secret))  # noqa: UP031
    assert not any(KEY in each or KEY[:8] in each for each in shown)
    assert not hasattr(secret, "__dict__")
    assert secret.reveal() == KEY


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_a_key_is_not_pickled(protocol: int) -> None:
    with pytest.raises(TypeError, match="not written anywhere"):
        pickle.dumps({"key": Secret(KEY)}, protocol)


def test_a_key_is_not_copied() -> None:
    with pytest.raises(TypeError, match="not written anywhere"):
        copy.deepcopy([Secret(KEY)])


# Where it is found


def test_a_variable_comes_before_a_file(tmp_path: Path) -> None:
    file = tmp_path / "key"
    file.write_text(f"\ufeff{KEY}\r\n", encoding="utf-8")
    found = {"MINE_FILE": str(file)}
    assert read_secret("MINE", environ=found).reveal() == KEY
    assert read_secret("MINE", environ={**found, "MINE": "  "}).reveal() == KEY
    assert read_secret("MINE", environ={**found, "MINE": " other-key \n"}).reveal() == "other-key"


@pytest.mark.parametrize(
    ("environ", "said"),
    [
        ({}, "`MINE` is not set"),
        ({"MINE": " \n"}, "`MINE` is not set"),
        ({"YOURS": KEY}, "`MINE` is not set"),
        ({"MINE": f"{KEY}\nX-Evil: 1"}, "no key: it has line breaks"),
        ({"MINE": f"{KEY}\rX"}, "no key: it has line breaks"),
        ({"MINE": f"{KEY}\x00"}, "no key: it has line breaks"),
        ({"MINE": f"{KEY}\N{GREEK SMALL LETTER ALPHA}"}, "other special characters"),
        ({"MINE_FILE": "{}/absent"}, "`MINE_FILE` names cannot be read: No such file"),
        ({"MINE_FILE": "{}"}, "`MINE_FILE` names cannot be read: Is a directory"),
        ({"MINE_FILE": "{}/two"}, "no key: it has line breaks"),
        ({"MINE_FILE": "{}/latin"}, "other special characters"),
        ({"MINE_FILE": "{}/empty"}, "`MINE` is not set"),
        ({"MINE_FILE": "~nobody-of-that-name/key"}, "cannot be read: RuntimeError"),
    ],
)
def test_no_key(environ: dict[str, str], said: str, tmp_path: Path) -> None:
    (tmp_path / "two").write_text(f"{KEY}\n{KEY}\n")
    (tmp_path / "latin").write_bytes(KEY.encode() + b"\xff")
    (tmp_path / "empty").write_text("\n")
    told = {name: value.replace("{}", str(tmp_path)) for name, value in environ.items()}
    with pytest.raises(InputError) as caught:
        read_secret("MINE", place="expert `e`", environ=told)
    assert said in str(caught.value)
    assert caught.value.place == "expert `e`"
    assert KEY not in f"{caught.value!r} {caught.value} {caught.value.__context__!r}"


def test_what_the_environment_holds() -> None:
    environ = {
        "OPENAI_API_KEY": "key-one-1",
        "hf_token": "key-two-2",
        "AWS_SECRET_ACCESS_KEY": "key-three-3",
        "DB_PASSWORD": "key-four-4",
        "APP_CREDENTIALS": "key-five-5",
        "PATH": "/usr/local/bin",
        "KEYBOARD": "dvorak-programmer",
        "MONKEY": "chimpanzee",
        "SHORT_KEY": "1234567",
    }
    found = [each.reveal() for each in environment_secrets(environ)]
    assert found == ["key-one-1", "key-two-2", "key-three-3", "key-four-4", "key-five-5"]


# What is hidden

LETTERS = st.text("abc", min_size=8, max_size=12)


@given(st.text("abc ", max_size=60), st.lists(LETTERS, max_size=4), st.data())
def test_nothing_of_a_secret_is_left(text: str, values: list[str], data: st.DataObject) -> None:
    places = [data.draw(st.integers(0, len(text))) for _ in values]
    for place, value in zip(places, values, strict=True):
        text = text[:place] + value + text[place:]
    text = text[: data.draw(st.integers(0, len(text)))]  # wherever it is cut
    found = hide(text, [Secret(value) for value in values])
    for value in values:
        assert value not in found
        assert not any(found.endswith(value[:length]) for length in range(8, len(value)))


@pytest.mark.parametrize(
    ("text", "values", "shown"),
    [
        ("key k-12345678.", ["k-12345678"], f"key {HIDDEN}."),
        ("k-12345678k-12345678", ["k-12345678"], HIDDEN * 2),
        # One that begins another
        ("k-12345678-long", ["k-12345678", "k-12345678-long"], HIDDEN),
        ("cut: k-123456", ["k-12345678"], f"cut: {HIDDEN}"),
        ("cut: k-12345", ["k-12345678"], "cut: k-12345"),
        # Too short to be a key
        ("an api says api", ["api"], "an api says api"),
        ("a b", [""], "a b"),
    ],
)
def test_what_is_shown_instead(text: str, values: list[str], shown: str) -> None:
    assert hide(text, [Secret(value) for value in values]) == shown


@given(st.text(), st.lists(st.text(max_size=7)))
def test_other_texts_stay(text: str, short: list[str]) -> None:
    assert hide(text, map(Secret, short)) == text
