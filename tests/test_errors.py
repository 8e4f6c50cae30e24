"""Every error of the tree reaches another process as it was raised, and is drawn and documented."""

from __future__ import annotations

import copy
import multiprocessing
import pickle
from concurrent.futures import ProcessPoolExecutor

import pytest

from edge_sdk import errors
from edge_sdk.errors import EdgeSdkError, MissingEngineError, MissingToolError, StorageError

from .paths import ROOT


def tree(kind: type[EdgeSdkError] = EdgeSdkError) -> list[type[EdgeSdkError]]:
    below = [one for child in kind.__subclasses__() if child.__module__ == errors.__name__ for one in tree(child)]
    return list(dict.fromkeys([kind, *below]))


OWN = {
    MissingEngineError: MissingEngineError("onnxruntime", "onnx", "tflite", elsewhere="on a Jetson with JetPack"),
    MissingToolError: MissingToolError("torch", "export", "is too old"),
}


def made(kind: type[EdgeSdkError]) -> EdgeSdkError:
    """One of its kind: by its constructor, where it has one of its own."""
    return OWN[kind] if kind in OWN else kind("person.png: what was wrong; what to do")


def facts(error: BaseException) -> tuple[object, ...]:
    native = {name: getattr(error, name, None) for name in ("errno", "strerror", "filename", "msg", "name", "path")}
    return type(error), str(error), repr(error), error.args, vars(error), native


@pytest.mark.parametrize("kind", tree(), ids=lambda kind: kind.__name__)
def test_every_error_can_be_pickled_and_copied(kind: type[EdgeSdkError]) -> None:
    error = made(kind)
    error.noted = ["by the application"]  # type: ignore[attr-defined]
    assert str(error)
    for protocol in range(pickle.HIGHEST_PROTOCOL + 1):
        assert facts(pickle.loads(pickle.dumps(error, protocol))) == facts(error)
    assert facts(copy.copy(error)) == facts(copy.deepcopy(error)) == facts(error)


def test_the_systems_number_and_file_are_kept() -> None:
    found = pickle.loads(pickle.dumps(StorageError(2, "no such file", "person.png")))
    assert (found.errno, found.strerror, found.filename) == (2, "no such file", "person.png")


def test_an_applications_own_error_with_a_constructor_of_its_own() -> None:
    found = pickle.loads(pickle.dumps(OwnError(person="p", attempt=3)))
    assert (type(found), str(found), found.person) == (OwnError, "p failed 3 times", "p")


class OwnError(MissingEngineError):
    def __init__(self, *, person: str, attempt: int) -> None:
        EdgeSdkError.__init__(self, f"{person} failed {attempt} times")
        self.person = person


def fail(name: str) -> None:
    raise made(getattr(errors, name))


def test_a_pool_of_processes_hands_them_over() -> None:
    with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as pool:
        for kind in (MissingEngineError, MissingToolError):
            with pytest.raises(kind) as caught:
                pool.submit(fail, kind.__name__).result()
            assert facts(caught.value)[:4] == facts(made(kind))[:4]
            assert pool.submit(abs, -1).result() == 1


@pytest.mark.parametrize("text", [errors.__doc__, (ROOT / "docs/errors.md").read_text("utf-8")])
def test_every_error_is_listed(text: str) -> None:
    assert [kind.__name__ for kind in tree() if kind.__name__ not in text] == []
