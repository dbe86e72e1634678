"""Finds the option letter that a text states.

Defines how models state a choice and which of several statements counts. A letter without an
option is never returned.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from itertools import islice

import orchestra.answers.patterns as wording
from orchestra.answers.canonical import fold, plain
from orchestra.answers.patterns import (
    Found,
    balanced,
    in_ascii,
    last_line,
    lowered,
    spots,
    untexed,
)
from orchestra.records import Question

_PRAISE = ("correct", "right", "best", "accurate")
_MOST = 1_000
"""Most turns, and letters in bold type, that are examined."""
_LETTER_GROUPS = ("up", "low", "any")
_SHORTEST = len("answer:C")
"""Characters of the shortest statement that is searched after another."""
_LONGEST_LINE = 2_000
"""Most characters of a last line; a longer one does not state a letter alone."""
_WRONG = ("wrong ", "incorrect ", "</")
_NEAR = ("closest ", "nearest ", "likely ", "suitable ", "appropriate ")
_HEDGES = ("closest ", "nearest ")
_PLAINLY = (". the ", "\nthe ", "so the ", "therefore, the ", "thus, the ")
_DOUBTS = frozenset(
    ("if", "whether", "unless", "suppose", "supposing", "assume", "assuming")
    + ("think", "believe", "say", "claim", "mean", "imply", "agree")
)
_VERBS = (" is ", " would be ", " seems ", " must be ")
_CHOICES = ("choose ", "chose ", "select ", " pick ", "go with ", "going with ", "opt for ")
_CLOSERS = ("", ")", "]", "}", "\n", "*")
_SENTENCE = re.compile(r"(?<=[.!?])\s+(?=[A-Z(\\$*])")
_BRACKETED = re.compile(r"\(([A-Z])\)")
_AROUND = re.compile(r" ?([^\w\s]) ?")
_TAG = re.compile(r"</?[A-Za-z]\w{0,15}+>")
_BOX = re.compile(r"\\boxed\s*+\{")


def said(text: str, question: Question) -> Found | None:
    """The last `the answer is X`, `Answer: X`, `X is correct`, `I choose X` or `\\boxed{X}`."""
    low = lowered(text)
    start = 0
    for stop in _turns(text):
        last = _last_statement(text, low, (start, stop), question)
        if last is not None:
            last = _own_words(_alone(last, text), text, question)
            return last if last.value else None
        start = stop
    return None


def bold(text: str, question: Question) -> Found | None:
    """A letter alone in bold type, if no other letter is in bold."""
    if "**" not in text and "__" not in text:
        return None
    bolds = islice(wording.BOLD.finditer(text), _MOST)
    letters = _all_picked((each for each in bolds if not _is_denied(text, each)), question)
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
    return _shifted(_picked(match, question), last.start)


def option_text(text: str, question: Question) -> Found | None:
    """The answer is stated, boxed or left on the last line as the text of exactly one option."""
    for start, end in _stated_texts(text):
        found = _named(text, start, end, question)
        if found is not None:
            return found
    last = last_line(text)
    found = _named(text, last.start, last.end, question)
    return None if found and _lists_options(text, last.start, question) else found


def closest(text: str, question: Question) -> Found | None:
    """The last `the closest option is X`: a guess by elimination rather than an answer."""
    low = lowered(text)
    stop = next(_turns(text))
    last = None
    for word in _NEAR:
        for at in spots(low, word, last.end if last else 0, stop):
            match = wording.CLOSEST.match(text, at, stop)
            found = _picked(match, question) if match else None
            if found is not None:
                last = found
                break
    return last if last and _alone(last, text).value else None


def closing(text: str, question: Question) -> Found | None:
    """The last sentence ends the argument in one marked letter: `the closest match is (E).`"""
    last = last_line(text)
    inside = last.value[-_LONGEST_LINE:]
    sentence = _SENTENCE.split(inside)[-1]
    if len(set(_BRACKETED.findall(sentence))) > 1:
        return None
    picked = _all_picked(wording.CLOSING.finditer(sentence), question)
    return _shifted(picked[-1], last.end - len(sentence)) if picked else None


def _turns(text: str) -> Iterator[int]:
    """The end of each turn: the model's own next question, a recap, or the end of the text."""
    run_on = wording.RUN_ON if text.isascii() else wording.RUN_ON_ANYWHERE
    for over in islice(run_on.finditer(text), _MOST):
        yield over.start()
    yield len(text)


def _last_statement(text: str, low: str, span: tuple[int, int], question: Question) -> Found | None:
    """The last statement in a part of the text; each kind is searched after earlier matches."""
    start, stop = span
    last = None
    for kind in (_answers, _praised, _reversed, _chosen, _boxed):
        if stop - start < _SHORTEST:
            break
        for match in kind(text, low, start, stop):
            found = _picked(match, question)
            if found is not None:
                if last is None or found.end > last.end:
                    last, start = found, found.end
                break
    return last


def _answers(text: str, low: str, start: int, stop: int) -> Iterator[re.Match[str]]:
    for at in spots(low, "answer", start, stop):
        if at and (low[at - 1].isalpha() or low.endswith(_WRONG, 0, at)):
            continue
        match = wording.SAID.match(text, at, stop)
        if match is not None and not _is_unsaid(low, at, match):
            yield match


def _praised(text: str, low: str, start: int, stop: int) -> Iterator[re.Match[str]]:
    for noun in (" option", " choice", " statement"):
        for at in spots(low, noun, start, stop):
            if low.endswith(_PRAISE, 0, at) and not low.endswith("incorrect", 0, at):
                match = wording.SAID.match(text, at + 1, stop)
                if match is not None and not _is_unsaid(low, at + 1, match):
                    yield match
                    break


