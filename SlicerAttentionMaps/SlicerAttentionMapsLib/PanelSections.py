"""The panel's sections; imported when the panel is first shown, not when the application starts."""

from typing import NamedTuple

from .Panel.State import PanelState
from .Sections.CompareSection import CompareSection
from .Sections.ExplainSection import ExplainSection
from .Sections.InputSection import InputSection
from .Sections.MethodSection import MethodSection
from .Sections.QuestionSection import QuestionSection
from .Sections.ResultSection import ResultSection
from .Sections.SetupSection import SetupSection


class PanelSections(NamedTuple):
    """The sections in the order of use."""

    setup: SetupSection
    input: InputSection
    question: QuestionSection
    method: MethodSection
    explain: ExplainSection
    result: ResultSection
    compare: CompareSection

    @classmethod
    def of(cls, panel) -> "PanelSections":
        """Return the sections of the module's widget."""
        return cls(
            SetupSection(panel),
            InputSection(panel),
            QuestionSection(panel),
            MethodSection(panel),
            ExplainSection(panel),
            ResultSection(panel),
            CompareSection(panel),
        )

    def state(self) -> PanelState:
        """Return what all sections know now."""
        return PanelState(*(section.state() for section in self))
