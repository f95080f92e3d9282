"""Models of the 3D Slicer extension MONAIAuto3DSeg: one `model.pt` with configuration and weights.

The transforms are those of the extension's own inference, in its order, so that label maps agree.
"""

from __future__ import annotations

import csv
import zipfile
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any

import torch

from attention_maps.errors import ModelError
from attention_maps.models.archives import unpacked
from attention_maps.models.base import Loaded, ModelKind, register_kind
from attention_maps.models.bundle.consent import harmless
from attention_maps.models.bundle.describing import spec_of
from attention_maps.models.bundle.loading import BundleNetwork
from attention_maps.models.bundle.preparation import PRED, BundlePreparation
from attention_maps.models.bundle.recipe import IMAGE, Recipe, monai, quiet
from attention_maps.models.file_kinds import zip_names
from attention_maps.models.weights import read_weights

if TYPE_CHECKING:
    from attention_maps.models.base import LoadOptions

FILE = "model.pt"
LABELS = "labels.csv"
MARKS = (b"state_dict", b"normalize_mode", b"roi_size")  # keys in the pickled configuration
NEEDED = ("network", "roi_size", "normalize_mode")
OVERLAP = 0.625
MARGIN = 10
BRATS_VALUES = (2, 1, 3)  # of whole tumor, core, enhancing tumor: the last one wins
WHOLE_HEAD_PARTS = 2


def is_auto3dseg(path: Path) -> bool:
    """Whether a file, a folder or an archive holds such a model; nothing in it is executed."""
    if path.is_dir():
        return (path / FILE).is_file() and is_auto3dseg(path / FILE)
    names = zip_names(path)
    if path.suffix.lower() == ".zip":
        plain = {PurePosixPath(name).name for name in names}
        return {FILE, LABELS} <= plain
    inner = next((name for name in names if name.endswith("/data.pkl")), None)
    if inner is None:
        return False
    with zipfile.ZipFile(path) as archive:
        content = archive.read(inner)
    return all(mark in content for mark in MARKS)


def load(path: Path, device: str, options: LoadOptions) -> Loaded:
    """Load a model.

    Raises:
        ConsentError: If that would execute code that is not known to be harmless.
        ModelError: If something is missing or does not fit.
    """
    file = _model_file(path)
    content = _content(file, options.trust)
    config = content["config"]
    module = _network(config, file, options.trust)
    try:
        module.load_state_dict(content["state_dict"])
    except RuntimeError as error:
        raise ModelError(
            f"The weights of '{file}' do not fit its network: {str(error).splitlines()[-1].strip()}"
        ) from None
    where = f"{path} {file}"
    stacked, whole_head = "brats" in where, "whole-head" in where
    names = _channels(config, stacked)
    recipe = _recipe(config, len(names), stacked=stacked, whole_head=whole_head)
    network = BundleNetwork(module.eval().to(device))
    network.kind = "MONAIAuto3DSeg"
    spec = spec_of({}, recipe, _name_of(file), 3)
    said: dict[str, Any] = {
        "channels": names,
        "class_names": _classes(file, config, recipe.label_values),
    }
    spec = spec.replace(**{key: value for key, value in said.items() if value})
    line = (
        f"MONAIAuto3DSeg {spec.name}, {network.name}, {len(names)} channel"
        f"{'s' if len(names) > 1 else ''} ({', '.join(names)}), windows of "
        f"{' x '.join(map(str, spec.patch_size or ()))}"
    )
    preparation = BundlePreparation(recipe, where=f"'{file}'")
    return Loaded((network,), spec, preparation, line, files=(file,))


