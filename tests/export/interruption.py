"""A training that is stopped as a killed process is."""

from __future__ import annotations

import pytest

from edge_sdk.export.training import loop
from edge_sdk.export.training.run import TrainingRun


class KilledError(Exception):
    """Stands for the signal."""


def train_until(run: TrainingRun, step: int) -> None:
    """Train, and stop before the step of this number."""
    take_step = loop._Loop._take_step

    def stopping(self: loop._Loop) -> float:
        if self.step == step:
            raise KilledError
        return take_step(self)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(loop._Loop, "_take_step", stopping)
        with pytest.raises(KilledError):
            loop.train(run, quiet=True)
