"""What an integrator does: install the library, find it with CMake, and call it from C99, shared or static."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from edge_sdk import __version__

from .conftest import Built

PROJECT = """
cmake_minimum_required(VERSION 3.18)
project(application C CXX)
set(CMAKE_C_STANDARD 99)
set(CMAKE_C_EXTENSIONS OFF)
find_package(edge_sdk REQUIRED)
add_executable(application main.c)
target_compile_options(application PRIVATE -Wall -Wextra -Werror -pedantic)
target_link_libraries(application PRIVATE edge_sdk::{target})
set_target_properties(application PROPERTIES LINKER_LANGUAGE CXX)
"""

PROGRAM = r"""
#include <edge_sdk.h>
#include <stdio.h>

int main(void) {
    edge_options options = {.struct_size = sizeof options};
    edge_session *session = NULL;
    const edge_status status = edge_open("nowhere", &options, &session);
    printf("%s %s %d: %s\n", edge_version(), edge_status_name(status), session == NULL, edge_last_error());
    edge_close(session);
    return 0;
}
"""


OF_C = "\n".join(
    line for line in PROJECT.replace("C CXX", "C").splitlines() if "LINKER_LANGUAGE" not in line
)  # as a project of C has it


def run(*command: str | Path) -> str:
    done = subprocess.run(list(map(str, command)), capture_output=True, text=True, check=False)
    assert not done.returncode, done.stdout + done.stderr
    return done.stdout


@pytest.mark.parametrize("target", ["edge_sdk", "edge_sdk_static"])
def test_an_installed_library_is_found_and_called_from_c(built: Built, tmp_path: Path, target: str) -> None:
    run("cmake", "--install", built.folder / "native", "--prefix", tmp_path / "installed")
    source = tmp_path / "source"
    source.mkdir()
    (source / "CMakeLists.txt").write_text(PROJECT.format(target=target))
    (source / "main.c").write_text(PROGRAM)
    run("cmake", "-S", source, "-B", tmp_path / "build", f"-DCMAKE_PREFIX_PATH={tmp_path / 'installed'}")
    run("cmake", "--build", tmp_path / "build")
    said = run(tmp_path / "build" / "application")
    assert b"$ORIGIN:" in next((tmp_path / "installed").glob("**/libedge_sdk.so")).read_bytes()
    assert said == f"{__version__} EDGE_ERROR_BUNDLE 1: there is no bundle at nowhere, or it may not be read\n"


def test_a_project_of_c_gets_the_shared_library_alone(built: Built, tmp_path: Path) -> None:
    run("cmake", "--install", built.folder / "native", "--prefix", tmp_path / "installed")
    prefix = f"-DCMAKE_PREFIX_PATH={tmp_path / 'installed'}"
    for target in ("edge_sdk", "edge_sdk_static"):
        source = tmp_path / target
        source.mkdir()
        (source / "CMakeLists.txt").write_text(OF_C.format(target=target))
        (source / "main.c").write_text(PROGRAM)
    run("cmake", "-S", tmp_path / "edge_sdk", "-B", tmp_path / "build", prefix)
    run("cmake", "--build", tmp_path / "build")
    assert run(tmp_path / "build" / "application").startswith(__version__)
    static = ["cmake", "-S", tmp_path / "edge_sdk_static", "-B", tmp_path / "static", prefix]
    done = subprocess.run(list(map(str, static)), capture_output=True, text=True, check=False)
    assert done.returncode
    assert "name CXX in project()" in done.stdout
    assert "edge_sdk_static" in done.stderr
