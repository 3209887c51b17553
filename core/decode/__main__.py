"""`python -m core.decode`: run, roofline and compare from a terminal; the last line of output is one JSON object."""

import argparse
import gc
import json
import os
import shlex
import sys
from contextlib import ExitStack
from pathlib import Path

from core.decode import store
from core.decode.arguments import contexts, gigabytes, integers, with_contexts
from core.decode.device_lock import DeviceBusy, device_lock
from core.decode.plan import DEVICES, ELEMENT_BYTES, DecodeJob, InvalidJob, StepShape
from core.decode.record_files import InvalidRecord, from_csv, from_json, result_from, roofline_from, to_json
from core.decode.records import KernelResult, RunRecord, summary
from core.decode.sampling import times_as_long
from core.host.guard import end_with_parent, give_way, limit_memory, prefer_to_be_killed
from core.host.linux import ask_for_huge_pages
from core.host.packages import missing

EXIT_INVALID, EXIT_BUSY, EXIT_FAILED = 2, 3, 1
USUAL_CONTEXT = 16_384


def parser() -> argparse.ArgumentParser:
    top = argparse.ArgumentParser(
        prog="python -m core.decode", description="Measure decode attention on this host, beside its roofline."
    )
    commands = top.add_subparsers(dest="command", required=True)
    run = commands.add_parser("run", help="measure every kernel at every G")
    run.add_argument("--query-heads", type=int, default=40)
    run.add_argument("--kv-heads", type=integers, default=(40, 8, 1), help="G, comma separated: 40,8,1")
    run.add_argument("--head-dim", type=int, default=128)
    run.add_argument("--context", type=int, help=f"tokens held by each sequence ({USUAL_CONTEXT})")
    run.add_argument("--batch", type=int, help="sequences (1)")
    run.add_argument(
        "--lengths",
        type=contexts,
        action="extend",
        default=[],
        help="one context per sequence, for a ragged batch; @FILE reads them there, and another --lengths goes on",
    )
    run.add_argument("--dtype", choices=tuple(ELEMENT_BYTES), default="bfloat16")
    run.add_argument(
        "--kernels", type=_names, default=(), help="comma separated; every kernel of the host when left out"
    )
    run.add_argument(
        "--step",
        type=integers,
        default=(),
        help="layers,hidden,ffn,vocabulary[,experts,per token]: time a whole step too",
    )
    run.add_argument("--time-limit", type=float, default=300.0, help="seconds")
    run.add_argument("--memory-limit", type=gigabytes, help="GB that the run may take; default: what is free")
    run.add_argument("--seed", type=int)
    run.add_argument("--quick", action="store_true", help="fewer samples, and no kernel compiled for every shape")
    run.add_argument("--no-save", action="store_true", help="do not keep the run under HEADROOM_DATA_DIR")
    run.add_argument("--record", action="store_true", help="also write the run into core/data/decode_runs/, to ship it")
    run.add_argument("--jsonl", action="store_true", help="one JSON event per line, as the dashboard reads them")
    run.add_argument("--address-space", type=float, help=argparse.SUPPRESS)
    roofline = commands.add_parser("roofline", help="bandwidth, matrix products and exponentials of this host")
    roofline.add_argument("--dtype", choices=tuple(ELEMENT_BYTES), default="bfloat16")
    compare = commands.add_parser("compare", help="two runs, by id or file")
    compare.add_argument("first")
    compare.add_argument("second")
    check = commands.add_parser("gpu-check", help="all that only a GPU can prove, in at most eight minutes")
    check.add_argument("--out", type=Path, required=True, metavar="DIR", help="for run.json and report.md")
    for command in (run, roofline):
        command.add_argument("--device", choices=DEVICES, default="auto")
    return top


def _names(text: str) -> tuple[str, ...]:
    return tuple(part.strip() for part in text.split(",") if part.strip())


def job_of(options: argparse.Namespace) -> DecodeJob:
    """The job that the options describe. Raises InvalidJob."""
    if options.step and len(options.step) not in (4, 6):
        raise InvalidJob(
            f"--step has {len(options.step)} numbers: give layers,hidden,ffn,vocabulary, and experts,per token where "
            "there are some."
        )
    names = ("num_layers", "hidden_size", "intermediate_size", "vocab_size", "num_experts", "experts_per_token")
    lengths = tuple(options.lengths)
    return DecodeJob(
        num_query_heads=options.query_heads, kv_heads=options.kv_heads, head_dim=options.head_dim,
        context_length=_held("--context", options.context, max(lengths) if lengths else None, USUAL_CONTEXT),
        batch_size=_held("--batch", options.batch, len(lengths) or None, 1), lengths=lengths, dtype=options.dtype,
        device=options.device, kernels=options.kernels, seconds_limit=options.time_limit, seed=options.seed,
        quick=options.quick, step=StepShape(**dict(zip(names, options.step, strict=False))) if options.step else None,
    )  # fmt: skip


