"""What every benchmark is: splits, protocols and its rows as questions; and benchmarks by name.

A name is `NAME`, `NAME:PART...`, where a part is a split or a protocol of the benchmark. Does not
know any benchmark, nor how answers are marked.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, ClassVar

from orchestra.components import build, find, names, options_of
from orchestra.errors import InputError, raise_all, unknown
from orchestra.evals.benchmarks.release import Hub, Release, Row, Splits
from orchestra.evals.items import Dataset, Item, items_digest
from orchestra.evals.names import Reading
from orchestra.records import Question
from orchestra.runs import digest

_NAME = re.compile(r"[A-Za-z][\w-]*\Z")
_SHIPPED = "shipped"
"""`shipped:NAME` names data of the package, and no benchmark."""
_SHOWN = 20


@dataclass(frozen=True)
class Protocol:
    """How the questions of a benchmark are asked, and answers read and marked; never changed but
    under a new version."""

    name: str
    """As it stands in `NAME:PROTOCOL`."""
    meaning: str
    """What it is, in one sentence."""
    prompt: str
    """The fixed words of the prompt, with `{}` names for what changes."""
    version: int = 1
    read: str = "stated"
    """The cascade that reads answers."""
    repeats: int = 1
    """How often each question is asked."""
    guesses: bool = False
    """Whether its official rule draws a letter where no answer is found."""
    sampling: Mapping[str, Any] = field(default_factory=dict)
    """What it prescribes of an expert's sampling."""
    system: str = ""
    """The system message that it prescribes; experts keep their own."""

    @property
    def digest(self) -> str:
        """Stands for all of it but the meaning."""
        return digest({key: each for key, each in asdict(self).items() if key != "meaning"})

    @property
    def label(self) -> str:
        """`official v1`."""
        return f"{self.name} v{self.version}"


CHOICES = (
    Protocol(
        "chat",
        "One message without examples; the last answer that is stated counts, nothing is guessed.",
        "Answer the following multiple choice question. Think step by step, and then write your "
        "answer as the last line in the form: Answer: X, where X is one of the letters "
        "{letters}.\n\n{question}\n\n{options}",
    ),
    Protocol(
        "direct",
        "One message without examples; the model gives the letter at once.",
        "Answer the following multiple choice question with one line and nothing else: Answer: X, "
        "where X is one of the letters {letters}.\n\n{question}\n\n{options}",
    ),
)
"""The protocols of examinations that have no prompt of their own."""


def asked_choice(protocol: Protocol, question: Question) -> str:
    """The prompt of one of `CHOICES`."""
    lines = [f"{at}. {text}" for at, text in zip(question.letters, question.options, strict=True)]
    return protocol.prompt.format(
        letters=", ".join(question.letters), question=question.text, options="\n".join(lines)
    )


def made_id(text: str) -> str:
    """An id for a question whose release gives it none: a digest of its text."""
    return digest(text)[:12]


@dataclass(frozen=True)
class Exam:
    """Which questions were asked and how, for reports."""

    benchmark: str
    """With the split: `gpqa:diamond`."""
    protocol: Protocol | None
    """None: the questions alone, each expert by its own strategy."""
    release: Mapping[str, Any] = field(default_factory=dict)
    """What is known of the files: state, files with hashes, revision, digest, notes."""
    parts: Mapping[str, frozenset[str]] = field(default_factory=dict)
    """Name of a part that is reported apart -> ids of its questions."""


