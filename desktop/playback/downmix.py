"""Any number of channels into the one or two of a loudspeaker."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

_SIDE = 0.7071  # -3 dB, as ITU-R BS.775 mixes centre and surround channels into stereo

# Left and right gains by number of channels, in the usual order of WAVE files; LFE is left out, as BS.775 does.
_LAYOUTS: dict[int, list[tuple[float, float]]] = {
    1: [(1, 1)],
    2: [(1, 0), (0, 1)],
    3: [(1, 0), (0, 1), (_SIDE, _SIDE)],
    4: [(1, 0), (0, 1), (_SIDE, 0), (0, _SIDE)],
    5: [(1, 0), (0, 1), (_SIDE, _SIDE), (_SIDE, 0), (0, _SIDE)],
    6: [(1, 0), (0, 1), (_SIDE, _SIDE), (0, 0), (_SIDE, 0), (0, _SIDE)],
    8: [(1, 0), (0, 1), (_SIDE, _SIDE), (0, 0), (_SIDE, 0), (0, _SIDE), (_SIDE, 0), (0, _SIDE)],
}


def downmix_matrix(channels: int, outputs: int, ambisonic: bool = False) -> NDArray[np.float32]:
    """Gains (channels, outputs) that mix a sound's channels into 1 or 2 outputs.

    Each output's gains add up to at most 1, so no mix is louder than full scale. Layouts without a customary meaning,
    such as 32 tracks of a field recorder, go to the left and the right in turn. Of a sound field in ambisonic B-format,
    W is heard on both sides.
    """
    if ambisonic:
        return np.vstack([np.ones((1, outputs)), np.zeros((channels - 1, outputs))]).astype(np.float32)
    in_turn = [(1.0, 0.0) if channel % 2 == 0 else (0.0, 1.0) for channel in range(channels)]
    matrix = np.array(_LAYOUTS.get(channels, in_turn), dtype=np.float32)
    if outputs == 1:
        matrix = matrix.sum(axis=1, keepdims=True)
    gains: NDArray[np.float32] = matrix / np.maximum(matrix.sum(axis=0), 1)
    return gains
