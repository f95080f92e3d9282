"""What the worker found becomes nodes, piece by piece, all or nothing."""

import logging

from . import Maps, QuestionRecord, ResultNodes, SliceViews
from .SceneTransaction import AddedNodes
from .ShownLayers import shownLayers


def addNodes(question, modelName: str, *, show: bool, opacity: float, hiddenFraction: float):
    """Add maps and answer of a question to the scene; a generator that pauses after each node.

    The first map is seen before the answer has come. Where a step fails, or nobody wants the next
    one, the nodes of the earlier ones are removed, and the views show what they showed before.

    Args:
        question: the `WorkerQuestion` with its maps, which gets the engine's `WorkerAnswer` later.
        modelName: for the name of the answer's segmentation.
        show: lay the first map over the scan in the slice views.
        opacity: of the map over the scan, 0..1.
        hiddenFraction: values below this share of the largest absolute one are not drawn.

    Returns:
        The maps' nodes.
    """
    scanNode = question.subject.scanNode
    scene = scanNode.GetScene()
    added, nodes, before = AddedNodes(scene), [], None
    try:
        for made in question.maps:
            with added.noted():
                nodes.append(ResultNodes.addMap(made, scanNode, hiddenFraction=hiddenFraction))
                QuestionRecord.keep(nodes[-1], question.record)
            yield
            if show and before is None:
                before = shownLayers(scene)
                with added.noted():
                    SliceViews.layOver(scanNode, nodes[0], opacity=opacity)
                    Maps.showLegend(nodes[0], visible=True)
                yield
        while question.answer is None:
            yield
        with added.noted():
            answerNode = ResultNodes.answerNode(question.answer, scanNode, modelName)
        nodes = _stillThere(nodes)
        for node in nodes:
            if answerNode is not None:
                node.SetNodeReferenceID(ResultNodes.ANSWER_ROLE, answerNode.GetID())
    except BaseException:
        added.remove()
        for view in before or ():
            view.bringBack()
        raise
    for node, made in zip(nodes, question.maps, strict=False):
        logging.info("%s: score %.6g", node.GetName(), made.score)
        question.tell(node)
    question.maps.clear()
    return nodes


def _stillThere(nodes: list) -> list:
    """Return the maps that nobody has removed while the answer was waited for.

    Raises:
        Cancelled: If none is left.
    """
    from attention_maps.errors import Cancelled

    found = [node for node in nodes if node.GetScene() is not None]
    if nodes and not found:
        raise Cancelled("The map was removed before it was complete.")
    return found