@dataclass(frozen=True)
class Benchmark:
    """Base of the benchmarks that have a release with splits and protocols.

    A benchmark sets the class variables and implements `item` and `prompt`.
    """

    title: ClassVar[str]
    """What it is, in one line of the documentation."""
    splits: ClassVar[Splits]
    """The first is the default."""
    protocols: ClassVar[tuple[Protocol, ...]]
    """The first is the default."""
    columns: ClassVar[tuple[str, ...]]
    """Columns that the files must have."""
    also: ClassVar[tuple[str, ...]] = ()
    """Columns that they may have."""
    hub: ClassVar[Hub | None] = None
    password: ClassVar[bytes] = b""
    release: ClassVar[str] = ""
    """Where people get it, in words."""

    def item(self, row: Row, *, seed: int) -> Item:
        """The question of a row, with its gold answer, under an id that its release gives it.

        Raises:
            InputError: the row is unsound.
        """
        raise NotImplementedError

    def prompt(self, item: Item, protocol: Protocol, shots: Sequence[Row]) -> str:
        """The whole prompt under a protocol; empty: experts are asked by their strategies."""
        return ""

    def shots(self, protocol: Protocol, release: Release) -> Sequence[Row]:
        """The rows that a protocol shows as examples; none by default."""
        return ()

    def ask(
        self,
        rows: Sequence[Row],
        items: Sequence[Item],
        protocol: Protocol,
        *,
        release: Release,
        seed: int,
    ) -> Iterable[Item]:
        """The items as the protocol asks them: by default each once, with its prompt."""
        shots = self.shots(protocol, release)
        for each in items:
            prompt = self.prompt(each, protocol, shots)
            yield replace(each, question=replace(each.question, prompt=prompt))

    def state(self, rows: Sequence[Row], items: Sequence[Item]) -> tuple[str, list[str]]:
        """Which state of the release the rows are, told by their properties, and notes."""
        return "unknown", []

    def parts(self, rows: Sequence[Row], items: Sequence[Item]) -> Mapping[str, frozenset[str]]:
        """Parts of the questions whose accuracy is reported apart; none by default."""
        return {}

    def load(
        self, name: str, *, split: str, protocol: Protocol, data: Path | None = None, seed: int = 0
    ) -> Dataset:
        """The questions of a split under a protocol; `name` is the benchmark's own.

        Raises:
            InputError, InputErrors: the release is not there or unsound.
        """
        release = Release(name, self.splits, data, self.hub, self.password, self.release)
        rows = release.rows(split, self.columns, also=self.also)
        items = self._items(rows, f"{name}:{split}", seed)
        state, notes = self.state(rows, items)
        parts = self.parts(rows, items)
        asked = Dataset(self.ask(rows, items, protocol, release=release, seed=seed))
        said = (*release.notes, *notes)
        told = {
            "digest": items_digest(items),
            "state": state,
            "files": dict(release.read),
            "revision": release.revision or None,
            "notes": list(said),
        }
        asked.exam = Exam(f"{name}:{split}", protocol, told, parts)
        asked.reading = Reading(notes=said)
        return asked

    def _items(self, rows: Sequence[Row], label: str, seed: int) -> list[Item]:
        """The item of each row; everything that is wrong with them at once."""
        items: list[Item] = []
        problems: list[InputError] = []
        first: dict[str, str] = {}
        for row in rows:
            try:
                item = self.item(row, seed=seed)
            except InputError as error:
                problems.append(error)
                continue
            question = replace(item.question, benchmark=label.partition(":")[0])
            if not question.id:
                content = [question.text, sorted(question.options), question.context]
                question = replace(question, id=digest(content)[:12])
            earlier = first.setdefault(question.id, row.place)
            if earlier != row.place:
                says = f"question id {question.id!r} stands already at {earlier}"
                problems.append(row.wrong(says))
            items.append(replace(item, question=question))
        if len(problems) > _SHOWN:
            rest = InputError(f"and {len(problems) - _SHOWN} more problems", place=label)
            problems = [*problems[:_SHOWN], rest]
        raise_all(problems)
        return items


@dataclass(frozen=True)
class Named:
    """What a name stands for."""

    name: str
    benchmark: Any
    split: str = ""
    protocol: Protocol | None = None


def is_benchmark(source: str) -> bool:
    """Whether a text names a benchmark, or something misspelt that can be nothing else.

    A file of that very name comes first.
    """
    head, colon, _ = source.partition(":")
    if not _NAME.match(head) or Path(source).exists():
        return False
    misspelt = bool(colon) and head != _SHIPPED and not Path(source).suffix
    return head in names("benchmark") or misspelt


