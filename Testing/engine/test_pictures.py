"""2D images, DICOM X-rays and pictures, explained from the file to the map in its place."""

import json
import struct
import zlib

import numpy as np
import PIL.Image
import pytest
import SimpleITK
import torch
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.pixels import apply_modality_lut, apply_voi_lut
from pydicom.uid import (
    ComputedRadiographyImageStorage,
    DigitalXRayImageStorageForPresentation,
    ExplicitVRLittleEndian,
    RLELossless,
    generate_uid,
)
from torch import nn
from typer.testing import CliRunner

import attention_maps as am
from attention_maps.cli import app
from attention_maps.errors import ImageError

KINDS = {
    "CR": ComputedRadiographyImageStorage,
    "DX": DigitalXRayImageStorageForPresentation,
}
SHAPE = (37, 52)  # rows, columns
DETECTOR = (0.143, 0.2)  # mm between rows, between columns
SPOT = (slice(8, 14), slice(33, 41))


def xray(path, stored: np.ndarray, kind: str = "DX", **tags) -> Dataset:
    """A projection image of 12 bits, without a position or orientation, as CR and DX are."""
    dataset = Dataset()
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    dataset.file_meta.MediaStorageSOPClassUID = dataset.SOPClassUID = KINDS[kind]
    dataset.file_meta.MediaStorageSOPInstanceUID = dataset.SOPInstanceUID = generate_uid()
    dataset.StudyInstanceUID, dataset.SeriesInstanceUID = generate_uid(), generate_uid()
    dataset.Modality, dataset.PatientOrientation = kind, ["L", "F"]
    dataset.ImagerPixelSpacing = list(DETECTOR)
    dataset.Rows, dataset.Columns = stored.shape
    dataset.SamplesPerPixel, dataset.PhotometricInterpretation = 1, "MONOCHROME2"
    dataset.BitsAllocated, dataset.BitsStored, dataset.HighBit = 16, 12, 11
    dataset.PixelRepresentation = 0
    dataset.PixelData = stored.astype("<i2" if tags.get("PixelRepresentation") else "<u2").tobytes()
    for name, value in tags.items():
        setattr(dataset, name, value)
    if tags.get("compressed"):
        dataset.compress(RLELossless)
    dataset.save_as(path, enforce_file_format=True)
    return dataset


def noise(high: int = 4096, low: int = 0) -> np.ndarray:
    return np.random.default_rng(5).integers(low, high, SHAPE)


@pytest.mark.parametrize("kind", list(KINDS))
@pytest.mark.parametrize(
    "tags",
    [{}, {"RescaleSlope": 2, "RescaleIntercept": -5}, {"compressed": True},
     {"PixelRepresentation": 1, "BitsStored": 16, "HighBit": 15},
     {"BitsStored": 16, "HighBit": 15}],
    ids=["plain", "rescaled", "compressed", "signed", "16 bits"],
)  # fmt: skip
def test_dense_is_bright_and_rescaled(kind, tags, tmp_path):
    """MONOCHROME1 is inverted within the range of its bits; both kinds are one picture then."""
    stored = noise(2000, -2000) if "PixelRepresentation" in tags else noise()
    dataset = xray(tmp_path / "two.dcm", stored, kind, **tags)
    expected = apply_modality_lut(dataset.pixel_array, dataset)
    image = am.read_image(tmp_path / "two.dcm")
    np.testing.assert_array_equal(image.array[0], expected)
    signed = "PixelRepresentation" in tags
    both_ends = -1 if signed else 2**dataset.BitsStored - 1
    other = {"PhotometricInterpretation": "MONOCHROME1", **tags}
    xray(tmp_path / "one.dcm", both_ends - stored, kind, **other)
    np.testing.assert_array_equal(am.read_image(tmp_path / "one.dcm").array, image.array)


