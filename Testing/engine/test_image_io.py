"""Images in every orientation and format come back with the same values in the same place."""

import gzip
import itertools
from pathlib import Path

import nibabel
import numpy as np
import PIL.Image
import pytest
import SimpleITK
from nibabel.affines import from_matvec
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian, generate_uid

from attention_maps.errors import ImageError
from attention_maps.image_io import read_image, write_image
from attention_maps.types import Grid, Image

CODES = [
    "".join(letters)
    for pairs in itertools.permutations(("RL", "AP", "SI"))
    for letters in itertools.product(*pairs)
]
TILT = nibabel.eulerangles.euler2mat(0.3, -0.2, 0.4)
SPACING = (0.8, 1.1, 2.5)
SHAPE = (5, 6, 7)
BRIGHT = (1, 4, 2)
LPS = np.diag([-1.0, -1.0, 1.0, 1.0])
SHEAR = np.array([[0.8, 0.2, 0, 3], [0, 1.1, -0.1, 2], [0.3, 0, 2.5, 1], [0, 0, 0, 1]])


def affine_with(code: str, tilt: np.ndarray) -> np.ndarray:
    """Affine with axes along `code`, anisotropic, tilted."""
    matrix = np.zeros((3, 3))
    for axis, (world, sign) in enumerate(nibabel.orientations.axcodes2ornt(code)):
        matrix[int(world), axis] = sign * SPACING[axis]
    return from_matvec(tilt @ matrix, [12.0, -30.5, 45.25])


OBLIQUE = affine_with("RAS", TILT)


def phantom(affine: np.ndarray, channels: int = 1) -> Image:
    """A gradient along every axis and one bright voxel: no two views of it are alike."""
    i, j, k = np.indices(SHAPE)
    array = np.stack([i + 10.25 * j - 100 * k + 1000.5 * c for c in range(channels)])
    array[(slice(None), *BRIGHT)] = 5000
    return Image(array, affine)


def itk_value_at(path: Path, ras: np.ndarray) -> float:
    """Value that ITK, in its own geometry, has at a RAS position."""
    file = SimpleITK.ReadImage(str(path))
    lps = (np.asarray(ras) * [-1, -1, 1]).tolist()[: file.GetDimension()]
    return file.GetPixel(file.TransformPhysicalPointToIndex(lps))


def value_at(image: Image, ras: np.ndarray) -> float:
    index = np.rint(image.grid.to_index(ras)).astype(int)
    return float(image.array[(0, *index)])


def same(first: Image, second: Image, columns: int = 4) -> None:
    np.testing.assert_array_equal(first.array, second.array)
    kept = [*range(min(columns, first.ndim)), 3]
    np.testing.assert_allclose(first.affine[:, kept], second.affine[:, kept], rtol=0, atol=1e-5)


@pytest.mark.parametrize("suffix", [".nii", ".nii.gz", ".nrrd", ".mha"])
@pytest.mark.parametrize("tilt", [np.eye(3), TILT], ids=["straight", "oblique"])
@pytest.mark.parametrize("code", CODES)
def test_every_orientation_comes_back_and_lies_where_itk_sees_it(code, tilt, suffix, tmp_path):
    image = phantom(affine_with(code, tilt))
    path = write_image(image, tmp_path / f"phantom{suffix}")
    back = read_image(path)
    assert back.array.dtype == np.float32
    same(back, image)
    for index in (BRIGHT, (0, 0, 0), (4, 5, 6), (3, 0, 5)):
        ras = image.grid.to_world(index)
        assert itk_value_at(path, ras) == value_at(back, ras) == image.array[(0, *index)]


@pytest.mark.parametrize("suffix", [".nii.gz", ".nrrd", ".mha"])
@pytest.mark.parametrize("channels", [2, 3, 5])
def test_channels_come_back(channels, suffix, tmp_path):
    image = phantom(OBLIQUE, channels)
    same(read_image(write_image(image, tmp_path / f"phantom{suffix}")), image)


@pytest.mark.parametrize("suffix", [".nii.gz", ".nrrd", ".mha"])
def test_any_memory_layout_is_written_right(suffix, tmp_path):
    image = phantom(OBLIQUE, 2)
    view = Image(np.asfortranarray(image.array)[:, ::-1].copy(order="F")[:, ::-1], OBLIQUE)
    view.array.setflags(write=False)
    same(read_image(write_image(view, tmp_path / f"view{suffix}")), image)


@pytest.mark.parametrize("suffix", [".nii.gz", ".nrrd", ".mha"])
def test_a_volume_of_one_slice_stays_a_volume(suffix, tmp_path):
    image = Image(phantom(OBLIQUE).array[..., :1], OBLIQUE)
    assert read_image(write_image(image, tmp_path / f"slice{suffix}")).array.shape == (1, 5, 6, 1)


