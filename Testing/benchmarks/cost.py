"""What a Grad-CAM costs: time and memory against the lower bound and against other packages.

Every tool answers the same question (the sum of one class's logits over the volume) about the same
layer of the same network on the same input with the same number of threads. The lower bound is a
hand-written hook: parameters frozen, the layer's output made a leaf of autograd, so that nothing
before the layer is recorded and the backward pass stops there. Times are medians over rounds in
which all tools take turns. Memory is the most that tensors hold at once during a run, by PyTorch's
record of its allocator; the work space of the convolution library is in none of the figures.

    python Testing/benchmarks/cost.py [--size 96] [--rounds 7] [--threads 2]
"""

from __future__ import annotations

import argparse
import platform
import statistics
import subprocess
import sys
import tempfile
import time
import warnings
from itertools import accumulate
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

LAYERS = {"bottleneck": "model.1.submodule.1.submodule.1.submodule", "decoder": "model.1.submodule"}
CLASS = 1
CAM_METHODS = [
    "grad_cam", "grad_cam_pp", "hires_cam", "x_grad_cam", "layer_cam", "eigen_cam",
    "eigen_grad_cam", "seg_xres_cam",
]  # fmt: skip


def network() -> Any:
    """A 3D U-Net of usual width, seeded, in evaluation mode."""
    import torch
    from monai.networks.nets import UNet

    torch.manual_seed(0)
    return UNet(3, 1, 3, (32, 64, 128, 256), (2, 2, 2), num_res_units=2).eval()


def total_of_class(logits: Any) -> Any:
    """(B,) sum of one class's logits over the volume."""
    return logits[:, CLASS].flatten(1).sum(1)


