"""The products of a step's weights: ours against float32 arithmetic, and which of the two is taken."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F  # noqa: N812  the name that every torch user reads

from core.decode import products
from core.decode.kernel import Unavailable, relative_error
from core.decode.plan import ERROR_LIMITS

pytestmark = pytest.mark.torch

DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}


def drawn(batch: int, columns: int, rows: int, dtype: torch.dtype) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(batch + columns + rows)
    return (
        torch.randn(batch, columns, generator=generator).to(dtype),
        torch.randn(rows, columns, generator=generator).to(dtype),
    )


@pytest.mark.parametrize("name", DTYPES)
@pytest.mark.parametrize("batch", [1, 2, 5, 8, 13, 33])  # passes of 6 or 8 tokens, two rows of weights at a time
@pytest.mark.parametrize(("columns", "rows"), [(32, 1), (96, 31), (1056, 70)])  # 1,056 is no multiple of a turn
def test_our_product_is_the_product(name, batch, columns, rows):
    x, weights = drawn(batch, columns, rows, DTYPES[name])
    found = products.host_product(x, weights)
    assert (found.shape, found.dtype) == ((batch, rows), DTYPES[name])
    assert relative_error(found, x.float() @ weights.float().T) < ERROR_LIMITS[name]


@pytest.mark.parametrize(
    ("batch", "columns", "dtype", "reason"),
    [
        (1, 48, torch.bfloat16, "multiples of 32"),
        (1, 24, torch.float32, "multiples of 16"),
        (1, 32, torch.float64, "float32, bfloat16 and float16"),
    ],
)
def test_other_shapes_are_refused_with_the_reason_and_left_to_torch(batch, columns, dtype, reason):
    x, weights = drawn(batch, columns, 4, dtype)
    with pytest.raises(Unavailable, match=reason):
        products.host_product(x, weights)
    assert products.fastest_product(x, [weights]) == ("F.linear", F.linear)


@pytest.mark.parametrize("name", DTYPES)
def test_each_group_meets_its_own_matrix(name):
    x, flat = drawn(16, 96, 5 * 31, DTYPES[name])
    weights = flat.view(5, 31, 96)
    which, first = np.array([4, 0, 2]), np.array([0, 1, 1, 16])  # one token, none, and fifteen
    found = products.grouped_product(x, weights, which, first)
    wide = x.float(), weights.float()
    meant = torch.cat((wide[0][:1] @ wide[1][4].T, wide[0][1:] @ wide[1][2].T))
    assert (found.shape, found.dtype) == ((16, 31), DTYPES[name])
    assert relative_error(found, meant) < ERROR_LIMITS[name]


@pytest.mark.parametrize(
    ("which", "first", "says"),
    [
        ([0], [0, 3], "the groups end at row 3 of 4"),
        ([0, 1], [0, 5, 4], "the groups end at row 4 of 4"),
        ([2], [0, 4], "matrices beyond the 2 given"),
        ([0], [0, 1, 4], "matrices beyond the 2 given"),
    ],
)
def test_groups_outside_their_arrays_are_refused(which, first, says):
    x, weights = torch.zeros(4, 32), torch.zeros(2, 8, 32)
    with pytest.raises(ValueError, match=says):
        products.grouped_product(x, weights, np.array(which), np.array(first))


def test_a_product_with_wrong_numbers_is_not_taken(monkeypatch):
    x, weights = drawn(1, 64, 8, torch.float32)
    monkeypatch.setattr(products, "host_product", lambda x, weights: 1.01 * F.linear(x, weights))
    assert products.fastest_product(x, [weights]) == ("F.linear", F.linear)


@pytest.mark.parametrize("fastest", ["F.linear", "host_product"])
def test_the_faster_one_is_taken(monkeypatch, fastest):
    x, weights = drawn(2, 64, 8, torch.bfloat16)
    ours = products.host_product
    slow = {"F.linear": ours, "host_product": F.linear}[fastest]

    def seconds(_device, work):
        return 2.0 if work.func is slow else 1.0

    monkeypatch.setattr(products.devices, "time_once", seconds)
    assert products.fastest_product(x, [weights]) == (fastest, ours if fastest == "host_product" else F.linear)


def test_a_wait_for_the_processor_decides_nothing(monkeypatch):
    """Ours takes 0.3 ms and torch's 0.4; of every four calls three wait, ours the longer."""
    x, weights = drawn(1, 64, 8, torch.bfloat16)
    calls = {
        F.linear: iter([8e-3, 8e-3, 8e-3, 4e-4] * 25),
        products.host_product: iter([16e-3, 16e-3, 16e-3, 3e-4] * 25),
    }
    monkeypatch.setattr(products.devices, "time_once", lambda _device, work: next(calls[work.func]))
    assert products.fastest_product(x, [weights])[0] == "host_product"


@pytest.mark.parametrize(("seconds", "turns"), [(1e-4, 100), (0.01, 50), (0.5, 7)])
def test_the_tries_are_many_where_they_are_short(monkeypatch, seconds, turns):
    """100 of each at most, a second together, and never fewer than seven."""
    x, weights = drawn(1, 64, 8, torch.bfloat16)
    timed = []
    monkeypatch.setattr(products.devices, "time_once", lambda _device, work: timed.append(work.func) or seconds)
    products.fastest_product(x, [weights])
    assert timed.count(F.linear) == timed.count(products.host_product) == turns
