import torch

from recsys_core.graph.training.cold_start_dropout import ColdStartDropout, cold_start_dropout_of
from recsys_core.graph.training.factory import Messages
from recsys_core.graph.training.spec import TrainingSpec
from tests.graph_world import CONFIGS, spec_of

N_USERS, N_ITEMS = 50, 20


def messages() -> Messages:
    """Every user has rated every item, at a level that tells the pair."""
    users = torch.arange(N_USERS).repeat_interleave(N_ITEMS)
    items = torch.arange(N_ITEMS).repeat(N_USERS) + N_USERS
    levels = (users + items) % 5
    return Messages(
        sources=torch.cat([users, items]), targets=torch.cat([items, users]),
        levels=levels.repeat(2), n_nodes=N_USERS + N_ITEMS,
    )  # fmt: skip


def practice(users: float, items: float) -> ColdStartDropout:
    return ColdStartDropout(
        messages(), n_users=N_USERS, users=users, items=items, backend="torch",
        generator=torch.Generator().manual_seed(0),
    )  # fmt: skip


def test_users_who_play_new_show_a_few_ratings_and_the_others_all() -> None:
    graph, levels, new = practice(0.5, 0.0).draw()
    edges = graph.adjacency
    assert not new[N_USERS:].any()
    users = edges.degrees[:N_USERS]
    assert (users[~new[:N_USERS]] == N_ITEMS).all()
    few = users[new[:N_USERS]]
    assert 10 < len(few) < 40
    assert few.float().mean() < 0.75 * N_ITEMS
    assert few.min() < 4
    both = {*zip(edges.sources.tolist(), edges.targets.tolist(), strict=True)}
    assert both == {(b, a) for a, b in both}
    assert torch.equal(levels, (edges.sources + edges.targets).long() % 5)


def test_items_that_play_new_have_no_edge() -> None:
    graph, _, new = practice(0.0, 0.3).draw()
    degrees = graph.adjacency.degrees
    assert 0 < int(new.sum()) < N_ITEMS
    assert (degrees[new] == 0).all()
    assert (degrees[~new] > 0).all()


def test_who_plays_new_is_drawn_anew_and_by_the_seed() -> None:
    one, other = practice(0.5, 0.1), practice(0.5, 0.1)
    first = one.draw()[2]
    assert torch.equal(first, other.draw()[2])
    assert not torch.equal(first, one.draw()[2])


def spec(preset: str, users: float) -> TrainingSpec:
    config = CONFIGS[preset].model_copy(
        update={"cold_start_dropout_users": users, "cold_start_dropout_items": 0.0}
    )
    return spec_of(config)


def test_there_is_practice_where_it_is_asked_for() -> None:
    generator = torch.Generator()
    assert cold_start_dropout_of(spec("best", 0.0), messages(), generator) is None
    assert cold_start_dropout_of(spec("best", 0.1), messages(), generator) is not None
    assert (
        CONFIGS["paper"].cold_start_dropout_users == CONFIGS["paper"].cold_start_dropout_items == 0
    )
