"""Bundles that would execute code: nothing runs, and no marker appears, without consent."""

from __future__ import annotations

import json
import os
import pickle
import shutil
import sys
import zipfile

import monai.bundle.config_item
import numpy as np
import pytest
import torch

import attention_maps as am
from attention_maps.errors import ConsentError, ModelError
from attention_maps.models.bundle.consent import harmless, needed_parts
from attention_maps.models.bundle.expressions import NotPlainError, read_expression
from attention_maps.models.bundle.harmless import known_component
from monai_bundles import SEGMENTATION, UNET, changed, write_bundle


@pytest.fixture(scope="module")
def plain(tmp_path_factory):
    return write_bundle(tmp_path_factory.mktemp("plain") / "blobs")


@pytest.fixture
def marker(tmp_path):
    return tmp_path / "executed.txt"


@pytest.fixture
def bundle(plain, tmp_path):
    root = tmp_path / "blobs"
    shutil.copytree(plain, root)
    return root


def rewrite(root, **items):
    config = changed(SEGMENTATION, **items)
    (root / "configs" / "inference.json").write_text(json.dumps(config))


def before(item):
    """Preprocessing with one more transform or value."""
    chain = SEGMENTATION["preprocessing"]["transforms"]
    return {"preprocessing": {"_target_": "Compose", "transforms": [item, *chain]}}


def traps(marker):
    """(what is changed, what the message says) by name; each would write the marker."""
    shell = f"echo executed > '{marker}'"
    python = f"__import__('pathlib').Path({str(marker)!r}).touch()"
    call = {"_target_": "os.system", "command": shell}
    return {
        "expression": (before(f"${python}"), "preprocessing::transforms::0 is '$__import__"),
        "network": ({"network_def": call}, "network_def::_target_ is 'os.system'"),
        "transform": (before(call), "preprocessing::transforms::0::_target_ is 'os.system'"),
        "argument": (
            {"inferer": {**SEGMENTATION["inferer"], "overlap": f"${python}"}}, "inferer::overlap"
        ),
        "through MONAI": (
            before({"_target_": "monai.data.utils.os.system", "command": shell}),
            "monai.data.utils.os.system",
        ),
        "through a transform's module": (
            before({"_target_": "monai.transforms.io.array.locate", "path": "os"}), "locate",
        ),
        "by its own name": (
            before({"_target_": "pathlib.Path.Compose", "x": call}), "os.system",
        ),
        "reference": (
            {**before("@evil"), "evil": call}, "evil::_target_ is 'os.system'",
        ),
        "reference of a reference": (
            {**before("@a::b"), "a": {"b": "@evil"}, "evil": f"${python}"}, "evil is '$",
        ),
        "requirement": (
            {"inferer": {**SEGMENTATION["inferer"], "_requires_": [f"${python}"]}}, "_requires_",
        ),
        "literal that becomes a call": (
            before("$" + repr(call)), "preprocessing::transforms::0 is '${",
        ),
        "literal that becomes an expression": (
            before("$" + repr([f"${python}"])), "preprocessing::transforms::0::0 is '$__import__",
        ),
        "macro": ({**before("%evil"), "evil": [call]}, "os.system"),
        "macro of a macro": (
            {**before("%a"), "a": "%evil", "evil": call}, "preprocessing",
        ),
        "debugger": (
            before({"_target_": "Flipd", "keys": "image", "_mode_": "debug"}), "_mode_ is 'debug'",
        ),
        "break point": (before({"_target_": "Flipd", "keys": "image", "_debug_": 1}), "_debug_"),
        "Lambda": (before({"_target_": "Lambdad", "keys": "image", "func": "abs"}), "Lambdad"),
        "torchvision": (before({"_target_": "TorchVisiond", "name": "x"}), "TorchVisiond"),
        "reader": (
            before({"_target_": "LoadImaged", "keys": f"${python}", "reader": "os.system"}),
            "attention_maps_loads::0::keys",
        ),
        "writer": (
            {"postprocessing": {"_target_": "Compose", "transforms": [
                {"_target_": "SaveImaged", "keys": "pred", "writer": call}, f"${python}"]}},
            "postprocessing::transforms::1",
        ),
        "download": (
            {"network_def": {"_target_": "HoVerNet", "pretrained_url": "file:///etc/passwd"}},
            "pretrained_url",
        ),
        "hub": ({"network_def": {"_target_": "TorchVisionFCModel", "model_name": "x"}}, "FCModel"),
    }  # fmt: skip


@pytest.mark.parametrize("name", traps(""))
def test_nothing_is_executed_without_consent(bundle, marker, name):
    items, message = traps(marker)[name]
    rewrite(bundle, **items)
    with pytest.raises(ConsentError) as caught:
        am.load_model(bundle, device="cpu")
    text = str(caught.value)
    assert message in text
    assert "inference.json" in text
    assert "trust=True (command line: --trust)" in text
    assert not marker.exists()


