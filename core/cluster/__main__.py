"""`python -m core.cluster`: devices, sweep, resume, list and show from a terminal; the last line is one JSON object.

A sweep that a terminal or the dashboard began is the same sweep: either may resume it.
"""

import argparse
import json
import os
import sys
from collections.abc import Callable
from typing import Any

from core.cluster import queue, store
from core.cluster.compare import ATTENTION, Prices, compared
from core.cluster.local import ThisHost
from core.cluster.points import HOST, Sweep
from core.decode.arguments import integers
from core.decode.plan import ELEMENT_BYTES, InvalidJob, StepShape
from core.decode.record_files import InvalidRecord
from core.decode.store import StoreUnavailable
from core.host.guard import end_with_parent
from core.host.packages import missing

EXIT_INVALID, EXIT_STOPPED = 2, 1
ADDRESS = "RAY_ADDRESS"
NO_ADDRESS = (
    f"{ADDRESS} is not set: set it to ray://HEAD:10001 (docs/cluster.md), or sweep over this host alone with "
    "--devices host."
)


def parser() -> argparse.ArgumentParser:
    top = argparse.ArgumentParser(
        prog="python -m core.cluster", description="Measure decode attention on this host and a Ray cluster, beside "
        "each other."
    )  # fmt: skip
    commands = top.add_subparsers(dest="command", required=True)
    commands.add_parser("devices", help="the kinds of device that the cluster of RAY_ADDRESS reports")
    commands.add_parser("list", help="kept sweeps, the newest first")
    sweep = commands.add_parser("sweep", help="measure every G at every context, batch and dtype on every device")
    sweep.add_argument("--query-heads", type=int, default=40)
    sweep.add_argument("--head-dim", type=int, default=128)
    sweep.add_argument("--kv-heads", type=integers, default=(40, 8, 1), help="G, comma separated: 40,8,1")
    sweep.add_argument("--contexts", type=integers, default=(16384,), help="tokens, comma separated")
    sweep.add_argument("--batches", type=integers, default=(1,), help="sequences, comma separated")
    sweep.add_argument("--dtypes", type=_names, default=("bfloat16",), help=f"of {', '.join(ELEMENT_BYTES)}")
    sweep.add_argument("--devices", type=_names, default=(HOST,), help="host, and kinds as `devices` prints them")
    sweep.add_argument("--kernels", type=_names, default=())
    sweep.add_argument("--step", type=integers, default=(), help="layers,hidden,ffn,vocabulary: time whole steps too")
    sweep.add_argument("--time-limit", type=float, default=300.0, help="seconds of one point")
    sweep.add_argument(
        "--full", action="store_true", help="more samples, and kernels that are compiled for every shape"
    )
    sweep.add_argument("--seed", type=int)
    for name, what in (("resume", "drive a kept sweep to its end"), ("show", "its points and devices compared")):
        command = commands.add_parser(name, help=what)
        command.add_argument("sweep_id")
        if name == "show":
            command.add_argument("--prices", type=_prices, default={}, help="per hour, by device: H100=2.5,host=0.4")
            command.add_argument("--layers", type=_layers, help="of the model, where no whole step was timed")
        else:
            command.add_argument("--failed-too", action="store_true", help="points that failed wait again")
            command.add_argument("--with-parent", action="store_true", help=argparse.SUPPRESS)
    return top


def _names(text: str) -> tuple[str, ...]:
    return tuple(part.strip() for part in text.split(",") if part.strip())


def _layers(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r}: give the number of layers, at least 1")
    return int(text)


def _prices(text: str) -> Prices:
    found: dict[str, float] = {}
    try:
        for part in text.split(","):
            name, _, price = part.partition("=")
            if not name.strip() or name.strip() in found:
                raise ValueError
            found[name.strip()] = float(price)
    except ValueError as e:
        raise argparse.ArgumentTypeError(f"{text!r}: give prices per hour, each once, as H100=2.5,host=0.4") from e
    return found


def main(arguments: list[str] | None = None) -> int:
    options = parser().parse_args(arguments)
    run: Callable[[argparse.Namespace], int] = {
        "devices": _devices, "list": _list, "sweep": _sweep, "resume": _resume, "show": _show,
    }[options.command]  # fmt: skip
    try:
        return run(options)
    except (InvalidJob, InvalidRecord, StoreUnavailable, store.NoSuchSweep, store.AlreadyDriven, Refused) as e:
        print(str(e), file=sys.stderr)
        return EXIT_INVALID


class Refused(RuntimeError):
    """The cluster cannot be used as asked: the message says why."""


def _say(last: dict[str, Any]) -> None:
    print(json.dumps(last), flush=True)


def _cluster() -> Any:
    """core.cluster.nodes, joined to the cluster of RAY_ADDRESS: the one place where ray is loaded. Raises Refused."""
    address = os.environ.get(ADDRESS)
    if not address:
        raise Refused(NO_ADDRESS)
    if without := missing("A cluster", "ray"):
        raise Refused(without.replace("requirements.txt", "requirements-cluster.txt"))
    from core.cluster import nodes  # noqa: PLC0415  loads ray

    try:
        nodes.connect(address)
    except nodes.NoCluster as e:
        raise Refused(str(e)) from e
    return nodes


