"""The overview: what is drawn is where the patient has it, in every orientation of the file."""

from __future__ import annotations

import io
import subprocess
import sys

import numpy as np
import pytest
import torch
from PIL import Image as Picture

import attention_maps as am
from attention_maps.answer import Answer
from attention_maps.errors import ImageError
from attention_maps.figure import draw_overview, save_figure
from attention_maps.figure_parts import BACKGROUND, Style
from attention_maps.figure_slices import gray_of, gray_window
from attention_maps.geometry import reorient
from attention_maps.peak import describe_position, find_peak
from attention_maps.result import AttentionMap
from attention_maps.spec import ModelSpec

SHAPE = (30, 40, 24)
AFFINE = np.array([[2.0, 0, 0, -21], [0, 1.5, 0, -33], [0, 0, 3.0, 10], [0, 0, 0, 1]])
SPOT = (22, 31, 17)
ORIENTATIONS = ["RAS", "LPS", "LAS", "PIR", "SLA", "ARI"]


def attention_of(
    array: np.ndarray, affine: np.ndarray, signed: bool = False, labels=None, values=None
):
    """A map as `explain` gives it, of a network that answers `labels` (bool) or nothing."""
    image = am.Image(array, affine)
    inside = np.zeros(array.shape[1:], bool) if labels is None else labels
    logits = torch.from_numpy(np.stack([~inside, inside]).astype(np.float32))[None]
    spec = ModelSpec(class_names=("background", "organ"), label_values=values)
    answer = Answer(logits, None, None, spec, image.grid, image.grid)
    provenance = {
        "method_label": "Grad-CAM",
        "model": {"name": "tiny"},
        "reference": "Selvaraju 2017",
        "note": "",
    }
    return AttentionMap(
        image, image.grid, image.grid, 1.5, "enc.1", "grad_cam", "organ", signed, provenance, answer
    )


def volume(spot: tuple[int, ...] = SPOT, value: float = 1.0) -> np.ndarray:
    array = np.zeros((1, *SHAPE), np.float32)
    array[(0, *spot)] = value
    return array


def in_orientation(array: np.ndarray, code: str) -> am.Image:
    turned = reorient(am.Image(array, AFFINE), code)
    return am.Image(np.ascontiguousarray(turned.array), turned.affine)


def pixels_of(figure) -> np.ndarray:
    """(rows, columns, 3) 0..255."""
    stream = io.BytesIO()
    figure.savefig(stream, dpi=figure.dpi, facecolor=BACKGROUND, format="png")
    return np.asarray(Picture.open(stream).convert("RGB")).astype(float)


def expected_place(plane: int, ras: np.ndarray) -> tuple[float, float]:
    """Millimeters from the left and upper edge of a slice, in radiological convention."""
    upper = AFFINE[:3, 3] + AFFINE.diagonal()[:3] * (np.array(SHAPE) - 0.5)
    right, anterior, superior = upper - ras
    return ((right, anterior), (right, superior), (anterior, superior))[plane]


def centroid(axes, weight: np.ndarray) -> np.ndarray:
    """Where a panel's pixels weigh most, in mm from the slice's upper left corner."""
    height = weight.shape[0]
    box = axes.get_window_extent()
    rows = slice(round(height - box.y1), round(height - box.y0))
    columns = slice(round(box.x0), round(box.x1))
    part = weight[rows, columns]
    assert part.sum() > 0, "nothing is drawn in this panel"
    row, column = (np.array(np.nonzero(part > 0.5 * part.max())).mean(axis=1)) + 0.5
    display = (columns.start + column, height - (rows.start + row))
    return axes.transData.inverted().transform(display)


@pytest.mark.parametrize("code", ORIENTATIONS)
def test_heat_is_where_the_patient_has_it(code: str) -> None:
    shown = in_orientation(volume(), code)
    blank = am.Image(np.zeros_like(shown.array), shown.affine)
    result = attention_of(shown.array, shown.affine)
    figure = draw_overview(result, blank)
    pixels = pixels_of(figure)
    color = pixels.max(axis=2) - pixels.min(axis=2)  # strokes and letters are gray
    ras = am.Grid(SHAPE, AFFINE).to_world(SPOT)
    for plane, axes in enumerate(figure.axes[:3]):
        assert centroid(axes, color) == pytest.approx(expected_place(plane, ras), abs=0.5)


@pytest.mark.parametrize("code", ORIENTATIONS)
def test_letters_name_the_side_of_the_patient(code: str) -> None:
    """A scan that is bright at right, anterior, superior is bright beside R, A and S."""
    scan = np.zeros((1, *SHAPE), np.float32)
    scan[0, 24:, 32:, 19:] = 100
    result_array = volume((26, 35, 21), 1e-3)
    shown = in_orientation(result_array, code)
    figure = draw_overview(attention_of(shown.array, shown.affine), in_orientation(scan, code))
    for axes, sides in zip(figure.axes[:3], ("RA", "RS", "AS"), strict=True):
        gray = axes.images[0].get_array()
        row, column = np.array(np.nonzero(gray > 50)).mean(axis=1) / gray.shape
        letters = {text.get_text(): text.get_position() for text in axes.texts if text.get_text()}
        assert len(letters) == 4
        for side in sides:
            x, y = letters[side]
            assert (abs(x - 0.5) < 1e-6) or (x < 0.5) == (column < 0.5)
            assert (abs(y - 0.5) < 1e-6) or (y > 0.5) == (row < 0.5)


