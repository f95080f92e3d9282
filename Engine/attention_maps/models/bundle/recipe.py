"""What MONAI's parser makes of a bundle's configuration: transforms, windows, the network."""

from __future__ import annotations

import contextlib
import copy
import sys
import warnings
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from attention_maps.errors import MissingPackageError, ModelError
from attention_maps.models.bundle.consent import harmless, needed_parts
from attention_maps.models.bundle.harmless import canonical_name

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from attention_maps.models.bundle.files import BundleFiles

NETWORKS = ("network_def", "network")
IMAGE = "image"
# The image is in memory already, and nothing is written.
LOADERS = ("LoadImage", "LoadImaged")
SILENT = ("SaveImage", "SaveImaged", "SaveClassificationd", "WriteFileMapping",
          "WriteFileMappingd", "DataStats", "DataStatsd")  # fmt: skip
LOADED = "attention_maps_loads"
CLOSEST = "as_closest_canonical"
SCRIPTS = "scripts"
DEVICES = ("device", "sw_device")
# Arguments that MONAI no longer knows (what they did was a check), or that lose an image's place.
REMOVED = {
    "SwinUNETR": ("img_size",),
    **dict.fromkeys(("EnsureType", "EnsureTyped", "ToTensor", "ToTensord"), ("track_meta",)),
}


@dataclass(frozen=True)
class Recipe:
    """How a bundle goes from an image to its answer.

    Args:
        preprocessing: MONAI transform of {key: MetaTensor}, without loading; None for none.
        inferer: MONAI inferer; None for the whole image at once.
        postprocessing: MONAI transform of {image key: ..., "pred": logits}, without saving.
        keys: Names of the images, one per channel where there are several.
        canonical: Whether images are turned to RAS when they are loaded.
        label_values: Value of each class in the label map; None for the usual ones.
    """

    preprocessing: Any = None
    inferer: Any = None
    postprocessing: Any = None
    keys: tuple[str, ...] = (IMAGE,)
    canonical: bool = False
    label_values: tuple[int, ...] | None = None


def read_recipe(files: BundleFiles, *, trust: bool) -> Recipe:
    """Preprocessing, inferer and postprocessing of a bundle.

    Raises:
        ConsentError: If they would execute code that is not known to be harmless.
        ModelError: If MONAI cannot make them.
    """
    wanted = ("preprocessing", "inferer", "postprocessing")
    parser = _parser(files, wanted, trust)
    made = {name: _made(parser, name, files, trust) for name in wanted}
    loads = [load for load in (parser.get_parsed_content(LOADED) or []) if load]
    keys = [key for load in loads for key in _listed(load.get("keys") or IMAGE)]
    images = tuple(dict.fromkeys(key for key in keys if key != "label"))
    canonical = any(bool(load.get(CLOSEST)) for load in loads)
    return Recipe(**made, keys=images or (IMAGE,), canonical=canonical)


def make_network(files: BundleFiles, *, trust: bool) -> Any:
    """The network of a bundle without its weights; None where the configuration has none.

    Raises:
        ConsentError: If it would execute code that is not known to be harmless.
        ModelError: If MONAI cannot make it.
    """
    name = next((name for name in NETWORKS if name in files.config), None)
    if name is None:
        return None
    made = _made(_parser(files, (name,), trust), name, files, trust)
    if not hasattr(made, "load_state_dict"):
        raise ModelError(
            f"Expected '{name}' of '{files.config_file}' to be the network of the bundle, got "
            f"{type(made).__name__}."
        )
    return made


def _parser(files: BundleFiles, wanted: tuple[str, ...], trust: bool) -> Any:
    """MONAI's parser with what is needed, checked unless it is trusted."""
    parsing = monai("bundle.config_parser")
    config = _resolved(files, trust)
    config |= {"bundle_root": str(files.root), "device": "cpu"}
    config["_meta_"] = copy.deepcopy(files.metadata)
    loads: list[dict[str, Any]] = []
    config = {name: _adapted(value, loads) for name, value in config.items()}
    config[LOADED] = loads
    if not trust:
        config = harmless(needed_parts(config, (*wanted, LOADED)), files.config_file)
    parser = parsing.ConfigParser({"_meta_": {}, **config})
    if not trust:
        parser.locator = _FullNames()
    return parser


