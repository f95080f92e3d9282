"""Whether volumes and model fit each other, as far as can be told without running the network."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ..i18n import _

if TYPE_CHECKING:
    from collections.abc import Sequence

    from .InputPanel import VolumeFacts

# A volume this much coarser than the training data lacks the detail that the network looks for.
_COARSER = 2.0
# This much finer is rather a wrong unit, or a microscope.
_FINER = 8.0
_THIN_MM = 10.0


def obstacle(model: dict[str, Any], volumes: Sequence[VolumeFacts]) -> str:
    """Return why the network cannot take these volumes; empty if it might."""
    for volume in volumes:
        if volume.problem:
            return volume.problem
    axes, wanted = model.get("spatial_dims"), model.get("channels")
    given = sum(volume.components for volume in volumes)
    first = volumes[0]
    if axes == 2 and 1 not in first.size:
        return _(
            "The model takes 2D pictures, '{name}' is a 3D volume with {count} slices: choose a "
            "volume with a single slice, or let it look slice by slice."
        ).format(name=first.name, count=first.size[2])
    if wanted and given != wanted:
        return _("The model takes {wanted}, {given} chosen.").format(
            wanted=_count(wanted), given=_wereChosen(given)
        )
    other = next((volume for volume in volumes[1:] if volume.size != first.size), None)
    if other is not None:
        return _(
            "'{other}' has {otherSize} voxels, '{first}' has {firstSize}: all channels must lie on "
            "one grid (module Resample Scalar/Vector/DWI Volume)."
        ).format(
            other=other.name,
            otherSize=_times(other.size),
            first=first.name,
            firstSize=_times(first.size),
        )
    return ""


def warning(model: dict[str, Any], volumes: Sequence[VolumeFacts]) -> str:
    """Return why the answer may mean little, though the network takes the volumes."""
    first = volumes[0]
    if model.get("spatial_dims") == 3 and 1 in first.size:
        return _(
            "The model takes 3D volumes, '{name}' has a single slice: it sees nothing above and "
            "below it."
        ).format(name=first.name)
    given, guessed = sum(volume.components for volume in volumes), model.get("first_channels")
    if not model.get("channels") and guessed and given != guessed:
        return _("The model's first layer takes {guessed}, {given} chosen.").format(
            guessed=_count(guessed), given=_wereChosen(given)
        )
    keys = [volume.key for volume in volumes]
    twice = next((volume for volume in volumes if keys.count(volume.key) > 1), None)
    if twice is not None:
        return _("'{name}' is chosen for more than one channel.").format(name=twice.name)
    return _spacingWarning(first, tuple(model.get("spacing") or ()))


def _spacingWarning(volume: VolumeFacts, wanted: tuple[float, ...]) -> str:
    """Sorted, spacings can be compared however the axes are ordered."""
    given = sorted(volume.spacing)
    if len(wanted) == 3 and 1 not in volume.size:
        ratios = [have / want for have, want in zip(given, sorted(wanted), strict=True)]
        if max(ratios) > _COARSER:
            return _spacings(volume, wanted, _("resampling cannot bring detail back"))
        if min(ratios) * _FINER < 1:
            return _spacings(volume, wanted, _("check its unit"))
    elif not wanted and max(given) > _THIN_MM and 1 not in volume.size:
        return _("The voxels of '{name}' are up to {size:g} mm large.").format(
            name=volume.name, size=round(max(given), 2)
        )
    return ""


def _spacings(volume: VolumeFacts, wanted: tuple[float, ...], so: str) -> str:
    return _("'{name}' has voxels of {given} mm, the model was made for {wanted} mm: {so}.").format(
        name=volume.name, given=_times(volume.spacing), wanted=_times(wanted), so=so
    )


def _count(channels: int) -> str:
    return _("1 channel") if channels == 1 else _("{n} channels").format(n=channels)


def _wereChosen(channels: int) -> str:
    return _("1 is") if channels == 1 else _("{n} are").format(n=channels)


def _times(values: Sequence[float]) -> str:
    return " x ".join(f"{value:.3g}" if value % 1 else f"{value:.0f}" for value in values)
