"""What it costs to explain a whole volume under windows, over MONAI's plain prediction of it.

Each figure comes from a process of its own: seconds, and the most memory that the process held
(its resident set, what the network and the volume take included). The plain prediction is MONAI's
`sliding_window_inference` with Gaussian blending and half overlap; the explanation is Grad-CAM of
the largest predicted class, or of one small component with the prediction being there.

    python Testing/benchmarks/windows.py [--sizes 64 128 192] [--patch 96] [--threads 2]
    python Testing/benchmarks/windows.py --shape 512 512 300 --patch 128 --memory
"""

from __future__ import annotations

import argparse
import json
import platform
import resource
import subprocess
import sys
import time
import warnings
from typing import Any

LAYERS = {"last decoder stage": "upsamples.3", "bottleneck": "bottleneck"}
FILTERS = (32, 64, 128, 256, 320)
OVERLAP = 0.5


def network() -> Any:
    """nnU-Net's architecture in its usual width, seeded, in evaluation mode."""
    import torch
    from monai.networks.nets import DynUNet

    torch.manual_seed(0)
    return DynUNet(
        3, 1, 3, [3] * 5, [1, 2, 2, 2, 2], [2] * 4, filters=FILTERS, norm_name="instance"
    ).eval()


def plain(volume: Any, patch: int) -> None:
    """MONAI's prediction."""
    import torch
    from monai.inferers import sliding_window_inference

    net = network().to(volume.device)
    with torch.no_grad():
        sliding_window_inference(
            volume, (patch,) * 3, 1, net, overlap=OVERLAP, mode="gaussian", device="cpu"
        )


def session_of(volume: Any, patch: int) -> Any:
    """A session with our windows laid as MONAI's."""
    import attention_maps as am

    how = {"overlap": OVERLAP, "blending": "gaussian"}
    spec = am.ModelSpec(patch_size=(patch,) * 3, sliding_window=how)
    net = network().to(volume.device)
    return am.Explainer(am.load_model(net, spec), am.Image(volume[0].cpu().numpy()))


def measure(what: str, shape: list[int], patch: int, threads: int) -> dict[str, float]:
    """Seconds, MiB and windows of one run in this process."""
    import torch

    import attention_maps as am

    torch.set_num_threads(threads)
    device = "cuda" if torch.cuda.is_available() else "cpu"
    generator = torch.Generator().manual_seed(1)
    volume = torch.randn(1, 1, *shape, generator=generator).to(device)
    if what == "plain":
        started = time.perf_counter()
        plain(volume, patch)
        return _figures(started)
    session = session_of(volume, patch)
    layer = LAYERS[what.partition("/")[0]]
    target = None
    if what.endswith("/component"):
        session.answer()
        target = am.PointTarget(1, ras=[n / 2 + patch / 8 for n in shape])
    started = time.perf_counter()
    session.explain(layer=layer, target=target)
    return _figures(started)


def _figures(started: float) -> dict[str, float]:
    import torch

    seconds = time.perf_counter() - started
    kilobytes = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    found = {"seconds": seconds, "MiB": kilobytes / 1024}
    if torch.cuda.is_available():
        found["GPU MiB"] = torch.cuda.max_memory_allocated() / 2**20
    return found


def measured(what: str, shape: list[int], patch: int, threads: int) -> dict[str, float]:
    """The same in a process of its own."""
    request = json.dumps([what, shape, patch, threads])
    made = subprocess.run(
        [sys.executable, "-W", "ignore", __file__, "--one", request],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    return json.loads(made.stdout.splitlines()[-1])


def table(shapes: list[list[int]], patch: int, threads: int, *, parts: list[str]) -> None:
    """Print one table per volume."""
    from attention_maps.windows.tiling import tile

    for shape in shapes:
        windows = len(tile(shape, (patch,) * 3, OVERLAP).starts)
        base = measured("plain", shape, patch, threads)
        print(f"\n{' x '.join(map(str, shape))} voxels, {windows} windows of {patch}^3\n")
        print("| | time | over plain | memory | over plain |\n|---|---|---|---|---|")
        print(
            f"| plain prediction | {base['seconds']:.1f} s | 1.00 | {base['MiB']:.0f} MiB | 1.00 |"
        )
        for part in parts:
            found = measured(part, shape, patch, threads)
            label = part.replace("/component", ", one voxel, prediction being there")
            print(
                f"| {label} | {found['seconds']:.1f} s | {found['seconds'] / base['seconds']:.2f} "
                f"| {found['MiB']:.0f} MiB | {found['MiB'] / base['MiB']:.2f} |",
                flush=True,
            )


def main() -> None:
    """Print the tables."""
    warnings.simplefilter("ignore")
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--sizes", type=int, nargs="+", default=[64, 128, 192])
    parser.add_argument("--shape", type=int, nargs=3)
    parser.add_argument("--patch", type=int, default=64)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--memory", action="store_true", help="whole question only")
    parser.add_argument("--one", help=argparse.SUPPRESS)
    chosen = parser.parse_args()
    if chosen.one:
        print(json.dumps(measure(*json.loads(chosen.one))))
        return
    import monai
    import torch

    print(
        f"PyTorch {torch.__version__}, MONAI {monai.__version__}, Python "
        f"{platform.python_version()}, {chosen.threads} threads, {platform.machine()}"
    )
    shapes = [chosen.shape] if chosen.shape else [[size] * 3 for size in chosen.sizes]
    parts = list(LAYERS)
    if not chosen.memory:
        parts += [f"{name}/component" for name in LAYERS]
    table(shapes, chosen.patch, chosen.threads, parts=parts)


if __name__ == "__main__":
    main()
