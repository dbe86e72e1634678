r"""Patterns of the phrases in which English texts state an option letter.

`choice` decides which of several statements counts. Matching takes linear time: every
repetition is possessive or bounded, and patterns are matched only at a plain word.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Iterator
from functools import lru_cache
from typing import NamedTuple

from orchestra.records import Question

QUOTES = "\"'`\u201c\u201d\u2018\u2019\u00ab\u00bb\u300c\u300e"
DASHES = "\u2013\u2014\u2192-"
# Before a letter: white space, emphasis, quotes, brackets, and the macros that set type.
OPEN = (
    rf"(?:[\s*_$(\[{{\\,{QUOTES}\uff08\u3010]++|<(?:b|i|u|em|strong|code|span|mark|answer)>|<|"
    r"(?:boxed|text\w{0,2}|math\w{0,2})(?=[\s{])|displaystyle|(?i:option|choice|answer|letter)\b){0,10}+"
)
_GAP_CHARS = rf"[\s:*_$=\\,~>\u2026\uff1a{QUOTES}{DASHES}]*+"
_GAP = rf"{_GAP_CHARS}(?:\.\.++{_GAP_CHARS})?+"

# Text that may follow a letter, but not the article A or the pronoun I.
_LINKS = (
    r"because|since|as|due|for|which|is|and|or|but|with|by|based|given|where|while|rather|so|if|"
    r"from|according|in|that"
)
# A bare letter is not part of a word, a formula, a compound or a contraction.
_ALONE = (
    r"(?![^\W_]|_(?!_|\W|$)|[&/^=+#]|<(?![/|]|\w{1,20}>)|>\w|['\u2019]\w|[-\u2212]\w|"
    r"[ \t]=|[ \t](?:[+<>\u2200-\u2233\u2236-\u22ff\u00d7*]|&&|\|\|)[ \t])"
)
_WORDLESS = (
    rf"(?![ \t]++(?:(?!(?:{_LINKS})\b)[a-z]|[A-Z][\w'\u2019]))"
    r"(?!,[ \t](?:for one|as an?|personally|myself|too|however)\b)"
)
BARE = rf"(?:[B-HJ-Z]{_ALONE}|[AI]{_ALONE}{_WORDLESS})"
_LOW = r"(?<=[(\[{\uff08>\"'])[a-z](?=\s*[)\]}\uff09<\"'])"
LETTER = rf"(?:(?P<low>{_LOW})|(?P<up>{BARE}))"

_PARTS = r"to|for|of|from|among|amongst|based|in|out|that|which|using|given|I|we"
_BUT = (  # the first half of `not B but C`, after its `not`
    r"(?:(?i:option|choice)\s)?\W{0,3}[A-Z](?:\W{1,4}n?or\s\W{0,3}[A-Z])?\W{1,4}but\b"
    r"(?:\s(?:rather|instead|in fact|actually)\b)?"
)
SAID = re.compile(
    rf"(?i:answer|option|choice|statement)(?=[\s:*_)=>(,\\\uff1a{QUOTES}{DASHES}])[\s*_)\\{QUOTES}]*+"
    r"(?i:(?:choice|option|letter|here|to this question|to the question|would|should|must|will|"
    r"likely|therefore|then|thus|now|seems to|appears to|has to|can only)\b[\s*_\\]*+){0,6}+"
    r"(?:,[^,.:;\n]{1,40}+,\s?|\([^()\n]{1,60}+\)\s?)?+"
    rf"(?P<which>(?i:{_PARTS})(?:[ ][\w'\u2019,()-]++){{0,8}}?[ ])?"
    rf"(?:(?:(?i:is|be|remains|becomes)\b|[:=>\uff1a]|[{DASHES}]++>?\s)(?:\s*+not\s++{_BUT})?+|"
    rf"(?i:is|was|would|should|could)n['\u2019]t\s++(?:be\s++)?{_BUT})"
    rf"{_GAP}"
    r"(?i:(?:option|choice|letter|answer|statement|definitely|clearly|probably|most likely|likely|"
    r"therefore|thus|hence|indeed|actually|simply|just|still|in fact|the|final|correct|right|best|"
    rf"closest|most|accurate|appropriate|suitable|given by|found in|be|is|to)\b{_GAP})"
    rf"{{0,8}}+{OPEN}{LETTER}"
)
"""From `answer` or `option` to the letter: `answer is (C)`, `Answer: C`, `"answer": "c"`."""

UNSAID = re.compile(
    r"(?:(?:\bnot|n['\u2019]t)\s(?:think|believe|say|claim|mean|imply|agree)(?:\sthat)?|"
    r"\b(?:whether|if|unless|suppose|supposing|assume|assuming)(?:\sthat)?)\s(?:the\s|my\s)?(?:\w+\s)?$"
)
"""Text before a statement that is not made: `if the`, `I don't think the`."""

REVERSED = re.compile(
    r"(?:(?<=[\s*(])|^)(?<!\d\s)(?<!\bor\s)(?<!\bnor\s)"
    r"\(?(?:(?P<low>(?<=\()[a-z](?=\)))|(?P<up>[A-Z]))\)?\**[.:]?(?:\s\((?![A-Za-z]\))[^()\n]{1,80}\))?\s"
    r"(?i:is|would be|seems|must be)\s(?i:the\s|my\s)?(?i:most\slikely\s|final\s)?"
    r"(?i:(?:single\s)?(?:correct|right|best|closest|final)\s(?:answer|option|choice)|answer|correct|"
    r"right(?=\s*(?:[.!]|$)))\b(?!\s(?i:only|if|for|in)\b)"
)
"""`C is the correct answer`, `(c) is correct`."""

# Macros that set type and space, without a meaning of their own.
_TYPE = (
    r"\\(?:(?:(?:text|math)\w{0,6}|[mhv]box|fbox|boxed|emph|underline|operatorname|ensuremath|"
    r"q?quad|left|right|[bB]igg?[lr]?|displaystyle|(?:La|LA|la)rge|[hH]uge|bf|rm|sf|tt|it|em|"
    r"bfseries)(?<!color)(?![A-Za-z])\*?|(?:text)?color\s?\{[^{}\n]{0,40}+\})"
)
BOXED = re.compile(
    rf"\\boxed\s*+\{{(?:[\s*_$(\[{{~{QUOTES}]++|\\[,;:! (\[{{]|{_TYPE}|"
    r"(?i:the|final|correct|option|choice|answer|letter)\b[\s:}]*+){0,20}+"
    rf"(?P<any>[A-Za-z])(?:[\s$*_~{QUOTES}]|\\right(?![a-z]))*+"
    r"(?:[)\]}:,]|\.(?!\d)|\\(?:[)\],;!: }]|text|q?quad|mbox|mathrm|land|lor|&))"
)
"""A box that holds a letter, with or without its option's text."""

