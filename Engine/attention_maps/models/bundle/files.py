"""Where a bundle's configuration, metadata and weights are: folder, archive, or in a `.ts` file."""

from __future__ import annotations

import json
import zipfile
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any

from attention_maps.errors import ModelError
from attention_maps.models.archives import unpacked
from attention_maps.models.file_kinds import is_torchscript_archive, zip_names

if TYPE_CHECKING:
    from collections.abc import Iterator

METADATA = ("metadata.json", "metadata.yaml", "metadata.yml")
SUFFIXES = (".json", ".yaml", ".yml")
WEIGHTS = (".pt", ".ts", ".pth")
USUAL = "inference"
MARKS = (b"network_data_format", b"monai_version")
LEVELS_BELOW = 2


@dataclass(frozen=True)
class BundleFiles:
    """What was found.

    Args:
        root: The bundle's folder; of a `.ts` file the one it lies in.
        metadata: Contents of its metadata.
        config: Contents of its configuration; empty where there is none.
        config_file: Where the configuration comes from, for messages.
        weights: File with the weights, a state dict or TorchScript.
    """

    root: Path
    metadata: dict[str, Any]
    config: dict[str, Any]
    config_file: str
    weights: Path

    @property
    def name(self) -> str:
        """What the bundle calls itself."""
        return str(self.metadata.get("name") or self.root.name)


def is_bundle(path: Path) -> bool:
    """Whether a folder, a file within one, an archive or a TorchScript file holds a bundle."""
    if path.is_file() and path.suffix.lower() == ".zip":
        names = (PurePosixPath(name) for name in zip_names(path))
        return any(name.name in METADATA and name.parent.name == "configs" for name in names)
    if path.is_file() and is_torchscript_archive(path) and _tells_of_itself(path):
        return True
    return _root_near(path) is not None


def find_bundle(path: Path, configuration: str | None, checkpoint: str | None) -> BundleFiles:
    """Read what a bundle says of itself; nothing in it is executed.

    Args:
        path: As in `is_bundle`.
        configuration: Which of its configurations; None for the usual one.
        checkpoint: Which of its files in `models`; None for the usual one.

    Raises:
        ModelError: If something is missing or cannot be read.
    """
    if path.is_file() and is_torchscript_archive(path) and _tells_of_itself(path):
        return _within_script(path, _extra_files(path), configuration)
    root = _root_near(unpacked(path) if path.suffix.lower() == ".zip" else path)
    if root is None:
        raise ModelError(
            f"Expected a MONAI bundle (configs/metadata.json), found none in '{path}'."
        )
    configs = root / "configs"
    metadata = next(configs / name for name in METADATA if (configs / name).is_file())
    chosen = _configuration(configs, configuration)
    weights = _weights(root / "models", checkpoint or _named_weights(path, root))
    return BundleFiles(
        root, _read(metadata), _read(chosen) if chosen else {}, str(chosen or configs), weights
    )


def bundle_choices(path: Path) -> tuple[list[str], list[str]]:
    """Configurations and files with weights of a bundle, the usual ones first.

    Args:
        path: As in `is_bundle`; a TorchScript file has its weights inside.
    """
    if path.is_file() and is_torchscript_archive(path) and _tells_of_itself(path):
        inside = (name for name in _extra_files(path) if name not in METADATA)
        return _first(USUAL, [name.removesuffix(".json") for name in inside]), []
    root = _root_near(unpacked(path) if path.suffix.lower() == ".zip" else path)
    if root is None:
        return [], []
    configs = [item for item in sorted((root / "configs").iterdir()) if item.name not in METADATA]
    names = [item.stem for item in configs if item.suffix.lower() in SUFFIXES]
    files = sorted((root / "models").glob("*"))
    weights = [item.name for item in files if item.suffix.lower() in WEIGHTS]
    return _first(USUAL, names), _first(_named_weights(path, root) or "model.pt", weights)


def _first(name: str, names: list[str]) -> list[str]:
    return sorted(names, key=lambda other: other != name)


def _root_near(path: Path) -> Path | None:
    """A folder that is a bundle, or lies in one, or holds one."""
    if path.is_file():
        folder = path.resolve().parent
        within = folder.name in ("configs", "models") and path.suffix.lower() in SUFFIXES + WEIGHTS
        return folder.parent if within and _is_root(folder.parent) else None
    for candidate in (path, path.resolve().parent):
        if _is_root(candidate):
            return candidate
    return next(_below(path, LEVELS_BELOW), None)


