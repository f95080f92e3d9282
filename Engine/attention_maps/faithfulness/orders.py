"""In which order voxels are taken: by a map, or by random maps as smooth as the map is."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from attention_maps.faithfulness.similarity import WHAT
from attention_maps.packages import needed

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    Array = NDArray[np.float32]
    Mask = NDArray[np.bool_]

NEVER = 255


def random_like(values: Array, seed: int) -> Array:
    """A random map (*spatial) as smooth as another one.

    Each frequency has the strength that it has in the map, and a random phase (Theiler et al.,
    Physica D 58, 1992): both maps have the same autocorrelation.
    """
    fft = needed("scipy.fft", WHAT)
    noise = np.random.default_rng(seed).standard_normal(values.shape, dtype=np.float32)
    phases = fft.rfftn(noise)
    size = np.abs(phases)
    phases /= np.where(size > 0, size, 1)
    phases *= np.abs(fft.rfftn(values))
    return np.asarray(fft.irfftn(phases, s=values.shape), dtype=np.float32)


def steps_of(values: Array, body: Mask, fractions: Sequence[float], seed: int) -> NDArray[np.uint8]:
    """At which step each voxel is taken, the hottest first.

    Args:
        values: (*spatial) map; equal values are taken in random order.
        body: (*spatial) voxels that are taken at all.
        fractions: Share of the body that is taken at each step, growing.
        seed: Of the order of equal values.

    Returns:
        (*spatial): number of the step, `len(fractions)` for later, NEVER outside the body.
    """
    inside = np.flatnonzero(body)
    shuffled = np.random.default_rng(seed).permutation(inside)
    order = shuffled[np.argsort(-values.ravel()[shuffled], kind="stable")]
    steps = np.full(values.size, NEVER, dtype=np.uint8)
    ends = [round(fraction * len(order)) for fraction in fractions]
    begin: Any = 0
    for number, end in enumerate([*ends, len(order)]):
        steps[order[begin:end]] = number
        begin = end
    return steps.reshape(values.shape)
