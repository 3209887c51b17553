"""A run as plain data, for tests of what keeps and draws runs; its figures are round, so derived ones are known."""

from core.decode.records import KernelResult, ModelCheck, Roofline, RunRecord, StepResult, mark_best


def result(kv_heads: int, kernel: str, milliseconds: float | None, **changes: object) -> KernelResult:
    """Three samples around a median; the roofline is 2 ms per eight KV heads."""
    samples = () if milliseconds is None else tuple(milliseconds / 1e3 * part for part in (0.9, 1.0, 1.1))
    fields = {
        "kv_heads": kv_heads, "dtype": "bfloat16", "kernel": kernel,
        "status": "accepted" if samples else "unavailable", "kv_bytes": 8_000_000 * kv_heads,
        "roofline_seconds": 0.00025 * kv_heads, "memory_seconds": 0.00025 * kv_heads, "matmul_seconds": 0.0001,
        "exponential_seconds": 0.0002, "relative_error": 0.002 if samples else None, "samples": samples,
    }  # fmt: skip
    return KernelResult(**{**fields, **changes})


def run_record(run_id: str = "20261122-080000-aa", **changes: object) -> RunRecord:
    results = (
        result(8, "sdpa_enable_gqa", 20.0, detail="SDPA backend: flash"),
        result(8, "host_kernel", 4.0, layout="packed"),
        result(8, "planted", 1.0, status="refused", samples=(), detail="wrong numbers", relative_error=1.0),
        result(1, "sdpa_enable_gqa", 16.0),
        result(1, "host_kernel", 1.0),
        result(1, "flash_attn", None, detail="flash-attn is not installed"),
    )
    fields = {
        "run_id": run_id, "date": "2026-11-22T08:00:00+00:00", "status": "complete", "message": "",
        "command": "python -m core.decode run", "device": "cpu", "device_name": "AMD EPYC, 2 threads",
        "host": {"torch": "2.13.0"},
        "job": {
            "num_query_heads": 8, "kv_heads": [8, 1], "batch_size": 2, "context_length": 1024, "dtype": "bfloat16",
        },
        "asked": {"num_query_heads": 8, "batch_size": 2}, "scale": 1.0,
        "roofline": Roofline(bytes_per_second=32e9, flops_per_second=4e11, exp_per_second=3e9, detail="reads by sum"),
        "results": mark_best(results),
    }  # fmt: skip
    return RunRecord(**{**fields, **changes})


def step(kv_heads: int, layer_milliseconds: float, roofline_milliseconds: float) -> StepResult:
    """Ten layers whose samples lie a tenth either side of the median, and ends of 5 ms."""
    return StepResult(
        kv_heads=kv_heads, kernel="host_kernel", attention_seconds=0.002, layer_seconds=layer_milliseconds / 1e3,
        ends_seconds=0.005, num_layers=10, weight_bytes=80_000_000, batch_size=2, read_bytes=900_000_000,
        roofline_seconds=roofline_milliseconds / 1e3, bytes_per_second=32e9,
        layer_samples=tuple(layer_milliseconds / 1e3 * part for part in (0.9, 1.0, 1.1)), ends_samples=(0.005,),
    )  # fmt: skip


STEPS = (step(8, 12.0, 60.0), step(1, 7.0, 45.0))
CHECK = ModelCheck(
    shape="4 layers of 64", transformers_seconds=0.050, summed_seconds=0.045, cache_copy_seconds=0.004,
    transformers_samples=(0.049, 0.050, 0.051), summed_samples=(0.044, 0.045, 0.046),
)  # fmt: skip
