"""What an injected module writes: names, places, values."""

from __future__ import annotations

import pickle

import nibabel
import numpy as np
import pandas
import PIL.Image
import pytest
import SimpleITK
import torch
from monai.data import MetaTensor
from torch import nn

import attention_maps as am
from attention_maps import medcam
from attention_maps.geometry import affine_of_layer
from attention_maps.resampling import resample
from tiny_networks import SHAPES, SmallUNet, picture, seeded

AFFINE = np.array([[-1.5, 0, 0.2, 30], [0, 0, 2, -12], [0.1, 1.1, 0, 7], [0, 0, 0, 1.0]])


def batch_of(images: int = 1, axes: int = 3, shape: tuple[int, ...] = ()) -> torch.Tensor:
    generator = torch.Generator().manual_seed(2)
    return torch.randn(images, 1, *(shape or SHAPES[axes]), generator=generator)


def injected_into(folder, axes: int = 3, **options):
    """The small U-Net with a method whose maps are nowhere empty."""
    options = {"layer": "down", "label": 1, "save_maps": True, "backend": "hires_cam", **options}
    return am.inject(seeded(SmallUNet(axes)), folder, **options)


def volume(folder, name: str = "attention_map_0_0_0") -> nibabel.Nifti1Image:
    return nibabel.load(folder / "down" / f"{name}.nii.gz")


# 3D


def test_names_count_calls_and_images(tmp_path):
    """attention_map_CALL_IMAGE_0 in a folder named after the layer; the folder is made."""
    folder = tmp_path / "new" / "maps"
    injected = injected_into(folder, layer=["down", "merge"])
    injected(batch_of(2))
    injected(batch_of(1))
    names = {f"attention_map_{call}_0.nii.gz" for call in ("0_0", "0_1", "1_0")}
    assert {path.name for path in folder.iterdir()} == {"down", "merge"}
    assert {path.name for path in (folder / "down").iterdir()} == names
    at_input = injected_into(tmp_path / "gbp", backend="gbp")
    at_input(batch_of(1))
    assert [p.name for p in (tmp_path / "gbp").iterdir()] == ["attention_map_0_0_0.nii.gz"]


def test_without_a_place(tmp_path):
    """Axes of the batch, one voxel a millimeter; float32 and not scaled."""
    injected = injected_into(tmp_path)
    injected(batch_of())
    file = volume(tmp_path)
    np.testing.assert_array_equal(file.affine, np.eye(4))
    assert file.get_data_dtype() == np.float32
    np.testing.assert_array_equal(file.get_fdata(), injected.get_attention_map()[0, 0])
    alone = am.explain(
        seeded(SmallUNet(3)), am.Image(batch_of()[0].numpy()), method="hires_cam", layer="down",
        target=lambda logits: logits[:, 1].flatten(1).sum(1),
    )  # fmt: skip
    np.testing.assert_allclose(file.get_fdata(), alone.image.array[0], rtol=1e-5, atol=1e-9)


def given_as(form: str, array: np.ndarray, folder):
    """The array (I, J, K) in its place, as one of many things."""
    if form == "Image":
        return am.Image(array[None], AFFINE)
    if form == "nibabel":
        return nibabel.Nifti1Image(array, AFFINE)
    if form == "path":
        am.write_image(am.Image(array[None], AFFINE), folder / "scan.nii.gz")
        return folder / "scan.nii.gz"
    if form == "MetaTensor":
        return MetaTensor(torch.from_numpy(array)[None, None], affine=torch.from_numpy(AFFINE))
    return [MetaTensor(torch.from_numpy(array)[None], affine=torch.from_numpy(AFFINE))]


@pytest.mark.parametrize("form", ["Image", "nibabel", "path", "MetaTensor", "list"])
def test_in_the_images_place(tmp_path, form):
    """The file has the image's affine, and voxel (i, j, k) is that of the batch."""
    injected = injected_into(tmp_path)
    batch = batch_of()
    injected(batch, raw_input=given_as(form, batch[0, 0].numpy(), tmp_path))
    file = volume(tmp_path)
    np.testing.assert_allclose(file.affine, AFFINE, rtol=1e-6)
    np.testing.assert_allclose(file.get_fdata(), injected.get_attention_map()[0, 0], atol=1e-6)


