"""Real slice views, drawn off screen, show heat where the map is hot and nowhere else."""

import numpy as np
import pytest

from slicer_phantom import COLD, HOT, SHAPE_IJK, blob

pytest.importorskip("slicer", reason="slicer-core is not installed", exc_type=ImportError)

from SlicerAttentionMapsLib import ColorTables, Display, SliceFigure, VolumeGeometry
from SlicerAttentionMapsLib.SliceRenderer import SliceRequest, renderSlice

PLANES = ("Axial", "Coronal", "Sagittal")
BORDERS = {
    "Axial": {"left": "R", "right": "L", "top": "A", "bottom": "P"},
    "Coronal": {"left": "R", "right": "L", "top": "S", "bottom": "I"},
    "Sagittal": {"left": "A", "right": "P", "top": "S", "bottom": "I"},
}
MILLIMETERS_PER_PIXEL = 0.25
SIZE = (320, 300)

pytestmark = [pytest.mark.slicer, pytest.mark.usefixtures("openGl")]


def addOverlay(phantom, values, *, signed: bool):
    node = Display.createOverlay(phantom.scanNode, values.T, "Map")
    return node, Display.styleOverlay(node, signed=signed)


def render(phantom, plane, overlayNode, center, opacity=0.5):
    request = SliceRequest(
        orientation=plane,
        center=tuple(center),
        size=SIZE,
        millimetersPerPixel=MILLIMETERS_PER_PIXEL,
        background=phantom.scanNode,
        foreground=overlayNode,
        opacity=opacity,
    )
    return renderSlice(phantom.scene, phantom.context.applicationLogic, request)


def sampled(picture, phantom, values, center):
    """Return the map at every pixel, (height, width): trilinear, NaN outside; and its largest
    absolute value among the eight voxels around, by which exact zeros are known."""
    height, width = picture.image.shape[:2]
    rows, columns = np.mgrid[0:height, 0:width]
    depth = (picture.rasToXy @ [*center, 1.0])[2]
    xyz = np.stack([columns, height - 1 - rows, np.full_like(rows, depth), np.ones_like(rows)])
    toIjk = np.linalg.inv(phantom.affine) @ np.linalg.inv(picture.rasToXy)
    ijk = np.tensordot(toIjk, xyz, 1)[:3]
    low = np.floor(ijk).astype(int)
    limit = np.array(SHAPE_IJK).reshape(3, 1, 1)
    inside = ((low >= 0) & (low + 1 < limit)).all(axis=0)
    value, largest = np.zeros(rows.shape), np.zeros(rows.shape)
    for corner in np.ndindex(2, 2, 2):
        offset = np.array(corner).reshape(3, 1, 1)
        weight = np.where(offset, ijk - low, 1 - (ijk - low)).prod(axis=0)
        corners = values[tuple(np.clip(low + offset, 0, limit - 1))]
        value += weight * corners
        largest = np.maximum(largest, np.abs(corners))
    value[~inside] = np.nan
    return value, largest


def colorful(image) -> np.ndarray:
    """Return how far each pixel is from grey, (height, width)."""
    return image.max(axis=-1).astype(int) - image.min(axis=-1)


@pytest.mark.parametrize("plane", PLANES)
@pytest.mark.parametrize("signed", [False, True])
def test_heat_where_the_map_is_hot_and_none_where_it_is_zero(phantom, plane, signed):
    values = blob(HOT) - (0.8 * blob(COLD) if signed else 0)
    node, _ = addOverlay(phantom, values, signed=signed)
    for place in (HOT, COLD) if signed else (HOT,):
        center = phantom.worldOf(place)
        picture = render(phantom, plane, node, center)
        value, largest = sampled(picture, phantom, values, center)
        color = colorful(picture.image)
        assert (value >= 0.3).any() or (value <= -0.3).any()
        assert color[np.abs(value) > 0.3].min() > 12
        assert color[(largest == 0) & ~np.isnan(value)].max() == 0
        assert color[(np.abs(value) < 0.08)].max() == 0  # weaker than the threshold


@pytest.mark.parametrize("plane", PLANES)
def test_the_hottest_voxel_has_the_last_color_of_the_table(phantom, plane):
    node, _ = addOverlay(phantom, blob(HOT), signed=False)
    center = phantom.worldOf(HOT)
    picture = render(phantom, plane, node, center, opacity=1.0)
    last = 255 * ColorTables.colorsOf(node.GetDisplayNode().GetColorNode())[-1, :3]
    np.testing.assert_allclose(picture.image[picture.pixelOf(center)], last, atol=6)


@pytest.mark.parametrize("plane", PLANES)
def test_half_opacity_is_the_mean_of_scan_and_color(phantom, plane):
    node, _ = addOverlay(phantom, blob(HOT), signed=False)
    center = phantom.worldOf(HOT)
    pixels = [
        render(phantom, plane, node, center, opacity).image.astype(float)
        for opacity in (0.0, 0.5, 1.0)
    ]
    value, _ = sampled(render(phantom, plane, None, center), phantom, blob(HOT), center)
    hot = value > 0.2
    np.testing.assert_allclose(pixels[1][hot], (pixels[0] + pixels[2])[hot] / 2, atol=1.5)


def test_red_where_positive_and_blue_where_negative(phantom):
    node, _ = addOverlay(phantom, blob(HOT) - blob(COLD), signed=True)
    for place, strong, weak in ((HOT, 0, 2), (COLD, 2, 0)):
        center = phantom.worldOf(place)
        picture = render(phantom, "Axial", node, center)
        pixel = picture.image[picture.pixelOf(center)].astype(int)
        assert pixel[strong] > pixel[weak] + 20


