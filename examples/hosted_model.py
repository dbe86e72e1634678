"""Experts behind an OpenAI-compatible address, here a toy server in this process, on a budget."""

from __future__ import annotations

import asyncio

from aiohttp import web

from orchestra import Question, Roster
from orchestra.aio import Pipeline
from orchestra.runs import Account, Budget

EXPERTS = """
schema: 1
defaults:
  worker: openai
  base_url: http://127.0.0.1:{port}/v1
  price: {{input: 0.5, output: 1.5}}
experts:
  - {{name: careful, model: toy-a}}
  - {{name: hasty, model: toy-b}}
"""
USAGE = {"prompt_tokens": 40, "completion_tokens": 6}


async def reply(request: web.Request) -> web.Response:
    asked = await request.json()
    letter = "B" if asked["model"] == "toy-a" else "C"
    choice = {"message": {"content": f"The answer is ({letter})."}}
    return web.json_response({"choices": [choice], "usage": USAGE})


async def main() -> None:
    server = web.Application()
    server.add_routes([web.post("/v1/chat/completions", reply)])
    runner = web.AppRunner(server)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    roster = Roster.loads(EXPERTS.format(port=runner.addresses[0][1]))
    pipeline = Pipeline.load("majority", roster=roster)
    question = Question("q1", "Which of these is a prime?", ("9", "11", "15"))
    with Account.open(None, Budget(money=0.01)) as account:
        outcomes = await pipeline.run([question], account=account)
    print(f"decided: {outcomes.decisions[0].value}")
    print(f"paid: ${account.spent.dollars:.6f} for {account.spent.calls} calls")
    await runner.cleanup()


asyncio.run(main())
