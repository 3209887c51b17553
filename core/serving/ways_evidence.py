"""What a way to fit costs in quality: for each of its changes the nearest published statement, source and caveat."""

from core.evidence.records import Finding
from core.evidence.studies import findings_for
from core.serving.ways_to_fit import Change, WayToFit


def evidence_for_way(way: WayToFit) -> tuple[tuple[Change, Finding | None], ...]:
    """Each change that can cost quality with the statement nearest to it; None where nothing is published here."""
    return tuple((change, evidence_for_change(change, way)) for change in way.changes if change.topic != "none")


def evidence_for_change(change: Change, way: WayToFit) -> Finding | None:
    """The statement at the nearest precision at or below the change's, or the first of its topic."""
    bits = {"kv_quantisation": way.job.kv_bits, "weight_quantisation": way.job.weight_bits}.get(change.topic)
    found = findings_for(change.topic, bits=bits)
    return found[0] if found else None
