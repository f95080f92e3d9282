"""MONAI bundles against MONAI's own run of them on the file."""

from __future__ import annotations

import hashlib
import json
import shutil
import warnings
import zipfile
from pathlib import Path

import numpy as np
import PIL.Image
import pytest
import torch
from monai.bundle import ckpt_export

import attention_maps as am
from attention_maps.errors import ConsentError, ModelError, ModelRunError
from attention_maps.models.bundle.preparation import labels_of
from monai_bundles import (
    METADATA,
    SEGMENTATION,
    UNET,
    changed,
    network_of,
    oblique_affine,
    own_run,
    write_bundle,
    write_scan,
)
from trust_checks import check_trust

AGREEMENT = 0.999


def agreement(root, files, config=SEGMENTATION, metadata=METADATA, values=None, **options):
    """Share of voxels in which our label map is MONAI's; several labels must be there."""
    if not (Path(root) / "configs").exists():
        write_bundle(Path(root), config, metadata)
    own = own_run(root, [str(path) for path in files], config)
    session = am.Explainer(am.load_model(root, device="cpu", **options), files)
    ours = session.prediction.array[0]
    theirs = own[0].numpy()
    if len(own) > 1:
        theirs = np.zeros_like(theirs)
        for channel, value in zip(own.numpy(), values, strict=True):
            theirs[channel > 0.5] = value
    assert ours.shape == theirs.shape
    assert len(np.unique(theirs)) > 1
    return float((ours == theirs).mean()), session


@pytest.fixture(scope="module")
def scan(tmp_path_factory):
    return write_scan(tmp_path_factory.mktemp("scan") / "scan")


@pytest.fixture(scope="module")
def two(tmp_path_factory):
    return write_scan(tmp_path_factory.mktemp("two") / "scan", channels=2)


@pytest.fixture(scope="module")
def bundle(tmp_path_factory):
    return write_bundle(tmp_path_factory.mktemp("bundle") / "blobs")


@pytest.fixture(scope="module")
def labels(bundle, scan):
    return am.Explainer(am.load_model(bundle, device="cpu"), scan).prediction.array


def test_segmentation_as_monai_runs_it(bundle, scan):
    share, session = agreement(bundle, scan)
    assert share >= AGREEMENT
    spec = session.model.spec
    assert spec.channels == ("T1",)
    assert spec.class_names == ("background", "rim", "core")
    assert (spec.patch_size, spec.activation) == ((16, 16, 12), "softmax")
    window = spec.sliding_window
    assert (window.style, window.overlap, window.blending) == ("monai", 0.5, "gaussian")
    assert session.model.line == (
        "MONAI bundle Blobs 0.1.0, UNet, 1 channel (T1), 3 classes, windows of 16 x 16 x 12"
    )
    result = session.explain("hires_cam", "model.1", "core")
    assert result.image.array.shape == (1, 34, 29, 17)
    assert result.image.array.any()


def test_provenance_names_the_weights(bundle):
    model = am.load_model(bundle, device="cpu")
    content = (bundle / "models" / "model.pt").read_bytes()
    assert model.sha256 == hashlib.sha256(content).hexdigest()


def test_every_way_to_name_it(bundle, labels, scan, tmp_path):
    archive = tmp_path / "bundle.zip"
    with zipfile.ZipFile(archive, "w") as target:
        for path in bundle.rglob("*.*"):
            target.write(path, f"blobs/{path.relative_to(bundle)}")
    for source in (
        archive, bundle.parent, bundle / "configs", bundle / "models" / "model.pt",
        bundle / "configs" / "inference.json",
    ):  # fmt: skip
        model = am.load_model(source, device="cpu")
        assert model.line.startswith("MONAI bundle Blobs")
    found = am.Explainer(am.load_model(archive, device="cpu"), scan).prediction.array
    np.testing.assert_array_equal(found, labels)


