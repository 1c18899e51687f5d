"""The base of every section of the configuration."""

from typing import Any, ClassVar

from pydantic import BaseModel, ConfigDict


class Section(BaseModel):
    """Base of every section: frozen, no unknown keys, field docstrings become help texts."""

    model_config = ConfigDict(
        frozen=True, extra="forbid", use_attribute_docstrings=True, protected_namespaces=()
    )

    runtime_fields: ClassVar[frozenset[str]] = frozenset()
    """Fields that change how work is done but not its result; content keys leave them out."""

    def identity(self) -> dict[str, Any]:
        """What content keys are made of."""
        return self.model_dump(mode="json", exclude=set(self.runtime_fields))
