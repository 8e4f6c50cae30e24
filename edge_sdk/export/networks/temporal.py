"""Networks of the gait paper (document 000): rows of a step cycle ``(N, 4, 100)`` to 512 features.

:class:`TemporalConvolutions` is the printed table of the appendix, layer by layer; :class:`FeedForward` and
:class:`Recurrent` are the other two rows of table 1, for which the paper has no layer table.

The appendix prints no activation, as Keras prints none that is an argument of a layer. Without any the whole network
would be one matrix. Here a ReLU follows every convolution, the locally connected layer and the first dense layer; the
features themselves have none, so that a linear map behind them can be joined to the last layer.
"""

from __future__ import annotations

import copy

import torch
from torch import nn

EPSILON, MOMENTUM = 1e-3, 0.01
"""Of batch norms: Keras' defaults; its momentum of .99 is PyTorch's .01."""
AXES, SAMPLES = 4, 100
"""Rows x, y, z and magnitude, and samples of a cycle."""
SIZE = 512
MAPS, PERMUTED, LOCAL = 64, 32, 16
"""Channels of the convolutions, of the one that takes time steps for channels, and of the locally connected layer."""


class TimeNorm(nn.BatchNorm1d):
    """Batch norm over time, Keras' ``axis=-1`` of ``(N, C, H, T)``: each time step has a scale and a shift."""

    def __init__(self, steps: int) -> None:
        super().__init__(steps, eps=EPSILON, momentum=MOMENTUM)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        count, channels, rows, steps = x.shape
        # Channels last, as the training loop keeps maps in memory: nothing is copied.
        maps = super().forward(x.permute(0, 2, 3, 1).reshape(count * rows, steps, channels))
        return maps.view(count, rows, steps, channels).permute(0, 3, 1, 2)


class SameConvolution(nn.Module):
    """Convolution along time and ReLU, as long as its input; an even kernel has a zero more behind it, as in Keras."""

    def __init__(self, inputs: int, outputs: int, kernel: int) -> None:
        super().__init__()
        before = (kernel - 1) // 2
        self.pad = nn.ZeroPad2d((before, kernel - 1 - before, 0, 0))
        self.conv = nn.Conv2d(inputs, outputs, (1, kernel))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.relu(self.conv(self.pad(x)))


class LocallyConnected(nn.Module):
    """Keras' ``LocallyConnected2D`` of ``(N, 1, 4, T)``: windows of 4 x 4 side by side, each with weights of its own.

    Attributes:
        weight: ``(places, 16, filters)``, a window's values row by row.
        bias: ``(places, filters)``.
    """

    def __init__(self, places: int, filters: int) -> None:
        super().__init__()
        self.places = places
        self.weight = nn.Parameter(torch.empty(places, AXES * 4, filters))
        self.bias = nn.Parameter(torch.zeros(places, filters))
        for place in self.weight.data:
            nn.init.xavier_uniform_(place)  # Keras' Glorot, of one window

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """To ``(N, filters, 1, places)``."""
        windows = x[:, 0, :, : 4 * self.places].unflatten(2, (self.places, 4))
        rows = windows.permute(2, 0, 1, 3).flatten(2)  # (places, N, 16)
        made = torch.baddbmm(self.bias[:, None], rows, self.weight)
        return torch.relu(made).permute(1, 2, 0)[:, :, None]


class TemporalConvolutions(nn.Module):
    """The table of the appendix up to ``dense_5``: ``(N, 4, 100)`` to ``(N, 512)``, 1,635,776 parameters.

    Layers are named as in the table, where their numbers go on from networks built before. Its ``lambda_3`` makes
    channels of the time steps, so ``conv2d_16`` runs along the 64 maps; its ``lambda_4`` changes no shape, what else it
    does is unknown, and it is left out.

    Args:
        width: Share of the channels and of the dense layers, for tests.
        dropout: Share of the inputs of both dense layers that are dropped in training; the table has none.

    Attributes:
        last: The layer that gives the features.
    """

    last = "dense_5"

    def __init__(self, *, width: float = 1.0, dropout: float = 0.0) -> None:
        super().__init__()
        maps, permuted, local, dense, size = (
            max(4, round(count * width)) for count in (MAPS, PERMUTED, LOCAL, SIZE, SIZE)
        )
        inside, steps, places = SAMPLES - 4, SAMPLES - 8, SAMPLES // 3 // 4
        self.size = size
        self.conv2d_9 = nn.Conv2d(1, maps, (1, 5))
        self.norm_9 = TimeNorm(inside)
        self.conv2d_10 = nn.Conv2d(maps, maps, (AXES, 5))
        self.norm_10 = TimeNorm(steps)
        self.residual = nn.ModuleList(
            nn.Sequential(SameConvolution(maps, maps, kernel), TimeNorm(steps)) for kernel in (4, 8, 8, 8, 8)
        )
        self.conv2d_16 = SameConvolution(steps, permuted, 8)
        self.dense_4 = nn.Linear(maps * permuted, dense)
        self.pool = nn.AvgPool2d((1, 3))
        self.locally_connected = LocallyConnected(places, local)
        self.dense_5 = nn.Linear(dense + places * local, size)
        self.dropout = nn.Dropout(dropout)
        for module in self.modules():
            if isinstance(module, nn.Conv2d | nn.Linear):
                nn.init.xavier_uniform_(module.weight)  # Keras' default
                assert module.bias is not None
                nn.init.zeros_(module.bias)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        image = x[:, None]
        maps = self.norm_9(torch.relu(self.conv2d_9(image)))
        maps = self.norm_10(torch.relu(self.conv2d_10(maps)))
        for block in self.residual:
            maps = maps + block(maps)
        made = self.conv2d_16(maps.permute(0, 3, 2, 1))
        dense = torch.relu(self.dense_4(self.dropout(made.permute(0, 2, 3, 1).flatten(1))))
        local = self.locally_connected(self.pool(image)).flatten(1)
        features: torch.Tensor = self.dense_5(self.dropout(torch.cat([dense, local], dim=1)))
        return features


