"""Records the runs that ship with Headroom: `python -m core.uptraining.record` writes core/data/uptraining_runs/.

Three seeds at three lengths of uptraining, and at the middle length also the models trained with G heads from the
start. Takes about a quarter of an hour on one core.
"""

import json
import subprocess
import sys

from core.host import children
from core.uptraining.recipe import SCRATCH, Recipe
from core.uptraining.results import RECORDED, collect
from core.uptraining.runs import COMMAND

SEEDS = (0, 1, 2)
PERCENTS = (5, 10, 40)
WITH_SCRATCH = 10


def recipes() -> list[Recipe]:
    """What is recorded, the default recipe's length of training at every seed and percent."""
    methods = Recipe().methods
    return [
        Recipe(seed=seed, uptrain_percent=percent, methods=(*methods, SCRATCH) if percent == WITH_SCRATCH else methods)
        for percent in PERCENTS
        for seed in SEEDS
    ]


def record(recipe: Recipe) -> None:
    """Run one recipe to its end and write its file. Raises CalledProcessError where the worker fails."""
    with children.start(*COMMAND) as worker:
        assert worker.stdin is not None
        assert worker.stdout is not None
        worker.stdin.write(json.dumps(recipe.as_dict()) + "\n")
        worker.stdin.flush()
        events = [json.loads(line) for line in worker.stdout]
        worker.stdin.close()
    if worker.returncode:
        raise subprocess.CalledProcessError(worker.returncode, COMMAND)
    name = f"recall-seed{recipe.seed}-uptrain{recipe.uptrain_percent}.json"
    text = json.dumps(collect(recipe, events).as_dict(), indent=1)
    (RECORDED / name).write_text(text + "\n", encoding="utf-8")


def main() -> None:
    """All recipes, or those whose seed is given as an argument."""
    seeds = {int(argument) for argument in sys.argv[1:]} or set(SEEDS)
    for recipe in recipes():
        if recipe.seed in seeds:
            record(recipe)
            print(f"seed {recipe.seed}, uptraining {recipe.uptrain_percent} %: done", flush=True)


if __name__ == "__main__":
    main()
