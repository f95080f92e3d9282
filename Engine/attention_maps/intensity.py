"""Steps that bring image intensities to what a network was trained on."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Annotated, Literal

import numpy as np
from pydantic import Field, field_validator, model_validator

from attention_maps.errors import SpecError
from attention_maps.validation import Flag, Index, Kind, Number

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

logger = logging.getLogger(__name__)

Percent = Annotated[float, Field(strict=True, ge=0, le=100)]
Range = tuple[Number, Number]

PART_VOXELS = 2**22


class Step(Kind):
    """One step; a subclass says how `values` change.

    Voxels outside of the step's region keep their value. "nonzero" is judged anew by each step:
    the voxels of a channel that are not 0 when the step begins.
    """

    channels: tuple[Index, ...] | None = Field(
        None, min_length=1, description="Indices of the channels that the step changes; null = all."
    )
    region: Literal["everywhere", "nonzero"] = Field(
        "everywhere", description="Voxels that are measured and changed."
    )

    @field_validator("channels")
    @classmethod
    def _each_once(cls, channels: tuple[int, ...] | None) -> tuple[int, ...] | None:
        if channels is not None and len(set(channels)) < len(channels):
            raise ValueError(f"expected each channel once, got {list(channels)}")
        return channels

    def groups(self, channels: int) -> list[list[int]]:
        """Channels that are measured together; here each on its own."""
        chosen = range(channels) if self.channels is None else self.channels
        return [[channel] for channel in chosen]

    def change(self, values: NDArray[np.float32], position: int) -> NDArray[np.float32]:
        """New values; `position` is the place of the channel among those that the step changes."""
        raise NotImplementedError


class MeasuredStep(Step):
    """A step that measures the image first."""

    per_channel: Flag = Field(
        True, description="Measure each channel on its own (true) or all of them together (false)."
    )

    def groups(self, channels: int) -> list[list[int]]:
        """Channels that are measured together."""
        groups = super().groups(channels)
        return groups if self.per_channel else [[channel for group in groups for channel in group]]


class Window(Step):
    """Scale `low`..`high` linearly to `out`: CT windows, fixed ranges.

    `level` and `width` stand for low = level - width / 2 and high = level + width / 2.
    """

    kind: Literal["window"] = "window"
    low: Number | None = Field(None, description="Intensity that becomes the lower end of `out`.")
    high: Number | None = Field(None, description="Intensity that becomes the upper end of `out`.")
    level: Number | None = Field(None, description="Center of the window, with `width`.")
    width: Number | None = Field(None, gt=0, description="Width of the window, with `level`.")
    out: Range = Field((0.0, 1.0), description="Range after the step.")
    clip: Flag = Field(True, description="Whether values outside of the window go to its ends.")

    @model_validator(mode="after")
    def _one_way(self) -> Window:
        given = {
            name for name in ("low", "high", "level", "width") if getattr(self, name) is not None
        }
        if given not in ({"low", "high"}, {"level", "width"}):
            raise ValueError(
                "expected either 'low' and 'high', or 'level' and 'width', "
                f"got {sorted(given) or 'none of them'}"
            )
        low, high = self.limits
        if not low < high:
            raise ValueError(f"expected 'low' below 'high', got {low:g} and {high:g}")
        return self

    @property
    def limits(self) -> tuple[float, float]:
        """Lower and upper end of the window."""
        if self.level is not None and self.width is not None:
            return self.level - self.width / 2, self.level + self.width / 2
        return float(self.low or 0.0), float(self.high or 0.0)

    def change(self, values: NDArray[np.float32], position: int) -> NDArray[np.float32]:
        """Window the values."""
        return _rescale(values, *self.limits, self.out, clip=self.clip)


class Clip(Step):
    """Limit the values to `low`..`high`."""

    kind: Literal["clip"] = "clip"
    low: Number | None = Field(None, description="Smallest value that is kept; null = no limit.")
    high: Number | None = Field(None, description="Largest value that is kept; null = no limit.")

    @model_validator(mode="after")
    def _limits(self) -> Clip:
        if self.low is None and self.high is None:
            raise ValueError("expected 'low', 'high' or both, got neither")
        if self.low is not None and self.high is not None and self.low > self.high:
            raise ValueError(f"expected 'low' not above 'high', got {self.low:g} and {self.high:g}")
        return self

    def change(self, values: NDArray[np.float32], position: int) -> NDArray[np.float32]:
        """Limit the values."""
        return np.clip(values, self.low, self.high)


class Percentile(MeasuredStep):
    """Scale the image's own percentiles `lower`..`upper` to `out`.

    Percentiles between two voxels are interpolated linearly.
    """

    kind: Literal["percentile"] = "percentile"
    lower: Percent = Field(0.5, description="Lower percentile, 0 to 100.")
    upper: Percent = Field(99.5, description="Upper percentile, 0 to 100.")
    clip: Flag = Field(True, description="Whether values beyond the percentiles go to them.")
    out: Range | None = Field((0.0, 1.0), description="Range after the step; null = only clip.")

    @model_validator(mode="after")
    def _order(self) -> Percentile:
        if not self.lower < self.upper:
            raise ValueError(
                f"expected 'lower' below 'upper', got {self.lower:g} and {self.upper:g}"
            )
        if self.out is None and not self.clip:
            raise ValueError("expected 'clip' or 'out', got neither: the step would do nothing")
        return self

    def change(self, values: NDArray[np.float32], position: int) -> NDArray[np.float32]:
        """Scale by the percentiles of `values`."""
        low, high = (float(p) for p in np.percentile(values, (self.lower, self.upper)))
        if self.out is None:
            return np.clip(values, low, high)
        return _rescale(values, low, high, self.out, clip=self.clip)


class MinMax(MeasuredStep):
    """Scale the image's own smallest and largest value to `out`."""

    kind: Literal["min_max"] = "min_max"
    out: Range = Field((0.0, 1.0), description="Range after the step.")

    def change(self, values: NDArray[np.float32], position: int) -> NDArray[np.float32]:
        """Scale by the extremes of `values`."""
        return _rescale(values, float(values.min()), float(values.max()), self.out, clip=False)