@pytest.mark.parametrize("signed", [False, True])
def test_the_size_of_the_values_does_not_matter(phantom, signed):
    values = blob(HOT) - (0.8 * blob(COLD) if signed else 0)
    center = phantom.worldOf(HOT)
    pictures = []
    for scale in (1.0, 1e-9, 1e12):
        node, _ = addOverlay(phantom, scale * values, signed=signed)
        pictures.append(render(phantom, "Coronal", node, center).image.astype(int))
    for picture in pictures[1:]:
        different = np.abs(picture - pictures[0]).max(axis=-1) > 3
        assert different.mean() < 0.002  # the rim of the threshold, by rounding


@pytest.mark.parametrize("signed", [False, True])
def test_a_zero_map_shows_the_scan_alone(phantom, signed):
    node, _ = addOverlay(phantom, np.zeros(SHAPE_IJK), signed=signed)
    center = VolumeGeometry.worldBounds(phantom.scanNode).mean(axis=0)
    image = render(phantom, "Sagittal", node, center).image
    np.testing.assert_array_equal(image, render(phantom, "Sagittal", None, center).image)
    assert image.max() > 100


@pytest.mark.parametrize("plane", PLANES)
def test_outline_of_the_answer_lies_on_its_border(phantom, plane):
    mask = blob(HOT, sigma=4) > 0.5
    labelNode = phantom.addVolume(mask.astype(np.uint8), "Labels")
    Display.addOutlines(labelNode, "Answer", [(0, 1, 0)])
    center = phantom.worldOf(HOT)
    picture = render(phantom, plane, None, center)
    image = picture.image.astype(int)
    outline = (image[..., 1] > 200) & (image[..., 0] < 60)
    value, largest = sampled(picture, phantom, mask.astype(float), center)
    assert outline.sum() > 50
    # Lines lie where voxels of both kinds meet, within the drawing's own two pixels.
    assert (largest[outline] > 0).all()
    assert not outline[picture.pixelOf(center)]
    assert (value[outline] < 0.999).mean() > 0.6


@pytest.mark.parametrize("plane", PLANES)
def test_radiological_borders_and_true_scale(phantom, plane):
    center = phantom.worldOf(HOT)
    picture = render(phantom, plane, None, center)
    assert picture.borderLetters() == BORDERS[plane]
    row, column = picture.pixelOf(center)
    assert abs(row - SIZE[1] / 2) <= 1
    assert abs(column - SIZE[0] / 2) <= 1
    axes = {"Axial": (0, 1), "Coronal": (0, 2), "Sagittal": (1, 2)}[plane]
    for axis in axes:
        moved = center.copy()
        moved[axis] += 10
        distance = np.hypot(*np.subtract(picture.pixelOf(moved), (row, column)))
        assert distance == pytest.approx(10 / MILLIMETERS_PER_PIXEL, abs=1)


def test_rendering_leaves_no_node_behind(phantom):
    node, _ = addOverlay(phantom, blob(HOT), signed=False)
    before = {phantom.scene.GetNthNode(n).GetID() for n in range(phantom.scene.GetNumberOfNodes())}
    for plane in PLANES:
        render(phantom, plane, node, phantom.worldOf(HOT))
    after = {phantom.scene.GetNthNode(n).GetID() for n in range(phantom.scene.GetNumberOfNodes())}
    assert after == before


def test_figure_shows_three_planes_with_the_heat_at_the_strokes(phantom):
    node, style = addOverlay(phantom, blob(HOT), signed=False)
    caption = SliceFigure.Caption("Title", ("Detail",), "Small print.", ("Grad-CAM", "up3"))
    figure = SliceFigure.renderFigure(phantom.context, phantom.scanNode, node, style, caption)
    pixels = np.asarray(figure).astype(int)
    assert figure.mode == "RGB"
    assert figure.width >= 1500
    # The yellow end of the table, mixed half and half with a grey scan, in each third.
    hot = (pixels[..., 0] > pixels[..., 2] + 40) & (pixels[..., 1] > pixels[..., 2] + 25)
    body = hot[90:-250, :1700]
    thirds = np.array_split(body, 3, axis=1)
    assert all(third.sum() > 200 for third in thirds)


@pytest.mark.parametrize("extent", [(200, 240, 180), (1, 60, 80), (300, 300, 0.5), (5, 5, 600)])
def test_panels_share_one_scale_and_never_overlap(extent):
    layout = SliceFigure._planLayout(np.array(extent, float))
    right = 0
    for panel, across, up in zip(layout.panels, (0, 0, 1), (1, 2, 2), strict=True):
        assert panel.left > right
        right = panel.left + panel.width
        assert panel.width >= extent[across] * layout.pixelsPerMillimeter
        assert layout.height >= extent[up] * layout.pixelsPerMillimeter
        assert panel.width >= 300
    assert right <= 1800


@pytest.mark.parametrize(
    ("colorRange", "ticks", "power"),
    [
        ((0, 1), [0, 0.2, 0.4, 0.6, 0.8, 1.0], 0),
        ((-2, 2), [-2, -1, 0, 1, 2], 0),
        ((-3.7e-3, 3.7e-3), [-3e-3, -2e-3, -1e-3, 0, 1e-3, 2e-3, 3e-3], -3),
        ((0, 3.7e-3), [0, 1e-3, 2e-3, 3e-3], -3),
        ((0, float(np.float32(1e-9))), [0, 2e-10, 4e-10, 6e-10, 8e-10, 1e-9], -9),
        ((-5e6, 5e6), [-4e6, -2e6, 0, 2e6, 4e6], 6),
    ],
)
def test_ticks_are_round(colorRange, ticks, power):
    from SlicerAttentionMapsLib.FigureParts import roundTicks

    values, exponent = roundTicks(*colorRange)
    np.testing.assert_allclose(values, ticks, rtol=1e-6)
    assert exponent == power
