"""Time and memory of placing maps on a scan's grid, beside SimpleITK's linear resampling.

python Testing/benchmarks/placing.py [--threads 2] [--repeats 5] [--large]
"""

from __future__ import annotations

import argparse
import time
import tracemalloc
from collections.abc import Callable
from functools import partial

import numpy as np
import SimpleITK

from attention_maps.geometry import index_transform, permute_axes, resize_grid
from attention_maps.resampling import place
from attention_maps.types import Grid

TURN = np.array([[0.98, -0.199, 0, 0], [0.199, 0.98, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1.0]])
SHIFT = np.array([[1, 0, 0, 0.3], [0, 1, 0, 0.4], [0, 0, 1, 0.2], [0, 0, 0, 1.0]])


def cases(large: bool) -> dict[str, tuple[Grid, Grid, Grid]]:
    """(grid of the map, grid of the network's input, grid of the scan) by name."""
    cube = Grid((256, 256, 256), np.eye(4))
    shifted, turned = Grid(cube.shape, SHIFT), Grid(cube.shape, TURN)
    permuted = permute_axes(shifted, (2, 0, 1))
    found = {
        "8^3 -> 256^3": (resize_grid(cube, (8, 8, 8)), cube, cube),
        "64^3 -> 256^3": (resize_grid(cube, (64, 64, 64)), cube, cube),
        "256^3 shifted": (shifted, shifted, cube),
        "256^3 permuted": (permuted, permuted, cube),
        "8^3 -> 256^3 oblique": (resize_grid(turned, (8, 8, 8)), turned, cube),
        "64^3 -> 256^3 oblique": (resize_grid(turned, (64, 64, 64)), turned, cube),
    }
    if large:
        scan = Grid((512, 512, 600), np.diag([0.7, 0.7, 0.7, 1.0]))
        found["32x32x38 -> 512x512x600"] = (resize_grid(scan, (32, 32, 38)), scan, scan)
    return found


def by_itk(array: np.ndarray, source: Grid, target: Grid) -> np.ndarray:
    """The same resampling by SimpleITK in one piece; zero outside the map's grid."""
    matrix, offset = index_transform(source, target)
    transform = SimpleITK.AffineTransform(
        matrix[::-1, ::-1].ravel().tolist(), offset[::-1].tolist()
    )
    image = SimpleITK.GetImageFromArray(array[0])
    resampled = SimpleITK.Resample(
        image, target.shape[::-1], transform, SimpleITK.sitkLinear, (0, 0, 0), (1, 1, 1)
    )
    return SimpleITK.GetArrayFromImage(resampled)


def seconds(work: Callable[[], object], repeats: int) -> float:
    """Median time of a call, after one that does not count."""
    times = []
    for _ in range(repeats + 1):
        start = time.perf_counter()
        work()
        times.append(time.perf_counter() - start)
    return float(np.median(times[1:]))


def peak_beside_result(work: Callable[[], np.ndarray]) -> float:
    """MiB of Python and NumPy memory at the peak, beyond the result; ITK's own is not seen."""
    tracemalloc.start()
    result = work()
    peak = tracemalloc.get_traced_memory()[1] - result.nbytes
    tracemalloc.stop()
    return peak / 2**20


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--threads", type=int, default=2, help="threads of SimpleITK")
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--large", action="store_true", help="a 512 x 512 x 600 scan too")
    options = parser.parse_args()
    SimpleITK.ProcessObject.SetGlobalDefaultNumberOfThreads(options.threads)
    print(f"SimpleITK {SimpleITK.Version_VersionString()}, {options.threads} threads")
    print(
        f"{'map -> scan':26}{'place':>9}{'SimpleITK':>11}{'ratio':>7}{'memory beside result':>23}"
    )
    for name, (layer, field, scan) in cases(options.large).items():
        array = np.random.default_rng(0).random((1, *layer.shape), dtype=np.float32)
        ours = partial(place, array, layer, field, scan)
        itk = partial(by_itk, array, layer, scan)
        own, other = seconds(ours, options.repeats), seconds(itk, options.repeats)
        memory = peak_beside_result(ours)
        print(f"{name:26}{own:8.3f}s{other:10.3f}s{own / other:7.2f}{memory:18.1f} MiB")


if __name__ == "__main__":
    main()