def test_sheared_nifti_keeps_its_shear_and_has_no_qform(tmp_path):
    image = phantom(SHEAR)
    path = write_image(image, tmp_path / "sheared.nii.gz")
    same(read_image(path), image)
    header = nibabel.load(path).header
    assert (header["sform_code"], header["qform_code"]) == (1, 0)
    np.testing.assert_allclose(header.get_zooms(), image.grid.spacing, rtol=1e-6)


def test_nifti_header_says_where_in_both_ways_and_in_mm(tmp_path):
    path = write_image(phantom(OBLIQUE, 2), tmp_path / "phantom.nii.gz")
    file = nibabel.load(path)
    assert (file.header["sform_code"], file.header["qform_code"]) == (1, 1)
    np.testing.assert_allclose(file.get_qform(), OBLIQUE, rtol=0, atol=1e-5)
    assert file.header.get_xyzt_units()[0] == "mm"
    assert file.get_data_dtype() == np.float32
    assert file.shape == (*SHAPE, 2)


@pytest.mark.parametrize("suffix", [".nrrd", ".mha"])
def test_sheared_grids_are_refused_where_the_format_has_none(suffix, tmp_path):
    with pytest.raises(ImageError, match=r"sheared affine; write \.nii\.gz"):
        write_image(phantom(SHEAR), tmp_path / f"sheared{suffix}")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("suffix", [".nii.gz", ".nrrd", ".mha"])
def test_equal_images_give_equal_files(suffix, tmp_path, monkeypatch):
    first = write_image(phantom(OBLIQUE), tmp_path / f"first{suffix}").read_bytes()
    monkeypatch.setattr("time.time", lambda: 2e9)
    assert write_image(phantom(OBLIQUE), tmp_path / f"second{suffix}").read_bytes() == first


# NIfTI as others write it


def save_nifti(path: Path, data: np.ndarray, affine: np.ndarray | None, **units: str) -> Path:
    file = nibabel.Nifti1Image(data, affine)
    file.header.set_xyzt_units(**units)
    nibabel.save(file, path)
    return path


def test_scaled_integers_are_rescaled(tmp_path):
    data = phantom(OBLIQUE).array[0]
    file = nibabel.Nifti1Image(data, OBLIQUE)
    file.header.set_data_dtype(np.int16)
    nibabel.save(file, tmp_path / "scaled.nii.gz")
    assert nibabel.load(tmp_path / "scaled.nii.gz").dataobj.slope != 1
    np.testing.assert_allclose(read_image(tmp_path / "scaled.nii.gz").array[0], data, atol=0.1)


@pytest.mark.parametrize("dtype", [np.uint8, np.int16, np.int32, np.float64, np.int64])
def test_voxel_types_become_float32(dtype, tmp_path):
    data = np.arange(210, dtype=dtype).reshape(SHAPE)
    path = tmp_path / "typed.nii"
    nibabel.save(nibabel.Nifti1Image(data, OBLIQUE, dtype=dtype), path)
    np.testing.assert_array_equal(read_image(path).array[0], data)


def test_fourth_and_fifth_axis_are_channels(tmp_path):
    image = phantom(OBLIQUE, 3)
    data = np.moveaxis(image.array, 0, -1)
    same(read_image(save_nifti(tmp_path / "4d.nii", data, OBLIQUE)), image)
    same(read_image(save_nifti(tmp_path / "5d.nii", data[:, :, :, None], OBLIQUE)), image)


def test_qform_counts_where_the_sform_is_unset(tmp_path):
    file = nibabel.Nifti1Image(phantom(OBLIQUE).array[0], OBLIQUE)
    file.set_qform(OBLIQUE, 1)
    file.set_sform(None, 0)
    nibabel.save(file, tmp_path / "qform.nii")
    same(read_image(tmp_path / "qform.nii"), phantom(OBLIQUE))


def test_sform_goes_before_a_qform_that_differs_with_a_warning(tmp_path, caplog):
    file = nibabel.Nifti1Image(phantom(OBLIQUE).array[0], OBLIQUE)
    file.set_sform(OBLIQUE, 4)
    file.set_qform(OBLIQUE @ from_matvec(np.eye(3), [1, 0, 0]), 1)
    nibabel.save(file, tmp_path / "both.nii")
    same(read_image(tmp_path / "both.nii"), phantom(OBLIQUE))
    assert "sform and qform of" in caplog.text
    caplog.clear()
    read_image(write_image(phantom(OBLIQUE), tmp_path / "one.nii"))
    assert not caplog.text


def test_without_sform_and_qform_voxels_lie_where_itk_puts_them(tmp_path):
    data = phantom(OBLIQUE).array[0]
    file = nibabel.Nifti1Image(data, None)
    file.header.set_zooms(SPACING)
    nibabel.save(file, tmp_path / "bare.nii")
    header = nibabel.load(tmp_path / "bare.nii").header
    assert (header["sform_code"], header["qform_code"]) == (0, 0)
    image = read_image(tmp_path / "bare.nii")
    ras = image.grid.to_world(BRIGHT)
    assert itk_value_at(tmp_path / "bare.nii", ras) == value_at(image, ras) == 5000
    np.testing.assert_allclose(image.grid.spacing, SPACING, rtol=1e-6)


