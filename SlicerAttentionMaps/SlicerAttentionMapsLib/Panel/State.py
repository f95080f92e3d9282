"""All that the panel's decisions are made from."""

from __future__ import annotations

from dataclasses import dataclass

from .ComparePanel import CompareState
from .ExplainPanel import ExplainState
from .InputPanel import InputState
from .MethodPanel import MethodState
from .QuestionPanel import QuestionState
from .ResultPanel import ResultState
from .SetupPanel import SetupState


@dataclass(frozen=True)
class PanelState:
    """What every section knows: plain data, read afresh whenever something changes."""

    setup: SetupState = SetupState()
    input: InputState = InputState()
    question: QuestionState = QuestionState()
    method: MethodState = MethodState()
    explain: ExplainState = ExplainState()
    result: ResultState = ResultState()
    compare: CompareState = CompareState()
