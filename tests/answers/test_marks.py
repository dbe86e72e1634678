"""Reasoning, end tokens, turns of others and frames, of whatever make, are no answers."""

from __future__ import annotations

from random import Random

import pytest

from orchestra.answers import canonical, read, visible
from orchestra.answers.patterns import in_ascii
from orchestra.records import Answer, Generation, Kind, Question
from tests.answers.test_fuzz import seconds_for

TEN = tuple(f"option number {i}" for i in range(10))
BLOCKS = [
    ("<think>", "</think>"),
    ("<THINK>", "</think>"),
    ('<think time="3 s">', "</think>"),
    ("<thoughts>", "</thoughts>"),
    ("<thinking>", "</thinking>"),
    ("<seed:think>", "</seed:think>"),
    ("<acme_think>", "</acme_think>"),
    ("<ThoughtProcess>", "</ThoughtProcess>"),
    ("<reflection>", "</reflection>"),
    ("<inner_monologue>", "</inner_monologue>"),
    ("<REASONING_SCRATCHPAD>", "</REASONING_SCRATCHPAD>"),
    ("<analysis>", "</analysis>"),
    ("<scratch_pad>", "</scratch_pad>"),
    ("<CoT>", "</CoT>"),
    ("<start_working_out>", "<end_working_out>"),
    ("<step_by_step_thinking>", "</step_by_step_thinking>"),
    ("<contemplation>", "</contemplation>"),
    ('<details type="reasoning">', "</details>"),
    ("<think_start>", "<think_end>"),
    ("<思考>", "</思考>"),
    ("&lt;think&gt;", "&lt;/think&gt;"),
    ("<<think>>", "<</think>>"),
    ("◁think▷", "◁/think▷"),
    ("⟨thinking⟩", "⟨/thinking⟩"),
    ("[THINK]", "[/THINK]"),
    ("[REASONING]", "[/REASONING]"),
    ("<|begin_of_thought|>", "<|end_of_thought|>"),
    ("<|START_THINKING|>", "<|END_THINKING|>"),
    ("<|thinking|>", "<|/thinking|>"),
    ("<｜begin▁of▁thought｜>", "<｜end▁of▁thought｜>"),
    ("<|im_start|>think\n", "<|im_start|>answer\n"),
    ("<|im_start|>thought\n", "<|im_end|>\n<|im_start|>assistant\n"),
    ("<|channel>thought\n", "<channel|>"),
    (
        "<|channel|>analysis<|message|>",
        "<|end|><|start|>assistant<|channel|>final<|message|>",
    ),
    ("<unused94>thought\n", "<unused95>"),
    ("Here is my thought process:", "Here is my response:"),
    ("analysisWe ask: ", "assistantfinal"),
]
SOFT = [("[thought]", "[/thought]"), ("{think}", "{/think}"), ("«thinking»", "«/thinking»")]
TOKENS = (
    *("</s>", "<s>", "<pad>", "<unk>", "<eos>", "<bos>", "<EOS_TOKEN>", "<end_of_turn>", "<eoa>"),
    *("<|endoftext|>", "<|im_end|>", "<|im_start|>", "<|end|>", "<|eot_id|>", "<|eom_id|>"),
    *("<|return|>", "<|user|>", "<|END_OF_TURN_TOKEN|>", "<|a_new_one|>", "<0x0A>"),
    *("<｜end▁of▁sentence｜>", "<｜User｜>", "<extra_id_0>", "<end_of_utterance>", "[e~["),
    *("<turn|>", "[/INST]", "[INST]", "[EOS]", "[PAD]", " [end of text]", "<|END_RESPONSE|>"),
    *("<[EOS]>", "<[end\u2581of\u2581sentence]>", "<[PAD]>"),
    *("</response>", "</assistant>", "<endoftext>", "<|observation|>"),
)
TURNS = (
    "<|im_end|>\n<|im_start|>user\nWhy? The answer is (A).",
    "<|eot_id|><|start_header_id|>user<|end_header_id|>\n\nThe answer is (A).",
    "<|user|>\nMore?<|assistant|>\nThe answer is (A).",
    "<end_of_turn>\n<start_of_turn>user\nThe answer is (A).",
    "<｜end▁of▁sentence｜><｜User｜>The answer is (A).",
    "<|endoftext|>Question: again? The answer is (A).",
    "</s><s>[INST] Is it A? [/INST] The answer is (A).",
    "<|return|><|start|>user<|message|>The answer is (A).",
)