def _content(file: Path, trust: bool) -> dict[str, Any]:
    """Configuration and weights.

    Raises:
        ModelError: If one is missing.
    """
    content = read_weights(file, trust=trust)
    for name in ("config", "state_dict"):
        if not isinstance(content, dict) or not isinstance(content.get(name), dict):
            raise ModelError(
                f"Expected '{file}' to hold '{name}', as models of MONAIAuto3DSeg do, but there is "
                "none; copy or download it again."
            )
    missing = [name for name in NEEDED if name not in content["config"]]
    if missing:
        raise ModelError(f"Expected '{missing[0]}' in the configuration in '{file}', got none.")
    found: dict[str, Any] = content
    return found


def _model_file(path: Path) -> Path:
    folder = unpacked(path) if path.suffix.lower() == ".zip" else path
    if folder.is_file():
        return folder
    return next(iter(sorted(folder.rglob(FILE))), folder / FILE)


def _name_of(file: Path) -> str:
    return file.resolve().parent.name if file.name == FILE else file.stem


def _network(config: dict[str, Any], file: Path, trust: bool) -> Any:
    network = {"network": config["network"]}
    if not trust:
        network = harmless(network, str(file))
    try:
        with quiet():
            parser = monai("bundle.config_parser").ConfigParser(network)
            return parser.get_parsed_content("network")
    except Exception as error:  # whatever MONAI, or trusted code, raises
        raise ModelError(
            f"The network of '{file}' cannot be made with this version of MONAI: "
            f"{error.__cause__ or error}"
        ) from error


def _channels(config: dict[str, Any], stacked: bool) -> tuple[str, ...]:
    """Names of the images."""
    if stacked:
        return tuple(f"image {n}" for n in range(int(config["network"]["in_channels"])))
    first = str(config.get("modality") or IMAGE).upper()
    return (first, *(str(name) for name in dict(config.get("extra_modalities") or {})))


def _classes(
    file: Path, config: dict[str, Any], values: tuple[int, ...] | None
) -> tuple[str, ...] | None:
    """Names of the output channels, of the labels beside the file or of the configuration."""
    count = int(config["network"]["out_channels"])
    first = int(bool(config.get("sigmoid")))
    named = dict(enumerate(_names_in(config), start=1))
    named |= _labels_beside(file)
    if not named:
        return None
    values = values or tuple(range(first, first + count))
    found = [named.get(value, "background" if value == 0 else f"label {value}") for value in values]
    return tuple(found) if len(set(found)) == len(found) else None


def _names_in(config: dict[str, Any]) -> list[str]:
    given = config.get("class_names") or []
    names = [item.get("name") if isinstance(item, dict) else item for item in given]
    return [str(name) for name in names if name]


def _labels_beside(file: Path) -> dict[int, str]:
    path = file.parent / LABELS
    if not path.is_file():
        return {}
    with path.open(encoding="utf-8", newline="") as stream:
        rows = [row for row in csv.DictReader(stream) if row.get("Name")]
    values = [(row.get("LabelValue") or "").strip() for row in rows]
    return {
        int(value): str(row["Name"]).strip()
        for value, row in zip(values, rows, strict=True)
        if value.isdigit()
    }


def _recipe(config: dict[str, Any], count: int, *, stacked: bool, whole_head: bool) -> Recipe:
    """Transforms and windows, as the extension has them."""
    keys = (IMAGE,) if stacked else tuple(f"image{n}" for n in range(1, count + 1))
    transforms = monai("transforms")
    chain = _before(transforms, config, keys, stacked)
    inferer = monai("inferers").SlidingWindowInfererAdapt(
        roi_size=list(config["roi_size"]), sw_batch_size=1, overlap=OVERLAP, mode="gaussian"
    )
    return Recipe(
        chain, inferer, _after(transforms, config, chain, whole_head), keys,
        label_values=BRATS_VALUES if stacked else None,
    )  # fmt: skip