class ZScore(MeasuredStep):
    """Subtract `mean`, divide by `std`; measured where not given.

    The measured standard deviation is the population's (divided by n, not n - 1).
    """

    kind: Literal["zscore"] = "zscore"
    mean: Number | tuple[Number, ...] | None = Field(
        None, description="Mean, or one per channel; null = measure it."
    )
    std: Annotated[Number, Field(gt=0)] | tuple[Annotated[Number, Field(gt=0)], ...] | None = Field(
        None, description="Standard deviation, or one per channel; null = measure it."
    )

    @model_validator(mode="after")
    def _lists_fit(self) -> ZScore:
        for name in ("mean", "std"):
            value = getattr(self, name)
            if not isinstance(value, tuple):
                continue
            if not self.per_channel:
                raise ValueError(f"expected one number in '{name}' when 'per_channel' is false")
            if self.channels is not None and len(value) != len(self.channels):
                raise ValueError(
                    f"expected {len(self.channels)} numbers in '{name}', one for each of "
                    f"'channels', got {len(value)}"
                )
        return self

    def groups(self, channels: int) -> list[list[int]]:
        """Channels that are measured together; lists must have one number for each."""
        groups = super().groups(channels)
        for name, value in (("mean", self.mean), ("std", self.std)):
            if isinstance(value, tuple) and len(value) != len(groups):
                raise SpecError(
                    f"Intensity step zscore: expected {len(groups)} numbers in '{name}', one for "
                    f"each channel of the image, got {len(value)}."
                )
        return groups

    def change(self, values: NDArray[np.float32], position: int) -> NDArray[np.float32]:
        """Normalize the values."""
        mean, std = (
            value[position] if isinstance(value, tuple) else value
            for value in (self.mean, self.std)
        )
        if mean is None:
            mean = float(values.mean(dtype=np.float64))
        if std is None:
            if values.min() == values.max():
                _warn_constant(float(values.flat[0]))
                return np.zeros_like(values)
            std = _deviation(values)
        return (values - mean) / std


class Scale(Step):
    """Multiply, then add."""

    kind: Literal["scale"] = "scale"
    multiply: Number = Field(1.0, description="Factor.")
    add: Number = Field(0.0, description="Added after multiplying.")

    def change(self, values: NDArray[np.float32], position: int) -> NDArray[np.float32]:
        """Scale the values."""
        return values * self.multiply + self.add


IntensityStep = Annotated[
    Window | Clip | Percentile | ZScore | MinMax | Scale, Field(discriminator="kind")
]


def apply_steps(array: NDArray[np.float32], steps: Sequence[Step]) -> NDArray[np.float32]:
    """The array after all steps in order; the given array stays as it is.

    Args:
        array: (C, *spatial) float32.
        steps: Applied one after the other.

    Raises:
        SpecError: If a step names a channel that the array does not have.
    """
    if not steps:
        return array
    result = np.array(array, dtype=np.float32)
    for step in steps:
        if step.channels is not None and max(step.channels) >= len(result):
            raise SpecError(
                f"Intensity step {step.kind}: expected channels below {len(result)}, the number "
                f"of channels of the image, got {list(step.channels)}."
            )
        for position, group in enumerate(step.groups(len(result))):
            channels = slice(group[0], group[-1] + 1) if _is_run(group) else group
            result[channels] = _inside(step, result[channels], position)
    return result


def _is_run(group: list[int]) -> bool:
    """Whether a slice can stand for the list, which saves a copy."""
    return group == list(range(group[0], group[-1] + 1))


def _inside(step: Step, values: NDArray[np.float32], position: int) -> NDArray[np.float32]:
    if step.region == "everywhere":
        return step.change(values, position)
    inside = values != 0
    if not inside.any():
        return values
    result = values.copy()
    result[inside] = step.change(values[inside], position)
    return result


def _rescale(
    values: NDArray[np.float32], low: float, high: float, out: Range, *, clip: bool
) -> NDArray[np.float32]:
    """`low`..`high` to `out`; an empty range gives the lower end of `out` everywhere."""
    if not low < high:
        _warn_constant(low)
        return np.full_like(values, out[0])
    result = (values - low) / (high - low)
    if clip:
        np.clip(result, 0.0, 1.0, out=result)
    return result if out == (0.0, 1.0) else result * (out[1] - out[0]) + out[0]


def _deviation(values: NDArray[np.float32]) -> float:
    """Standard deviation in float64, without a float64 copy of all values."""
    mean = values.mean(dtype=np.float64)
    parts = np.array_split(values.reshape(-1), values.size // PART_VOXELS + 1)
    total = sum(float(np.square(part - mean, dtype=np.float64).sum()) for part in parts)
    return float(np.sqrt(total / values.size))


def _warn_constant(value: float) -> None:
    logger.warning("Intensities are all %g here; the network gets a constant image.", value)