def _is_unsaid(low: str, at: int, match: re.Match[str]) -> bool:
    """Whether the text before it makes it a condition, a denial or one guess of several."""
    if low.endswith(_PLAINLY, 0, at):
        return False  # the usual case: no text before it in its sentence
    before = low[max(0, at - 48) : at]
    if match["which"] and before.endswith(_HEDGES):
        return True
    if _DOUBTS.isdisjoint(before.split()[-4:]):
        return False
    return wording.UNSAID.search(before) is not None


def _reversed(text: str, low: str, start: int, stop: int) -> Iterator[re.Match[str]]:
    for verb in _VERBS:
        for at in spots(low, verb, start, stop):
            if at and (text[at - 1].isupper() or text[at - 1] in ").:*"):
                aside = 100 if text[at - 1] == ")" else 6
                match = wording.REVERSED.search(text, max(0, at - aside), min(at + 48, stop))
                if match is not None and not _is_denied(text, match):
                    yield match
                    break


def _chosen(text: str, low: str, start: int, stop: int) -> Iterator[re.Match[str]]:
    for verb in _CHOICES:
        for at in spots(low, verb, start, stop):
            match = wording.CHOSEN.search(text, max(0, at - 26), min(at + 64, stop))
            if match is not None:
                yield match
                break


def _boxed(text: str, low: str, start: int, stop: int) -> Iterator[re.Match[str]]:
    for at in spots(low, "\\boxed", start, stop):
        match = wording.BOXED.match(text, at, stop)
        if match is not None and not _is_denied(text, match):
            yield match


def _is_denied(text: str, match: re.Match[str]) -> bool:
    """Whether the text before it denies the letter, or makes it a condition."""
    start = max(match.start(name) for name in match.re.groupindex if name in _LETTER_GROUPS)
    before = untexed(text[max(0, start - 48) : start]).lower()
    if wording.DENIED.search(before) is not None:
        return True
    return wording.UNSAID.search(before.rstrip("([*_\"'")) is not None


def _picked(match: re.Match[str], question: Question) -> Found | None:
    """The letter that a pattern found, in upper case, if the question has such an option."""
    for name in match.re.groupindex:
        if name in _LETTER_GROUPS and match[name] is not None:
            letter = match[name].upper()
            if letter in question.letters:
                return Found(letter, match.start(name), match.end(name))
    return None


def _all_picked(matches: Iterable[re.Match[str]], question: Question) -> list[Found]:
    picked = (_picked(match, question) for match in matches)
    return [found for found in picked if found is not None]


def _alone(found: Found, text: str) -> Found:
    """The same statement, without its value if it states a second letter."""
    before = untexed(text[max(0, found.start - 80) : found.start])
    after = untexed(text[found.end : found.end + 80])
    for other in (wording.MORE.match(after), wording.PAIRED.search(before)):
        if other is not None and other["other"] != found.value:
            return found._replace(value="")
    return found


def _own_words(found: Found, text: str, question: Question) -> Found:
    """A match of a letter may be the first word of an option: `B cells`, `I and II`."""
    if text[found.end : found.end + 1] in _CLOSERS:
        return found
    letter = text[found.start]
    alike = [
        i
        for i, each in enumerate(map(in_ascii, question.options))
        if each.startswith(letter) and len(each) > 1 and not each[1].isalnum()
    ]
    fits = []
    for i in alike:
        words = in_ascii(question.options[i]).rstrip(" .")
        end = found.start + len(words)
        if text[found.start : end] == words and not text[end : end + 1].isalnum():
            fits.append((end, question.letters[i]))
    return Found(max(fits)[1], found.start, max(fits)[0]) if fits else found


def _stated_texts(text: str) -> Iterator[tuple[int, int]]:
    """The last stated answer, whole and up to its first full stop; then the last box."""
    for at in spots(lowered(text), "answer", 0, len(text)):
        match = wording.TEXT.match(text, at)
        if match is not None:
            yield match.span("rest")
            stop = match["rest"].find(". ")
            if stop > 0:
                yield match.start("rest"), match.start("rest") + stop
            break
    for at in spots(lowered(text), "answer", 0, len(text)):
        tag = wording.TAGGED.match(text, at)
        if tag is not None and not text.endswith("/", 0, at):
            yield tag.span("rest")
            break
    at = text.rfind("\\boxed")
    box = _BOX.match(text, at) if at >= 0 else None
    close = balanced(text, box.end(), "{}") if box else None
    if box and close:
        yield box.end(), close


def _named(text: str, start: int, end: int, question: Question) -> Found | None:
    """The one option whose text is `text[start:end]`."""
    longest = max(map(len, question.options), default=0)
    if not 0 < end - start <= min(_LONGEST_LINE, 2 * longest + 40):
        return None
    words = text[start:end].strip(" *_`\"'.")
    bare = plain(words)
    if not bare:
        return None
    word = max(bare.split(), key=len)  # searched before whole options are compared
    pairs = list(zip(question.letters, question.options, strict=False))
    same = [letter for letter, each in pairs if word in fold(each) and plain(each) == bare]
    if not same and not words.isalnum():
        bare = _typeless(words)
        same = [letter for letter, each in pairs if _typeless(each) == bare]
    return Found(same[0], start, end) if len(same) == 1 else None


def _typeless(words: str) -> str:
    """`plain` without tags, LaTeX's macros of type, and what JSON leaves at an end."""
    untagged = _TAG.sub(" ", untexed(words)).strip(" *_`\"'.,")
    return _AROUND.sub(r"\1", plain(untagged))


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
