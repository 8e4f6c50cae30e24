"""Networks as float TFLite: the same function, NHWC in the file, and nothing of this machine in it."""

from __future__ import annotations

import sys

import numpy as np
import pytest
import torch
from torch import nn

from edge_sdk.errors import ConversionError, MissingToolError
from edge_sdk.export import recipes
from edge_sdk.export.formats.float_tflite import to_tflite
from edge_sdk.runtime.engines import load_engine

REASON = "converting to TFLite needs edge-sdk[tflite-export]"


def run(model: bytes, samples: np.ndarray) -> np.ndarray:
    return load_engine("litert", model, "tflite").run({"image": samples})["embedding"]


def test_the_file_computes_the_network(tflite_models) -> None:
    np.testing.assert_allclose(run(tflite_models.fp32, tflite_models.samples), tflite_models.expected, atol=1e-5)


def test_the_file_is_named_and_laid_out_as_the_engines_expect(tflite_models) -> None:
    from ai_edge_litert.interpreter import Interpreter

    interpreter = Interpreter(model_content=tflite_models.fp32)
    assert interpreter.get_signature_list() == {"serving_default": {"inputs": ["image"], "outputs": ["embedding"]}}
    (image,), (embedding,) = interpreter.get_input_details(), interpreter.get_output_details()
    assert (image["name"], tuple(image["shape"])) == ("image", (1, 150, 180, 1))
    assert (embedding["name"], tuple(embedding["shape"])) == ("embedding", (1, 240))


def test_no_source_names_remain(tflite_models) -> None:
    for word in (b"torch", b"deepsign", b"site-packages", b".py"):
        assert word not in tflite_models.fp32


class Maps(nn.Module):
    """Maps to maps, with all that needs care: leaky ReLU, and transposed convolutions with a bias."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.Conv2d(2, 8, 4, 2, 1),
            nn.BatchNorm2d(8),
            nn.LeakyReLU(0.2),
            nn.ConvTranspose2d(8, 3, 4, 2, 1),
            nn.Tanh(),
        )

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.layers(x)


def test_maps_keep_their_axes_and_the_network_stays_as_it_is() -> None:
    pytest.importorskip("litert_torch", reason=REASON)
    network = Maps()
    before = {name: value.clone() for name, value in network.state_dict().items()}
    samples = torch.rand(2, 2, 12, 20) - 0.5
    model = to_tflite(network, (2, 12, 20))
    assert network.training
    assert isinstance(network.layers[2], nn.LeakyReLU)
    assert all(torch.equal(value, before[name]) for name, value in network.state_dict().items())
    with torch.no_grad():
        expected = network.eval()(samples).numpy()
    values = run(model, samples.numpy())
    assert values.shape == (2, 3, 12, 20)
    np.testing.assert_allclose(values, expected, atol=1e-5)


def test_output_padding_which_tflite_lacks_becomes_a_larger_kernel() -> None:
    pytest.importorskip("litert_torch", reason=REASON)
    torch.manual_seed(0)
    network = nn.Sequential(nn.ConvTranspose2d(2, 3, 3, 2, 1, output_padding=1), nn.ReLU())
    samples = np.random.default_rng(0).standard_normal((2, 2, 5, 6)).astype(np.float32)
    with torch.no_grad():
        expected = network(torch.from_numpy(samples)).numpy()
    assert expected.shape == (2, 3, 10, 12)
    assert np.allclose(run(to_tflite(network, (2, 5, 6)), samples), expected, atol=1e-5)


def test_equal_networks_give_equal_bytes_and_nothing_is_printed(capfd: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("litert_torch", reason=REASON)
    network = nn.Sequential(nn.Conv2d(1, 4, 3), nn.Flatten())
    assert to_tflite(network, (1, 8, 8)) == to_tflite(network, (1, 8, 8))
    assert capfd.readouterr() == ("", "")


class Branching(nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x if x.sum() > 0 else -x


def test_what_cannot_be_converted_is_a_typed_error() -> None:
    pytest.importorskip("litert_torch", reason=REASON)
    with pytest.raises(ConversionError, match="cannot be converted to TFLite") as caught:
        to_tflite(Branching(), (1, 8, 8))
    assert caught.value.__cause__ is not None


def test_a_missing_converter_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "litert_torch", None)
    with pytest.raises(MissingToolError, match='with the extra "tflite-export"') as caught:
        to_tflite(nn.Identity(), (1, 8, 8))
    assert isinstance(caught.value, ImportError)


@pytest.mark.parametrize(("name", "reshapes"), [("gait", 5), ("gait_lite", 2)])
def test_cycles_are_turned_round_once(name: str, reshapes: int) -> None:
    """A step cycle ``(4, 100)`` becomes a map of height 1 by one TRANSPOSE; norms over time need none."""
    pytest.importorskip("litert_torch", reason=REASON)
    from ai_edge_litert.interpreter import Interpreter

    network = recipes.get(name).tiny().eval().inference_model(["features"])
    interpreter = Interpreter(model_content=to_tflite(network, (4, 100), ("features",)))
    interpreter.allocate_tensors()
    operators = [one["op_name"] for one in interpreter._get_ops_details()]
    assert (operators.count("TRANSPOSE"), operators.count("RESHAPE")) == (1, reshapes)
