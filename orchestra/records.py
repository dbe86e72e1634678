"""Everything that travels between packages, frozen.

Knows the meaning of each field and nothing of how it is made, stored or shown.
The answer key is not here: gold answers live in `evals` only, and `Mark` says
whether an answer was right without saying what the right one is.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Annotated, Any, Literal, NamedTuple, Protocol

from annotated_types import Ge, Gt, Le, Lt, MaxLen, MinLen

from orchestra.question import LETTERS as LETTERS
from orchestra.question import Kind as Kind
from orchestra.question import Question as Question

_Text = Annotated[str, MinLen(1), MaxLen(100_000)]


class Absence(StrEnum):
    """Why there is no answer. An absence is never a wrong answer."""

    EMPTY = "empty"
    """The model returned no text, or reasoning only."""
    TRUNCATED = "truncated"
    """The text stopped at the token limit before an answer was stated."""
    REFUSED = "refused"
    """The model declined, or said that no option fits."""
    UNPARSED = "unparsed"
    """There is text, but no rule of the cascade found an answer in it."""
    FAILED = "failed"
    """The call failed; the Generation says how."""
    NOT_RECORDED = "not_recorded"
    """A replay was asked for an answer that was never recorded."""


class Outcome(StrEnum):
    """What a marked answer is. Absent is a third thing, not a kind of wrong."""

    CORRECT = "correct"
    WRONG = "wrong"
    ABSENT = "absent"


@dataclass(frozen=True, slots=True)
class Brief:
    """Which skills a question needs, as a tagger sees it."""

    question_id: str
    skills: tuple[tuple[str, float], ...]
    """(skill, weight) pairs, heaviest first; weights are positive. Empty: the tagger found none."""
    tagger: str
    """The name of the tagger."""
    distance: float | None = None
    """1 - cosine to the nearest profiled skill, in [0, 2]; None if it was not measured."""
    choices: int = 0
    """How many options the question has; 0 for an open answer."""


@dataclass(frozen=True, slots=True)
class Seat:
    """One call to one expert for one question."""

    expert: str
    weight: float
    """How much the router wants it, at least 0, on the router's own scale."""
    reason: str
    """Why this expert was recruited, in words."""
    sample: int = 0
    """Which draw of the same expert this is, from 0."""
    accuracy: float | None = None
    """Expected share right on this question's skills among given answers, in (0, 1)."""

    def __hash__(self) -> int:
        # Seats are keys all along the way, and their reasons are long texts to hash.
        return hash((self.expert, self.sample))


@dataclass(frozen=True, slots=True)
class Plan:
    """Who is asked for one question, decided before anything is generated."""

    question_id: str
    seats: tuple[Seat, ...]
    """The experts that are asked."""
    router: str
    """The name of the router."""
    seed: int
    """The run seed that the router drew from."""
    reserves: tuple[Seat, ...] = ()
    """Who is asked, in order, when a seat gives no answer and the pipeline wants the next."""
    rivals: float | None = None
    """Effective number of wrong answers that experts spread over, at least 1; None: options - 1."""


@dataclass(frozen=True, slots=True)
class Message:
    """One turn of a conversation."""

    role: str
    """`system`, `user` or `assistant`."""
    content: str


@dataclass(frozen=True, slots=True)
class Sampling:
    """How text is drawn. Part of the content key: any change is another answer."""

    temperature: Annotated[float, Ge(0), Le(2)] = 0.0
    """From 0 to 2; 0 is greedy."""
    max_tokens: Annotated[int, Ge(1), Lt(2**63)] = 4096
    """Most new tokens, at least 1."""
    top_p: Annotated[float, Gt(0), Le(1)] = 1.0
    """Nucleus share in (0, 1]."""
    stop: tuple[_Text, ...] = ()
    """Strings that end the text."""
    seed: Annotated[int, Ge(-(2**63)), Lt(2**63)] | None = None
    """The engine's seed, where it has one."""
    logprobs: Annotated[int, Ge(0), Le(20)] = 0
    """How many alternatives' log-probabilities to return for each token, at most 20; 0: none."""
    choices: tuple[_Text, ...] = ()
    """The only texts the answer may be, where the engine can force one; empty: any text."""


@dataclass(frozen=True, slots=True)
class Request:
    """One call, ready to send."""

    key: str
    """Content key (see `runs.keys`): equal keys mean interchangeable generations."""
    question_id: str
    expert: str
    stage: str
    """`generate`, `judge`, `synthesise` or `tag`."""
    messages: tuple[Message, ...]
    sampling: Sampling
    layer: int = 0
    """Layer of a layered pipeline, from 0."""
    sample: int = 0
    """Which draw of the same expert, from 0."""


