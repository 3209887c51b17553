"""A run as plain data, for tests of what keeps and draws runs; its figures are round, so derived ones are known."""

from core.decode.records import KernelResult, Roofline, RunRecord, mark_best


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
        "job": {"num_query_heads": 8, "batch_size": 2, "context_length": 1024, "dtype": "bfloat16"},
        "asked": {"num_query_heads": 8, "batch_size": 2}, "scale": 1.0,
        "roofline": Roofline(bytes_per_second=32e9, flops_per_second=4e11, exp_per_second=3e9, detail="reads by sum"),
        "results": mark_best(results),
    }  # fmt: skip
    return RunRecord(**{**fields, **changes})
