r"""What of a model's text is its answer to the reader.

Reasoning, turns of others and special tokens are marked by tags of many makes: `<think>`,
`<|end_of_thought|>`, `◁/think▷`, `[/INST]`, `</s>`. One grammar reads a tag, and its words say
what it marks. Time is linear in the length of the text.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from enum import Enum, auto
from functools import lru_cache
from typing import NamedTuple


@dataclass(frozen=True, slots=True)
class Shown:
    """Parts of a text, joined, with the place of each in the text that they are taken from."""

    text: str
    starts: tuple[int, ...] = (0,)
    origins: tuple[int, ...] = (0,)
    ends: tuple[int, ...] = ()
    source: Shown | None = None

    def span(self, start: int, end: int) -> tuple[int, int]:
        """The place in the first text of `text[start:end]`."""
        if self.source is None:
            return start, end
        first = self._origin(start, 0)
        return self.source.span(first, max(first, self._origin(end - 1, 1) if end else first))

    def of(self, parts: Iterable[tuple[str, int, int]]) -> Shown:
        """The parts `text[start:end]`, each behind a string that is not in the source."""
        words: list[str] = []
        starts, origins, ends, size = [], [], [], 0
        for before, start, end in parts:
            words += before, self.text[start:end]
            starts.append(size + len(before))
            size += len(before) + end - start
            origins.append(start)
            ends.append(end)
        if not starts:
            starts, origins, ends = [0], [len(self.text)], [len(self.text)]
        return Shown("".join(words), tuple(starts), tuple(origins), tuple(ends), self)

    def _origin(self, at: int, after: int) -> int:
        run = max(0, bisect_right(self.starts, at) - 1)
        return min(self.origins[run] + max(0, at - self.starts[run]) + after, self.ends[run])


class _Role(Enum):
    BEGIN = auto()  # of reasoning
    SOFT = auto()  # the same, if its own end follows
    END = auto()
    CLOSE = auto()  # an end only of what its own begin opened
    ANSWER = auto()  # the answer begins
    OTHER = auto()  # another's turn begins
    OWN = auto()  # the model's own turn begins
    OVER = auto()  # the turn is over
    TOKEN = auto()  # no text wherever it stands
    TAIL = auto()  # no text at the beginning and at the end
    FENCE = auto()


class _Mark(NamedTuple):
    start: int
    end: int
    role: _Role
    key: str


_OTHERS = "user|human|system|developer|tool|tools|ipython|observation|environment|function|prompter"
_OWN = "assistant|model|bot|chatbot|ai|gpt"
_THINKING = (  # how words begin that say thinking
    "think|thought|reason|reflect|scratch|analysis|analy[sz]e|analy[sz]ing|rationale|deliberat|ponder|"
    "contemplat|ruminat|meditat|monolog|brainstorm|cot\\b|思考|思维|推理"
)
_STARTS = "`<[&\u25c1\u27e8\u3008\u300a\u00ab\u3010"
_START = re.compile(f"[{re.escape(_STARTS)}]")
_START_OR_BRACE = re.compile(f"[{{{re.escape(_STARTS)}]")
_PHRASES = (  # reasoning between words alone
    (r"\s*+analysis(?=[A-Z])", "assistantfinal"),
    (r"\s*+Here(?: is|['\u2019]s) my thought process:", "Here(?: is|['\u2019]s) my response:"),
)
_HEADED = r"end_header_id|header_end|role_end|end_of_role|message|im_middle|im_sep"
_ROLE = (
    rf"(?P<role>{_OTHERS}|{_OWN}|(?:{_THINKING})\w{{0,8}}|answer|final)\b"
    rf"(?:\s?<\|?(?:{_HEADED})\|?>)?+"
)
_MARKS = re.compile(
    r"(?P<fence>```)"
    r"|(?i:<\|channel(?:\|>\s*+(?P<channel>\w{2,20}+)[^<\n]{0,80}+"
    r"(?:<\|constrain\|>[^<\n]{0,40}+)?+<\|message\|>|>\s*+(?P<gemma>\w{2,20}+)))"
    r"|(?P<unused><unused\d{1,4}+>thought\b)"
    r"|(?i:<\|?(?:im_start|start|(?:start_)?header(?:_start|_id)?|turn|role_start|"
    r"start_of_(?:role|turn))\|?>\s?" + _ROLE + r")"
    r"|(?P<own><\|im_assistant\|>\w{0,20}+<\|im_middle\|>)"
    r"|(?P<minimax>\[e~\[)|(?P<cut><[|\uff5c]\w[\w\u2581]{0,40}+[|\uff5c]?\s*+\Z)"
    r"|(?P<open><[<|\uff5c\[]?|\[\[?|\{\{?|&lt;|[\u25c1\u27e8\u3008\u300a\u00ab\u3010])\s?(?P<slash>[/\\]?)"
    r"(?P<name>\w[\w:.\u2581-]{0,40}+)(?P<rest>[ ][^<>\[\]{}|\uff5c\n&]{0,80}+)?+"
    r"(?P<close>[|\uff5c\]]?>>?|\]\]?|\}\}?|&gt;|[\u25b7\u27e9\u3009\u300b\u00bb\u3011])"
)
_PARTS = re.compile(r"[\W_]+|(?<=[a-z])(?=[A-Z][a-z])")
_THOUGHTS = re.compile(_THINKING)
_ANSWER = "answer|response|solution|output|final|result|conclusion|答案|回答"
_STOP = (
    "end|eos|eot|eom|eod|eoa|eog|eoh|eof|endoftext|endofturn|endofassistant|return|"
    "call|stop|terminate"
)
_OF = "of|the|im|id|s|text|turn|sentence|sequence|message|utterance|document|chunk|token"
_ANSWERS, _STOPS, _OTHER_WORDS, _OWN_WORDS = (
    frozenset(words.split("|")) for words in (_ANSWER, _STOP, _OTHERS, _OWN)
)
_TOKEN_WORDS = _STOPS | frozenset(_OF.split("|"))
_BEGINNINGS = frozenset(("begin", "start", "open"))
_ENDINGS = frozenset(("end", "stop", "close", "finish"))
_PLAIN_TAILS = re.compile(
    r"s|pad|bos|unk|sep|cls|g_?mask|sop|end|(?:extra|reserved)(?:_id)?_?\d+|0x[0-9a-f]{2}|"
    r"im_(?:start|end)|\w+_token(?:_\d+)?|sys|stop|done|start_of_turn"
)
_QUOTES = "\"'`\u201c\u2018\u300c"
_LABELS = (" is", ":", "=", "\uff1a", "是", "は")


def visible(text: str) -> Shown:
    """The text outside its blocks of reasoning, without special tokens and turns of others.

    Empty if there is reasoning only. A block that is not closed lasts to the end.
    """
    shown = Shown(text)
    marks = _marks(text)
    for step in (_outside, _own_turn):
        parts = step(shown.text, marks) if marks else None
        if parts is not None:
            shown = shown.of(parts)
            marks = _marks(shown.text)
    parts = _unwrapped(shown.text)
    return shown if parts is None else shown.of(parts)


def _marks(text: str) -> list[_Mark]:
    """All marks in a text, but those that are quoted and those in fenced code."""
    found = _phrases(text)
    fence, over = -1, 0
    pending: set[str] = set()
    start = _START_OR_BRACE if "{/" in text else _START
    for each in start.finditer(text):
        match = _MARKS.match(text, each.start()) if each.start() >= over else None
        if match is None:
            continue
        over = match.end()
        mark = _mark(match)
        if mark is None or _is_quoted(text, mark, pending):
            continue
        if mark.role in (_Role.BEGIN, _Role.SOFT):
            pending.add(mark.key)
        pending.discard(mark.key if mark.role is _Role.END else "")
        if mark.role is _Role.FENCE:
            if fence >= 0 and _is_balanced(found[fence + 1 :]):
                del found[fence:]
                fence = -1
                continue
            fence = len(found)
        elif mark.key == "/s" and found and found[-1].key == "s" and found[-1].start:
            mark = mark._replace(role=_Role.TAIL)  # struck out in HTML
        found.append(mark)
    marks = (mark for mark in found if mark.role is not _Role.FENCE)
    return sorted(marks, key=lambda mark: mark.start)


def _phrases(text: str) -> list[_Mark]:
    """Reasoning that begins the text between words that are no tags."""
    for begin, end in _PHRASES:
        opening = re.match(begin, text)
        if opening is not None:
            closing = re.search(end, text)
            ends = [_Mark(*closing.span(), _Role.CLOSE, end)] if closing else []
            return [_Mark(*opening.span(), _Role.BEGIN, end), *ends]
    return []


def _is_balanced(marks: Sequence[_Mark]) -> bool:
    """Whether as many blocks of reasoning end as begin."""
    roles = [mark.role for mark in marks]
    begins = roles.count(_Role.BEGIN) + roles.count(_Role.SOFT)
    return begins == roles.count(_Role.END)


def _mark(match: re.Match[str]) -> _Mark | None:
    kind = match.lastgroup
    if match["open"]:
        rest = match["rest"] or ""
        name = match["name"] + ("" if "=" in rest else rest)
        opening, closing = match["open"], match["close"]
        pair = {"<<": ">>", "<[": "]>"}.get(opening, closing)
        if not closing.endswith(pair):  # the first is a sign
            made = _meaning(opening[1], match["slash"], name, closing)
            return made and _Mark(match.start() + 1, match.end(), *made)
        if opening + name == "<details":  # as web pages fold reasoning
            shut, told = match["slash"], _THOUGHTS.search(rest)
            made = (_Role.CLOSE if shut else _Role.BEGIN, name) if shut or told else None
        else:
            made = _meaning(opening, match["slash"], name, closing)
    elif match["role"]:
        made = _meaning("<|", "", match["role"], "|>")
        if made and made[0] is _Role.BEGIN:
            made = (_Role.BEGIN, "turn")  # the next header ends it
    elif match["channel"] or match["gemma"]:
        last = (match["channel"] or match["gemma"]).lower() == "final"
        made = (_Role.END if last else _Role.BEGIN, "channel")
    else:
        made = _FIXED[kind or ""]
    return made and _Mark(*match.span(), *made)


_FIXED = {
    "fence": (_Role.FENCE, ""),
    "unused": (_Role.BEGIN, "unused"),
    "own": (_Role.OWN, ""),
    "minimax": (_Role.OVER, ""),
    "cut": (_Role.TAIL, ""),
}


@lru_cache(maxsize=4096)
def _meaning(opening: str, slash: str, name: str, closing: str) -> tuple[_Role, str] | None:
    """What a tag marks, and for reasoning the name that its other end has too."""
    special = opening in ("<|", "<\uff5c", "<[")
    angle = special or opening in ("<", "<<", "&lt;", "\u25c1", "\u27e8")
    words = [word for word in _PARTS.split(name) if word]
    parts = [word.lower() for word in words]
    if len(parts) > 6 or not parts or (len(parts) > 3 and " " in name):
        return None
    if (opening, closing) == ("<", "|>") and name in ("channel", "turn"):
        return (_Role.END if name == "channel" else _Role.OVER), name
    if name.startswith("unused") and opening == "<":
        return _Role.CLOSE, "unused"
    loud = name.isupper() and len(name) > 1 or parts in (["think"], ["thinking"])
    loud = angle or (loud and opening[0] != "{")
    thinks = any(map(_THOUGHTS.match, parts)) or "working_out" in name
    if thinks and _ANSWERS.isdisjoint(parts) and "no" not in parts:
        return _thinking(parts, bool(slash), loud)
    for meaning in (_answering, _speaking, _token) if opening[0] != "{" else ():
        made = meaning(parts, bool(slash), special, loud)
        if made is not None:
            return made, "answer" if made is _Role.END else (
                "|" if special else slash
            ) + name.lower()
    return (_Role.TAIL, "") if special else None


def _thinking(parts: list[str], ends: bool, loud: bool) -> tuple[_Role, str]:
    ends = ends or not _ENDINGS.isdisjoint(parts)
    key = " ".join(word for word in parts if word not in _BEGINNINGS | _ENDINGS | {"of"})
    if ends:
        return (_Role.END if loud else _Role.CLOSE), key
    return (_Role.BEGIN if loud else _Role.SOFT), key


def _answering(parts: list[str], slash: bool, special: bool, loud: bool) -> _Role | None:
    if not loud or slash or _ANSWERS.isdisjoint(parts):
        return None
    if not _BEGINNINGS.isdisjoint(parts):
        return _Role.END
    if not _ENDINGS.isdisjoint(parts):
        return _Role.TOKEN
    return _Role.END if special else _Role.ANSWER


def _speaking(parts: list[str], slash: bool, special: bool, loud: bool) -> _Role | None:
    """A turn of a chat; a plain tag such as `<user>` is none."""
    if not special and parts not in (["inst"], ["用户"]):
        return None
    if slash or not _ENDINGS.isdisjoint(parts):
        return _Role.OWN if parts == ["inst"] else None
    if parts in (["inst"], ["用户"]) or not _OTHER_WORDS.isdisjoint(parts):
        return _Role.OTHER
    return _Role.OWN if not _OWN_WORDS.isdisjoint(parts) else None


def _token(parts: list[str], slash: bool, special: bool, loud: bool) -> _Role | None:
    name = "_".join(parts)
    stops = not _STOPS.isdisjoint(parts) and _TOKEN_WORDS.issuperset(parts)
    if (
        stops
        and (special or len(parts) > 1 or name.startswith(("eo", "endof", "termin")))
        or (slash and loud and name == "s")
    ):
        return _Role.OVER
    if special and (_BEGINNINGS | _ENDINGS).intersection(parts):
        return _Role.TOKEN
    if slash and ((_ANSWERS | _OWN_WORDS) - {"answer"}).issuperset(parts):
        return _Role.TAIL
    if loud and _PLAIN_TAILS.fullmatch(name):
        return _Role.TAIL
    return None


def _is_quoted(text: str, mark: _Mark, pending: set[str]) -> bool:
    """Whether a mark is spoken about, and not used: `the "<think>" tag`, `the <|eos|> token`."""
    before, after = text[max(0, mark.start - 4) : mark.start], text[mark.end : mark.end + 3]
    if mark.role is _Role.FENCE or not before:
        return False
    quoted = before[-1] in _QUOTES and not before.endswith("```")
    if mark.role in (_Role.BEGIN, _Role.SOFT):
        return quoted
    if (
        quoted
        and after[:1] not in ("", "<", "[")
        and (after[0] == before[-1] or (before[:-1] or " ")[-1] in " \n([{=,:")
    ):
        return True
    if mark.role in (_Role.OVER, _Role.TAIL) and before.rstrip(" ").endswith(_LABELS):
        return mark.key.isalpha()  # `The answer is <s>.`
    if mark.role in (_Role.END, _Role.CLOSE):
        return mark.key not in pending and re.match(r"['\"`][)\],;:.\s]", after) is not None
    return before[-1] == " " and after[:1] == " " and after[1:2].islower()


def _outside(text: str, marks: Sequence[_Mark]) -> list[tuple[str, int, int]] | None:
    """The parts of a text outside blocks of reasoning; None where it has none."""
    last = {mark.key: i for i, mark in enumerate(marks) if mark.role in (_Role.END, _Role.CLOSE)}
    last["turn"] = max((i for i, mark in enumerate(marks) if _heads(mark)), default=-1)
    last_end = max((i for i, mark in enumerate(marks) if mark.role is _Role.END), default=-1)
    answers = [i for i, mark in enumerate(marks) if _begins_answer(text, mark)]
    parts: list[tuple[int, int]] = []
    spare: list[tuple[int, int]] = []
    at = i = blocks = 0
    while i < len(marks):
        mark = marks[i]
        if mark.role is _Role.END:
            # Reasoning that began in the prompt, or that goes on after its block.
            spare = [(at, mark.start)] if blocks or mark.key == "answer" else []
            at, blocks = mark.end, blocks + 1
        elif mark.role in (_Role.BEGIN, _Role.SOFT):
            begun, i = i, _end_of(marks, i, last, last_end, answers)
            if i < len(marks) or mark.role is _Role.BEGIN:
                parts.append((at, mark.start))
                blocks += 1
                at = len(text) if i == len(marks) else marks[i].end
                if i < len(marks) and marks[i].role is _Role.ANSWER:
                    at = marks[i].start
            else:
                i = begun
        i += 1
    parts.append((at, len(text)))
    if not blocks:
        return None
    return _joined(text, [part for part in parts if text[slice(*part)].strip()] or spare)


def _joined(text: str, parts: Iterable[tuple[int, int]]) -> list[tuple[str, int, int]]:
    """The parts with visible characters, without the white space before the first."""
    seen = [(start, end) for start, end in parts if text[start:end].strip()]
    if seen:
        start, end = seen[0]
        seen[0] = (end - len(text[start:end].lstrip()), end)
    return [("\n" if k else "", *part) for k, part in enumerate(seen)]


def _heads(mark: _Mark) -> bool:
    """Whether a mark can be the header of the answer, behind a turn of reasoning."""
    return mark.role in (_Role.END, _Role.OWN)


def _begins_answer(text: str, mark: _Mark) -> bool:
    """Whether an answer begins at a mark, on a line of its own."""
    before = text[max(0, mark.start - 1) : mark.start]
    return mark.role is _Role.ANSWER and before in ("", "\n")


def _end_of(
    marks: Sequence[_Mark], begin: int, last: dict[str, int], last_end: int, answers: list[int]
) -> int:
    """The mark that ends a block: its own, else any end, else an answer; or `len(marks)`."""
    key = marks[begin].key
    ends: Callable[[_Mark], bool]
    if key == "turn" and last[key] > begin:
        ends = _heads
    elif last.get(key, -1) > begin:
        ends = lambda mark: mark.key == key and mark.role in (_Role.END, _Role.CLOSE)  # noqa: E731
    elif marks[begin].role is _Role.SOFT:
        return len(marks)
    elif last_end > begin:
        ends = lambda mark: mark.role is _Role.END  # noqa: E731
    else:
        return answers[-1] if answers and answers[-1] > begin else len(marks)
    return next(i for i in range(begin + 1, len(marks)) if ends(marks[i]))


_TURNS = frozenset((_Role.OTHER, _Role.OWN, _Role.OVER, _Role.TOKEN, _Role.TAIL, _Role.CLOSE))


def _own_turn(text: str, marks: Sequence[_Mark]) -> list[tuple[str, int, int]] | None:
    """The model's own turn in a text, without special tokens; None where it has none of them."""
    marks = [mark for mark in marks if mark.role in _TURNS]
    if not marks:
        return None
    parts: list[tuple[int, int]] = []
    at = seen = 0
    stop, count = len(text), len(marks)
    silent, waits = True, False
    for i, mark in enumerate(marks):
        if not waits:
            silent = silent and not text[seen : mark.start].strip()
        seen = mark.end
        if waits or (silent and mark.role is not _Role.OTHER):
            waits = waits and mark.role is not _Role.OWN
            at = mark.end
        elif mark.role is _Role.OTHER or (mark.role is _Role.OVER and not _goes_on(text, marks, i)):
            if not silent:
                stop, count = mark.start, i
                break
            waits = True
        elif mark.role not in (_Role.TAIL, _Role.CLOSE):
            parts.append((at, mark.start))
            at = mark.end
    for mark in reversed(marks[:count]):
        if text[mark.end : stop].strip():
            break
        stop = mark.start
    parts = [(start, min(end, stop)) for start, end in (*parts, (stop if waits else at, stop))]
    return _joined(text, parts)