def oblique(shape: tuple[int, ...]) -> SimpleITK.Image:
    image = SimpleITK.Image(list(shape), SimpleITK.sitkFloat32)
    image.SetSpacing((1.0, 2.0, 3.0))
    image.SetOrigin((5.0, -4.0, 9.0))
    image.SetDirection((0, 1, 0, 1, 0, 0, 0, 0, -1))
    return image


@pytest.mark.parametrize("shape", [(9, 11, 8), (8, 8, 8)])
def test_with_simpleitks_axes(tmp_path, shape):
    """Arrays of SimpleITK have their axes reversed; the file lies where the image lies."""
    image = oblique(shape)
    injected = injected_into(tmp_path)
    injected(batch_of(shape=shape[::-1]), raw_input=image)
    made = SimpleITK.ReadImage(tmp_path / "down" / "attention_map_0_0_0.nii.gz")
    for name in ("GetSize", "GetSpacing", "GetOrigin", "GetDirection"):
        np.testing.assert_allclose(getattr(made, name)(), getattr(image, name)(), atol=1e-5)
    array = SimpleITK.GetArrayFromImage(made)
    np.testing.assert_allclose(array, injected.get_attention_map()[0, 0], atol=1e-6)


def test_sizes_tell_the_axes(tmp_path):
    """An Image read from a file, and a batch made by SimpleITK from the same file."""
    injected = injected_into(tmp_path)
    injected(batch_of(shape=(8, 11, 9)), raw_input=am.Image(np.zeros((1, 9, 11, 8)), AFFINE))
    file = volume(tmp_path)
    np.testing.assert_allclose(file.affine, AFFINE, rtol=1e-6)
    expected = injected.get_attention_map()[0, 0].transpose(2, 1, 0)
    np.testing.assert_allclose(file.get_fdata(), expected, atol=1e-6)