def class_totals(net: Any) -> Any:
    """The network with one number per class, (B, classes), as classifiers give."""
    import torch

    class Totals(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.net = net

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.net(x).flatten(2).sum(2)

    return Totals()


def lower_bound(layer: str, x: Any) -> Callable[[], Any]:
    """Grad-CAM by hand, as cheap as it can be."""
    import torch

    net = network()
    for parameter in net.parameters():
        parameter.requires_grad_(False)
    module = net.get_submodule(layer)

    def run() -> Any:
        kept = []

        def hook(_module: Any, _inputs: Any, output: Any) -> Any:
            kept.append(output.detach().requires_grad_())
            return kept[0]

        handle = module.register_forward_hook(hook)
        logits = net(x)
        handle.remove()
        (gradient,) = torch.autograd.grad(total_of_class(logits).sum(), kept)
        weights = gradient.mean((2, 3, 4), keepdim=True)
        return (weights * kept[0].detach()).sum(1).relu()[0].numpy()

    return run


def ours_eager(layer: str, x: Any) -> Callable[[], Any]:
    """This package on the eager module."""
    import attention_maps as am

    model, image = am.load_model(network()), am.Image(x[0])
    return lambda: am.explain(model, image, layer=layer, target=total_of_class).raw.array[0]


def ours_torchscript(layer: str, x: Any) -> Callable[[], Any]:
    """This package on the traced module, from its file."""
    import torch

    import attention_maps as am

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.pt"
        torch.jit.trace(network(), x, check_trace=False).save(path)
        model, image = am.load_model(path), am.Image(x[0])
    return lambda: am.explain(model, image, layer=layer, target=total_of_class).raw.array[0]


def captum(layer: str, x: Any) -> Callable[[], Any]:
    """captum's LayerGradCam."""
    from captum.attr import LayerGradCam

    net = network()
    explainer = LayerGradCam(lambda inputs: total_of_class(net(inputs)), net.get_submodule(layer))
    return lambda: explainer.attribute(x, relu_attributions=True)[0, 0].detach().numpy()


def monai(layer: str, x: Any) -> Callable[[], Any]:
    """MONAI's GradCAM, its map before upsampling; its sign is undone."""
    from monai.visualize import GradCAM

    explainer = GradCAM(class_totals(network()), target_layers=f"net.{layer}")
    return lambda: explainer.compute_map(x, class_idx=CLASS)[0, 0].detach().numpy()


def medcam(layer: str, x: Any) -> Callable[[], Any]:
    """M3d-CAM; its map comes min-max scaled and upsampled."""
    from medcam import medcam as package

    model = package.inject(
        network(), backend="gcam", layer=layer, label=CLASS, return_attention=True
    )
    return lambda: model(x)[1]


TOOLS: dict[str, Callable[[str, Any], Callable[[], Any]]] = {
    "lower bound": lower_bound,
    "attention_maps, eager": ours_eager,
    "attention_maps, TorchScript": ours_torchscript,
    "captum 0.9 LayerGradCam": captum,
    "MONAI 1.6 GradCAM": monai,
    "M3d-CAM 0.1.22 (medcam) gcam": medcam,
}


def picture(size: int) -> Any:
    """The input (1, 1, size, size, size)."""
    import torch

    return torch.randn(1, 1, size, size, size, generator=torch.Generator().manual_seed(1))


def peak_memory(run: Callable[[], Any]) -> float:
    """Most MiB that tensors of one run hold at once, by PyTorch's own record of its allocator."""
    import torch

    with torch.profiler.profile(
        activities=[torch.profiler.ProfilerActivity.CPU], profile_memory=True
    ) as profile:
        run()
    events: Any = profile.profiler
    changes = sorted(
        (event.start_ns(), event.nbytes())
        for event in events.kineto_results.events()
        if event.name() == "[memory]"
    )
    return max(accumulate(change for _, change in changes)) / 2**20


def take_turns(runs: dict[str, Callable[[], Any]], rounds: int) -> dict[str, float]:
    """Median seconds of each, in rounds in which all take turns, after one round to warm up."""
    times: dict[str, list[float]] = {name: [] for name in runs}
    for turn in range(rounds + 1):
        for name, run in runs.items():
            start = time.perf_counter()
            run()
            if turn:
                times[name].append(time.perf_counter() - start)
    return {name: statistics.median(values) for name, values in times.items()}


def similarity(ours: Any, theirs: Any) -> float | None:
    """Correlation of two maps, None where they are not on the same grid."""
    import numpy as np

    theirs = np.asarray(theirs).squeeze()
    if theirs.shape != ours.shape:
        return None
    return float(np.corrcoef(ours.ravel(), theirs.ravel())[0, 1])


def compare(where: str, size: int, rounds: int, threads: int) -> None:
    """Print one table."""
    layer, x = LAYERS[where], picture(size)
    runs, failed = {}, {}
    for name, make in TOOLS.items():
        try:
            runs[name] = make(layer, x)
            runs[name]()
        except Exception as error:
            runs.pop(name, None)
            failed[name] = f"{type(error).__name__}: {str(error).splitlines()[0]}"
    reference = runs["lower bound"]()
    seconds = take_turns(runs, rounds)
    memory = {name: peak_memory(run) for name, run in runs.items()}
    print(f"\nGrad-CAM at the {where} ({layer}), {size}^3, {threads} threads\n")
    print("| | time | over bound | memory | over bound | correlation |")
    print("|---|---|---|---|---|---|")
    for name, run in runs.items():
        same, used = similarity(reference, run()), memory[name]
        print(
            f"| {name} | {seconds[name]:.3f} s | {seconds[name] / seconds['lower bound']:.2f} | "
            f"{used:.0f} MiB | {used / memory['lower bound']:.2f} | "
            f"{'other grid' if same is None else f'{same:.5f}'} |"
        )
    for name, reason in failed.items():
        print(f"| {name} | cannot run: {reason} | | | | |")


def questions(size: int, rounds: int) -> None:
    """Print what further questions, methods and layers cost."""
    import attention_maps as am

    x = picture(size)
    image, model = am.Image(x[0]), am.load_model(network())
    for where, layer in LAYERS.items():
        session = am.Explainer(model, image)
        session.explain(layer=layer, target=total_of_class)
        trace = session._passes.trace
        seed = trace.logits.new_zeros(trace.logits.shape)
        seed[:, CLASS] = 1
        seconds = take_turns(
            {
                "question": lambda s=session, n=layer: s.explain(layer=n, target=total_of_class),
                "backward": lambda t=trace, n=layer, g=seed: t.gradients(g, [n]),
                "one": lambda n=layer: am.explain(model, image, layer=n, target=CLASS),
                "eight": lambda n=layer: am.explain(
                    model, image, layer=n, target=CLASS, method=CAM_METHODS
                ),
            },
            rounds,
        )
        print(
            f"| {where} | {seconds['question']:.3f} s | {seconds['backward']:.3f} s | "
            f"{seconds['question'] / seconds['backward']:.2f} | {seconds['one']:.3f} s | "
            f"{seconds['eight']:.3f} s | {seconds['eight'] / seconds['one']:.2f} |"
        )


def import_seconds() -> float:
    """Median seconds of `import attention_maps` in a process of its own."""
    code = (
        "import time; start = time.perf_counter(); import attention_maps; "
        "print(time.perf_counter() - start)"
    )
    command = [sys.executable, "-c", code]
    return statistics.median(
        float(subprocess.run(command, capture_output=True, text=True, check=True).stdout)
        for _ in range(5)
    )


def main() -> None:
    """Print all tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--size", type=int, default=96, help="edge of the volume in voxels")
    parser.add_argument("--rounds", type=int, default=7, help="counted rounds")
    parser.add_argument("--threads", type=int, default=2, help="threads of PyTorch")
    arguments = parser.parse_args()
    warnings.simplefilter("ignore")
    import torch

    torch.set_num_threads(arguments.threads)
    print(f"torch {torch.__version__}, {platform.machine()}, Python {platform.python_version()}")
    for where in LAYERS:
        compare(where, arguments.size, arguments.rounds, arguments.threads)
    print("\n| layer | second question | its backward | ratio | one method | eight | ratio |")
    print("|---|---|---|---|---|---|---|")
    questions(arguments.size, arguments.rounds)
    print(f"\nimport attention_maps: {import_seconds():.3f} s")


if __name__ == "__main__":
    main()
