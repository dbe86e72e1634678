"""Finds the option letter that a text states in a language other than English.

Has the word for `answer` in some thirty languages and the text that may follow it before a
letter. Uncertain cases are not read.
"""

from __future__ import annotations

import re

from orchestra.answers.patterns import OPEN, Found, lowered, spots
from orchestra.records import Question

WORDS = (
    # Latin scripts, then Cyrillic and Greek: these need a word boundary before them.
    *("antwort", "lösung", "réponse", "reponse", "respuesta", "resposta", "risposta", "antwoord"),
    *("svar", "vastaus", "odpowied", "odpověď", "odpoveď", "răspuns", "válasz", "cevap", "yanıt"),
    *("jawaban", "đáp án", "câu trả lời", "ответ", "відповідь", "отговор", "одговор", "απάντηση"),
    # Scripts that join words or are written without spaces.
    *("答案", "正解", "答え", "回答", "解答", "故选", "應選", "应选", "因此选", "所以选", "我选"),
    *("故選", "因此選", "所以選", "我選", "정답", "답", "الإجابة", "الجواب", "جواب", "תשובה"),
    *("उत्तर", "जवाब", "উত্তর", "คำตอบ"),
)
_PLAIN_WORDS = tuple(word for word in WORDS if word.isascii())
_JOINED = "\u0590"  # from Hebrew on, a word may follow another without a space

_COPULA = (
    r"(?:[:\uff1a=]|\b(?:es|est|ist|lautet|é|è|is|är|er|to|je|este|on|adalah|là)\b|"
    r"[是为為はは은는选選]|が|هي|هو|है|হল|คือ|היא|\s[-\u2013\u2014\u2192])"
)
_FILL = (
    r"(?:\s*+(?:(?i:la|le|el|die|der|das|den|o|a|il|de|het|en|by|opci[oó]n|opç[aã]o|option|opzione|"
    r"optie|opcja|antwort|alternativa|alternative|letra|lettre|lettera|letter|buchstabe|inciso|"
    r"correcta|correcte|correto|corretta|вариант|буква)\b|选项|選項|選択肢|选择|보기|विकल्प|الخيار|الحرف))"
    r"{0,3}+"
)
_NOT = re.compile(
    r"\b(?:no|nicht|kein\w{0,3}|não|non|pas|nie|не|inte|ikke|niet|nem|không)\b|\bn['\u2019]|[不没沒非]|ليس"
)
_STATED = re.compile(
    rf"(?P<between>[^\n.。!?？]{{0,40}}?)(?:(?<=[选選]){_COPULA}?|{_COPULA}){_FILL}{OPEN}"
    r"(?:(?P<low>(?<=[(\uff08])[a-z](?=[)\uff09]))|(?P<up>[A-Z]))(?![A-Za-z0-9\u00c0-\u024f\u0400-\u04ff'=])"
    r"(?!\s*(?:では?な|じゃな|이 아니|가 아니))"
    r"(?!(?<=A)[ ](?!(?:porque|parce|weil|denn|car|da|perché|pois|ya|puesto|because)\b)[a-zà-ÿ])"
)


def said_abroad(text: str, question: Question) -> Found | None:
    """The last `Die Antwort ist (C)`, `Respuesta: C`, `答案是C` and the like."""
    low = lowered(text)
    last = None
    for word in _PLAIN_WORDS if text.isascii() else WORDS:
        for at in spots(low, word, last.end if last else 0, len(low)):
            found = _after(text, at, word, question)
            if found is not None:
                last = found
                break
    return last


def _after(text: str, at: int, word: str, question: Question) -> Found | None:
    if word[0] < _JOINED and at and text[at - 1].isalpha():
        return None
    match = _STATED.match(text, at + len(word))
    if match is None or _NOT.search(match["between"]):
        return None
    group = "up" if match["up"] else "low"
    letter = match[group].upper()
    if letter not in question.letters:
        return None
    return Found(letter, match.start(group), match.end(group))