def test_yaml(labels, scan, tmp_path):
    pytest.importorskip("yaml")
    model = am.load_model(write_bundle(tmp_path / "blobs", suffix="yaml"), device="cpu")
    np.testing.assert_array_equal(am.Explainer(model, scan).prediction.array, labels)


@pytest.fixture(scope="module")
def script(bundle, tmp_path_factory):
    """The bundle as MONAI exports it: TorchScript with metadata and configuration inside."""
    path = tmp_path_factory.mktemp("script") / "model.ts"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        ckpt_export(
            net_id="network_def", filepath=str(path), ckpt_file=str(bundle / "models/model.pt"),
            meta_file=str(bundle / "configs/metadata.json"),
            config_file=str(bundle / "configs/inference.json"), bundle_root=str(bundle),
        )  # fmt: skip
    return path


def test_torchscript_with_its_metadata_inside(script, labels, scan):
    model = am.load_model(script, device="cpu")
    assert model.network.kind == "MONAI bundle"  # eager again, with ordinary hooks
    np.testing.assert_array_equal(am.Explainer(model, scan).prediction.array, labels)


def test_torchscript_where_the_network_is_not_known(script, bundle, labels, scan, tmp_path):
    """The program is used as it is, so that nothing has to be executed."""
    root = tmp_path / "blobs"
    shutil.copytree(bundle, root)
    (root / "models" / "model.pt").unlink()
    shutil.copy(script, root / "models" / "model.ts")
    config = changed(SEGMENTATION, network_def={"_target_": "my.package.Network"})
    (root / "configs" / "inference.json").write_text(json.dumps(config))
    model = am.load_model(root, device="cpu")
    assert model.network.kind == "TorchScript"
    np.testing.assert_array_equal(am.Explainer(model, scan).prediction.array, labels)


def test_two_channels_of_one_item(two, tmp_path):
    config = changed(SEGMENTATION, network_def={**UNET, "in_channels": 2})
    metadata = json.loads(json.dumps(METADATA))
    metadata["network_data_format"]["inputs"]["image"] = {
        "num_channels": 2, "channel_def": {"0": "T1", "1": "T1"},
    }  # fmt: skip
    share, session = agreement(tmp_path / "b", two, config, metadata)
    assert share >= AGREEMENT
    assert session.model.spec.channels == ("T1 0", "T1 1")
    with pytest.raises(ValueError, match=r"2 channels \(T1 0, T1 1\)"):
        am.Explainer(session.model, two[:1])


def test_two_items_that_are_joined(two, tmp_path):
    keys = ["flair", "t2"]
    chain = [
        {"_target_": "monai.transforms.LoadImaged", "keys": [*keys, "label"],
         "ensure_channel_first": True, "allow_missing_keys": True},
        {"_target_": "NormalizeIntensityd", "keys": keys, "nonzero": True},
        {"_target_": "ConcatItemsd", "keys": keys, "name": "image"},
        {"_target_": "Orientationd", "keys": ["image", "label"], "axcodes": "LPS",
         "allow_missing_keys": True},
    ]  # fmt: skip
    config = changed(
        SEGMENTATION,
        network_def={**UNET, "in_channels": 2},
        preprocessing={"_target_": "Compose", "transforms": chain},
    )
    root = write_bundle(tmp_path / "b", config)
    own = own_run(root, {"flair": str(two[0]), "t2": str(two[1])}, config)
    model = am.load_model(root, device="cpu")
    assert model.spec.channels == ("flair", "t2")
    found = am.Explainer(model, two).prediction.array
    assert (found == own.numpy()).mean() >= AGREEMENT
    assert len(np.unique(found)) > 1


SIGMOID = [
    {"_target_": "Activationsd", "keys": "pred", "sigmoid": True},
    {"_target_": "Invertd", "keys": "pred", "transform": "@preprocessing", "orig_keys": "image",
     "nearest_interp": False, "meta_keys": "pred_meta_dict", "orig_meta_keys": "image_meta_dict"},
    {"_target_": "AsDiscreted", "keys": "pred", "threshold": 0.5},
]  # fmt: skip


