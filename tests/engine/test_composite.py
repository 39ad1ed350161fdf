"""Volume rendering of packed samples against its specification, its laws, and numbers worked out by hand."""

import math
from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from avatar import engine
from avatar.engine import Packed, accumulate, composite, composite_alphas, set_threads
from avatar.engine import weights_from_alphas as from_alphas
from avatar.engine import weights_from_densities as from_densities

NAMES = ("weights_from_densities", "weights_from_alphas", "accumulate", "composite", "composite_alphas")
COUNTS = (0, 3, 1, 0, 0, 17, 40, 2, 0)


def pack(counts: tuple[int, ...] = COUNTS, dtype: torch.dtype = torch.float64) -> Packed:
    """As many samples on each ray, of uneven lengths, some with a gap before them."""
    numbers = torch.tensor(counts, dtype=torch.int64)
    ids = torch.arange(len(counts)).repeat_interleave(numbers)
    lengths = 0.05 + torch.rand(len(ids), generator=torch.Generator().manual_seed(3), dtype=torch.float64)
    ends = lengths.cumsum(0)
    starts = torch.cat([numbers.new_zeros(1), numbers.cumsum(0)])
    return Packed((ends - 0.7 * lengths).to(dtype), ends.to(dtype), ids, starts)


def samples(packed: Packed, channels: int = 4) -> tuple[Tensor, Tensor]:
    """An alpha, which also serves as a density, and values for every sample."""
    generator = torch.Generator().manual_seed(0)
    sizes = ((len(packed.ray_ids),), (len(packed.ray_ids), channels))
    given, values = (torch.rand(*size, generator=generator, dtype=torch.float64).to(packed.t_ends) for size in sizes)
    return 0.7 * given, values


def apply(function: Callable, given: Tensor, values: Tensor, packed: Packed) -> tuple[Tensor, ...]:
    """All that a function gives, as a tuple."""
    outputs = function(given, packed) if "weights" in function.__name__ else function(given, values, packed)
    return (outputs,) if isinstance(outputs, Tensor) else tuple(outputs)


def outcome(function: Callable, given: Tensor, values: Tensor, packed: Packed) -> list[Tensor]:
    """Outputs and, for a fixed random loss over all of them, gradients."""
    given, values = inputs = [t.detach().clone().requires_grad_() for t in (given, values)]
    outputs = apply(function, given, values, packed)
    generator = torch.Generator().manual_seed(1)
    weights = [torch.randn(t.shape, generator=generator, dtype=torch.float64).to(t) for t in outputs]
    gradients = torch.autograd.grad(outputs, inputs, weights, allow_unused=True, materialize_grads=True)
    return [t.detach() for t in (*outputs, *gradients)]


def in_double(packed: Packed) -> Packed:
    """The same intervals."""
    return Packed(packed.t_starts.double(), packed.t_ends.double(), packed.ray_ids, packed.starts)


def reference(name: str) -> Callable:
    return getattr(engine, f"{name}_reference")


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("channels", [0, 1, 3, 4, 6])
@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float64, 1e-13), (torch.float32, 1e-6)])
def test_equals_the_reference(name: str, channels: int, dtype: torch.dtype, tolerance: float):
    """float32: some tens of samples on a ray, each rounded at 6e-8."""
    packed = pack(dtype=dtype)
    given, values = samples(packed, channels)
    truth = outcome(reference(name), given.double(), values.double(), in_double(packed))
    found = outcome(getattr(engine, name), given, values, packed)
    for one, expected in zip(found, truth, strict=True):
        assert one.shape == expected.shape
        assert one.dtype == dtype
        if expected.numel():
            assert (one - expected).abs().max() <= tolerance * expected.abs().max()


@pytest.mark.parametrize("name", NAMES)
def test_many_rays_and_a_long_one(name: str):
    """More than one task, with one ray that is longer than all others together."""
    packed = pack((3,) * 700 + (5000,) + (0, 2) * 100)
    given, values = samples(packed)
    truth = outcome(reference(name), given * 0.01, values, packed)
    for one, expected in zip(outcome(getattr(engine, name), given * 0.01, values, packed), truth, strict=True):
        assert (one - expected).abs().max() <= 1e-12 * expected.abs().max()


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("wrong", [None, 0, 1])
def test_gradcheck_and_the_planted_error_it_must_find(name: str, wrong: int | None, doubled):
    packed = pack((0, 4, 1, 3))
    inputs = tuple(t.requires_grad_() for t in samples(packed, 2))
    if wrong == 1 and "weights" in name:
        return

    def outputs(*tensors: Tensor) -> tuple[Tensor, ...]:
        given, values = (doubled(t) if i == wrong else t for i, t in enumerate(tensors))
        return apply(getattr(engine, name), given, values, packed)

    assert torch.autograd.gradcheck(outputs, inputs, nondet_tol=0.0, raise_exception=wrong is None) is (wrong is None)