@pytest.mark.parametrize(("kind", "inverted"), [("DX", False), ("CR", True)])
@pytest.mark.parametrize("function", [None, "LINEAR", "LINEAR_EXACT", "SIGMOID"])
@pytest.mark.parametrize(
    ("center", "width"), [(2000, 900), ([300.5, 900], [4000.25, 80]), (1500, 1)]
)
def test_windows_are_those_of_viewers(kind, inverted, function, center, width, tmp_path):
    """Against pydicom's, for both kinds of gray."""
    tags = {"WindowCenter": center, "WindowWidth": width, "RescaleSlope": 0.5,
            "RescaleIntercept": 100}  # fmt: skip
    if function is not None:
        tags["VOILUTFunction"] = function
    if inverted:
        tags["PhotometricInterpretation"] = "MONOCHROME1"
    dataset = xray(tmp_path / "x.dcm", noise(), kind, **tags)
    with np.errstate(over="ignore"):
        values = apply_voi_lut(apply_modality_lut(dataset.pixel_array, dataset), dataset, index=0)
    low, high = 100, 100 + 0.5 * 4095
    expected = 255 * (values - low) / (high - low)
    expected = 255 - expected if inverted else expected
    image = am.read_image(tmp_path / "x.dcm", dicom_window=True)
    np.testing.assert_allclose(image.array[0], expected, atol=1e-3)
    stored = am.read_image(tmp_path / "x.dcm")
    np.testing.assert_array_equal(stored.affine, image.affine)
    assert stored.array.max() > 255


def test_windows_that_are_not_there_are_named(tmp_path):
    xray(tmp_path / "x.dcm", noise())
    PIL.Image.fromarray(np.zeros(SHAPE, np.uint8)).save(tmp_path / "x.png")
    with pytest.raises(ImageError, match=r"x\.dcm', found none; leave the window out, or"):
        am.read_image(tmp_path / "x.dcm", dicom_window=True)
    with pytest.raises(ImageError, match=r"single DICOM picture .* got '.*x\.png'"):
        am.read_image(tmp_path / "x.png", dicom_window=True)
    for tags in ({"WindowWidth": 0}, {"WindowWidth": -3}, {"VOILUTFunction": "ODD"}):
        xray(tmp_path / "x.dcm", noise(), **{"WindowCenter": 9, "WindowWidth": 9, **tags})
        with pytest.raises(ImageError, match=r"Expected a window .*leave the window out"):
            am.read_image(tmp_path / "x.dcm", dicom_window=True)


@pytest.mark.parametrize("kind", list(KINDS))
def test_without_an_orientation_it_lies_where_itk_puts_it(kind, tmp_path):
    """Rows to the back, columns to the left, as far apart as on the detector."""
    xray(tmp_path / "x.dcm", noise(), kind)
    image = am.read_image(tmp_path / "x.dcm")
    file = SimpleITK.ReadImage(tmp_path / "x.dcm")
    lps = file.TransformIndexToPhysicalPoint((11, 5, 0))
    np.testing.assert_allclose(image.grid.to_world((5, 11)), np.multiply(lps, [-1, -1, 1]))
    np.testing.assert_allclose(image.grid.spacing, DETECTOR)


class Linear(nn.Module):
    """One class whose score is a weighted sum of all pixels, so that input times gradient is known.

    Rows and columns have weights of their own.
    """

    def __init__(self, channels: int = 1) -> None:
        super().__init__()
        self.conv = nn.Conv2d(channels, channels, 1, groups=channels)
        nn.init.ones_(self.conv.weight)
        nn.init.zeros_(self.conv.bias)
        weight = torch.arange(1.0, 1 + channels * np.prod(SHAPE)).reshape(channels, *SHAPE) / 1e4
        self.register_buffer("weight", weight)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.stack([(self.conv(x) * self.weight).sum((1, 2, 3)), x.mean((1, 2, 3))], 1)


def model_file(folder, count: int = 1, **spec):
    """The network as TorchScript, with its sidecar."""
    torch.jit.trace(Linear(count), torch.zeros(1, count, *SHAPE)).save(folder / "net.pt")
    (folder / "net.json").write_text(json.dumps({"spatial_dims": 2, **spec}))
    return folder / "net.pt"


def expected_map(array: np.ndarray) -> np.ndarray:
    """(rows, columns) sum over channels of weight times pixel."""
    weight = Linear(len(array)).weight.numpy()
    return (weight * array).sum(0)


