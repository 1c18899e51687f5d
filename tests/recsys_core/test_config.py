"""Parameters: defaults that fit any scale, and errors that name the field."""

from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel, ValidationError

from recsys_core.config import ReproduceConfig, RunConfig, load_config
from recsys_core.datasets.config import DataConfig
from recsys_core.errors import ConfigError
from recsys_core.graph.config import GraphConfig
from recsys_core.rerank.config import FusionConfig, RerankConfig
from recsys_core.section import Section

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.parametrize(
    ("overrides", "field"),
    [
        ({"data": {"rating_min": 5, "rating_max": 1}}, "data"),
        ({"data": {"positive": 9, "rating_max": 5}}, "data"),
        ({"data": {"sorce": "x"}}, "data.sorce"),
        ({"seed": "abc"}, "seed"),
        ({"split": {"fold": 6}}, "split.fold"),
        ({"rerank": {"strategy": "magic"}}, "rerank.strategy"),
        ({"run_name": "../../etc"}, "run_name"),
        ({"run_name": "served"}, "the name for the run that serves"),
        ({"run_name": "Served.json"}, "the file that says which run serves"),
        ({"run_name": "LATEST"}, "the link to the last run"),
    ],
)
def test_a_wrong_value_is_refused_by_name(overrides, field) -> None:
    with pytest.raises(ConfigError, match=field):
        load_config(None, overrides)


def test_the_command_line_lies_over_the_file(tmp_path: Path) -> None:
    path = tmp_path / "run.yaml"
    path.write_text("seed: 3\ndata: {source: ml-1m, folder: /data}\n")
    config = load_config(path, {"data": {"source": "ml-100k"}})
    assert (config.seed, config.data.source, config.data.folder) == (3, "ml-100k", "/data")


@pytest.mark.parametrize("text", ["- a\n- b\n", "a: [", "just text"])
def test_a_file_that_is_no_mapping_is_refused(tmp_path: Path, text: str) -> None:
    path = tmp_path / "run.yaml"
    path.write_text(text)
    with pytest.raises(ConfigError, match=r"run\.yaml"):
        load_config(path)


def test_a_missing_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="cannot be read"):
        load_config(tmp_path / "none.yaml")


def fields(model: type[BaseModel], path: str = "") -> list[tuple[str, str | None]]:
    found = []
    for name, field in model.model_fields.items():
        kind = field.annotation
        if isinstance(kind, type) and issubclass(kind, Section):
            found += fields(kind, f"{path}{name}.")
        else:
            found.append((f"{path}{name}", field.description))
    return found


@pytest.mark.parametrize(
    ("ratings", "temperature", "epochs"),
    [(0, 0.25, 60), (90_000, 0.25, 60), (900_000, 0.161, 93), (25_000_000, 0.083, 181)],
)
def test_the_more_ratings_the_sharper_and_the_longer(ratings, temperature, epochs) -> None:
    found = GraphConfig().for_data(ratings, 10, 10)
    assert found.recipe == "dense", "ten users are few, whatever they rated"
    assert found.temperature == pytest.approx(temperature, abs=0.001)
    assert found.max_epochs == epochs
    assert found.for_data(7, 7, 7) == found, "nothing is left open any more"


def test_what_is_given_is_not_set_by_the_number_of_ratings() -> None:
    config = GraphConfig(temperature=0.4, max_epochs=7).for_data(10**9, 10, 10)
    assert (config.temperature, config.max_epochs) == (0.4, 7)
    paper = GraphConfig(preset="paper", dropout=0.3).for_data(10**9, 10**9, 10**9)
    assert (paper.preset, paper.max_epochs, paper.dropout) == ("paper", 300, 0.3)
    assert (paper.recipe, paper.layers, paper.item_bias) == ("dense", 3, True)


