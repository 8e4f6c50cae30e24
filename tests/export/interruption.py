"""A training that is stopped as a killed process is."""

from __future__ import annotations

import pytest
from edge_sdk.export.training import loop
from edge_sdk.export.training.run import TrainingRun


class Killed(Exception):
    """Stands for the signal."""


def train_until(run: TrainingRun, step: int) -> None:
    """Train, and stop before the step of this number."""
    take_step = loop._Loop._take_step

    def stopping(self: loop._Loop) -> float:
        if self.step == step:
            raise Killed
        return take_step(self)

    with pytest.MonkeyPatch.context() as patch, pytest.raises(Killed):
        patch.setattr(loop._Loop, "_take_step", stopping)
        loop.train(run, quiet=True)
