"""The catalogue against its published figures, its refusals, and the host's own GPU."""

import json
import subprocess
from pathlib import Path

import pytest

from core.errors import SizingError
from core.hardware import accelerators
from core.hardware.accelerators import (
    Accelerator,
    catalogue,
    explain_memory,
    find_accelerator,
    host_accelerator,
    load_catalogue,
    read_nvidia_smi,
)


def test_h100_figures() -> None:
    """nvidia-smi prints 81,559 MiB; the data sheet 3.35 TB/s and 989.4 TFLOP/s dense: a ridge of 295.3."""
    h100 = find_accelerator("h100-sxm")
    assert h100.memory_nominal_bytes == 80_000_000_000
    assert h100.memory_reported_bytes == h100.memory_bytes == 85_520_809_984
    assert h100.bandwidth_bytes_per_s == 3_350_000_000_000
    assert h100.bf16_dense_flops == 989_400_000_000_000
    assert h100.ridge_flops_per_byte == pytest.approx(295.3, abs=0.05)


def test_what_eighty_gb_means() -> None:
    assert explain_memory(find_accelerator("h100-sxm")) == (
        "80 GB in the name: 80,000,000,000 bytes = 74.51 GiB; the device reports 81,559 MiB = 79.65 GiB = 85.52 GB; "
        "torch, and so a server, sees 79.11 GiB of it. "
        "Judged on the 81,559 MiB that the device reports (nvidia-smi of an H100 80GB HBM3)."
    )
    assert explain_memory(find_accelerator("gaudi3")).endswith(
        "No public reading of its reported memory was found: judged on 128 x 10^9 bytes, which may be low."
    )


def test_figures_that_are_not_established_are_unknown() -> None:
    ascend, ultra = find_accelerator("ascend-910b"), find_accelerator("m3-ultra")
    assert ascend.memory_bytes is None
    assert ascend.memory_basis == "Its memory size is not established: a fit cannot be judged."
    assert ultra.bf16_dense_flops is None
    assert ultra.ridge_flops_per_byte is None
    assert find_accelerator("t4").bf16_dense_flops is None  # Turing has no BF16: its FP16 rate is not taken for it


@pytest.mark.parametrize(
    ("id", "mib", "gib"),
    [
        ("h100-sxm", 81_559, 79.11),
        ("l40s", 46_068, 44.42),  # vllm#15815
        ("rtx3090", 24_576, 23.58),  # vllm#10517
        ("rtx5090", 32_607, 31.37),  # vllm#14452
        ("rtx-pro-6000", 97_887, 94.97),
        ("mi300x", 196_592, 191.98),  # 192 GiB, where the name's 192 GB would be 7 % less
    ],
)
def test_both_memory_figures_stand(id: str, mib: int, gib: float) -> None:
    device = find_accelerator(id)
    assert device.memory_reported_bytes == device.memory_bytes == mib * 2**20
    assert device.memory_visible_bytes == device.server_bytes == round(gib * 2**30)
    assert device.server_basis.startswith(f"A server counts the {gib:.2f} GiB that torch sees (")


def test_a_server_sees_no_more_than_the_device_reports() -> None:
    """torch's figure is 0.1 to 5 % below the device's own: a slip of a digit falls outside."""
    for device in catalogue().values():
        if device.memory_visible_bytes is not None and device.memory_reported_bytes is not None:
            assert 0.95 <= device.memory_visible_bytes / device.memory_reported_bytes <= 1.0001, device.id


def test_unified_memory_says_what_the_system_keeps() -> None:
    """121.69 GiB, of which 102 were free at boot; a device with memory of its own says nothing of it."""
    spark = find_accelerator("dgx-spark")
    assert spark.memory_bytes == spark.server_bytes == round(121.69 * 2**30)
    assert spark.memory_free_bytes == 102 * 2**30
    assert "shared with the system, which leaves 102.00 GiB" in spark.server_basis
    assert "shared" not in find_accelerator("h100-sxm").server_basis
    assert find_accelerator("l20").server_basis.startswith("No public log says how much of it torch sees. Judged on")