@pytest.mark.parametrize(("unit", "mm"), [("meter", 1000.0), ("micron", 0.001), ("mm", 1.0)])
def test_other_units_of_length_become_mm(unit, mm, tmp_path):
    path = save_nifti(tmp_path / "unit.nii", phantom(OBLIQUE).array[0], OBLIQUE, xyz=unit)
    affine = read_image(path).affine
    np.testing.assert_allclose(affine[:3], OBLIQUE[:3] * mm, rtol=1e-6)


# 2D


def picture(channels: int = 1, dtype: type = np.uint8) -> np.ndarray:
    """(rows, columns[, channels]) of a picture whose every pixel differs."""
    pixels = np.arange(4 * 6 * channels, dtype=dtype).reshape(4, 6, channels)
    return pixels[..., 0] if channels == 1 else pixels


@pytest.mark.parametrize("suffix", [".png", ".tif", ".tiff", ".bmp"])
@pytest.mark.parametrize("channels", [1, 3])
def test_pictures_are_rows_first_and_lie_where_itk_sees_them(channels, suffix, tmp_path):
    pixels, path = picture(channels), tmp_path / f"picture{suffix}"
    PIL.Image.fromarray(pixels).save(path)
    image = read_image(path)
    np.testing.assert_array_equal(image.array, np.moveaxis(np.atleast_3d(pixels), -1, 0))
    np.testing.assert_array_equal(image.grid.to_world((2, 5)), [-5, -2, 0])
    assert np.max(itk_value_at(path, image.grid.to_world((2, 5)))) == pixels[2, 5].max()


def test_jpeg_pixels_and_resolution_are_those_of_itk(tmp_path):
    path = tmp_path / "picture.jpg"
    PIL.Image.fromarray(np.repeat(picture(), 8, 0) * 8).save(path, dpi=(254, 508), quality=95)
    image = read_image(path)
    np.testing.assert_array_equal(
        image.array[0], SimpleITK.GetArrayFromImage(SimpleITK.ReadImage(str(path)))
    )
    np.testing.assert_allclose(image.grid.to_world((10, 3)), [-0.3, -0.5, 0.0])


def test_sixteen_bits_are_kept(tmp_path):
    pixels = picture(dtype=np.uint16) * 2000
    PIL.Image.fromarray(pixels).save(tmp_path / "gray.png")
    PIL.Image.fromarray(pixels).save(tmp_path / "gray.tif")
    color = picture(3, np.uint16) * 900
    SimpleITK.WriteImage(
        SimpleITK.GetImageFromArray(color, isVector=True), str(tmp_path / "color.png")
    )
    np.testing.assert_array_equal(read_image(tmp_path / "gray.png").array[0], pixels)
    np.testing.assert_array_equal(read_image(tmp_path / "gray.tif").array[0], pixels)
    np.testing.assert_array_equal(
        read_image(tmp_path / "color.png").array, np.moveaxis(color, -1, 0)
    )


@pytest.mark.parametrize("suffix", [".png", ".tif", ".bmp"])
def test_palettes_are_expanded(suffix, tmp_path):
    colors = PIL.Image.fromarray(picture(3)).quantize(24)
    colors.save(tmp_path / f"colors{suffix}")
    expected = np.moveaxis(np.asarray(colors.convert("RGB")), -1, 0)
    np.testing.assert_array_equal(read_image(tmp_path / f"colors{suffix}").array, expected)


def test_other_color_models_become_rgb(tmp_path):
    ink = PIL.Image.fromarray(np.concatenate([picture(3), picture()[..., None]], -1))
    ink = ink.convert("RGB").convert("CMYK")
    ink.save(tmp_path / "ink.tif")
    expected = np.moveaxis(np.asarray(ink.convert("RGB")), -1, 0)
    np.testing.assert_array_equal(read_image(tmp_path / "ink.tif").array, expected)


def test_gray_palettes_are_one_channel(tmp_path):
    PIL.Image.fromarray(picture()).convert("P").save(tmp_path / "gray.png", transparency=b"\1\2")
    np.testing.assert_array_equal(read_image(tmp_path / "gray.png").array[0], picture())


@pytest.mark.parametrize("suffix", [".png", ".tif", ".bmp"])
def test_two_level_pictures_are_0_and_255(suffix, tmp_path):
    PIL.Image.fromarray(picture() > 9).save(tmp_path / f"levels{suffix}")
    expected = (picture() > 9)[None] * 255
    np.testing.assert_array_equal(read_image(tmp_path / f"levels{suffix}").array, expected)