_TEX = re.compile(
    rf"\\(?:text|math)\w{{0,6}}\s?\{{~|{_TYPE}|\\[,;:!&()\[\]% ]|[{{}}$]|(?<=[\w}})])~|\\[a-z]?fbox"
)
_TEX_WORDS = (
    ("\\&", "&"),
    ("\\land", " and "),
    ("\\lor", " or "),
    ("\\wedge", " and "),
    ("\\vee", " or "),
)


def untexed(text: str) -> str:
    """`text` with spaces for the macros and braces of LaTeX that only set type."""
    if "\\" in text:
        for macro, word in _TEX_WORDS:
            text = text.replace(macro, word)
    return _TEX.sub(" ", text)


_NOUN = r"(?:(?:the\s+)?(?:option|choice|answer|letter|statement)s?\s+)?"
MORE = re.compile(
    rf"[)\]}}*_$\uff09{QUOTES}]{{0,4}}\s*(?:[,;&/+]|(?:and/or|and|n?or|plus|as well as|but also)\b|"
    rf"(?<=\))(?=\s*\([A-Z]\)))\s*(?:(?:and|or|both|also)\s+)?{_NOUN}[(\[*_$\\{{{QUOTES}]{{0,4}}"
    r"(?P<other>[A-Z]|[IVX]{2,4})\b(?!['\u2019]\w)"
    r"(?!\s+(?!(?:and|or|are|only|both|because|since|as|due|which)\b)[a-z])"
)
"""A second letter in the same statement, which then is not an answer."""

PAIRED = re.compile(
    rf"(?:^|[^\w'\u2019])(?P<other>[A-Z])[)\]}}*_$.{QUOTES}]{{0,4}}\s*(?:,\s*)?"
    rf"(?:and|or|&|/|plus|as well as)\s*{_NOUN}[(\[*_\s{QUOTES}]{{0,6}}$"
)
"""Text before a letter that is the second of two: `A and`, `(A) or option`."""

