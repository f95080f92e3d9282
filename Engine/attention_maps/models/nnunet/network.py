"""The network of a trained nnU-Net, built from its plans by nnU-Net's own code."""

from __future__ import annotations

import contextlib
import inspect
import io
import pkgutil
import pydoc
import warnings
from importlib import import_module
from importlib.metadata import version
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

from attention_maps.errors import ConsentError, MissingPackageError, ModelError

if TYPE_CHECKING:
    from collections.abc import Iterator

# Plans name classes to import; these are nnU-Net's own, and nothing else is imported.
NETWORKS = ("dynamic_network_architectures.", "nnunetv2.")
ARCHITECTURES = "dynamic_network_architectures.architectures"
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


@contextlib.contextmanager
def understood(what: str) -> Iterator[None]:
    """Says what of a model nnU-Net did not understand, whatever it raises; without its warnings.

    Raises:
        ModelError: In place of that.
    """
    try:
        with quiet():
            yield
    except ModelError:
        raise
    except Exception as error:  # missing keys, wrong types, modules of other versions
        raise ModelError(
            f"The {what} of this model cannot be understood by nnU-Net {version('nnunetv2')}: "
            f"{type(error).__name__}: {error}. Was it trained with another version, or changed?"
        ) from error


def check_plans(architecture: dict[str, Any], *, trust: bool) -> None:
    """Refuse plans that name anything but networks and layers of nnU-Net, unless it is trusted.

    Raises:
        ConsentError: If they do.
    """
    if trust:
        return
    keywords = architecture.get("arch_kwargs", {})
    named: list[tuple[str, tuple[str, ...]]] = [
        (present_name(str(architecture.get("network_class_name"))), NETWORKS)
    ]
    named += [
        (str(keywords[key]), PARTS)
        for key in architecture.get("_kw_requires_import", ())
        if keywords.get(key) is not None
    ]
    for name, packages in named:
        if not _is_module_of(name, packages):
            raise ConsentError(
                f"The plans of this model ask for '{name}', which is no network or layer of "
                "nnU-Net's: loading it would execute other code. Load it with trust=True (command "
                "line: --trust) if you know where the model comes from."
            )


def present_name(name: str) -> str:
    """Where a network of nnU-Net is now that older plans name where it was once.

    nnU-Net's own search for it imports networks whose packages may not be installed.
    """
    home, _, last = name.rpartition(".")
    with quiet():
        package = home.rpartition(".")[0]
        if package != ARCHITECTURES or find_spec(home) is not None:
            return name
        for item in pkgutil.iter_modules(import_module(ARCHITECTURES).__path__):
            place = f"{ARCHITECTURES}.{item.name}"
            with contextlib.suppress(ImportError):
                if getattr(getattr(import_module(place), last, None), "__module__", "") == place:
                    return f"{place}.{last}"
    return name


def _is_module_of(name: str, packages: tuple[str, ...]) -> bool:
    """Whether a name is that of a module of neural networks that one of these packages defines.

    A path that begins in them may lead out of them through what they import, as far as to `os`.
    """
    from torch.nn import Module

    if not name.startswith(packages):
        return False
    with quiet():
        try:
            found = pydoc.locate(name)
        except pydoc.ErrorDuringImport as error:
            raise ModelError(
                f"The plans of this model ask for '{name}', which cannot be imported: "
                f"{error.value}."
            ) from None
    own = inspect.isclass(found) and issubclass(found, Module)
    return own and found.__module__.startswith(packages)


def build_network(plans: Any, configuration: Any, dataset: dict[str, Any]) -> Any:
    """The network without weights, without deep supervision.

    Args:
        plans: nnU-Net's PlansManager.
        configuration: Its ConfigurationManager.
        dataset: Contents of dataset.json.
    """
    labels = nnunet("utilities.label_handling.label_handling")
    builder = nnunet("utilities.get_network_from_plans")
    with understood("network"):
        channels = labels.determine_num_input_channels(plans, configuration, dataset)
        heads = plans.get_label_manager(dataset).num_segmentation_heads
        return builder.get_network_from_plans(
            present_name(configuration.network_arch_class_name),
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