def test_transparency_is_dropped(tmp_path):
    gray, color = picture(), picture(3)
    alpha = np.full((4, 6, 1), 7, dtype=np.uint8)
    PIL.Image.fromarray(np.concatenate([color, alpha], -1)).save(tmp_path / "rgba.png")
    PIL.Image.fromarray(np.concatenate([gray[..., None], alpha], -1)).save(tmp_path / "la.png")
    PIL.Image.fromarray(gray).save(tmp_path / "key.png", transparency=3)
    PIL.Image.fromarray(color).save(tmp_path / "keys.png", transparency=(0, 1, 2))
    for name, expected in (("rgba", color), ("la", gray), ("key", gray), ("keys", color)):
        np.testing.assert_array_equal(
            read_image(tmp_path / f"{name}.png").array, np.moveaxis(np.atleast_3d(expected), -1, 0)
        )


@pytest.mark.parametrize("suffix", [".nii.gz", ".nrrd", ".mha", ".png"])
def test_2d_images_come_back_rows_first(suffix, tmp_path):
    PIL.Image.fromarray(picture()).save(tmp_path / "picture.png")
    image = read_image(tmp_path / "picture.png")
    path = write_image(image, tmp_path / f"back{suffix}")
    same(read_image(path), image)
    assert itk_value_at(path, image.grid.to_world((2, 5))) == picture()[2, 5]


def test_2d_nifti_keeps_any_plane(tmp_path):
    image = Image(picture()[None], OBLIQUE)
    same(read_image(write_image(image, tmp_path / "plane.nii.gz")), image)


@pytest.mark.parametrize("suffix", [".nrrd", ".mha"])
def test_2d_color_and_spacing_come_back(suffix, tmp_path):
    affine = LPS @ np.array([[0, 0.5, 0, 3], [0.25, 0, 0, 4], [0, 0, 1, 0], [0, 0, 0, 1]])
    image = Image(np.moveaxis(picture(3), -1, 0), affine)
    same(read_image(write_image(image, tmp_path / f"color{suffix}")), image)
    with pytest.raises(ImageError, match=r"plane S = 0.*write \.nii\.gz"):
        write_image(Image(picture()[None], OBLIQUE), tmp_path / f"plane{suffix}")


# DICOM


def slice_of(image: Image, k: int, slope: float = 1.0, series: str = "1.2.3.4") -> Dataset:
    """Slice k of an image with axes (columns, rows, slices), as a scanner would store it."""
    lps = LPS @ image.affine
    dataset = Dataset()
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    dataset.file_meta.MediaStorageSOPClassUID = dataset.SOPClassUID = CTImageStorage
    uid = generate_uid(entropy_srcs=[series, str(k)])
    dataset.file_meta.MediaStorageSOPInstanceUID = dataset.SOPInstanceUID = uid
    dataset.StudyInstanceUID, dataset.SeriesInstanceUID = "1.2.3", series
    dataset.Modality, dataset.SeriesDescription = "CT", f"series {series}"
    spacing = image.grid.spacing
    dataset.PixelSpacing = [f"{spacing[1]:.8g}", f"{spacing[0]:.8g}"]
    cosines = (lps[:3, :2] / spacing[:2]).T.ravel()
    dataset.ImageOrientationPatient = [f"{value:.10f}" for value in cosines]
    dataset.ImagePositionPatient = [f"{v:.8f}" for v in lps[:3, 3] + k * lps[:3, 2]]
    stored = np.rint((image.array[0, :, :, k].T + 1024) / slope).astype(np.int16)
    dataset.Rows, dataset.Columns = stored.shape
    dataset.SamplesPerPixel, dataset.PhotometricInterpretation = 1, "MONOCHROME2"
    dataset.BitsAllocated = dataset.BitsStored = 16
    dataset.HighBit, dataset.PixelRepresentation = 15, 1
    dataset.RescaleSlope, dataset.RescaleIntercept = f"{slope:g}", "-1024"
    dataset.PixelData = stored.tobytes()
    return dataset


def save_series(
    image: Image, folder: Path, slices: list[int] | None = None, series: str = "1.2.3.4"
) -> Path:
    """Save slices under names that are not in their order."""
    folder.mkdir(exist_ok=True)
    for k in range(image.array.shape[3]) if slices is None else slices:
        name = f"{series}-{(k * 5 + 3) % 7}.dcm"
        slice_of(image, k, 1 + 0.5 * (k % 2), series).save_as(
            folder / name, enforce_file_format=True
        )
    return folder


def stored_phantom(affine: np.ndarray) -> Image:
    """Whole multiples of 3, which slopes 1 and 1.5 store without loss."""
    i, j, k = np.indices(SHAPE)
    array = 3.0 * (i + 10 * j - 30 * k) - 1024 + 1026
    array[BRIGHT] = 4000 - 1024 + 2
    return Image(3 * np.rint((array[None] + 1024) / 3) - 1024, affine)


