import numpy as np
import torch

from recsys_core.graph.assembly import model_of
from recsys_core.graph.message_passing import choose_backend
from recsys_core.graph.task import Task
from tests.graph_world import CONFIGS, DATA, N_ITEMS, TASTES, planted, texts

CPU = torch.device("cpu")


def task(preset: str = "best", item_text=None) -> Task:
    graph, _, _ = planted()
    users, items = texts()
    return Task(
        phase="final", graph=graph, user_text=users, config=CONFIGS[preset], data=DATA, seed=0,
        item_text=items if item_text is None else item_text, device=CPU, epochs=1,
        backend=choose_backend("auto", CPU),
    )  # fmt: skip


def taste_texts() -> np.ndarray:
    """Texts that tell the taste of an item."""
    return np.eye(TASTES, dtype=np.float32)[np.arange(N_ITEMS) % TASTES]


def test_texts_and_ids_start_as_ids_alone_would(monkeypatch):
    made = model_of(task(item_text=taste_texts())).eval()
    monkeypatch.setattr("recsys_core.graph.assembly.start_from_text", lambda model, task: None)
    plain = model_of(task())
    known = slice(made.n_users, -1)  # the last item has no edge
    both = made.inputs(torch.zeros(len(made.ids), dtype=torch.bool))
    torch.testing.assert_close(both[known], plain.ids[known], atol=1e-5, rtol=0)


def test_items_of_one_taste_start_close_by_their_texts():
    made = model_of(task(item_text=taste_texts()))
    directions = torch.nn.functional.normalize(made.item_projection(made.item_text), dim=1)
    cosines = directions[:4] @ directions[4:8].T
    assert cosines.argmax(1).tolist() == [0, 1, 2, 3]


def test_popularity_starts_from_the_texts_of_known_items():
    made = model_of(task())
    features, target = made.item_text[:-1].numpy(), made.item_bias[:-1].detach().numpy()
    centred = features - features.mean(0)
    slopes = np.linalg.solve(
        centred.T @ centred + 10 * np.eye(features.shape[1]), centred.T @ (target - target.mean())
    )
    expected = centred @ slopes + target.mean()
    found = made.popularity(made.item_text[:-1]).squeeze(1).detach().numpy()
    np.testing.assert_allclose(found, expected, atol=1e-4)


def test_models_without_ids_are_left_alone(monkeypatch):
    torch.manual_seed(0)
    made = model_of(task("paper"))
    monkeypatch.setattr("recsys_core.graph.assembly.start_from_text", lambda model, task: None)
    torch.manual_seed(0)
    plain = model_of(task("paper"))
    assert torch.equal(made.item_projection.weight, plain.item_projection.weight)