def _devices(_: argparse.Namespace) -> int:
    found = _cluster().reported()
    for kind in found.values():
        print(kind.sentence)
    _say({"kinds": [{"name": k.name, "devices": k.devices, "sentence": k.sentence} for k in found.values()]})
    return 0


def _list(_: argparse.Namespace) -> int:
    lines = store.sweeps()
    for sweep_id, why in store.unread().items():
        print(f"{sweep_id}  {why}")
    for line in lines:
        print(f"{line.sweep_id}  {line.status}  {line.sweep.num_points} points on {', '.join(line.sweep.devices)}")
    _say({"sweeps": [{"sweep_id": line.sweep_id, "status": line.status} for line in lines]})
    return 0


def _sweep(options: argparse.Namespace) -> int:
    if options.step and len(options.step) != 4:
        raise InvalidJob(f"--step has {len(options.step)} numbers: give layers,hidden,ffn,vocabulary.")
    names = ("num_layers", "hidden_size", "intermediate_size", "vocab_size")
    sweep = Sweep(
        num_query_heads=options.query_heads, head_dim=options.head_dim, kv_heads=options.kv_heads,
        contexts=options.contexts, batches=options.batches, dtypes=options.dtypes, devices=options.devices,
        kernels=options.kernels, quick=not options.full, seconds_limit=options.time_limit, seed=options.seed,
        step=StepShape(**dict(zip(names, options.step, strict=True))) if options.step else None,
    )  # fmt: skip
    return _drive(store.add(sweep), sweep)


def _resume(options: argparse.Namespace) -> int:
    if options.with_parent:
        end_with_parent(holds_stdin=True, waited_for=True)
    sweep = store.find(options.sweep_id).sweep
    return _drive(options.sweep_id, sweep, failed_too=options.failed_too, resumes=not options.with_parent)


def _drive(sweep_id: str, sweep: Sweep, *, failed_too: bool = False, resumes: bool = True) -> int:
    """resumes: False for the child of a dashboard, which said that the sweep is under way and may cancel it since."""
    with store.driving(sweep_id):
        if failed_too:  # of a sweep that nobody else drives
            store.try_again(sweep_id)
        elsewhere = tuple(device for device in sweep.devices if device != HOST)
        sources: list[queue.Devices] = [ThisHost()] if HOST in sweep.devices else []
        try:
            if elsewhere:
                sources.append(_sources(elsewhere))
            status = queue.Drive(sweep_id=sweep_id, sources=sources, tell=_tell, resumes=resumes).run()
        except (Refused, InvalidJob) as e:
            store.end(sweep_id, store.STOPPED, str(e))
            raise
        except KeyboardInterrupt:
            status = store.STOPPED
            store.put_back(sweep_id)
            store.end(sweep_id, status, "Interrupted: finished points are kept, and the rest can be resumed.")
    standing = queue.standing(store.points(sweep_id))
    _say({"sweep_id": sweep_id, "status": status, "done": standing.done, "failed": standing.failed,
          "total": standing.total})  # fmt: skip
    return 0 if standing.done == standing.total else EXIT_STOPPED


def _sources(elsewhere: tuple[str, ...]) -> queue.Devices:
    nodes = _cluster()
    found = nodes.reported()
    if absent := [device for device in elsewhere if device not in found]:
        known = ", ".join(found) or "none"
        raise Refused(f"The cluster reports no {', '.join(absent)}: it has {known}. `devices` names them.")
    devices: queue.Devices = nodes.Cluster(elsewhere)
    return devices


def _tell(told: queue.Told) -> None:
    if told.kind != queue.PROGRESS:
        where = f" on {told.place['host']}" if "host" in told.place else ""
        print(f"{told.point_id} {told.kind}{where} {told.message}".rstrip(), flush=True)


def _show(options: argparse.Namespace) -> int:
    line, points = store.find(options.sweep_id), store.points(options.sweep_id)
    if unknown := [name for name in options.prices if name not in line.sweep.devices]:
        raise InvalidJob(f"--prices names {', '.join(unknown)}: the sweep has {', '.join(line.sweep.devices)}.")
    for p in points:
        job = p.point.job
        shape = f"G = {job.kv_heads[0]}, {job.batch_size} × {job.context_length:,}, {job.dtype}"
        print(f"{p.point.id} {p.point.device}: {shape}: {p.state} {p.message}".rstrip())
    rows = compared(points, prices=options.prices, num_layers=options.layers or 1)
    for row in rows:
        print(row.sentence)
    if options.layers is None and any(row.what == ATTENTION for row in rows):
        print("Where attention alone was timed, every figure is one layer's: say how many the model has by --layers.")
    _say({
        "sweep_id": line.sweep_id, "status": line.status, "message": line.message,
        "points": [{"id": p.point.id, "device": p.point.device, "state": p.state, "place": p.place} for p in points],
        "compared": [row.as_dict() for row in rows],
    })  # fmt: skip
    return 0


if __name__ == "__main__":
    sys.exit(main())
