"""The base of every section of the configuration."""

from collections.abc import Iterator, Mapping
from typing import Any, ClassVar, Self

from pydantic import BaseModel, ConfigDict, model_validator

from recsys_core.redaction import secret_in


class Section(BaseModel):
    """Frozen, no unknown keys; field docstrings are the help of `--help` and of Prefect's form."""

    model_config = ConfigDict(
        frozen=True,
        extra="forbid",
        use_attribute_docstrings=True,
        protected_namespaces=(),
        hide_input_in_errors=True,
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

    @model_validator(mode="after")
    def _refuse_secrets(self) -> Self:
        # Configurations end up in reports, manifests, logs and Prefect's database, in clear.
        for name in type(self).model_fields:
            for text in _texts(getattr(self, name)):
                if found := secret_in(text):
                    raise ValueError(
                        f"`{name}` holds {found}; configurations are stored in clear: put it into"
                        " an environment variable or a Prefect block"
                    )
        return self


def _texts(value: object) -> Iterator[str]:
    """The texts in a field's value; sections in it have looked at theirs."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        for name, one in value.items():
            yield from (*_texts(name), *_texts(one))
    elif isinstance(value, list | tuple | set | frozenset):
        for one in value:
            yield from _texts(one)