def test_overlapping_classes(scan, tmp_path):
    config = changed(SEGMENTATION, postprocessing={"_target_": "Compose", "transforms": SIGMOID})
    share, session = agreement(tmp_path / "b", scan, config, values=(1, 2, 3))
    assert share >= AGREEMENT
    assert session.model.spec.activation == "sigmoid"


INVERT = {"_target_": "Invertd", "keys": "pred", "transform": "@preprocessing",
          "orig_keys": "image"}  # fmt: skip
ARGMAX = {"_target_": "AsDiscreted", "keys": "pred", "argmax": True}
SOFTMAX = {"_target_": "Activationsd", "keys": "pred", "softmax": True}
LARGEST = {"_target_": "KeepLargestConnectedComponentd", "keys": "pred", "applied_labels": [1, 2]}
SAVE = {"_target_": "SaveImaged", "keys": "pred", "meta_keys": "pred_meta_dict"}
LINEAR, NEAREST = {**INVERT, "nearest_interp": False}, {**INVERT, "nearest_interp": True}
# In the orders in which bundles of MONAI's model zoo have them.
STYLES = {
    "spleen": [SOFTMAX, LINEAR, ARGMAX, {**SAVE, "output_dtype": "$np.float32"}],
    "whole body": [SOFTMAX, ARGMAX, NEAREST, {**SAVE, "output_dtype": "$np.uint8"}],
    "prostate": [ARGMAX, LARGEST, {**LINEAR, "meta_key_postfix": "meta_dict"},
                 {**SAVE, "resample": False}],
}  # fmt: skip


@pytest.mark.parametrize("style", list(STYLES))
def test_orders_of_postprocessing(scan, tmp_path, style):
    """Where numbers of labels are interpolated, MONAI writes fractions: ours are rounded."""
    post = {"_target_": "Compose", "transforms": STYLES[style]}
    config = changed(SEGMENTATION, postprocessing=post)
    root = write_bundle(tmp_path / "b", config)
    own = own_run(root, [str(path) for path in scan], config)[0].numpy()
    found = am.Explainer(am.load_model(root, device="cpu"), scan).prediction.array[0]
    assert set(np.unique(found)) == {0, 1, 2}
    assert (found == np.rint(own)).mean() >= AGREEMENT
    fractions = own != np.rint(own)
    assert fractions.any() == (style == "prostate")
    assert (found == own)[~fractions].mean() >= AGREEMENT
    assert np.abs(found - own).max() < 0.5001


def test_labels_that_the_bundle_makes_of_overlapping_classes(scan, tmp_path):
    """As the BraTS bundle does, by an expression that needs consent."""
    merge = {"_target_": "Lambdad", "keys": "pred", "func": "$lambda x: (x * torch.tensor("
             "[2, 1, 4]).view(3, 1, 1, 1)).max(0, keepdim=True).values"}  # fmt: skip
    post = {"_target_": "Compose", "transforms": [*SIGMOID, merge]}
    config = changed(SEGMENTATION, postprocessing=post)
    share, session = agreement(tmp_path / "b", scan, config, trust=True)
    assert share >= AGREEMENT
    assert set(np.unique(session.prediction.array)) <= {0, 1, 2, 4}


def test_one_channel_and_no_way_back(scan, tmp_path):
    """Labels stay on the resampled voxels in MONAI's own run; ours come back by their place."""
    config = changed(
        SEGMENTATION,
        network_def={**UNET, "out_channels": 1},
        postprocessing={"_target_": "Compose", "transforms": [SIGMOID[0], SIGMOID[2]]},
    )
    metadata = json.loads(json.dumps(METADATA))
    metadata["network_data_format"]["outputs"]["pred"] = {"channel_def": {"0": "bg", "1": "blob"}}
    root = write_bundle(tmp_path / "b", config, metadata)
    session = am.Explainer(am.load_model(root, device="cpu"), scan)
    assert session.prediction.array.shape == (1, 34, 29, 17)
    own = own_run(root, [str(scan[0])], config)
    field = session.field
    assert own.shape[1:] == field.shape
    np.testing.assert_allclose(own.affine.numpy(), field.affine, atol=1e-6)
    logits = session.answer().logits[0, 0]
    assert ((logits > 0).numpy() == own[0].numpy().astype(bool)).mean() >= AGREEMENT
    result = session.explain("hires_cam", "model.1", "blob")
    assert result.target.startswith("blob") or "blob" in result.target