DENIED = re.compile(
    r"(?<![A-Za-z])(?:(?:none|any|all|one|each|some|either|both|neither)\s(?:of\s)?(?:\W{0,3}[a-z]"
    r"\W{0,3}(?:,|\b(?:and|n?or)\b)){1,9}|(?:not|cannot|\w{2,8}n['\u2019]t)(?:\sbe)?(?:\sthat)?|"
    r"neither|nor|never|than|but also|instead of|except(?: for)?|excluding|"
    r"(?:false|wrong|untrue|doubtful)\sthat)\s+"
    rf"(?:the\s+)?(?:(?:correct|right|best|final)\s+)?{_NOUN}(?:is\s+)?[(\[*_\s{QUOTES}]{{0,6}}$",
    re.IGNORECASE,
)
"""Text before a letter that denies it: `neither`, `is not the option`."""

CHOSEN = re.compile(
    r"\b(?:I|[Ww]e)(?:['\u2019](?:ll|d|m)| will| would| must| should)?(?: \w{2,12}ly)? "
    r"(?:choose|chose|select|pick|go with|going with|opt for)\s(?:the\s)?"
    rf"(?:(?:option|answer|choice|letter)\s)?{OPEN}{LETTER}"
)
"""`I choose C`."""

CLOSEST = re.compile(
    r"(?i:(?:closest|nearest|likely|suitable|appropriate)\s(?:\w+\s){0,7}?(?:is|be|would be)\b)"
    rf"[\s:]*+(?:(?i:option|choice)\s)?{OPEN}{LETTER}"
)
"""`The closest option is C`: a guess by elimination."""

CLOSING = re.compile(
    r"(?i:\b(?:is|be|are|select|choose|pick|option|choice|with|to|match(?:es)?)\b)[\s:]*+"
    r"(?:\*\*|\()[\s*(]*+(?P<any>[A-Za-z])\s*[).*]"
)
"""A sentence that ends in a marked letter."""

BOLD = re.compile(r"(?:\*\*|__)\s*+\(?(?P<any>[A-Z])\)?[.]?\s*+(?:\*\*|__)(?!\s*:)")
"""A letter alone in bold type."""

LINE = re.compile(
    r"(?:[^\w<]|_|<(?!\w)|<\w{1,20}+>)*+(?:(?i:the\s)?(?i:final|correct|best|my)?\s?"
    r"(?i:option|choice|answer|solution|conclusion|letter)[\W_]++)?+"
    r"(?:(?P<any>[A-Z])|(?P<low>(?<=\()[a-z](?=\))))"
    r"(?:[^\w<]|_|<(?![\w/])|</\w{1,20}+>)*+$"
)
"""A line of one letter and at most a word such as `option`."""

LISTED = re.compile(
    r"[\s*_(\[]*+(?P<any>[A-Z])(?:\s*[).:\]]|\s[\u2013\u2014-]\s)\**\s*+(?P<rest>\S.*)$", re.DOTALL
)
"""A line such as `C) 42 metres`."""

TEXT = re.compile(
    r"(?i:answer(?:\s+is\b|[\"'*_]{0,3}\s*[:\uff1a=]))[\s:*_\"'`]*+(?P<rest>[^\n]{1,400})"
)
"""The stated answer, to the end of its line."""

TAGGED = re.compile(
    r"answer[>\]]\s*+(?P<rest>[^\n]{1,400}?)\s*(?:[<\[]/(?:final[_ ]?)?answer[>\]]|\n|$)",
    re.IGNORECASE,
)
"""What a tag `<answer>` or `[ANSWER]` holds."""

_QUESTION = (
    r"(?:(?:Question|Q)\s?\d{0,4}\s?[:.]|(?:#{1,4}\s?)?(?:Human|User|HUMAN|USER|Instruction)\s?:)"
)
NEXT_QUESTION = re.compile(rf"\n[ \t]*+{_QUESTION}")
"""Where a model continues with another question."""

_RUN_ON = (
    rf"{_QUESTION}|"
    r"(?i:(?:now,? )?let['\u2019]?s (?:now )?"
    r"(?:combine|summari[sz]e|collect|list|put)\b|now,? (?:combining|summari[sz]ing)\b|"
    r"now,? considering all (?:the |of the )?questions\b|summary of (?:all )?(?:the )?answers\b)"
)
RUN_ON = re.compile(rf"\n[ \t]*+(?=[QLNSHUI#lns])(?:{_RUN_ON})")
"""Where a model continues with another question, or repeats its answers to several."""

RUN_ON_ANYWHERE = re.compile(rf"\n[ \t]*+(?:{_RUN_ON}|[^\n]{{0,12}}(?:\u603b\u7ed3|\u5f52\u7eb3))")
"""The same in texts that are not only in English."""


_MOST_SPOTS = 2_000