def answer_to(text: str, kind: Kind = Kind.CHOICE, finish: str = "stop") -> Answer:
    question = Question("q", "?", TEN if kind is Kind.CHOICE else (), kind)
    return read(question, Generation("k", "q", "e", text, finish_reason=finish))


def shown(text: str, kind: str = "choice", finish: str = "stop") -> str | None:
    answer = answer_to(text, Kind(kind), finish)
    return answer.value or answer.absence


@pytest.mark.parametrize(("begin", "end"), [*BLOCKS, *SOFT])
def test_reasoning_is_not_read(begin: str, end: str) -> None:
    inside = f"{begin}Maybe the answer is (A). Answer: 41 {end}"
    assert shown(inside) == "empty"
    assert shown(f"{inside}C") == "C"
    assert shown(f"{inside}\n\nThe answer is (C).") == "C"
    assert shown(f"{inside}42", "number") == "42"
    assert shown(f"{inside}Paris", "text") == "paris"


@pytest.mark.parametrize(("begin", "end"), BLOCKS)
def test_reasoning_without_an_end_is_reasoning(begin: str, end: str) -> None:
    assert shown(f"{begin}Maybe the answer is (A), but", finish="length") == "truncated"
    assert shown(f"{begin}Maybe the answer is (A).") == "empty"


@pytest.mark.parametrize(("begin", "end"), [pair for pair in BLOCKS if pair[0][0] in "<[◁&⟨"])
def test_an_answer_stands_before_between_and_after_blocks(begin: str, end: str) -> None:
    block = f"{begin}Not (A)? The answer is (A).{end}"
    for text in ("The answer is (C).{}", "{}The answer is (C).{}", "{}{}\nC", "{}It is{} **C**"):
        assert shown(text.replace("{}", block)) == "C"
    assert shown(f"{block}Answer: 42{block}", "number") == "42"
    assert shown(f"{block} {block}") == "empty"


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("So (A)?</think>The answer is (C).", "C"),
        ("So (A)?</seed:think>C", "C"),
        ("So (A)?<|END_THINKING|><|START_RESPONSE|>C<|END_RESPONSE|>", "C"),
        ("A: no.\n[BEGIN FINAL RESPONSE]\nC\n[END FINAL RESPONSE]", "C"),
        ("<|begin_of_thought|>A<|end_of_thought|>\n<|begin_of_solution|>C<|end_of_solution|>", "C"),
        ("<thinking>A <reflection>(A)</reflection> A</thinking>\n<output>\nC\n</output>", "C"),
        ("<think>It is A.</thinking>C", "C"),
        ("<think>Use <think> first. It is A.</think>C", "C"),
        ("<think>It is A.\n<answer>C</answer>", "C"),
        ("<think>I may write <answer>A</answer> here.", "empty"),
        ("<think>A</think>The answer is (C).</think>", "C"),
        ("<think>A</think>The answer is A.</think>The answer is (C).", "C"),
        ("<analysis>The answer is (A).</analysis>", "empty"),
        ("The `<think>` tag is empty. The answer is (C).", "C"),
        ('It says "</think>". The answer is (C).', "C"),
        ("[Analysis]\nA fails.\n[Answer]\nC", "C"),
        ("[Thought] A fails. The answer is (C).", "C"),
        ("We drop <s>(A)</s>.\nThe answer is (C).", "C"),
        ("A fails.<return_value>\nThe answer is (C).", "C"),
        ("<|channel|>final <|constrain|>json<|message|>{'answer': 'C'}<|return|>", "C"),
        ("<|start|>assistant<|channel|>commentary<|message|>A<|end|>", "empty"),
    ],
)
def test_ends_beginnings_and_mentions(text: str, wanted: str) -> None:
    assert shown(text) == wanted