@dataclass(frozen=True, slots=True)
class Usage:
    """What calls cost. Adds."""

    calls: int = 0
    input_tokens: int = 0
    output_tokens: int = 0
    reasoning_tokens: int = 0
    cached_tokens: int = 0
    estimated: bool = False
    """True if any token count was estimated rather than reported."""
    seconds: float = 0.0
    money: float = 0.0
    """US dollars."""

    def __add__(self, other: Usage) -> Usage:
        return Usage(
            self.calls + other.calls,
            self.input_tokens + other.input_tokens,
            self.output_tokens + other.output_tokens,
            self.reasoning_tokens + other.reasoning_tokens,
            self.cached_tokens + other.cached_tokens,
            self.estimated or other.estimated,
            self.seconds + other.seconds,
            self.money + other.money,
        )


@dataclass(frozen=True, slots=True)
class Failure:
    """Why a call gave no text. A failure is never cached as an answer."""

    kind: str
    """A short name: `not_recorded`, `timeout`, `crash`, ..."""
    detail: str = ""
    """One line for a person."""
    retryable: bool = False
    """Whether the same call may succeed later."""
    retry_after: float | None = None
    """Seconds that the provider asked to wait before the next call; None: it did not say."""


@dataclass(frozen=True, slots=True)
class Generation:
    """What a worker returned for one Request."""

    key: str
    """The Request's key."""
    question_id: str
    expert: str
    text: str
    """The visible answer, without reasoning."""
    reasoning: str = ""
    """Reasoning that the engine reported apart from the text."""
    finish_reason: str = "stop"
    """`stop`, `length`, `filtered` (the provider withheld it), `unknown` (recordings that do not
    say) or `error`."""
    usage: Usage = Usage()
    logprobs: tuple[float, ...] | None = None
    """Log-probability of each output token, where asked for."""
    failure: Failure | None = None
    """Set where the call failed; then `text` is empty."""
    layer: int = 0
    sample: int = 0


@dataclass(frozen=True, slots=True)
class LoadRow:
    """One time that an engine was loaded or woken."""

    unit: str
    """The engine, by its load key: experts with the same key share it."""
    device: int
    """The index of the device."""
    how: Literal["cold", "wake1", "wake2"]
    """`cold`: loaded from disk; `wake1`, `wake2`: woken from sleep of that level."""
    seconds: float
    """Wall time until the engine was ready."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What one expert answered: a normalised value, or an Absence, never both."""

    question_id: str
    expert: str
    value: str | None
    """Option letter, canonical number, canonical literal or normalised text; None if absent."""
    absence: Absence | None = None
    """Why there is no value; None if there is one."""
    rule: str = ""
    """The rule that matched, `cascade:rule`."""
    span: tuple[int, int] | None = None
    """Where in the text the value stands, as character offsets."""
    sample: int = 0
    instead_of: str = ""
    """The expert without an answer in whose place this one was asked; empty: a seat of its own."""


class Prompt(Protocol):
    """What a call sends in place of the question alone: the question in view of drafts, say."""

    def messages(self, expert: Any, question: Question) -> tuple[Message, ...]:
        """The chat for one expert (a `roster.Expert`). Pure: it is part of the content key."""
        ...


class Call(NamedTuple):
    """One call that a method asks for, before it has a key or is sent."""

    question: Question
    expert: str
    """The name of an expert of the roster."""
    prompt: Prompt | None = None
    """What is sent; None: the question as the expert is always asked."""
    stage: str = "generate"
    """The stage that asks: part of the content key and of the report."""
    layer: int = 0
    """Layer of a layered method, from 0."""
    round: int = 0
    """Round of the method's dialogue, from 0; says when it was asked, and is no part of the key."""
    sample: int = 0
    """Which draw of the same expert, from 0."""
    sampling: Sampling | None = None
    """How text is drawn; None: as the roster says."""
    read: str = ""
    """The answer cascade that reads the reply; empty: no answer is read."""
    tag: object = None
    """Anything the asking method wants back with the reply."""


class Reply(NamedTuple):
    """What came back for one Call."""

    text: str
    """Without reasoning; empty: the call failed, or nothing was said."""
    value: str | None = None
    """The normalised answer that it states; None if it states none, or none was to be read."""
    answer: Answer | None = None
    """The same with its rule and place, or why there is none; None if none was to be read."""
    finish_reason: str = "stop"
    """As in `Generation`."""
    failure: Failure | None = None
    """Why the call failed; None if it did not."""
    logprobs: tuple[float, ...] | None = None
    """Log-probability of each output token, where asked for."""
    usage: Usage = Usage()
    """What the call cost."""


