"""Step `served_model`: the trained model as one folder that serves without the pipeline."""

from recsys_core.artifacts import ArtifactWriter
from recsys_core.columns import ITEM, USER
from recsys_core.interactions.lookup import aligned, vector_array
from recsys_core.serving.product import contract
from recsys_core.serving.product.config import ServingConfig
from tasks.runtime.item_models import FACTS, read_item_model, write_item_model
from tasks.runtime.references import (
    CatalogueRef,
    EmbeddingsRef,
    GraphRef,
    ItemProfilesRef,
    ModelRef,
    PolicyRef,
    ServedModelRef,
    SplitRef,
    UserProfilesRef,
    UsersRef,
)
from tasks.runtime.saved_models import WEIGHING, read_model
from tasks.runtime.step import step
from tasks.runtime.vector_tables import write_vectors


@step(contract.STEP, version="30", returns=ServedModelRef)
def served_model(
    out: ArtifactWriter,
    *,
    known_users: UsersRef,
    catalogue: CatalogueRef,
    split: SplitRef,
    items: ItemProfilesRef,
    users: UserProfilesRef,
    graph: GraphRef,
    embeddings: EmbeddingsRef,
    model: ModelRef,
    policy: PolicyRef,
    ratings: int,
    config: ServingConfig,
) -> None:
    """Collect what lists with reasons take (`recsys_core.serving.product.contract`).

    Args:
        out: these tables; the facts hold the version of the contract and the run's configuration.
        known_users: all users, and what is known of them.
        catalogue: the items.
        split: what users are placed by; no test row is in it.
        items: item profiles.
        users: user profiles, and their evidence.
        graph: nodes and edges of the training.
        embeddings: the texts that it was trained with.
        model: the trained model.
        policy: what the probe said about reranking.
        ratings: how many the data set has, test rows among them.
        config: what is kept of the run's configuration.
    """
    from recsys_core.graph.inference.extract import user_placing

    known = known_users.table("users")
    vectors = {name: model.table(name) for name in ("users", "items")}
    item_ids = vectors["items"][ITEM]
    write_vectors(
        out, contract.USER_VECTORS, vectors["users"][USER], vector_array(vectors["users"])
    )
    write_vectors(out, contract.ITEM_VECTORS, item_ids, vector_array(vectors["items"]))
    texts = embeddings.table("items")
    write_vectors(out, contract.ITEM_TEXTS, item_ids, aligned(texts, item_ids))
    write_item_model(out, "", read_item_model(model, ""))
    fitted = read_model(model, graph=graph, embeddings=embeddings, split=split)
    out.data(contract.PLACING, user_placing(fitted).to_bytes())
    for name, table in (
        (contract.ITEMS, catalogue.table("items")),
        (contract.USERS, known),
        (contract.HISTORIES, split.shown.sort(USER, maintain_order=True)),
        (contract.ITEM_PROFILES, items.table("item_profiles")),
        (contract.USER_PROFILES, users.table("user_profiles")),
        (contract.EVIDENCE, users.table("evidence")),
        (contract.PROBE, policy.table("probe")),
    ):
        out.table(name, table, contract.TABLES[name])
    told = model.manifest.facts
    out.fact(contract.CONTRACT, contract.VERSION, in_content=True)
    out.fact(
        contract.FACTS,
        {
            "weighing": told[WEIGHING],
            "unary": fitted.graph.edges.are_alike,
            "attributes": bool(told["user_attributes"]),
            "allow_repeats": not split.masks,
            "item_model": told.get(FACTS),
            "ratings": ratings,
            "config": config.identity(),
        },
        in_content=True,
    )