def test_of_another_size(tmp_path):
    """The batch was resized: the map lies on the image's own grid, over the same field of view."""
    raw = am.Image(np.zeros((1, 16, 22, 27)), AFFINE)
    injected = injected_into(tmp_path)
    injected(batch_of(), raw_input=raw)
    file = volume(tmp_path)
    np.testing.assert_allclose(file.affine, AFFINE, rtol=1e-6)
    coarse = injected_into(tmp_path / "coarse", data_shape="layer")
    coarse(batch_of())
    # The batch's voxel i lies at 2 i + 1/2 (3 i + 1 for k), the layer's at every second of those.
    layer = am.Grid((4, 6, 5), affine_of_layer(AFFINE, (4, 4, 6), (0.5, 0.5, 1)))
    expected = resample(coarse.get_attention_map()[0], layer, raw.grid)[0]
    np.testing.assert_allclose(file.get_fdata(), expected, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("shape", ["layer", (16, 11, 3)])
def test_data_shape(tmp_path, shape):
    """The layer's grid or any other, in the world: the same map at the same places."""
    given = shape if shape == "layer" else np.array(shape)
    injected = injected_into(tmp_path, data_shape=given)
    batch = batch_of()
    injected(batch, raw_input=am.Image(batch[0].numpy(), AFFINE))
    own = (4, 6, 5) if shape == "layer" else shape
    assert injected.get_attention_map().shape == (1, 1, *own)
    file = volume(tmp_path)
    np.testing.assert_allclose(file.get_fdata(), injected.get_attention_map()[0, 0], atol=1e-6)
    if shape == "layer":  # kernel 3, stride 2, padding 1: the first voxel is that of the input
        affine = affine_of_layer(AFFINE, (2, 2, 2), (0, 0, 0))
        np.testing.assert_allclose(file.affine, affine, rtol=1e-6)
    else:
        step = np.divide(SHAPES[3], shape)
        affine = affine_of_layer(AFFINE, tuple(step), tuple((step - 1) / 2))
        np.testing.assert_allclose(file.affine, affine, rtol=1e-6, atol=1e-6)


def test_several_images(tmp_path):
    """Each has its own place, or all the same."""
    injected = injected_into(tmp_path)
    batch = batch_of(2)
    moved = AFFINE.copy()
    moved[0, 3] += 5
    first, second = (am.Image(batch[0].numpy(), affine) for affine in (AFFINE, moved))
    injected(batch, raw_input=[first, second])
    injected(batch, raw_input=first)
    both = torch.from_numpy(np.stack([AFFINE, moved]))
    injected(batch, raw_input=WithAffines(batch, both))
    for call, expected in ((0, moved), (1, AFFINE), (2, moved)):
        file = volume(tmp_path, f"attention_map_{call}_1_0")
        np.testing.assert_allclose(file.affine, expected, rtol=1e-6)


class WithAffines:
    """A batch of MetaTensors, put together by a data loader."""

    def __init__(self, tensor: torch.Tensor, affine: torch.Tensor) -> None:
        self.tensor, self.affine = tensor, affine
        self.ndim, self.shape, self.detach = tensor.ndim, tensor.shape, tensor.detach

    def __len__(self) -> int:
        return len(self.tensor)

    def __getitem__(self, index: int) -> torch.Tensor:
        return self.tensor[index]


def test_arrays_say_nothing_of_a_place(tmp_path):
    """As in M3d-CAM, whose scripts pass them."""
    injected = injected_into(tmp_path)
    injected(batch_of(), raw_input=batch_of())
    np.testing.assert_array_equal(volume(tmp_path).affine, np.eye(4))


def test_raw_input_of_another_dimension(tmp_path):
    with pytest.raises(am.ImageError, match="raw_input with 3 spatial axes"):
        injected_into(tmp_path)(batch_of(), raw_input=am.Image(np.zeros((1, 8, 11))))


# 2D


def pixels(folder, name: str = "attention_map_0_0_0") -> np.ndarray:
    return np.asarray(PIL.Image.open(folder / "down" / f"{name}.png")).astype(int)


class Bar(nn.Module):
    """Its map is the input's positive part."""

    def __init__(self) -> None:
        super().__init__()
        self.down = nn.Conv2d(1, 1, 1, bias=False)
        self.out = nn.Conv2d(1, 1, 1, bias=False)
        nn.init.ones_(self.down.weight)
        nn.init.ones_(self.out.weight)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.out(self.down(x))


@pytest.mark.parametrize("backend", ["gcam", "hires_cam"])
def test_pictures(tmp_path, backend):
    """Colors of the map divided by its largest value: 0 is 0, whatever else is in the map."""
    from matplotlib import colormaps

    values = torch.tensor([[0.0, 0.5], [1.0, 0.25]])
    options = {"layer": "down", "label": 0, "save_maps": True, "backend": backend}
    am.inject(Bar(), tmp_path, **options)(values[None, None])
    shown = pixels(tmp_path)
    assert shown.shape == (500, 500, 3)
    table = colormaps["bwr" if backend == "hires_cam" else "inferno"]
    for (row, column), value in (((5, 5), 0.0), ((5, 494), 0.5), ((494, 5), 1.0)):
        place = (value + 1) / 2 if backend == "hires_cam" else value
        expected = np.array(table(place)[:3]) * 255
        assert np.abs(shown[row, column] - expected).max() < 3


@pytest.mark.parametrize(
    "form", ["bytes", "shares", "channels first", "batch", "normalized", "flat"]
)
def test_pictures_on_the_input(tmp_path, form):
    """The picture shows where there is no evidence, and keeps its size."""
    below = np.zeros((6, 9, 3), np.uint8)
    below[:3] = (200, 100, 0)
    raw = {
        "bytes": [below],
        "shares": [below / 255],
        "channels first": [torch.from_numpy(below.transpose(2, 0, 1).copy())],
        "batch": torch.from_numpy(below)[None],
        "normalized": [below / 100 - 1],
        "flat": np.full((6, 9), -3.0),
    }[form]
    injected = am.inject(Bar(), tmp_path, layer="down", label=0, save_maps=True)
    injected(torch.zeros(1, 1, 6, 9), raw_input=raw)
    scale = {"normalized": 1.275, "flat": 0}.get(form, 1)
    np.testing.assert_allclose(pixels(tmp_path), below * scale, atol=1)
    values = torch.zeros(1, 1, 6, 9)
    values[..., 5, :] = 1
    injected(values, raw_input=raw)
    shown = pixels(tmp_path, "attention_map_1_0_0")
    np.testing.assert_allclose(shown[:3], (below * scale)[:3], atol=1)
    assert (shown[5] > 100).any()


def test_wrong_picture(tmp_path):
    injected = injected_into(tmp_path, axes=2)
    with pytest.raises(am.ImageError, match="Expected raw_input as a picture"):
        injected(batch_of(axes=2), raw_input=[np.zeros((2, 3, 4, 5))])


# All else that is saved


@pytest.mark.parametrize("axes", [2, 3])
def test_pickle(tmp_path, axes):
    """All maps in the order of calls, layers, images."""
    injected = injected_into(tmp_path, axes, layer=["down", "merge"], save_pickle=True)
    tmp_path.rmdir()  # what was collected is not lost with the folder
    expected = []
    for images in (2, 1):
        injected(batch_of(images, axes))
        maps = injected.get_attention_map()
        expected += [maps[layer][i, 0] for layer in ("down", "merge") for i in range(images)]
    injected.dump()
    saved = pickle.loads((tmp_path / "attention_maps.pkl").read_bytes())
    assert len(saved) == 6
    for array, made in zip(saved, expected, strict=True):
        assert array.dtype == np.float32
        np.testing.assert_array_equal(array, made)


def test_scores(tmp_path):
    """Rows say of which layer, class and file; means are in the order of the network."""
    injected = injected_into(
        tmp_path, layer=["merge", "down"], evaluate=True, save_scores=True, return_score=True
    )
    scores = []
    for label in (1, 2):
        mask = (batch_of(2) > 0).long()
        scores.append(injected(batch_of(2), label=label, mask=mask)[1])
    injected.dump()
    tables = pandas.read_excel(tmp_path / "scores.xlsx", sheet_name=None)
    rows = tables["Scores"]
    assert len(rows) == 8
    assert rows["class_label"].tolist() == [1] * 4 + [2] * 4
    assert rows["name"].tolist() == [f"attention_map_{c}_{i}_0" for c in (0, 0, 1, 1)
                                     for i in (0, 1)]  # fmt: skip
    found = rows[(rows["layer"] == "down") & (rows["class_label"] == 2)]["evaluation"]
    assert found.tolist() == scores[1]["down"]
    means = tables["Mean Scores"]
    assert means["layer"].tolist() == ["down", "down", "merge", "merge"]
    assert means["mean_score"][1] == pytest.approx(np.mean(scores[1]["down"]))
    assert (tmp_path / "mean_scores.png").exists()


def test_one_map_is_saved(tmp_path):
    """In the folder of the last layer, under the number of the next call."""
    injected = injected_into(tmp_path, save_maps=False)
    injected(batch_of())
    maps = injected.get_attention_map()
    injected.save_attention_map(maps[0][0], raw_input=am.Image(np.zeros((1, *SHAPES[3])), AFFINE))
    injected.save_attention_map(torch.from_numpy(maps))
    for name, affine in (("attention_map_1", AFFINE), ("attention_map_2", np.eye(4))):
        file = volume(tmp_path, name)
        np.testing.assert_allclose(file.get_fdata(), maps[0, 0], rtol=1e-6)
        np.testing.assert_allclose(file.affine, affine, rtol=1e-6)
    with pytest.raises(am.ImageError, match="Expected one map"):
        injected.save_attention_map(np.zeros((2, 1, 4, 4, 4)))


@pytest.mark.parametrize("axes", [2, 3])
def test_m3d_cams_save(tmp_path, axes):
    path = medcam.save(picture(axes)[0], str(tmp_path / "folder" / "map"), heatmap=axes == 3)
    assert path.name == ("map.png" if axes == 2 else "map.nii.gz")
    assert path.exists()
    with pytest.raises(am.ImageError, match="finite"):
        medcam.save(picture(axes)[0] * np.nan, str(tmp_path / "other" / "map"), heatmap=True)
    assert not (tmp_path / "other").exists()
