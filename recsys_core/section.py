"""The base of every section of the configuration."""

from collections.abc import Mapping
from typing import Any, ClassVar

from pydantic import BaseModel, ConfigDict, model_validator


class Section(BaseModel):
    """Frozen, no unknown keys; field docstrings are the help of `--help` and of Prefect's form."""

    model_config = ConfigDict(
        frozen=True, extra="forbid", use_attribute_docstrings=True, protected_namespaces=()
    )

    runtime_fields: ClassVar[frozenset[str]] = frozenset()
    """Fields that change how work is done but not its result; content keys leave them out."""

    former_names: ClassVar[Mapping[str, str]] = {}
    """Field name of an earlier version -> what to write now, which the error says."""

    def identity(self) -> dict[str, Any]:
        """What content keys are made of."""
        return self.model_dump(mode="json", exclude=set(self.runtime_fields))

    @model_validator(mode="before")
    @classmethod
    def _refuse_former_names(cls, given: Any) -> Any:
        former = (
            [name for name in given if name in cls.former_names] if isinstance(given, dict) else ()
        )
        if former:
            raise ValueError(
                "; ".join(
                    f"`{name}` is no field any more: {cls.former_names[name]}" for name in former
                )
            )
        return given