def test_titles_say_where_the_slices_are() -> None:
    figure = draw_overview(attention_of(volume(), AFFINE), am.Image(volume(), AFFINE))
    titles = [axes.get_title("left") for axes in figure.axes[:3]]
    assert titles == ["Axial  S 61.0 mm", "Coronal  A 13.5 mm", "Sagittal  R 23.0 mm"]


def test_all_planes_have_one_scale_in_both_directions() -> None:
    figure = draw_overview(attention_of(volume(), AFFINE), am.Image(volume(), AFFINE))
    scales = []
    for axes in figure.axes[:3]:
        origin, right, below = axes.transData.transform([(0, 0), (1, 0), (0, 1)])
        scales += [right[0] - origin[0], origin[1] - below[1]]
    assert np.ptp(scales) < 1e-6


def test_zero_is_transparent_and_opacity_grows() -> None:
    for signed in (False, True):
        alpha = Style(signed, 2.0).colors(np.float32([[-2, -0.5, 0, 0.5, 1, 2]]))[0, :, 3]
        assert alpha[2] == 0
        assert alpha[0] == alpha[5] > alpha[4] > alpha[3] > 0
        assert alpha[1] == alpha[3]


def test_signed_colors_are_centered_at_zero() -> None:
    against, none, for_it = Style(True, 3.0).colors(np.float32([[-3, 0, 1.5]]))[0, :, :3]
    assert against.tolist() == [0, 0, 1]
    assert none.min() > 0.99
    assert for_it[0] == pytest.approx(1)
    assert for_it[1] == pytest.approx(for_it[2])


def test_the_slice_goes_through_the_largest_absolute_value() -> None:
    array = volume((5, 6, 7), 1.0) + volume((20, 30, 10), -2.0)
    peak = find_peak(am.Image(array, AFFINE))
    assert peak is not None
    assert peak.index == (20, 30, 10)
    assert peak.value == -2
    assert peak.ras == (19.0, 12.0, 40.0)
    figure = draw_overview(attention_of(array, AFFINE, signed=True), am.Image(array, AFFINE))
    words = " ".join(text.get_text() for text in figure.texts)
    assert "\N{MINUS SIGN}2 at R 19.0, A 12.0, S 40.0 mm" in words


def test_no_evidence_is_said_and_nothing_is_colored() -> None:
    result = attention_of(volume(value=0.0), AFFINE)
    figure = draw_overview(result, am.Image(volume(), AFFINE))
    assert "No evidence" in " ".join(text.get_text() for text in figure.texts)
    assert all(len(axes.images) == 1 for axes in figure.axes)
    assert find_peak(result.image) is None


@pytest.mark.parametrize(("code", "values"), [("RAS", None), ("LPS", (0, 1)), ("LPS", (3, 9))])
def test_outlines_run_along_the_border_of_the_mask(code: str, values) -> None:
    """A box of 6 x 8 x 5 voxels, on a grid of its own: its border in mm, in all planes."""
    box = np.zeros((1, *SHAPE), np.float32)
    box[0, 18:24, 26:34, 14:19] = 1
    shown = in_orientation(volume(), code)
    labels = in_orientation(box, code).array[0] > 0
    result = attention_of(shown.array, shown.affine, labels=labels, values=values)
    figure = draw_overview(result, shown, am.Image(box, AFFINE))
    first = AFFINE[:3, 3] + AFFINE.diagonal()[:3] * np.array([17.5, 25.5, 13.5])
    last = AFFINE[:3, 3] + AFFINE.diagonal()[:3] * np.array([23.5, 33.5, 18.5])
    for plane, axes in enumerate(figure.axes[:3]):
        low, high = expected_place(plane, last), expected_place(plane, first)
        assert len(axes.collections) == 2
        for contours in axes.collections:
            corners = np.concatenate([path.vertices for path in contours.get_paths()])
            assert corners.min(axis=0) == pytest.approx(low, abs=1e-5)
            assert corners.max(axis=0) == pytest.approx(high, abs=1e-5)
    names = [text.get_text() for text in figure.legends[0].get_texts()]
    assert names == ["Answer: organ", "Mask"]