@pytest.mark.parametrize("code", ["LPS", "LPI", "RAS", "PIR", "ASL"])
@pytest.mark.parametrize("tilt", [np.eye(3), TILT], ids=["straight", "oblique"])
def test_dicom_slices_in_any_file_order_make_the_volume(code, tilt, tmp_path):
    image = stored_phantom(affine_with(code, tilt))
    back = read_image(save_series(image, tmp_path / "series"))
    corners = [*itertools.product(*((0, size - 1) for size in SHAPE)), BRIGHT]
    for ras in image.grid.to_world(corners):
        index = back.grid.to_index(ras)
        np.testing.assert_allclose(index, np.rint(index), rtol=0, atol=1e-5)
        assert value_at(back, ras) == value_at(image, ras)
    assert back.array.shape == image.array.shape
    assert back.array.max() == value_at(image, image.grid.to_world(BRIGHT))


def test_dicom_volume_lies_where_itk_sees_it(tmp_path):
    folder = save_series(stored_phantom(OBLIQUE), tmp_path / "series")
    file = SimpleITK.ReadImage(SimpleITK.ImageSeriesReader.GetGDCMSeriesFileNames(str(folder)))
    image = read_image(folder)
    lps = file.TransformIndexToPhysicalPoint((1, 2, 3))
    np.testing.assert_allclose(image.grid.to_world((1, 2, 3)), np.multiply(lps, [-1, -1, 1]))


def test_tilted_gantry_gives_a_sheared_affine(tmp_path):
    affine = affine_with("LPS", np.eye(3))
    affine[1, 2] = 0.4  # each slice shifted along A
    image = stored_phantom(affine)
    same(read_image(save_series(image, tmp_path / "series")), image)


def test_single_dicom_file_is_2d_rows_first(tmp_path):
    volume = stored_phantom(OBLIQUE)
    folder = save_series(volume, tmp_path / "one", [2])
    for source in (folder, next(folder.iterdir())):
        image = read_image(source)
        np.testing.assert_array_equal(image.array[0], volume.array[0, :, :, 2].T)
        np.testing.assert_allclose(
            image.grid.to_world((3, 1)), volume.grid.to_world((1, 3, 2)), rtol=0, atol=1e-5
        )


def test_dicom_file_without_suffix_is_known_by_its_mark(tmp_path):
    volume = stored_phantom(OBLIQUE)
    slice_of(volume, 1).save_as(tmp_path / "IM0001", enforce_file_format=True)
    np.testing.assert_array_equal(
        read_image(tmp_path / "IM0001").array[0], volume.array[0, :, :, 1].T
    )


def test_dicom_frames_are_a_volume_and_films_are_refused(tmp_path):
    dataset = slice_of(stored_phantom(OBLIQUE), 0)
    dataset.NumberOfFrames = 3
    dataset.PixelData = dataset.PixelData * 3
    dataset.FrameTime = "40"
    dataset.SOPClassUID = "1.2.840.10008.5.1.4.1.1.3.1"
    dataset.file_meta.MediaStorageSOPClassUID = dataset.SOPClassUID
    dataset.save_as(tmp_path / "film.dcm", enforce_file_format=True)
    with pytest.raises(ImageError, match="film of 3 frames"):
        read_image(tmp_path / "film.dcm")
    del dataset.FrameTime
    dataset.save_as(tmp_path / "frames.dcm", enforce_file_format=True)
    assert read_image(tmp_path / "frames.dcm").array.shape == (1, 5, 6, 3)


def test_color_dicom_has_three_channels_and_no_position_is_the_origin(tmp_path):
    dataset = slice_of(stored_phantom(OBLIQUE), 0)
    dataset.SOPClassUID = "1.2.840.10008.5.1.4.1.1.7"
    dataset.file_meta.MediaStorageSOPClassUID = dataset.SOPClassUID
    for name in ("ImagePositionPatient", "ImageOrientationPatient", "PixelSpacing"):
        delattr(dataset, name)
    del dataset.RescaleSlope, dataset.RescaleIntercept
    pixels = picture(3)
    dataset.Rows, dataset.Columns, dataset.SamplesPerPixel = pixels.shape
    dataset.PhotometricInterpretation, dataset.PlanarConfiguration = "RGB", 0
    dataset.BitsAllocated = dataset.BitsStored = 8
    dataset.HighBit, dataset.PixelRepresentation = 7, 0
    dataset.PixelData = pixels.tobytes()
    dataset.save_as(tmp_path / "photo.dcm", enforce_file_format=True)
    image = read_image(tmp_path / "photo.dcm")
    np.testing.assert_array_equal(image.array, np.moveaxis(pixels, -1, 0))
    np.testing.assert_array_equal(image.grid.to_world((2, 5)), [-5, -2, 0])


