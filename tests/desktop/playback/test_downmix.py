"""Every number of channels is heard, on the right side and never too loud."""

from __future__ import annotations

import numpy as np
import pytest

from desktop.playback.downmix import downmix_matrix


def test_mono_goes_to_both_sides_and_stereo_stays() -> None:
    np.testing.assert_array_equal(downmix_matrix(1, 2), [[1, 1]])
    np.testing.assert_array_equal(downmix_matrix(2, 2), np.eye(2))
    np.testing.assert_array_equal(downmix_matrix(1, 1), [[1]])
    np.testing.assert_array_equal(downmix_matrix(2, 1), [[0.5], [0.5]])


@pytest.mark.parametrize("outputs", [1, 2])
@pytest.mark.parametrize("channels", [*range(1, 18), 24, 32, 64])
def test_no_mix_is_louder_than_full_scale_and_no_side_is_empty(channels: int, outputs: int) -> None:
    matrix = downmix_matrix(channels, outputs)
    assert matrix.shape == (channels, outputs)
    assert matrix.dtype == np.float32
    assert (matrix >= 0).all()
    np.testing.assert_allclose(matrix.sum(axis=0), 1, rtol=1e-6)
    np.testing.assert_array_equal(matrix, downmix_matrix(channels, outputs))


def test_surround_keeps_sides_apart_with_the_centre_in_both() -> None:
    left, right, centre, low, left_back, right_back = downmix_matrix(6, 2)
    assert left[0] > left_back[0] > left[1] == left_back[1] == 0
    assert right[1] > right_back[1] > right[0] == right_back[0] == 0
    assert centre[0] == centre[1] > 0
    assert not low.any()


def test_many_tracks_alternate_between_the_sides() -> None:
    matrix = downmix_matrix(32, 2)
    assert (matrix[0::2, 0] > 0).all()
    assert (matrix[1::2, 1] > 0).all()


@pytest.mark.parametrize("outputs", [1, 2])
def test_of_an_ambisonic_field_w_is_heard_on_all_sides(outputs: int) -> None:
    np.testing.assert_array_equal(downmix_matrix(4, outputs, ambisonic=True), [[1] * outputs, *[[0] * outputs] * 3])
