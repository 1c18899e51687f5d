"""A finished model in use: lists, reasons and similar items without training.

    model = open_model("runs/latest")
    answer = recommend(model, [Visitor(user=12)], k=10)

Nothing here knows Prefect, and nothing needs torch.
"""

from recsys_core.serving.answers import Answers, recommend
from recsys_core.serving.product.loading import open_model
from recsys_core.serving.product.model import ServedModel
from recsys_core.serving.visitors import Visitors, visitors_of

__all__ = ["Answers", "ServedModel", "Visitors", "open_model", "recommend", "visitors_of"]
