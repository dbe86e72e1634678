"""Finds the option letter that a text states.

Knows how models state a choice; does not know which option is right, and never
answers with a letter outside the question's options. Every search is linear in
the text: quantifiers that could overlap are possessive.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import NamedTuple

from orchestra.answers.canonical import plain
from orchestra.records import Question


class Found(NamedTuple):
    """A value and where it stands, as character offsets into the text."""

    value: str
    start: int
    end: int


Rule = Callable[[str, Question], "Found | None"]
"""From a text to the value that it states, or None."""

# MMLU-Pro, evaluate_from_local.py. The second rule is `.*[aA]nswer:\s*([A-J])` there: on the
# first line that matches, its greedy start takes the last match; spelt here without the `.*`,
# which is quadratic on long lines. The third is the last stand-alone capital anywhere.
_OFFICIAL_1 = re.compile(r"answer is \(?([A-J])\)?")
_OFFICIAL_2 = re.compile(r"[aA]nswer:\s*([A-J])")
_OFFICIAL_3 = re.compile(r"\b[A-J]\b")

_GAP = r"[\s:*_\"'`$=\\,~]*+"
_OPEN = r"(?:[\s*_\"'`$(\[{\\]|boxed|text(?:bf|it)?|math(?:rm|bf)|,)*+"
# A bare A or I before a lower-case word is an article or a pronoun, unless the word gives a reason.
_BARE = (
    r"(?:[B-HJ-Z](?![\w'\u2019&/^=+<>])|[AI](?![\w'\u2019&/^=+<>])"
    r"(?!\s+(?!(?:because|since|as|due|for|which|is)\b)[a-z]))(?!-\w)"
)
_LETTER = rf"(?:(?P<low>(?<=[(\[{{])[a-z](?=\s*[)\]}}]))|(?P<up>{_BARE}))"
_MORE = re.compile(
    r"\)?\**\s*(?:,|and\b|or\b|&|/)\s*(?:and\s+|or\s+)?\**\(?[A-Z]\b(?!['\u2019]|\s+[a-z])"
)

_ANSWER = re.compile(r"[aA](?:nswer|NSWER)|(?:correct|right|best|accurate) (?:option|choice|stat)")
_SAID = re.compile(
    r"(?<!wrong )(?<!incorrect )(?i:\banswer|"
    r"\b(?:correct|right|best|accurate) (?:option|choice|statement))(?=[\s:*_\"'`\\)=])[\s*_\"'`\\)]*+"
    r"(?i:(?:choice|option|letter|here|to this question|to the question|would|should|must|will|likely)"
    r"\b[\s*_\\]*+)*+"
    rf"(?:(?i:is|be)\b|[:=]){_GAP}"
    r"(?i:(?:option|choice|letter|answer|definitely|clearly|probably|most likely|therefore|thus|the|"
    rf"correct|best|closest|given by|be|is|to)\b{_GAP})*+"
    rf"{_OPEN}{_LETTER}"
)
_REVERSED = re.compile(
    r"(?:(?<=[\s*(])|^)\(?(?P<up>[A-Z])\)?\**[.:]?\s(?i:is|would be|seems)\s(?i:the\s)?(?i:most\slikely\s)?"
    r"(?i:(?:single\s)?(?:correct|right|best|closest)\s(?:answer|option|choice)|answer|correct)\b"
    r"(?!\s(?i:only|if|for|in)\b)"
)
_CORRECT = re.compile(r"[A-Z]\)?\**[.:]?\s(?:is|would be|seems)\s")
_BOXED = re.compile(rf"\\boxed\s*\{{{_OPEN}(?P<any>[A-Za-z])\s*[)\]}}.:\\]")
_CLOSEST = re.compile(
    r"(?i:\b(?:closest|nearest|likely|suitable|appropriate)\s(?:\w+\s){0,2}+(?:is|be|would be)\b)[\s:]*+"
    rf"(?:(?i:option|choice)\s)?{_OPEN}{_LETTER}"
)
_CLOSING = re.compile(
    r"(?i:\b(?:is|be|are|select|choose|pick|option|choice|with|to|match(?:es)?)\b)[\s:]*+"
    r"(?:\*\*|\()[\s*(]*+(?P<any>[A-Za-z])\s*[).*]"
)
_BOLD = re.compile(r"(?:\*\*|__)\s*\(?(?P<any>[A-Z])\)?[.]?\s*(?:\*\*|__)(?!\s*:)")
_LINE = re.compile(r"\W*+(?P<any>[A-Z])\W*+$")
_LISTED = re.compile(r"[\s*_(\[]*+(?P<any>[A-Z])\s*[).:\]]\**\s*+(?P<rest>\S.*)$", re.DOTALL)
_TEXT = re.compile(r"(?i:\banswer(?: is|:))[\s:*_]*+(?P<rest>[^\n]{1,400})")
_BRACKETED = re.compile(r"\(([A-Z])\)")
_SENTENCE = re.compile(r"(?<=[.!?])\s+(?=[A-Z(\\$*])")

# Where a model goes on to another question, or repeats its answers to several, its own is over.
_RUN_ON = re.compile(
    r"\n[ \t]*+(?:(?:Question|Q)\s?\d*\s?[:.]|(?i:(?:now,? )?let['\u2019]?s (?:now )?"
    r"(?:combine|summari[sz]e|collect|list|put)\b|now,? (?:combining|summari[sz]ing)\b|"
    r"now,? considering all (?:the |of the )?questions\b|summary of (?:all )?(?:the )?answers\b)|"
    r"[^\n]{0,12}(?:\u603b\u7ed3|\u5f52\u7eb3))"
)


def official_stated(text: str, question: Question) -> Found | None:
    """MMLU-Pro rule 1: the first `answer is (X)`."""
    return _first(_OFFICIAL_1.search(text), 1)


def official_labelled(text: str, question: Question) -> Found | None:
    """MMLU-Pro rule 2: `Answer: X` on the first line that has one, the last on that line."""
    found = _OFFICIAL_2.search(text)
    if found is None:
        return None
    stop = text.find("\n", found.start())
    stop = len(text) if stop < 0 else stop
    later = found
    while later is not None and later.start() < stop:
        found = later
        later = _OFFICIAL_2.search(text, later.start() + 1)
    return _first(found, 1)


def official_bare(text: str, question: Question) -> Found | None:
    """MMLU-Pro rule 3: the last stand-alone capital A to J anywhere."""
    last = None
    for last in _OFFICIAL_3.finditer(text):  # noqa: B007 - the loop is the search for the last
        pass
    return _first(last, 0)


def said(text: str, question: Question) -> Found | None:
    """The last `the answer is X`, `Answer: X`, `X is the correct answer` or `\\boxed{X}`."""
    found = list(_statements(_SAID, text, question, after=_ANSWER))
    if _CORRECT.search(text):
        found += _statements(_REVERSED, text, question)
    if "\\boxed" in text:
        found += _statements(_BOXED, text, question)
    return _last_before_run_on(found, text)


def closest(text: str, question: Question) -> Found | None:
    """The last `the closest option is X`: a guess by elimination rather than an answer."""
    return _last_before_run_on(list(_statements(_CLOSEST, text, question)), text)


def bold(text: str, question: Question) -> Found | None:
    """A letter alone in bold type, if no other letter is in bold."""
    letters = list(_statements(_BOLD, text, question))
    return letters[-1] if letters and len({found.value for found in letters}) == 1 else None


def closing(text: str, question: Question) -> Found | None:
    """The last sentence ends the argument in one marked letter: `the closest match is (E).`"""
    start, line = _last_line(text)
    sentence = _SENTENCE.split(line)[-1] if len(line) < 2_000 else line[-2_000:]
    start += len(line) - len(sentence)
    if len(set(_BRACKETED.findall(sentence))) > 1:
        return None
    found = _pick(list(_CLOSING.finditer(sentence)), question)
    return found and Found(found.value, found.start + start, found.end + start)


def last_line(text: str, question: Question) -> Found | None:
    """The whole last line is one letter, or a letter and its option's own text."""
    start, line = _last_line(text)
    if len(line) > 2_000:
        return None
    match = _LINE.match(line)
    if match is None:
        listed = _LISTED.match(line)
        if listed is None or not _same_option(listed["any"], listed["rest"], question):
            return None
        match = listed
    found = _pick([match], question)
    return found and Found(found.value, found.start + start, found.end + start)


