"""What is asked, as plain data that the worker takes."""

import dataclasses

from . import MapTargets


def targetFor(subject, model: dict, target, className=None, component: bool = False):
    """Return a target as plain data; classes that are not named are left to the worker.

    Args:
        subject: the `WorkerSubject` that is asked about.
        model: what is known of its model.
        target: what `MapTargets.question` takes, or a point (r, a, s) in mm.
        className: class that is asked about in a place; None for the one predicted there.
        component: of a point, ask about the whole predicted component it lies in.
    """
    if isinstance(target, tuple) and len(target) == 3:
        kind = "component" if component else "point"
        return {"kind": kind, "name": className, "ras": target}
    asked = MapTargets.question(
        target,
        subject.scanNode,
        axes=model["spatial_dims"] or 3,
        className=className,
        component=component,
    )
    return plainTarget(asked)


def plainTarget(asked):
    """Return targets of the engine as dicts; all else as it is."""
    if isinstance(asked, list):
        return [plainTarget(item) for item in asked]
    if dataclasses.is_dataclass(asked):
        kind = type(asked).__name__.removesuffix("Target").lower()
        names = [field.name for field in dataclasses.fields(asked)]
        return {"kind": kind, **{name: getattr(asked, name) for name in names}}
    return asked