@pytest.mark.parametrize(
    "inferer",
    [
        {"_target_": "SlidingWindowInferer", "roi_size": 20, "overlap": 0.25},
        {"_target_": "SlidingWindowInferer", "roi_size": [40, 16, 36], "overlap": [0.5] * 3,
         "mode": "gaussian", "padding_mode": "reflect"},
        {"_target_": "SlidingWindowInferer", "roi_size": [40, 16, 24], "cval": 0.4},
        {"_target_": "monai.inferers.SlidingWindowInfererAdapt", "roi_size": [16, 16, 16]},
        {"_target_": "SlidingWindowInferer", "roi_size": [-1, -1, -1]},
        {"_target_": "SimpleInferer"},
    ],
    ids=["one number", "reflect", "padded", "adapt", "whole", "simple"],
)  # fmt: skip
def test_inferers(scan, tmp_path, inferer):
    pad = {"_target_": "DivisiblePadd", "keys": "image", "k": 4}
    chain = [*SEGMENTATION["preprocessing"]["transforms"], pad]
    config = changed(
        SEGMENTATION, inferer=inferer,
        preprocessing={"_target_": "Compose", "transforms": chain},
    )  # fmt: skip
    share, session = agreement(tmp_path / "b", scan, config)
    assert share >= AGREEMENT
    assert session.explain("hires_cam", "model.1", 1).image.array.any()


@pytest.mark.parametrize("axis", [0, 2])
def test_slices(scan, tmp_path, axis):
    inferer = {"_target_": "SliceInferer", "roi_size": [16, 12], "spatial_dim": axis,
               "overlap": 0.5}  # fmt: skip
    config = changed(SEGMENTATION, inferer=inferer, network_def={**UNET, "spatial_dims": 2})
    share, session = agreement(tmp_path / "b", scan, config)
    assert share >= AGREEMENT
    result = session.explain("hires_cam", "model.1", 1)
    assert result.image.array.shape == (1, 34, 29, 17)


DENSENET = {
    "_target_": "monai.networks.nets.DenseNet", "spatial_dims": 3, "in_channels": 1,
    "out_channels": 3, "init_features": 4, "growth_rate": 2, "block_config": [1, 1],
}  # fmt: skip
CLASSES = {
    "name": "Grades",
    "network_data_format": {
        "inputs": {"image": {"num_channels": 1, "spatial_shape": [24, 20, 16]}},
        "outputs": {"pred": {"num_channels": 3,
                             "channel_def": {"0": "low", "1": "mid", "2": "high"}}},
    },
}  # fmt: skip


def classification(network, axes=3):
    size = [24, 20, 16][:axes]
    chain = [
        {"_target_": "LoadImaged", "keys": "image"},
        {"_target_": "EnsureChannelFirstd", "keys": "image"},
        {"_target_": "ScaleIntensityd", "keys": "image"},
        {"_target_": "Resized", "keys": "image", "spatial_size": size},
    ]
    if axes == 3:
        chain.insert(2, {"_target_": "Orientationd", "keys": "image", "axcodes": "RAS"})
    return {
        "network_def": network,
        "preprocessing": {"_target_": "Compose", "transforms": chain},
        "inferer": {"_target_": "SimpleInferer"},
        "postprocessing": {
            "_target_": "Compose",
            "transforms": [{"_target_": "Activationsd", "keys": "pred", "softmax": True}],
        },
    }