class Draft(NamedTuple):
    """One response of one expert to one question: a row of a batch."""

    seat: Seat
    """Who was asked, and why."""
    answer: Answer
    """What it answers, or why there is none."""
    text: str = ""
    """What it says, without reasoning; empty where it says nothing or texts were not wanted."""
    tokens: int = 0
    """Input and output tokens of the call. The whole usage is summed by the context: a record of
    it for every draft would take as much memory as the draft."""

    @classmethod
    def written(cls, expert: str, text: str, value: str | None, *, sample: int = 0) -> Draft:
        """A draft that no router seated: a reply that another call is shown."""
        absence = None if value is not None else Absence.UNPARSED if text else Absence.EMPTY
        return cls(
            Seat(expert, 1.0, "", sample),
            Answer("", expert, value, absence, sample=sample),
            text,
        )

    @property
    def expert(self) -> str:
        """Who wrote it; aggregators and judges are not shown this."""
        return self.seat.expert

    @property
    def value(self) -> str | None:
        """The normalised answer that it states; None if it states none."""
        return self.answer.value

    @property
    def sample(self) -> int:
        """Which draw of the expert it is, from 0."""
        return self.seat.sample

    @property
    def rank(self) -> tuple[str, int, str]:
        """Its place among drafts, in whatever order they are given."""
        return (self.expert, self.sample, self.text)


@dataclass(frozen=True, slots=True)
class Vote:
    """One expert's part in a Ballot."""

    expert: str
    value: str | None
    """None: abstained."""
    weight: float
    """At least 0."""


@dataclass(frozen=True, slots=True)
class Certificate:
    """How many experts would have to lie for another answer to win; a tie counts as a change.

    An expert that gave no answer counts as one that might have voted for a rival.
    """

    experts: int
    """Fewest experts whose answers to this question would have to be lies, at least 1. Exact for
    the weights of the ballot, which do not depend on the answers to this question."""
    weight: float
    """Least share of the weight cast that those experts hold, in [0, 1]: half of the lead, a
    lower bound."""
    everywhere: int
    """The same as `experts` against liars that may have lied on all other questions too, and so
    moved the weights: a lower bound, 0 where today's suspects alone might do."""
    guaranteed: bool | None = None
    """Whether `everywhere` is more than the faults that the pipeline declares; None: it declares
    none."""


@dataclass(frozen=True, slots=True)
class Suspicion:
    """Why an expert is not trusted in one batch of questions."""

    expert: str
    kind: str
    """`changed`: it does not behave as on the profile. `below-chance`: it is right less often than
    somebody who guesses."""
    deviation: float
    """How far from what was expected, in standard deviations."""
    effect: float
    """How large the difference is, whatever the number of questions: for `changed` the fitted share
    of the questions that it lies on, for `below-chance` the share of chance that is missing."""
    detail: str
    """The evidence, in words."""


@dataclass(frozen=True, slots=True)
class Trust:
    """What a whole batch of answers says of the experts that gave them."""

    suspects: tuple[Suspicion, ...] = ()
    """Experts whose votes do not count, most suspicious first."""
    clones: tuple[tuple[str, ...], ...] = ()
    """Groups of experts that err too much alike to be independent, and count as one."""
    liars: float = 0.0
    """Estimated share of liars in the panel, in [0, 1]."""
    alarms: tuple[str, ...] = ()
    """What a person should know, in words; empty where nothing is the matter."""


@dataclass(frozen=True, slots=True)
class Ballot:
    """All votes on one question, and what follows from them."""

    question_id: str
    votes: tuple[Vote, ...]
    winner: str | None
    """The value with the most weight; None if everybody abstained."""
    support: float
    """The winner's share of the weight cast, in [0, 1]; 0 if there is none."""
    margin: float
    """Lead over the runner-up as a share of the weight cast, in [0, 1]."""
    method: str
    """The name of the voter."""
    score: float = 0.0
    """The voter's own belief in the winner before calibration, in [0, 1]."""
    certificate: Certificate | None = None
    """What it would take to change the winner; None if there is none, or the voter cannot say."""
    alarms: tuple[str, ...] = ()
    """What is odd about this question: other rules that decide otherwise, in words."""


@dataclass(frozen=True, slots=True)
class Decision:
    """The final answer to one question, or an abstention with its reason."""

    question_id: str
    value: str | None
    confidence: float | None
    """Calibrated probability of being right, in [0, 1]; None if it was not calibrated."""
    method: str
    text: str = ""
    """Free text of the answer, where an aggregator wrote one."""
    dissent: tuple[Vote, ...] = ()
    """Votes for other values."""
    abstained: str | None = None
    """Why there is no value (an Absence value, `no_votes`, or `suspects` where only experts voted
    that are not trusted); None if there is one."""


@dataclass(frozen=True, slots=True)
class Mark:
    """Whether an answer was right, without saying what the right answer is."""

    question_id: str
    who: str
    """An expert or a pipeline."""
    outcome: Outcome
    value: str | None = None
    """The answer that was marked; None if absent."""
    absence: Absence | None = None
    """Why it is absent, if it is."""