def test_every_entry_has_a_figure_exactly_where_it_has_a_source() -> None:
    for device in catalogue().values():
        sources = device.sources
        assert (device.memory_nominal_bytes is None) == (sources.memory is None), device.id
        assert (device.memory_reported_bytes is None) == (sources.memory_reported is None), device.id
        assert (device.memory_visible_bytes is None) == (sources.memory_visible is None), device.id
        assert (device.memory_free_bytes is None) == (sources.memory_free is None), device.id
        assert (device.bandwidth_bytes_per_s is None) == (sources.bandwidth is None), device.id
        assert (device.bf16_dense_flops is None) == (sources.bf16 is None), device.id


def test_every_reported_memory_is_close_to_the_name() -> None:
    """Between the name's GB x 10^9 less 4 % and its GiB plus 1 %: a slip of a digit falls outside."""
    for device in catalogue().values():
        if device.memory_reported_bytes is not None and device.memory_nominal_bytes is not None:
            gigabytes = device.memory_nominal_bytes / 1e9
            assert 0.96 * gigabytes * 1e9 <= device.memory_reported_bytes <= 1.01 * gigabytes * 2**30, device.id


def test_unknown_id_lists_the_known() -> None:
    with pytest.raises(SizingError, match=r"accelerator is 'h1000', .*choose one of a100-40-sxm, .*h100-sxm"):
        find_accelerator("h1000")


ENTRY = json.loads(Path(accelerators.CATALOGUE_PATH).read_text(encoding="utf-8"))[4]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"vendor": None}, r"entry 1 \(h100-sxm\): vendor is None"),
        ({"memory_nominal_gb": "80"}, r"memory_nominal_gb is '80', which is not of the expected type"),
        ({"memory_nominal_gb": True}, "memory_nominal_gb is True"),
        ({"bandwidth_bytes_per_s": 0}, "bandwidth_bytes_per_s is 0"),
        ({"bf16_dense_flops": -1}, "bf16_dense_flops is -1"),
        ({"reported_names": "H100"}, "reported_names is 'H100'"),
        ({"bandwith": 1}, "bandwith is not a field of an accelerator"),
        ({"memory_visible_gib": "79"}, "memory_visible_gib is '79'"),
        ({"memory_free_gib": 70}, "memory_free_gib and sources.memory_free must both be given"),
        ({"memory_reported_mib": None}, "memory_reported_mib and sources.memory_reported must both be given"),
        ({"sources": {"memory": "x"}}, "sources: bandwidth is missing|sources: bf16 is missing"),
        ({"sources": {**ENTRY["sources"], "memory": 3}}, "sources.memory is 3; write where the figure was read"),
        ({"sources": []}, r"sources is \[\]"),
    ],
)
def test_a_wrong_entry_is_named_with_its_field(change: dict[str, object], message: str) -> None:
    with pytest.raises(SizingError, match=message):
        load_catalogue(json.dumps([ENTRY | change]))


def test_a_missing_field_is_named() -> None:
    without = {key: value for key, value in ENTRY.items() if key != "note"}
    with pytest.raises(SizingError, match=r"\(h100-sxm\): note is missing; write null"):
        load_catalogue(json.dumps([without]))


@pytest.mark.parametrize(
    ("text", "message"), [('{"a": 1}', "expected a list"), ("a: 1", "is no JSON"), ("[1]", "expected keys and values")]
)
def test_another_shape_of_file_is_refused(text: str, message: str) -> None:
    with pytest.raises(SizingError, match=message):
        load_catalogue(text)


def test_an_id_that_appears_twice_is_refused() -> None:
    with pytest.raises(SizingError, match="'h100-sxm' appears twice"):
        load_catalogue(json.dumps([ENTRY, ENTRY]))


@pytest.mark.parametrize("bad", [0, -1, float("nan"), float("inf"), True, "80", 10**30])
def test_a_custom_accelerator_is_checked(bad: float) -> None:
    with pytest.raises(SizingError, match=r"mine: memory_nominal_bytes is .*: give a number above 0"):
        Accelerator(id="mine", name="Mine", memory_nominal_bytes=bad)  # type: ignore[arg-type]