@pytest.mark.parametrize("photometric", ["MONOCHROME1", "MONOCHROME2"])
def test_an_xray_is_explained_in_its_place(photometric, tmp_path):
    stored = noise()
    tags = {"PhotometricInterpretation": photometric, "RescaleSlope": 2, "RescaleIntercept": -7}
    xray(tmp_path / "chest", stored, **tags)  # files of PACS have no suffix
    values = 2.0 * (4095 - stored if photometric == "MONOCHROME1" else stored) - 7
    made = am.explain(model_file(tmp_path), tmp_path / "chest", "input_x_gradient", target=0)
    np.testing.assert_allclose(made.image.array[0], expected_map(values[None]), rtol=1e-5)
    made.save(tmp_path / "map.nii.gz")
    file = SimpleITK.ReadImage(tmp_path / "chest")
    saved = am.read_image(tmp_path / "map.nii.gz")
    for index in ((0, 0), (30, 4), (2, 51)):
        lps = file.TransformIndexToPhysicalPoint((index[1], index[0], 0))
        np.testing.assert_allclose(
            saved.grid.to_world(index), np.multiply(lps, [-1, -1, 1]), atol=1e-4
        )
    np.testing.assert_array_equal(saved.array, made.image.array)


def png(path, pixels: np.ndarray, mode: str | None = None):
    picture = PIL.Image.fromarray(pixels)
    (picture if mode is None else picture.convert(mode)).save(path)
    return path


def pictures(folder) -> dict:
    """Files by kind, and the (C, rows, columns) that the network gets."""
    rng = np.random.default_rng(3)
    gray = rng.integers(0, 256, SHAPE, dtype=np.uint8)
    color = rng.integers(0, 256, (*SHAPE, 3), dtype=np.uint8)
    alpha = rng.integers(0, 256, SHAPE, dtype=np.uint8)
    deep = rng.integers(0, 65536, SHAPE, dtype=np.uint16)
    few = rng.integers(0, 9, SHAPE, dtype=np.uint8)
    table = rng.integers(0, 256, (256, 3), dtype=np.uint8)
    palette = PIL.Image.fromarray(few, "P")
    palette.putpalette(table.tobytes())
    palette.save(folder / "palette.png")
    rows_first = color.transpose(2, 0, 1)
    with_alpha = np.concatenate([color, alpha[..., None]], axis=-1)
    gray_rgb = np.repeat(gray[..., None], 3, axis=-1)
    return {
        "gray": (png(folder / "gray.png", gray), gray[None]),
        "16 bits": (png(folder / "deep.png", deep), deep[None]),
        "rgb": (png(folder / "rgb.png", color), rows_first),
        "rgba": (png(folder / "rgba.png", with_alpha), rows_first),
        "palette": (folder / "palette.png", table[few].transpose(2, 0, 1)),
        "gray as rgb": (png(folder / "gray_rgb.png", gray_rgb), gray[None]),
    }


@pytest.mark.parametrize("kind", ["gray", "16 bits", "rgb", "rgba", "palette", "gray as rgb"])
@pytest.mark.filterwarnings("ignore:'mode' parameter:DeprecationWarning")
def test_pictures_of_all_kinds_are_explained(kind, tmp_path):
    path, values = pictures(tmp_path)[kind]
    names = [f"channel {n}" for n in range(len(values))]
    network = model_file(tmp_path, len(values), channels=names)
    made = am.explain(network, path, "input_x_gradient", target=0)
    expected = expected_map(values.astype(np.float32))
    np.testing.assert_allclose(made.image.array[0], expected, rtol=1e-5, atol=1e-3)
    file = SimpleITK.ReadImage(path)
    assert file.GetSize() == SHAPE[::-1]
    np.testing.assert_array_equal(made.image.grid.to_world((3, 5)), [-5, -3, 0])


def test_sixteen_bits_of_gray_with_transparency_are_refused_in_words(tmp_path):
    """Pillow would cut them to 8 without a word; it cannot write such a file, either."""
    rows = b"".join(b"\0" + noise(65536)[row].astype(">u2").repeat(2).tobytes() for row in range(9))

    def chunk(kind: bytes, data: bytes) -> bytes:
        check = struct.pack(">I", zlib.crc32(kind + data))
        return struct.pack(">I", len(data)) + kind + data + check

    header = struct.pack(">IIBBBBB", SHAPE[1], 9, 16, 4, 0, 0, 0)
    parts = chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")
    (tmp_path / "x.png").write_bytes(b"\x89PNG\r\n\x1a\n" + parts)
    with pytest.raises(ImageError, match=r"16 bits of gray with transparency .*x\.png"):
        am.read_image(tmp_path / "x.png")


