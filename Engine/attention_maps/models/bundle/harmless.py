"""The positive list: what of a bundle's configuration may be made without asking.

Every name is looked up in the few public packages below and must be one of those listed there, so
that no dotted path leads through MONAI's modules to `os` or `subprocess`. Left out is what reads or
writes files, loads from the network, or runs what it is given: LoadImage and SaveImage (left out
for other reasons, too, see `recipe`), Lambda, TorchVision, TorchIO, CuCIM, networks that fetch
weights when they are built.
"""

from __future__ import annotations

import inspect
from typing import Any, NamedTuple

# Each with its dictionary version, which ends in d.
TRANSFORMS = [
    "Activations", "AddCoordinateChannels", "AdjustContrast", "Affine", "AsChannelLast",
    "AsDiscrete", "BorderPad", "CastToType", "CenterScaleCrop", "CenterSpatialCrop",
    "ClipIntensityPercentiles", "ConvertToMultiChannelBasedOnBratsClasses", "CropForeground",
    "DivisiblePad", "EnsureChannelFirst", "EnsureType", "FillHoles", "Flip", "ForegroundMask",
    "GaussianSharpen", "GaussianSmooth", "HistogramNormalize", "Identity", "Invert",
    "KeepLargestConnectedComponent", "LabelFilter", "LabelToMask", "MapLabelValue",
    "MaskIntensity", "MeanEnsemble", "MedianSmooth", "NormalizeIntensity", "Orientation",
    "RemoveRepeatedChannel", "RemoveSmallObjects", "RepeatChannel", "Resize",
    "ResizeWithPadOrCrop", "Rotate", "Rotate90", "ScaleIntensity", "ScaleIntensityRange",
    "ScaleIntensityRangePercentiles", "ShiftIntensity", "Spacing", "SpatialCrop", "SpatialPad",
    "SpatialResample", "SplitDim", "SqueezeDim", "StdShiftIntensity", "ThresholdIntensity",
    "ToDevice", "ToNumpy", "ToTensor", "Transpose", "VoteEnsemble", "Zoom",
]  # fmt: skip
MORE_TRANSFORMS = [
    "Compose", "ConcatItemsd", "CopyItemsd", "DeleteItemsd", "FlattenSubKeysd",
    "FromMetaTensord", "ResampleToMatchd", "SelectItemsd", "ToMetaTensord",
]  # fmt: skip
INFERERS = ["SimpleInferer", "SliceInferer", "SlidingWindowInferer", "SlidingWindowInfererAdapt"]
NETWORKS = [
    "AHNet", "AttentionUnet", "AutoEncoder", "BasicUNet", "BasicUNetPlusPlus", "Classifier",
    "Critic", "DAF3D", "DenseNet", "DenseNet121", "DenseNet169", "DenseNet201", "DenseNet264",
    "Discriminator", "DynUNet", "EfficientNet", "EfficientNetBN", "FlexibleUNet",
    "FullyConnectedNet", "Generator", "HighResNet", "HoVerNet", "LocalNet", "MedNeXt",
    "Quicknat", "RegUNet", "Regressor", "ResNet", "ResNetFeatures", "SENet", "SENet154",
    "SEResNet50", "SEResNet101", "SEResNet152", "SEResNext50", "SEResNext101", "SegResNet",
    "SegResNetDS", "SegResNetDS2", "SegResNetVAE", "SwinUNETR", "UNETR", "UNet", "VNet",
    "VarAutoEncoder", "ViT", "ViTAutoEnc", "resnet10", "resnet18", "resnet34", "resnet50",
    "resnet101", "resnet152", "resnet200",
]  # fmt: skip
ALLOWED: dict[str, frozenset[str] | None] = {  # None: every module of neural networks in it
    "monai.transforms": frozenset([*TRANSFORMS, *(f"{n}d" for n in TRANSFORMS), *MORE_TRANSFORMS]),
    "monai.inferers": frozenset(INFERERS),
    "monai.networks.nets": frozenset(NETWORKS),
    "torch.nn": None,
}
OUTWARD = ("url", "path", "file", "dir", "repo", "download")  # in names of arguments


class Known(NamedTuple):
    """A component of the positive list.

    Args:
        target: Its full name.
        fetches: Whether it would fetch weights, unless it is told not to.
    """

    target: str
    fetches: bool


def known_component(target: Any) -> Known | None:
    """What a `_target_` of a configuration means, where it is on the list; else None."""
    if not isinstance(target, str):
        return None
    package, _, name = target.rpartition(".")
    for allowed, names in ALLOWED.items():
        if package and package != allowed and not package.startswith(f"{allowed}."):
            continue
        found = getattr(_package(allowed), name, None)
        if found is None or not _is_listed(found, names):
            continue
        home = found.__module__
        if package in ("", home) or home.startswith(f"{package}."):
            return Known(f"{home}.{found.__name__}", "pretrained" in _parameters(found))
    return None


def canonical_name(target: Any) -> str:
    """Name of a transform without its package and its other spellings (LoadImageD, LoadImageDict).

    Empty where it is none of MONAI's.
    """
    name = str(target).rpartition(".")[2]
    found = getattr(_package("monai.transforms"), name, None)
    return found.__name__ if inspect.isclass(found) else ""


def outward_argument(config: dict[str, Any]) -> str | None:
    """First argument that leads out of the bundle, to files or the network; else None."""
    for name, value in config.items():
        leads = any(part in name.lower().split("_") for part in OUTWARD)
        if (leads or name.startswith("pretrained_")) and value not in (None, False, ""):
            return name
    return None


def _package(name: str) -> Any:
    from importlib import import_module

    return import_module(name)


def _is_listed(found: Any, names: frozenset[str] | None) -> bool:
    if names is not None:
        home = str(getattr(found, "__module__", ""))
        made = inspect.isclass(found) or inspect.isfunction(found)
        return made and home.startswith("monai.") and found.__name__ in names
    from torch.nn import Module

    return (
        inspect.isclass(found)
        and issubclass(found, Module)
        and found.__module__.startswith("torch.nn.modules.")
    )


def _parameters(found: Any) -> Any:
    return inspect.signature(found).parameters
