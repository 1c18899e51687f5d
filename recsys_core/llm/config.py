"""Configuration of the language model."""

from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, Literal

from pydantic import BeforeValidator, Field, model_validator

from recsys_core.section import Section


def _new_transport_name(given: object) -> object:
    if given == "direct":
        raise ValueError("`direct` is called `openai_http` now")
    return given


class LLMConfig(Section):
    """Who writes profiles, judges candidates and explains."""

    former_names: ClassVar[Mapping[str, str]] = {
        "tailored_schemas": "write `per_request_schemas`.",
        "top_p": "it is never sent; set `temperature`.",
        "backoff_s": "the first wait is one second; `backoff_max_s` bounds all waits.",
        "batch_poll_s": "leave it out: a batch is looked at every 30 seconds.",
        "batch_quiet_s": "a batch is sent two seconds after its last call.",
    }

    model: str = "rules"
    """`rules` (no LLM), or any model name that litellm knows, such as `openai/gpt-4.1-mini`."""
    api_base: str | None = None
    """Address of an OpenAI-compatible endpoint (`http://127.0.0.1:8000/v1`). Default: the
    provider's own."""
    api_key_env: str | None = None
    """Name of the environment variable that holds the key. Default: the provider's own, such as
    `OPENAI_API_KEY`. The key itself never stands in a configuration."""
    api_key_block: str | None = None
    """Name of a Prefect Secret block that holds the key, instead of the environment."""
    transport: Annotated[
        Literal["auto", "openai_http", "litellm"], BeforeValidator(_new_transport_name)
    ] = "auto"
    """`litellm` reaches every provider; `openai_http` speaks to OpenAI-compatible endpoints at a
    tenth of the CPU per call; `auto` is `openai_http` for models named `openai/...`."""
    temperature: float | None = Field(default=0.0, ge=0, le=2)
    """Sampling temperature; null leaves it to the endpoint. Never sent to reasoning models."""
    seed: int | None = None
    """Sampling seed for endpoints that take one."""
    reasoning: bool | None = None
    """Whether the model reasons before it answers. Default: by name (o1, o3, o4-mini, gpt-5)."""
    reasoning_effort: Literal["minimal", "low", "medium", "high"] | None = None
    """Effort asked of a reasoning model, which mostly decides its price; null leaves it to the
    endpoint."""
    reasoning_tokens: int = Field(default=4000, ge=0)
    """Tokens for a reasoning model's reasoning on top of the answer's own maximum; more where its
    answers are cut off."""
    schema_mode: Literal["auto", "always", "never"] = "auto"
    """Whether the JSON schema is sent as `response_format`; `auto` sends it, and asks for it in
    the prompt instead where the endpoint rejects it (counted)."""
    per_request_schemas: bool = False
    """Write the ids that may be answered into the JSON schema of every call. For a server of your
    own with guided decoding (llama.cpp, vLLM): small models then rarely give an invalid answer.
    Hosted ones take seconds to prepare every new schema."""
    max_in_flight: int = Field(default=16, ge=1, le=1024)
    """Calls at a time, per process and model."""
    requests_per_minute: float | None = Field(default=None, ge=1)
    """Limit of requests per minute, per process and model; retries count."""
    tokens_per_minute: float | None = Field(default=None, ge=1)
    """Limit of tokens per minute, in and out, per process and model."""
    timeout_s: float = Field(default=120.0, gt=0)
    """Longest wait for one answer, in seconds; longer for a slow local model."""
    max_attempts: int = Field(default=6, ge=1, le=20)
    """Attempts per call at time-outs, resets, 408, 409, 429 and 5xx; more for an endpoint that is
    often overloaded."""
    backoff_max_s: float = Field(default=60.0, ge=0)
    """Longest wait between attempts; the first is one second, and it doubles, with jitter. A
    longer Retry-After ends the call."""
    on_invalid: Literal["fallback", "stop"] = "fallback"
    """When an answer is not valid even after one repair call: `fallback` writes that text by
    rules, marked as failed and counted; `stop` ends the run."""
    max_failed_share: float = Field(default=0.05, ge=0, le=1)
    """Share of failed answers above which `fallback` ends the run all the same: a model that
    cannot follow the format shall not fill a run with rules' texts. 1 never ends it."""
    on_unavailable: Literal["stop", "fallback"] = "stop"
    """When the endpoint gives no answer after all attempts: end the run (answers are kept), or
    treat it like an invalid answer."""
    retry_failed: bool = False
    """Ask again where the cached answers are not valid. Otherwise they are not paid for twice."""
    max_dollars: float | None = Field(default=None, ge=0)
    """Hard ceiling in dollars. What no usage is known of counts as the most it can have cost."""
    max_tokens: int | None = Field(default=None, ge=0)
    """Hard ceiling in tokens, in and out."""
    budget_scope: Literal["run", "root"] = "run"
    """Whether `max_dollars` and `max_tokens` hold for every run, or for all runs together that
    share the cache of answers."""
    input_price: float | None = Field(default=None, ge=0)
    """Dollars per million tokens in. Default: litellm's bundled price list."""
    output_price: float | None = Field(default=None, ge=0)
    """Dollars per million tokens out. Default: litellm's bundled price list."""
    cache_url: str | None = None
    """SQLAlchemy URL of the cache of answers; `$NAME` stands for an environment variable (a URL
    with a password must come from one). Default: `llm.sqlite` in the artifact root."""
    batch: bool = False
    """Send calls as OpenAI-style batch files: half the price, answers within a day."""

    @model_validator(mode="after")
    def _one_price_alone(self) -> "LLMConfig":
        if (self.input_price is None) != (self.output_price is None):
            raise ValueError("input_price and output_price go together: give both or neither")
        return self

    @property
    def uses_model(self) -> bool:
        """Whether a language model is asked at all."""
        return self.model != "rules"

    def identity(self) -> dict[str, Any]:
        """The fields that shape the answers; limits, prices and budgets only shape the run."""
        fields = {"model"}
        if self.uses_model:
            fields |= {"temperature", "seed", "reasoning", "reasoning_effort", "schema_mode"}
            fields |= {"per_request_schemas", "on_invalid", "on_unavailable"}
        return self.model_dump(mode="json", include=fields)
