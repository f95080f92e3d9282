"""What it costs to explain a whole volume under windows: time and memory.

Three tables, each figure with the prediction's own cost as its measure:

1. Over the size of the volume: MONAI's `sliding_window_inference` (Gaussian blending), which is the
   plain prediction, and Grad-CAM of the largest predicted class at the last decoder stage and at
   the bottleneck, prediction included. Every figure comes from a process of its own: seconds, and
   the most memory that the process held (its resident set, network and volume included).
2. Over the number of windows that meet the question, the prediction being there: a box in a corner
   that grows until all windows meet it; seconds, and the most memory held during the question.
3. On a GPU, or where --mixed asks for it: mixed precision against float32, as the correlation of
   the two maps, the share of voxels with the same label, time and memory.

    python Testing/benchmarks/windows.py [--sizes 64 128 192] [--patch 64] [--threads 2]
    python Testing/benchmarks/windows.py --sizes 64 128 256 512 --patch 128 --width small --counts 0
    python Testing/benchmarks/windows.py --shape 512 512 300 --patch 128 --width small --counts 0

--overlap   share of a window that the next one covers, 0.5 as in nnU-Net, 0.25 as in many bundles
--width     full: nnU-Net's usual width (32 to 320 features); small: an eighth of it, about 50 times
            quicker, with which 512^3 voxels take minutes rather than hours on two cores of a CPU
--counts    edge of the volume of the second table; 0 leaves it out
--mixed     edge of the volume of the third table; by default 192 on a GPU, else it is left out

On a GPU the network runs there, and the memory of the GPU has columns of its own.
"""

from __future__ import annotations

import argparse
import json
import platform
import subprocess
import sys
import warnings
from pathlib import Path
from typing import Any

from windows_run import FILTERS, LAYERS, PRECISIONS, Run, device_here

MIXED_SIZE = 192


def measured(run: Run) -> Any:
    """What a process of its own measures."""
    made = subprocess.run(
        [sys.executable, "-W", "ignore", Path(__file__).with_name("windows_run.py"),
         json.dumps(run)],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    if made.returncode:
        last = (made.stderr.strip().splitlines() or ["it was ended, perhaps for its memory"])[-1]
        print(f"\n{run.what} of {run.shape} cannot run: {last}", flush=True)
        return None
    return json.loads(made.stdout.splitlines()[-1])


def cells(found: dict[str, float], base: dict[str, float]) -> str:
    """Time, memory, and both over the plain prediction."""
    text = (
        f"{found['seconds']:.1f} s | {found['seconds'] / base['seconds']:.2f} | "
        f"{found['MiB']:.0f} MiB | {found['MiB'] / base['MiB']:.2f} |"
    )
    if "GPU MiB" in found:
        text += f" {found['GPU MiB']:.0f} MiB | {found['GPU MiB'] / base['GPU MiB']:.2f} |"
    return text


def heads(first: str) -> str:
    """Two lines on top of such cells."""
    names = [first, "", "time", "over plain", "memory", "over plain"]
    names += ["GPU memory", "over plain"] if device_here() == "cuda" else []
    return f"| {' | '.join(names)} |\n|{'---|' * len(names)}"


def over_sizes(runs: list[Run]) -> None:
    """Print the table over volumes."""
    from attention_maps.windows.tiling import tile

    print(f"\nOver the size of the volume\n\n{heads('volume, windows')}")
    for run in runs:
        windows = len(tile(run.shape, (run.patch,) * 3, run.overlap).starts)
        what = f"{' x '.join(map(str, run.shape))}, {windows}"
        base = measured(run)
        if base is None:
            continue
        print(f"| {what} | plain prediction | {cells(base, base)}", flush=True)
        for label in LAYERS:
            found = measured(run._replace(what=label))
            if found is not None:
                print(f"| {what} | {label} | {cells(found, base)}", flush=True)


def over_counts(run: Run) -> None:
    """Print the table over the windows that meet a question."""
    base, rows = measured(run), measured(run._replace(what="counts"))
    if base is None or rows is None:
        return
    print(f"\nOver the windows that meet the question, {run.shape[0]}^3, prediction being there\n")
    print(heads("windows"))
    for row in rows:
        print(f"| {row['windows']} | {row['layer']} | {cells(row, base)}", flush=True)


def over_precisions(run: Run) -> None:
    """Print the table of mixed precision against float32."""
    print(f"\nMixed precision, {run.shape[0]}^3, on {device_here()}, two maps and the prediction\n")
    print("| precision | time | memory | GPU memory | same label |", end="")
    print("".join(f" correlation, {label} |" for label in LAYERS))
    print(f"|{'---|' * (5 + len(LAYERS))}")
    for precision in PRECISIONS:
        found = measured(run._replace(what=precision))
        if found is None:
            continue
        print(
            f"| {precision} | {found['seconds']:.1f} s | {found['MiB']:.0f} MiB | "
            f"{found.get('GPU MiB', 0):.0f} MiB | {found['labels']:.2%} |"
            + "".join(f" {found[label]:.6f} |" for label in LAYERS),
            flush=True,
        )


def arguments() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--sizes", type=int, nargs="+", default=[64, 128, 192])
    parser.add_argument("--shape", type=int, nargs=3)
    parser.add_argument("--patch", type=int, default=64)
    parser.add_argument("--overlap", type=float, default=0.5)
    parser.add_argument("--width", choices=list(FILTERS), default="full")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--counts", type=int, default=128)
    parser.add_argument("--mixed", type=int)
    return parser.parse_args()


def main() -> None:
    """Print the tables."""
    warnings.simplefilter("ignore")
    chosen = arguments()
    import monai
    import torch

    gpu = torch.cuda.get_device_name() if torch.cuda.is_available() else "no GPU"
    print(
        f"PyTorch {torch.__version__}, MONAI {monai.__version__}, Python "
        f"{platform.python_version()}, {chosen.threads} threads, {platform.machine()}, {gpu}; "
        f"{chosen.width} network, windows of {chosen.patch}^3, overlap {chosen.overlap:g}"
    )
    shapes = [chosen.shape] if chosen.shape else [[size] * 3 for size in chosen.sizes]
    runs = [
        Run("plain", shape, chosen.patch, chosen.overlap, chosen.width, chosen.threads)
        for shape in shapes
    ]
    over_sizes(runs)
    if chosen.counts:
        over_counts(runs[0]._replace(shape=[chosen.counts] * 3))
    mixed = chosen.mixed
    if mixed is None:
        mixed = MIXED_SIZE if torch.cuda.is_available() else 0
    if mixed:
        over_precisions(runs[0]._replace(shape=[mixed] * 3))


if __name__ == "__main__":
    main()
