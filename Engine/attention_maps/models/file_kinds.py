"""Tells model files apart without executing anything in them."""

from __future__ import annotations

import pickletools
import re
import zipfile
from pathlib import Path, PurePosixPath

from attention_maps.errors import ModelError

HOW_TO_EXPORT = (
    "Export it as TorchScript where it was trained: "
    "torch.jit.trace(model.eval(), example_input).save('model.pt')."
)
OTHER_FORMATS = {
    ".onnx": "an ONNX model, which carries no gradients",
    ".safetensors": "safetensors weights without a network",
    ".h5": "a Keras or HDF5 file",
    ".keras": "a Keras model",
    ".pb": "a TensorFlow graph",
    ".tflite": "a TensorFlow Lite model",
    ".ckpt": "a training checkpoint",
}
# what state dicts and checkpoints hold, as pickles name it
DATA_ONLY = re.compile(
    r"torch \w+|torch\._utils _rebuild_\w+|torch\._tensor _rebuild_\w+|torch\.storage \w+"
    r"|torch\.serialization \w+|torch\.nn\.parameter \w+|collections (OrderedDict|defaultdict)"
    r"|numpy(\._?core\.(multiarray|numeric))? (scalar|dtype|ndarray|_reconstruct|_frombuffer)"
    r"|numpy\.dtypes \w+|_codecs encode"
    r"|(__builtin__|builtins) (set|frozenset|list|dict|tuple|slice|complex|bytearray|int|float|str)"
)


def zip_names(path: Path) -> list[str]:
    """Names in a zip archive; empty where it is no zip file."""
    try:
        with zipfile.ZipFile(path) as archive:
            return archive.namelist()
    except (zipfile.BadZipFile, OSError):
        return []


def members(path: Path) -> list[str]:
    """Names in a zip archive, without its top folder; empty where it is no zip file."""
    return [str(PurePosixPath(*PurePosixPath(name).parts[1:])) for name in zip_names(path)]


def is_torchscript_archive(path: Path) -> bool:
    """Whether a file is an archive of torch.jit.save."""
    names = members(path)
    return "constants.pkl" in names and any(name.startswith("code/") for name in names)


def is_export_archive(path: Path) -> bool:
    """Whether a file is an archive of torch.export.save, of whatever version."""
    if "serialized_exported_program.json" in zip_names(path):
        return True
    names = members(path)
    programs = any(name.startswith("models/") and name.endswith(".json") for name in names)
    return programs and "archive_format" in names


def refuse(path: Path) -> ModelError:
    """The error that says what a file is that cannot be loaded, and what to do instead."""
    if _is_nnunet_v1(path):
        return ModelError(
            f"'{path}' holds a model of nnU-Net v1, which is not supported. Build its network "
            "with nnU-Net v1, load the weights, and pass the module to "
            "attention_maps.load_model. Or: " + HOW_TO_EXPORT
        )
    if path.is_dir():
        return ModelError(
            f"Expected a model file, got the folder '{path}', which holds no model: neither a "
            "trained nnU-Net v2 model (plans.json, dataset.json, fold_*/checkpoint_final.pth) nor "
            "a MONAI bundle (configs/metadata.json). Name the model's file or folder. "
            + HOW_TO_EXPORT
        )
    if path.stat().st_size == 0:
        return ModelError(f"Expected a model, but '{path}' is empty; copy or download it again.")
    known = OTHER_FORMATS.get(path.suffix.lower())
    names = members(path)
    if names:
        return _refuse_archive(path, names)
    if path.suffix.lower() == ".json":
        return ModelError(f"Expected a model, got the sidecar '{path}'; name the model beside it.")
    globals_ = _pickled_globals(path)
    if globals_:
        return _refuse_pickle(path, globals_)
    what = known or "no file that torch can read (damaged, cut short, or another format)"
    return ModelError(f"Expected a TorchScript file, but '{path}' is {what}. {HOW_TO_EXPORT}")


def _is_nnunet_v1(path: Path) -> bool:
    """Whether a folder or archive holds plans of nnU-Net v1, or a file is a checkpoint of it."""
    if path.is_dir():
        return any(any(path.glob(f"{levels}plans.pkl")) for levels in ("", "*/", "*/*/", "*/*/*/"))
    if any(PurePosixPath(name).name == "plans.pkl" for name in zip_names(path)):
        return True
    return path.suffix == ".model" and path.with_name(f"{path.name}.pkl").is_file()


def _refuse_archive(path: Path, names: list[str]) -> ModelError:
    if any(name.startswith("data/aotinductor/") for name in names):
        return ModelError(
            f"'{path}' is compiled by AOTInductor: machine code without gradients. Save the "
            "exported program itself with torch.export.save(program, 'model.pt2')."
        )
    if "data.pkl" in names:
        with zipfile.ZipFile(path) as archive:
            inner = next(name for name in archive.namelist() if name.endswith("/data.pkl"))
            return _refuse_pickle(path, _globals_in(archive.read(inner)))
    return ModelError(
        f"Expected a TorchScript file, but '{path}' is a zip archive with other content "
        f"({', '.join(names[:3])}, ...). {HOW_TO_EXPORT}"
    )


def _refuse_pickle(path: Path, names: list[str]) -> ModelError:
    foreign = [name for name in names if not DATA_ONLY.fullmatch(name)]
    if any(name.startswith("fastai") for name in names):
        return ModelError(
            f"'{path}' is a fastai export: a pickle whose loading would execute the code in it. "
            "In fastai, trace learn.model instead of learn.export(). " + HOW_TO_EXPORT
        )
    if foreign:
        example = foreign[0].replace(" ", ".")
        return ModelError(
            f"'{path}' is a pickled Python object ({example}): loading it would execute the code "
            "in it, so it is refused. " + HOW_TO_EXPORT
        )
    return ModelError(
        f"'{path}' holds weights only (a state dict or checkpoint), not the network that they "
        "belong to. Build the network, call load_state_dict, and pass the module to "
        "attention_maps.load_model. Or: " + HOW_TO_EXPORT
    )


def _pickled_globals(path: Path) -> list[str]:
    with path.open("rb") as file:
        return _globals_in(file.read(1 << 20))


def _globals_in(data: bytes) -> list[str]:
    """Names of the classes and functions that a pickle would import; nothing is executed.

    Several pickles may follow each other: torch's old format begins with two small ones.
    """
    names: list[str] = []
    rest = data
    while rest[:1] == b"\x80":
        strings: list[str] = []
        end = 0
        try:
            for opcode, argument, position in pickletools.genops(rest):
                end = position or 0
                if opcode.name == "GLOBAL":
                    names.append(str(argument))
                elif opcode.name == "STACK_GLOBAL":
                    names.append(" ".join(strings[-2:]))
                elif isinstance(argument, str):
                    strings.append(argument)
        except ValueError:
            break
        if not end:
            break
        rest = rest[end + 1 :]
    return names
