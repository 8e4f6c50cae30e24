"""The annotations of what applications call can be evaluated, as libraries that check types at run time do."""

from __future__ import annotations

import inspect
import sys
import typing

import pytest

import edge_sdk


@pytest.mark.skipif(sys.version_info < (3, 11), reason="typing has no Self")
@pytest.mark.parametrize("name", ["Locator", "Shots", "SpoofDetector", "Template", "TemplateGallery", "Verifier"])
def test_annotations_of_public_methods_can_be_evaluated(name: str) -> None:
    kind = getattr(edge_sdk, name)
    methods = inspect.getmembers(kind, inspect.isfunction)
    public = [method for label, method in methods if label == "__init__" or not label.startswith("_")]
    assert public
    for method in public:
        typing.get_type_hints(method, localns={"Self": typing.Self})