def _held(name: str, asked: int | None, of_lengths: int | None, usual: int) -> int:
    """What --lengths says, else what was asked, else the usual. Raises InvalidJob for two answers."""
    if of_lengths is None:
        return usual if asked is None else asked
    if asked not in (None, of_lengths):
        raise InvalidJob(f"{name} is {asked:,}, and --lengths has {of_lengths:,}: leave {name} out.")
    return of_lengths


def main(arguments: list[str] | None = None) -> int:
    arguments = sys.argv[1:] if arguments is None else arguments
    options = parser().parse_args(arguments)
    try:
        if options.command == "compare":
            return _compare(options)
        if without := missing("Measuring", "torch"):
            return _fail(without, options, EXIT_FAILED)
        if options.command == "roofline":
            return _roofline(options)
        if options.command == "gpu-check":
            return _gpu_check(options)
        return _run(options, f"python -m core.decode {shlex.join(with_contexts(arguments, options.lengths))}")
    except (InvalidJob, InvalidRecord, store.StoreUnavailable) as e:
        return _fail(str(e), options, EXIT_INVALID)
    except DeviceBusy as e:
        return _fail(str(e), options, EXIT_BUSY)
    except (RuntimeError, MemoryError) as e:
        from core.decode.run import reason_of

        return _fail(reason_of(e), options, EXIT_FAILED)


def _fail(message: str, options: argparse.Namespace, code: int) -> int:
    if getattr(options, "jsonl", False):
        print(json.dumps({"event": "error", "message": message}), flush=True)
    else:
        print(message, file=sys.stderr)
    return code


def _run(options: argparse.Namespace, command: str) -> int:
    job = job_of(options)
    if options.jsonl:
        end_with_parent(holds_stdin=True, waited_for=True)
        try:
            give_way()
        except ValueError as e:
            raise InvalidJob(str(e)) from None
    prefer_to_be_killed()
    if options.address_space:
        limit_memory(int(options.address_space * 1e9))
    os.environ.setdefault("TORCHINDUCTOR_COMPILE_THREADS", "1")  # no compile pool: nothing can outlive this process
    ask_for_huge_pages()
    times_as_long()  # refused before torch is loaded, as a device that another holds
    with ExitStack() as held:
        if job.device == "cpu":  # who must wait hears it before torch is loaded, which takes seconds
            held.enter_context(device_lock(job.device))
        from core.decode.device import resolve
        from core.decode.run import Run, run_quietly

        gc.freeze()  # what is loaded stays: a run collects garbage after each kernel, and looked through all of that
        if job.device != "cpu":
            held.enter_context(device_lock(str(resolve(job.device))))
        limit = int(options.memory_limit * 1e9) if options.memory_limit else None
        run = Run(job, memory_limit_bytes=limit, command=command)
        record = run_quietly(run, _print_event if options.jsonl else _tell)
    if not options.no_save:
        _save(record, jsonl=options.jsonl)
    if options.record:
        print(_recorded(record), file=sys.stderr)
    print(json.dumps({"event": "end"} if options.jsonl else summary(record)), flush=True)
    return 0


def _recorded(record: RunRecord) -> str:
    """Where the run was written to, or why it was not: its figures are printed all the same."""
    path = store.RECORDED_RUNS / f"{record.run_id}.json"
    try:
        with path.open("x", encoding="utf-8") as file:  # a run of this id is never replaced
            file.write(to_json(record) + "\n")
    except OSError as e:
        return f"not recorded in {path}: {e.strerror}. Its JSON can be exported from Kept runs."
    return f"recorded in {path}"


def _save(record: RunRecord, *, jsonl: bool) -> None:
    try:
        store.save(record)
    except store.StoreUnavailable as e:
        if jsonl:
            print(json.dumps({"event": "warning", "message": str(e)}), flush=True)
        else:
            print(str(e), file=sys.stderr)


def _print_event(event: dict[str, object]) -> None:
    print(json.dumps(event), flush=True)