def hint_of_names(near: str = "") -> str:
    """The benchmarks that there are, the near ones first, for a hint."""
    return unknown("benchmark", near, names("benchmark")).hint


def named(source: str) -> Named:
    """The benchmark, split and protocol that a name stands for.

    Raises:
        InputError: the name or a part of it is unknown, or two parts are of one kind.
    """
    head, _, rest = source.partition(":")
    if head not in names("benchmark"):
        raise unknown("benchmark", head, names("benchmark"))
    made = find("benchmark", head)
    if not isinstance(made.build, type) or not issubclass(made.build, Benchmark):
        given = options_of("benchmark", head, _value(rest), place=source) if rest else {}
        return Named(head, build("benchmark", head, given, place=source))
    benchmark = made.build
    protocols = {each.name: each for each in benchmark.protocols}
    chosen: dict[str, str] = {}
    for part in filter(None, rest.split(":")):
        kind = "split" if part in benchmark.splits else "protocol"
        if part not in benchmark.splits and part not in protocols:
            error = unknown("split or protocol", part, [*benchmark.splits, *protocols])
            raise InputError(
                error.message, place=f"benchmark `{head}`", hint=_parts_of(benchmark, error)
            )
        if chosen.setdefault(kind, part) != part:
            says = f"two {kind}s are named: `{chosen[kind]}` and `{part}`"
            raise InputError(says, place=source, hint="name one")
    split = chosen.get("split", next(iter(benchmark.splits)))
    protocol = protocols[chosen.get("protocol", benchmark.protocols[0].name)]
    return Named(head, benchmark(), split, protocol)


def protocol_of(source: str) -> Protocol | None:
    """The protocol that a name asks for; None where it names none or is a file.

    Raises:
        InputError: as `named`.
    """
    return named(source).protocol if is_benchmark(source) else None


def load_benchmark(source: str, *, data: str | Path | None = None, seed: int = 0) -> Dataset:
    """The questions of a benchmark by name.

    Args:
        source: the name, with parts.
        data: the files of the release; None: they are downloaded.
        seed: of the benchmark's own draws.

    Raises:
        InputError, InputErrors: the name is unknown, or the release is not there or unsound.
    """
    found = named(source)
    if isinstance(found.benchmark, Benchmark):
        assert found.protocol is not None
        path = None if data is None else Path(data)
        items = found.benchmark.load(
            found.name, split=found.split, protocol=found.protocol, data=path, seed=seed
        )
        return _from(items, source, path, seed)
    if data is not None:
        raise InputError(f"`{found.name}` takes no `--data`", hint="leave it out")
    made = found.benchmark
    if "seed" in find("benchmark", found.name).options:
        made = replace(made, seed=seed)
    loaded = made.load()
    items = loaded if isinstance(loaded, Dataset) else Dataset(loaded)
    if items.exam is None and not items.source:
        items.exam = Exam(source, None, {"digest": items_digest(items), "state": "unknown"})
    return _from(items, source, None, seed)


def _from(items: Dataset, source: str, data: Path | None, seed: int) -> Dataset:
    """The same items, which know by what name they are found again; files know it already."""
    if not items.source:
        where = {} if data is None else {"data": str(data.resolve())}
        items.source = {"items": source, **where, "items_seed": seed}
    return items


def _value(rest: str) -> object:
    return int(rest) if re.fullmatch(r"-?\d{1,18}", rest) else rest


def _parts_of(benchmark: type[Benchmark], error: InputError) -> str:
    near = error.hint.partition("? ")[0] + "? " if "? " in error.hint else ""
    splits = ", ".join(f"`{each}`" for each in benchmark.splits)
    protocols = ", ".join(f"`{each.name}`" for each in benchmark.protocols)
    return f"{near}splits: {splits}; protocols: {protocols}"
