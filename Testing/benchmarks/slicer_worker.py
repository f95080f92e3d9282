"""What the worker costs inside the application: stalls, overlay, second question, live, cancel.

Slicer --no-splash --additional-module-paths SlicerAttentionMaps \
    --python-script Testing/benchmarks/slicer_worker.py [--only overlay second ...] [--threads 2]

Networks are traced in the worker's Python, which needs torch; the live one is MONAI's UNet where
MONAI is installed there.
"""

import argparse
import os
import subprocess
import sys
import tempfile
import time
import traceback
from pathlib import Path

import numpy as np
import qt
import slicer
import slicer.util

MODELS = """
import sys, torch
sys.path[:0] = sys.argv[2:]
from pathlib import Path
from worker import Coarse, UNet, saved
folder = Path(sys.argv[1])
saved(Coarse(), 16, folder)
saved(UNet(), 128, folder)
try:
    from monai.networks.nets import UNet as Monai
    torch.manual_seed(0)
    net = Monai(3, 1, 3, channels=(16, 32, 64, 128), strides=(2, 2, 2), num_res_units=2).eval()
    net = torch.jit.trace(net, torch.zeros(1, 1, 96, 96, 96))
    net.save(str(folder / "Live.pt"))
except ImportError:
    saved(UNet(), 96, folder).rename(folder / "Live.pt")
"""
BEAT_MS, POLL_MS = 5, 10


class Heart:
    """How long the application did not come to its timers, longest first."""

    def __init__(self) -> None:
        self._last, self._worked = time.perf_counter(), time.thread_time()
        self.longest = (0.0, 0.0)
        self._timer = qt.QTimer()
        self._timer.setTimerType(qt.Qt.PreciseTimer)
        self._timer.connect("timeout()", self._beat)
        self._timer.start(BEAT_MS)

    def _beat(self) -> None:
        now, worked = time.perf_counter(), time.thread_time()
        self.longest = max(self.longest, (now - self._last, worked - self._worked))
        self._last, self._worked = now, worked

    def take(self) -> str:
        """The longest gap since this was asked last, and for how long of it the thread worked.

        The rest is what other threads and processes took of the processor.
        """
        self._beat()
        (gap, worked), self.longest = self.longest, (0.0, 0.0)
        return f"{1000 * gap:.0f} ms, {1000 * worked:.0f} ms of it at work"


class Bench:
    """A session that is polled by a timer, as in the panel."""

    def __init__(self, folder: Path, threads: int, seconds: float) -> None:
        from SlicerAttentionMapsLib.WorkerSession import WorkerSession

        self.folder = folder
        self.seconds = seconds
        self.heart = Heart()
        self.session = WorkerSession(environment={"OMP_NUM_THREADS": str(threads)})
        self._timer = qt.QTimer()
        self._timer.connect("timeout()", lambda: self.session.poll(0.002))
        self._timer.start(POLL_MS)

    def until(self, done, seconds: float = 600.0) -> None:
        """Run the application until something is so."""
        end, loop, timer = time.perf_counter() + seconds, qt.QEventLoop(), qt.QTimer()

        def look() -> None:
            if done() or time.perf_counter() > end:
                loop.quit()

        timer.connect("timeout()", look)
        timer.start(2)
        loop.exec_()
        timer.stop()

    def settle(self, seconds: float = 1.0) -> None:
        """Let everything be drawn."""
        start = time.perf_counter()
        self.until(lambda: time.perf_counter() - start > seconds)

    def ask(self, **arguments):
        """One question; gives it with its seconds."""
        start = time.perf_counter()
        question = self.session.explain(**arguments)
        self.until(lambda: question.done)
        if question.error is not None:
            raise question.error
        return question, time.perf_counter() - start

    def choose(self, node, name: str) -> None:
        """Choose and wait for the model."""
        self.session.choose([node], str(self.folder / name))
        self.until(lambda: not self.session.pending)
        if self.session.model is None:
            raise RuntimeError(self.session.modelError)


def volume(*shape: int):
    """A scan of noise, shown in the slice views."""
    array = np.random.default_rng(0).integers(0, 1000, shape[::-1], dtype=np.int16)
    node = slicer.util.addVolumeFromArray(array)
    node.SetName(f"Scan {shape[0]}")
    slicer.util.setSliceViewerLayers(background=node, fit=True)
    return node


def say(what: str, value: str, limit: str = "") -> None:
    print(f"| {what} | {value} | {limit} |", flush=True)


def engine_seconds(question) -> float:
    """What the engine says it took for the maps."""
    from SlicerAttentionMapsLib.ResultNodes import provenanceOf

    return max(provenanceOf(node)["seconds"] for node in question.result)


def overlay(bench: Bench) -> None:
    """512 x 512 x 300: from the volume to its overlay, and the longest stall."""
    node = volume(512, 512, 300)
    bench.settle(3.0)
    bench.heart.take()
    bench.choose(node, "Coarse16.pt")
    say("stall, loading a model", bench.heart.take(), "100 ms")
    for name in ("first", "second"):
        question, took = bench.ask(target=1, layer="conv")
        engine = engine_seconds(question)
        say(f"512x512x300, {name} question", f"{took:.2f} s, engine {engine:.2f} s, "
            f"beyond it {took - engine:.2f} s", "1.5 s beyond")  # fmt: skip
        bench.settle()
        say(f"stall, {name} question to drawn", bench.heart.take(), "100 ms")


