"""A convolutional network of an ONNX file as a torch module, so that a foreign teacher runs in batches on any device.

A small interpreter: each operator of such networks is one torch function (:mod:`.onnx_operators`). What it does not
know is refused, never approximated.
"""

from __future__ import annotations

import inspect

import onnx
import torch
from onnx import helper, numpy_helper
from torch import Tensor, nn

from edge_sdk.errors import TrainingError
from edge_sdk.export.distillation.onnx_operators import OPERATORS


def read(content: bytes) -> onnx.ModelProto:
    """The model of an ONNX file.

    Raises:
        TrainingError: It is none.
    """
    try:
        model = onnx.load_model_from_string(content)
        onnx.checker.check_model(model)
    except Exception as error:  # protobuf's, the checker's, and those of names that are no text have no common root
        raise TrainingError(f"this is not an ONNX file that can be read: {error}") from error
    return model


class OnnxModule(nn.Module):
    """A network with one input and one output, for batches of any size, though the file may say 1.

    Its weights are buffers in float32, whatever the file stores them in: nothing of a teacher is trained.

    Attributes:
        input_shape: The input's shape behind the first dimension; 0 for one that the file leaves open.

    Args:
        model: A valid model, such as :func:`read` gives.

    Raises:
        TrainingError: It has an operator or an attribute that is not known here.
    """

    def __init__(self, model: onnx.ModelProto) -> None:
        super().__init__()
        graph = model.graph
        constants = {weights.name: torch.tensor(numpy_helper.to_array(weights)) for weights in graph.initializer}
        inputs = [value for value in graph.input if value.name not in constants]
        if len(inputs) != 1 or len(graph.output) != 1:
            raise TrainingError(
                f"the network has {len(inputs)} inputs and {len(graph.output)} outputs; a teacher has one of each"
            )
        self.input_shape = tuple(size.dim_value for size in inputs[0].type.tensor_type.shape.dim[1:])
        self._input, self._output = inputs[0].name, graph.output[0].name
        self._steps: list[_Step] = []
        for step in map(_Step, graph.node):
            if all(name in constants for name in step.inputs):
                constants[step.output] = step(constants)
            else:
                self._steps.append(step)
        used = {name: constants[name] for step in self._steps for name in step.inputs if name in constants}
        self._shapes = {name: value for name, value in used.items() if not value.is_floating_point()}
        self._weights = {
            name: f"weights{i}" for i, name in enumerate(name for name in used if name not in self._shapes)
        }
        for name, buffer in self._weights.items():
            self.register_buffer(buffer, used[name].float())

    def forward(self, images: Tensor) -> Tensor:
        values = {self._input: images, **self._shapes}
        values |= {name: self.get_buffer(buffer) for name, buffer in self._weights.items()}
        for step in self._steps:
            values[step.output] = step(values)
        return values[self._output]


class _Step:
    """A node of the graph."""

    def __init__(self, node: onnx.NodeProto) -> None:
        operator = OPERATORS.get(node.op_type)
        if operator is None or node.domain not in ("", "ai.onnx"):
            raise TrainingError(
                f"a teacher cannot have the operator {node.op_type}; known are {', '.join(sorted(OPERATORS))}"
            )
        self.attributes = {attribute.name: helper.get_attribute_value(attribute) for attribute in node.attribute}
        parameters = inspect.signature(operator).parameters.values()
        accepted = {parameter.name for parameter in parameters if parameter.kind is parameter.KEYWORD_ONLY}
        if unknown := sorted(self.attributes.keys() - accepted):
            raise TrainingError(f"{node.op_type} with {', '.join(unknown)} is not known to this reader")
        self.operator = operator
        self.inputs = tuple(node.input)
        self.output = node.output[0]

    def __call__(self, values: dict[str, Tensor]) -> Tensor:
        return self.operator(*(values[name] for name in self.inputs), **self.attributes)
