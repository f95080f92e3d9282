"""What the code of a TorchScript file could do beside computing.

TorchScript knows numbers and tensors, but two operators reach files: `save` writes one, `from_file`
opens one; and operators of other packages may do anything. Some code runs when a file is loaded.
"""

from __future__ import annotations

import re
import zipfile
from pathlib import Path, PurePosixPath

from attention_maps.errors import ConsentError

# As a function, a method, or a name to look up, which may be spelled in numbers.
REACHING_OUT = re.compile(r"(?<!\w)(?:save|from_file)(?!\w)")
LOOKED_UP = re.compile(r"(?<!\w)getattr(?!\w)")
IN_NUMBERS = re.compile(r"\\[0-9xuU]")
OPERATORS = re.compile(r"(?<!\w)ops\s*\.\s*(\w+)\s*\.\s*\w+")
HARMLESS = ("aten", "prim", "prims", "quantized", "_quantized", "mkldnn_prepacked", "torchvision")


def check_code(path: Path, *, trust: bool) -> None:
    """Refuse code that could do more than compute, unless the person trusts it.

    Args:
        path: A TorchScript file; nothing in it is executed.
        trust: Whether it may.

    Raises:
        ConsentError: With the first such operator.
    """
    if trust:
        return
    with zipfile.ZipFile(path) as archive:
        for item in archive.infolist():  # names may be there twice
            parts = PurePosixPath(item.filename).parts
            if item.filename.endswith(".py") and "code" in parts[:2]:
                _check_text(archive.read(item).decode("utf-8", "replace"), path)


def _check_text(text: str, path: Path) -> None:
    names = [match.group() for match in REACHING_OUT.finditer(text)]
    names += [match.group() for match in OPERATORS.finditer(text) if match[1] not in HARMLESS]
    if LOOKED_UP.search(text) and IN_NUMBERS.search(text):
        names.append("getattr")
    if names:
        raise ConsentError(
            f"'{path}' is a TorchScript program with an operator that could do more than compute, "
            f"such as write a file: '{names[0]}'. If you know where the model comes from, load it "
            "with trust=True (command line: --trust)."
        )
