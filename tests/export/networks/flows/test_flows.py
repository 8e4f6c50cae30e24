"""Flows as they have to be: invertible, with the change of volume that autograd finds, and of integral one."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from torch import nn

from edge_sdk.errors import UsageError
from edge_sdk.export.networks.flows import BLOCKS, FLOWS, DensityGraph, Flow, build_flow
from edge_sdk.export.networks.flows.affine import ActNorm, LULinear, Permutation, VolumeBatchNorm
from edge_sdk.export.networks.flows.autoregressive import Autoregressive, MaskedLinear
from edge_sdk.export.networks.flows.coupling import Coupling

KINDS = tuple(FLOWS)


def rows(count: int, features: int, seed: int = 0) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    spread = torch.linspace(0.5, 3, features, dtype=torch.float64)
    return 1 + spread * torch.randn(count, features, generator=generator, dtype=torch.float64)


def bent(kind: str, features: int, **options: int) -> Flow:
    """A flow of weights far from those that it starts with, in float64."""
    flow = build_flow(kind, features, hidden=16, **options).double()
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for parameter in flow.parameters():
            parameter.add_(0.1 * torch.randn(parameter.shape, generator=generator, dtype=torch.float64))
    flow.observe(rows(500, features))
    return flow.eval()


@pytest.mark.parametrize("features", [2, 5, 6])
@pytest.mark.parametrize("kind", KINDS)
def test_the_inverse_undoes_it(kind: str, features: int) -> None:
    flow, x = bent(kind, features), rows(50, features, seed=2)
    z, _ = flow(x)
    assert (z - x).abs().mean() > 0.3
    torch.testing.assert_close(flow.inverse(z), x, rtol=1e-9, atol=1e-9)
    torch.testing.assert_close(flow(flow.inverse(x))[0], x, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("features", [2, 5])
@pytest.mark.parametrize("kind", KINDS)
def test_the_log_determinant_is_that_of_the_jacobian(kind: str, features: int) -> None:
    flow, x = bent(kind, features), rows(4, features, seed=2)
    _, found = flow(x)
    for row, log_det in zip(x, found, strict=True):
        jacobian = torch.autograd.functional.jacobian(lambda one: flow(one[None])[0][0], row)
        torch.testing.assert_close(log_det, torch.linalg.slogdet(jacobian).logabsdet)


@pytest.mark.parametrize("kind", KINDS)
def test_the_density_integrates_to_one(kind: str) -> None:
    flow = bent(kind, 2)
    ticks = torch.linspace(-25, 25, 401, dtype=torch.float64)
    with torch.no_grad():
        density = flow.log_prob(torch.cartesian_prod(ticks, ticks)).exp()
    assert float(density.sum()) * 0.125**2 == pytest.approx(1, abs=1e-3)


@pytest.mark.parametrize("kind", KINDS)
def test_samples_are_of_the_density(kind: str) -> None:
    flow = bent(kind, 3)
    drawn = flow.double().float().sample(4000, seed=3)
    assert torch.equal(drawn, flow.sample(4000, seed=3))
    z, _ = flow(drawn)
    torch.testing.assert_close(z.mean(dim=0), torch.zeros(3), atol=0.06, rtol=0)
    torch.testing.assert_close(torch.cov(z.T), torch.eye(3), atol=0.1, rtol=0)


def test_without_transforms_it_is_the_standard_normal() -> None:
    x = rows(3, 4)
    wanted = [sum(-0.5 * float(value) ** 2 - 0.5 * math.log(2 * math.pi) for value in row) for row in x]
    assert Flow(4, []).log_prob(x).tolist() == pytest.approx(wanted)


@pytest.mark.parametrize("kind", KINDS)
def test_gradients_reach_every_parameter_from_the_start(kind: str) -> None:
    flow = build_flow(kind, 6, hidden=16)
    x = rows(200, 6).float()
    flow.observe(x)
    flow.log_prob(x + 0.1).mean().backward()
    for name, parameter in flow.named_parameters():
        assert parameter.grad is not None and parameter.grad.abs().max() > 0, name


@pytest.mark.parametrize("kind", KINDS)
def test_there_are_five_blocks_and_the_seed_makes_them(kind: str) -> None:
    flow = build_flow(kind, 6)
    assert sum(isinstance(part, Coupling | Autoregressive) for part in flow.transforms) == BLOCKS == 5
    weights = nn.utils.parameters_to_vector(flow.parameters())
    state = torch.random.get_rng_state()
    assert torch.equal(weights, nn.utils.parameters_to_vector(build_flow(kind, 6).parameters()))
    assert not torch.equal(weights, nn.utils.parameters_to_vector(build_flow(kind, 6, seed=1).parameters()))
    assert torch.equal(state, torch.random.get_rng_state())


@pytest.mark.parametrize("features", [5, 6])
@pytest.mark.parametrize("kind", ["realnvp", "glow"])
def test_couplings_alternate_so_that_every_value_is_changed(kind: str, features: int) -> None:
    couplings = [part for part in bent(kind, features).transforms if isinstance(part, Coupling)]
    x = rows(20, features)
    one = couplings[0](x)[0] != x
    other = couplings[1](x)[0] != x
    assert torch.equal(one.all(dim=0), one.any(dim=0)) and torch.equal(one.all(dim=0), ~other.any(dim=0))
    assert (one | other).all()
    assert [coupling.first for coupling in couplings] == [False, True, False, True, False]


def test_realnvp_changes_every_other_value_as_the_cited_masks_do() -> None:
    permutation, coupling = bent("realnvp", 6).transforms[:2]
    x = rows(3, 6)
    changed = permutation.inverse(coupling(permutation(x)[0])[0]) != x
    assert changed.all(dim=0).tolist() == [True, False, True, False, True, False]
    assert changed.any(dim=0).tolist() == [True, False, True, False, True, False]


def test_each_value_of_a_maf_depends_on_all_values_before_it_and_no_other() -> None:
    transform = Autoregressive(7, 32)
    masks = [layer.mask for layer in transform.network if isinstance(layer, MaskedLinear)]
    paths = masks[2] @ masks[1] @ masks[0]
    for half in paths.split(7):
        assert torch.equal(half > 0, torch.ones(7, 7).tril(-1) > 0)
    x = rows(1, 7).float()[0]
    jacobian = torch.autograd.functional.jacobian(lambda one: transform(one[None])[0][0], x)
    assert torch.equal(jacobian.triu(1), torch.zeros(7, 7))


def test_act_norm_starts_with_mean_0_and_variance_1_and_is_learned_from_then_on() -> None:
    norm, x = ActNorm(4).double(), rows(300, 4)
    norm.observe(x)
    y, log_det = norm(x)
    torch.testing.assert_close(y.mean(dim=0), torch.zeros(4, dtype=torch.float64))
    torch.testing.assert_close(y.var(dim=0, unbiased=False), torch.ones(4, dtype=torch.float64), rtol=1e-4, atol=0)
    torch.testing.assert_close(log_det, -x.std(dim=0, unbiased=False).log().sum().expand(300), rtol=1e-4, atol=1e-4)
    norm.observe(10 * x)
    assert torch.equal(norm(x)[0], y)
    restored = ActNorm(4).double()
    restored.load_state_dict(norm.state_dict())
    restored.observe(10 * x)
    assert torch.equal(restored(x)[0], y)


def test_batch_norm_takes_the_batch_in_training_and_all_rows_afterwards() -> None:
    norm, x = VolumeBatchNorm(4).double(), rows(300, 4)
    norm.observe(x)
    with torch.no_grad():
        norm.gain.fill_(0.5)
        norm.bias.fill_(2)
    for mode, of in ((True, x[:50]), (False, x)):
        wanted = 2 + math.exp(0.5) * (x[:50] - of.mean(dim=0)) / (of.var(dim=0, unbiased=False) + 1e-5).sqrt()
        torch.testing.assert_close(norm.train(mode)(x[:50])[0], wanted)


def test_a_constant_feature_is_not_blown_up() -> None:
    x = rows(50, 3)
    x[:, 1] = 4
    for norm in (ActNorm(3).double(), VolumeBatchNorm(3).double()):
        norm.observe(x)
        assert norm.eval()(x)[0].abs().max() < 10


def test_the_mixing_is_a_rotation_at_first_and_its_determinant_is_that_of_its_triangles() -> None:
    torch.manual_seed(0)
    mixing = LULinear(5).requires_grad_(False)
    matrix, _, log_det = mixing.affine()
    torch.testing.assert_close(matrix @ matrix.T, torch.eye(5), atol=1e-5, rtol=0)
    assert float(log_det) == pytest.approx(0, abs=1e-5)
    mixing.log_diagonal += torch.arange(5)
    mixing.lower += 9
    mixing.upper += 9
    matrix, _, log_det = mixing.affine()
    assert float(log_det) == pytest.approx(10, abs=1e-4)
    torch.testing.assert_close(torch.linalg.slogdet(matrix.double()).logabsdet.float(), log_det, atol=1e-2, rtol=0)


def test_a_permutation_and_its_matrix() -> None:
    permutation, x = Permutation(torch.tensor([2, 0, 1])), rows(4, 3).float()
    assert torch.equal(permutation(x)[0], x[:, [2, 0, 1]]) and torch.equal(
        permutation(x)[0], x @ permutation.affine()[0].T
    )


@pytest.mark.parametrize("features", [2, 5])
@pytest.mark.parametrize("kind", KINDS)
def test_the_graph_computes_the_flow_and_leaves_it_as_it_is(kind: str, features: int) -> None:
    flow, x = bent(kind, features), rows(40, features, seed=2)
    before = {name: value.clone() for name, value in flow.state_dict().items()}
    graph = DensityGraph(flow.train())
    assert flow.training and all(part.training for part in flow.modules())
    with torch.no_grad():
        latent, log_likelihood = graph.float()(x.float())
        z, _ = flow.eval()(x)
        np.testing.assert_allclose(latent, z, rtol=1e-3, atol=1e-3)
        np.testing.assert_allclose(log_likelihood[:, 0], flow.log_prob(x), rtol=1e-4, atol=1e-3)
    assert not any(isinstance(part, MaskedLinear) for part in graph.modules()) and not list(graph.buffers())
    assert all(torch.equal(before[name], value) for name, value in flow.state_dict().items())


@pytest.mark.parametrize("kind", KINDS)
def test_values_far_from_all_that_was_seen_stay_finite(kind: str) -> None:
    flow = bent(kind, 4).float()
    with torch.no_grad():
        found = flow.log_prob(torch.tensor([[1e4, -1e4, 1e4, 1e4], [-1e4, 0, 0, 1e4]]))
    assert found.isfinite().all() and (found < -1e4).all()


def test_what_is_no_flow() -> None:
    with pytest.raises(UsageError, match="choose from maf, realnvp, glow"):
        build_flow("nice", 4)
    for kind in KINDS:
        with pytest.raises(UsageError, match="2 features"):
            build_flow(kind, 1)