class Found(NamedTuple):
    """A value and its place, as character offsets into the text."""

    value: str
    start: int
    end: int


Rule = Callable[[str, Question], "Found | None"]
"""From a text to the value that it states, or None."""


_IN_ASCII = {0x3000: " "} | {0xFF01 + i: chr(0x21 + i) for i in range(94)}
for _first, _count in ((0x24B6, 26), (0x1F110, 26), (0x1F130, 26), (0x1F150, 26), (0x1F170, 26)):
    _IN_ASCII |= {_first + i: chr(0x41 + i) for i in range(_count)}  # in circles and squares
_IN_ASCII |= {
    code: normal
    for code in range(0x1D400, 0x1D7CA)  # mathematical letters in bold, italic and other type
    if (normal := unicodedata.normalize("NFKC", chr(code))).isascii()
}


_STYLED = re.compile("[\u3000\uff01-\uff5e\u24b6-\u24cf\U0001f110-\U0001f189\U0001d400-\U0001d7c9]")


@lru_cache(maxsize=2)  # several rules ask for the same text
def in_ascii(text: str) -> str:
    """`text` with ASCII for full-width and styled letters and marks, with unchanged offsets."""
    if text.isascii() or _STYLED.search(text) is None:
        return text
    return text.translate(_IN_ASCII)


def lowered(text: str) -> str:
    """`text` in lower case, with unchanged offsets."""
    # The dotted capital I is the one character whose lower case is two characters.
    return text.replace("\u0130", "I").lower()


def spots(text: str, word: str, start: int, stop: int) -> Iterator[int]:
    """Places of `word` within `text[start:stop]`, the last first: at most 2,000 places.

    A text with more of them repeats itself; if its last 2,000 places state no answer, earlier
    ones are not searched.
    """
    for _ in range(_MOST_SPOTS):
        stop = text.rfind(word, start, stop)
        if stop < 0:
            return
        yield stop


def group_of(match: re.Match[str] | None, group: str | int = 1) -> Found | None:
    """One group of a match, or None where there is no match."""
    return None if match is None else Found(match[group], match.start(group), match.end(group))


def last_match(pattern: re.Pattern[str], text: str) -> re.Match[str] | None:
    """The last of the matches that do not overlap."""
    last = None
    for last in pattern.finditer(text):  # noqa: B007 - the loop is the search for the last
        pass
    return last


def last_line(text: str) -> Found:
    """The last line with more than white space, closing fences and `</answer>`."""
    body = text.rstrip().rstrip("`").rstrip()
    for _ in range(3):  # a fence inside a tag, and no text of a million of them
        body = body.removesuffix("</answer>").rstrip().rstrip("`").rstrip()
    start = body.rfind("\n") + 1
    return Found(body[start:], start, len(body))


def balanced(text: str, start: int, pair: str) -> int | None:
    """The end of the bracket that opens just before `start`; None if beyond 2,000 characters."""
    depth = 1
    for at in range(start, min(len(text), start + 2_000)):
        if text[at] == pair[0]:
            depth += 1
        elif text[at] == pair[1]:
            depth -= 1
            if depth == 0:
                return at
    return None


_TAIL = 400
"""Characters at the end of the text that are examined."""
_SIGNS = (
    "none of",
    "not ",
    "no ",
    "n't ",
    "n\u2019t ",
    "cannot",
    "unable",
    "impossible",
    "sorry",
    "as an ai",
)
_REFUSED = re.compile(
    r"\bnone of (?:the (?:above|options|choices|provided|given|listed|other|answers)|these|them)\b|"
    r"\bnot (?:listed|among|in|provided|included|given)\b.{0,40}\b(?:options|choices|answers)\b|"
    r"\banswer (?:is|does|was)(?: not|n['\u2019]t) "
    r"(?:listed|provided|included|given|appear|available|exist)|"
    r"\bno (?:correct|valid|suitable|definite) (?:answer|option|choice)|"
    r"\b(?:cannot|can not|can['\u2019]t|could not|couldn['\u2019]t|unable to|impossible to|"
    r"not possible to)\b.{0,30}\b(?:answer|determine|assist|help|provide|solve|tell|decide)|"
    r"\bnot enough information\b|\bi(?:['\u2019]m| am) (?:sorry|unable|not able)\b|\bas an ai\b"
)


def refused(text: str) -> bool:
    """Whether the end of `text` declines to answer, or states that no option is right."""
    tail = text[-_TAIL:].lower()
    return any(sign in tail for sign in _SIGNS) and _REFUSED.search(tail) is not None
