"""Settings of a training in place of its preset's."""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Literal, get_args

import msgspec

from edge_sdk.errors import UsageError

if TYPE_CHECKING:  # torch, which reading a run's record does not need
    from edge_sdk.export.recipes import Preset

Optimizer = Literal["adam", "adamw", "rmsprop", "sgd", "nesterov"]


class Hyperparameters(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """What a run changes of its preset; None leaves it as it is.

    Attributes:
        weight_decay: The optimiser's own, on all parameters.
        penalty: Every coefficient of the preset's L2 penalty.
        dropout: The network's option of this name.

    Raises:
        UsageError: A rate that is not above 0, or another value below 0 or not finite; a dropout of 1 or more.
    """

    optimizer: Optimizer | None = None
    learning_rate: float | None = None
    weight_decay: float | None = None
    penalty: float | None = None
    dropout: float | None = None

    def __post_init__(self) -> None:
        for name, value in self.as_dict().items():
            if isinstance(value, float):
                highest = 1.0 if name == "dropout" else math.inf
                if not 0 <= value < highest or (name == "learning_rate" and value == 0):
                    raise UsageError(f"a {name.replace('_', ' ')} of {value:g} cannot be trained with")

    def __str__(self) -> str:
        """``optimizer sgd, learning rate 0.03``; empty where nothing is changed."""
        return ", ".join(f"{name.replace('_', ' ')} {_shown(value)}" for name, value in self.as_dict().items())

    @property
    def options(self) -> str:
        """The options of ``edge-sdk train`` that ask for the same."""
        return " ".join(f"--{name.replace('_', '-')} {_shown(value)}" for name, value in self.as_dict().items())

    @classmethod
    def of(cls, values: dict[str, Any]) -> Hyperparameters:
        """Of plain values, None where nothing is changed. Raises UsageError for what is none, such as an optimiser."""
        try:
            return msgspec.convert(values, cls)
        except msgspec.ValidationError as error:
            if isinstance(error.__cause__, UsageError):
                raise error.__cause__ from None
            raise UsageError(f"no hyper-parameter: {error}; optimisers are {', '.join(get_args(Optimizer))}") from error

    def as_dict(self) -> dict[str, str | float]:
        """What is changed, by name."""
        return {name: value for name in self.__struct_fields__ if (value := getattr(self, name)) is not None}

    def changed(self, preset: Preset) -> Preset:
        """The preset with these settings; betas are those of another optimiser no more.

        Raises:
            UsageError: It has no penalty that could be changed.
        """
        settings: dict[str, Any] = {
            name: value for name, value in self.as_dict().items() if name not in ("penalty", "dropout")
        }
        if self.optimizer not in (None, preset.optimizer):
            settings["betas"] = None
        if self.penalty is not None:
            if not preset.penalty:
                raise UsageError("the preset has no L2 penalty to change; --weight-decay is the optimiser's own")
            settings["penalty"] = dict.fromkeys(preset.penalty, self.penalty)
        if self.dropout is not None:
            settings["network"] = {**preset.network, "dropout": self.dropout}
        return replace(preset, **settings)

    def require(self, build: Callable[..., Any], name: str) -> None:
        """Raises UsageError unless the network that ``build`` makes has what is changed of it."""
        if self.dropout is not None and "dropout" not in inspect.signature(build).parameters:
            raise UsageError(f"the network of {name} has no rate of dropout to change")


UNCHANGED = Hyperparameters()


def _shown(value: float | str) -> str:
    return value if isinstance(value, str) else f"{value:g}"
