"""What the worker process costs beyond the engine: volume to overlay, questions, live maps, cancel.

python Testing/benchmarks/worker.py [--threads 2] [--seconds 5] [--only overlay|second|live|cancel]
"""

from __future__ import annotations

import argparse
import os
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from torch import nn
from torch.nn import functional

import attention_maps as am
from attention_maps.worker.client import WorkerClient


class Coarse(nn.Module):
    """Hardly any work of its own, whatever the volume's size."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv3d(1, 3, 1)
        self.out = nn.Conv3d(3, 2, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.out(self.conv(functional.avg_pool3d(x, 8)))


class UNet(nn.Module):
    """Three resolutions with skip connections."""

    def __init__(self, width: int = 8) -> None:
        super().__init__()
        a, b, c = width, 2 * width, 4 * width
        self.enc0 = self._block(1, a)
        self.enc1 = self._block(a, b, 2)
        self.enc2 = self._block(b, c, 2)
        self.up1 = nn.ConvTranspose3d(c, b, 2, stride=2)
        self.dec1 = self._block(2 * b, b)
        self.up0 = nn.ConvTranspose3d(b, a, 2, stride=2)
        self.dec0 = self._block(2 * a, a)
        self.out = nn.Conv3d(a, 3, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        first = self.enc0(x)
        second = self.enc1(first)
        deep = self.up1(self.enc2(second))
        deep = self.up0(self.dec1(torch.cat([deep, second], 1)))
        return self.out(self.dec0(torch.cat([deep, first], 1)))

    @staticmethod
    def _block(before: int, after: int, stride: int = 1) -> nn.Sequential:
        conv = nn.Conv3d(before, after, 3, stride=stride, padding=1)
        return nn.Sequential(conv, nn.InstanceNorm3d(after), nn.LeakyReLU())


def saved(module: nn.Module, edge: int, folder: Path) -> Path:
    """The traced network in a file."""
    torch.manual_seed(0)
    path = folder / f"{type(module).__name__}{edge}.pt"
    torch.jit.trace(module.eval(), torch.zeros(1, 1, edge, edge, edge)).save(str(path))
    return path


def volume(*shape: int) -> np.ndarray:
    """Noise, the same every time, (1, *shape) float32."""
    return np.random.default_rng(0).random((1, *shape), dtype=np.float32)


def seconds(work: Callable[[], object]) -> float:
    """Time of one call."""
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def overlay(client: WorkerClient, folder: Path) -> None:
    """A volume goes in as Slicer holds it, its map comes out as Slicer will hold it."""
    path = saved(Coarse(), 16, folder)
    scan = np.random.default_rng(0).integers(0, 1000, (300, 512, 512), dtype=np.int16)
    image = am.Image(np.ascontiguousarray(scan.T)[None])
    client.wait(client.load_model(path))
    model = am.load_model(path)

    def by_worker() -> None:
        client.set_image([scan.T])
        found = client.wait(client.explain("grad_cam", "conv", 1))[0]
        assert found.image.array[0].T.flags.c_contiguous

    def in_process() -> None:
        am.explain(model, image, "grad_cam", "conv", 1).image.array.max()

    rows = [(seconds(by_worker), seconds(in_process)) for _ in range(6)][1:]
    mine, theirs = np.median(rows, axis=0)
    best = min(first - second for first, second in rows)
    print(f"512x512x300 to overlay: {mine:.2f} s, engine alone {theirs:.2f} s, "
          f"beyond it {mine - theirs:.2f} s, at best {best:.2f} s (below 1.5)")  # fmt: skip


def second_question(client: WorkerClient, folder: Path) -> None:
    """The time of a question whose forward pass is kept, beside the engine's."""
    path, array = saved(UNet(), 128, folder), volume(128, 128, 128)
    client.load_model(path)
    client.set_image(array)
    client.wait(client.explain("grad_cam", "dec0.2", 1))
    session = am.Explainer(path, array)
    session.explain("grad_cam", "dec0.2", 1)
    rows = []
    for index in (2, 0, 1, 2, 0):
        mine = seconds(lambda i=index: client.wait(client.explain("grad_cam", "dec0.2", i)))
        theirs = seconds(lambda i=index: session.explain("grad_cam", "dec0.2", i).image)
        rows.append((mine, theirs))
    mine, theirs = np.median(rows, axis=0)
    print(f"128^3, second question: {mine:.3f} s, engine alone {theirs:.3f} s, "
          f"beyond it {mine - theirs:.3f} s (below 0.2)")  # fmt: skip


class Count:
    """How often it has been called."""

    def __init__(self) -> None:
        self.number = 0

    def __call__(self, *_: object) -> None:
        self.number += 1


def live(client: WorkerClient, folder: Path, duration: float) -> None:
    """Maps that come back while a point moves 30 times a second."""
    path, array = saved(UNet(), 96, folder), volume(96, 96, 96)
    client.load_model(path)
    client.set_image(array)
    for layer in ("dec1.2", "dec0.2"):
        client.wait(client.explain("grad_cam", layer, 1))
        made = Count()
        start = moved = time.perf_counter()
        asked = 0
        while time.perf_counter() - start < duration:
            if time.perf_counter() - moved > 1 / 30:
                moved = time.perf_counter()
                asked += 1
                point = {"kind": "point", "name": 1, "ras": [10 + asked % 70, 40, 50]}
                client.explain("grad_cam", layer, point, live=True, on_map=made)
            client.poll()
            time.sleep(0.002)
        print(f"96^3, live at {layer}: {made.number / duration:.1f} maps/s "
              f"of {asked / duration:.0f} questions/s (at least 4)")  # fmt: skip


def cancel(client: WorkerClient, folder: Path) -> None:
    """From cancel to idle, in the forward pass and among many small ones."""
    path, array = saved(UNet(), 128, folder), volume(128, 128, 128)
    client.wait(client.load_model(path))
    for method in ("grad_cam", "occlusion"):
        client.wait(client.set_image(array))  # a new one, so that the network runs again
        worker, request = client.pid, client.explain(method, "dec0.2", 1)
        while not 0.02 < request.fraction < 1:
            client.poll()
            time.sleep(0.002)
        client.cancel(request)
        took = seconds(lambda asked=request: wait_for_end(client, asked))
        stayed = "worker kept" if client.pid == worker else "worker ended"
        print(f"128^3, cancel in {method} at {request.fraction:.0%}: {took:.3f} s, {stayed} "
              "(below 1)")  # fmt: skip


def wait_for_end(client: WorkerClient, request: object) -> None:
    """Until a cancelled request is over."""
    while not request.done:
        client.poll()
        time.sleep(0.001)


def main() -> None:
    """Print all figures."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--seconds", type=float, default=5.0, help="how long the point moves")
    parser.add_argument("--only", choices=["overlay", "second", "live", "cancel"])
    chosen = parser.parse_args()
    torch.set_num_threads(chosen.threads)
    parts = {
        "overlay": overlay, "second": second_question, "cancel": cancel,
        "live": lambda client, folder: live(client, folder, chosen.seconds),
    }  # fmt: skip
    print(f"{os.cpu_count()} cores, {chosen.threads} threads, torch {torch.__version__}")
    threads = {"OMP_NUM_THREADS": str(chosen.threads)}
    for name, part in parts.items():
        if chosen.only in (None, name):
            with (
                tempfile.TemporaryDirectory() as folder,
                WorkerClient(environment=threads) as client,
            ):
                part(client, Path(folder))


if __name__ == "__main__":
    main()
