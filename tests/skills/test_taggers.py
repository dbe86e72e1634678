"""Taggers: what each finds in a question, and what none of them may do."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Sequence
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from orchestra.errors import InputError
from orchestra.records import (
    Brief,
    Failure,
    Kind,
    Message,
    Question,
    Reply,
    Sampling,
)
from orchestra.roster import Expert
from orchestra.skills.embedders import LexicalEmbedder
from orchestra.skills.tagging import (
    CategoryTagger,
    Elicitation,
    EmbeddingTagger,
    KeywordTagger,
    LexicalTagger,
    Tagger,
)
from orchestra.skills.tagging.keywords import keywords
from orchestra.skills.vocabulary import Vocabulary

VOCABULARY = Vocabulary.load()
LEXICAL = LexicalTagger(VOCABULARY)
EMBEDDING = EmbeddingTagger(LexicalEmbedder(), VOCABULARY, threshold=0.2)


def tag(tagger: Tagger, *questions: Question) -> list[Brief]:
    return asyncio.run(tagger.tag(questions))


def converse(
    tagger: KeywordTagger, replies: Sequence[str | None], *questions: Question
) -> list[Brief]:
    """Briefs from replies in the order of the calls; None is a call that failed."""
    coming, briefs = iter(replies), []
    for question in questions:
        conducting = tagger.conduct(question)
        calls = next(conducting)
        said = [next(coming) for _ in calls]
        try:
            conducting.send(
                [
                    Reply("", failure=Failure("crash")) if each is None else Reply(each)
                    for each in said
                ]
            )
        except StopIteration as end:
            briefs.append(end.value)
    return briefs


def ask(text: str, **given: object) -> Question:
    return replace(Question("q", text), **given)  # type: ignore[arg-type]


class TestCategory:
    @pytest.mark.parametrize(
        ("question", "skill"),
        [
            (ask("?", category="law", benchmark="mmlu_pro"), "law"),
            (ask("?", benchmark="gsm8k", kind=Kind.NUMBER), "gsm8k"),
            (ask("?", kind=Kind.LITERAL), "literal"),
        ],
    )
    def test_label(self, question: Question, skill: str) -> None:
        assert tag(CategoryTagger(), question) == [Brief("q", ((skill, 1.0),), "category")]


class TestLexical:
    @pytest.mark.parametrize(
        ("text", "skill"),
        [
            ("Which enzyme of glycolysis needs ATP?", "biochemistry"),
            ("A tenant stops paying rent. May the landlord end the lease?", "property law"),
            ("How does a central bank shrink the money supply?", "monetary policy and banking"),
            ("What is the entropy change of a reversible isothermal process?", "thermodynamics"),
            ("Name the carboxylic acid that oxidising this aldehyde gives.", "organic chemistry"),
            ("Which virus causes measles?", "virology"),
            ("Complete the truth table of the disjunction.", "formal logic"),
            ("Find the eigenvalues of the matrix.", "linear algebra"),
            ("What does quicksort do with sorted input in the worst case?", "sorting"),
            ("The balance sheet shows accounts receivable of 300.", "accounting"),
            ("def f(x):\n    return x[::-1]\nassert f('ab') == ??", "program output prediction"),
            (
                "Ann bought 3 apples and 5 cookies. How many are left over?",
                "grade school arithmetic",
            ),
            ("How many inches are there in 3 yards?", "unit conversion"),
            ("What day of the week was it, in a leap year, ten days later?", "calendar arithmetic"),
            ("Translate the sentence into French.", "translation"),
            ("Summarise the article in one sentence.", "summarization"),
        ],
    )
    def test_the_best_skill(self, text: str, skill: str) -> None:
        assert tag(LEXICAL, ask(text))[0].skills[0][0] == skill

    def test_plurals_possessives_and_case_do_not_count(self) -> None:
        one, other = tag(LEXICAL, ask("a monopoly and an enzyme"), ask("MONOPOLIES and Enzyme's"))
        assert one.skills == other.skills

    def test_options_and_context_count_but_less_than_the_text(self) -> None:
        bare, option, context, text = tag(
            LEXICAL,
            ask("Pick one."),
            ask("Pick one.", options=("glycolysis", "nothing")),
            ask("Pick one.", context="On glycolysis."),
            ask("Pick one: glycolysis or parliament?"),
        )
        assert bare.skills == ()
        assert option.skills[0][0] == context.skills[0][0] == "biochemistry"
        both = tag(LEXICAL, ask("Was it parliament?", options=("glycolysis",)))[0]
        assert dict(text.skills)["biochemistry"] > dict(both.skills)["biochemistry"]

    def test_nothing_known_is_no_skill(self) -> None:
        assert tag(LEXICAL, ask("Xyzzy frobnicates?"), ask("")) == [Brief("q", (), "lexical")] * 2

    def test_a_label_is_evidence(self) -> None:
        text = "A cell divides."
        bare, labelled, wordless = tag(
            LEXICAL, ask(text), ask(text, category="law"), ask("Xyzzy?", category="law")
        )
        assert "law" not in dict(bare.skills)
        assert labelled.skills[0][0] == "law"
        assert wordless.skills == (("law", 1.0),)

    def test_a_label_decides_between_two_readings(self) -> None:
        text = "What is the stress on the beam, and the stressful part?"
        engineering, psychology = tag(
            LEXICAL, ask(text, category="engineering"), ask(text, category="psychology")
        )
        assert "strength of materials" in dict(engineering.skills)
        assert psychology.skills[0][0] in {"psychology", "motivation and emotion"}

    @pytest.mark.parametrize("label", ["mmlu_pro", "my own subject"])
    def test_an_unknown_label_changes_nothing(self, label: str) -> None:
        bare, labelled = tag(LEXICAL, ask("virus"), ask("virus", category=label))
        assert bare.skills == labelled.skills

    def test_a_benchmark_that_names_a_skill_is_a_label(self) -> None:
        [brief] = tag(LEXICAL, ask("Xyzzy?", benchmark="gsm8k"))
        assert brief.skills == (("grade school arithmetic", 1.0),)

    @pytest.mark.parametrize("most", [1, 2, 5])
    def test_at_most(self, most: int) -> None:
        text = "enzyme virus entropy monopoly matrix treaty poem tennis opera earthquake"
        assert len(tag(LexicalTagger(VOCABULARY, most=most), ask(text))[0].skills) == most

    def test_most_is_at_least_one(self) -> None:
        with pytest.raises(InputError, match="`most` is at least 1"):
            LexicalTagger(VOCABULARY, most=0)

    @settings(max_examples=60, deadline=None)
    @given(
        st.lists(
            st.one_of(
                st.text(max_size=30),
                st.lists(st.sampled_from(VOCABULARY.names), max_size=4).map(" and ".join),
            ),
            max_size=4,
        )
    )
    def test_weights_are_shares_and_batches_do_not_matter(self, texts: list[str]) -> None:
        questions = [Question(str(at), text) for at, text in enumerate(texts)]
        briefs = tag(LEXICAL, *questions)
        assert [brief.question_id for brief in briefs] == [question.id for question in questions]
        for brief, question in zip(briefs, questions, strict=True):
            check_shares(brief)
            assert tag(LEXICAL, question) == [brief]

    def test_many_questions_keep_their_order(self) -> None:
        questions = [Question(str(n), VOCABULARY.names[n % 7]) for n in range(2100)]
        briefs = tag(LEXICAL, *questions)
        assert [brief.question_id for brief in briefs] == [str(n) for n in range(2100)]
        assert briefs[2098].skills == briefs[5].skills


def check_shares(brief: Brief) -> None:
    weights = [weight for _, weight in brief.skills]
    assert weights == sorted(weights, reverse=True)
    assert all(weight > 0 for weight in weights)
    assert not weights or math.isclose(sum(weights), 1)
    assert len(weights) <= 5
    assert len(dict(brief.skills)) == len(weights)


class TestEmbedding:
    def test_nearest_descriptions(self) -> None:
        briefs = tag(
            EMBEDDING,
            ask("Which viruses replicate by themselves, and which diseases do they cause?"),
            ask("Definite integrals and volumes of revolution"),
        )
        assert [brief.skills[0][0] for brief in briefs] == ["virology", "integration"]
        for brief in briefs:
            check_shares(brief)
        assert briefs[0].tagger == "embedding:lexical-hash-1024"

    def test_options_are_read(self) -> None:
        [brief] = tag(EMBEDDING, ask("Which?", options=("thermodynamics", "thermodynamic law")))
        assert brief.skills[0][0] == "thermodynamics"

    @pytest.mark.parametrize("text", ["Zzq?", ""])
    def test_nothing_near_is_no_skill(self, text: str) -> None:
        assert tag(EMBEDDING, ask(text))[0].skills == ()

    def test_no_question(self) -> None:
        assert tag(EMBEDDING) == tag(LEXICAL) == tag(CategoryTagger()) == []

    @pytest.mark.parametrize("options", [{"most": 0}, {"threshold": 0.0}, {"threshold": 1.5}])
    def test_options_out_of_range(self, options: dict[str, float]) -> None:
        with pytest.raises(InputError, match="`most` is at least 1 and `threshold` in"):
            EmbeddingTagger(LexicalEmbedder(), VOCABULARY, **options)  # type: ignore[arg-type]


def runs(*replies: str | None) -> tuple[str | None, ...]:
    return replies


class TestKeywords:
    @pytest.mark.parametrize(
        ("reply", "found"),
        [
            ("Keywords: Algebra, Number Theory", ["algebra", "number theory"]),
            ("Keywords: a. Keywords: Virology ,  Genetics.", ["virology", "genetics"]),
            ("calculus, limits", ["calculus", "limits"]),
            ("Keywords: U.S. history,, ", ["us history"]),
            ("Keywords:", []),
            ("", []),
            ("keywords: law", ["keywords: law"]),
        ],
    )
    def test_reading_a_reply(self, reply: str, found: list[str]) -> None:
        assert keywords(reply) == found

    @pytest.mark.parametrize(
        ("replies", "kept"),
        [
            (["a, b", "b, c", "b, a", "d", "e"], ["b", "a"]),
            (["a", "b", "c", "d", "e"], []),
            (["a, a", "b", "c", "d", "e"], ["a"]),  # as in the released code
            ([None, None, None, "a", "a"], ["a"]),
            ([None] * 5, []),
            (["Algebra", "algebra.", " ALGEBRA", "x", "y"], ["algebra"]),
            (["z, y", "y, z", "", "", ""], ["y", "z"]),
            (
                ["exactly twenty chars", "exactly twenty chars", "", "", ""],
                ["exactly twenty chars"],
            ),
            (["twenty-one characters", "twenty-one characters", "", "", ""], []),
        ],
    )
    def test_what_is_kept(self, replies: list[str | None], kept: list[str]) -> None:
        worker = runs(*(None if reply is None else f"Keywords: {reply}" for reply in replies))
        [brief] = converse(KeywordTagger("annotator"), worker, ask("?"))
        assert brief == Brief("q", tuple((word, 1.0) for word in kept), "keywords:annotator")

    def test_options_of_the_rule(self) -> None:
        worker = runs("Keywords: abcdef, x", "Keywords: x", "Keywords: x")
        tagger = KeywordTagger("annotator", Elicitation(runs=3, least=3, longest=5))
        assert converse(tagger, worker, ask("?"))[0].skills == (("x", 1.0),)
        single = KeywordTagger("annotator", Elicitation(runs=1, least=1))
        found = converse(single, runs("Keywords: b, a"), ask("?"))
        assert found[0].skills == (("a", 1.0), ("b", 1.0))

    def test_calls(self) -> None:
        question = ask("Why is the sky blue?", options=("Dust", "Scattering"), context="Light.")
        tagger = KeywordTagger("annotator")
        calls = list(next(tagger.conduct(question)))
        assert [call.sample for call in calls] == [0, 1, 2, 3, 4]
        first = calls[0]
        assert (first.expert, first.stage, first.question) == ("annotator", "tag", question)
        assert first.sampling == Sampling(temperature=0.7, max_tokens=4096)
        [message] = tagger.messages(None, question)
        assert message.role == "user"
        for part in ("Why is the sky blue?", "B) Scattering", "Light.", "Keywords:"):
            assert part in message.content

    def test_questions_keep_their_own_replies(self) -> None:
        questions = [Question(str(n), "The same text") for n in range(40)]
        replies = [f"Keywords: about {n}" for n in range(40) for _ in range(5)]
        briefs = converse(KeywordTagger("annotator"), replies, *questions)
        assert [brief.skills for brief in briefs] == [((f"about {n}", 1.0),) for n in range(40)]

    def test_a_model_with_a_way_of_its_own_is_asked_once(self) -> None:
        expert = Expert("labeller", "any", worker="scripted", strategy="plain")
        tagger = KeywordTagger("labeller", Elicitation(expert.messages, runs=1, least=1))
        [brief] = converse(tagger, ["Keywords: optics"], ask("Why is the sky blue?"))
        assert brief.skills == (("optics", 1.0),)
        assert tagger.messages(expert, ask("Why?")) == (Message("user", "Why?"),)

    def test_a_question_with_braces(self) -> None:
        replies = ["Keywords: sets"] * 5
        assert converse(KeywordTagger("a"), replies, ask("Is {x} in {y: z}?"))[0].skills

    @pytest.mark.parametrize(
        ("options", "message"),
        [
            ({"runs": 0}, "at least 1"),
            ({"least": 0}, "at least 1"),
            ({"longest": 0}, "at least 1"),
            ({"runs": 2, "least": 3}, "`least` is at most `runs`"),
            ({"sampling": Sampling(temperature=0.0)}, "all be alike"),
            ({"sampling": Sampling(temperature=0.7, seed=1)}, "all be alike"),
        ],
    )
    def test_options_that_make_no_sense(self, options: dict[str, object], message: str) -> None:
        with pytest.raises(InputError, match=message):
            Elicitation(**options)  # type: ignore[arg-type]
