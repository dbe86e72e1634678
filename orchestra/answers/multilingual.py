"""Finds the option letter that a text states in a language other than English.

Has the word for `answer` in some seventy languages, what may stand between it and a letter, and
the letters that other scripts count options by. Uncertain cases are not read.
"""

from __future__ import annotations

import re
import unicodedata

from orchestra.answers.patterns import OPEN, Found, lowered, spots
from orchestra.records import Question

_WORDS = (
    # Latin scripts, then Cyrillic, Greek, Armenian: these need a word boundary before them.
    "antwort|lösung|réponse|reponse|respuesta|resposta|risposta|antwoord|svar|svaret|vastaus|odpowied|"
    "odpověď|odpoveď|odpoved|odgovor|răspuns|raspuns|válasz|valasz|cevap|yanıt|jawaban|jawapan|jawab|"
    "đáp án|dap an|câu trả lời|sagot|jibu|ìdáhùn|idahun|amsa|azịza|impendulo|jawaab|përgjigj|"
    "pergjigj|erantzun|ateb|freagra|atbilde|atsakymas|javob|cavab|mhinduro|igisubizo|valiny|"
    "yankho|õige vastus|ответ|відповідь|отговор|одговор|адказ|жауап|жооп|хариулт|җавап|απάντηση|"
    "պատասխան|opción correcta|opcion correcta|option correcte|richtige option|alternativa correta|"
    "opção correta|opzione corretta|juiste optie|opsi yang benar|pilihan yang benar|doğru seçenek|"
    "phương án đúng|верный вариант|правильный вариант|правильна відповідь|"
    # Scripts that join words or are written without spaces.
    "答案|正解|正答|答え|回答|解答|故选|應選|应选|因此选|所以选|我选|故選|因此選|所以選|我選|正确的|正確的|"
    "正确选项|正確選項|正确的选项|正しい選択肢|本题选|此题选|应选择|故选择|"
    "올바른 선택지|الخيار الصحيح|گزینه صحیح|گزینه درست|सही विकल्प|সঠিক বিকল্প|정답|답|"
    "الإجابة|الاجابة|الجواب|جواب|پاسخ|ځواب|תשובה|ענטפער|उत्तर|जवाब|উত্তর|জবাব|"
    "คำตอบ|ตอบ|பதில்|விடை|సమాధానం|జవాబు|ಉತ್ತರ|ഉത്തരം|જવાબ|ઉત્તર|ਜਵਾਬ|ਉੱਤਰ|පිළිතුර|အဖြေ|ចម្លើយ|ຄຳຕອບ|"
    "პასუხი|መልስ"
)
WORDS = tuple(
    dict.fromkeys(
        unicodedata.normalize(form, word) for form in ("NFC", "NFD") for word in _WORDS.split("|")
    )
)
"""The words for `answer`, composed and decomposed."""
_PLAIN_WORDS = tuple(word for word in WORDS if word.isascii())
_SHORT = 5
_JOINED = "\u0590"  # from Hebrew on, a word may follow another without a space

