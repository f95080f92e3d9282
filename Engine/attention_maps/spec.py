"""What a network expects and what its answer means: the JSON sidecar `model.json` of `model.pt`.

A specification says only what it knows. Fields that are left out are found out from the model, or
the image goes in as it is. Lists with one value per axis (`spacing`, `shape`, `factor`,
`patch_size`) follow the axes i, j, k of the image in `orientation`, whatever `axis_order` is.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, ValidationError, field_validator, model_validator

from attention_maps.errors import SpecError
from attention_maps.input_size import FixedSize, InputSize, PerAxis
from attention_maps.intensity import IntensityStep
from attention_maps.slices import Slices
from attention_maps.sliding_window import SlidingWindow
from attention_maps.validation import Checked, Index, describe_problems, plain, read_json

FORMAT_VERSION = 1

Millimeters = Annotated[float, Field(strict=True, gt=0)]


class ModelSpec(Checked):
    """What a network expects and what its answer means.

    The image is prepared in this order: reorient, resample to `spacing` and to a fixed size by
    resizing (once, together), pad or crop, reorder the axes; the intensity steps come in between,
    where `intensity_stage` says.

    Raises:
        SpecError: With all problems at once.
    """

    format_version: Literal[1] = Field(1, description="Version of this format.")
    name: str | None = Field(None, description="Name for people.")
    description: str | None = Field(None, description="What the network does, for people.")
    citation: str | None = Field(None, description="What to cite.")
    license: str | None = Field(None, description="License of the weights.")
    url: str | None = Field(None, description="Where the model comes from.")
    task: Literal["classification", "segmentation"] | None = Field(
        None, description="null = by the shape of the output."
    )

    channels: tuple[str, ...] | None = Field(
        None, min_length=1, description="Names of the input channels in order; null = any number."
    )
    spatial_dims: Literal[2, 3] | None = Field(
        None, description="2 for pictures, 3 for volumes; null = both."
    )
    orientation: str | None = Field(
        None, description="Where the axes i, j, k point, such as RAS or LPS; null = as it is."
    )
    spacing: tuple[Millimeters, ...] | None = Field(
        None,
        min_length=2,
        max_length=3,
        description="Voxel size in mm per axis, met as nearly as a whole number of voxels over the "
        "same field of view allows; null = as it is.",
    )
    interpolation: Literal["linear", "nearest"] = Field(
        "linear", description="How the image is resampled."
    )
    input_size: InputSize | None = Field(
        None, description="Sizes that the network takes; null = any."
    )
    intensity: tuple[IntensityStep, ...] = Field((), description="Intensity steps in order.")
    intensity_stage: Literal["source", "resampled", "input"] = Field(
        "resampled",
        description="Where the intensity steps take place: source: before resampling (nnU-Net); "
        "resampled: after it but before padding or cropping, so that padding is never measured and "
        "its value is in the network's units; input: on what the network gets, padding included.",
    )
    axis_order: Literal["ijk", "kji"] = Field(
        "ijk",
        description="Order of the axes in the network's tensor: ijk (MONAI, TorchIO, nibabel) or "
        "kji (SimpleITK, nnU-Net). Pictures are rows first with ijk.",
    )
    patch_size: PerAxis | None = Field(
        None,
        description="Size of the sliding window; null = the whole image at once. Two numbers for a "
        "network of pictures that sees a volume slice by slice along the first axis.",
    )
    sliding_window: SlidingWindow | None = Field(
        None, description="How windows lie and count, where there is a patch_size."
    )

    slices: Slices | None = Field(
        None, description="How a network of pictures sees a volume; null = it sees no volumes."
    )

    output: Annotated[int, Field(strict=True)] | str | None = Field(
        None,
        description="Index (from the end where negative) or key of the answer where the network "
        "returns several tensors; null = the model's kind decides.",
    )
    output_is: Literal["logits", "probabilities"] | None = Field(
        None, description="What the network returns; null = find out from its last operator."
    )
    activation: Literal["softmax", "sigmoid", "none"] | None = Field(
        None,
        description="What makes probabilities of the logits, inside the network where it returns "
        "probabilities: softmax (classes exclude each other), sigmoid (each class is its own "
        "question), none (the output is no class score); null = find out.",
    )
    class_names: tuple[str, ...] | None = Field(
        None, min_length=1, description="Names of the classes in the order of the output channels."
    )
    label_values: tuple[Index, ...] | None = Field(
        None,
        description="Value of each class in a label map, in the order of the output channels; null "
        "= from 0 with softmax, else from 1.",
    )
    background: Index | None = Field(
        None,
        description="Index of the background class; null = 0 for segmentation with softmax, "
        "else there is none.",
    )
    layer: str | None = Field(None, description="Layer to explain by default; null = auto.")

    @field_validator("orientation")
    @classmethod
    def _known_orientation(cls, code: str | None) -> str | None:
        if code is None:
            return None
        letters = code.upper()
        if len(letters) != 3 or any(
            sum(letters.count(letter) for letter in pair) != 1 for pair in ("RL", "AP", "SI")
        ):
            raise ValueError(
                "expected three letters, one each of R or L, A or P, S or I, such as RAS, "
                f"got {code!r}"
            )
        return letters

    @field_validator("class_names", "channels")
    @classmethod
    def _different_names(cls, names: tuple[str, ...] | None) -> tuple[str, ...] | None:
        twice = sorted({name for name in names or () if (names or ()).count(name) > 1})
        if twice:
            raise ValueError(f"expected each name once, got {', '.join(twice)} more than once")
        return names

    @model_validator(mode="after")
    def _fields_agree(self) -> ModelSpec:
        problems = [*self._axis_problems(), *self._slice_problems(), *self._answer_problems()]
        if problems:
            raise ValueError("; ".join(problems))
        return self

    def _axis_problems(self) -> list[str]:
        lengths = {"spacing": self.spacing}
        if self.patch_size is not None and len(self.patch_size) == 3:  # 2: a volume slice by slice
            lengths["patch_size"] = self.patch_size
        if isinstance(self.input_size, FixedSize):
            lengths["input_size.shape"] = self.input_size.shape
        elif self.input_size is not None and isinstance(self.input_size.factor, tuple):
            lengths["input_size.factor"] = self.input_size.factor
        counts = {name: len(values) for name, values in lengths.items() if values is not None}
        if self.spatial_dims is not None:
            counts["spatial_dims"] = self.spatial_dims
        if self.orientation is not None:
            counts["orientation"] = 3
        if self.axis_order == "kji":  # pictures are rows first already
            counts["axis_order kji"] = 3
        if self.slices is not None:
            counts["slices"] = 3
        if len(set(counts.values())) < 2:
            return []
        found = ", ".join(f"{name} has {count}" for name, count in counts.items())
        return [f"expected the same number of axes everywhere, but {found}"]

    def _slice_problems(self) -> list[str]:
        if self.slices is None:
            return []
        problems, together = [], self.slices.together
        if self.patch_size is not None and together != "no":
            problems.append(
                f"expected no 'patch_size' where 'slices.together' is {together}, as the network "
                f"sees all slices at once, got {list(self.patch_size)}"
            )
        elif self.patch_size is not None and len(self.patch_size) != 2:
            problems.append(
                "expected two numbers, rows and columns, as 'patch_size' where there are 'slices', "
                f"got {list(self.patch_size)}"
            )
        resized = isinstance(self.input_size, FixedSize) or self.spacing is not None
        if self.slices.size is not None and resized:
            problems.append(
                "expected 'slices.size' without 'spacing' and a fixed 'input_size', which would "
                "change it again"
            )
        return problems

    def _answer_problems(self) -> list[str]:
        problems = []
        if self.output_is == "probabilities" and self.activation == "none":
            problems.append(
                "expected 'activation' softmax or sigmoid (or leave it out) where 'output_is' is "
                "probabilities, got 'none'"
            )
        if (
            self.background is not None
            and self.class_names is not None
            and self.background >= len(self.class_names)
        ):
            problems.append(
                f"expected 'background' below {len(self.class_names)}, the number of "
                f"'class_names', got {self.background}"
            )
        return problems

    @property
    def window(self) -> tuple[int, ...]:
        """Voxels per axis of the sliding window in the network's order; () where there is none."""
        size = self.patch_size or ()
        return size[::-1] if self.axis_order == "kji" and len(size) == 3 else size

    def replace(self, **changes: Any) -> ModelSpec:
        """A copy with other values, checked like a new one."""
        return ModelSpec(**{name: getattr(self, name) for name in self.model_fields_set} | changes)

    def to_dict(self) -> dict[str, Any]:
        """What `write` writes: the format version and every field that is not the default."""
        values = self.model_dump(mode="json", exclude_defaults=True)
        return {"format_version": FORMAT_VERSION, **values}

    def write(self, path: str | Path) -> Path:
        """Write a JSON sidecar; it appears whole or not at all.

        Returns:
            The path that was written.

        Raises:
            OSError: If it cannot be written there; the message says what to do.
        """
        path = Path(path)
        part = path.with_name(f".{path.name}.{os.getpid()}.part")
        text = json.dumps(self.to_dict(), indent=2, ensure_ascii=False) + "\n"
        try:
            part.write_text(text, encoding="utf-8")
            part.replace(path)
        except OSError as error:
            reason = error.strerror or str(error)
            raise type(error)(
                f"Cannot write '{path.name}' in '{path.absolute().parent}': {reason}; choose a "
                "folder of your own, or copy the model to one."
            ) from error
        finally:
            part.unlink(missing_ok=True)
        return path

    @classmethod
    def read(cls, path: str | Path) -> ModelSpec:
        """Read a JSON sidecar.

        Raises:
            FileNotFoundError: If there is no such file.
            SpecError: If it is not JSON, or not a valid specification: file, field, expected, came.
        """
        path = Path(path)
        return cls.from_dict(read_json(path), where=str(path))

    @classmethod
    def from_dict(cls, values: dict[str, Any], *, where: str = "") -> ModelSpec:
        """Check a dict of fields; `where` (a file, say) leads the message of an error.

        Raises:
            SpecError: With all problems at once.
        """
        where = where or cls.__name__
        version = values.get("format_version", FORMAT_VERSION)
        if isinstance(version, int) and version > FORMAT_VERSION:
            raise SpecError(
                f"{where}: expected format_version {FORMAT_VERSION}, got {version}; it was written "
                "by a newer version of attention_maps, which has to be installed to read it."
            )
        try:
            return cls.model_validate(plain(values))
        except ValidationError as error:
            raise SpecError(describe_problems(error, cls, where)) from None
