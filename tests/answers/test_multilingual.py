"""Option letters that are stated in other languages, in other widths and in other scripts."""

from __future__ import annotations

import pytest

from orchestra.answers import read
from orchestra.answers.multilingual import WORDS
from orchestra.records import Answer, Generation, Question

TEN = tuple(f"option number {i}" for i in range(10))
STATED = [
    "答案：Ｃ",
    "উত্তরঃ C",
    "Jibu: C",
    "Jibu sahihi ni C.",
    "Ìdáhùn: C",
    "Ìdáhùn náà ni C.",
    "پاسخ: C",
    "پاسخ صحیح گزینه C است.",
    "答案不是A，而是C。",
    "答えは（Ｃ）です。",
    "答えはＣです",
    "正解はCだ。",
    "答えはCになります。",
    "答え：C",
    "Die Antwort ist nicht A, sondern C.",
    "La respuesta no es A, sino C.",
    "La réponse n'est pas A, mais C.",
    "A resposta não é A, mas sim C.",
    "La risposta non è A, ma C.",
    "Правильный ответ не A, а C.",
    "Het antwoord is niet A, maar C.",
    "Svaret är inte A utan C.",
    "答えはAではなくCです。",
    "정답은 A가 아니라 C입니다.",
    "الإجابة ليست A بل C",
    "Jawabannya bukan A melainkan C.",
    "Đáp án không phải A mà là C.",
    "सही उत्तर C है।",
    "सही उत्तर (C) है।",
    "उत्तर: C",
    "सही विकल्प का उत्तर विकल्प C है।",
    "उत्तर A नहीं बल्कि C है।",
    "Doğru cevap C'dir.",
    "Doğru cevap: C",
    "Cevap C",
    "정답은 (C)입니다.",
    "정답: C",
    "정답은 C이다.",
    "답은 C",
    "답: C",
    "الإجابة الصحيحة هي (ج)",
    "الإجابة: ج",
    "الجواب هو ج.",
    "جواب: C",
    "صحیح جواب C ہے۔",
    "Jawaban: C",
    "Jawaban yang benar adalah C.",
    "คำตอบคือ C",
    "คำตอบ: ข้อ C",
    "คำตอบคือ ค",
    "Odpowiedź: C",
    "Prawidłowa odpowiedź to C.",
    "Răspunsul corect este C.",
    "Válasz: C",
    "Válasz: C)",
    "Η απάντηση είναι C.",
    "Η απάντηση είναι Γ.",
    "התשובה היא C",
    "התשובה הנכונה היא ג.",
    "Ответ: (C)",
    "Ответ: С",
    "பதில்: C",
    "సమాధానం: C",
    "ಉತ್ತರ: C",
    "ഉത്തരം: C",
    "જવાબ: C",
    "ਜਵਾਬ: C",
    "සිංහල පිළිතුර: C",
    "အဖြေ: C",
    "ចម្លើយ៖ C",
    "ຄຳຕອບ: C",
    "პასუხი: C",
    "Պատասխան՝ C",
    "መልስ፦ C",
    "Sagot: C",
    "Ang tamang sagot ay C.",
    "Amsa: C",
    "Impendulo: C",
    "Javob: C",
    "Cavab: C",
    "Жауап: C",
    "Відповідь: C",
    "Отговор: C",
    "Одговор: C",
    "Odgovor: C",
    "Odpověď: C",
    "Vastaus: C",
    "Oikea vastaus on C.",
    "Svar: C",
    "Đáp án: C",
    "Đáp án đúng là C.",
    "Câu trả lời là C",
    "উত্তর: C",
    "সঠিক উত্তর হল C",
    "সঠিক উত্তর: (গ)",
    "उत्तर: (ग)",
    "正确答案是 C。",
    "正确答案为（C）。",
    "因此，正确的是C。",
    "正确选项是C。",
    "答案 C",
    "所以答案是：**C**。",
    "【答案】C",
    "答案：【C】",
    "答案是“C”。",
    "答案是「C」。",
    "故选C",
    "The answer is Ｃ.",
    "The answer is （Ｃ）。",
    "The answer is 𝐂.",
    "The answer is Ⓒ.",
    "**Ｃ**",
    "Ｃ",
    "（Ｃ）",
    "\\boxed{Ｃ}",
    "Answer： Ｃ",
    "Ａｎｓｗｅｒ： Ｃ",
    "La bonne réponse est la C.",
    "La respuesta correcta es la opción C.",
    "Ateb: C",
    "Erantzuna: C",
    "Përgjigja: C",
    "Freagra: C",
    "Azịza: C",
    "答案は：C",
    "答えは C",
    "答案是C，因为A和B都错。",
    "La respuesta es C porque A es falsa.",
    "Antwort: C, weil A falsch ist.",
    "答案是C，A是错的。",
    "ИТАК, ответ: C.",
    "Ìdáhùn: C",
    "La réponse est C.",
]
NOT_STATED = [
    "答案不是C。",
    "答案是A和C。",
    "答案是A、C",
    "答案：A，C",
    "答案：AC",
    "答案是A或C。",
    "答案是A、B和C。",
    "Die Antwort ist A und C.",
    "Die Antwort ist A oder C.",
    "La respuesta es A y C.",
    "La réponse est A et C.",
    "La réponse est A ou C.",
    "A resposta é A e C.",
    "La risposta è A o C.",
    "Ответ: A и C",
    "Ответ: A, C",
    "Ответ: В",
    "Die Antwort ist nicht C.",
    "La réponse n'est pas C.",
    "答えはCではない。",
    "答えはCではありません。",
    "정답은 C가 아닙니다.",
    "정답은 A와 C입니다.",
    "答えはAとCです。",
    "答えはAまたはCです。",
    "उत्तर C नहीं है।",
    "उत्तर A और C है।",
    "Cevap C değil.",
    "Cevap A ve C'dir.",
    "پاسخ C نیست.",
    "الإجابة هي A و C",
    "الإجابة ليست C",
    "Jawabannya bukan C.",
    "Jawaban: A dan C",
    "Đáp án không phải C.",
    "Đáp án: A và C",
    "答案是C吗？",
    "¿La respuesta es C?",
    "Ist die Antwort C?",
    "答えはCですか？",
    "不正确的是C。",
    "答案C不对。",
    "उत्तर: कमल",
    "答えはアルミニウム",
    "정답은 가위",
    "الجواب بسيط",
    "Jibu: A na C",
    "Jibu si C.",
    "A resposta não é C.",
    "Neither Ａ nor Ｃ is correct.",
    "The answer is （Ａ） and （Ｃ）.",
]