@pytest.mark.parametrize(
    ("interactions", "users", "items", "recipe", "temperature", "epochs"),
    [
        (120_000, 11_000, 9_300, "sparse", 0.12, 28),  # review data
        (100_000, 940, 1_680, "dense", 0.25, 60),  # MovieLens 100K
        (5_000_000, 300_000, 200_000, "sparse", 0.149, 10),
        (63_000, 3_000, 3_000, "sparse", 0.152, 100),
        (21_000, 1_000, 1_000, "dense", 0.25, 60),  # as sparse, of fewer users
    ],
)
def test_what_is_left_open_follows_from_users_and_interactions_per_node(
    interactions, users, items, recipe, temperature, epochs
) -> None:
    found = GraphConfig().for_data(interactions, users, items)
    assert found.recipe == recipe
    assert found.temperature == pytest.approx(temperature, abs=0.001)
    assert found.max_epochs == epochs
    assert GraphConfig(effort="quick").for_data(interactions, users, items).max_epochs == (
        epochs if recipe == "dense" else -(-epochs // 2)
    )
    assert (found.id_dimensions == 256) == (recipe == "sparse")


def test_every_field_explains_itself() -> None:
    assert [name for name, text in fields(RunConfig) if not text] == []


@pytest.mark.parametrize(
    "path", sorted((ROOT / "deployments" / "examples").glob("*.yaml")), ids=lambda path: path.name
)
def test_the_example_files_are_configurations(path: Path) -> None:
    assert load_config(path) != RunConfig()


@pytest.mark.parametrize(
    ("kind", "given", "now"),
    [
        (RunConfig, {"profiles": {"max_liked": 3}}, "user_profiles"),
        (ReproduceConfig, {"profiles": {"items_file": "x"}}, "item_profiles"),
        (RunConfig, {"item_profiles": {"items_per_call": 2}}, "item_profiles.per_call"),
        (RunConfig, {"user_profiles": {"users_file": "x"}}, "user_profiles.file"),
    ],
)
def test_former_names_of_the_profiles_are_refused_with_the_new_ones(kind, given, now) -> None:
    with pytest.raises(ConfigError, match=f"is no field any more.*{now}"):
        load_config(None, given, kind)


def test_what_users_show_is_no_part_of_item_profiles() -> None:
    less = RunConfig.model_validate({"user_profiles": {"max_disliked": 3}})
    assert less.item_profiles.identity() == RunConfig().item_profiles.identity()
    assert less.user_profiles.identity() != RunConfig().user_profiles.identity()


def test_a_split_kind_without_folds_has_one() -> None:
    given: dict[str, Any] = {"split": {"kind": "time"}}
    assert ReproduceConfig(**given).folds == (1,)
    assert ReproduceConfig(**given).run(DataConfig(), 1).split.kind == "time"
    with pytest.raises(ValidationError, match="kind time has no fold 3"):
        ReproduceConfig(folds=(1, 3), **given)
    assert ReproduceConfig().folds == (1, 2, 3, 4, 5)


def test_the_papers_preset_sets_graph_rerank_and_fusion_but_not_what_is_given() -> None:
    paper = RunConfig.model_validate({"preset": "paper", "graph": {"max_epochs": 7}})
    assert (paper.graph.preset, paper.graph.loss, paper.graph.max_epochs) == ("paper", "bpr", 7)
    assert paper.rerank.strategy == "relevancy"
    assert (paper.fusion.policy, paper.fusion.llm_weight, paper.fusion.scale) == (
        "all", 0.8, "score",
    )  # fmt: skip
    own = RunConfig(
        preset="paper", fusion=FusionConfig(policy="auto"), rerank=RerankConfig(looks=5)
    )
    assert (own.fusion.policy, own.fusion.llm_weight) == ("auto", 0.8)
    assert (own.rerank.strategy, own.rerank.looks) == ("relevancy", 5)
    plain = RunConfig()
    assert (plain.graph.preset, plain.fusion.policy, plain.fusion.llm_weight) == (
        "best", "auto", None,
    )  # fmt: skip
    assert RunConfig.model_validate(paper.model_dump()) == paper


@pytest.mark.parametrize("text", ["&a [*a]", "[" * 5000, "seed: &a {x: *a}"])
def test_yaml_that_blows_up_is_one_message(tmp_path: Path, text: str) -> None:
    path = tmp_path / "run.yaml"
    path.write_text(text)
    with pytest.raises(ConfigError):
        load_config(path)


def test_aliases_that_multiply_are_one_message(tmp_path: Path) -> None:
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 10)]
    path = tmp_path / "run.yaml"
    path.write_text("\n".join(lines))
    with pytest.raises(ConfigError, match="more than 20,000 values"):
        load_config(path)


def test_a_form_that_sends_every_default_gets_the_whole_preset() -> None:
    form = RunConfig().model_dump(mode="json") | {"preset": "paper"}
    form["rerank"]["candidates"] = 30
    found = RunConfig.model_validate(form)
    wanted = RunConfig(preset="paper")
    assert (found.graph, found.fusion) == (wanted.graph, wanted.fusion)
    assert (found.rerank.strategy, found.rerank.candidates) == ("relevancy", 30)
    # Who writes one field means it, whatever its default.
    written = RunConfig.model_validate({"preset": "paper", "fusion": {"policy": "auto"}})
    assert written.fusion.policy == "auto"


def test_a_quick_run_reranks_nothing() -> None:
    found = RunConfig(preset="quick")
    assert (found.graph.effort, found.fusion.policy, found.rerank.strategy) == (
        "quick", "none", "none",
    )  # fmt: skip
