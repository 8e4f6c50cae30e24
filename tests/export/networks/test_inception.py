"""NN2 and Inception-ResNet-V2: the documents' counts line by line, and their parts against explicit loops."""

from __future__ import annotations

import math

import pytest
import torch
from torch import nn

from edge_sdk.export.formats.float_onnx import fold_batch_norm
from edge_sdk.export.networks.inception import NN2, L2Pool, MeanPool, ShiftedBatchNorm, convolution
from edge_sdk.export.networks.inception_resnet import InceptionResNetV2, ScaledResidual

# Name, output size, depth, parameters without biases, millions of multiply-adds (essay, table 2, computed exactly).
TABLE_2 = (
    ("conv1", (64, 112, 112), 1, 9_408, 118.0),
    ("pool1", (64, 56, 56), 0, 0, 0),
    ("2", (192, 56, 56), 2, 114_688, 359.7),
    ("pool2", (192, 28, 28), 0, 0, 0),
    ("3a", (256, 28, 28), 2, 163_328, 128.0),
    ("3b", (320, 28, 28), 2, 227_328, 178.2),
    ("3c", (640, 14, 14), 2, 397_312, 108.0),
    ("4a", (640, 14, 14), 2, 544_768, 106.8),
    ("4b", (640, 14, 14), 2, 594_432, 116.5),
    ("4c", (640, 14, 14), 2, 653_312, 128.0),
    ("4d", (640, 14, 14), 2, 721_408, 141.4),
    ("4e", (1024, 7, 7), 2, 716_800, 56.2),
    ("5a", (1024, 7, 7), 2, 1_587_200, 77.8),
    ("5b", (1024, 7, 7), 2, 1_587_200, 77.8),
    ("fc", (128,), 1, 131_072, 0.1),
)


def multiply_adds(network: nn.Module, *shape: int) -> dict[str, int]:
    """Of each convolution and dense layer by name, for one input."""
    counts: dict[str, int] = {}

    def count(name: str):
        def hook(layer: nn.Module, _inputs: object, output: torch.Tensor) -> None:
            counts[name] = layer.weight.numel() * math.prod(output.shape[2:])

        return hook

    handles = [
        layer.register_forward_hook(count(name))
        for name, layer in network.named_modules()
        if isinstance(layer, nn.Conv2d | nn.Linear)
    ]
    with torch.no_grad():
        network.eval()(torch.rand(1, *shape))
    for handle in handles:
        handle.remove()
    return counts


def test_nn2_is_the_papers_table_line_by_line() -> None:
    network = NN2()
    shapes: dict[str, tuple[int, ...]] = {}
    for name, layer in network.features.named_children():
        layer.register_forward_hook(lambda _layer, _inputs, output, name=name: shapes.update({name: output.shape[1:]}))
    counts = multiply_adds(network, 3, 224, 224)
    lines = {**dict(network.features.named_children()), "fc": network.embedding.dense}
    assert list(lines) == [line[0] for line in TABLE_2]
    for name, shape, depth, parameters, millions in TABLE_2:
        weights = [p.numel() for p in lines[name].parameters() if p.dim() > 1]
        assert sum(weights) == parameters, name
        assert shapes.get(name, (128,)) == shape, name
        prefix = "embedding.dense" if name == "fc" else f"features.{name}."
        assert sum(n for layer, n in counts.items() if layer.startswith(prefix)) / 1e6 == pytest.approx(
            millions, abs=0.051
        ), name
        assert (len(weights) > 0) + (len(weights) > 1) == depth, name
    trained = [p for p in network.parameters() if p.requires_grad]
    assert sum(p.numel() for p in trained if p.dim() > 1) == 7_448_256
    assert sum(p.numel() for p in trained) == 7_456_304  # with a shift, or a bias, for each channel
    assert sum(counts.values()) / 1e6 == pytest.approx(1597, abs=0.5)


def test_nn2_pools_as_the_papers_table_says() -> None:
    pools = {
        name: next(type(m).__name__ for m in layer.modules() if isinstance(m, nn.MaxPool2d | L2Pool))
        for name, layer in NN2(width=0.02).features.named_children()
        if name[0] in "345"
    }
    l2 = {"3b", "4a", "4b", "4c", "4d", "5a"}
    assert pools == {name: "L2Pool" if name in l2 else "MaxPool2d" for name in pools}


def test_l2_pooling_by_loops_and_by_torch() -> None:
    x = torch.randn(2, 3, 5, 4, generator=torch.Generator().manual_seed(0)).relu()
    found = L2Pool()(x)
    for n in range(2):
        for c in range(3):
            for row in range(5):
                for column in range(4):
                    squares = 0.0
                    for y in range(max(0, row - 1), min(5, row + 2)):
                        for z in range(max(0, column - 1), min(4, column + 2)):
                            squares += x[n, c, y, z].item() ** 2
                    assert found[n, c, row, column].item() == pytest.approx(math.sqrt(squares), abs=2e-6)
    assert torch.allclose(found, nn.LPPool2d(2, 3, 1)(nn.functional.pad(x, (1, 1, 1, 1))), atol=2e-6)


def test_l2_pooling_of_zeros_has_a_gradient() -> None:
    x = torch.zeros(1, 1, 4, 4, requires_grad=True)
    made = L2Pool()(x)
    assert made.max().item() <= 1.1e-6
    made.sum().backward()
    assert x.grad is not None
    assert torch.equal(x.grad, torch.zeros_like(x))


