"""Recorded counts: published totals, the file's refusals, and every entry built again."""

import pytest

from core.errors import SizingError
from core.models.registry import load_registry
from core.models.spec import read_config
from core.serving.parameter_counts import COUNTS_PATH, load_counts, recorded_count
from core.serving.weights import analytic_count
from core.serving.weights_worker import count_parameters


@pytest.mark.parametrize(
    ("repository", "parameters"),
    [
        # safetensors totals on the model pages; Falcon's file holds the tied output matrix a second time
        # (7,217,189,760)
        ("mistralai/Mixtral-8x7B-v0.1", 46_702_792_704),
        ("tiiuae/falcon-7b", 7_217_189_760 - 65_024 * 4_544),
        ("deepseek-ai/DeepSeek-V2-Lite", 15_706_484_224),
        # 671,026,419,200 with the 58 x 256 correction biases of the router, which are no parameters in transformers
        ("deepseek-ai/DeepSeek-V3", 671_026_419_200 - 58 * 256),
    ],
)
def test_published_totals(repository: str, parameters: int) -> None:
    count = recorded_count(repository)
    assert count is not None
    assert count.parameters == parameters
    assert count.source == "meta device"


def test_every_entry_is_what_its_architecture_has() -> None:
    """Built again from the registry's facts; and each is a registered model that is not added up from its shapes."""
    counts = load_counts(COUNTS_PATH.read_text())
    registered = {model.repository: model for model in load_registry()}
    assert counts.keys() <= registered.keys()
    built = {repository: count_parameters(dict(registered[repository].config)) for repository in counts}
    assert {name: count.parameters for name, count in counts.items()} == {
        name: answer["parameters"] for name, answer in built.items()
    }
    for repository, count in counts.items():
        assert count.sentence.startswith(built[repository]["architecture"])
        with pytest.raises(SizingError, match="its parameters are not added up here"):
            analytic_count(read_config(registered[repository].config))


def test_a_model_without_a_record_has_none() -> None:
    assert recorded_count("someone/something") is None


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a: 1", "expected a list of entries, found dict"),
        ("- repository: a/b", "entry 1: give exactly repository, parameters, architecture"),
        ("- {repository: a/b, parameters: '7', architecture: X}", "entry 1: parameters is '7', not of type int"),
        ("- {repository: a/b, parameters: true, architecture: X}", "entry 1: parameters is True"),
        ("- {repository: a/b, parameters: -7, architecture: X}", "parameters is -7: give a whole number"),
        (
            "[{repository: a/b, parameters: 7, architecture: X}, {repository: a/b, parameters: 7, architecture: X}]",
            "a/b appears twice",
        ),
    ],
)
def test_a_wrong_file_is_refused(text: str, message: str) -> None:
    with pytest.raises(SizingError, match=message):
        load_counts(text)
