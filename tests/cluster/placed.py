"""Where Ray puts runs that ask for GPUs: `python -m tests.cluster.placed KIND ...`, over nodes that claim devices.

Ray takes a node's word for its resources (`ray start --num-gpus`), so that requests, placement and the share of a
device are its own; only what runs is not core.decode: it holds what it was given for a moment and says what that was.
The last line is one JSON list: for each point its kind, node, GPU, what CUDA would show, and when it was held.
"""

import json
import os
import sys

from core.cluster import nodes, queue, store
from core.cluster.points import Sweep
from core.decode.records import to_dict
from tests.core.decode.records import result, run_record


def holding(seconds: float) -> object:
    """A task in the place of core.cluster.task.measure; pickled with what it needs, since nodes have no tests."""
    record = to_dict(run_record(results=(result(1, "host_kernel", 4.0, best=True),)))

    def hold(point_id: str, job: dict[str, object], options: tuple[str, ...], board: object) -> dict[str, object]:
        import os  # all three on the node
        import time

        import ray

        context, begun = ray.get_runtime_context(), time.time()
        time.sleep(seconds)
        place = {
            "host": "here", "node": context.get_node_id(), "gpu": ",".join(context.get_accelerator_ids()["GPU"]),
            "shown": os.environ.get("CUDA_VISIBLE_DEVICES", ""), "begun": str(begun), "ended": str(time.time()),
        }  # fmt: skip
        return {"status": "complete", "message": "", "record": record, "place": place, "seconds": seconds}

    return hold


def main(kinds: tuple[str, ...]) -> None:
    nodes.connect(os.environ["RAY_ADDRESS"])
    nodes.measure = holding(1.5)  # type: ignore[assignment]
    sweep_id = store.add(
        Sweep(num_query_heads=4, head_dim=16, kv_heads=(4, 1), contexts=(64, 128), batches=(1,), devices=kinds)
    )
    queue.Drive(sweep_id=sweep_id, sources=(nodes.Cluster(kinds),)).run()
    print(json.dumps([{"kind": p.point.device, "state": p.state, **p.place} for p in store.points(sweep_id)]))


if __name__ == "__main__":
    main(tuple(sys.argv[1:]))