def stall(bench: Bench) -> None:
    """A minute of work in which the person does nothing."""
    nodes = slicer.util.getNodesByClass("vtkMRMLScalarVolumeNode")
    node = next((n for n in nodes if n.GetName() == "Scan 512"), None) or volume(512, 512, 300)
    bench.settle()
    bench.choose(node, "Coarse16.pt")
    bench.heart.take()
    question = bench.session.explain(1, "occlusion", options={"size": 32, "stride": 16})
    start = time.perf_counter()
    bench.until(lambda: question.done, bench.seconds)
    what = f"stall, {time.perf_counter() - start:.0f} s of explaining 512x512x300"
    say(what, bench.heart.take(), "100 ms")
    start = time.perf_counter()
    question_ends(bench, question)
    say("512x512x300, cancel in occlusion", f"{time.perf_counter() - start:.3f} s", "1 s")


def question_ends(bench: Bench, question) -> None:
    """Cancel and wait until nothing is under way."""
    bench.session.cancel()
    bench.until(lambda: question.done and not bench.session.pending)


def second(bench: Bench) -> None:
    """128^3: the second question."""
    bench.choose(volume(128, 128, 128), "UNet128.pt")
    bench.ask(target=1, layer="dec0.2")
    bench.settle()
    bench.heart.take()
    rows = []
    for index in (2, 0, 1, 2, 0):
        question, took = bench.ask(target=index, layer="dec0.2")
        rows.append((took, engine_seconds(question)))
        bench.settle(0.2)
    mine, theirs = np.median(rows, axis=0)
    say("128^3, second question", f"{mine:.3f} s, engine {theirs:.3f} s, beyond it "
        f"{mine - theirs:.3f} s", "0.2 s beyond")  # fmt: skip
    say("stall", bench.heart.take(), "100 ms")


def live(bench: Bench) -> None:
    """96^3: maps on the screen while a point moves 30 times a second."""
    node = volume(96, 96, 96)
    bench.choose(node, "Live.pt")
    names = [info.name for info in bench.session.layers if info.explainable]
    layer = next(name for name in names if name.startswith(("model.2", "dec0")))
    bench.ask(target=1, layer=layer)
    made, drawn = [], []
    red = slicer.app.layoutManager().sliceWidget("Red").sliceView().renderWindow()
    tag = red.AddObserver("EndEvent", lambda *_: drawn.append(len(made)))
    count = 0

    def move() -> None:
        nonlocal count
        count += 1
        bench.session.live((10 + count % 70, 40, 50), layer=layer, className=1, onMap=made.append,
                           onError=lambda error: print(error))  # fmt: skip

    timer = qt.QTimer()
    timer.connect("timeout()", move)
    bench.heart.take()
    timer.start(33)
    start = time.perf_counter()
    bench.settle(6.0)
    took = time.perf_counter() - start
    timer.stop()
    bench.session.stopLive()
    red.RemoveObserver(tag)
    bench.until(lambda: not bench.session.pending)
    say(f"96^3, live at {layer}", f"{len(made) / took:.1f} maps/s, {len(set(drawn)) / took:.1f} of "
        "them on the screen", "4 maps/s")  # fmt: skip
    say("stall", bench.heart.take(), "100 ms")


def cancel(bench: Bench) -> None:
    """From Cancel to idle."""
    for method in ("grad_cam", "occlusion"):
        bench.choose(volume(128, 128, 128), "UNet128.pt")
        question = bench.session.explain(1, method, "dec0.2")
        bench.until(lambda asked=question: asked.fraction > 0.02 or asked.done)
        bench.heart.take()
        start = time.perf_counter()
        question_ends(bench, question)
        took = time.perf_counter() - start
        what = f"128^3, cancel in {method} at {question.fraction:.0%}"
        say(what, f"{took:.3f} s ({type(question.error).__name__})", "1 s")
        say("stall", bench.heart.take(), "100 ms")


PARTS = {"overlay": overlay, "stall": stall, "second": second, "live": live, "cancel": cancel}


def main() -> None:
    """Print a table."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--seconds", type=float, default=60.0, help="how long a long run is")
    parser.add_argument("--only", nargs="*", choices=list(PARTS), default=list(PARTS))
    chosen = parser.parse_args(sys.argv[1:])
    from SlicerAttentionMapsLib import Interpreters
    from SlicerAttentionMapsLib.EnginePath import ensureEngine

    ensureEngine()
    here = Path(__file__).resolve()
    paths = [str(here.parent), str(here.parents[2] / "Engine")]
    with tempfile.TemporaryDirectory() as folder:
        command = [Interpreters.find(), "-c", MODELS, folder, *paths]
        subprocess.run(command, check=True)
        bench = Bench(Path(folder), chosen.threads, chosen.seconds)
        bench.settle(2.0)
        bench.heart.take()
        bench.settle(2.0)
        print(f"{os.cpu_count()} cores, {chosen.threads} threads")
        print("| what | measured | limit |\n|---|---|---|")
        say("longest gap of the idle application", bench.heart.take())
        for name in chosen.only:
            PARTS[name](bench)
        bench.session.close()


try:
    main()
    slicer.util.exit(0)
except BaseException:
    traceback.print_exc()
    slicer.util.exit(1)