def test_classification(scan, tmp_path):
    config = classification(DENSENET)
    root = write_bundle(tmp_path / "b", config, CLASSES)
    own = own_run(root, [str(scan[0])], config)
    model = am.load_model(root, device="cpu")
    assert next(info.shape for info in model.layers())[2:] == (12, 10, 8)
    session = am.Explainer(model, scan)
    np.testing.assert_allclose(session.prediction, own.numpy(), atol=1e-6)
    result = session.explain(target="high")
    assert result.image.array.shape == (1, 34, 29, 17)


def test_pictures_have_columns_first_in_monai(tmp_path):
    """A network that sees rows and columns differently tells."""
    network = {**DENSENET, "spatial_dims": 2, "in_channels": 3}
    config = classification(network, 2)
    metadata = {**CLASSES, "network_data_format": {"inputs": {"image": {"num_channels": 3}}}}
    root = write_bundle(tmp_path / "b", config, metadata)
    pixels = np.random.default_rng(0).integers(0, 255, (30, 44, 3), dtype=np.uint8)
    pixels[:, :10] //= 4
    path = tmp_path / "picture.png"
    PIL.Image.fromarray(pixels).save(path)
    own = own_run(root, str(path), config)
    session = am.Explainer(am.load_model(root, device="cpu"), path)
    np.testing.assert_allclose(session.prediction, own.numpy(), atol=1e-6)
    assert session.explain(target=0).image.array.shape == (1, 30, 44)


@pytest.mark.parametrize("axes", [2, 3])
def test_the_network_s_voxels_lie_where_they_belong(tmp_path, axes):
    """An image whose value is a position in mm, through everything that moves voxels."""
    spatial = [
        {"_target_": "Spacingd", "keys": "image", "pixdim": [1.4, 1.2, 1.7][:axes]},
        {"_target_": "SpatialPadd", "keys": "image", "spatial_size": [40] * axes},
        {"_target_": "Resized", "keys": "image", "spatial_size": [50, 30, 25][:axes],
         "mode": "trilinear" if axes == 3 else "bilinear"},
    ]  # fmt: skip
    if axes == 3:
        spatial.insert(0, {"_target_": "Orientationd", "keys": "image", "axcodes": "PIR"})
    config = {
        "network_def": {**UNET, "spatial_dims": axes},
        "preprocessing": {"_target_": "Compose", "transforms": spatial},
        "inferer": {"_target_": "SimpleInferer"},
    }
    model = am.load_model(write_bundle(tmp_path / "b", config, {"name": "x"}), device="cpu")
    grid = am.Image(np.zeros((1, 30, 26, 22)[: axes + 1]), oblique_affine()).grid
    index = np.stack(np.meshgrid(*(np.arange(n) for n in grid.shape), indexing="ij"), -1)
    for world in range(3):
        image = am.Image(grid.to_world(index)[..., world][None], oblique_affine())
        prepared = model.prepare(image)
        there = np.stack(
            np.meshgrid(*(np.arange(n) for n in prepared.grid.shape), indexing="ij"), -1
        )
        expected = prepared.grid.to_world(there)[..., world]
        inner = np.abs(
            grid.to_index(prepared.grid.to_world(there)) - (np.array(grid.shape) - 1) / 2
        )
        inside = (inner < np.array(grid.shape) / 2 - 3).all(-1)
        assert inside.sum() > 100
        np.testing.assert_allclose(prepared.array[0][inside], expected[inside], atol=2e-3)


def test_reorient_to(bundle, labels, scan):
    """The bundle's own Orientationd makes it no difference; labels come back on the scan."""
    model = am.load_model(bundle, {"orientation": "LSA"}, device="cpu")
    found = am.Explainer(model, scan).prediction.array
    assert (found == labels).mean() >= AGREEMENT


