"""Bundles with another score than the recipe's own, several scores of one run as one, and the latents beside them."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from edge_sdk import SpoofDetector, images
from edge_sdk.bundle import Bundle
from edge_sdk.cli import main
from edge_sdk.errors import UsageError
from edge_sdk.export import recipes
from edge_sdk.export.losses.one_class import Elbo, VariationalPass
from edge_sdk.export.packaging import fusion
from edge_sdk.export.training.finished import FinishedRun
from edge_sdk.manifest import Fusion, LatentDistance, LatentLikelihood, Lowest, Reconstruction
from edge_sdk.preprocess import FACE_OVAL, apply
from edge_sdk.runtime.selftest import passed, selftest
from edge_sdk.scoring.densities.gaussian_mixture import GaussianMixture

RECONSTRUCTION = Reconstruction(input="image", output="reconstruction", norm="l2")
DISTANCE = LatentDistance(first="features", second="features_reconstructed")


def outputs(made: FinishedRun, role: str) -> tuple[dict[str, np.ndarray], np.ndarray]:
    """What the trained network makes of the people of a role, and which pictures are live."""
    samples = made.people(role).samples
    names = ["reconstruction", "latent", "features", "features_reconstructed"]
    x = np.stack([apply(made.preset.preprocessing, images.load(sample.path)) for sample in samples])
    with torch.no_grad():
        found = made.network.eval().outputs(torch.from_numpy(x), names)  # type: ignore[operator]
    tensors = {"image": x} | {name: tensor.numpy() for name, tensor in zip(names, found, strict=True)}
    return tensors, np.array([sample.genuine for sample in samples])


def detected(bundle: Bundle, made: FinishedRun) -> list[float]:
    with SpoofDetector(bundle, precision="fp32", engine="onnxruntime", faces="cropped") as detector:
        return [detector.examine(sample.path).score for sample in made.people("test").samples]


def test_the_likelihood_of_latents_is_that_of_a_density_of_live_training_faces(
    live_run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of one mode, as the recipe here wants it: their mean and variance."""
    base = recipes.get("ganomaly")
    monkeypatch.setattr(recipes, "get", lambda _: replace(base, modes=(1,)))
    out = tmp_path / "likelihood"
    command = ["export", str(live_run), "--score", "latent_likelihood", "--formats", "fp32.onnx"]
    assert main([*command, "--out", str(out)]) == 0
    bundle, made = Bundle.open(out), FinishedRun.read(live_run)
    assert isinstance(bundle.manifest.score, LatentLikelihood)
    assert [output.role for output in bundle.manifest.graphs[0].outputs] == ["latent"]
    density = GaussianMixture.decode((out / bundle.manifest.score.density).read_bytes())
    train, live = outputs(made, "train")
    known = train["latent"][live]
    assert density.means == pytest.approx(known.mean(axis=0, keepdims=True), abs=1e-4)
    assert density.variances == pytest.approx(known.var(axis=0, keepdims=True), rel=1e-3, abs=1e-6)
    expected = density.log_likelihood(outputs(made, "test")[0]["latent"])
    assert detected(bundle, made) == pytest.approx(expected, rel=1e-3)
    assert passed(selftest(bundle, engine="onnxruntime"))


def test_two_scores_of_one_run_are_fused_and_its_latents_drawn(live_run: Path, tmp_path: Path) -> None:
    command = ["export", str(live_run), "--score", "reconstruction", "feature_distance", "--latents"]
    assert main([*command, "--formats", "fp32.onnx", "--out", str(tmp_path / "both")]) == 0
    bundle, made = Bundle.open(tmp_path / "both"), FinishedRun.read(live_run)
    score = bundle.manifest.score
    assert isinstance(score, Fusion)
    assert {one.name: one.role for one in bundle.manifest.graphs[0].outputs} == {
        "reconstruction": "reconstruction",
        "features": "features",
        "features_reconstructed": "features",
        "latent": "latent",
    }
    assert "; score: fusion of reconstruction, latent_distance." in (tmp_path / "both/MODEL_CARD.md").read_text()
    validation, live = outputs(made, "validation")
    columns = np.stack([RECONSTRUCTION.score(validation), DISTANCE.score(validation)], axis=1)
    weights, bias = fusion.fit(columns, live)
    # The graph's floats are not the network's to the last bit.
    assert score.weights == pytest.approx(weights, rel=0.01)
    assert score.bias == pytest.approx(bias, rel=0.01)
    test = outputs(made, "test")[0]
    expected = score.bias + np.stack([RECONSTRUCTION.score(test), DISTANCE.score(test)], axis=1) @ score.weights
    assert detected(bundle, made) == pytest.approx(expected, rel=1e-3)

    data = json.loads((live_run / "run.json").read_text())["data"]
    assert main(["evaluate", str(bundle.path), "--data", *data, "--out", str(tmp_path / "report")]) == 0
    (page,) = (tmp_path / "report").glob("*.html")
    assert "compared by the output model.latent." in page.read_text(encoding="utf-8")


