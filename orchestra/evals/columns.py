"""A source's columns and cells as the file contract has them.

What was taken for what, and what was not used, is said in a `Reading`. Does not know what a sound
row is.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from random import Random

from orchestra.errors import InputError
from orchestra.evals.cells import chat, gold_value, passage, scalar, stated, structured, worked
from orchestra.evals.choices import Given, Options, lettered, meant, options_of, runs_of, unlabelled
from orchestra.evals.names import ALSO, CHATS, MEANS, WRONG, Reading, key_of
from orchestra.evals.rows import Rows
from orchestra.records import LETTERS, Kind

_NUMBERS = frozenset({"label", "cop"})
_INDICES = frozenset({"answerindex", "answeridx", "correctindex", "correctidx", "goldindex"})
_LISTED = re.compile(r"\W{0,4}([ABab12])(?:\)|[.:]\s)")
_SPLITS = ("\n", "|", ";")
_LONG = 300


def arrange(rows: Rows, problems: list[InputError]) -> tuple[Rows, Reading]:
    """The rows with our columns in the place of the source's, and how they were understood.

    Cells that are not understood stay as they are. A column `labels` has the source's own names
    of the options. What is wrong with single rows joins `problems`.
    """
    return _Arranging(rows, problems).arranged()


class _Arranging:
    """One source on its way to our columns."""

    def __init__(self, rows: Rows, problems: list[InputError]) -> None:
        self.rows, self.problems = rows, problems
        self.raw = dict(rows.columns)
        self.used: set[str] = set()
        self.out: dict[str, list[object]] = {}
        self.taken: dict[str, str] = {}
        self.notes = list(rows.notes)
        self.count = len(rows)
        self.numbered = False

    def arranged(self) -> tuple[Rows, Reading]:
        self.nested()
        self.chats()
        for role in ("kind", "profile", "benchmark", "language", "category"):
            self.take(role)
        if self.rows.texts and "profile" in self.out:
            flags = {"true": True, "1": True, "false": False, "0": False}
            cells = self.out["profile"]
            self.out["profile"] = [flags.get(str(each).casefold(), each) for each in cells]
        self.objects("metadata")
        self.objects("grading")
        name = self.take("question")
        self.ids()
        context = self.take("context")
        if name and key_of(name) == "instruction" and not context and "input" in self.raw:
            self.out["context"] = self.use("context", "input")
        if "context" in self.out:
            self.out["context"] = [
                each if (text := passage(each)) is None else text for each in self.out["context"]
            ]
        self.options()
        self.answers()
        self.blocks()
        self.flags()
        self.doubts()
        unused = [n for n in self.rows.names if n not in self.used and n]
        unused += [n for n in self.raw if n not in self.rows.names and n not in self.used]
        rows = replace(self.rows, columns=self.out, numbered=self.numbered)
        return rows, Reading(self.taken, tuple(dict.fromkeys(unused)), tuple(self.notes))

    # Columns

    def nested(self) -> None:
        """Spread a column of questions that are mappings of their own."""
        for name in [n for n in self.raw if MEANS.get(key_of(n)) == "question"]:
            cells = self.raw[name]
            if self.rows.texts and all(str(c)[:1] == "{" for c in cells if c is not None):
                cells = [structured(c) if isinstance(c, str) else c for c in cells]
            if not isinstance(next((c for c in cells if c is not None), None), Mapping):
                continue
            self.used.add(name)
            del self.raw[name]
            inner = dict.fromkeys(k for c in cells if isinstance(c, Mapping) for k in c)
            for each in inner:
                self.raw[f"{name}.{each}"] = [
                    c.get(each) if isinstance(c, Mapping) else None for c in cells
                ]

    def chats(self) -> None:
        """Read the last question of conversations, and its reply."""
        for name, cells in list(self.raw.items()):
            if key_of(name) not in CHATS and MEANS.get(key_of(name)) != "question":
                continue
            if self.rows.texts and key_of(name) in CHATS:
                cells = [structured(c) if isinstance(c, str) else c for c in cells]
            found = [chat(c) for c in cells]
            if not any(found):
                continue
            self.used.add(name)
            del self.raw[name]
            self.out["question"] = [f.question if f else None for f in found]
            self.taken["question"] = f"the last question in `{name}`"
            if any(f and f.context for f in found):
                self.out["context"] = [f.context if f else None for f in found]
                self.taken["context"] = f"the earlier turns in `{name}`"
            if any(f and f.answer is not None for f in found) and not self.find("answer"):
                self.raw["answer"] = [f.answer if f else None for f in found]
                self.taken["answer"] = f"the reply in `{name}`"
            if any(f and f.system for f in found):
                self.notes.append(f"system messages in `{name}` are not used")
            return

    def find(self, role: str, *, empty: bool = False) -> str | None:
        """The best unused column of a role with anything in it; with `empty`, also without."""
        for alias in (key_of(role), *ALSO[role]):
            for name in sorted(self.raw, key=lambda n: n != role):
                fits = name not in self.used and key_of(name) == alias
                if fits and (empty or any(cell is not None for cell in self.raw[name])):
                    return name
        return None if empty else self.find(role, empty=True)

    def use(self, role: str, name: str) -> list[object]:
        """The cells of a column, which now has that meaning."""
        self.used.add(name)
        if name != role:
            self.taken.setdefault(role, f"`{name}`")
        return list(self.raw[name])

    def take(self, role: str) -> str | None:
        if role in self.out or not (name := self.find(role)):
            return None
        self.out[role] = self.use(role, name)
        return name

    def objects(self, role: str) -> None:
        """Take a column of objects, which may be spelt as text; others of its name are not used."""
        if not (name := self.find(role)):
            return
        cells = [structured(c) if isinstance(c, str) else c for c in self.raw[name]]
        if all(
            new is None if old in (None, "") else isinstance(new, dict)
            for new, old in zip(cells, self.raw[name], strict=True)
        ):
            self.use(role, name)
            self.out[role] = list(cells)

    def ids(self) -> None:
        """Take ids; a column of another name that repeats, or holds other things, is none."""
        while name := self.find("question_id"):
            cells = [cell for cell in self.raw[name] if cell is not None]
            plain = all(type(cell) in (str, int) for cell in cells)
            if name == "question_id" or (plain and len(set(cells)) == len(cells) == self.count):
                self.out["question_id"] = self.use("question_id", name)
                return
            del self.raw[name]

    def cell(self, role: str, row: int) -> object:
        return self.out[role][row] if role in self.out else None

    def wrong(self, row: int, message: str, hint: str = "") -> None:
        self.problems.append(InputError(message, place=self.rows.place(row), hint=hint))
        self.rows.bad.add(row)

    # Options

    def options(self) -> None:
        self.out["labels"] = [None] * self.count
        keys = {n: key_of(n) for n in self.raw if n not in self.used}
        family = max(runs_of(keys), key=lambda each: len(each[0]), default=None)
        wrong = [n for n, key in keys.items() if WRONG.fullmatch(key)]
        name = self.find("options")
        filled = name is not None and any(cell is not None for cell in self.raw[name])
        if name is not None and (filled or not (family or wrong)):
            self.listed(self.use("options", name))
        elif wrong and (right := self.find("answer")):
            self.mixed(right, wrong)
        elif family:
            self.spread(*family)
        elif name := self.answers_offered():
            self.listed(self.use("options", name))

    def answers_offered(self) -> str | None:
        """A column `answers` of options, where another column or its cells say which is right."""
        name = next((n for n in self.raw if key_of(n) == "answers" and n not in self.used), None)
        found = [options_of(c) for c in self.raw[name] if c is not None] if name else []
        if not found or not all(o and len(o.texts) > 1 for o in found):
            return None
        others = [n for n in self.raw if n != name and MEANS.get(key_of(n)) == "answer"]
        marked = any(o and o.right is not None for o in found)
        return name if marked or set(others) - self.used else None

    def listed(self, cells: list[object]) -> None:
        """Options in one cell, in whatever form."""
        cells = self.split(cells)
        found = [None if cell in (None, []) else options_of(cell) for cell in cells]
        for row, (cell, options) in enumerate(zip(cells, found, strict=True)):
            if options is None and isinstance(cell, str) and self.rows.texts:
                hint = 'write the cell as "[""first"", ""second""]"'
                self.wrong(row, "`options` is not a JSON list", hint)
                cells[row] = None
        whole: list[object] = list(cells)
        self.out["options"] = [o.texts if o else c for o, c in zip(found, whole, strict=True)]
        self.out["labels"] = [o.labels if o else None for o in found]
        stripped = [
            o is not None
            and isinstance(c, list)
            and all(isinstance(e, str) for e in c)
            and o.texts != c
            for o, c in zip(found, cells, strict=True)
        ]
        if any(stripped):
            self.note("options without the letters that they carry", sum(stripped))
        if any(o and o.right is not None for o in found) and not self.find("answer"):
            self.marked(found)

    def split(self, cells: list[object]) -> list[object]:
        """Cells of text with one separator in all of them, as lists."""
        texts = [cell for cell in cells if cell is not None]
        if texts and all(isinstance(cell, str) and options_of(cell) is None for cell in texts):
            for mark in _SPLITS:
                if all(len(str(cell).split(mark)) > 1 for cell in texts):
                    self.notes.append(f"options are separated by {mark!r}")
                    return [
                        None if c is None else [part.strip() for part in str(c).split(mark)]
                        for c in cells
                    ]
        return cells

    def marked(self, found: Sequence[Options | None]) -> None:
        """Gold answers that the options themselves mark; never always the first."""
        self.taken["answer"] = "the option that is marked as right"
        first = all(o.right == 0 for o in found if o and o.right is not None)
        answers: list[object] = [None] * self.count
        for row, o in enumerate(found):
            if o and o.right is not None:
                texts, right = self.shuffled(row, o.texts, o.right) if first else (o.texts, o.right)
                self.out["options"][row], self.out["labels"][row] = texts, None
                answers[row] = LETTERS[right] if right < len(LETTERS) else None
        if first:
            self.notes.append("the right option was the first everywhere: options are shuffled")
        self.out["answer"] = answers

    def spread(self, names: Sequence[str], labels: Sequence[str]) -> None:
        """Options in columns of their own, one each."""
        self.used.update(names)
        self.taken["options"] = f"`{names[0]}` to `{names[-1]}`"
        self.out["options"] = [None] * self.count
        stripped = 0
        for row in range(self.count):
            given = [
                (label, self.raw[name][row]) for name, label in zip(names, labels, strict=True)
            ]
            texts = [(label, scalar(cell)) for label, cell in given if cell is not None]
            if not texts:
                continue
            if any(text is None for _, text in texts):
                self.out["options"][row] = [cell for _, cell in given]
                continue
            written = [text or "" for _, text in texts]
            options = unlabelled(written)
            stripped += options.texts != written
            self.out["options"][row] = options.texts
            self.out["labels"][row] = [label for label, _ in texts]
        if stripped:
            self.note("options without the letters that they carry", stripped)

    def mixed(self, right: str, wrong: Sequence[str]) -> None:
        """The right option and the wrong ones from columns of their own, in an order by chance."""
        answers = self.use("answer", right)
        self.used.update(wrong)
        columns = ", ".join(f"`{name}`" for name in wrong)
        self.taken["options"] = f"`{right}`, {columns}, shuffled for each question"
        self.out["options"], self.out["answer"] = [None] * self.count, [None] * self.count
        for row, cell in enumerate(answers):
            found = gold_value(cell)[0]
            text = None if found is None else scalar(found)
            others = [each for name in wrong for each in self.several(self.raw[name][row])]
            if not others:
                self.out["answer"][row] = found
            elif text is None or not text.strip():
                self.wrong(row, f"`{right}` is empty")
            elif text.strip() in [each.strip() for each in others]:
                self.wrong(row, f"`{right}` is also among the wrong options: {text[:40]!r}")
            else:
                texts, at = self.shuffled(row, [text, *others], 0)
                self.out["options"][row] = texts
                self.out["answer"][row] = LETTERS[at] if at < len(LETTERS) else None

    def several(self, cell: object) -> list[str]:
        data = structured(cell) if isinstance(cell, str) and self.rows.texts else None
        cell = cell if data is None else data
        texts = [scalar(each) for each in (cell if isinstance(cell, list) else [cell])]
        return [text for text in texts if text is not None and text.strip()]

    def shuffled(self, row: int, texts: Sequence[str], right: int) -> tuple[list[str], int]:
        """The options in an order that is the question's own, and where the right one is."""
        name = self.cell("question_id", row)
        name = self.cell("question", row) if name is None else name
        order = Random(f"0:options:{name}").sample(range(len(texts)), len(texts))
        return [texts[at] for at in order], order.index(right)

    # Gold answers

    def answers(self) -> None:
        if "answer" in self.out or not (name := self.find("answer")):
            return
        numbered = key_of(name) in _NUMBERS or key_of(name).endswith(("index", "idx"))
        given = [str(cell).strip() for cell in self.raw[name] if cell is not None]
        if numbered and not any(self.out.get("options", ())) and all(map(str.isdecimal, given)):
            return
        taken = self.taken.get("answer", "")
        cells = self.use("answer", name)
        if taken:
            self.taken["answer"] = taken
        several = 0
        for row, cell in enumerate(cells):
            if self.rows.texts and isinstance(cell, str) and cell.lstrip()[:1] == "{":
                cell = structured(cell) or cell
            cells[row], more = gold_value(cell)
            if more and self.cell("options", row):
                self.wrong(row, f"several options are right: {cell!r:.60}", "name one")
            several += more
        if several:
            self.note("gold is the first of several accepted answers", several)
        self.out["answer"] = cells
        self.finals(cells)
        self.numbered = numbered

    def finals(self, cells: list[object]) -> None:
        """Leave the rationale of worked answers out."""
        closed = (Kind.LITERAL.value, Kind.CODE.value)
        rows = [
            row
            for row, cell in enumerate(cells)
            if isinstance(cell, str) and self.cell("kind", row) not in closed
        ]
        for read, mark in ((worked, "`####`, a box or a tag"), (stated, "`The answer is`")):
            values = {row: value for row in rows if (value := read(str(cells[row])))}
            if not values or (read is stated and len(values) < len(rows)):
                continue
            for row, value in values.items():
                cells[row] = value
            self.note(f"gold is only what {mark} in the answer marks", len(values))
            if without := [row for row in rows if row not in values]:
                self.note(f"{mark} is missing", len(without), f" ({self.places(without)})")
            return

    def note(self, words: str, count: int, places: str = "") -> None:
        number = f"{count:,} question{'s' if count > 1 else ''}"
        self.notes.append(f"{words}: {number}{places}")

    def places(self, rows: Sequence[int]) -> str:
        more = f" and {len(rows) - 3} more" if len(rows) > 3 else ""
        return ", ".join(self.rows.place(row) for row in rows[:3]) + more

    def blocks(self) -> None:
        """Options inside of questions' texts, where they are a clean block at the end."""
        found, unclean = 0, []
        for row, text in enumerate(self.out.get("question", ())):
            kind = self.cell("kind", row)
            if (
                not isinstance(text, str)
                or self.cell("options", row)
                or kind not in (None, "choice")
            ):
                continue
            block, gold = lettered(text), self.cell("answer", row)
            if block is not None and (gold is None or self.among(gold, block[1])):
                self.out["question"][row] = block[0]
                self.out.setdefault("options", [None] * self.count)[row] = block[1].texts
                self.out["labels"][row] = block[1].labels
                found += 1
            elif _looks_listed(text):
                unclean.append(row)
        if found:
            self.note("options at the end of the text were taken out of it", found)
        if unclean:
            places = f" ({self.places(unclean)})"
            self.note("options seem to be in the text, in no clean block", len(unclean), places)

    def among(self, gold: object, options: Options) -> bool:
        if not isinstance(gold, str | int | float):
            return False
        whole = str(gold).strip().isdecimal() and str(gold).strip() not in options.texts
        return not whole and bool(meant([Given(gold, options.texts, options.labels)])[0])

    def flags(self) -> None:
        """True and false as the two options of questions that have none."""
        answers = self.out.get("answer", [])
        given = [each for each in answers if each is not None]
        free = not any(self.out.get("options", ())) and not any(self.out.get("kind", ()))
        words = all(isinstance(each, bool) for each in given) or (
            self.rows.texts and all(str(each).casefold() in ("true", "false") for each in given)
        )
        if given and words and free:
            self.out["options"] = [["true", "false"] for _ in answers]
            self.notes.append("answers are true or false, which are the options")
        self.out |= (
            {"answer": [scalar(each) if isinstance(each, bool) else each for each in answers]}
            if answers
            else {}
        )

    def doubts(self) -> None:
        """Notes on gold answers that hardly are what they should be."""
        open_ = [
            each
            for row, each in enumerate(self.out.get("answer", ()))
            if isinstance(each, str) and not self.cell("options", row)
        ]
        if open_ and all(re.fullmatch(r"\W*[A-J]\W*", each) for each in open_):
            self.notes.append("answers are letters, and there are no options")
        if sum(len(each) > _LONG for each in open_) * 2 > len(open_):
            self.notes.append("answers are long texts, and are compared as a whole")
        self.contradicted()

    def contradicted(self) -> None:
        """Problems of rows whose letter and number of the right option do not fit each other."""
        names = [n for n in self.rows.names if key_of(n) in _INDICES and n not in self.used]
        letters = [str(each).strip().upper() for each in self.out.get("answer", ())]
        for name in names:
            pairs = [
                (row, letter, number)
                for row, (letter, number) in enumerate(
                    zip(letters, self.rows.columns.get(name, ()), strict=False)
                )
                if len(letter) == 1 and letter in LETTERS and str(number).strip().isdigit()
            ]
            off = [int(str(number)) - LETTERS.index(letter) for _, letter, number in pairs]
            first = next((each for each in (0, 1) if off.count(each) * 2 > len(off)), 0)
            for (row, letter, number), each in zip(pairs, off, strict=True):
                if each != first:
                    says = f"`answer` is {letter}, and `{name}` {number}, counted from {first}"
                    hint = f"correct one of them, or leave `{name}` out"
                    self.problems.append(InputError(says, place=self.rows.place(row), hint=hint))


def _looks_listed(text: str) -> bool:
    """Whether lines of a text begin with A and B, or with 1 and 2, as options would."""
    found = (_LISTED.match(line) for line in text.split("\n"))
    marks = "".join(each[1].upper() for each in found if each)
    return "AB" in marks or "12" in marks
