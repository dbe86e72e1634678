"""Experts behind an OpenAI-compatible address, here a toy server in this process, on a budget."""

from __future__ import annotations

import asyncio

from aiohttp import web

import orchestra as oc
from orchestra.roster import Price

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
    address, price = f"http://127.0.0.1:{runner.addresses[0][1]}/v1", Price(0.5, 1.5)
    experts = [
        oc.Expert("careful", model="toy-a", base_url=address, price=price),
        oc.Expert("hasty", model="toy-b", base_url=address, price=price),
    ]
    team = oc.Pipeline("majority", experts)
    questions = [{"question": "Which of these is a prime?", "options": ["9", "11", "15"]}]
    run = await team.arun(questions, budget=oc.Budget(money=0.01))
    print(f"decided: {run.decisions[0].value}")
    spending = run.report.spending
    print(f"paid: ${spending['money']:.6f} for {spending['attempts']} calls")
    await runner.cleanup()


asyncio.run(main())
