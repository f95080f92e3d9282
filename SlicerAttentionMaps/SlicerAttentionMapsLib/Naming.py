"""Names of new nodes: what is made a second time is numbered as people do it."""


def uniqueName(scene, name: str) -> str:
    """Return a name that no node of the scene has: 'name', 'name (2)', 'name (3)' and so on.

    The scene's own unique names end in '_1', which reads as part of a layer's name.
    """
    number, free = 1, name
    while scene.GetFirstNodeByName(free) is not None:
        number += 1
        free = f"{name} ({number})"
    return free
