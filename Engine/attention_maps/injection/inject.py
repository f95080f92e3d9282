"""`inject`: attention maps whenever a module is called, with M3d-CAM's arguments."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

import torch

from attention_maps.errors import ModelError
from attention_maps.injection.module import Injected, injected
from attention_maps.injection.settings import checked_settings

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from os import PathLike

logger = logging.getLogger(__name__)


def inject(
    model: torch.nn.Module,
    output_dir: str | PathLike[str] | None = None,
    backend: str = "gcam",
    layer: str | Sequence[str] = "auto",
    label: Any = None,
    data_shape: str | Sequence[int] = "default",
    save_maps: bool = False,
    save_pickle: bool = False,
    save_scores: bool = False,
    evaluate: bool = False,
    metric: str | Callable[[Any, Any], float] = "wioa",
    threshold: str | float = "otsu",
    retain_graph: bool = False,
    return_score: bool = False,
    replace: bool = False,
    return_attention: bool = False,
    cudnn: bool = True,
    enabled: bool = True,
) -> Any:
    """Return the module with attention maps: whenever it is called, maps are made, too.

    It is called and used as before, and predicts the same; the module that is given stays as it is,
    and shares its weights. `model(batch, label=..., mask=..., raw_input=...)` asks another
    question, gives masks to evaluate against, or the images that maps are saved with. Maps are made
    in evaluation mode, whatever mode the module is in.

    Args:
        model: A module that takes a batch `(B, C, *spatial)`.
        output_dir: Folder for all that is saved; made if it does not exist.
        backend: "gcam", "gcampp", "gbp", "ggcam", or any name of `attention_maps.methods()`, whose
            remarks say what must be known: "gbp" and "ggcam" fail sanity checks.
        layer: Name of a layer or several; "auto" for the last one before the head; "full" for all.
        label: What is asked: the index of a class or several (all of its logits), "best" (the class
            with the highest sum of logits, for each image), a mask of the output's shape, a
            function that makes such a mask of the output, or a target such as `ClassTarget`. None:
            "best" for classification, all logits for segmentation.
        data_shape: Voxels per axis of the maps: "default" for the input's, "layer" for the layer's
            own, or numbers.
        save_maps: Whether maps are saved, in a folder per layer: 3D as float32 NIfTI, 2D as PNG.
        save_pickle: Whether `model.dump()` saves all maps as attention_maps.pkl.
        save_scores: Whether `model.dump()` saves the scores as scores.xlsx.
        evaluate: Whether maps are held against masks: `model(batch, mask=mask)`.
        metric: "wioa", "ioa", "iou", "wiou", the name of one of `attention_maps.metrics()`, or a
            function of a map and a mask.
        threshold: "otsu", or a share of the map's range from 0 to 1.
        retain_graph: Accepted as M3d-CAM has it; the caller's graph is always kept.
        return_score: Whether scores by layer are returned, after the output.
        replace: Whether the maps, `(B, 1, *data_shape)`, are returned in place of the output.
        return_attention: Whether they are returned after the output.
        cudnn: False to make maps without cuDNN, which cannot follow some networks back.
        enabled: Whether maps are made; `enable_medcam()` and `disable_medcam()` change it.

    Returns:
        The injected module, of a class derived from its own, with `get_layers`,
        `get_attention_map`, `save_attention_map`, `replace_output`, `test_run`, `dump`,
        `enable_medcam` and `disable_medcam`. A module that is injected already is returned as it
        is.

    Raises:
        ImageError, LayerError, MethodError, TargetError: If an argument cannot be used.
        ModelError: If `model` is no module that can be injected.
    """
    if isinstance(model, Injected):
        logger.warning("The module is injected already and keeps its first arguments.")
        return model
    if not isinstance(model, torch.nn.Module):
        raise ModelError(
            f"Expected a torch.nn.Module, got {type(model).__name__}; attention_maps.explain takes "
            "files."
        )
    if isinstance(model, torch.jit.ScriptModule):
        raise ModelError(
            "Expected a module in Python, got TorchScript; use attention_maps.explain(model, "
            "image)."
        )
    if hasattr(model, "_orig_mod"):
        raise ModelError(
            "Expected a module from before torch.compile, got a compiled one; inject what it was "
            "made of: inject(model._orig_mod)."
        )
    if vars(model).get("_compiled_call_impl") is not None:
        raise ModelError(
            "Expected a module that was not compiled, got one after model.compile(), whose calls "
            "cannot be followed; make it again without that line."
        )
    settings = checked_settings(
        output_dir, backend, layer, data_shape, label=label, save_maps=save_maps,
        save_pickle=save_pickle, save_scores=save_scores, evaluate=evaluate, metric=metric,
        threshold=threshold, return_score=return_score, replace=replace,
        return_attention=return_attention, cudnn=cudnn,
    )  # fmt: skip
    if settings.folder is not None:
        settings.folder.mkdir(parents=True, exist_ok=True)
    return injected(model, settings, enabled)
