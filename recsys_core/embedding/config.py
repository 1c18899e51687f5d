"""Configuration of the text embeddings."""

from typing import Literal

from pydantic import Field

from recsys_core.section import Section


class EmbeddingConfig(Section):
    """Text embeddings of the profiles."""

    model: str = "all-MiniLM-L6-v2"
    """The packaged all-MiniLM-L6-v2, or any sentence-transformers folder or hub id."""
    backend: Literal["auto", "openvino", "torch"] = "auto"
    """`openvino` is several times faster on CPU; `auto` takes it unless CUDA is there."""
    batch_size: int = Field(default=32, ge=1)
    """Texts per forward pass; more for a GPU, fewer for a long-text model in little memory."""