def test_a_macro_that_reads_another_file(bundle, tmp_path, marker):
    call = {"_target_": "os.system", "command": f"echo executed > '{marker}'"}
    other = tmp_path / "other.json"
    other.write_text(json.dumps({"evil": call}))
    rewrite(bundle, **before(f"%{other}::evil"))
    with pytest.raises(ConsentError, match=r"other.json"):
        am.load_model(bundle, device="cpu")
    assert not marker.exists()


def test_with_consent_the_bundle_does_as_it_says(bundle, marker):
    python = f"__import__('pathlib').Path({str(marker)!r}).touch() or 0.5"
    rewrite(bundle, inferer={**SEGMENTATION["inferer"], "overlap": f"${python}"})
    model = am.load_model(bundle, device="cpu", trust=True)
    assert marker.exists()
    assert model.spec.sliding_window.overlap == 0.5


def test_what_is_not_needed_is_not_evaluated(bundle, marker):
    """Training, data sets and file names of every bundle hold expressions."""
    python = f"$__import__('pathlib').Path({str(marker)!r}).touch()"
    chain = SEGMENTATION["preprocessing"]["transforms"]
    loads = {"_target_": "LoadImaged", "keys": "image", "reader": python}
    rewrite(
        bundle, imports=[python], datalist=python, evaluator={"_target_": "os.system"},
        device=python, output_dir=python,
        preprocessing={"_target_": "Compose", "transforms": [loads, *chain[1:]]},
    )  # fmt: skip
    am.load_model(bundle, device="cpu")
    assert not marker.exists()


def test_plain_expressions_need_no_consent(bundle):
    inferer = {"_target_": "SlidingWindowInferer", "roi_size": "$@size", "overlap": "$0.5"}
    rewrite(bundle, inferer=inferer, size="$(16, 16, 8)")
    model = am.load_model(bundle, device="cpu")
    assert model.spec.patch_size == (16, 16, 8)
    assert model.spec.sliding_window.overlap == 0.5


CONFIG = {"a": 3, "b": [1.5, 2], "c": {"d": "@a"}, "e": "$@c::d + 1", "f": {"_target_": "UNet"},
          "loop": "$@loop + 1", "x": "text"}  # fmt: skip


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("@a", "@a"),
        (" @c::d ", "@c::d"),
        ("@a + 1", 4),
        ("@e * 2", 8),
        ("@c#d", "@c#d"),
        ("[1.5, 1.5] if @a > 2 else [3.0]", [1.5, 1.5]),
        ("@b + [len(@b)]", [1.5, 2, 2]),
        ("(-@a, not @a, None, 'x')", [-3, False, None, "x"]),
        ("@b * 2", [1.5, 2, 1.5, 2]),
        ("[@f, 1]", [{"_target_": "UNet"}, 1]),
        ("@x + '/eval'", "text/eval"),
        ("7 // 2 + 7 % 4 - 1 / 2", 5.5),
        ("torch.float32", torch.float32),
        ("np.uint8", np.uint8),
        ("monai.utils.CommonKeys.IMAGE", "image"),
    ],
)
def test_expressions_that_are_read(text, expected):
    assert read_expression(text, CONFIG) == expected


@pytest.mark.parametrize(
    "text",
    [
        "print(1)", "@a.bit_length()", "@f.x", "[i for i in @b]", "lambda: 1", "@a ** 9",
        "@loop", "@loop + 0", "@missing + 1", "@f + @f", "1 if @f else 2", "'%s' % @a",
        "[0] * 10000000", "__import__('os')", "a := 1", "1 +", "{1: 2}", "{1}", "b'x'", "f'{1}'",
        "len", "len(@b, 1)", "len(@f)", "@b[0]", "1 < 2 < 3", "torch.load", "torch.float128",
        "monai.utils.CommonKeys.mro", "1 / 0", "_reference_0", "'a' + 1",
    ],
)  # fmt: skip
def test_expressions_that_are_not(text):
    if text == "@loop":
        assert read_expression(text, CONFIG) == "@loop"
        text = "[@loop]"
    with pytest.raises(NotPlainError):
        read_expression(text, CONFIG)


def test_modules_of_a_trusted_bundle(bundle, marker):
    """They are found as `scripts`, as where MONAI runs the bundle in its folder."""
    (bundle / "scripts").mkdir()
    (bundle / "scripts" / "__init__.py").touch()
    code = "from monai.networks.nets import UNet\n\nclass Mine(UNet):\n    pass\n"
    (bundle / "scripts" / "net.py").write_text(code)
    before = set(sys.modules), list(sys.path)
    rewrite(bundle, network_def={**UNET, "_target_": "scripts.net.Mine"})
    with pytest.raises(ConsentError, match=r"scripts\.net\.Mine"):
        am.load_model(bundle, device="cpu")
    model = am.load_model(bundle, device="cpu", trust=True)
    assert model.network.name == "Mine"
    assert not {name for name in set(sys.modules) - before[0] if name.startswith("scripts")}
    assert sys.path == before[1]


