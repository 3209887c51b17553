"""Run in a process of another system: opens every page by AppTest, then measures on one of them. Prints one JSON line.

`python -m tests.elsewhere.walk pages` opens them all, or the scripts that follow; `... measure` presses the button of
Measure decoding and waits; `... workers` asks each of the other workers once.
"""

import json
import sys
from pathlib import Path
from typing import Any

import psutil
from streamlit.testing.v1 import AppTest

from tests.elsewhere import gone
from tests.paths import page_files
from tests.server_once import look_once

FRAME = Path(__file__).parents[2] / "pages" / "frame.py"
FALCON = {  # one layer, 4 query heads on one KV head
    "model_type": "falcon", "hidden_size": 64, "num_hidden_layers": 1, "num_attention_heads": 4, "vocab_size": 100,
    "multi_query": True, "new_decoder_architecture": False, "parallel_attn": True, "bias": False, "alibi": False,
}  # fmt: skip
SECTION = {"learn/uptraining.py": {"uptraining": "3"}}  # the one that starts a process
SMALL = {
    "bench_heads": "4", "bench_head_dim": "32", "bench_context": "256", "bench_kv_heads": "4", "bench_dtype": "fp32",
    "bench_device": "cpu", "bench_run_size": "Quick: about a minute",
}  # fmt: skip


def opened(script: str, **query: str) -> AppTest:
    app = AppTest.from_file(FRAME, default_timeout=300)
    for key, value in query.items():
        app.query_params[key] = value
    return app.switch_page(script).run()


def pages(*scripts: str) -> dict[str, Any]:
    """Every page, or those scripts, with what went wrong on it, and what it says beside that a person could need."""
    look_once()
    found: dict[str, Any] = {"wrong": {}, "info": {}}
    for script in scripts or page_files():
        app = opened(script, **SECTION.get(script, {}))
        found["wrong"][script] = [str(e.message) for e in app.exception] + [e.value for e in app.error]
        found["info"][script] = [element.value for element in app.info]
    return found


def measure() -> dict[str, Any]:
    """The ended run of a small job, as the page shows it."""
    from core.decode import worker

    app = opened("tools/decode/benchmark.py", **SMALL)
    next(button for button in app.button if button.key == "bench_start").click().run()
    run = next(iter(worker._runs.values()))
    state = run.wait(500)
    app.run()
    return {
        "status": state.status, "message": state.message, "warning": state.warning,
        "best": [[r.kv_heads, r.kernel] for r in state.results if r.best],
        "host_kernel": [r.detail for r in state.results if r.kernel == "host_kernel"],
        "host": dict(state.record.host) if state.record else {}, "gone": gone(run.pid or 0),
        "errors": [str(e.message) for e in app.exception] + [e.value for e in app.error],
        "captions": " ".join(caption.value for caption in app.caption),
    }  # fmt: skip


def workers() -> dict[str, Any]:
    """What transformers counts and caches of a small Falcon, an experiment cancelled, and whether a process is left."""
    from core.engines.transformers_check import measure_cache
    from core.parameters import count_on_meta_device, stop_worker
    from core.uptraining import runs
    from core.uptraining.recipe import Recipe

    count = count_on_meta_device(FALCON)
    before = [child.pid for child in psutil.Process().children()]
    stop_worker()
    check = measure_cache(FALCON, context_length=8)
    run = runs.start(Recipe(seed=5))
    before += [child.pid for child in psutil.Process().children()]
    run.cancel()
    return {
        "parameters": count.total, "key_shape": check.layers[0].key_shape, "status": run.snapshot().status,
        "started": len(before), "gone": all(map(gone, before)),
    }  # fmt: skip


if __name__ == "__main__":
    what, *scripts = sys.argv[1:]
    print(json.dumps({"pages": pages, "measure": measure, "workers": workers}[what](*scripts)), flush=True)
