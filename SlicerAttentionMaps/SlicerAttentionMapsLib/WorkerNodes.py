"""What the worker found becomes nodes, piece by piece, all or nothing."""

import logging

from . import Maps, QuestionRecord, ResultNodes, SliceViews
from .SceneTransaction import AddedNodes


def addNodes(
    question, answer, modelName: str, *, show: bool, opacity: float, hiddenFraction: float
):
    """Add maps and answer of a question to the scene; a generator that pauses after each node.

    Where a step fails, or nobody wants the next one, the nodes of the earlier ones are removed.

    Args:
        question: the `WorkerQuestion` with its maps.
        answer: the engine's `WorkerAnswer`.
        modelName: for the name of the answer's segmentation.
        show: lay the first map over the scan in the slice views.
        opacity: of the map over the scan, 0..1.
        hiddenFraction: values below this share of the largest absolute one are not drawn.

    Returns:
        The maps' nodes.
    """
    scanNode = question.subject.scanNode
    added, nodes = AddedNodes(scanNode.GetScene()), []
    try:
        for made in question.maps:
            with added.noted():
                nodes.append(ResultNodes.addMap(made, scanNode, hiddenFraction=hiddenFraction))
                QuestionRecord.keep(nodes[-1], question.record)
            yield
        with added.noted():
            answerNode = ResultNodes.answerNode(answer, scanNode, modelName)
        for node in nodes:
            if answerNode is not None:
                node.SetNodeReferenceID(ResultNodes.ANSWER_ROLE, answerNode.GetID())
        yield
        if show and nodes:
            with added.noted():
                SliceViews.layOver(scanNode, nodes[0], opacity=opacity)
            yield
            with added.noted():
                Maps.showLegend(nodes[0], visible=True)
    except BaseException:
        added.remove()
        raise
    for node, made in zip(nodes, question.maps, strict=True):
        logging.info("%s: score %.6g", node.GetName(), made.score)
        question.tell(node)
    question.maps.clear()
    return nodes