def _before(transforms: Any, config: dict[str, Any], keys: tuple[str, ...], stacked: bool) -> Any:
    mode, bounds = str(config["normalize_mode"]), config.get("intensity_bounds")
    to_float = transforms.EnsureTyped(keys=IMAGE, data_type="tensor", dtype=torch.float)
    join = [] if stacked else [transforms.ConcatItemsd(keys=list(keys), name=IMAGE, dim=0)]
    place = _placement(transforms, config, IMAGE if stacked else keys[0])
    if stacked:
        chain = [to_float, *place, *_normalized(transforms, IMAGE, mode, bounds)]
    elif len(keys) == 1:
        chain = [*join, to_float, *_normalized(transforms, IMAGE, mode, bounds), *place]
    else:
        modes = [mode, *map(str, dict(config["extra_modalities"]).values())]
        each = [
            item
            for key, own in zip(keys, modes, strict=True)
            for item in _normalized(transforms, key, own, bounds)
        ]
        chain = [*each, *join, to_float, *place]
    return transforms.Compose(chain)


def _placement(transforms: Any, config: dict[str, Any], foreground: str) -> list[Any]:
    """Orientation, crop and resampling."""
    chain: list[Any] = []
    if config.get("orientation_ras", False):
        chain.append(transforms.Orientationd(keys=IMAGE, axcodes="RAS", labels=None))
    if config.get("crop_foreground", True):
        chain.append(
            transforms.CropForegroundd(
                keys=IMAGE, source_key=foreground, margin=MARGIN, allow_smaller=True
            )
        )
    spacing = config.get("resample_resolution")
    if spacing is not None:
        spacing = [float(value) for value in spacing]
        chain.append(
            transforms.Spacingd(
                keys=[IMAGE],
                pixdim=spacing,
                mode=["bilinear"],
                dtype=torch.float,
                min_pixdim=[0.75 * value for value in spacing],
                max_pixdim=[1.25 * value for value in spacing],
            )
        )
    return chain


def _normalized(transforms: Any, key: str, mode: str, bounds: Any) -> list[Any]:
    """Intensities of one image."""
    standard = transforms.NormalizeIntensityd(keys=key, nonzero=True, channel_wise=True)
    if mode == "none":
        return []
    if mode in ("range", "ct"):
        scaled = transforms.ScaleIntensityRanged(
            keys=key, a_min=bounds[0], a_max=bounds[1], b_min=-1, b_max=1, clip=False
        )
        return [scaled, transforms.Lambdad(keys=key, func=torch.sigmoid)]
    if mode in ("meanstd", "mri"):
        return [standard]
    if mode == "meanstdtanh":
        return [standard, transforms.Lambdad(keys=key, func=_soft_limit)]
    if mode == "pet":
        return [transforms.Lambdad(keys=key, func=_soft_scale)]
    raise ModelError(
        f"Expected normalize_mode none, range, ct, meanstd, mri, meanstdtanh or pet, got '{mode}'."
    )


def _soft_limit(x: torch.Tensor) -> torch.Tensor:
    return 3 * torch.tanh(x / 3)


def _soft_scale(x: torch.Tensor) -> torch.Tensor:
    return torch.sigmoid((x - x.min()) / x.std())


def _after(transforms: Any, config: dict[str, Any], chain: Any, whole_head: bool) -> Any:
    """Labels on the network's voxels, then back by nearest neighbor."""
    if config.get("sigmoid", False):
        labels = [
            transforms.Activationsd(keys=PRED, sigmoid=True),
            transforms.AsDiscreted(keys=PRED, threshold=0.5),
        ]
    else:
        labels = [transforms.AsDiscreted(keys=PRED, argmax=True)]
    back = transforms.Invertd(keys=PRED, orig_keys=IMAGE, transform=chain, nearest_interp=True)
    largest = transforms.KeepLargestConnectedComponentd(keys=PRED, num_components=WHOLE_HEAD_PARTS)
    return transforms.Compose([*labels, back, *([largest] if whole_head else [])])


register_kind(
    ModelKind(
        "monai_auto3dseg",
        "A model of MONAIAuto3DSeg: its model.pt, the folder or the zip archive that holds it.",
        lambda source: isinstance(source, Path) and is_auto3dseg(source),
        load,
        choices=(),
    )
)