def test_localizer_beside_a_volume_is_left_out(tmp_path):
    image = stored_phantom(affine_with("LPS", np.eye(3)))
    folder = save_series(image, tmp_path / "study")
    save_series(image, folder, [0], series="1.2.3.9")
    same(read_image(folder), image)


def test_two_volumes_in_a_folder_are_listed_and_can_be_chosen(tmp_path):
    image = stored_phantom(affine_with("LPS", np.eye(3)))
    folder = save_series(image, tmp_path / "study")
    save_series(image, folder, [0, 1, 2], series="1.2.3.9")
    with pytest.raises(ImageError, match=r"2 series .*1\.2\.3\.4 \(series 1\.2\.3\.4, 7 files\)"):
        read_image(folder)
    assert read_image(folder, series="1.2.3.9").array.shape == (1, 5, 6, 3)
    with pytest.raises(ImageError, match=r"no series 5\.6"):
        read_image(folder, series="5.6")


def test_missing_slices_are_refused(tmp_path):
    folder = save_series(stored_phantom(OBLIQUE), tmp_path / "gap", [0, 1, 2, 4, 5, 6])
    with pytest.raises(ImageError, match=r"5\.000 mm where others have 2\.500 mm"):
        read_image(folder)


def test_slices_at_one_position_are_refused(tmp_path):
    image = stored_phantom(OBLIQUE)
    folder = save_series(image, tmp_path / "echoes")
    twice = slice_of(image, 3)
    twice.SOPInstanceUID = twice.file_meta.MediaStorageSOPInstanceUID = "1.2.9"
    twice.save_as(folder / "again.dcm", enforce_file_format=True)
    with pytest.raises(ImageError, match="the same position"):
        read_image(folder)


@pytest.mark.parametrize("change", ["size", "direction"])
def test_slices_of_different_kinds_are_refused(change, tmp_path):
    image = stored_phantom(OBLIQUE)
    folder = save_series(image, tmp_path / "mixed", [0, 1, 2])
    odd = slice_of(image, 3)
    if change == "size":
        odd.Rows, odd.Columns = 5, 6
    else:
        odd.ImageOrientationPatient = [1, 0, 0, 0, 1, 0]
    odd.save_as(folder / "odd.dcm", enforce_file_format=True)
    with pytest.raises(ImageError, match=f"{change}s"):
        read_image(folder)


# Several files


def test_several_files_are_channels(tmp_path):
    paths = []
    for channel in range(3):
        one = Image(phantom(OBLIQUE, 3).array[channel : channel + 1], OBLIQUE)
        paths.append(
            write_image(one, tmp_path / f"{channel}{('.nii.gz', '.nrrd', '.mha')[channel]}")
        )
    same(read_image(paths), phantom(OBLIQUE, 3))
    same(read_image([str(paths[0])]), Image(phantom(OBLIQUE).array, OBLIQUE))


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda a: a @ from_matvec(np.eye(3), [0, 0, 0.01]), "position of voxel 0"),
        (lambda a: a @ np.diag([1, 1, 1.01, 1]), "spacing"),
        (lambda a: from_matvec(TILT) @ a, "axis directions"),
    ],
)
def test_channels_on_other_grids_are_refused(change, reason, tmp_path):
    first = write_image(phantom(OBLIQUE), tmp_path / "t1.nii.gz")
    second = write_image(phantom(change(OBLIQUE)), tmp_path / "t2.nii.gz")
    with pytest.raises(ImageError, match=rf"t1\.nii\.gz.*t2\.nii\.gz.*differ: {reason}"):
        read_image([first, second])


def test_channels_of_other_shapes_are_refused_and_noise_of_headers_is_not(tmp_path):
    first = write_image(phantom(OBLIQUE), tmp_path / "t1.nii.gz")
    moved = OBLIQUE.copy()
    moved[:3, 3] += 5e-4
    near = write_image(phantom(moved), tmp_path / "near.nii.gz")
    assert read_image([first, near]).channels == 2
    short = write_image(Image(phantom(OBLIQUE).array[:, :4], OBLIQUE), tmp_path / "short.nii.gz")
    with pytest.raises(ImageError, match=r"shape \(5, 6, 7\) and \(4, 6, 7\)"):
        read_image([first, short])


# Files that cannot be read


def test_missing_file(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"none\.nii\.gz' does not exist"):
        read_image(tmp_path / "none.nii.gz")


@pytest.mark.parametrize("source", [[], (), 3, None, [None], "", [""], b"scan.nii"])
def test_what_is_no_path_is_refused(source):
    with pytest.raises(ImageError, match="path"):
        read_image(source)


def test_folder_without_dicom_says_what_it_holds(tmp_path):
    (tmp_path / "notes.txt").write_text("nothing")
    (tmp_path / "series").mkdir()
    with pytest.raises(ImageError, match=r"1 other files and the subfolders series"):
        read_image(tmp_path)