@pytest.mark.parametrize("suffix", ["", "_reference"])
def test_by_hand(suffix: str):
    """Alphas 1/2, 1/4, 1 and 1/2 of one ray; of another a density of ln 2 over a length of 2, alpha 3/4."""
    t_starts, t_ends = torch.tensor([[0.0, 1, 2, 4], [1, 2, 4, 5]])
    packed = Packed(t_starts, t_ends, torch.zeros(4).long(), torch.tensor([0, 4]))
    alphas, values = torch.tensor([0.5, 0.25, 1, 0.5]), torch.tensor([[8.0], [16], [24], [1000]])
    weights, transmittances = getattr(engine, f"weights_from_alphas{suffix}")(alphas, packed)
    torch.testing.assert_close(weights, torch.tensor([1 / 2, 1 / 8, 3 / 8, 0]))
    torch.testing.assert_close(transmittances, torch.tensor([1, 1 / 2, 3 / 8, 0]))
    found = getattr(engine, f"composite_alphas{suffix}")(alphas, values, packed)
    torch.testing.assert_close(found.values, torch.tensor([[4.0 + 2 + 9]]))
    torch.testing.assert_close(found.opacities, torch.ones(1))
    torch.testing.assert_close(found.depths, torch.tensor([0.5 / 2 + 1.5 / 8 + 3 * 3 / 8]))
    packed = Packed(torch.tensor([1.0]), torch.tensor([3.0]), torch.zeros(1).long(), torch.tensor([0, 1]))
    found = getattr(engine, f"composite{suffix}")(torch.tensor([math.log(2)]), torch.tensor([[4.0, 8]]), packed)
    torch.testing.assert_close(found.values, torch.tensor([[3.0, 6]]))
    torch.testing.assert_close(found.depths, torch.tensor([1.5]))


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("function", [from_densities, from_alphas])
def test_weights_and_what_is_left_sum_to_one(function: Callable, dtype: torch.dtype):
    packed = pack((5, 0, 300, 1), dtype)
    given, _ = samples(packed)
    weights, transmittances = function(given, packed)
    last = packed.starts[1:][packed.starts.diff() > 0] - 1
    totals = accumulate(weights, None, packed)[packed.starts.diff() > 0, 0]
    left = transmittances[last] - weights[last]
    torch.testing.assert_close(totals + left, torch.ones(3, dtype=dtype), rtol=0, atol=50 * torch.finfo(dtype).eps)


def test_thin_samples_keep_their_precision():
    """A thousand densities of 1e-7 in float32: 1 - exp(-x) would give 0 or 1.19e-7 for each of them."""
    packed = Packed(torch.zeros(1000), torch.ones(1000), torch.zeros(1000).long(), torch.tensor([0, 1000]))
    densities = torch.linspace(1e-8, 2e-7, 1000)
    weights = from_densities(densities, packed).weights
    torch.testing.assert_close(weights, densities * (1 - densities.cumsum(0) + densities / 2), rtol=3e-6, atol=0)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_opaque_samples_have_finite_gradients(name: str, dtype: torch.dtype):
    """Alphas of one and densities beyond any measure, twice on a ray, agree with the reference."""
    packed = pack((6, 4, 1), dtype)
    given, values = samples(packed)
    opaque = torch.tensor([1, 3, 6, 10])
    given[opaque] = 1.0 if name in NAMES[1::3] else torch.tensor([1e4, 1e30, math.inf, 1e3], dtype=dtype)
    if name == "accumulate":
        given[opaque] = 1.0
    truth = outcome(reference(name), given.double(), values.double(), in_double(packed))
    for one, expected in zip(outcome(getattr(engine, name), given, values, packed), truth, strict=True):
        assert bool(one.isfinite().all())
        assert (one - expected).abs().max() <= 10 * torch.finfo(dtype).eps * expected.abs().max()