_COLON = "[:=\uff1a\ufe55\u2236\u0589\u055d\u05c3\u0983\u1361\u1365\u1366\u17d6]"
_COPULA = (
    rf"(?:{_COLON}|\b(?:es|est|ist|lautet|é|è|is|är|er|to|je|jest|este|e|on|adalah|ialah|là|ni|jẹ|ay|"
    r"yra|ir|yw|это)\b|[是为為はは은는선選选]|が|هي|هو|है|হল|হলো|คือ|היא|הוא|είναι|არის|"
    r"\s[-\u2013\u2014\u2192])"
)
_FILL = (
    r"(?:\s*+(?:(?:o|a)\b(?!\s[a-z]\b)|(?i:la|le|el|die|der|das|den|il|de|het|en|by|ang|opci[oó]n|opç[aã]o|option|"
    r"opzione|optie|opcja|opțiunea|opsi|pilihan|antwort|alternativ[ae]?|letra|lettre|lettera|"
    r"letter|buchstabe|inciso|phương án|chaguo|correcta|correcte|correto|corretta|вариант|варіант|"
    r"буква|seçenek)\b|选项|選項|選択肢|选择|보기|विकल्प|বিকল্প|الخيار|الحرف|گزینه|گزینهٔ|گزینه‌ی|ข้อ|"
    r"אפשרות)){0,3}+"
)
_NOT = re.compile(
    r"\b(?:no|nicht|kein\w{0,3}|não|non|pas|nie|не|inte|ikke|niet|nem|không|bukan|tidak|nije|hindi|"
    r"sio|δεν|ei|nu|није)\b|\bn['\u2019]|[不没沒非]|ليس|لیس|नहीं|না\s|নয়|ไม่|לא\s|אינ|"
    r"\bsi\W*$"
)
_BUT = (
    r"(?:而(?:应(?:该)?|應(?:該)?)?是|sondern|sino|mas(?:\ssim)?|mais|ma|bensì|а|но|але|lecz|ale|maar|"
    r"utan|men|vaan|بل|بلکه|(?:नहीं\s)?बल्कि|বরং|melainkan|tetapi|mà(?:\slà)?|bali|hanem|nýbrž|već|nego|αλλά|"
    r"אלא|แต่เป็น|ではなく|じゃなく|[이가]\s?아니라|아니라|değil)"
)
# After a letter: a denial or a question, a verb that ends the sentence, a second letter.
_DENIED = (
    r"\W{0,4}(?:(?:では?|じゃ)(?:な|あり)|[이가]\s?아[니닙닌]|नहीं|değil|نیست|نہیں|নয়|ليس|不对|不對|不正确|不正確|是?错|是?錯|"
    r"(?:ですか|か|吗|嗎)?[?\uff1f\u061f])"
)
_VERB = (
    r"(?:है|است|ہے|می|['\u2019]?[dt][ıiuü]r\b|です|だ|である|でしょう|とな|にな|입니다|이다|이에요|다\b|হবে|হয়|"
    r"છે|ਹੈ|ആണ്|ነው)"
)
_CLOSE = r"[)\]）】』」}*_\"'\u201d\u2019\u00bb$]{0,4}"
_JOINERS = (
    r"und|oder|et|ou|y|o|e|en|of|och|eller|og|oraz|lub|i|nebo|a|и|или|та|або|και|ή|ve|veya|dan|atau|"
    r"và|hoặc|na|au|and|or|și|sau|és|vagy|ja|tai"
)
_MORE = re.compile(
    rf"{_CLOSE}\s*(?:(?:[、&/+;]|\b(?:{_JOINERS})\b|[和与與及或とや과와]|还是|還是|또는|または|および|以及|أو|و|یا|और|या|"
    r"এবং|ও|বা|และ|หรือ|או)\s*|[,\uff0c]\s*(?=\W{0,2}[A-Z]\W{0,3}(?:$|[\n.。,\uff0c、和与與]|"
    rf"(?:{_JOINERS})\b)))[(（\[【*\"'\s]{{0,4}}[A-Z](?![A-Za-z0-9])"
)
_UP = (
    r"(?P<up>[A-Z])(?![A-Za-z0-9\u00c0-\u024f\u0400-\u04ff=^]|[_/+&-]\w|['\u2019](?![dt][ıiuü]r)\w)"
    r"(?!(?<=A)[ ](?!(?:porque|parce|weil|denn|car|da|perché|pois|ya|puesto|because|und|et|y|e|o|"
    r"ou|oder)\b)[a-zà-ÿ])"
)
_END = rf"(?={_CLOSE}(?:\s*{_VERB}|\s*[.。।،,\uff0c;!\n]|\s*$))"
# The letters in which scripts count options. The third in Cyrillic looks like the Latin B, and
# the fifth in Greek is read as Latin: where two readings differ, the letter is not here.
_COUNTED = (
    *(
        "أبجده",
        "ابجد",
        "אבגדה",
        "कखगघङ",
        "কখগঘঙ",
        "กขคงจ",
        "ΑΒΓΔ",
        "АБСГД",
        "가나다라마",
        "アイウエオ",
    ),
    *("甲乙丙丁戊", "ԱԲԳԴԵ", "აბგდე", "કખગઘ"),
    *(("الف",), ("ए", "बी", "सी", "डी"), ("এ", "বি", "সি", "ডি"), ("ఎ", "బి", "సి", "డి")),
)
_NATIVE = {letter: "ABCDE"[i] for letters in _COUNTED for i, letter in enumerate(letters)}
_LETTER = (
    rf"(?:(?P<low>(?<=[(（])[a-z](?=[)）]))|{_UP}|"
    rf"(?P<native>{'|'.join(sorted(_NATIVE, key=len, reverse=True))}){_END})(?!{_DENIED})"
)
_BETWEEN = r"(?P<between>[^\n.。!?\uff1f।]{0,40}?)"
_STATED = re.compile(rf"{_BETWEEN}(?:(?<=[選选]){_COPULA}?|{_COPULA}){_FILL}{OPEN}{_LETTER}")
_VERB_LAST = re.compile(
    rf"(?P<between>[^\n.。!?\uff1f।A-Z]{{0,24}}?)\s?{_FILL}{OPEN}(?<![^\W_]){_LETTER}"
    rf"(?={_CLOSE}(?:\s*{_VERB}|[.。।!\s*]{{0,8}}$))"
)
"""`सही उत्तर C है`, and a letter alone that ends the text: `答案 C`."""
_CONTRAST = re.compile(
    rf"(?P<before>[^\n.。!?\uff1f।]{{0,40}}?){OPEN}[A-Z]{_CLOSE}[\s,\uff0c、،;]{{0,3}}(?P<but>{_BUT})"
    rf"(?![^\W_A-Z]{{2}})[^\n.。!?A-Z]{{0,12}}?{OPEN}{_LETTER}"
)
"""`不是A，而是C`, `nicht A, sondern C`, `AではなくC`."""
_DENYING = re.compile("なく|아니라|değil|नहीं")


