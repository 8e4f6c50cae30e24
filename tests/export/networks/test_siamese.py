"""Bodies that ImageNet has trained and the siamese networks on them: counts, functions, weights of others."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import nn

from edge_sdk.errors import UsageError
from edge_sdk.export.losses.pairs import DecisionLoss, PairDecision
from edge_sdk.export.networks.bodies import BODIES, Body
from edge_sdk.export.networks.siamese import DecisionNetwork, EmbeddingNetwork

NARROW = 1 / 64


def parameters(module: nn.Module) -> int:
    return sum(parameter.numel() for parameter in module.parameters())


def made_up(network: nn.Module) -> dict[str, torch.Tensor]:
    """A state dict of the same tensors with other values, as a file of others would hold it."""
    generator = torch.Generator().manual_seed(1)
    return {
        f"theirs.{name}": torch.rand(value.shape, generator=generator)
        for name, value in network.state_dict().items()
        if not name.endswith("num_batches_tracked")
    }


# Document 004's networks, counted by hand (NETWORKS, table of 004); those of the other bodies are torchvision's.
@pytest.mark.parametrize(
    ("build", "part", "count"),
    [
        (lambda: BODIES["vgg16_bn"](1.0), "", 14_723_136),
        (lambda: DecisionNetwork(classes=2), "head", 222_314_498),
        (lambda: DecisionNetwork(classes=1), "head", 222_310_401),
        (lambda: DecisionNetwork(dense=True, classes=2), "dense", 102_764_544),
        (lambda: DecisionNetwork(dense=True, classes=2), "head", 33_566_722),
        (lambda: EmbeddingNetwork("vgg16_bn"), "", 117_487_680),
        (lambda: EmbeddingNetwork("resnet50"), "", 25_557_032),
        (lambda: EmbeddingNetwork("resnet101"), "", 44_549_160),
        (lambda: EmbeddingNetwork("resnext50_32x4d"), "", 25_028_904),
        (lambda: EmbeddingNetwork("resnext101_32x8d"), "", 88_791_336),
        (lambda: EmbeddingNetwork("mobilenet_v2"), "", 3_504_872),
    ],
)
def test_networks_have_the_documents_parameters(build: Callable[[], nn.Module], part: str, count: int) -> None:
    with torch.device("meta"):
        network = build()
    assert parameters(network.get_submodule(part)) == count


def test_templates_have_the_documents_sizes() -> None:
    with torch.device("meta"):
        assert DecisionNetwork().size == 25_088
        assert DecisionNetwork(dense=True).size == 4096
        assert {name: build(1.0).size for name, build in BODIES.items()} == {
            "vgg16_bn": 25_088,
            **dict.fromkeys(("resnet50", "resnet101", "resnext50_32x4d", "resnext101_32x8d"), 2048),
            "mobilenet_v2": 1280,
        }


@pytest.mark.parametrize("name", BODIES)
def test_bodies_halve_a_picture_five_times(name: str) -> None:
    body = BODIES[name](NARROW).eval()
    with torch.no_grad():
        maps = body.layers(torch.rand(1, 3, 224, 224))
        features = body(torch.rand(2, 3, 224, 224))
    assert maps.shape[2:] == (7, 7)
    assert features.shape == (2, body.size)
    assert body.dense()(features).shape == (2, body.outputs)


def test_a_decision_network_takes_the_two_of_a_pair_behind_one_another() -> None:
    torch.manual_seed(0)
    for classes, dense in ((1, False), (2, False), (2, True)):
        network = DecisionNetwork(classes=classes, dense=dense, width=NARROW)
        for module in network.modules():
            if isinstance(module, (nn.BatchNorm2d, nn.Dropout)):
                module.eval()
        images = torch.rand(6, 3, 224, 224)
        network.training = True  # with batch norms and dropout as on the device
        logits = network(images)
        network.training = False
        templates = network(images)
        comparison = network.comparison().eval()
        for pair in range(3):
            first, second = templates[2 * pair], templates[2 * pair + 1]
            expected = network.head.eval()(torch.cat([first, second])[None])[0]
            assert torch.allclose(logits[pair], expected, atol=1e-5)
            genuine = expected.softmax(0)[1] if classes == 2 else expected.sigmoid()[0]
            found = comparison(torch.cat([first, second])[None]).sigmoid()
            assert found.shape == (1, 1)
            assert found.item() == pytest.approx(genuine.item(), abs=1e-5)


@pytest.mark.parametrize("dense", [False, True])
@pytest.mark.parametrize(("classes", "loss_of"), [(1, "bce"), (2, "cross_entropy")])
def test_a_decision_network_learns_pairs_by_heart(dense: bool, classes: int, loss_of: DecisionLoss) -> None:
    torch.manual_seed(1)
    images, mated = torch.rand(32, 3, 32, 32), torch.rand(16) < 0.5
    network = DecisionNetwork("mobilenet_v2", dense=dense, classes=classes, width=1 / 16).train()
    optimizer, objective = torch.optim.Adam(network.parameters(), 2e-3), PairDecision(loss_of=loss_of)
    losses = []
    for _ in range(50):
        loss = objective.loss(network(images), mated)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert sum(losses[-10:]) / 10 < losses[0] / 2


@pytest.mark.parametrize("classes", [1, 2])
def test_what_compares_stays_on_the_networks_device(classes: int) -> None:
    comparison = DecisionNetwork(classes=classes, width=NARROW).to("meta").comparison()
    assert {parameter.device.type for parameter in comparison.parameters()} == {"meta"}


def test_embeddings_are_of_unit_length() -> None:
    made = EmbeddingNetwork("resnet50", width=NARROW)(torch.rand(3, 3, 224, 224))
    assert torch.allclose(made.norm(dim=1), torch.ones(3), atol=1e-5)


def test_the_first_seven_convolutions_are_frozen() -> None:
    network = EmbeddingNetwork(frozen=7, width=NARROW).train()
    convolutions = [layer for layer in network.body.layers if isinstance(layer, nn.Conv2d)]
    assert len(convolutions) == 13
    assert [layer.weight.requires_grad for layer in convolutions] == [False] * 7 + [True] * 6
    norms = [layer for layer in network.body.layers if isinstance(layer, nn.BatchNorm2d)]
    assert [layer.training for layer in norms] == [False] * 7 + [True] * 6
    with pytest.raises(UsageError, match="first 13"):
        EmbeddingNetwork(frozen=14, width=NARROW)
    with pytest.raises(UsageError, match="first 1 "):
        EmbeddingNetwork("resnet50", frozen=7, width=NARROW)


@pytest.mark.parametrize("name", BODIES)
def test_weights_of_others_are_taken_in_their_order(name: str) -> None:
    network = EmbeddingNetwork(name, width=NARROW)
    theirs = made_up(network) | {"theirs.classifier.6.weight": torch.rand(3, 3)}  # what follows is left out
    network.load_pretrained(theirs)
    for key, value in network.state_dict().items():
        if not key.endswith("num_batches_tracked"):
            assert torch.equal(value, theirs[f"theirs.{key}"]), key


def test_the_order_is_torchvisions_and_timms() -> None:
    """The tensors of a block in the order in which both libraries define them: ResNet's projection comes last."""
    with torch.device("meta"):
        blocks = {name: BODIES[name](1.0).layers for name in ("resnet50", "mobilenet_v2")}
    weights = [tuple(value.shape) for key, value in blocks["resnet50"].state_dict().items() if value.ndim == 4]
    assert weights[:5] == [(64, 3, 7, 7), (64, 64, 1, 1), (64, 64, 3, 3), (256, 64, 1, 1), (256, 64, 1, 1)]
    weights = [tuple(value.shape) for key, value in blocks["mobilenet_v2"].state_dict().items() if value.ndim == 4]
    assert weights[:5] == [(32, 3, 3, 3), (32, 1, 3, 3), (16, 32, 1, 1), (96, 16, 1, 1), (96, 1, 3, 3)]


