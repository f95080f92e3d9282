"""Kinds of models, one file each; importing this package registers them."""

from attention_maps.models import eager, exported, torchscript
from attention_maps.models.base import KINDS, ModelKind, Network, register_kind
from attention_maps.models.bundle import auto3dseg
from attention_maps.models.bundle import loading as monai_bundle
from attention_maps.models.nnunet import loading as nnunet

__all__ = [
    "KINDS",
    "ModelKind",
    "Network",
    "auto3dseg",
    "eager",
    "exported",
    "monai_bundle",
    "nnunet",
    "register_kind",
    "torchscript",
]
