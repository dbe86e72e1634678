"""Your own engine as an expert: any function from a request to a text, async or not."""

from __future__ import annotations

import re

import orchestra as oc


def calculator(request: oc.Request) -> str:
    """Adds the numbers of the question; a real one would call an engine of yours."""
    numbers = re.findall(r"\d+", request.messages[-1].content)
    return f"The answer is {sum(map(int, numbers))}."


async def optimist(request: oc.Request) -> str:
    return "I am sure it is easy. The answer is 42."


def main() -> None:
    scripts = {"calculator": calculator, "optimist": optimist, "careful": calculator}
    experts = [oc.Expert(name, model=name, worker="scripted") for name in scripts]
    answer = oc.Pipeline("majority", experts, scripts=scripts).ask("What is 17 plus 25 plus 8?")
    print(f"decided: {answer.value}")
    for vote in answer.dissent:
        print(f"{vote.expert} would have said {vote.value}")


if __name__ == "__main__":
    main()
