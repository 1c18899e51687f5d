"""Flow `recommend`: lists from a finished run for chosen users, new users and new items.

    python -m flows.recommend --users 12,57
    python -m flows.recommend --interactions new_ratings.csv
    python -m flows.recommend --history '[{"title": "Alien", "rating": 5}]'
    python -m flows.recommend --similar-to Alien

Nothing is trained. The last two are answered on the command line, without Prefect.
"""

import sys

PROGRAM = "python -m flows.recommend"
ABOUT = "Lists from a finished run, without training."

if __name__ == "__main__":  # a try is answered before Prefect is imported
    from flows.command_line import command, temporary_server
    from flows.command_line.trial import answered

    if answered(sys.argv[1:], program=PROGRAM, description=ABOUT):
        sys.exit(0)
    if status := command.run(temporary_server.start_ahead):
        sys.exit(status)

from collections.abc import Sequence
from typing import Annotated, Any

from prefect import flow

from flows.command_line import command, console
from flows.form import RECOMMEND, Front
from flows.stages import started
from recsys_core.artifacts import ArtifactStore, open_artifact
from recsys_core.config import FanOutConfig
from recsys_core.report.folder import check_run_folder
from recsys_core.serving.product.config import ServingConfig
from recsys_core.serving.product.contract import check_contract
from recsys_core.serving.product.pointer import product_of
from recsys_core.serving.request import RecommendConfig, fingerprint
from tasks.arrivals import (
    arrivals,
    as_ranked,
    joined_item_profiles,
    new_catalogue,
    placed,
    visitors_policy,
)
from tasks.explain import explain
from tasks.fusion import fusion
from tasks.item_profiles import item_profiles
from tasks.recommended import Recommended, recommended
from tasks.rerank import rerank
from tasks.runtime.references import (
    AttributionsRef,
    CandidatesRef,
    CatalogueRef,
    EmbeddingsRef,
    ItemProfilesRef,
    ServedModelRef,
    SplitRef,
    UserProfilesRef,
    UsersRef,
)
from tasks.runtime.runs.run_name import recommend_name
from tasks.user_profiles import user_profiles


@flow(name="recommend", description=ABOUT, flow_run_name=recommend_name)
def recommend(config: Annotated[RecommendConfig, Front(*RECOMMEND)]) -> Recommended:
    """Place users by what they rated, rank, rerank where the run does, and say why.

    Args:
        config: whom lists are wanted for; see `--help`.
    """
    config.check_asked()
    ArtifactStore(root=config.artifact_root).check_writable()
    if config.run_name is not None:
        check_run_folder(config.runs_root, config.run_name)
    served = served_ref(config)
    with started() as log:
        made = _steps(config, served)
        summary: Recommended = recommended(config, log, served=served, **made)
        return summary


def served_ref(config: RecommendConfig) -> ServedModelRef:
    """The model that the configuration names, read whole and found intact.

    Raises:
        ConfigError: there is none, or it is of another version.
    """
    ref = open_artifact(product_of(config.run, config.runs_root))
    check_contract(ref.uri, ref.manifest)
    return ref.as_type(ServedModelRef)


def _steps(config: RecommendConfig, served: ServedModelRef) -> dict[str, Any]:
    store = ArtifactStore(root=config.artifact_root)
    run = ServingConfig.read(served.facts["config"])
    ratings, hashes = served.scale, fingerprint(config)
    came = arrivals(store, served=served, asked=config, came=hashes)
    split, catalogue = came.as_type(SplitRef), came.narrowed(CatalogueRef, "items")
    items = served.narrowed(ItemProfilesRef, "item_profiles")
    if came.manifest.files["new_items.parquet"].rows:
        new = item_profiles(
            store, catalogue=new_catalogue(store, came=came), llm=config.llm,
            config=run.item_profiles,
        )  # fmt: skip
        items = joined_item_profiles(store, served=served, new=new)
    profiles = None
    if came.manifest.files["users.parquet"].rows:
        profiles = user_profiles(
            store, known_users=came.narrowed(UsersRef, "users"), catalogue=catalogue, split=split,
            items=items, llm=config.llm, config=run.user_profiles, ratings=ratings,
        )  # fmt: skip
    k = max(config.k, run.rerank.candidates if config.llm.uses_model else 0)
    found = placed(
        store, served=served, came=came, items=items, profiles=profiles, asked=config,
        allowed=hashes, writer=config.llm.model, k=k,
    )  # fmt: skip
    users = found.narrowed(UserProfilesRef, "user_profiles", "evidence")
    told: dict[str, Any] = {
        "catalogue": catalogue, "split": split, "items": items, "users": users, "llm": config.llm,
        "ratings": ratings,
    }  # fmt: skip
    reranked = as_ranked(store, placed=found)
    if found.manifest.files["reranked_users.parquet"].rows:
        lists, policy = found.as_type(CandidatesRef), visitors_policy(store, placed=found)
        judged = rerank(
            store, FanOutConfig(), **told, embeddings=found.as_type(EmbeddingsRef),
            candidates=lists, config=run.rerank, seed=run.seed, only=policy,
        )  # fmt: skip
        reranked = fusion(
            store, candidates=lists, judged=judged, policy=policy,
            weight=run.fusion.fixed_weight, scale=run.fusion.fixed_scale,
        )  # fmt: skip
    recommendations = explain(
        store, FanOutConfig(), **told, reranked=reranked, config=run.explanations, titles=config.k,
        attributions=found.narrowed(AttributionsRef, "attributions"),
    )  # fmt: skip
    return {"came": came, "found": found, "recommendations": recommendations}


def main(argv: Sequence[str]) -> int:
    """The command line."""

    def action() -> None:
        config = command.parse(argv, program=PROGRAM, description=ABOUT, kind=RecommendConfig)
        with command.with_server():
            made = recommend(config)
        console.show_recommended(made)

    return command.run(action)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
