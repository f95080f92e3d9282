"""The network of a trained nnU-Net, built from its plans by nnU-Net's own code."""

from __future__ import annotations

import contextlib
import io
import warnings
from importlib import import_module
from typing import TYPE_CHECKING, Any

from attention_maps.errors import ConsentError, MissingPackageError, ModelError

if TYPE_CHECKING:
    from collections.abc import Iterator

# Plans name classes to import; these are nnU-Net's own, and nothing else is imported.
NETWORKS = ("dynamic_network_architectures.", "nnunetv2.")
PARTS = ("torch.nn.", "dynamic_network_architectures.", "nnunetv2.")


def nnunet(module: str) -> Any:
    """A module of nnU-Net, imported when a model of it is first loaded.

    Raises:
        MissingPackageError: If nnU-Net is not installed.
    """
    try:
        with quiet():
            return import_module(f"nnunetv2.{module}")
    except ImportError as error:
        missing = (error.name or "").partition(".")[0]
        if missing == "nnunetv2":
            raise MissingPackageError(
                "An nnU-Net model needs the package nnunetv2; install it with "
                "`pip install nnunetv2`."
            ) from None
        raise ModelError(f"The package nnunetv2 cannot be imported: {error}.") from error


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Without what nnU-Net prints about paths for training, which prediction does not need."""
    with contextlib.redirect_stdout(io.StringIO()), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def check_plans(architecture: dict[str, Any], *, trust: bool) -> None:
    """Refuse plans that name classes of other packages, unless the person trusts them.

    Raises:
        ConsentError: If they do.
    """
    if trust:
        return
    keywords = architecture.get("arch_kwargs", {})
    named: list[tuple[str, tuple[str, ...]]] = [
        (str(architecture.get("network_class_name")), NETWORKS)
    ]
    named += [
        (str(keywords[key]), PARTS)
        for key in architecture.get("_kw_requires_import", ())
        if keywords.get(key) is not None
    ]
    for name, allowed in named:
        if not name.startswith(allowed):
            raise ConsentError(
                f"The plans of this model ask for '{name}', which is not nnU-Net's: loading it "
                "would execute code of that package. Load it with trust=True (command line: "
                "--trust) if you know where the model comes from."
            )


def build_network(plans: Any, configuration: Any, dataset: dict[str, Any]) -> Any:
    """The network without weights, without deep supervision.

    Args:
        plans: nnU-Net's PlansManager.
        configuration: Its ConfigurationManager.
        dataset: Contents of dataset.json.
    """
    labels = nnunet("utilities.label_handling.label_handling")
    builder = nnunet("utilities.get_network_from_plans")
    channels = labels.determine_num_input_channels(plans, configuration, dataset)
    heads = plans.get_label_manager(dataset).num_segmentation_heads
    with quiet():
        return builder.get_network_from_plans(
            configuration.network_arch_class_name,
            configuration.network_arch_init_kwargs,
            configuration.network_arch_init_kwargs_req_import,
            channels,
            heads,
            allow_init=False,
            deep_supervision=False,
        )


def load_weights(network: Any, weights: dict[str, Any], trainer: str) -> None:
    """Put trained weights into a network.

    Raises:
        ModelError: If they do not fit, as of a trainer with a network of its own.
    """
    plain = {
        name.removeprefix("module.").removeprefix("_orig_mod."): w for name, w in weights.items()
    }
    try:
        network.load_state_dict(plain)
    except RuntimeError as error:
        raise ModelError(
            f"The weights do not fit the network of the plans; the trainer '{trainer}' may build "
            "its own. Build it yourself, load the weights, and pass the module to "
            f"attention_maps.load_model. ({str(error).splitlines()[0]})"
        ) from None
