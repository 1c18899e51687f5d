"""Step `plots`: the figures of the report."""

from recsys_core.artifacts import ArtifactWriter
from recsys_core.columns import FIGURES
from recsys_core.report.figures import figures
from tasks.evaluate import own_methods
from tasks.runtime.references import FiguresRef, MetricsRef, ModelRef
from tasks.runtime.step import step


@step("plots", version="1", returns=FiguresRef)
def plots(out: ArtifactWriter, *, metrics: MetricsRef, model: ModelRef) -> None:
    """Draw the metrics by cut-off and the training curves.

    Args:
        out: gets the table `figures`.
        metrics: the evaluation.
        model: the trained model, with the table `curves`.
    """
    measured = metrics.table("metrics")
    drawn = figures(measured, model.table("curves"), own_methods(measured))
    out.table("figures", drawn, FIGURES)