def _tell(event: dict[str, object]) -> None:
    """The same events for a person at a terminal."""
    kind = event["event"]
    if kind == "plan":
        sizes = ", ".join(f"G = {g}: {n / 1e9:,.3f} GB" for g, n in event["kv_bytes"].items())  # type: ignore[attr-defined]
        print(f"KV bytes of one layer's step: {sizes}. {event['sentence']}".strip())
    elif kind == "roofline":
        print(
            f"this host: {_number(event, 'bytes_per_second') / 1e9:,.1f} GB/s read, "
            f"{_number(event, 'flops_per_second') / 1e9:,.0f} GFLOP/s, "
            f"{_number(event, 'exp_per_second') / 1e9:,.2f} G exp/s"
        )
    elif kind == "machine":
        for sentence in event["said"]:  # type: ignore[attr-defined]
            print(f"this machine is not quiet: {sentence}")
    elif kind == "result":
        print(_result_line(result_from({k: v for k, v in event.items() if k != "event"})))
    elif kind == "figures":
        _tell_figures(event["roofline"], event["results"])


def _number(event: dict[str, object], name: str) -> float:
    value = event[name]
    assert isinstance(value, int | float)
    return value


def _tell_figures(roofline: object, results: object) -> None:
    rates = roofline_from(roofline)
    assert isinstance(results, list | tuple)  # the run's own event
    print(
        f"the best of each G again, in interleaved rounds; {rates.bytes_per_second / 1e9:,.1f} GB/s read and "
        f"{rates.flops_per_second / 1e9:,.0f} GFLOP/s over start and rounds:"
    )
    for best in (r for r in map(result_from, results) if r.best):
        print(_result_line(best))


def _result_line(result: KernelResult) -> str:
    head = f"G = {result.kv_heads:<4} {result.kernel:30}"
    seconds, fraction = result.median_seconds, result.roofline_fraction
    if seconds is None or fraction is None:
        return f"{head} {result.status}: {result.detail}"
    share = f"{fraction:6.1%} of the roofline" if result.share.endswith("%") else result.share
    equal = f", equal to {', '.join(result.equal_to)}" if result.equal_to else ""
    return (
        f"{head} {seconds * 1e3:10.3f} ms  {share}{equal}  {result.threads} threads  "
        f"error {result.relative_error:.1e}  "
        f"{result.detail}"
    )


def _roofline(options: argparse.Namespace) -> int:
    ask_for_huge_pages()
    from core.decode.device import free_bytes, host_facts, name_of, resolve
    from core.decode.measured_roofline import measure_roofline

    device = resolve(options.device)
    with device_lock(str(device)):
        found = measure_roofline(device, options.dtype, free_bytes(device))
    print(f"{name_of(device)}: {found.detail}")
    print(
        json.dumps(
            {
                "device": str(device),
                "device_name": name_of(device),
                "host": host_facts(device),
                "dtype": options.dtype,
                "roofline": {
                    "bytes_per_second": found.bytes_per_second,
                    "flops_per_second": found.flops_per_second,
                    "exponentials_per_second": found.exp_per_second,
                },
            }
        )
    )
    return 0


def _gpu_check(options: argparse.Namespace) -> int:
    from core.decode.device import resolve
    from core.decode.gpu_check import check_everything, jobs

    device = resolve("cuda")
    with device_lock(str(device)):
        print(f"written: {check_everything(options.out, device, jobs('cuda'))}")
    return 0


def load_run(name: str) -> RunRecord:
    """A run by its id, or from a JSON or CSV file. Raises InvalidJob when there is none."""
    path = Path(name)
    if path.is_file():
        try:
            text = path.read_text(encoding="utf-8-sig")  # editors on Windows put a mark in front
        except (OSError, UnicodeDecodeError):
            raise InvalidJob(f"{name} is no text: give the id of a kept run, or a JSON or CSV file.") from None
        return from_csv(text) if path.suffix.lower() == ".csv" else from_json(text)
    recorded = [run for run in store.recorded_runs() if run.run_id == name]
    found = recorded[0] if recorded else store.load(name)
    if found is None:
        raise InvalidJob(f"no run {name!r}: give the id of a kept run, or a JSON or CSV file.")
    return found


def _compare(options: argparse.Namespace) -> int:
    first, second = load_run(options.first), load_run(options.second)
    rows = store.compare(first, second)
    for row in rows:
        kernels = f"{row.first.kernel} -> {row.second.kernel}"
        print(f"G = {row.kv_heads:<4} {row.dtype}: {kernels}, {row.ratio:.2f} x the time per byte")
    print(
        json.dumps(
            {
                "first": summary(first) | {"results": []},
                "second": summary(second) | {"results": []},
                "results": [
                    {
                        "kv_heads": r.kv_heads,
                        "dtype": r.dtype,
                        "first_ms": (r.first.median_seconds or 0) * 1e3,
                        "second_ms": (r.second.median_seconds or 0) * 1e3,
                        "time_per_byte_ratio": r.ratio,
                    }
                    for r in rows
                ],
            }
        )
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