def test_a_decision_network_takes_the_body_alone() -> None:
    network, source = DecisionNetwork(width=NARROW), BODIES["vgg16_bn"](NARROW)
    head = {key: value.clone() for key, value in network.head.state_dict().items()}
    theirs = made_up(source)
    network.load_pretrained(theirs)
    assert torch.equal(network.body.layers[0].weight, theirs["theirs.layers.0.weight"])
    assert all(torch.equal(value, head[key]) for key, value in network.head.state_dict().items())


def test_timm_holds_vggs_dense_layer_as_a_convolution() -> None:
    network = EmbeddingNetwork(width=NARROW)
    theirs = made_up(network)
    flat = theirs["theirs.dense.weight"]
    network.load_pretrained(theirs | {"theirs.dense.weight": flat.view(len(flat), -1, 7, 7)})
    assert torch.equal(network.dense.weight, flat)


def test_weights_of_another_network_are_refused() -> None:
    network: Body = BODIES["resnet50"](NARROW)
    before = {key: value.clone() for key, value in network.state_dict().items()}
    theirs = made_up(network)
    with pytest.raises(RuntimeError, match="tensors, and the network has"):
        network.load_pretrained(dict(list(theirs.items())[:-1]))
    with pytest.raises(RuntimeError, match=r"is \("):
        network.load_pretrained(made_up(BODIES["resnext50_32x4d"](NARROW)))
    assert all(torch.equal(value, before[key]) for key, value in network.state_dict().items())