def test_the_bound_of_a_variational_autoencoder_that_sees_the_faces_oval(live_run: Path, tmp_path: Path) -> None:
    data = json.loads((live_run / "run.json").read_text())["data"]
    run, out = tmp_path / "run", tmp_path / "bound"
    assert (
        main(["train", "dcvae", "--preset", "oval", "--tiny", "--steps", "2", "--data", *data, "--out", str(run)]) == 0
    )
    assert main(["export", str(run), "--score", "elbo", "--formats", "fp32.onnx", "--out", str(out)]) == 0
    bundle, made = Bundle.open(out), FinishedRun.read(run)
    assert bundle.manifest.preprocessing == FACE_OVAL
    assert {one.name: one.role for one in bundle.manifest.graphs[0].outputs} == {
        "reconstruction": "reconstruction", "latent": "latent", "log_variance": "log_variance"
    }  # fmt: skip
    x = np.stack([apply(FACE_OVAL, images.load(sample.path)) for sample in made.people("test").samples])
    with torch.no_grad():
        picture = torch.from_numpy(x)
        mean, log_variance = made.network.eval().encoder(picture).chunk(2, dim=1)  # type: ignore[operator]
        logits = made.network.decoder(mean)  # type: ignore[operator]
    # The recipe's own objective, with the mean in the place of a sample.
    losses = [
        float(Elbo()(VariationalPass(*(part[row : row + 1] for part in (picture, logits, mean, log_variance)))))
        for row in range(len(x))
    ]
    assert detected(bundle, made) == pytest.approx([-loss for loss in losses], rel=1e-4)


@pytest.mark.parametrize("name", ["dcvae", "ganomaly", "resvae"])
def test_the_oval_changes_the_pictures_alone(name: str) -> None:
    presets = recipes.get(name).presets
    assert presets["oval"] == replace(presets["best"], preprocessing=FACE_OVAL)


def test_the_lowest_of_two_scores_of_one_run(live_run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fusion, "fit", lambda x, _live: (1 / x.std(axis=0), float(len(x))))
    score = fusion.read([live_run], "lowest", ["reconstruction", "feature_distance"]).recipe.score
    assert isinstance(score, Lowest)
    assert [member.kind for member in score.members] == ["reconstruction", "latent_distance"]
    assert score.biases == (len(outputs(FinishedRun.read(live_run), "validation")[1]),) * 2


def test_latents_beside_a_score_that_does_not_need_them(live_run: Path) -> None:
    made = fusion.read([live_run], latents=True)
    assert made.recipe.output_roles == {"reconstruction": "reconstruction", "latent": "latent"}
    assert made.graphs().outputs == ("reconstruction", "latent")
    assert recipes.get("ganomaly").outputs == ("reconstruction",)
    with pytest.raises(UsageError, match="spoof_lbp has no latents"):
        recipes.get("spoof_lbp").showing_latents()


def test_scores_that_are_refused(live_run: Path) -> None:
    with pytest.raises(UsageError, match=r'no score "kl"; it has reconstruction, latent_distance'):
        fusion.read([live_run], scores=["kl"])
    with pytest.raises(UsageError, match="once, not reconstruction, reconstruction"):
        fusion.read([live_run], scores=["reconstruction", "reconstruction"])
    with pytest.raises(UsageError, match="those of one run"):
        fusion.read([live_run, live_run], scores=["reconstruction"])
    with pytest.raises(UsageError, match=r'spoof_lbp has no score "reconstruction"; it has decision_head$'):
        recipes.get("spoof_lbp").named_score("reconstruction")


@pytest.mark.parametrize("name", recipes.names())
def test_a_recipes_own_score_is_the_first_of_its_scores(name: str) -> None:
    chosen = recipes.get(name)
    assert chosen.scores == {} or next(iter(chosen.scores.values())) == chosen.score
    assert all(chosen.task in score.tasks for score in chosen.scores.values())
