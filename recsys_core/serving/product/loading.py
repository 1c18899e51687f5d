"""A served model read from its folder, and checked."""

from recsys_core.artifacts import ArtifactRef, open_artifact
from recsys_core.columns import ITEM, USER, check
from recsys_core.embedding.user_features import attribute_features
from recsys_core.errors import ConfigError
from recsys_core.graph.components.item_model import ItemToItemModel
from recsys_core.graph.inference.user_placing import UserPlacing
from recsys_core.interactions.feedback import RatingScale
from recsys_core.interactions.lookup import aligned, vector_array
from recsys_core.interactions.order import order_column
from recsys_core.serving.product import contract
from recsys_core.serving.product.model import ServedModel
from recsys_core.serving.product.pointer import product_of


def open_model(place: str, runs_root: str | None = None) -> ServedModel:
    """Load a model.

    Args:
        place: URI or folder of a served model, folder of a run, or (with `runs_root`) the name of
            a run, `latest` or `served`.
        runs_root: folder of the runs.

    Raises:
        ConfigError: there is no such run or model, or it is of another version of the contract.
        DamagedArtifact: a file is missing or altered.
    """
    uri = product_of(place, runs_root)
    ref = open_artifact(uri)
    contract.check_contract(uri, ref.manifest)
    return _loaded(ref)


def _loaded(ref: ArtifactRef) -> ServedModel:
    facts = ref.manifest.facts[contract.FACTS]
    tables = {
        name: check(ref.table(name), schema, table=f"{ref.uri}/{name}")
        for name, schema in contract.TABLES.items()
    }
    item_vectors = tables[contract.ITEM_VECTORS]
    item_ids = item_vectors[ITEM]
    items = item_ids.to_frame().join(
        tables[contract.ITEMS], on=ITEM, how="left", maintain_order="left"
    )
    maps = None
    if facts["item_model"] is not None:
        parts = {name: ref.table(name) for name in contract.ITEM_MODEL_TABLES}
        maps = ItemToItemModel.from_tables(parts, facts["item_model"])
    histories = tables[contract.HISTORIES]
    model = ServedModel(
        uri=ref.uri, content_hash=ref.content_hash, facts=dict(facts),
        user_ids=tables[contract.USER_VECTORS][USER],
        user_vectors=vector_array(tables[contract.USER_VECTORS]),
        item_ids=item_ids, item_vectors=vector_array(item_vectors), item_model=maps,
        placing=UserPlacing.from_bytes(ref.data(contract.PLACING)),
        scale=RatingScale.model_validate(facts["weighing"]["scale"]),
        items=items, item_profiles=tables[contract.ITEM_PROFILES],
        item_texts=aligned(tables[contract.ITEM_TEXTS], item_ids),
        users=tables[contract.USERS], user_profiles=tables[contract.USER_PROFILES],
        evidence=tables[contract.EVIDENCE],
        histories=histories.sort(USER, order_column(histories), maintain_order=True),
        probe=tables[contract.PROBE],
    )  # fmt: skip
    _check_whole(model)
    return model


def _check_whole(model: ServedModel) -> None:
    """Refuse parts that are not of one training."""
    widths = {model.user_vectors.shape[1], model.item_vectors.shape[1]}
    n_items = model.item_ids.len()
    maps = n_items if model.item_model is None else model.item_model.n_items
    read = attribute_features(model.users, model.users.head(1)).shape[1]
    if len(widths) > 1 or maps != n_items or bool(read) != model.reads_attributes:
        raise ConfigError(
            f"The parts of {model.uri} do not fit one another: vectors of {sorted(widths)} numbers,"
            f" {n_items} items and item-to-item parts of {maps}.",
            expected="the vectors, the item-to-item part and the tables of one training.",
            fix="run the pipeline again.",
        )
