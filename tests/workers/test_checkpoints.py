"""Where checkpoints are, what they lack, and their digests."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

from orchestra.errors import InputError
from orchestra.workers.checkpoints import (
    Digests,
    check_checkpoint,
    checkpoint_digest,
    checkpoint_folder,
    embedded_names,
    missing_files,
    read_json,
    weight_files,
)

SHIPPED = (
    "abacus",
    "almanac",
    "apprentice",
    "centurion",
    "ledger",
    "mirror",
    "quartermaster",
    "scribe",
    "sophist",
    "surveyor",
)


@pytest.mark.parametrize("name", SHIPPED)
def test_every_shipped_expert_is_complete(name: str) -> None:
    folder = checkpoint_folder(f"embedded/{name}")
    assert missing_files(folder) == ()
    assert name in embedded_names()


def test_a_folder_is_itself(tmp_path: Path) -> None:
    assert checkpoint_folder(str(tmp_path)) == tmp_path


@pytest.mark.parametrize(
    ("model", "said"),
    [
        ("embedded/abacuss", "did you mean `embedded/abacus`?"),
        ("nobody/Nothing-7B", "give the path of a folder"),
        ("embedded/../checkpoints/abacus", "unknown checkpoint"),
    ],
)
def test_what_is_not_there(model: str, said: str) -> None:
    with pytest.raises(InputError, match=f"expert `e`: (.|\n)*{said.replace('?', '.')}"):
        checkpoint_folder(model, place="expert `e`")


def test_a_file_is_no_folder(tmp_path: Path) -> None:
    (tmp_path / "model.gguf").touch()
    with pytest.raises(InputError, match="is a file, and a checkpoint is a folder"):
        checkpoint_folder(str(tmp_path / "model.gguf"))


@pytest.mark.parametrize(
    "gone",
    [
        ("model.safetensors",),
        ("config.json", "tokenizer.json"),
        ("config.json", "tokenizer.json", "tokenizer_config.json", "model.safetensors"),
    ],
)
def test_all_that_is_missing_is_said_at_once(
    gone: tuple[str, ...], babbler: Path, tmp_path: Path
) -> None:
    folder = shutil.copytree(babbler, tmp_path / "copy")
    for name in gone:
        (folder / name).unlink()
    assert missing_files(folder) == gone
    with pytest.raises(InputError) as caught:
        check_checkpoint(folder, adapter=tmp_path / "nowhere")
    told = str(caught.value)
    assert all(f"`{name}`" in told for name in (*gone, "adapter_config.json"))
    assert str(folder) in told


def test_shards_are_looked_for_by_name(babbler: Path, tmp_path: Path) -> None:
    folder = shutil.copytree(babbler, tmp_path / "copy")
    (folder / "model.safetensors").rename(folder / "a.safetensors")
    listed = '{"weight_map": {"x": "a.safetensors", "y": "b.safetensors", "z": "a.safetensors"}}'
    (folder / "model.safetensors.index.json").write_text(listed)
    assert weight_files(folder) == ("a.safetensors", "b.safetensors")
    assert missing_files(folder) == ("b.safetensors",)


@pytest.mark.parametrize(
    "listed", ['{"weight_map": {"x": "../../secret"}}', '{"weight_map": [1]}', "{}", "[]", "{"]
)
def test_a_bad_list_of_shards(listed: str, babbler: Path, tmp_path: Path) -> None:
    folder = shutil.copytree(babbler, tmp_path / "copy")
    (folder / "model.safetensors").unlink()
    (folder / "model.safetensors.index.json").write_text(listed)
    with pytest.raises(InputError, match=r"model\.safetensors\.index\.json"):
        check_checkpoint(folder)


@pytest.mark.parametrize(
    ("text", "said"),
    [("[1]", "a JSON object is wanted, not list"), ('{"a": 1', ":1:8: not JSON"), ("", "not JSON")],
)
def test_broken_json_says_where(text: str, said: str, tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text(text)
    with pytest.raises(InputError, match=said):
        read_json(tmp_path / "config.json")


def test_a_digest_follows_every_file_that_matters(babbler: Path, tmp_path: Path) -> None:
    folder = shutil.copytree(babbler, tmp_path / "copy")
    assert checkpoint_digest(folder) == checkpoint_digest(babbler)
    (folder / "README.md").write_text("not read")
    assert checkpoint_digest(folder) == checkpoint_digest(babbler)
    seen = {checkpoint_digest(folder)}
    for path in sorted(folder.glob("*.json")) + [folder / "model.safetensors"]:
        path.write_bytes(path.read_bytes() + b" ")
        seen.add(checkpoint_digest(folder))
    (folder / "chat_template.jinja").write_text("x")
    seen.add(checkpoint_digest(folder))
    assert len(seen) == 7


def test_an_adapter_changes_the_digest(babbler: Path, tmp_path: Path) -> None:
    (tmp_path / "adapter_config.json").write_text("{}")
    (tmp_path / "adapter_model.safetensors").write_bytes(b"1")
    one = checkpoint_digest(babbler, tmp_path)
    (tmp_path / "adapter_model.safetensors").write_bytes(b"2")
    assert len({one, checkpoint_digest(babbler, tmp_path), checkpoint_digest(babbler)}) == 3


def test_files_are_read_again_only_when_they_change(babbler: Path, tmp_path: Path) -> None:
    folder = shutil.copytree(babbler, tmp_path / "copy")
    weights, digests = folder / "model.safetensors", Digests()
    first, times = digests.of(folder), os.stat(weights)
    changed = bytearray(weights.read_bytes())
    changed[-1] ^= 1
    weights.write_bytes(changed)
    os.utime(weights, ns=(times.st_atime_ns, times.st_mtime_ns))
    assert digests.of(folder) == first, "same time and size: not read"
    os.utime(weights, ns=(times.st_atime_ns, times.st_mtime_ns + 1))
    assert digests.of(folder) not in (first, "")
    weights.unlink()
    with pytest.raises(InputError, match=r"model\.safetensors"):
        digests.of(folder)