class FeedForward(nn.Module):
    """The multi-layer perceptron of table 1, for which the paper has no layer table: two hidden layers of 1,024."""

    last = "layers.7"

    def __init__(self, *, width: float = 1.0) -> None:
        super().__init__()
        hidden, self.size = (max(4, round(count * width)) for count in (1024, SIZE))
        self.layers = nn.Sequential(
            *(nn.Flatten(), nn.Linear(AXES * SAMPLES, hidden), nn.ReLU()),
            *(nn.BatchNorm1d(hidden, eps=EPSILON, momentum=MOMENTUM), nn.Linear(hidden, hidden), nn.ReLU()),
            *(nn.BatchNorm1d(hidden, eps=EPSILON, momentum=MOMENTUM), nn.Linear(hidden, self.size)),
        )

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        features: torch.Tensor = self.layers(x)
        return features


class Recurrent(nn.Module):
    """The recurrent network of table 1, for which the paper has no layer table: two LSTM layers of 256 cells.

    The features are a dense layer of the last state.
    """

    last = "dense"

    def __init__(self, *, width: float = 1.0) -> None:
        super().__init__()
        cells, self.size = (max(4, round(count * width)) for count in (256, SIZE))
        self.cells = nn.LSTM(AXES, cells, num_layers=2, batch_first=True)
        self.dense = nn.Linear(cells, self.size)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        features: torch.Tensor = self.dense(self.cells(x.transpose(1, 2))[0][:, -1])
        return features


class _TimeScale(nn.Module):
    """What a :class:`TimeNorm` computes when it is trained: a scale and a shift of each time step.

    Both are ``(1, 1, 1, T)``: LiteRT's converter puts a transposition before and behind a product with ``(T,)``.
    """

    scale: torch.Tensor
    shift: torch.Tensor

    def __init__(self, norm: TimeNorm) -> None:
        super().__init__()
        assert norm.running_mean is not None and norm.running_var is not None
        scale = norm.weight / (norm.running_var + norm.eps).sqrt()
        shift = norm.bias - norm.running_mean * scale
        self.register_buffer("scale", scale.detach().view(1, 1, 1, -1))
        self.register_buffer("shift", shift.detach().view(1, 1, 1, -1))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x * self.scale + self.shift


class _PlacesAsOne(nn.Module):
    """What a :class:`LocallyConnected` computes, as one dense layer whose weights are 0 between places.

    No format has the layer itself; and one matrix is faster than eight small ones.
    """

    def __init__(self, layer: LocallyConnected) -> None:
        super().__init__()
        places, inputs, filters = layer.weight.shape
        self.shape = (filters, 1, places)
        self.columns = 4 * places
        self.dense = nn.Linear(places * inputs, places * filters)
        weight = torch.zeros(filters, places, AXES, places, 4)
        for place, window in enumerate(layer.weight.detach()):
            weight[:, place, :, place] = window.T.reshape(filters, AXES, 4)
        self.dense.weight.data = weight.reshape(filters * places, -1)
        self.dense.bias.data = layer.bias.detach().T.flatten()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        made = torch.relu(self.dense(x[:, 0, :, : self.columns].flatten(1)))
        return made.unflatten(1, self.shape)


def deployed(features: nn.Module) -> nn.Module:
    """A copy, in evaluation mode, of layers that every format has: the same function."""
    features = copy.deepcopy(features).eval()
    for name, module in list(features.named_modules()):
        if isinstance(module, TimeNorm):
            features.set_submodule(name, _TimeScale(module))
        elif isinstance(module, LocallyConnected):
            features.set_submodule(name, _PlacesAsOne(module))
    return features
