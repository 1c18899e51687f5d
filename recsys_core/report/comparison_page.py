"""Two runs compared, as a page in the style of the report."""

from typing import Final

from recsys_core.report.html import environment
from recsys_core.report.run_comparison import RunComparison

_TEMPLATE: Final = "comparison.html.j2"


def render(found: RunComparison) -> str:
    """The page as one self-contained HTML text: no network, no script, everything escaped."""
    return environment().get_template(_TEMPLATE).render(found=found)
