"""Loads a trained nnU-Net v2 model: configuration, folds, checkpoint, and what it expects."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from attention_maps.errors import ModelError
from attention_maps.models.base import Loaded, ModelKind, register_kind
from attention_maps.models.eager import EagerNetwork
from attention_maps.models.nnunet.checkpoints import read_checkpoint
from attention_maps.models.nnunet.folders import choose, find_models, is_nnunet, named_parts
from attention_maps.models.nnunet.network import (
    build_network,
    check_plans,
    load_weights,
    nnunet,
    understood,
)
from attention_maps.models.nnunet.preparation import NnunetPreparation
from attention_maps.sliding_window import SlidingWindow
from attention_maps.spec import ModelSpec

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from attention_maps.models.base import LoadOptions
    from attention_maps.models.nnunet.folders import TrainedModel
    from attention_maps.types import Image


class NnunetNetwork(EagerNetwork):
    """One fold's network."""

    kind = "nnU-Net v2"


def load(path: Path, device: str, options: LoadOptions) -> Loaded:
    """Load a model from its results folder, one near it, or a zip archive.

    Raises:
        ModelError: If something is missing, does not fit, or would execute code.
    """
    models = find_models(path)
    chosen = choose(models, options.configuration)
    plans_json, dataset = chosen.json("plans.json"), chosen.json("dataset.json")
    handler = nnunet("utilities.plans_handling.plans_handler")
    with understood("plans"):
        plans = handler.PlansManager(plans_json)
    named, file = named_parts(chosen, path)
    folds = _folds(chosen, named if options.folds is None else options.folds)
    files = [chosen.checkpoint(fold, options.checkpoint or file) for fold in folds]
    checkpoints = [read_checkpoint(file, trust=options.trust) for file in files]
    name = checkpoints[0]["init_args"]["configuration"]
    with understood("plans"):
        configuration = plans.get_configuration(name)
        architecture = configuration.configuration["architecture"]
    check_plans(architecture, trust=options.trust)
    networks = []
    for checkpoint in checkpoints:
        network = build_network(plans, configuration, dataset)
        load_weights(network, checkpoint["network_weights"], str(checkpoint.get("trainer_name")))
        networks.append(NnunetNetwork(network.eval().to(device)))
    with understood("plans, or the dataset.json,"):
        spec = _spec(plans, configuration, dataset, checkpoints[0], chosen)
    previous = None
    if configuration.previous_stage_name is not None:
        previous = _previous(chosen, configuration.previous_stage_name, device, options)
    elif options.previous_stage is not None:
        raise ModelError(
            f"Expected no previous_stage, as '{name}' is no second stage of a cascade; leave it "
            "out, or choose such a configuration."
        )
    preparation = NnunetPreparation(plans, configuration, dataset, previous)
    line = _line(name, folds, spec, configuration)
    return Loaded(tuple(networks), spec, preparation, line, files=tuple(files))


def _folds(chosen: TrainedModel, asked: Sequence[str | int] | None) -> list[str]:
    there = chosen.folds()
    if asked is None:
        return [fold for fold in there if fold != "all"] or there
    folds = list(dict.fromkeys(str(fold).removeprefix("fold_") for fold in asked))
    missing = [fold for fold in folds if fold not in there]
    if missing or not folds:
        raise ModelError(
            f"Expected folds among {', '.join(there)}, got {', '.join(missing) or 'none'}."
        )
    return folds


def _spec(
    plans: Any, configuration: Any, dataset: dict[str, Any], checkpoint: dict[str, Any],
    chosen: TrainedModel,
) -> ModelSpec:  # fmt: skip
    """What nnU-Net says of the model, in our words."""
    labels = plans.get_label_manager(dataset)
    names = {_key(value): name for name, value in dataset["labels"].items()}
    if labels.has_regions:
        classes = [names[_key(region)] for region in labels.foreground_regions]
        values = [int(value) for value in labels.regions_class_order]
    else:
        classes = [names.get(_key(label), f"class {label}") for label in labels.all_labels]
        values = [int(label) for label in labels.all_labels]
    channels = dataset.get("channel_names", dataset.get("modality", {}))
    mirror = checkpoint.get("inference_allowed_mirroring_axes") or ()
    return ModelSpec(
        name=f"{chosen.dataset} {configuration_name(chosen)}",
        task="segmentation",
        channels=_distinct([str(channels[key]) for key in sorted(channels, key=int)]),
        spatial_dims=3,
        patch_size=tuple(int(n) for n in configuration.patch_size),
        sliding_window=SlidingWindow(
            style="nnunet",
            overlap=0.5,
            blending="gaussian",
            mirror_axes=tuple(int(axis) for axis in mirror),
        ),
        output_is="logits",
        activation="sigmoid" if labels.has_regions else "softmax",
        class_names=tuple(classes),
        label_values=tuple(values),
    )


def configuration_name(chosen: TrainedModel) -> str:
    """Configuration, with trainer and plans where they are not the default."""
    trainer, plans, name = [*chosen.folder.name.split("__"), "", ""][:3]
    extra = [part for part in (trainer, plans) if part not in ("nnUNetTrainer", "nnUNetPlans", "")]
    return " ".join([name or chosen.folder.name, *extra])


def _key(value: Any) -> tuple[int, ...]:
    return tuple(int(v) for v in value) if isinstance(value, list | tuple) else (int(value),)


def _distinct(names: list[str]) -> tuple[str, ...]:
    """Channel names, numbered where nnU-Net has the same one twice."""
    if len(set(names)) == len(names):
        return tuple(names)
    return tuple(f"{name} {number}" for number, name in enumerate(names))


def _previous(
    chosen: TrainedModel, stage: str, device: str, options: LoadOptions
) -> Callable[[Image], Image]:
    """What computes the label map of the stage before, when it is first asked for."""
    trainer, plans, _ = [*chosen.folder.name.split("__"), "", ""][:3]
    folder = chosen.folder.parent / f"{trainer}__{plans}__{stage}"

    def predict(image: Image) -> Image:
        if options.previous_stage is not None:
            from attention_maps.inputs import as_image
            from attention_maps.resampling import resample
            from attention_maps.types import Image as Result

            given = as_image(options.previous_stage, 3)
            labels = resample(given.array[:1], given.grid, image.grid, interpolation="nearest")
            return Result(labels, image.affine)
        if not folder.is_dir():
            raise ModelError(
                f"This is the second stage of a cascade and needs the answer of the first, but "
                f"'{folder.name}' is not beside it; copy it there, or give its label map as "
                "previous_stage."
            )
        from attention_maps.explainer import Explainer
        from attention_maps.loading import load_model

        first = load_model(folder, device=device, trust=options.trust)
        found: Any = Explainer(first, image).prediction
        return found

    return predict


def _line(name: str, folds: list[str], spec: ModelSpec, configuration: Any) -> str:
    """One line for people."""
    channels = spec.channels or ()
    spacing = " x ".join(f"{value:.3g}" for value in configuration.spacing)
    several = "s" if len(folds) > 1 else ""
    return (
        f"nnU-Net {name}, {len(folds)} fold{several}, {len(channels)} "
        f"channel{'s' if len(channels) > 1 else ''} ({', '.join(channels)}), "
        f"{len(spec.class_names or ())} classes, {spacing} mm"
    )


register_kind(
    ModelKind(
        "nnunet",
        "A trained nnU-Net v2 model: its results folder, one above or below it, or a zip archive.",
        lambda source: hasattr(source, "is_file") and is_nnunet(source),
        load,
    )
)