def test_host_gpu_is_matched_and_keeps_its_own_reading() -> None:
    """Two H100 of a node with slightly less memory than the catalogue's reading."""
    host = read_nvidia_smi("NVIDIA H100 80GB HBM3, 81000\nNVIDIA H100 80GB HBM3, 81000\n")
    assert host is not None
    assert (host.count, host.matched) == (2, True)
    assert host.accelerator.id == "h100-sxm"
    assert host.accelerator.memory_bytes == 81_000 * 2**20
    assert host.accelerator.bandwidth_bytes_per_s == 3_350_000_000_000
    assert host.accelerator.sources.memory_reported == "nvidia-smi on this host"


def test_host_gpu_keeps_the_catalogues_gap_to_what_torch_sees() -> None:
    """81,559 MiB less 79.11 GiB are 550.36 MiB that torch does not get, taken off the host's own 81,000."""
    host = read_nvidia_smi("NVIDIA H100 80GB HBM3, 81000\n")
    assert host is not None
    assert host.accelerator.memory_visible_bytes == 81_000 * 2**20 - (81_559 * 2**20 - round(79.11 * 2**30))


@pytest.mark.parametrize("line", ["Quadro P4000, 8192", "NVIDIA H100 80GB HBM3, 9984"])
def test_host_gpu_without_a_match_has_unknown_rates(line: str) -> None:
    """An unlisted card, and a MIG slice of a listed one: its bandwidth is not the whole card's."""
    host = read_nvidia_smi(line)
    assert host is not None
    assert not host.matched
    assert host.accelerator.bandwidth_bytes_per_s is None
    assert host.accelerator.memory_bytes == int(line.split(", ")[1]) * 2**20


def test_a_gpu_that_shares_the_hosts_memory_is_matched_by_its_name() -> None:
    """What a DGX Spark's driver prints."""
    host = read_nvidia_smi("NVIDIA GB10, [N/A]\n")
    assert host is not None
    assert (host.accelerator.id, host.count, host.matched) == ("dgx-spark", 1, True)
    assert "whose driver names no memory of its own" in host.sentence


def test_gpus_of_other_kinds_are_named() -> None:
    host = read_nvidia_smi("Tesla T4, 15360\nNVIDIA H100 80GB HBM3, 81559\nNVIDIA H100 80GB HBM3, 81559\n")
    assert host is not None
    assert host.sentence.endswith(" Beside it, not looked at: 2 x NVIDIA H100 80GB HBM3.")


@pytest.mark.parametrize("output", ["", "No devices were found", "NVIDIA H100 80GB HBM3, [N/A]", ", 100", "GPU, 0"])
def test_unreadable_listings_mean_no_gpu(output: str) -> None:
    assert read_nvidia_smi(output) is None


def _tool(folder: Path, script: str) -> None:
    tool = folder / "nvidia-smi"
    tool.write_text(f"#!/bin/sh\n{script}\n")
    tool.chmod(0o755)


def test_host_gpu_through_the_tool(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _tool(tmp_path, 'echo "NVIDIA A100-SXM4-80GB, 81920"')
    monkeypatch.setenv("PATH", f"{tmp_path}:/bin:/usr/bin")
    host = host_accelerator()
    assert host is not None
    assert host.sentence == (
        "This host has 1 x NVIDIA A100-SXM4-80GB with 81,920 MiB each; the catalogue has it as A100 SXM4 80 GB."
    )


@pytest.mark.parametrize("script", ["exit 9", "exec sleep 30"])
def test_a_tool_that_fails_or_hangs_means_no_gpu(script: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _tool(tmp_path, script)
    monkeypatch.setenv("PATH", f"{tmp_path}:/bin:/usr/bin")
    assert host_accelerator(timeout_seconds=0.5) is None


def test_a_host_without_the_tool_has_no_gpu(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(FileNotFoundError):
        subprocess.run(["nvidia-smi"], check=False)
    assert host_accelerator() is None
