"""The parts of TMDB's answers (API v3) that are read; every other field is ignored."""

import re

from pydantic import BaseModel, ConfigDict


class _Shape(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore")


class Candidate(_Shape):
    """One film among the results of `/search/movie`."""

    id: int
    title: str | None = None
    original_title: str | None = None
    release_date: str | None = None
    """`1995-11-22`; empty where unknown."""
    popularity: float | None = None

    @property
    def year(self) -> int | None:
        """Year of the first release, where known."""
        found = re.match(r"\d{4}", self.release_date or "")
        return int(found[0]) if found else None


class SearchPage(_Shape):
    """The first page of `/search/movie`: up to 20 films."""

    results: tuple[Candidate, ...]


class _Keyword(_Shape):
    name: str | None = None


class _Keywords(_Shape):
    keywords: tuple[_Keyword, ...] = ()


class _Actor(_Shape):
    name: str | None = None
    order: int = 10_000


class _Worker(_Shape):
    name: str | None = None
    job: str | None = None


class _Credits(_Shape):
    cast: tuple[_Actor, ...] = ()
    crew: tuple[_Worker, ...] = ()


class Film(_Shape):
    """`/movie/{id}` with `append_to_response=keywords,credits`."""

    id: int
    overview: str | None = None
    keywords: _Keywords = _Keywords()
    credits: _Credits = _Credits()

    @property
    def keyword_names(self) -> list[str]:
        """Names of its keywords, in TMDB's order."""
        return [keyword.name for keyword in self.keywords.keywords if keyword.name]

    def leads(self, count: int) -> list[str]:
        """Names of the first `count` actors in billing order."""
        billed = sorted(self.credits.cast, key=lambda actor: actor.order)
        return [actor.name for actor in billed if actor.name][:count]

    @property
    def directors(self) -> list[str]:
        """Names of its directors."""
        return [one.name for one in self.credits.crew if one.job == "Director" and one.name]
