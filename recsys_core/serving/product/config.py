"""What a served model keeps of its run's configuration."""

from collections.abc import Mapping
from typing import Any

from pydantic import Field

from recsys_core.config import RunConfig
from recsys_core.datasets.config import DataConfig
from recsys_core.embedding.config import EmbeddingConfig
from recsys_core.explanations.config import ExplanationConfig
from recsys_core.interactions.feedback import RatingScale
from recsys_core.llm.config import LLMConfig
from recsys_core.profiles.config import ItemProfileConfig, UserProfileConfig
from recsys_core.rerank.config import FusionConfig, RerankConfig
from recsys_core.section import Section


class ServingConfig(Section):
    """The sections that later lists are made with; where the run kept things is left out."""

    data: DataConfig = DataConfig()
    llm: LLMConfig = LLMConfig()
    item_profiles: ItemProfileConfig = ItemProfileConfig()
    user_profiles: UserProfileConfig = UserProfileConfig()
    embedding: EmbeddingConfig = EmbeddingConfig()
    rerank: RerankConfig = RerankConfig()
    fusion: FusionConfig = FusionConfig()
    explanations: ExplanationConfig = ExplanationConfig()
    cold_below: int = Field(default=10, ge=1)
    """Users with fewer ratings are cold (`evaluation.cold_below`)."""
    seed: int = Field(default=0, ge=0)
    """Seed of the order in which candidates are shown to a language model."""

    @classmethod
    def of(cls, config: RunConfig, ratings: RatingScale) -> "ServingConfig":
        """Of a run, with the scale and thresholds that it found."""
        named = {name: getattr(config, name, None) for name in cls.model_fields}
        sections = named | {"cold_below": config.evaluation.cold_below}
        scale = {
            "feedback": ratings.feedback, "rating_min": ratings.rating_min,
            "rating_max": ratings.rating_max, "positive": ratings.like_from,
            "negative": ratings.dislike_from,
        }  # fmt: skip
        data = config.data.model_copy(
            update=scale if not ratings.is_implicit else {"feedback": "implicit"}
        )
        return cls.model_validate(sections | {"data": data})

    @classmethod
    def read(cls, kept: Mapping[str, Any]) -> "ServingConfig":
        """What a served model keeps, without fields that this version has no more.

        Where one of them mattered, the version of the contract was raised.
        """
        sections: dict[str, Any] = {}
        for name, field in cls.model_fields.items():
            given, kind = kept.get(name), field.annotation
            if isinstance(kind, type) and issubclass(kind, Section) and isinstance(given, dict):
                given = {one: given[one] for one in given if one in kind.model_fields}
            if name in kept:
                sections[name] = given
        return cls.model_validate(sections)

    def identity(self) -> dict[str, Any]:
        """The identities of its sections."""
        found = {name: getattr(self, name) for name in type(self).model_fields}
        return {
            name: one.identity() if isinstance(one, Section) else one for name, one in found.items()
        }
