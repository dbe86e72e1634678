"""The vocabulary: look-ups, the tree, and every mistake in a file at once."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import orchestra
from orchestra.errors import InputError, InputErrors
from orchestra.skills.vocabulary import DEPTH, Skill, Vocabulary, fold, shipped_vocabulary

CATEGORIES = {
    "biology",
    "business",
    "chemistry",
    "computer science",
    "economics",
    "engineering",
    "health",
    "history",
    "law",
    "math",
    "other",
    "philosophy",
    "physics",
    "psychology",
}

SMALL = (
    Skill("math", "Numbers.", ("mathematics",), category="math"),
    Skill("algebra", "Unknowns.", ("Solve-for x",), parent="math"),
    Skill("group theory", "Groups.", (), parent="algebra"),
    Skill("writing", "Essays."),
)


@pytest.fixture(scope="module")
def shipped() -> Vocabulary:
    return Vocabulary.load()


def test_shipped_vocabulary_is_broad_and_shallow(shipped: Vocabulary) -> None:
    assert len(shipped) >= 170
    assert {skill.category for skill in shipped if skill.category} == CATEGORIES
    assert max(len(shipped.ancestors(name)) for name in shipped.names) == DEPTH - 1


@pytest.mark.parametrize("category", sorted(CATEGORIES))
def test_every_category_is_found_by_its_own_name_and_has_skills(
    shipped: Vocabulary, category: str
) -> None:
    root = shipped[category]
    assert (root.category, root.parent) == (category, None)
    assert sum(shipped.category_of(name) == category for name in shipped.names) >= 8


def test_every_shipped_skill_has_one_sentence_and_some_aliases(shipped: Vocabulary) -> None:
    for skill in shipped:
        assert skill.description.endswith("."), skill.name
        assert skill.description.count(". ") == 0, skill.name
        assert len(skill.aliases) >= 4, skill.name


@pytest.mark.parametrize(
    ("name", "line"),
    [
        ("thermodynamics", ["thermodynamics", "physics"]),
        ("macroeconomics", ["macroeconomics", "economics"]),
        ("virology", ["virology", "infectious disease", "health"]),
        ("formal logic", ["formal logic", "philosophy"]),
        ("program output prediction", ["program output prediction", "programming"]),
        ("gsm8k", ["grade school arithmetic", "arithmetic", "math"]),
        ("cruxeval_o", ["program output prediction", "programming", "computer science"]),
    ],
)
def test_shipped_lines(shipped: Vocabulary, name: str, line: list[str]) -> None:
    found = [shipped[name], *shipped.ancestors(name)]
    assert [skill.name for skill in found][: len(line)] == line


@pytest.mark.parametrize(
    ("given", "found"),
    [
        ("algebra", "algebra"),
        ("  ALGEBRA ", "algebra"),
        ("solve_for-X", "algebra"),
        ("Group-Theory", "group theory"),
        ("mathematics", "math"),
        ("alchemy", None),
        ("", None),
    ],
)
def test_find_reads_names_and_aliases_in_any_spelling(given: str, found: str | None) -> None:
    skill = Vocabulary(SMALL).find(given)
    assert (skill.name if skill else None) == found
    assert (given in Vocabulary(SMALL)) == (found is not None)


def test_tree() -> None:
    tree = Vocabulary(SMALL)
    above = tree.parent("group theory")
    assert above is not None
    assert above.name == "algebra"
    assert tree.parent("mathematics") is None
    assert [skill.name for skill in tree.ancestors("group_theory")] == ["algebra", "math"]
    assert tree.root("group theory").name == "math"
    assert tree.root("math").name == "math"
    assert tree.category_of("group theory") == "math"
    assert tree.category_of("writing") is None
    assert tree.names == ("math", "algebra", "group theory", "writing")
    assert tuple(tree) == tree.skills == SMALL


def test_an_unknown_name_gives_near_ones() -> None:
    with pytest.raises(InputError, match="unknown skill: 'algbra'") as caught:
        Vocabulary(SMALL).ancestors("algbra")
    assert "did you mean `algebra`" in caught.value.hint


def test_fold_is_idempotent() -> None:
    assert fold(fold("A_b-C  d")) == fold("A_b-C  d") == "a b c d"


@pytest.mark.parametrize(
    ("skills", "message"),
    [
        ([Skill("a", "."), Skill("a", ".")], "'a' belongs to `a` and again to `a`"),
        ([Skill("a", "."), Skill("b", ".", ("A",))], "'A' belongs to `a` and again to `b`"),
        ([Skill("a", ".", ("x-y", "x y"))], "'x y' belongs to `a` and again to `a`"),
        ([Skill("a", ".", ("",))], "`a` has an empty name or alias"),
        ([Skill("Big Name", ".")], "lower-case words with single spaces: 'Big Name'"),
        ([Skill("algebra", "."), Skill("b", ".", parent="algbra")], "did you mean `algebra`"),
        ([Skill("a", ".", parent="a")], "circle: `a` -> `a`"),
        ([Skill("a", ".", parent="b"), Skill("b", ".", parent="a")], "circle: `a` -> `b` -> `a`"),
        (
            [
                Skill("a", "."),
                *(Skill(n, ".", parent=p) for n, p in [("b", "a"), ("c", "b"), ("d", "c")]),
            ],
            "`d` is 4 levels deep, at most 3",
        ),
        ([Skill("a", "."), Skill("b", ".", (), "a", "law")], "`b` has a category but is no root"),
        (
            [Skill("a", ".", category="law"), Skill("b", ".", category="law")],
            "category 'law' has two roots: `a` and `b`",
        ),
        ([], "at least one skill"),
    ],
)
def test_contradictions(skills: list[Skill], message: str) -> None:
    with pytest.raises(InputError, match="here: ") as caught:
        Vocabulary(skills, place="here")
    assert message in str(caught.value)


def _file(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "mine.yaml"
    path.write_text(text, encoding="utf-8")
    return path


def test_load_reads_a_file_of_ones_own(tmp_path: Path) -> None:
    path = _file(
        tmp_path,
        "schema: 1\n"
        "skills:\n"
        "  - {name: sums, description: Adding., category: math}\n"
        "  - name: carrying\n"
        "    parent: sums\n"
        "    description: Carrying over.\n"
        "    aliases: carry the one,\n"
        "      column addition\n",
    )
    mine = Vocabulary.load(path)
    assert mine["carrying"].aliases == ("carry the one", "column addition")
    assert mine.category_of("Column Addition") == "math"


ENTRY = "skills: [{name: a, description: b}]"


@pytest.mark.parametrize(
    ("text", "messages"),
    [
        (f"schema: 2\n{ENTRY}\n", ["mine.yaml: schema: input should be 1"]),
        (f"{ENTRY}\n", ["mine.yaml: schema: field required"]),
        (f"schema: 1\nskils: []\n{ENTRY}\n", ["unknown key: 'skils'", "did you mean `skills`"]),
        ("schema: 1\nskills: []\n", ["mine.yaml: skills: "]),
        ("- a\n- b\n", ["mine.yaml: "]),
        ("", ["mine.yaml: "]),
        ("schema: 1\nskills: [\n", ["mine.yaml:3: not YAML"]),
        (
            "schema: 1\nskills:\n  - {name: a}\n  - {nam: b, description: c}\n",
            ["skills[0].description: field required", "skills[1].name", "did you mean `name`"],
        ),
        (
            "schema: 1\nskills: [{name: a, description: b, aliases: [c, d]}]\n",
            ["skills[0].aliases", "aliases are one text"],
        ),
        ("schema: 1\nskills: [{name: 3, description: b}]\n", ["skills[0].name"]),
    ],
)
def test_mistakes_of_shape_give_their_place(tmp_path: Path, text: str, messages: list[str]) -> None:
    with pytest.raises(InputError) as caught:
        Vocabulary.load(_file(tmp_path, text))
    for message in messages:
        assert message in str(caught.value)


def test_all_contradictions_come_at_once(tmp_path: Path) -> None:
    path = _file(
        tmp_path,
        "schema: 1\n"
        "skills:\n"
        "  - {name: a, description: x, parent: zebra}\n"
        "  - {name: b, description: x, aliases: 'A'}\n"
        "  - {name: c, description: x, parent: c}\n",
    )
    with pytest.raises(InputErrors) as caught:
        Vocabulary.load(path)
    assert len(caught.value.errors) == 3


def test_files_that_cannot_be_read(tmp_path: Path) -> None:
    latin = tmp_path / "latin.yaml"
    latin.write_bytes("schema: 1 # é".encode("latin-1"))
    for path, message in [(tmp_path / "none.yaml", "cannot be read"), (latin, "not UTF-8")]:
        with pytest.raises(InputError, match=message):
            Vocabulary.load(path)


def test_in_a_checkout_the_shipped_file_is_beside_the_package() -> None:
    beside = Path(orchestra.__file__).parents[1] / "skills" / "vocabulary.yaml"
    assert Path(str(shipped_vocabulary())) == beside


def test_in_an_installed_package_it_is_inside(tmp_path: Path) -> None:
    package = Path(orchestra.__file__).parent
    for name in ("errors.py", "files.py", "skills/vocabulary.py"):
        target = tmp_path / "orchestra" / name
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(package / name, target)
    (tmp_path / "orchestra" / "__init__.py").touch()
    for folder, name in [("orchestra/data/skills", "inside"), ("skills", "stranger")]:
        (tmp_path / folder).mkdir(parents=True)
        text = f"schema: 1\nskills: [{{name: {name}, description: b}}]\n"
        (tmp_path / folder / "vocabulary.yaml").write_text(text, encoding="utf-8")
    code = "from orchestra.skills.vocabulary import Vocabulary; print(*Vocabulary.load().names)"
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, "PYTHONPATH": str(tmp_path)},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.split() == ["inside"]