def test_the_mean_pool_is_keras_same_padding_in_training_and_after() -> None:
    pool, x = MeanPool(), torch.randn(2, 3, 5, 4, generator=torch.Generator().manual_seed(0), requires_grad=True)
    trained, after = pool.train()(x), pool.eval()(x)
    for row in range(5):
        for column in range(4):
            window = x[..., max(0, row - 1) : row + 2, max(0, column - 1) : column + 2]
            assert torch.allclose(trained[..., row, column], window.mean(dim=(2, 3)), atol=1e-6)
    assert torch.allclose(trained, after, atol=1e-6)
    weight = torch.randn(2, 3, 5, 4, generator=torch.Generator().manual_seed(1))
    (first,), (second,) = (torch.autograd.grad((made * weight).sum(), x) for made in (trained, after))
    assert torch.allclose(first, second, atol=1e-6)


def test_no_layer_in_training_pads_an_average_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    """PyTorch's own padding has wrong gradients on CUDA in channels-last order (pytorch/pytorch#188344)."""
    inner, padded = nn.functional.avg_pool2d, []

    def watched(x: torch.Tensor, kernel: int, stride: int, padding: int = 0, **options: bool) -> torch.Tensor:
        padded.append(padding)
        return inner(x, kernel, stride, padding, **options)

    monkeypatch.setattr(nn.functional, "avg_pool2d", watched)
    for network in (NN2(width=0.02), InceptionResNetV2(width=0.02, depth=0.1)):
        network(torch.rand(2, 3, 80, 80))
        assert not any(isinstance(layer, nn.AvgPool2d) for layer in network.modules())
    assert len(padded) == 6 + 2
    assert not any(padded)


def test_the_batch_norm_is_keras_without_a_scale() -> None:
    norm = ShiftedBatchNorm(2)
    assert [name for name, p in norm.named_parameters() if p.requires_grad] == ["bias"]
    x = 3 + 2 * torch.randn(64, 2, 3, 3, generator=torch.Generator().manual_seed(0))
    made = norm(x)
    for channel in range(2):
        part = x[:, channel]
        expected = (part - part.mean()) / (part.var(unbiased=False) + 0.001).sqrt()
        assert torch.allclose(made[:, channel], expected, atol=1e-5)
        # Keras keeps .995 of the running mean, which starts at 0.
        assert norm.running_mean[channel].item() == pytest.approx(0.005 * part.mean().item(), rel=1e-4)


def test_inception_resnet_has_the_documents_counts() -> None:
    network = InceptionResNetV2()
    trained = sum(p.numel() for p in network.parameters() if p.requires_grad)
    statistics = sum(b.numel() for name, b in network.named_buffers() if "running" in name)
    dense = sum(p.numel() for p in network.embedding.parameters())
    assert dense == 196_736
    assert trained - dense == 54_276_192
    assert trained + statistics == 54_533_472
    assert sum(isinstance(layer, nn.Conv2d) for layer in network.modules()) == 244
    counted = {"block35": (10, 123_408, 0.17), "block17": (20, 1_127_456, 0.1), "block8": (10, 2_036_288, 0.2)}
    for name, (blocks, parameters, scale) in counted.items():
        found = [block for block in network.stages.get_submodule(name) if isinstance(block, ScaledResidual)]
        assert len(found) == blocks
        for block in found:
            tensors = [p for p in block.parameters() if p.requires_grad]
            tensors += [b for key, b in block.named_buffers() if "running" in key]
            assert sum(t.numel() for t in tensors) == parameters
            final = (name, block) == ("block8", found[-1])
            assert block.scale == (1 if final else scale)
            assert isinstance(block.activation, nn.Identity if final else nn.ReLU)
    assert sum(multiply_adds(network, 3, 139, 139).values()) / 1e9 == pytest.approx(2.26, abs=0.005)


@pytest.mark.parametrize("network", [NN2(width=0.03), InceptionResNetV2(width=0.03, depth=0.1)], ids=["nn2", "resnet"])
def test_embeddings_are_unit_vectors_and_every_weight_learns(network: NN2 | InceptionResNetV2) -> None:
    made = network(torch.rand(4, 3, 96, 96))
    assert made.shape == (4, 128)
    assert torch.allclose(made.norm(dim=1), torch.ones(4), atol=1e-5)
    made[:, :64].sum().backward()
    for name, parameter in network.named_parameters():
        assert (parameter.grad is not None) == parameter.requires_grad, name
        assert parameter.grad is None or parameter.grad.isfinite().all(), name


def test_the_device_scales_no_residual() -> None:
    network = InceptionResNetV2(width=0.03, depth=0.1).eval()
    device = network.inference_model(())
    x = torch.rand(2, 3, 75, 75)
    with torch.no_grad():
        assert torch.allclose(device(x), network(x), atol=1e-5)
        assert torch.allclose(fold_batch_norm(device)(x), network(x), atol=1e-5)
    assert {block.scale for block in device.modules() if isinstance(block, ScaledResidual)} == {1}
    assert {block.scale for block in network.modules() if isinstance(block, ScaledResidual)} == {0.17, 0.1, 1}


@pytest.mark.parametrize("build", [NN2, InceptionResNetV2])
def test_the_statistics_follow_as_fast_as_asked(build: type[NN2 | InceptionResNetV2]) -> None:
    for options, momentum in (({}, 0.005), ({"momentum": 0.1}, 0.1)):
        network = build(width=0.02, **options)
        assert {m.momentum for m in network.modules() if isinstance(m, nn.BatchNorm2d)} == {momentum}


def test_convolutions_keep_the_size_unless_told() -> None:
    x = torch.rand(1, 2, 9, 7)
    assert convolution(2, 3, (1, 7))(x).shape == convolution(2, 3, 5)(x).shape == (1, 3, 9, 7)
    assert convolution(2, 3, 3, 2, 0)(x).shape == (1, 3, 4, 3)