def _goes_on(text: str, marks: Sequence[_Mark], i: int) -> bool:
    """Whether the model's own turn begins again where one is over."""
    own = i + 1 < len(marks) and marks[i + 1].role is _Role.OWN
    return own and not text[marks[i].end : marks[i + 1].start].strip()


_WRAP = re.compile(
    r"\s*+<((?:final_)?(?:output|response|result|solution|conclusion)|final)>", re.IGNORECASE
)


def _unwrapped(text: str) -> list[tuple[str, int, int]] | None:
    """What one tag that says answer holds, if it holds all of the text."""
    opening = _WRAP.match(text)
    if opening is None:
        return None
    closing, stop = f"</{opening[1].lower()}>", len(text.rstrip())
    if text[max(0, stop - len(closing)) : stop].lower() == closing:
        stop -= len(closing)
    return [("", opening.end(), max(stop, opening.end()))]


_BOX = re.compile(
    r"\\(?:(?:boxed|fbox|framebox|bbox|Boxed|ovalbox|shadowbox|doublebox|tcbox\w{0,4}|"
    r"colorbox\s?\{[^{}]{0,40}+\}|fcolorbox\s?\{[^{}]{0,40}+\}\s?\{[^{}]{0,40}+\})(?![A-Za-z])"
    r"(?:\s?\[[^\[\]\n]{0,80}+\]){0,2}+)\s*+"
    r"(?:(?P<brace>\{)|(?P<bare>-?\w{1,40}+(?:[.,]\w{1,40}+){0,9}+|"
    r"\\[A-Za-z]{2,12}+(?:\s?\{[^{}]{0,80}+\}){1,2}+))"
)


def boxes(shown: Shown) -> Shown:
    r"""The same text with each framed value as `\boxed{...}`: `\fbox{5}`, `\boxed 5`."""
    text = shown.text
    if "box" not in text and "Box" not in text:
        return shown
    parts = []
    at, glue = 0, ""
    for match in _BOX.finditer(text):
        if match[0] == "\\boxed{":
            continue
        parts.append((glue, at, match.start()))
        glue, at = "\\boxed{", match.end()
        if match["bare"]:
            parts.append((glue, *match.span("bare")))
            glue = "}"
    return shown.of([*parts, (glue, at, len(text))]) if parts else shown