def said_abroad(text: str, question: Question) -> Found | None:
    """The last `Die Antwort ist (C)`, `Respuesta: C`, `答案是C` and the like."""
    low = lowered(text)
    last = None
    for word in _PLAIN_WORDS if text.isascii() else WORDS:
        for at in spots(low, word, last.end if last else 0, len(low)):
            found = _after(text, at, word, question) or _before(text, at, word, question)
            if found is not None and (last is None or found.end > last.end):
                last = found
                break
    return None if last is None or _MORE.match(text, last.end) else last


_REVERSED = re.compile(
    rf"(?:^|[^A-Za-z0-9])(?P<up>[A-Z]){_CLOSE}\s?(?:[는은이가が是为為]|est|ist|es|é|è|is|är|er|jest|это|"
    r"[-\u2013\u2014])\s?(?:(?:la|le|die|das|de|het|el|a|den|det|l['\u2019])\s?)?(?:(?:bonne|richtige|"
    r"korrekte|correcta|correcte|juiste|rätta|rette|poprawna|prawidłowa|правильный|верный|正确|正確|"
    r"正しい|올바른)的?\s?)?$"
)
"""Text before the word: `C가`, `C est la bonne`."""
_IF = re.compile(
    rf"(?:\b(?i:si|wenn|ob|falls|se|als|om|jeśli|если|{_JOINERS})|如果|若|もし|만약|[和与與及或とや과와、,/&])[\W_]*$"
)


def _before(text: str, at: int, word: str, question: Question) -> Found | None:
    """The letter in `C가 정답입니다`, `C est la bonne réponse`."""
    start, after = max(0, at - 40), at + len(word)
    match = _REVERSED.search(text[start:at])
    if match is None or match["up"] not in question.letters:
        return None
    denied = re.compile(_DENIED).match(text, after) is not None
    if (
        denied
        or _IF.search(text[start : start + match.start("up")])
        or text[after : after + 1] in ":="
    ):
        return None
    return Found(match["up"], start + match.start("up"), start + match.end("up"))


def _after(text: str, at: int, word: str, question: Question) -> Found | None:
    if at and (text[at - 1] in "不非" or (word[0] < _JOINED and text[at - 1].isalpha())):
        return None
    start = at + len(word)
    if len(word) < _SHORT and word.isascii() and text[start : start + 1].isalpha():
        return None  # `svar` begins other words
    match = _CONTRAST.match(text, start)
    if match is None or not (_NOT.search(match["before"]) or _DENYING.search(match["but"])):
        match = _STATED.match(text, start) or _VERB_LAST.match(text, start)
        if match is None or _NOT.search(match["between"]):
            return None
    group = next(name for name in ("up", "low", "native") if match[name])
    letter = _NATIVE.get(match[group], match[group].upper())
    if letter not in question.letters or (group == "native" and match[group] in question.options):
        return None
    return Found(letter, match.start(group), match.end(group))