@pytest.mark.parametrize("token", [*TOKENS, *(token * 3 for token in TOKENS), *TURNS])
@pytest.mark.parametrize(
    ("kind", "text", "wanted"),
    [
        ("choice", "C", "C"),
        ("choice", "The answer is (C).", "C"),
        ("choice", '{"answer": "c"}', "C"),
        ("choice", "<answer>option number 2</answer>", "C"),
        ("number", "42", "42"),
        ("number", "Answer: 42", "42"),
        ("text", "The answer is Paris.", "paris"),
        ("text", "Paris", "paris"),
        ("literal", "Answer: 'abc'", "'abc'"),
        ("literal", "Answer: [1, 2]", "[1, 2]"),
        ("code", "```\nx = 1\n```", "x = 1"),
    ],
)
def test_end_tokens_and_turns_of_others_change_nothing(
    token: str, kind: str, text: str, wanted: str
) -> None:
    assert shown(text + token, kind) == wanted
    assert shown(f"{text}\n{token}\n", kind) == wanted


@pytest.mark.parametrize(
    ("kind", "text", "wanted"),
    [
        ("choice", "<s>C</s>", "C"),
        ("choice", "C<|im_e", "C"),
        ("choice", "<|im_start|>assistant\nC<|im_end|>", "C"),
        ("choice", "<|start_header_id|>assistant<|end_header_id|>\n\nC<|eot_id|>", "C"),
        ("choice", "<|user|>Is it A?<|assistant|>C", "C"),
        ("choice", "We wait.<|im_end|>\n<|im_start|>assistant\nC", "C"),
        ("choice", "The <|endoftext|> token ends a text. The answer is (C).", "C"),
        ("number", "Answer: <|begin_of_box|>42<|end_of_box|>", "42"),
        ("text", "The answer is <div>", "<div>"),
        ("literal", "Answer: '</s>'", "'</s>'"),
        ("literal", "Answer: '<|endoftext|>'", "'<|endoftext|>'"),
        ("literal", "[ANSWER]['<think>', '</think>'][/ANSWER]", "['<think>', '</think>']"),
        ("code", "```\nre.sub(r'<think>.*?</think>', '', x)\n```", None),
        ("code", '```\ns = f"<|im_start|>user\\n{x}<|im_end|>\\n"\n```', None),
        ("code", "<think>```\nx = 1\n</think>```\nx = 2\n```", "x = 2"),
    ],
)
def test_marks_within_an_answer_stay(kind: str, text: str, wanted: str | None) -> None:
    assert shown(text, kind) == (wanted or text[4:-4])


FRAMES = [
    r"\fbox{%s}",
    r"\framebox[2cm][c]{%s}",
    r"\bbox[5px, red]{%s}",
    r"\boxed %s",
    r"\boxed{$%s$}",
]
FRAMES += [
    r"\Boxed{\text{%s}}",
    r"\colorbox{yellow}{%s}",
    r"\fcolorbox{red}{white}{%s}",
    r"\boxed\text{%s}",
]
FRAMES += [
    r"\boxed{\textbf{%s}}",
    r"\boxed{\;\mathrm{%s}\;}",
    r"\boxed{\mathbf{%s}}",
    r"\tcboxmath{%s}",
]
LETTERS_ONLY = [
    r"\boxed{\left(%s\right)}",
    r"\boxed{\color{red}{%s}}",
    r"\boxed{\text{option } %s}",
]
LETTERS_ONLY += [r"\boxed{\text{%s) option number 2}}", r"\boxed{\bf %s}", r"\boxed{\mbox{(%s)}}"]


@pytest.mark.parametrize("frame", [*FRAMES, *LETTERS_ONLY])
def test_frames(frame: str) -> None:
    text = f"Hence ${frame % 'C'}$."
    answer = answer_to(text)
    assert answer.value == "C"
    assert answer.span is not None
    assert text[slice(*answer.span)] == "C"
    if frame in FRAMES[:9]:
        assert shown(f"Hence ${frame % '42'}$.", "number") == "42"


