"""The network's answer: what it predicts, where, with which classes."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, Literal

import numpy as np
import torch

from attention_maps.errors import ModelError, SpecError
from attention_maps.geometry import affine_of_layer
from attention_maps.resampling import mask_on_grid, place
from attention_maps.types import Grid, Image

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from attention_maps.spec import ModelSpec
    from attention_maps.tracing.layout import Layout

Activation = Literal["softmax", "sigmoid", "none"]


class Answer:
    """Logits with their place, their classes, and how they are read.

    Args:
        logits: (1, classes, *spatial) or (1, classes).
        activation: Final activation that was found in the network, or None.
        layout: How segmentation logits lie in the network's input; None where that is not known.
        spec: What the model says of its classes.
        field: Grid of the network's input.
        source: Grid of the image.
        restore: The model's own way from logits (classes, *spatial) to a label map on `source`.
    """

    def __init__(
        self,
        logits: torch.Tensor,
        activation: str | None,
        layout: Layout | None,
        spec: ModelSpec,
        field: Grid,
        source: Grid,
        restore: Callable[[torch.Tensor], NDArray[np.float32]] | None = None,
    ) -> None:
        self.task = _task(logits, field.ndim, spec)
        if self.task == "classification":
            logits = logits.reshape(logits.shape[0], -1)
        self.logits = logits
        self.field = field
        self.source = source
        self.classes = int(logits.shape[1])
        self.activation = self._reading(activation, spec)
        self.class_names = self._names(spec)
        self._background = spec.background
        self._layout = layout
        self._restore = restore
        self.label_values = self._values(spec)

    def _reading(self, found: str | None, spec: ModelSpec) -> Activation:
        if spec.activation is not None:
            return spec.activation
        if found in ("softmax", "sigmoid"):
            return found  # type: ignore[return-value]
        return "softmax" if self.classes > 1 else "sigmoid"

    def _names(self, spec: ModelSpec) -> list[str]:
        names = list(spec.class_names or ())
        if len(names) == 2 and self.classes == 1:  # background and foreground in one channel
            return names[1:]
        if names and len(names) != self.classes:
            raise SpecError(
                f"Expected {self.classes} class names for the network's {self.classes} output "
                f"channels, got {len(names)} ({', '.join(names)}); correct `class_names`."
            )
        return names

    def _values(self, spec: ModelSpec) -> tuple[int, ...]:
        """Value of each class in a label map."""
        first = 0 if self.activation == "softmax" else 1
        values = spec.label_values or tuple(range(first, first + self.classes))
        if len(values) != self.classes:
            raise SpecError(
                f"Expected {self.classes} label values for the network's {self.classes} output "
                f"channels, got {len(values)}; correct `label_values`."
            )
        return values

    @property
    def background(self) -> int | None:
        """Index of the background class, None where there is none."""
        if self._background is not None and self.classes > 1:
            return self._background
        exclusive = self.task == "segmentation" and self.activation == "softmax"
        return 0 if exclusive and self.classes > 1 else None

    def class_label(self, index: int) -> str:
        """Name of a class for people."""
        return self.class_names[index] if self.class_names else f"class {index}"

    @cached_property
    def grid(self) -> Grid:
        """World grid of segmentation logits."""
        shape = tuple(self.logits.shape[2:])
        if self._layout is not None and self._layout.grid == shape:
            affine = affine_of_layer(self.field.affine, self._layout.stride, self._layout.offset)
            return Grid(shape, affine)
        stride = [n / m for n, m in zip(self.field.shape, shape, strict=True)]
        offset = [(step - 1) / 2 for step in stride]
        return Grid(shape, affine_of_layer(self.field.affine, stride, offset))

    @cached_property
    def probabilities(self) -> NDArray[np.float32]:
        """(classes,) probabilities of a classification."""
        logits = self.logits[0].float()
        if self.activation == "softmax":
            logits = torch.softmax(logits, 0)
        elif self.activation == "sigmoid":
            logits = torch.sigmoid(logits)
        return logits.cpu().numpy()

    @cached_property
    def labels(self) -> torch.Tensor:
        """(*spatial) int16 labels on the logits' grid.

        With softmax the likeliest class. A single sigmoid channel is 1 where it is above one half;
        several are numbered from 1 and painted over each other in their order.
        """
        logits = self.logits[0]
        labels = torch.zeros(logits.shape[1:], dtype=torch.int16, device=logits.device)
        if self.activation == "softmax":
            for part, values in zip(labels, logits.movedim(1, 0), strict=True):
                part.copy_(values.argmax(0))  # slice by slice: positions take eight bytes each
            return labels
        for index in range(self.classes):
            labels[logits[index] > 0] = index + 1
        return labels

    def predicted(self, index: int) -> torch.Tensor:
        """(*spatial) bool: where a class is predicted."""
        if self.activation == "softmax":
            return self.labels == index
        return self.logits[0, index] > 0

    def class_within(self, where: torch.Tensor | tuple[int, ...]) -> int:
        """The class that is predicted most in a place.

        Background only counts where there is no other class at all; where nothing is predicted,
        the largest class of the whole answer.

        Args:
            where: (*spatial) bool mask on the logits' grid, or one voxel of it.
        """
        first = 0 if self.activation == "softmax" else 1  # what label class 0 has
        counts = torch.bincount(self.labels[where].flatten(), minlength=self.classes + 1).tolist()
        others = [index for index in self.ranking() if index != self.background]
        return max(others or [0], key=lambda index: counts[index + first])

    @cached_property
    def prediction(self) -> NDArray[np.float32] | Image:
        """Class probabilities (classes,), or a label Image on the image's own grid."""
        return self.probabilities if self.task == "classification" else self.label_map

    @cached_property
    def label_map(self) -> Image:
        """Label Image of a segmentation on the image's own grid.

        Logits are resampled linearly class by class and compared there, which keeps outlines
        smooth where the network works on another grid than the image.

        Raises:
            ModelError: If the network gives one answer for the whole image.
        """
        if self.task == "classification":
            raise ModelError(
                "Expected a network that gives labels of voxels, got one that gives one answer for "
                "the whole image; its `probabilities` are all there is."
            )
        if self._restore is not None:
            return Image(self._restore(self.logits[0])[None], self.source.affine)
        if self.grid.same_as(self.source):
            labels = self.labels.cpu().numpy().astype(np.float32)
            first = 0 if self.activation == "softmax" else 1
            if self.label_values != tuple(range(first, first + self.classes)):
                lookup = np.array([0, *self.label_values], dtype=np.float32)
                labels = lookup[self.labels.cpu().numpy() + (1 - first)]
            return Image(labels[None], self.source.affine)
        return Image(self._resampled_labels()[None], self.source.affine)

    def _resampled_labels(self) -> NDArray[np.float32]:
        labels = np.zeros(self.source.shape, dtype=np.float32)
        best: NDArray[np.float32] | None = None
        for index in range(self.classes):
            values = self.logits[0, index].float().cpu().numpy()[None]
            fine = place(values, self.grid, self.field, self.source)[0]
            if self.activation != "softmax":
                labels[fine > 0] = self.label_values[index]
            elif best is None:
                best = fine
                labels[:] = self.label_values[0]
            else:
                better = fine > best
                labels[better] = self.label_values[index]
                np.maximum(best, fine, out=best)
        return labels

    def ranking(self) -> list[int]:
        """Classes, likeliest first; for segmentation the largest predicted first.

        Background and classes that are not predicted come last.
        """
        if self.task == "classification":
            order = self.logits[0].float().argsort(descending=True)
            return [int(index) for index in order]
        if self.activation == "softmax":
            sizes = torch.bincount(self.labels.flatten(), minlength=self.classes).tolist()
        else:
            sizes = [int((self.logits[0, index] > 0).sum()) for index in range(self.classes)]
        background = self.background

        def key(index: int) -> tuple[bool, bool, int]:
            return sizes[index] == 0, index == background, -sizes[index]

        return sorted(range(self.classes), key=key)

    def to_grid(self, mask: Image) -> NDArray[np.bool_]:
        """A mask on the logits' grid, by nearest neighbor."""
        return mask_on_grid(mask, self.grid)

    def tensor(self, mask: NDArray[np.bool_]) -> torch.Tensor:
        """A mask as a tensor beside the logits."""
        return torch.from_numpy(np.ascontiguousarray(mask)).to(self.logits.device)


def _task(logits: torch.Tensor, axes: int, spec: ModelSpec) -> str:
    spatial = tuple(logits.shape[2:])
    if logits.ndim not in (2, axes + 2) or logits.shape[0] != 1:
        raise ModelError(
            "Expected an answer of shape (1, classes) for classification or (1, classes, *spatial) "
            f"with {axes} spatial axes for segmentation, got {tuple(logits.shape)}; choose another "
            "`output` in the model's specification."
        )
    flat = all(n == 1 for n in spatial)
    task = spec.task or ("classification" if flat else "segmentation")
    if (task == "classification") != flat:
        raise SpecError(
            f"The specification says {task}, but the answer has shape {tuple(logits.shape)}; "
            "correct `task` or `output`."
        )
    return task
