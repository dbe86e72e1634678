"""English text as comparable words.

Splits text into words, removes words without a subject, and turns plurals into singulars.
"""

from __future__ import annotations

import re

_WORD = re.compile(r"[^\W_]+(?:['’][^\W_]+)?")


def words(text: str) -> list[str]:
    """The words of `text` in order, lower case; digits count as words, possessives are kept."""
    return _WORD.findall(text.lower())


def stem(word: str) -> str:
    """`word` (lower case) without a possessive or plural ending: `enzymes` and `enzyme` are one.

    A heuristic, to be used on both sides of a comparison.
    """
    if len(word) > 2 and word[-2] in "'’" and word[-1] == "s":
        word = word[:-2]
    if len(word) < 4 or word[-1] != "s" or word[-2] in "sui":
        return word
    if word.endswith("ies") and len(word) > 4:
        return word[:-3] + "y"
    if word.endswith(("sses", "xes", "ches", "shes")):
        return word[:-2]
    return word[:-1]


_STOP = """
a about above across after again against all allow almost along already also although always am
among an and another answer any anyone anything are as at away back based be became because become
been before being below best better between both bring but by call called can cannot case cause
certain choose clearly come consider contain correct could day describe described describes
determine did different do does doing done down due during each either else end enough even ever
every exactly example except explain explained false few find finds first five follow following
follows for form found four from full further gave general generally get give given gives go going
good got great greater had happen has have having he hence her here high him his hold how however
i if important in include includes including incorrect increase indicate instead into involve is
it its itself just keep kind know known large last later least leave less let like likely little
long look low made main make makes making many may me mean means might more most much must my name
named near necessary need never new next no none nor not note nothing now number obtain of off
often on once one ones only open option options or order original other others otherwise our out
over own part particular people per perform perhaps person place point possible present probably
produce provide put question quite rather really reason regard relate remain require required
respectively right same say says second see seem select set several shall she should show shown
side similar simply since small so some someone something soon state stated statement statements
still such suppose sure take taken takes tell ten term terms than that the their them themselves
then there therefore these they thing things think this those though three through thus time to
together too toward true try turn two type under unless until up upon us use used uses using
usually various very want was way ways we well went were what when where whether which while who
whole whom whose why will with within without word work would write written year years yet you
your
"""
STOP_WORDS = frozenset(form for word in _STOP.split() for form in (word, stem(word)))
"""Words that distinguish no subjects: function words and the wording of examinations; as words
and as stems."""
