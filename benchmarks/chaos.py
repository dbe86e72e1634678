"""What faults and kills do to a run: nothing is lost, nothing is paid twice, all totals agree.

`orchestra run` asks the loopback provider, whose answers fail in every way it knows, and is
killed at random moments; the same command goes on each time. What the run folder says is held
against what the server counted. Run `python -m benchmarks.chaos`; `audit` says what is wrong.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import tempfile
import time
from argparse import ArgumentParser
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Any
from urllib.request import urlopen

from benchmarks.nursery import Nursery, Started, nursery
from benchmarks.provider import FAULTS, digest, provider
from orchestra.evals import load_dataset
from orchestra.records import Decision, Generation, Question, Usage
from orchestra.roster import Roster
from orchestra.runs import RowKind, RunFolder

ROOT = Path(__file__).resolve().parents[1]
RESULT = ROOT / "benchmarks" / "results" / "chaos.json"
PRICE = {"input": 0.5, "output": 1.5}
SHARE = 0.2
"""Share of the requests that are answered with a fault."""
# Dates tell whole seconds, and everybody on the key waits for them; no credit is not tried again.
RARE = {"limited_date": 0.002, "quota": 0.006}
# One expert for each way in which answers come.
EXPERTS: tuple[dict[str, Any], ...] = (
    {"name": "whole", "model": "plain"},
    {"name": "streamed", "model": "streamed", "calls": {"stream": True}},
    {"name": "older", "model": "older", "engine": {"api": "completions"}},
    {"name": "thoughtful", "model": "reasons", "calls": {"stream": True}},
)
Json = dict[str, Any]


@dataclass(frozen=True)
class Trial:
    """What is run."""

    calls: int
    """Questions times experts."""
    kills: int
    """How often the process is killed before it may end."""
    concurrency: int = 64
    timeout: float = 1.0
    """Seconds that an attempt may take; a trickle takes longer."""
    seed: int = 0

    @property
    def questions(self) -> int:
        """How many there are."""
        return self.calls // len(EXPERTS)


@dataclass
class Kill:
    """One kill, as it was found afterwards."""

    received: int
    """Requests that the server had got."""
    committed: dict[str, int] = field(repr=False)
    """Prompt of each committed answer -> how often the server had answered it."""


@dataclass(frozen=True)
class Outcome:
    """A run that came to its end, what was seen on the way, and what the server counted."""

    folder: Path
    kills: list[Kill]
    server: Json
    seconds: float


def rates() -> dict[str, float]:
    """The chance of each fault."""
    usual = (SHARE - sum(RARE.values())) / (len(FAULTS) - len(RARE))
    return {name: RARE.get(name, usual) for name in FAULTS}


def control(url: str) -> Json:
    with urlopen(f"{url}/control") as reply:
        found: Json = json.loads(reply.read())
    return found


# --- the run -------------------------------------------------------------------------------


def write_inputs(folder: Path, url: str, trial: Trial) -> None:
    """The roster and the questions."""
    common = {
        "worker": "openai",
        "base_url": f"{url}/v1",
        "price": PRICE,
        "sampling": {"max_tokens": 64},
        "limits": {"concurrency": trial.concurrency},
    }
    usual = {"timeout": trial.timeout, "attempts": 3}
    experts = [{**each, "calls": {**usual, **each.get("calls", {})}} for each in EXPERTS]
    told = {"schema": 1, "defaults": common, "experts": experts}
    (folder / "roster.yaml").write_text(json.dumps(told), encoding="utf-8")
    rows = [
        {
            "question_id": f"q{number}",
            "question": f"[gold:{'ABCD'[number % 4]}] Which one is number {number}?",
            "options": ["one", "two", "three", "four"],
            "answer": "ABCD"[number % 4],
        }
        for number in range(trial.questions)
    ]
    lines = "".join(json.dumps(row) + "\n" for row in rows)
    (folder / "items.jsonl").write_text(lines, encoding="utf-8")


def begin(folder: Path, commands: Nursery) -> Started:
    """The run in a process of its own, the same command each time."""
    words = ["run", "majority", "--set", "generate.tolerance=1", "--quiet"]
    for name, value in (("roster", "roster.yaml"), ("on", "items.jsonl"), ("out", "run")):
        words += [f"--{name}", str(folder / value)]
    return commands.start(*words)


def torment(folder: Path, trial: Trial) -> Outcome:
    """Run to the end, with the trial's faults and kills."""
    random = Random(f"{trial.seed}:chaos")
    moments = sorted(random.uniform(0.15, 0.95) for _ in range(trial.kills))
    settings: Json = {
        "knows": 0.8,
        "latency": [0.02, 0.1],
        "faults": rates(),
        "fault_seed": trial.seed,
        "retry_after": 0.05,
        "trickle": 2.5 * trial.timeout,
    }
    with provider(**settings) as url, nursery() as commands:
        write_inputs(folder, url, trial)
        since = time.perf_counter()
        kills = [
            kill(folder, url, begin(folder, commands), int(share * trial.calls))
            for share in moments
        ]
        done = begin(folder, commands).wait()
        if done.code:
            raise RuntimeError(f"exit {done.code}: {done.err[-2000:]}")
        seconds = time.perf_counter() - since
        return Outcome(folder / "run", kills, settled(url), seconds)


def kill(folder: Path, url: str, run: Started, moment: int) -> Kill:
    """Kill the run once the server has got so many requests in all, and a few of its own."""
    before = control(url)["received"]
    while control(url)["received"] < max(moment, before + 1) and not run.over:
        time.sleep(0.002)
    if run.kill().code != -signal.SIGKILL:
        raise RuntimeError("the run was over before it could be killed")
    counts = settled(url)
    prompts = committed(folder)
    return Kill(counts["received"], {each: counts["answered"].get(each, 0) for each in prompts})


def settled(url: str) -> Json:
    """What the server counted, once it is done with everything."""
    while (counts := control(url))["in_flight"]:
        time.sleep(0.002)
    return counts


def committed(folder: Path) -> list[str]:
    """The prompts, by the server's names, of all answers in the ledger."""
    if not (folder / "run" / "ledger.sqlite").exists():
        return []
    roster = Roster.load(folder / "roster.yaml")
    questions = {item.question.id: item.question for item in load_dataset(folder / "items.jsonl")}
    with RunFolder.inspect(folder / "run") as run:
        rows: list[Generation] = list(run.ledger.rows(RowKind.GENERATION))
    return [prompt(roster, each, questions[each.question_id]) for each in rows]


def prompt(roster: Roster, generation: Generation, question: Question) -> str:
    """The server's name of what was asked."""
    expert = roster[generation.expert]
    messages = expert.messages(question)
    if expert.engine.get("api") == "completions":
        return digest(expert.model, messages[0].content)
    sent = [{"role": each.role, "content": each.content} for each in messages]
    return digest(expert.model, sent)


# --- what came of it -----------------------------------------------------------------------


@dataclass(frozen=True)
class Books:
    """What a run folder says."""

    decisions: list[Decision]
    answers: list[Generation]
    failures: list[Generation]
    spending: Json

    @classmethod
    def read(cls, folder: Path) -> Books:
        """Raises InputError where anything is damaged."""
        with RunFolder.inspect(folder) as run:
            return cls(
                list(run.ledger.rows(RowKind.DECISION)),
                list(run.ledger.rows(RowKind.GENERATION)),
                list(run.ledger.rows(RowKind.FAILURE)),
                json.loads(run.report.read_bytes())["spending"],
            )

    @property
    def usage(self) -> Usage:
        """Of every call that is in the ledger, retries included."""
        return sum((each.usage for each in (*self.answers, *self.failures)), Usage())


def audit(trial: Trial, outcome: Outcome) -> list[str]:
    """The promises that were broken."""
    books = Books.read(outcome.folder)
    checks = {
        **complete(trial, books),
        **once(outcome, books),
        **counted(trial, outcome.server, books),
    }
    return [words for words, kept in checks.items() if not kept]


def complete(trial: Trial, books: Books) -> dict[str, bool]:
    """Every question and every call has an outcome, and every failure a reason."""
    seats = Counter((each.question_id, each.expert) for each in (*books.answers, *books.failures))
    asked = {(f"q{n}", each["name"]): 1 for n in range(trial.questions) for each in EXPERTS}
    decided = Counter(each.question_id for each in books.decisions)
    return {
        "each call is in the ledger once": seats == asked,
        "each question is decided once": decided == {f"q{n}": 1 for n in range(trial.questions)},
        "who abstains says why": all(
            (each.value is None) == (each.abstained is not None) for each in books.decisions
        ),
        "each failure has a kind and words": all(
            each.failure is not None and each.failure.kind and each.failure.detail
            for each in books.failures
        ),
    }


def once(outcome: Outcome, books: Books) -> dict[str, bool]:
    """What was committed when the process was killed was not asked again."""
    answered = outcome.server["answered"]
    return {
        f"kill {place}: no committed answer is paid again": all(
            answered.get(each, 0) == times for each, times in found.committed.items()
        )
        for place, found in enumerate(outcome.kills, 1)
    } | {
        "the server gave each answer that is kept": outcome.server["paid"] >= len(books.answers),
    }


