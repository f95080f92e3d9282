"""What one process of windows.py measures; its argument is a Run in JSON."""

from __future__ import annotations

import json
import resource
import sys
import time
import warnings
from pathlib import Path
from typing import Any, NamedTuple

LAYERS = {"last decoder stage": "upsamples.3", "bottleneck": "bottleneck"}
FILTERS = {"full": (32, 64, 128, 256, 320), "small": (4, 8, 16, 32, 40)}
PRECISIONS = ("float32", "float16", "bfloat16")
WARM_UP = 32


class Run(NamedTuple):
    """What one process measures.

    Args:
        what: "plain", a layer's label, "counts", or a precision.
        shape: Voxels per axis.
        patch: Edge of a window.
        overlap: Share of a window that the next one covers.
        width: A key of FILTERS.
        threads: Of the CPU.
    """

    what: str
    shape: list[int]
    patch: int
    overlap: float
    width: str
    threads: int


def network(width: str) -> Any:
    """nnU-Net's architecture, seeded, in evaluation mode."""
    import torch
    from monai.networks.nets import DynUNet

    torch.manual_seed(0)
    return DynUNet(
        3, 1, 3, [3] * 5, [1, 2, 2, 2, 2], [2] * 4, filters=FILTERS[width], norm_name="instance"
    ).eval()


def device_here() -> str:
    """Where networks run."""
    import torch

    return "cuda" if torch.cuda.is_available() else "cpu"


def volume(run: Run) -> Any:
    """Noise (1, 1, *shape) in the computer's memory."""
    import torch

    return torch.randn(1, 1, *run.shape, generator=torch.Generator().manual_seed(1))


def predict_plainly(run: Run, net: Any, scan: Any) -> None:
    """MONAI's prediction, blended in the computer's memory as ours is."""
    import torch
    from monai.inferers import sliding_window_inference

    with torch.no_grad():
        sliding_window_inference(
            scan, (run.patch,) * 3, 1, net, overlap=run.overlap, mode="gaussian",
            sw_device=device_here(), device="cpu",
        )  # fmt: skip


def session_of(run: Run, net: Any, scan: Any) -> Any:
    """A session with our windows laid as MONAI's."""
    import attention_maps as am

    how = {"overlap": run.overlap, "blending": "gaussian"}
    spec = am.ModelSpec(patch_size=(run.patch,) * 3, sliding_window=how)
    return am.Explainer(am.load_model(net, spec), am.Image(scan[0].numpy()))


def starts_along(size: int, run: Run) -> list[int]:
    """Where the windows along an axis of a cubic volume begin."""
    from attention_maps.windows.tiling import tile

    return sorted({start[0] for start in tile([size] * 3, (run.patch,) * 3, run.overlap).starts})


class Meter:
    """Seconds, and the most memory held, since it was made."""

    def __init__(self) -> None:
        import torch

        self._resets = Path("/proc/self/clear_refs")
        if self._resets.exists():
            self._resets.write_text("5")  # the process's own high-water mark begins anew
        if torch.cuda.is_available():
            torch.cuda.synchronize()
            torch.cuda.reset_peak_memory_stats()
        self._started = time.perf_counter()

    def read(self) -> dict[str, float]:
        """The figures so far."""
        import torch

        if torch.cuda.is_available():
            torch.cuda.synchronize()
        found = {"seconds": time.perf_counter() - self._started, "MiB": self._held()}
        if torch.cuda.is_available():
            found["GPU MiB"] = torch.cuda.max_memory_allocated() / 2**20
        return found

    def _held(self) -> float:
        if self._resets.exists():
            status = Path("/proc/self/status").read_text(encoding="ascii")
            line = next(line for line in status.splitlines() if line.startswith("VmHWM"))
            return float(line.split()[1]) / 1024
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def measure(run: Run) -> Any:
    """The figures of one process, without what importing and building take."""
    import torch

    torch.set_num_threads(run.threads)
    net, scan = network(run.width).to(device_here()), volume(run)
    if run.what == "counts":
        return measure_counts(run, net, scan)
    if run.what in PRECISIONS:
        return measure_precision(run, net, scan)
    first = run._replace(shape=[WARM_UP] * 3, patch=WARM_UP)
    work(first, net, scan[..., :WARM_UP, :WARM_UP, :WARM_UP])  # PyTorch imports much on first use
    meter = Meter()
    work(run, net, scan)
    return meter.read()


def work(run: Run, net: Any, scan: Any) -> None:
    """What is measured: the plain prediction, or it and a map."""
    if run.what == "plain":
        predict_plainly(run, net, scan)
    else:
        session_of(run, net, scan).explain(layer=LAYERS[run.what])


def measure_counts(run: Run, net: Any, scan: Any) -> list[dict[str, Any]]:
    """Questions about boxes that more and more windows meet."""
    import numpy as np

    import attention_maps as am

    session = session_of(run, net, scan)
    session.answer()
    starts, rows = starts_along(run.shape[0], run), []
    for along, start in enumerate(starts, start=1):
        mask = np.zeros(run.shape, dtype=np.float32)
        mask[(slice(0, start + 1),) * 3] = 1
        for label, layer in LAYERS.items():
            meter = Meter()
            session.explain(layer=layer, target=am.RegionTarget(1, mask))
            rows.append({"windows": along**3, "layer": label, **meter.read()})
    return rows


def measure_precision(run: Run, net: Any, scan: Any) -> dict[str, Any]:
    """Maps in a precision, and how far they are from those in float32."""
    import numpy as np
    import torch

    found: dict[str, Any] = {}
    wide = session_of(run, net, scan)
    expected = {label: wide.explain(layer=layer, target=1) for label, layer in LAYERS.items()}
    kind = getattr(torch, run.what)
    with torch.autocast(device_here(), dtype=kind, enabled=run.what != "float32"):
        mixed = session_of(run, net, scan)
        meter = Meter()
        maps = {label: mixed.explain(layer=layer, target=1) for label, layer in LAYERS.items()}
    found |= meter.read()
    found["labels"] = float((mixed.prediction.array == wide.prediction.array).mean())
    for label, made in maps.items():
        pair = (made.image.array.ravel(), expected[label].image.array.ravel())
        found[label] = float(np.corrcoef(*pair)[0, 1])
    return found


if __name__ == "__main__":
    warnings.simplefilter("ignore")
    print(json.dumps(measure(Run(*json.loads(sys.argv[1])))))