def test_options(bundle, tmp_path):
    root = tmp_path / "blobs"
    shutil.copytree(bundle, root)
    other = changed(SEGMENTATION, inferer={"_target_": "SimpleInferer"})
    (root / "configs" / "whole.json").write_text(json.dumps(other))
    torch.save({"model": network_of(SEGMENTATION, 5).state_dict()}, root / "models" / "five.pt")
    model = am.load_model(root, configuration="whole", checkpoint="five", device="cpu")
    assert model.spec.patch_size is None
    expected = network_of(SEGMENTATION, 5).state_dict()
    found = model.network.module.state_dict()
    assert all(torch.equal(found[name], expected[name]) for name in expected)
    with pytest.raises(ModelError, match="configurations inference, whole, got 'no'"):
        am.load_model(root, configuration="no")
    with pytest.raises(ModelError, match=r"no.*found five.pt, model.pt"):
        am.load_model(root, checkpoint="no")


def only_metadata(script, path, change):
    with zipfile.ZipFile(script) as source, zipfile.ZipFile(path, "w") as target:
        for name in source.namelist():
            text = source.read(name)
            if name.endswith("metadata.json"):
                text = change(json.loads(text))
            if not name.endswith("inference.json"):
                target.writestr(name, text)
    return path


def test_without_a_configuration_the_metadata_remain(script, tmp_path):
    def change(metadata):
        metadata["network_data_format"]["inputs"]["image"]["spatial_shape"] = [16, 16, 8]
        return json.dumps(metadata)

    model = am.load_model(only_metadata(script, tmp_path / "model.ts", change), device="cpu")
    assert model.spec.class_names == ("background", "rim", "core")
    assert model.spec.patch_size == (16, 16, 8)
    assert model.preparation is None
    assert model.network.kind == "TorchScript"


def test_metadata_of_others_are_none_of_ours(script, tmp_path):
    path = only_metadata(script, tmp_path / "model.ts", lambda _: json.dumps({"author": "x"}))
    model = am.load_model(path, device="cpu")
    assert model.line == ""
    assert model.spec.class_names is None


def test_arguments_that_do_not_fit_here(scan, labels, tmp_path):
    """A fixed device, a lost affine, an argument of an older MONAI."""
    chain = json.loads(json.dumps(SEGMENTATION["preprocessing"]["transforms"]))
    chain[-1] |= {"device": "cuda:3", "track_meta": False}
    inferer = {**SEGMENTATION["inferer"], "sw_device": "$torch.device('cuda:0')"}
    config = changed(
        SEGMENTATION, inferer=inferer,
        preprocessing={"_target_": "Compose", "transforms": chain},
    )  # fmt: skip
    model = am.load_model(write_bundle(tmp_path / "b", config), device="cpu")
    np.testing.assert_array_equal(am.Explainer(model, scan).prediction.array, labels)
    swin = {"_target_": "SwinUNETR", "img_size": [96, 96, 96], "in_channels": 1,
            "out_channels": 2, "feature_size": 12}  # fmt: skip
    root = write_bundle(tmp_path / "swin")
    config = changed(SEGMENTATION, network_def=swin)
    (root / "configs" / "inference.json").write_text(json.dumps(config))
    with pytest.raises(ModelError, match="do not fit the network"):  # but it is made
        am.load_model(root, device="cpu")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"inferer": {"_target_": "SlidingWindowInferer", "roi_size": [16, -1, 16]}}, "16, -1, 16"),
        ({"inferer": {"_target_": "SlidingWindowInferer", "roi_size": [16] * 3,
                      "overlap": [0.1, 0.2, 0.2]}}, "one overlap"),
        ({"inferer": {"_target_": "SlidingWindowInferer", "roi_size": [16] * 3,
                      "mode": "gaussian", "sigma_scale": 0.3}}, "sigma_scale"),
        ({"network_def": {**UNET, "channels": [4, 6, 9]}}, "do not fit the network"),
        ({"network_def": {**UNET, "no_such_option": 1}}, "no_such_option"),
        ({"preprocessing": "@nothing"}, "cannot be made"),
    ],
)  # fmt: skip
def test_what_cannot_be_used(bundle, tmp_path, change, message):
    root = tmp_path / "blobs"
    shutil.copytree(bundle, root)
    path = root / "configs" / "inference.json"
    path.write_text(json.dumps(changed(SEGMENTATION, **change)))
    with pytest.raises(ModelError, match=message):
        am.load_model(root, device="cpu")


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("metadata.json", "{", "Expected JSON in .*metadata.json"),
        ("metadata.json", "[1]", "Expected named items"),
        ("inference.json", "\xff", "inference.json"),
        ("inference.json", '{"network": 3}', "network of .* got int"),
    ],
)
def test_damaged_files(bundle, tmp_path, name, text, message):
    root = tmp_path / "blobs"
    shutil.copytree(bundle, root)
    (root / "configs" / name).write_text(text, encoding="latin-1")
    with pytest.raises(ModelError, match=message):
        am.load_model(root, device="cpu")


