"""What `flows.benchmarks` measures: data sets, their protocols, and the literature's figures."""

import re
from collections.abc import Mapping
from importlib import resources
from pathlib import Path
from typing import Any, Final

from pydantic import Field, ValidationError, field_validator, model_validator

from recsys_core.bounded_yaml import read_yaml
from recsys_core.config.loading import config_error, merged, read_parameters
from recsys_core.config.reproduction import ReproduceConfig
from recsys_core.errors import ConfigError
from recsys_core.evaluation.metric_table import METRICS
from recsys_core.section import Section

_FILE: Final = "benchmarks.yaml"
_MEASURE: Final = re.compile(r"(?P<metric>.+)@(?P<k>\d+)(?: (?P<protocol>\S+))?")


class Measure(Section):
    """A column of the page, written `NDCG@10`, or `NDCG@10 full/new` for a protocol."""

    label: str
    """As written."""
    metric: str
    """Name of the metric."""
    k: int
    """Cut-off."""
    protocol: str
    """Protocol of the evaluation."""

    @model_validator(mode="before")
    @classmethod
    def _parsed(cls, given: Any) -> Any:
        if not isinstance(given, str):
            return given
        found = _MEASURE.fullmatch(given)
        names = {one.label: one.name for one in METRICS}
        if found is None or found["metric"] not in names:
            labels = ", ".join(names)
            raise ValueError(f"{given!r} is no measure such as `NDCG@10`; metrics are {labels}")
        return {
            "label": given, "metric": names[found["metric"]], "k": int(found["k"]),
            "protocol": found["protocol"] or "full",
        }  # fmt: skip


class PublishedFigures(Section):
    """What a publication reports for this data set and protocol."""

    method: str
    """Its name there."""
    values: Mapping[str, float]
    """Measure -> value."""
    source: str
    """Authors, title, venue and year."""


class Study(Section):
    """A data set under one protocol."""

    name: str = Field(min_length=1)
    """Heading on the page."""
    source: str | None = None
    """A data set that can be downloaded, or a place of its own (`data.source`); a folder of this
    name under the folder of the data is taken in its place."""
    folder: str | None = None
    """Or: name of a folder under the folder of the data."""
    measures: tuple[Measure, ...] = Field(min_length=1)
    """Columns of the table; the last one orders it."""
    settings: Mapping[str, Any] = {}
    """Parameters of `flows.reproduce_paper`."""
    note: str = ""
    """What a reader must know of the protocol."""
    published: tuple[PublishedFigures, ...] = ()
    """Figures of the literature under the same protocol."""

    @model_validator(mode="after")
    def _one_place(self) -> "Study":
        if (self.source is None) == (self.folder is None):
            raise ValueError(f"study {self.name!r} needs either `source` or `folder`")
        labels = {one.label for one in self.measures}
        unknown = {label for one in self.published for label in one.values} - labels
        if unknown:
            raise ValueError(
                f"study {self.name!r}: {', '.join(sorted(unknown))} is no measure of it"
            )
        return self

    def place(self, data_root: str | None) -> Path | None:
        """The folder of its data, which may not be there; None where it is to be downloaded.

        What can be downloaded is taken from a folder of its name where there is one.
        """
        root = Path(data_root or ".").expanduser()
        if self.source is None:
            return root / str(self.folder)
        local = root / self.source
        return local if data_root is not None and local.is_dir() else None

    def config(self, data_root: str | None, **given: Any) -> ReproduceConfig:
        """The reproduction's parameters, `given` last.

        Raises:
            ConfigError: `settings` holds something else than parameters of the reproduction.
        """
        place = self.place(data_root)
        source = self.source if place is None else str(place.resolve())
        try:
            return ReproduceConfig.model_validate(
                merged(merged({"data": {"source": source}}, self.settings), given)
            )
        except ValidationError as error:
            found = config_error(error)
            raise ConfigError(f"Study {self.name!r}: {found}") from error


class Studies(Section):
    """A file of studies."""

    studies: tuple[Study, ...] = Field(min_length=1)
    """Data sets under their protocols, in the order of the page."""

    @field_validator("studies")
    @classmethod
    def _each_once(cls, studies: tuple[Study, ...]) -> tuple[Study, ...]:
        names = [one.name for one in studies]
        if len(set(names)) < len(names):
            raise ValueError("two studies have the same name")
        return studies


def read_studies(path: str | None) -> tuple[Study, ...]:
    """The studies of a YAML file; None: those of this project.

    Raises:
        ConfigError: the file cannot be used.
    """
    if path is None:
        own = resources.files("recsys_core.config").joinpath(_FILE).read_text("utf-8")
        return Studies.model_validate(read_yaml(own)).studies
    try:
        return Studies.model_validate(read_parameters(path)).studies
    except ValidationError as error:
        raise config_error(error) from error
