"""Finds the option letter that a text states.

Knows how models state a choice and which of several statements counts; does not
know which option is right, and never answers with a letter outside the options.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from orchestra.answers import wording
from orchestra.answers.canonical import fold, plain
from orchestra.answers.found import Found, balanced, last_line, lowered, spots
from orchestra.records import Question

_LONGEST_LINE = 2_000
"""Characters of a last line that are looked at; what is longer states no letter alone."""
_WRONG = ("wrong ", "incorrect ", "</")
_HEDGES = ("closest ", "nearest ")
_DOUBTS = ("not ", "n't ", "n\u2019t ", "if ", "whether ", "unless ", "suppos", "assum")
_VERBS = (" is ", " would be ", " seems ", " must be ")
_CHOICES = ("choose ", "chose ", "select ", " pick ", "go with ", "going with ", "opt for ")
_SENTENCE = re.compile(r"(?<=[.!?])\s+(?=[A-Z(\\$*])")
_BRACKETED = re.compile(r"\(([A-Z])\)")
_BOX = re.compile(r"\\boxed\s*+\{")


def said(text: str, question: Question) -> Found | None:
    """The last `the answer is X`, `Answer: X`, `X is correct`, `I choose X` or `\\boxed{X}`."""
    low = lowered(text)
    found = [
        *_picked(_answers(text, low), question),
        *_picked(_reversed(text, low), question),
        *_picked(_chosen(text, low), question),
        *_picked(_matches(wording.BOXED, text, spots(text, "\\boxed")), question),
    ]
    last = _last_before_run_on(found, text)
    if last is None:
        return None
    last = _own_words(_alone(last, text), text, question)
    return last if last.value else None


def bold(text: str, question: Question) -> Found | None:
    """A letter alone in bold type, if no other letter is in bold."""
    if "**" not in text and "__" not in text:
        return None
    letters = list(_picked(wording.BOLD.finditer(text), question))
    return letters[-1] if len({found.value for found in letters}) == 1 else None


def line(text: str, question: Question) -> Found | None:
    """The whole last line is one letter, or a letter and its option's own text."""
    last = last_line(text)
    if len(last.value) > _LONGEST_LINE:
        return None
    match = wording.LINE.match(last.value)
    if match is None:
        match = wording.LISTED.match(last.value)
        if match is None or not _same_option(match["any"], match["rest"], question):
            return None
        if _lists_options(text, last.start, question):
            return None
    return _shifted(next(_picked([match], question), None), last.start)


def option_text(text: str, question: Question) -> Found | None:
    """The answer is stated, boxed or left on the last line as the text of exactly one option."""
    low = lowered(text)
    for start, end in _stated_texts(text, low):
        found = _named(text, start, end, question)
        if found is not None:
            return found
    last = last_line(text)
    if _lists_options(text, last.start, question):
        return None
    return _named(text, last.start, last.end, question)


def closest(text: str, question: Question) -> Found | None:
    """The last `the closest option is X`: a guess by elimination rather than an answer."""
    found = _picked(wording.CLOSEST.finditer(text), question)
    last = _last_before_run_on(list(found), text)
    return last if last and _alone(last, text).value else None


def closing(text: str, question: Question) -> Found | None:
    """The last sentence ends the argument in one marked letter: `the closest match is (E).`"""
    last = last_line(text)
    inside = last.value[-_LONGEST_LINE:]
    sentence = _SENTENCE.split(inside)[-1]
    if len(set(_BRACKETED.findall(sentence))) > 1:
        return None
    picked = list(_picked(wording.CLOSING.finditer(sentence), question))
    return _shifted(picked[-1], last.end - len(sentence)) if picked else None


def _answers(text: str, low: str) -> Iterator[re.Match[str]]:
    for at in _anchors(low):
        match = wording.SAID.match(text, at)
        if match is None or low.endswith(_WRONG, max(0, at - 10), at):
            continue
        before = low[max(0, at - 48) : at]
        if match["which"] and before.endswith(_HEDGES):
            continue
        if any(doubt in before for doubt in _DOUBTS) and wording.UNSAID.search(before):
            continue
        yield match


def _anchors(low: str) -> Iterator[int]:
    """Where a statement may start: at `answer`, and at `option` after `correct` or its like."""
    for at in spots(low, "answer"):
        if not at or not low[at - 1].isalpha():
            yield at
    for noun in (" option", " choice", " statement"):
        for at in spots(low, noun):
            if low.endswith(wording.PRAISE, 0, at) and not low.endswith("incorrect", 0, at):
                yield at + 1


