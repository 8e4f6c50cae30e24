"""Changes of gait cycles, one by one; people made of others."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from edge_sdk.errors import UsageError
from edge_sdk.export.data.cache import PreparedRows
from edge_sdk.export.data.gait.augmentation import CycleAugmentation, rotation, warped
from edge_sdk.export.data.gait.derived import DerivedWalkers
from edge_sdk.export.data.samples import Sample

STILL = {"flip": 0, "rotation": 0, "roll": 0, "shift": 0, "warp": 0, "scale": 0, "noise": 0}
MOMENTS = np.arange(100) / 100


def cycle(seed: int = 0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    axes = np.stack([1 + np.sin(2 * np.pi * (k + 1) * MOMENTS + rng.uniform(0, 6)) for k in range(3)])
    return np.concatenate([axes, np.linalg.norm(axes, axis=0)[None]]).astype(np.float32)


def changed(augmentation: CycleAugmentation, seed: int = 0) -> np.ndarray:
    return augmentation.for_person(np.random.default_rng(9))(cycle(), np.random.default_rng(seed))


def test_nothing_is_changed_where_nothing_is_asked_for() -> None:
    np.testing.assert_allclose(changed(CycleAugmentation(**STILL)), cycle(), atol=1e-6)


def test_each_change_alone() -> None:
    x = cycle()
    flipped = changed(CycleAugmentation(**STILL | {"flip": 1}))
    np.testing.assert_allclose(flipped, x * [[1], [-1], [-1], [1]], atol=1e-6)
    rolled = changed(CycleAugmentation(**STILL | {"roll": 1}))
    np.testing.assert_allclose(rolled, np.concatenate([x[:, 50:], x[:, :50]], axis=1), atol=1e-6)
    shifted = [changed(CycleAugmentation(**STILL | {"shift": 0.03}), seed) for seed in range(40)]
    places = {
        int(np.abs(np.stack([np.roll(x, k, axis=1) for k in range(-50, 50)]) - one).sum((1, 2)).argmin()) - 50
        for one in shifted
    }
    assert places == set(range(-3, 4))
    turned = changed(CycleAugmentation(**STILL | {"rotation": 20}))
    assert not np.allclose(turned[:3], x[:3], atol=0.01)
    np.testing.assert_allclose(np.linalg.norm(turned[:3], axis=0), x[3], rtol=1e-5)
    np.testing.assert_allclose(turned[3], x[3], rtol=1e-6)
    scaled = changed(CycleAugmentation(**STILL | {"scale": 0.1})) / x
    np.testing.assert_allclose(scaled, scaled[0, 0], rtol=1e-5)
    assert scaled[0, 0] != pytest.approx(1, abs=1e-3)
    noise = changed(CycleAugmentation(**STILL | {"noise": 0.1})) - x
    assert noise.std() == pytest.approx(0.1, rel=0.15)
    assert changed(CycleAugmentation()).dtype == np.float32


def test_time_runs_forwards_and_ends_stay() -> None:
    ramp = np.linspace(0, 1, 100)[None]
    for shifts in ([0.1, 0.1], [-0.1, 0.1], [0.1, -0.1], [-0.1, -0.1]):
        read = warped(ramp, np.array(shifts))[0]
        assert (np.diff(read) > 0).all()
        assert read[[0, -1]] == pytest.approx([0, 1], abs=1e-9)
    middle = warped(np.linspace(0, 1, 101)[None], np.array([0.05, 0.0]))[0, 50]
    assert middle == pytest.approx(0.55)  # sin is 1 there


def test_a_rotation_by_hand() -> None:
    np.testing.assert_allclose(
        rotation(np.array([0, 0, 2.0]), np.pi / 2), [[0, -1, 0], [1, 0, 0], [0, 0, 1]], atol=1e-12
    )


@pytest.mark.parametrize("changes", [{"flip": 1.5}, {"roll": -0.1}, {"noise": -1}, {"warp": 0.2}, {"shift": 2}])
def test_changes_that_are_none(changes: dict[str, float]) -> None:
    with pytest.raises(UsageError, match="chances are from 0 to 1"):
        CycleAugmentation(**changes)


def test_people_are_made_of_others() -> None:
    samples = tuple(Sample("own", f"own/{name}", True, Path(f"{name}.csv"), modality="gait") for name in "ab")
    cycles = np.stack([cycle(1), cycle(2)])
    made = DerivedWalkers()(PreparedRows(cycles, samples))
    assert [sample.subject for sample in made.samples] == [
        *("own/a", "own/b", "own/a~reversed", "own/b~reversed"),
        *("own/a~inverted", "own/b~inverted", "own/a~reversed~inverted", "own/b~reversed~inverted"),
    ]
    assert [sample.path for sample in made.samples] == [sample.path for sample in samples] * 4
    np.testing.assert_array_equal(made.tensors[:2], cycles)
    np.testing.assert_array_equal(made.tensors[2:4], cycles[..., ::-1])
    for k in range(2):
        down = made.tensors[4 + k]
        np.testing.assert_allclose(down[0], 2 * cycles[k, 0].mean() - cycles[k, 0], rtol=1e-5)
        np.testing.assert_array_equal(down[1:3], cycles[k, 1:3])
        np.testing.assert_allclose(down[3], np.sqrt((down[:3] ** 2).sum(axis=0)), rtol=1e-5)
    np.testing.assert_allclose(made.tensors[6:], made.tensors[4:6][..., ::-1], atol=1e-5)
    assert len(DerivedWalkers(invert=False)(PreparedRows(cycles, samples)).samples) == 4
    with pytest.raises(UsageError, match="reversed, inverted or both"):
        DerivedWalkers(reverse=False, invert=False)