@pytest.mark.parametrize("name", NAMES)
def test_what_is_no_number_stays_on_its_ray(name: str):
    packed = pack(dtype=torch.float32)
    given, values = samples(packed)
    clean = outcome(getattr(engine, name), given, values, packed)
    sick = 6  # the ray of 40 samples
    given[packed.starts[sick] + 5] = math.nan
    found = outcome(getattr(engine, name), given, values, packed)
    for one, expected in zip(found, clean, strict=True):
        is_sick = packed.ray_ids == sick if len(one) == len(given) else torch.arange(packed.num_rays) == sick
        assert torch.equal(one[~is_sick], expected[~is_sick])
    assert bool(found[0].isnan().any())


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("counts", [(), (0,), (0, 0, 0), (1,)])
def test_almost_nothing(name: str, counts: tuple[int, ...]):
    packed = pack(counts)
    truth = outcome(reference(name), *samples(packed), packed)
    for one, expected in zip(outcome(getattr(engine, name), *samples(packed), packed), truth, strict=True):
        torch.testing.assert_close(one, expected)


@pytest.mark.parametrize("name", NAMES)
def test_number_of_threads_changes_nothing(name: str):
    packed = pack((3, 0, 7, 90) * 600, torch.float32)
    try:
        results = []
        for threads in (1, 2, 3, 2):
            set_threads(threads)
            results.append(outcome(getattr(engine, name), *samples(packed), packed))
    finally:
        set_threads(None)
    for result in results[1:]:
        assert all(torch.equal(one, other) for one, other in zip(result, results[0], strict=True))


def test_gradients_of_some_outputs_and_inputs():
    """Losses that use only some outputs, and values that need no gradient."""
    packed = pack()
    given, values = samples(packed)
    for index in range(4):
        gradients = []
        for function in (composite, reference("composite")):
            densities = given.clone().requires_grad_()
            (gradient,) = torch.autograd.grad(function(densities, values, packed)[index].square().sum(), densities)
            gradients.append(gradient)
        torch.testing.assert_close(*gradients)
    with torch.no_grad():
        assert not composite(given.requires_grad_(), values, packed).values.requires_grad


@pytest.mark.usefixtures("needs_engine")
def test_operators_are_registered():
    given, values = samples(packed := pack(dtype=torch.float32))
    inputs = (given, values, packed.t_starts, packed.t_ends, packed.starts)
    differentiable = (given.requires_grad_(), values.requires_grad_(), *inputs[2:])
    checks = ("test_schema", "test_autograd_registration", "test_faketensor")
    torch.library.opcheck(torch.ops.avatar.composite.default, (*differentiable, 0, True), test_utils=checks)
    outputs = torch.ops.avatar.composite(*(t.detach() for t in inputs), 0, False)
    arguments = (*outputs[:4], None, *(t.detach() for t in inputs), 0, True)
    torch.library.opcheck(torch.ops.avatar.composite_backward.default, arguments, test_utils=checks)


def test_there_is_no_second_derivative():
    """A gradient of a gradient is refused, not wrong."""
    packed = pack()
    given, values = samples(packed)
    loss = composite_alphas(given.requires_grad_(), values, packed).values.square().sum()
    (gradient,) = torch.autograd.grad(loss, given, create_graph=True)
    with pytest.raises(RuntimeError):
        torch.autograd.grad(gradient.sum(), given)


@pytest.mark.parametrize("suffix", ["", "_reference"])
@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"t_starts": torch.zeros(3)}, r"t_starts: expected torch.float32 \(63,\), got torch.float32 \(3,\)"),
        ({"t_ends": torch.zeros(63).double()}, "t_ends: expected torch.float32"),
        ({"ray_ids": torch.zeros(3).long()}, r"ray_ids: expected \(63,\), got \(3,\)"),
        ({"starts": torch.zeros(0).long()}, "starts: expected int64 with one more than rays"),
        ({"given": torch.zeros(63).half()}, "expected float32 or float64, got torch.float16"),
        (
            {"values": torch.zeros(63, 4).double()},
            r"values: expected torch.float32 \(63, channels\), got torch.float64",
        ),
    ],
)
def test_wrong_inputs_are_named(suffix: str, changes: dict[str, Tensor], message: str):
    packed = pack(dtype=torch.float32)
    given, values = samples(packed)
    fields = {**packed._asdict(), "given": given, "values": values, **changes}
    with pytest.raises(ValueError, match=message):
        getattr(engine, f"composite{suffix}")(
            fields["given"], fields["values"], Packed(*(fields[name] for name in Packed._fields))
        )


@pytest.mark.usefixtures("needs_engine")
def test_starts_that_lead_outside_are_refused():
    packed = pack()
    for starts in ([0, 70] * 5, [0, 5, 3, *[63] * 7], [1, *[63] * 9]):
        with pytest.raises(ValueError, match="starts: expected rising numbers from 0 to 63"):
            composite(*samples(packed), packed._replace(starts=torch.tensor(starts)))
