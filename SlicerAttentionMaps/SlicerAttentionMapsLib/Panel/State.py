"""All that the panel's decisions are made from."""

from __future__ import annotations

from dataclasses import dataclass, field

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

    setup: SetupState = field(default_factory=SetupState)
    input: InputState = field(default_factory=InputState)
    question: QuestionState = field(default_factory=QuestionState)
    method: MethodState = field(default_factory=MethodState)
    explain: ExplainState = field(default_factory=ExplainState)
    result: ResultState = field(default_factory=ResultState)
    compare: CompareState = field(default_factory=CompareState)
