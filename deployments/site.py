"""The settings of one installation, from `deployments/site.yaml`, and the deployments they make."""

import copy
from pathlib import Path
from typing import Annotated, Any, Final, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from recsys_core.bounded_yaml import read_yaml
from recsys_core.config import RunConfig, config_error
from recsys_core.errors import ConfigError
from recsys_core.small_files import read_small_text

SITE_FILE: Final = Path(__file__).with_name("site.yaml")
PERSONALIZE: Final = "personalize"
WATCH: Final = "watch-metadata"
HANDED_ON: Final = (
    "ANTHROPIC_API_KEY", "AZURE_API_KEY", "AZURE_API_BASE", "AZURE_API_VERSION", "COHERE_API_KEY",
    "DEEPSEEK_API_KEY", "GEMINI_API_KEY", "GROQ_API_KEY", "MISTRAL_API_KEY", "OPENAI_API_KEY",
    "OPENROUTER_API_KEY", "TOGETHERAI_API_KEY", "TMDB_API_KEY", "AWS_ACCESS_KEY_ID",
    "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "AWS_REGION", "AWS_ENDPOINT_URL", "LLM_CACHE",
    "RECSYS_ARTIFACTS", "RECSYS_RUNS", "RECSYS_RUNS_URL",
)  # fmt: skip
"""Environment variables that container workers always hand on: providers' keys, places."""

Variable = Annotated[str, Field(pattern=r"^[A-Za-z_][A-Za-z0-9_]*$")]
Name = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9-]{0,40}$")]
Block = Annotated[str, Field(pattern=r"^[a-z0-9-]+/[a-z0-9-]+$")]
Deployment = dict[str, Any]
"""An entry of `deployments` in prefect.yaml."""


class _Settings(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)


class DataSet(_Settings):
    """A data set with deployments of its own."""

    config: dict[str, Any]
    """Parameters of its runs, as in a file for `--config`."""
    nightly: str | None = "0 3 * * *"
    """Cron (UTC) of the whole pipeline."""
    watch: str | None = "*/15 * * * *"
    """Cron (UTC) of the look for changed items."""


class Site(_Settings):
    """Everything that `deployments.setup` is told about this installation."""

    data_sets: dict[Name, DataSet] = {}
    """By name. With one or more, the plain `personalize` and `watch-metadata` have no schedule."""
    schedules: Literal["paused", "active"] = "paused"
    """State of schedules that are new on the server; those that exist keep theirs."""
    environment: tuple[Variable, ...] = ()
    """Environment variables that container workers hand on beside `HANDED_ON`."""
    volumes: tuple[str, ...] = ()
    """Mounts of containers beside the shared volume, as Docker writes them."""
    tell: Block | None = None
    """Notification block, `TYPE/NAME`, that is told of failures."""

    @property
    def handed_on(self) -> tuple[str, ...]:
        """All variables that container workers hand on."""
        return tuple(dict.fromkeys((*HANDED_ON, *self.environment)))


def read_site(path: Path) -> Site:
    """Read and check the settings, the data sets' parameters included.

    Raises:
        ConfigError: the file cannot be read, or a value is unknown or out of bounds.
    """
    try:
        given = read_yaml(read_small_text(path)) or {}
    except (OSError, ValueError) as error:
        raise ConfigError(
            f"{path} cannot be read: {error}", expected="a YAML file such as deployments/site.yaml."
        ) from error
    try:
        site = Site.model_validate(given)
    except ValidationError as error:
        found = "; ".join(f"{'.'.join(map(str, e['loc']))}: {e['msg']}" for e in error.errors())
        raise ConfigError(
            f"{path}: {found}.", expected="the keys that deployments/site.yaml explains."
        ) from error
    for name, one in site.data_sets.items():
        try:
            RunConfig.model_validate(one.config)
        except ValidationError as error:
            wrong = config_error(error)
            raise ConfigError(
                f"{path}, data_sets.{name}.config: {wrong.seen}", expected=wrong.expected
            ) from error
    return site


def deployments_of(site: Site, shipped: list[Deployment]) -> list[Deployment]:
    """The shipped deployments with this installation's schedules, and those of its data sets."""
    found = copy.deepcopy(shipped)
    by_name = {one["name"]: one for one in found}
    for name, one in site.data_sets.items():
        found.append(_personalize(name, one, by_name[PERSONALIZE]))
        found.append(_watch(name, one, by_name[WATCH]))
    if site.data_sets:  # what is theirs must not run the demonstration data, too
        for plain in (PERSONALIZE, WATCH):
            by_name[plain]["schedules"], by_name[plain]["triggers"] = [], []
    for deployment in found:
        for schedule in deployment.get("schedules") or ():
            schedule["active"] = site.schedules == "active"
    return found


def _personalize(name: str, data_set: DataSet, shipped: Deployment) -> Deployment:
    source = RunConfig.model_validate(data_set.config).data.source
    made = _copy(shipped, f"{PERSONALIZE}-{name}", data_set, data_set.nightly)
    for trigger in made["triggers"]:
        trigger["name"] = f"{trigger['name']} of {name}"
        trigger["match"]["prefect.resource.name"] = source
    return made


def _watch(name: str, data_set: DataSet, shipped: Deployment) -> Deployment:
    return _copy(shipped, f"watch-{name}", data_set, data_set.watch)


def _copy(shipped: Deployment, name: str, data_set: DataSet, cron: str | None) -> Deployment:
    made = copy.deepcopy(shipped)
    made["name"], made["tags"] = name, [*shipped["tags"], name.partition("-")[2]]
    made["parameters"] = {"config": data_set.config}
    (schedule,) = made["schedules"]
    made["schedules"] = [schedule | {"cron": cron}] if cron else []
    return made
