"""Step `plots`: the figures of the report."""

from recsys_core.artifacts import ArtifactWriter
from recsys_core.columns import FIGURES
from recsys_core.report.figures import figures
from tasks.evaluate import own_methods
from tasks.runtime.references import FiguresRef, MetricsRef, ModelRef, TradeOffRef
from tasks.runtime.step import step


@step("plots", version="3", returns=FiguresRef)
def plots(
    out: ArtifactWriter, *, metrics: MetricsRef, model: ModelRef, trade_off: TradeOffRef
) -> None:
    """Draw the metrics by cut-off, the training curves, accuracy against variety.

    Args:
        out: gets the table `figures`.
        metrics: the evaluation.
        model: the trained model, with the table `curves`.
        trade_off: accuracy against variety on validation.
    """
    measured = metrics.table("metrics")
    drawn = figures(
        measured, model.table("curves"), own_methods(measured), trade_off.table("trade_off")
    )
    out.table("figures", drawn, FIGURES)