def test_the_bundle_s_folder_is_no_place_for_modules_without_consent(bundle, monkeypatch):
    """MONAI imports optional packages when it needs them: none may come from the bundle."""
    seen = []
    instantiate = monai.bundle.config_item.instantiate

    def watched(*arguments, **options):
        seen.append(str(bundle.resolve()) in sys.path)
        return instantiate(*arguments, **options)

    monkeypatch.setattr(monai.bundle.config_item, "instantiate", watched)
    am.load_model(bundle, device="cpu")
    assert seen
    assert not any(seen)
    seen.clear()
    am.load_model(bundle, device="cpu", trust=True)
    assert all(seen)


def test_yaml_makes_no_objects(bundle, marker):
    pytest.importorskip("yaml")
    path = bundle / "configs" / "inference.json"
    path.unlink()
    tag = f"!!python/object/apply:os.system [\"echo executed > '{marker}'\"]"
    path.with_suffix(".yaml").write_text(f"network_def: {tag}\n")
    with pytest.raises(ModelError, match=r"Expected YAML in '.*inference.yaml'"):
        am.load_model(bundle, device="cpu", trust=True)
    assert not marker.exists()


class Trap:
    def __init__(self, marker) -> None:
        self.marker = marker

    def __reduce__(self):
        return os.system, (f"echo executed > '{self.marker}'",)


@pytest.mark.parametrize("legacy", [False, True], ids=["zip", "old format"])
def test_pickles_among_the_weights(bundle, marker, legacy):
    path = bundle / "models" / "model.pt"
    torch.save(
        {"state_dict": {}, "x": Trap(marker)}, path, _use_new_zipfile_serialization=not legacy
    )
    with pytest.raises(ConsentError, match=r"more than weights.*system.*--trust") as caught:
        am.load_model(bundle, device="cpu")
    assert str(path) in str(caught.value)
    assert not marker.exists()


@pytest.mark.parametrize("protocol", [2, 4])
def test_plain_pickles_in_place_of_weights(bundle, marker, protocol):
    path = bundle / "models" / "model.pt"
    path.write_bytes(pickle.dumps(Trap(marker), protocol))
    with pytest.raises(ConsentError, match="is refused"):
        am.load_model(bundle, device="cpu")
    assert not marker.exists()


def test_archives_that_lead_outside(plain, tmp_path):
    path = tmp_path / "bundle.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("blobs/configs/metadata.json", "{}")
        archive.writestr("../../outside.txt", "text")
    with pytest.raises(ModelError, match="leads outside"):
        am.load_model(path)
    assert not (tmp_path.parent / "outside.txt").exists()


def test_a_pickle_in_the_extra_files_of_torchscript(plain, tmp_path, marker):
    """Extra files are read as text alone."""
    script = torch.jit.script(torch.nn.Conv3d(1, 2, 1))
    path = tmp_path / "model.ts"
    torch.jit.save(script, path, _extra_files={
        "metadata.json": json.dumps({"name": "x", "monai_version": "1.6"}),
        "inference.json": json.dumps({"preprocessing": "$print(1)"}),
        "evil.pkl": pickle.dumps(Trap(marker)),
    })  # fmt: skip
    with pytest.raises(ConsentError, match=r"model.ts:inference.json.*preprocessing is '\$print"):
        am.load_model(path)
    assert not marker.exists()


@pytest.mark.parametrize(
    ("target", "expected"),
    [
        ("UNet", "monai.networks.nets.unet.UNet"),
        ("Unet", "monai.networks.nets.unet.UNet"),
        ("monai.networks.nets.UNet", "monai.networks.nets.unet.UNet"),
        ("monai.networks.nets.unet.UNet", "monai.networks.nets.unet.UNet"),
        ("SpacingD", "monai.transforms.spatial.dictionary.Spacingd"),
        ("torch.nn.Conv3d", "torch.nn.modules.conv.Conv3d"),
        ("monai.networks.nets.basic_unet.UNet", None),
        ("evil.networks.nets.UNet", None),
        ("monai.UNet.os.system", None),
        ("torch.nn.Module.__class__", None),
        ("torch.nn.init.os.system", None),
        ("torch.load", None),
        ("torch.nn.parallel.DistributedDataParallel", None),
        ("LoadImaged", None),
        ("SaveImaged", None),
        ("Lambdad", None),
        ("eval", None),
        ("", None),
        (3, None),
        (["os.system"], None),
    ],
)
def test_the_positive_list(target, expected):
    known = known_component(target)
    assert (known and known.target) == expected


def test_pretrained_weights_are_not_fetched():
    config = {"n": {"_target_": "EfficientNetBN", "model_name": "efficientnet-b0"}}
    assert harmless(config, "file")["n"]["pretrained"] is False
    config["n"]["pretrained"] = True
    assert harmless(config, "file")["n"]["pretrained"] is False
    assert "pretrained" not in harmless({"n": UNET}, "file")["n"]


def test_only_what_is_referred_to_is_needed():
    config = {"a": ["@b::c", "text@d"], "b": {"c": "$@e + 1"}, "d": 1, "e": 2, "f": "@a"}
    assert set(needed_parts(config, ["a", "missing"])) == {"a", "b", "d", "e"}