class _FullNames:
    """Stands for MONAI's search for classes, which imports all of MONAI: names are full ones."""

    def get_component_module_name(self, name: str) -> None:
        return None


def _resolved(files: BundleFiles, trust: bool) -> dict[str, Any]:
    """The configuration with relative references and macros resolved; nothing is evaluated."""
    parsing = monai("bundle.config_parser")
    config = copy.deepcopy(files.config)
    if not trust:
        _refuse_other_files(config, "", files.config_file)
    parser = parsing.ConfigParser(config, globals=False)
    try:
        parser.resolve_macro_and_relative_ids()
    except (KeyError, ValueError, TypeError, OSError) as error:
        raise ModelError(f"'{files.config_file}' cannot be resolved: {error}.") from error
    found: dict[str, Any] = parser.get()
    return found


def _refuse_other_files(value: Any, where: str, file: str) -> None:
    if isinstance(value, dict | list):
        pairs = value.items() if isinstance(value, dict) else enumerate(value)
        for name, item in pairs:
            _refuse_other_files(item, f"{where}::{name}".removeprefix("::"), file)
        return
    split = monai("bundle.config_parser").ConfigParser.split_path_id
    if isinstance(value, str) and value.startswith("%") and split(value[1:])[0]:
        harmless({where: value}, file)


def _adapted(value: Any, loads: list[dict[str, Any]]) -> Any:
    """Without transforms that load or save, on the CPU, in terms of the present MONAI.

    What the loading ones were told is added to `loads`.
    """
    if isinstance(value, list):
        return [_adapted(item, loads) for item in value]
    if not isinstance(value, dict):
        return value
    target = value.get("_target_", "")
    name = canonical_name(target)
    if name in LOADERS:
        loads.append({key: value[key] for key in ("keys", CLOSEST) if key in value})
    if name in (*LOADERS, *SILENT):
        return {"_target_": "monai.transforms.Identity", "_disabled_": True}
    removed = REMOVED.get(name or str(target).rpartition(".")[2], ())
    known = {key: item for key, item in value.items() if key not in removed}
    return {
        key: "cpu" if key in DEVICES and isinstance(item, str) else _adapted(item, loads)
        for key, item in known.items()
    }


def _made(parser: Any, name: str, files: BundleFiles, trust: bool) -> Any:
    if parser.get(name) is None:
        return None
    try:
        with quiet(), _importable(files.root) if trust else contextlib.nullcontext():
            return parser.get_parsed_content(name)
    except Exception as error:  # whatever MONAI, or trusted code, raises
        cause = error.__cause__ or error
        raise ModelError(
            f"'{name}' of '{files.config_file}' cannot be made with this version of MONAI: {cause}"
        ) from error


@contextlib.contextmanager
def _importable(root: Path) -> Iterator[None]:
    """With modules of the bundle itself, which trusted expressions import as `scripts`."""
    own = str(root.resolve())
    before = {name: sys.modules.pop(name) for name in _scripts()}
    sys.path.insert(0, own)
    try:
        yield
    finally:
        sys.path.remove(own)
        for name in _scripts():
            del sys.modules[name]
        sys.modules.update(before)


def _scripts() -> list[str]:
    return [name for name in sys.modules if name == SCRIPTS or name.startswith(f"{SCRIPTS}.")]


def _listed(value: Any) -> list[str]:
    return [str(item) for item in value] if isinstance(value, list | tuple) else [str(value)]


def monai(module: str) -> Any:
    """A module of MONAI, imported when a model of it is first loaded.

    Raises:
        MissingPackageError: If MONAI is not installed.
    """
    from importlib import import_module

    try:
        with quiet():
            return import_module(f"monai.{module}")
    except ImportError as error:
        if (error.name or "").partition(".")[0] == "monai":
            raise MissingPackageError(
                "A MONAI bundle needs the package monai; install it with `pip install monai`."
            ) from None
        raise ModelError(f"The package monai cannot be imported: {error}.") from error


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Without MONAI's warnings about its own changes, which nobody here can heed."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield
