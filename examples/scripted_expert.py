"""Your own engine as an expert: any function from a request to a text, async or not."""

from __future__ import annotations

import re

from orchestra import Expert, Kind, LocalWorkers, Pipeline, Question, Request, Roster


def calculator(request: Request) -> str:
    """Adds the numbers of the question; a real one would call an engine of yours."""
    numbers = re.findall(r"\d+", request.messages[-1].content)
    return f"The answer is {sum(map(int, numbers))}."


async def optimist(request: Request) -> str:
    return "I am sure it is easy. The answer is 42."


def main() -> None:
    roster = Roster.of(
        Expert("calculator", "calculator-1", worker="scripted"),
        Expert("optimist", "optimist-1", worker="scripted"),
        Expert("careful", "calculator-2", worker="scripted"),
    )
    workers = LocalWorkers({"calculator": calculator, "optimist": optimist, "careful": calculator})
    pipeline = Pipeline.load("majority", roster=roster, workers=workers)
    decision = pipeline.answer(Question("q1", "What is 17 plus 25 plus 8?", kind=Kind.NUMBER))
    print(f"decided: {decision.value}")
    for vote in decision.dissent:
        print(f"{vote.expert} would have said {vote.value}")


if __name__ == "__main__":
    main()