@pytest.mark.parametrize("form", ["text", [1], 5, {"inputs": "text"}, {"inputs": {"image": 1}}])
def test_metadata_of_another_form_say_nothing(bundle, labels, scan, tmp_path, form):
    root = tmp_path / "blobs"
    shutil.copytree(bundle, root)
    path = root / "configs" / "metadata.json"
    metadata = json.loads(path.read_text()) | {"network_data_format": form}
    path.write_text(json.dumps(metadata))
    model = am.load_model(root, device="cpu")
    assert model.spec.class_names is None
    assert (am.Explainer(model, scan).prediction.array == labels).all()


def test_missing_weights(bundle, tmp_path):
    root = tmp_path / "blobs"
    shutil.copytree(bundle, root)
    shutil.rmtree(root / "models")
    with pytest.raises(ModelError, match=r"model.pt', found none; download"):
        am.load_model(root)


def test_failing_transforms_say_so(bundle, scan, tmp_path):
    chain = {"_target_": "Compose", "transforms": [
        {"_target_": "Resized", "keys": "image", "spatial_size": [8, 8, 8, 8]},
    ]}  # fmt: skip
    config = changed(SEGMENTATION, preprocessing=chain)
    root = write_bundle(tmp_path / "b", config)
    with pytest.raises(ModelRunError, match=r"preprocessing of .*inference.json.* failed"):
        am.Explainer(am.load_model(root, device="cpu"), scan)


def test_without_monai(bundle, monkeypatch):
    import importlib

    def fail(name, *arguments):
        if name.startswith("monai"):
            raise ModuleNotFoundError("No module named 'monai'", name="monai")
        return found(name, *arguments)

    found = importlib.import_module
    monkeypatch.setattr(importlib, "import_module", fail)
    with pytest.raises(am.MissingPackageError, match="pip install monai"):
        am.load_model(bundle)


@pytest.mark.parametrize(
    ("found", "classes", "activation", "discrete", "values", "expected"),
    [
        ([[2, 0, 1]], 3, "softmax", True, (0, 5, 7), [7, 0, 5]),
        ([[0.6, 0.1], [0.3, 0.2], [0.1, 0.7]], 3, "softmax", False, None, [0, 2]),
        ([[1, 1, 0], [0, 1, 0]], 2, "sigmoid", True, None, [1, 2, 0]),
        ([[0.7, 0.4]], 1, "sigmoid", False, None, [1, 0]),
        ([[0.2, -0.1]], 1, None, False, (9,), [9, 0]),
    ],
)
def test_labels_of_what_postprocessing_gives(
    found, classes, activation, discrete, values, expected
):
    labels = labels_of(torch.tensor(found), classes, activation, discrete, values)
    np.testing.assert_array_equal(labels, expected)


def test_refusals_are_errors_of_the_model():
    assert issubclass(ConsentError, ModelError)


def test_a_map_can_be_tested(tmp_path, scan):
    model = am.load_model(write_bundle(tmp_path / "bundle"))
    check_trust(model, scan, ["randomization"])