def test_unknown_suffix_lists_the_known(tmp_path):
    (tmp_path / "scan.xyz").write_bytes(b"x" * 200)
    with pytest.raises(ImageError, match=r"scan\.xyz' of unknown format; known are \.nii, "):
        read_image(tmp_path / "scan.xyz")


SUFFIXES = [
    ".nii",
    ".nii.gz",
    ".nrrd",
    ".nhdr",
    ".mha",
    ".mhd",
    ".png",
    ".jpg",
    ".tif",
    ".bmp",
    ".dcm",
]


@pytest.mark.parametrize("suffix", SUFFIXES)
@pytest.mark.parametrize("content", [b"", b"garbage " * 100], ids=["empty", "garbage"])
def test_garbage_is_refused_in_one_line(content, suffix, tmp_path):
    path = tmp_path / f"garbage{suffix}"
    path.write_bytes(content)
    with pytest.raises(ImageError, match="garbage") as caught:
        read_image(path)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "suffix", [".nii", ".nii.gz", ".nrrd", ".mha", ".png", ".dcm", ".tif", ".jpg"]
)
def test_truncated_files_are_refused(suffix, tmp_path):
    path = tmp_path / f"short{suffix}"
    noise = np.random.default_rng(0).integers(0, 256, (64, 64), dtype=np.uint8)
    if suffix in (".png", ".tif", ".jpg"):
        PIL.Image.fromarray(noise).save(path)
    elif suffix == ".dcm":
        slice_of(stored_phantom(OBLIQUE), 0).save_as(path, enforce_file_format=True)
    else:
        write_image(Image(noise[None, ..., None], OBLIQUE), path)
    content = path.read_bytes()
    path.write_bytes(content[: len(content) // 2 if suffix != ".dcm" else -20])
    with pytest.raises(ImageError, match="short") as caught:
        read_image(path)
    assert "\n" not in str(caught.value)


def test_unknown_units_in_a_header_count_as_mm(tmp_path):
    file = nibabel.Nifti1Image(phantom(OBLIQUE).array[0], OBLIQUE)
    file.header["xyzt_units"] = 5
    nibabel.save(file, tmp_path / "units.nii")
    same(read_image(tmp_path / "units.nii"), phantom(OBLIQUE))


@pytest.mark.parametrize("suffix", [".nii", ".nii.gz", ".nrrd"])
def test_damaged_headers_are_refused_or_read_but_never_crash(suffix, tmp_path):
    content = write_image(phantom(OBLIQUE), tmp_path / f"whole{suffix}").read_bytes()
    path, rng = tmp_path / f"damaged{suffix}", np.random.default_rng(0)
    refused = 0
    for _ in range(100):
        damaged = bytearray(content)
        for position in rng.integers(0, 352, 4):
            damaged[position] = rng.integers(256)
        path.write_bytes(damaged)
        try:
            read_image(path)
        except ImageError as error:
            refused += "\n" not in str(error)
    assert refused > 10


@pytest.mark.parametrize("kind", ["complex", "rgb"])
def test_nifti_voxels_that_are_no_numbers_are_refused(kind, tmp_path):
    dtype = np.complex64 if kind == "complex" else np.dtype([(c, "u1") for c in "RGB"])
    nibabel.save(nibabel.Nifti1Image(np.zeros(SHAPE, dtype), OBLIQUE), tmp_path / "odd.nii")
    with pytest.raises(ImageError, match=r"real voxel values.*odd\.nii"):
        read_image(tmp_path / "odd.nii")


def test_complex_metaimage_and_4d_nrrd_are_refused(tmp_path):
    complex_file = SimpleITK.Image([3, 4, 5], SimpleITK.sitkComplexFloat32)
    SimpleITK.WriteImage(complex_file, str(tmp_path / "complex.nrrd"))
    with pytest.raises(ImageError, match="got complex of 32-bit float"):
        read_image(tmp_path / "complex.nrrd")
    SimpleITK.WriteImage(
        SimpleITK.Image([3, 4, 5, 2], SimpleITK.sitkFloat32), str(tmp_path / "t.nrrd")
    )
    with pytest.raises(ImageError, match=r"2 or 3 spatial axes, got 4"):
        read_image(tmp_path / "t.nrrd")


def test_time_series_are_refused(tmp_path):
    path = save_nifti(tmp_path / "time.nii", np.zeros((3, 4, 5, 2, 3), np.float32), OBLIQUE)
    with pytest.raises(ImageError, match=r"\(3, 4, 5, 2, 3\).*time series"):
        read_image(path)


def test_pages_are_refused(tmp_path):
    page = PIL.Image.fromarray(picture())
    page.save(tmp_path / "pages.tif", save_all=True, append_images=[page])
    with pytest.raises(ImageError, match="2 pages"):
        read_image(tmp_path / "pages.tif")


def test_broken_affine_names_the_file(tmp_path):
    file = nibabel.Nifti1Image(np.zeros(SHAPE, np.float32), np.eye(4))
    file.header["srow_z"] = 0
    file.header["sform_code"] = 1
    file.header["qform_code"] = 0
    with (tmp_path / "flat.nii").open("wb") as stream:
        stream.write(file.header.binaryblock + b"\0" * 4 + file.get_fdata().astype("f4").tobytes())
    with pytest.raises(ImageError, match=r"flat\.nii.*invertible affine"):
        read_image(tmp_path / "flat.nii")


# Writing


@pytest.mark.parametrize("suffix", [".nii.gz", ".nrrd", ".mha"])
@pytest.mark.parametrize("dtype", ["uint8", "int16", "uint16", "int32"])
def test_labels_keep_their_type(dtype, suffix, tmp_path):
    labels = np.random.default_rng(0).integers(0, 200, (1, *SHAPE))
    path = write_image(Image(labels, OBLIQUE), tmp_path / f"labels{suffix}", dtype=dtype)
    same(read_image(path), Image(labels, OBLIQUE))
    assert SimpleITK.GetArrayFromImage(SimpleITK.ReadImage(str(path))).dtype == dtype


@pytest.mark.parametrize(
    ("value", "dtype"), [(0.5, "uint8"), (256, "uint8"), (-1, "uint16"), (np.nan, "int16")]
)
def test_values_that_do_not_fit_are_refused(value, dtype, tmp_path):
    with pytest.raises(ImageError, match=r"whole numbers .* got"):
        write_image(Image(np.full((1, 2, 2, 2), value)), tmp_path / "x.nii", dtype=dtype)
    with pytest.raises(ImageError, match="dtype float32, uint8"):
        write_image(Image(np.zeros((1, 2, 2, 2))), tmp_path / "x.nii", dtype="complex64")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("name", ["map.xyz", "map", "map.jpg", "map.mhd", "map.nhdr"])
def test_formats_that_are_not_written_are_named(name, tmp_path):
    with pytest.raises(ImageError, match=r"ends in \.nii, \.nii\.gz"):
        write_image(phantom(OBLIQUE), tmp_path / name)


def test_png_takes_8_and_16_bits_on_a_pictures_grid_only(tmp_path):
    PIL.Image.fromarray(picture()).save(tmp_path / "picture.png")
    image = read_image(tmp_path / "picture.png")
    many = Image(image.array * 1000, image.affine)
    same(read_image(write_image(many, tmp_path / "16.png", dtype="uint16")), many)
    color = Image(np.moveaxis(picture(3), -1, 0), image.affine)
    same(read_image(write_image(color, tmp_path / "color.png")), color)
    for refused, reason in (
        (phantom(OBLIQUE), "2D image of 1 or 3 channels"),
        (Image(image.array, OBLIQUE), "picture's own grid"),
        (Image(image.array + 0.5, image.affine), "whole numbers 0..255"),
        (many, "whole numbers 0..255"),
    ):
        with pytest.raises(ImageError, match=reason):
            write_image(refused, tmp_path / "refused.png")
    assert not (tmp_path / "refused.png").exists()


def test_folders_that_cannot_be_written_are_named(tmp_path, monkeypatch):
    with pytest.raises(FileNotFoundError, match=r"existing folder for 'map\.nii'"):
        write_image(phantom(OBLIQUE), tmp_path / "none" / "map.nii")
    (tmp_path / "folder.nii").mkdir()
    with pytest.raises(IsADirectoryError, match="add a name"):
        write_image(phantom(OBLIQUE), tmp_path / "folder.nii")
    monkeypatch.setattr("os.access", lambda path, mode: False)
    with pytest.raises(PermissionError, match="choose another place"):
        write_image(phantom(OBLIQUE), tmp_path / "map.nii")


@pytest.mark.parametrize("error", [OSError("No space left on device"), KeyboardInterrupt()])
def test_failed_writing_leaves_the_old_file_and_nothing_else(error, tmp_path, monkeypatch):
    path = write_image(phantom(OBLIQUE), tmp_path / "map.nii.gz")
    before = path.read_bytes()

    def fail_in_the_middle(self, data):
        raise error

    monkeypatch.setattr(gzip.GzipFile, "write", fail_in_the_middle)
    with pytest.raises(type(error)):
        write_image(Image(phantom(OBLIQUE).array + 1, OBLIQUE), path)
    assert [entry.name for entry in tmp_path.iterdir()] == ["map.nii.gz"]
    assert path.read_bytes() == before


def test_written_file_has_the_usual_permissions(tmp_path):
    (tmp_path / "usual").write_text("")
    path = write_image(phantom(OBLIQUE), tmp_path / "map.nii.gz")
    assert path.stat().st_mode == (tmp_path / "usual").stat().st_mode


def test_relative_names_and_strings_are_taken(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write_image(phantom(OBLIQUE), "map.nii.gz")
    assert read_image("map.nii.gz").grid.same_as(Grid(SHAPE, OBLIQUE))