@pytest.mark.parametrize("names", [["red", "green", "blue"], ["R", "G", "B"]])
def test_a_gray_picture_is_shown_to_a_network_of_colors(names, tmp_path):
    gray = noise(256).astype(np.uint8)
    path = png(tmp_path / "x.png", gray)
    network = model_file(tmp_path, 3, channels=names)
    made = am.explain(network, path, "input_x_gradient", target=0)
    expected = expected_map(np.repeat(gray[None].astype(np.float32), 3, axis=0))
    np.testing.assert_allclose(made.image.array[0], expected, rtol=1e-5)
    same = am.explain(network, [path] * 3, "input_x_gradient", target=0)
    np.testing.assert_array_equal(same.image.array, made.image.array)


def test_channels_of_other_meaning_are_not_made_up(tmp_path):
    path = png(tmp_path / "x.png", noise(256).astype(np.uint8))
    network = model_file(tmp_path, 3, channels=["T1", "T2", "FLAIR"])
    with pytest.raises(am.SpecError, match=r"expects 3 channels .* the image has 1"):
        am.explain(network, path)
    color = np.random.default_rng(0).integers(0, 256, (*SHAPE, 3), dtype=np.uint8)
    with pytest.raises(am.SpecError, match=r"expects 1 channels .* the image has 3"):
        am.explain(model_file(tmp_path, 1, channels=["xray"]), png(tmp_path / "y.png", color))


class Bright(nn.Module):
    """Segments what is bright, after a stride: its maps have a grid of their own."""

    def __init__(self) -> None:
        super().__init__()
        self.enc = nn.Conv2d(1, 2, 3, stride=2, padding=1)
        self.up = nn.ConvTranspose2d(2, 2, 3, stride=2, padding=1, output_padding=1)
        self.head = nn.Conv2d(2, 2, 1)
        with torch.no_grad():
            for part in (self.enc, self.up, self.head):
                part.weight.zero_()
                part.bias.zero_()
            self.enc.weight[0] = 1 / 9
            self.up.weight[0, 0] = 1
            self.head.weight[1, 0] = 1
            self.head.bias[1] = -0.4

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.head(self.up(self.enc(x).relu()))


@pytest.mark.parametrize("layer", ["enc", "up"])
@pytest.mark.parametrize("file", ["dcm", "png"])
def test_a_finding_is_marked_where_it_is(layer, file, tmp_path):
    """On a grid that is resized for the network: centroids in mm, across rows and columns."""
    stored = np.full(SHAPE, 400)
    stored[SPOT] = 3600
    path = tmp_path / f"x.{file}"
    if file == "dcm":
        xray(path, 4095 - stored, PhotometricInterpretation="MONOCHROME1")
    else:
        png(path, (stored * 16).astype(np.uint16))
    example = torch.zeros(1, 1, 64, 96)
    torch.jit.trace(Bright(), example).save(tmp_path / "net.pt")
    spec = {"channels": ["xray"], "input_size": {"kind": "fixed", "shape": [64, 96]},
            "intensity": [{"kind": "min_max"}],
            "class_names": ["background", "finding"]}  # fmt: skip
    session = am.Explainer(am.load_model(tmp_path / "net.pt", spec), path)
    made = session.explain("hires_cam", layer, target="finding")
    grid = made.image.grid
    where = np.stack(np.indices(SHAPE), -1)
    world = grid.to_world(where)
    heat = np.clip(made.image.array[0], 0, None)
    found = (world * heat[..., None]).sum((0, 1)) / heat.sum()
    expected = world[SPOT].mean((0, 1))
    assert np.linalg.norm(found - expected) < max(grid.spacing)
    answer = session.prediction.array[0] == 1
    there = np.argwhere(answer).mean(0)
    assert np.abs(there - where[SPOT].mean((0, 1))).max() < 0.6


def test_the_command_line_takes_the_window(tmp_path):
    stored = noise()
    tags = {"WindowCenter": 2000, "WindowWidth": 900}
    xray(tmp_path / "x.dcm", stored, **tags)
    network = model_file(tmp_path)
    arguments = ["explain", str(network), str(tmp_path / "x.dcm"), "-m", "input_x_gradient",
                 "--target", "0", "-o", str(tmp_path / "map.nii.gz"), "--dicom-window",
                 "--figure", str(tmp_path / "map.png")]  # fmt: skip
    done = CliRunner().invoke(app, arguments)
    assert done.exit_code == 0, done.output
    shown = np.clip((stored - 1999.5) / 899 + 0.5, 0, 1) * 255
    found = am.read_image(tmp_path / "map.nii.gz").array[0]
    np.testing.assert_allclose(found, expected_map(shown[None]), rtol=1e-4, atol=1e-3)
    assert (tmp_path / "map.png").stat().st_size > 10_000