def _reversed(text: str, low: str) -> Iterator[re.Match[str]]:
    for verb in _VERBS:
        for at in spots(low, verb):
            if at and (text[at - 1].isupper() or text[at - 1] in ").:*"):
                aside = 100 if text[at - 1] == ")" else 6
                match = wording.REVERSED.search(text, max(0, at - aside), at + 48)
                if match is not None:
                    yield match


def _chosen(text: str, low: str) -> Iterator[re.Match[str]]:
    for verb in _CHOICES:
        for at in spots(low, verb):
            match = wording.CHOSEN.search(text, max(0, at - 26), at + 64)
            if match is not None:
                yield match


def _matches(pattern: re.Pattern[str], text: str, starts: Iterable[int]) -> Iterator[re.Match[str]]:
    for at in starts:
        match = pattern.match(text, at)
        if match is not None:
            yield match


def _picked(matches: Iterable[re.Match[str]], question: Question) -> Iterator[Found]:
    """The letters that patterns found, in upper case, where the question has such an option."""
    letters = question.letters
    for match in matches:
        for name in match.re.groupindex:
            if name in ("up", "low", "any") and match[name] is not None:
                letter = match[name].upper()
                if letter in letters:
                    yield Found(letter, match.start(name), match.end(name))


def _alone(found: Found, text: str) -> Found:
    """The same statement, without its value where a second letter is stated beside it."""
    if wording.MORE.match(text, found.end):
        return found._replace(value="")
    return found


def _last_before_run_on(found: list[Found], text: str) -> Found | None:
    if len(found) < 2:
        return found[0] if found else None
    found.sort(key=lambda each: each.end)
    over = wording.RUN_ON.search(text, found[0].end)
    if over is None:
        return found[-1]
    return next(each for each in reversed(found) if each.end <= over.start())


def _own_words(found: Found, text: str, question: Question) -> Found:
    """What was read as a letter may be the first word of an option: `B cells`, `I and II`."""
    letter = text[found.start]
    alike = [
        i
        for i, each in enumerate(question.options)
        if each[:1] == letter and len(each) > 1 and not each[1].isalnum()
    ]
    if not alike or text[found.end : found.end + 1] in (")", "]", "}"):
        return found
    fits = []
    for i in alike:
        words = question.options[i].rstrip(" .")
        end = found.start + len(words)
        if text[found.start : end] == words and not text[end : end + 1].isalnum():
            fits.append((end, question.letters[i]))
    return Found(max(fits)[1], found.start, max(fits)[0]) if fits else found


def _stated_texts(text: str, low: str) -> Iterator[tuple[int, int]]:
    """The last stated answer, whole and up to its first full stop; then the last box."""
    for at in reversed(list(spots(low, "answer"))):
        match = wording.TEXT.match(text, at)
        if match is not None:
            yield match.span("rest")
            stop = match["rest"].find(". ")
            if stop > 0:
                yield match.start("rest"), match.start("rest") + stop
            break
    at = text.rfind("\\boxed")
    box = _BOX.match(text, at) if at >= 0 else None
    close = balanced(text, box.end(), "{}") if box else None
    if box and close:
        yield box.end(), close


def _named(text: str, start: int, end: int, question: Question) -> Found | None:
    """The one option whose text is `text[start:end]`."""
    if not 0 < end - start <= _LONGEST_LINE:
        return None
    bare = plain(text[start:end].strip(" *_`\"'."))
    if not bare:
        return None
    longest = max(bare.split(), key=len)  # a word is looked for before whole options are compared
    same = [
        letter
        for letter, each in zip(question.letters, question.options, strict=False)
        if longest in fold(each) and plain(each) == bare
    ]
    return Found(same[0], start, end) if len(same) == 1 else None


def _same_option(letter: str, rest: str, question: Question) -> bool:
    if letter not in question.letters:
        return False
    option = question.options[question.letters.index(letter)]
    return plain(option) == plain(rest.strip(" *_`"))


def _lists_options(text: str, start: int, question: Question) -> bool:
    """Whether the line before the one at `start` is an option too: then options are repeated."""
    before = last_line(text[:start])
    if not 0 < len(before.value) <= _LONGEST_LINE:
        return False
    listed = wording.LISTED.match(before.value)
    if listed is not None and _same_option(listed["any"], listed["rest"], question):
        return True
    return _named(text, before.start, before.end, question) is not None


def _shifted(found: Found | None, by: int) -> Found | None:
    return found and Found(found.value, found.start + by, found.end + by)
