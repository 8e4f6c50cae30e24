from __future__ import annotations

from collections import Counter

import numpy as np

from edge_sdk.export.evaluation.model_outputs import KEPT, ModelOutputs

ROLES = ("validation", "thresholds", "guardrail", "test")


def test_each_model_is_run_once_and_few_results_are_kept() -> None:
    """As an export does: many versions of a model against one reference, then the chosen one on all people."""
    outputs, runs = ModelOutputs(), Counter[tuple[bytes, str]]()

    def ask(model: bytes, role: str) -> None:
        def compute() -> np.ndarray:
            runs[model, role] += 1
            return np.full(3, len(model))

        assert (outputs.get(model, role, compute) == len(model)).all()
        assert len(outputs) <= KEPT

    for role in ROLES:
        ask(b"float", role)
    for number in range(100):
        ask(b"float", "validation")
        ask(b"version" + bytes(number), "validation")
    assert runs[b"float", "validation"] == 1
    for role in ROLES * 2:
        ask(b"float", role)
        ask(b"chosen", role)
    assert all(runs[b"chosen", role] == 1 for role in ROLES)
    assert all(count <= 2 for count in runs.values())


def test_no_model_is_held() -> None:
    outputs = ModelOutputs(kept=2)
    model = bytearray(b"model")
    outputs.get(bytes(model), "test", lambda: np.zeros(1))
    assert all(len(digest) == 32 for digest, _ in outputs._arrays)
    outputs.get(b"b", "test", lambda: np.zeros(1))
    outputs.get(b"c", "test", lambda: np.zeros(1))
    assert outputs.get(b"model", "test", lambda: np.ones(1)) == 1
