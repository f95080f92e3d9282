"""What the panel's choices ask for, as arguments of `explain`."""

import json


def explainArguments(parameters) -> dict:
    """Return target, className, component, method, layer and options of the next question.

    Args:
        parameters: the `SlicerAttentionMapsParameterNode`, or whatever has its attributes.
    """
    return {
        **_question(parameters),
        "method": parameters.method,
        "layer": layerArgument(namesOf(parameters.layers)),
        "options": optionsOf(parameters.options, parameters.method),
    }


def liveArguments(parameters) -> dict:
    """Return className, method, layer and options of the questions that follow the crosshair.

    There is one map on the screen, so of several layers the first one counts.
    """
    first = namesOf(parameters.layers)[0]
    return {
        "className": parameters.className or None,
        "method": parameters.method,
        "layer": "auto" if first == "all" else first,
        "options": optionsOf(parameters.options, parameters.method),
    }


def _question(parameters) -> dict:
    name = parameters.className or None
    if parameters.where == "contrast":
        other = parameters.otherClassName or None
        target = {"kind": "contrast", "name": name, "other": other}
        return {"target": target, "className": None, "component": False}
    if parameters.where == "class":
        return {"target": name, "className": None, "component": False}
    places = {
        "component": parameters.pointNode,
        "point": parameters.pointNode,
        "roi": parameters.roiNode,
        "segment": (parameters.segmentationNode, parameters.segmentId),
    }
    return {
        "target": places[parameters.where],
        "className": name,
        "component": parameters.where == "component",
    }


def layerArgument(names: tuple[str, ...]):
    """Return layer names as `explain` takes them: one alone, or a list."""
    return names[0] if len(names) == 1 else list(names)


def namesOf(text: str) -> tuple[str, ...]:
    """Return the layer names of a JSON list; ("auto",) where it holds none."""
    names = parsed(text, list)
    return tuple(str(name) for name in names) or ("auto",)


def optionsOf(text: str, method: str) -> dict:
    """Return the chosen options of one method from the JSON of all of them."""
    chosen = parsed(text, dict).get(method)
    return chosen if isinstance(chosen, dict) else {}


def withOptions(text: str, method: str, options: dict) -> str:
    """Return the JSON of all options with those of one method replaced; {} takes them out."""
    chosen = {**parsed(text, dict), method: options}
    return json.dumps({name: values for name, values in chosen.items() if values}, sort_keys=True)


def parsed(text: str, kind: type):
    """Return the list or dict of a JSON text of the scene; one that is broken counts as empty."""
    try:
        value = json.loads(text)
    except ValueError:
        return kind()
    return value if isinstance(value, kind) else kind()