@pytest.mark.parametrize(
    "unit",
    ["<think>", "</think>", "<", "[", "<|", "</", "{/think}", "<think", "<a>", "<s>", "<|x|>"]
    + ["<|user|>", "<|im_end|>", "```", "```<think>", "<|im_start|>", "<|channel|>analysis", "&lt;"]
    + [
        "<answer>\n",
        "[/INST]a",
        "<output>",
        "\\fbox{",
        "\\boxed 1",
        "\\boxed{\\text{",
        "<think>a</think>b",
    ]
    + [
        "Ｃ",
        "answer: Ａ and ",
        "答案不是A，",
        "उत्तर A ",
        "not (A) ",
        "(A) and ",
        "neither A nor ",
        "\\text{",
    ],
    ids=ascii,
)
def test_time_is_linear_in_the_length(unit: str) -> None:
    for _ in range(3):
        long = seconds_for(unit * (40_000 // len(unit)))
        if long < 0.02 or long < 9 * seconds_for(unit * (10_000 // len(unit))):
            return
    pytest.fail(f"40 thousand characters of {unit!a} took {long:.3f} seconds")


WORDS = (
    *("The answer is ", "Answer: ", "answer", "not ", "neither ", " nor ", " and ", " or ", "but "),
    *(
        "is correct",
        "the best option is ",
        "I choose ",
        "if ",
        "答案是",
        "不是",
        "，而是",
        "答えは",
        "です",
    ),
    *(
        "Die Antwort ist ",
        "nicht ",
        "sondern ",
        "उत्तर ",
        "है",
        "الإجابة: ",
        "정답은 ",
        "입니다",
        "option ",
    ),
)
PIECES = (
    *(
        "(C)",
        "C",
        "B",
        "(A)",
        "Ｃ",
        "（Ｄ）",
        "c",
        "(b)",
        "I",
        "A",
        "ج",
        "ग",
        "42",
        "-5",
        "1/2",
        "[1, 2]",
    ),
    *(
        "\\boxed{C}",
        "\\fbox{B}",
        "\\boxed 5",
        "\\boxed{\\text{",
        "}",
        "**C**",
        "**",
        "$",
        "\\text{ and }",
    ),
    *(
        "<answer>",
        "</answer>",
        '{"answer": "',
        '"}',
        "####",
        "```\n",
        "`",
        "'",
        '"',
        "<div>",
        "<b>",
        "<",
    ),
    *(
        " ",
        "\n",
        ".",
        ", ",
        "; ",
        "? ",
        "\n\n",
        "option number 3",
        "Question: ",
        "\nQuestion: x",
        "x = ",
    ),
)


def made(draw: Random) -> str:
    """A text of words, letters and now and then a whole block or token."""
    marks = [*(f"{begin}{{}}{end}" for begin, end in BLOCKS[:-2]), *TOKENS]
    parts: list[str] = []
    for _ in range(draw.randint(1, 12)):
        kind = draw.random()
        quoted = bool(parts) and parts[-1][-1] in "\"'`"  # a mark in quotes is none
        pieces = WORDS if kind < 0.4 else PIECES if kind < 0.92 or quoted else marks
        piece = draw.choice(pieces)
        parts.append(piece.replace("{}", draw.choice(PIECES)) if pieces is marks else piece)
    return "".join(parts).strip()


@pytest.mark.slow
@pytest.mark.parametrize("seed", [1, 2, 3])
def test_ten_thousand_texts(seed: int) -> None:
    draw = Random(f"{seed}:marks")
    for _ in range(10_000):
        text = made(draw)
        kind = draw.choice([Kind.CHOICE, Kind.CHOICE, Kind.NUMBER, Kind.TEXT, Kind.LITERAL])
        check(text, kind, draw)


def check(text: str, kind: Kind, draw: Random) -> None:
    first = answer_to(text, kind)
    if first.span is not None:
        start, end = first.span
        assert 0 <= start <= end <= len(text)
        if kind is Kind.CHOICE:
            said = in_ascii(text[start:end])
            native = said in ("ج", "ग")
            assert said.upper() == first.value or native or len(said) > 8, (text, first)
    begin, end_mark = draw.choice(BLOCKS)
    again = answer_to(f"{begin}Maybe (A). Answer: 7{end_mark}{text}", kind)
    if visible(text).text.strip():
        assert (again.value, again.absence) == (first.value, first.absence), (text, begin)
    labelled = text.rstrip().endswith((" is", ":", "=", "是", "は"))
    token = draw.choice([each for each in TOKENS if "<|" in each or not labelled])
    ended = answer_to(text + token, kind)
    assert (ended.value, ended.absence) == (first.value, first.absence), (text, token)


def test_the_value_of_a_span_is_the_value() -> None:
    text = "◁think▷7◁/think▷The answer is <|begin_of_box|>1,042<|end_of_box|>.<|im_end|>"
    answer = answer_to(text, Kind.NUMBER)
    assert answer.span is not None
    assert canonical(text[slice(*answer.span)], Kind.NUMBER) == answer.value == "1042"
