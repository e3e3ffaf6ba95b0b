"""The MATLAB reader against SciPy's writer, and against damage."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy.io import savemat

from model_export.data.mat_file import read_mat, read_mat_structs
from model_export.data.readers import read_samples
from model_export.errors import DataError
from tests.model_export.data.format_fixtures import FIXTURES, WIDTH, some_points


@pytest.mark.parametrize("compressed", [False, True])
@pytest.mark.parametrize("dtype", ["f8", "f4", "i1", "u1", "i2", "u2", "i4", "u4", "i8", "u8"])
def test_numbers_of_every_type_and_shape_are_those_that_were_written(
    tmp_path: Path, dtype: str, compressed: bool
) -> None:
    values = {"other": np.ones(3), "cube": np.arange(24, dtype=dtype).reshape(2, 3, 4), "one": np.array([[7]], dtype)}
    savemat(tmp_path / "a.mat", values, do_compression=compressed)
    cube = read_mat(tmp_path / "a.mat", "cube")
    assert cube.dtype == np.dtype(dtype)
    np.testing.assert_array_equal(cube, values["cube"])
    assert read_mat(tmp_path / "a.mat", "one") == 7


@pytest.mark.parametrize("compressed", [False, True])
def test_structs_cells_and_text_are_read(tmp_path: Path, compressed: bool) -> None:
    cells = np.empty((1, 2), dtype=object)
    cells[0] = ["ab", np.array([1.0, 2.0])]
    struct: dict[str, Any] = {
        "name": "Zoë",
        "number": 3.5,
        "list": np.eye(2),
        "cells": cells,
        "empty": np.zeros((0, 0)),
    }
    savemat(tmp_path / "a.mat", {"top": {"inner": struct}}, do_compression=compressed)
    (top,) = read_mat_structs(tmp_path / "a.mat", "top")
    (inner,) = top["inner"]
    assert (inner["name"], inner["number"]) == ("Zoë", 3.5)
    np.testing.assert_array_equal(inner["list"], np.eye(2))
    assert inner["cells"][0] == "ab"
    np.testing.assert_array_equal(inner["cells"][1], [1.0, 2.0])
    assert inner["empty"].size == 0


def test_what_is_not_there_or_of_another_kind_is_named(tmp_path: Path) -> None:
    savemat(tmp_path / "a.mat", {"numbers": np.eye(2), "text": "abc", "complex": np.array([1j, 2])})
    for variable, message in (
        ("absent", "expected a variable 'absent', found none"),
        ("text", "expected numbers in the variable 'text'"),
        ("complex", "is a damaged MATLAB file: expected numbers, text, cells or structs"),
    ):
        with pytest.raises(DataError, match=rf"a\.mat.*{message}"):
            read_mat(tmp_path / "a.mat", variable)
    with pytest.raises(DataError, match=r"a\.mat: expected a struct in the variable 'numbers'"):
        read_mat_structs(tmp_path / "a.mat", "numbers")
    (tmp_path / "a.mat").write_bytes(b"\x89HDF\r\n\x1a\n" + bytes(200))
    with pytest.raises(DataError, match=r"a\.mat is not a MATLAB file of version 5 to 7\.2"):
        read_mat(tmp_path / "a.mat", "numbers")


def test_a_file_cut_off_anywhere_is_refused(tmp_path: Path) -> None:
    savemat(tmp_path / "a.mat", {"top": {"name": "abc", "numbers": np.arange(50.0)}})
    content = (tmp_path / "a.mat").read_bytes()
    for length in range(0, len(content), 7):
        (tmp_path / "a.mat").write_bytes(content[:length])
        with pytest.raises(DataError, match=r"a\.mat"):
            read_mat_structs(tmp_path / "a.mat", "top")


def test_mpii_release_is_read_like_its_json(tmp_path: Path) -> None:
    fixture = FIXTURES["mpii:release"](tmp_path)
    first, second = read_samples("mpii", fixture.annotations, tmp_path, 3).samples
    np.testing.assert_allclose(first.points_in_image, some_points(3, 0), atol=1e-12)
    assert first.visible.all()
    assert first.image_id == "a.png"
    assert first.head_size == pytest.approx(0.6 * 5)  # rectangle 5, 6, 8, 10
    assert first.box.middle == pytest.approx((19, 14 + 15 * 0.125))
    assert second.box.width == pytest.approx(25)
    assert first.box.width < WIDTH