def answer_to(text: str, options: tuple[str, ...] = TEN) -> Answer:
    return read(Question("q", "?", options), Generation("k", "q", "e", text))


@pytest.mark.parametrize("text", STATED)
def test_the_letter_is_read(text: str) -> None:
    assert answer_to(text).value == "C"


@pytest.mark.parametrize("text", NOT_STATED)
def test_denials_pairs_questions_and_words_are_not_read(text: str) -> None:
    assert answer_to(text).absence == "unparsed"


@pytest.mark.parametrize("word", WORDS, ids=ascii)
def test_every_word_for_answer_is_a_label(word: str) -> None:
    assert answer_to(f"{word}: (C)").value == "C"
    assert answer_to(f"{word}：Ｃ").value == "C"


@pytest.mark.parametrize(
    ("text", "spanned"), [("答案：Ｃ", "Ｃ"), ("الإجابة: ج.", "ج"), ("So （Ｃ） is correct.", "Ｃ")]
)
def test_the_span_is_that_of_the_letter(text: str, spanned: str) -> None:
    answer = answer_to(text)
    assert answer.value == "C"
    assert answer.span is not None
    assert text[slice(*answer.span)] == spanned


def test_letters_of_other_scripts_need_an_option_and_no_option_of_their_own() -> None:
    assert answer_to("الإجابة: د", ("one", "two", "three")).value is None
    assert answer_to("الإجابة: ب", ("ب", "ت", "ث")).value is None
    assert answer_to("Ответ: В").value is None  # the third in Cyrillic, or the second in Latin