def counted(trial: Trial, server: Json, books: Books) -> dict[str, bool]:
    """The account is never below what the server billed, nor below what the ledger says."""
    told, usage = books.spending, books.usage
    least = told["attempts"] - told["lost"]["attempts"]
    tokens, money = server["tokens"].get("total_tokens", 0), billed(server)
    found = {
        "attempts that are not lost reached the server": least <= server["received"],
        "what the server got was accounted": server["received"] <= told["attempts"],
        "tokens that were billed were accounted": tokens <= told["tokens"],
        "money that was billed was accounted": money <= told["money"] + 1e-9,
        "attempts in the ledger were accounted": usage.calls <= told["attempts"],
        "tokens in the ledger were accounted": total(usage) <= told["tokens"],
        "money in the ledger was accounted": usage.money <= told["money"] + 1e-9,
        "the experts add up": all(
            abs(sum(each[name] for each in told["experts"].values()) - told[name]) < 1e-6
            for name in ("attempts", "tokens", "money")
        ),
    }
    if not trial.kills:
        found["attempts are what the server got"] = told["attempts"] == server["received"]
        found["attempts are what the ledger has"] = told["attempts"] == usage.calls
        found["nothing is lost"] = not any(told["lost"].values())
    return found


def billed(server: Json) -> float:
    """US dollars, by the server's own count."""
    tokens: Mapping[str, int] = server["tokens"]
    read, written = tokens.get("prompt_tokens", 0), tokens.get("completion_tokens", 0)
    return (PRICE["input"] * read + PRICE["output"] * written) / 1e6


def total(usage: Usage) -> int:
    return usage.input_tokens + usage.output_tokens


def told(trial: Trial, outcome: Outcome) -> Json:
    """A trial's numbers."""
    books, server = Books.read(outcome.folder), outcome.server
    failures = Counter(each.failure.kind for each in books.failures if each.failure)
    return {
        "calls": trial.calls,
        "kills": [
            {"received": each.received, "committed": len(each.committed)} for each in outcome.kills
        ],
        "questions": trial.questions,
        "decided": sum(each.value is not None for each in books.decisions),
        "abstained": sum(each.value is None for each in books.decisions),
        "answers": len(books.answers),
        "failures": dict(failures.most_common()),
        "faults": server["faults"],
        "server": {
            "received": server["received"],
            "paid": server["paid"],
            "tokens": server["tokens"].get("total_tokens", 0),
            "money": round(billed(server), 9),
        },
        "account": {name: books.spending[name] for name in ("attempts", "tokens", "money", "lost")},
        "ledger": {"attempts": books.usage.calls, "tokens": total(books.usage)},
        "seconds": round(outcome.seconds, 1),
        "broken": audit(trial, outcome),
    }


def show(found: Json) -> None:
    from rich.console import Console
    from rich.table import Table

    console = Console(width=100)
    for each in found["trials"]:
        title = f"{each['calls']:,} calls, {len(each['kills'])} kills, {SHARE:.0%} faults"
        table = Table("", "attempts", "tokens", "dollars", title=title)
        server, account, lost = each["server"], each["account"], each["account"]["lost"]
        rows = (
            ("the server counted", server["received"], server["tokens"], server["money"]),
            ("the account says", account["attempts"], account["tokens"], account["money"]),
            ("of it lost in kills", lost["attempts"], lost["tokens"], lost["money"]),
        )
        for name, attempts, tokens, money in rows:
            table.add_row(name, f"{attempts:,}", f"{tokens:,}", f"{money:.6f}")
        console.print(table)
        failed = sum(each["failures"].values())
        console.print(
            f"{each['questions']:,} questions: {each['decided']:,} decided, {each['abstained']} "
            f"abstained; {each['answers']:,} answers, {failed} failures with a reason; "
            f"{sum(each['faults'].values()):,} faults; {each['seconds']} s"
        )
        for kill in each["kills"]:
            console.print(
                f"killed after {kill['received']:,} requests with {kill['committed']:,} answers "
                "committed"
            )
        console.print(f"broken promises: {'; '.join(each['broken']) or 'none'}")


def main() -> int:
    parser = ArgumentParser(description="A run amid faults and kills.")
    parser.add_argument("--calls", type=int, default=5_000)
    parser.add_argument("--kills", type=int, default=3)
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    trials = []
    for kills in (0, given.kills):
        trial = Trial(given.calls, kills, seed=given.seed)
        with tempfile.TemporaryDirectory() as folder:
            trials.append(told(trial, torment(Path(folder), trial)))
    found: Json = {
        "schema": 1,
        "protocol": f"{SHARE:.0%} of the requests are answered with a fault, all kinds of them; "
        "three attempts for a call; kill -9 at random moments, then the same command again; "
        "a promise is broken where the run folder and the server's counts disagree",
        "machine": f"{os.cpu_count()} cores CPU",
        "rates": {name: round(rate, 5) for name, rate in rates().items()},
        "trials": trials,
    }
    RESULT.parent.mkdir(exist_ok=True)
    RESULT.write_text(json.dumps(found, indent=2) + "\n")
    show(found)
    return int(any(each["broken"] for each in trials))


if __name__ == "__main__":
    sys.exit(main())