def option_text(text: str, question: Question) -> Found | None:
    """The answer is stated as the text of exactly one option."""
    stated = None
    for stated in _TEXT.finditer(text):  # noqa: B007 - the loop is the search for the last
        pass
    start, line = (stated.start("rest"), stated["rest"]) if stated else _last_line(text)
    if len(line) > 2_000:
        return None
    bare = plain(line)
    if bare not in plain(" \n".join(question.options)):
        return None
    same = [i for i, each in enumerate(question.options) if bare and plain(each) == bare]
    if len(same) != 1:
        return None
    return Found(question.letters[same[0]], start, start + len(line))


def _statements(
    pattern: re.Pattern[str], text: str, question: Question, *, after: re.Pattern[str] | None = None
) -> Iterator[Found]:
    """Each match as a Found; its value is empty where several letters are stated at once.

    `after` finds where `pattern` may start: a plain word is found ten times faster.
    """
    if after is None:
        matches: Iterator[re.Match[str] | None] = pattern.finditer(text)
    else:
        matches = (pattern.match(text, word.start()) for word in after.finditer(text))
    for match in matches:
        found = _pick([match], question) if match else None
        if found is not None:
            several = pattern is not _BOLD and _MORE.match(text, found.end)
            yield Found("", found.start, found.end) if several else found


def _last_before_run_on(found: list[Found], text: str) -> Found | None:
    if not found:
        return None
    found.sort(key=lambda each: each.end)
    over = _RUN_ON.search(text, found[0].end) if len(found) > 1 else None
    if over is not None:
        found = [each for each in found if each.end <= over.start()]
    return found[-1] if found[-1].value else None


def _pick(matches: list[re.Match[str]], question: Question) -> Found | None:
    for match in reversed(matches):
        groups = match.re.groupindex
        for name in ("up", "low", "any"):
            if name in groups and match[name] is not None:
                letter = match[name].upper()
                if letter in question.letters:
                    return Found(letter, match.start(name), match.end(name))
    return None


def _first(match: re.Match[str] | None, group: int) -> Found | None:
    return None if match is None else Found(match[group], match.start(group), match.end(group))


def _last_line(text: str) -> tuple[int, str]:
    body = text.rstrip()
    start = body.rfind("\n") + 1
    return start, body[start:]


def _same_option(letter: str, rest: str, question: Question) -> bool:
    if letter not in question.letters:
        return False
    return plain(question.options[question.letters.index(letter)]) == plain(rest)