def _is_root(folder: Path) -> bool:
    return any((folder / "configs" / name).is_file() for name in METADATA)


def _below(folder: Path, levels: int) -> Iterator[Path]:
    for child in sorted(path for path in folder.iterdir() if path.is_dir()):
        if _is_root(child):
            yield child
        elif levels > 1 and not child.name.startswith("."):
            yield from _below(child, levels - 1)


def _named_weights(path: Path, root: Path) -> str | None:
    """The file itself where a file in `models` was chosen."""
    inside = path.is_file() and path.resolve().parent == (root / "models").resolve()
    return path.name if inside else None


def _configuration(folder: Path, asked: str | None) -> Path | None:
    there = {
        path.stem: path
        for path in sorted(folder.iterdir())
        if path.suffix.lower() in SUFFIXES and path.name not in METADATA
    }
    if asked is not None and asked not in there:
        raise ModelError(f"Expected one of the configurations {', '.join(there)}, got '{asked}'.")
    return there.get(asked or USUAL)


def _weights(folder: Path, asked: str | None) -> Path:
    there = sorted(folder.glob("*")) if folder.is_dir() else []
    there = [path for path in there if path.suffix.lower() in WEIGHTS]
    names = {path.name: path for path in there}
    if asked is not None:
        wanted = [asked, *(f"{asked}{suffix}" for suffix in WEIGHTS)]
    else:
        wanted = ["model.pt", "model.ts", *(names if len(names) == 1 else ())]
    for name in wanted:
        if name in names:
            return names[name]
    raise ModelError(
        f"Expected the weights of the bundle as '{folder / (asked or 'model.pt')}', found "
        f"{', '.join(names) or 'none'}; download them, or choose one with `checkpoint`."
    )


def _within_script(path: Path, extra: dict[str, str], configuration: str | None) -> BundleFiles:
    there = {name.removesuffix(".json"): name for name in extra if name not in METADATA}
    if configuration is not None and configuration not in there:
        raise ModelError(
            f"Expected one of the configurations {', '.join(there)}, got '{configuration}'."
        )
    name = there.get(configuration or USUAL)
    if name is None and len(there) == 1:
        name = next(iter(there.values()))
    with zipfile.ZipFile(path) as archive:
        metadata = _parsed(archive.read(extra[METADATA[0]]).decode(), f"{path}:{METADATA[0]}")
        config = _parsed(archive.read(extra[name]).decode(), f"{path}:{name}") if name else {}
    return BundleFiles(path.parent, metadata, config, f"{path}:{name}" if name else str(path), path)


def _tells_of_itself(path: Path) -> bool:
    """Whether a TorchScript file has metadata inside, and these are of MONAI."""
    inside = _extra_files(path).get(METADATA[0])
    if inside is None:
        return False
    with zipfile.ZipFile(path) as archive:
        text = archive.read(inside)
    return any(mark in text for mark in MARKS)


def _extra_files(path: Path) -> dict[str, str]:
    """JSON files within a TorchScript file by name, with their place in the archive."""
    found = {}
    for name in zip_names(path):
        parts = PurePosixPath(name).parts
        if len(parts) == 3 and parts[1] == "extra":
            found[parts[2] if parts[2].endswith(".json") else f"{parts[2]}.json"] = name
    return found


def _read(path: Path) -> dict[str, Any]:
    try:
        return _parsed(path.read_text(encoding="utf-8"), str(path))
    except (OSError, UnicodeDecodeError) as error:
        raise ModelError(
            f"Expected '{path}' of a MONAI bundle, but it cannot be read: {error}."
        ) from error


def _parsed(text: str, where: str) -> dict[str, Any]:
    try:
        if where.endswith((".yaml", ".yml")):
            found = import_module("yaml").safe_load(text)
        else:
            found = json.loads(text)
    except ImportError:
        raise ModelError(f"'{where}' needs the package PyYAML: pip install pyyaml.") from None
    except ValueError as error:
        raise ModelError(f"Expected JSON in '{where}', but it cannot be read: {error}.") from error
    except Exception as error:
        if type(error).__module__.startswith("yaml"):
            raise ModelError(f"Expected YAML in '{where}', but it cannot be read.") from error
        raise
    if not isinstance(found, dict):
        raise ModelError(f"Expected named items in '{where}', got {type(found).__name__}.")
    return found