def test_oblique_scan_is_cut_along_its_own_axes_and_says_so() -> None:
    angle = np.radians(20)
    turn = np.eye(4)
    turn[:2, :2] = [[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]]
    result = attention_of(volume(), turn @ AFFINE)
    figure = draw_overview(result, am.Image(volume(), turn @ AFFINE))
    words = " ".join(text.get_text() for text in figure.texts)
    assert "up to 20\N{DEGREE SIGN} oblique" in " ".join(words.split())
    letters = [text.get_text() for text in figure.axes[0].texts if text.get_text()]
    assert letters == ["R", "L", "A", "P"]


def test_caption_holds_what_a_reader_needs() -> None:
    figure = draw_overview(attention_of(volume(), AFFINE), am.Image(volume(), AFFINE))
    words = " ".join(" ".join(text.get_text() for text in figure.texts).split())
    for part in (
        "Grad-CAM at layer enc.1 of tiny", "Target: organ", "Score: 1.5", "Rendered by matplotlib",
        "Research use only", "Selvaraju 2017", "patient's left on the right",
    ):  # fmt: skip
        assert part in words


def test_pictures_have_one_panel_as_they_are_stored() -> None:
    array = np.zeros((1, 20, 50), np.float32)
    array[0, 4, 40] = 1
    scan = am.Image(np.zeros((3, 20, 50), np.float32))
    figure = draw_overview(attention_of(array, np.eye(4)), scan)
    panel, _bar = figure.axes
    pixels = pixels_of(figure)
    color = pixels.max(axis=2) - pixels.min(axis=2)
    assert centroid(panel, color) == pytest.approx((40.5, 4.5), abs=0.3)
    assert not [text for text in panel.texts if text.get_text()]


def test_slice_of_a_patient_keeps_its_letters() -> None:
    affine = np.array([[0, -0.5, 0, 60], [-0.5, 0, 0, 70], [0, 0, 4, -12], [0, 0, 0, 1.0]])
    array = np.zeros((1, 30, 30), np.float32)
    array[0, 3, 3] = 1
    figure = draw_overview(attention_of(array, affine), am.Image(array, affine))
    letters = [text.get_text() for text in figure.axes[0].texts if text.get_text()]
    assert letters == ["R", "L", "A", "P"]


@pytest.mark.parametrize("shape", [(64, 64, 1), (1, 40, 40), (200, 200, 4), (5, 5, 5)])
def test_thin_volumes(shape: tuple[int, ...]) -> None:
    array = np.zeros((1, *shape), np.float32)
    array[(0, *(n // 2 for n in shape))] = 1
    figure = draw_overview(attention_of(array, AFFINE), am.Image(array, AFFINE))
    assert len(figure.axes) == (4 if min(shape) > 1 else 2)
    assert pixels_of(figure).std() > 0


def test_window_ignores_outliers_and_what_is_not_finite() -> None:
    array = np.linspace(0, 100, 20**3, dtype=np.float32).reshape(1, 20, 20, 20)
    array[0, 0, 0, :3] = np.nan, np.inf, 1e9
    low, high = gray_window(am.Image(array))
    assert low == pytest.approx(0.5, abs=0.2)
    assert high == pytest.approx(99.5, abs=0.2)
    assert gray_window(am.Image(np.full((1, 4, 4), 7.0))) == (7, 8)


def test_gray_of_color_is_its_luminance() -> None:
    color = np.stack([np.full((2, 2), value) for value in (10.0, 20.0, 30.0)])
    assert gray_of(am.Image(color)).array.ravel() == pytest.approx([18.15] * 4)


def test_position_as_radiologists_write_it() -> None:
    assert describe_position((-30.04, 0.0, -0.04), 0) == "L 30.0"
    assert describe_position((-30.04, 0.0, -0.04), 1) == "A 0.0"
    assert describe_position((-30.04, 0.0, -0.04), 2) == "S 0.0"


@pytest.mark.parametrize("name", ["map.png", "map.pdf", "map.svg"])
def test_file_is_written_whole(name: str, tmp_path) -> None:
    result = attention_of(volume(), AFFINE)
    path = save_figure(result, am.Image(volume(), AFFINE), tmp_path / name, dpi=40)
    assert path.stat().st_size > 1000
    assert [item.name for item in tmp_path.iterdir()] == [name]
    if name.endswith(".png"):
        with Picture.open(path) as picture:
            assert picture.size[0] == 13 * 40


def test_refusals(tmp_path) -> None:
    result, scan = attention_of(volume(), AFFINE), am.Image(volume(), AFFINE)
    with pytest.raises(ImageError, match=r"ends in \.png"):
        save_figure(result, scan, tmp_path / "map.bmp")
    with pytest.raises(ImageError, match="another grid"):
        save_figure(result, am.Image(volume(), np.eye(4)), tmp_path / "map.png")
    with pytest.raises(FileNotFoundError, match="existing folder"):
        save_figure(result, scan, tmp_path / "nowhere" / "map.png")
    assert list(tmp_path.iterdir()) == []


def test_pyplot_is_left_alone() -> None:
    code = "import attention_maps.figure, sys; print('matplotlib.pyplot' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"
