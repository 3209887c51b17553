"""A figure of a log with the digits that it was printed in, and the figures of one start."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from core.errors import SizingError


class LogError(SizingError):
    """The text is no start-up log that can be read: the message says what it looks like and what to paste."""


@dataclass(frozen=True, kw_only=True)
class LogFigure:
    """A number as printed: half_step is half of its last digit, in its own unit; 0 for an exact count."""

    value: float
    half_step: float = 0.0
    line: str = ""

    @property
    def low(self) -> float:
        return self.value - self.half_step

    @property
    def high(self) -> float:
        return self.value + self.half_step

    def plus(self, other: "LogFigure") -> "LogFigure":
        """The sum, with the digits of both."""
        return LogFigure(value=self.value + other.value, half_step=self.half_step + other.half_step, line=self.line)


@dataclass(frozen=True, kw_only=True)
class LoggedCache:
    """One cache of llama.cpp: cells of one stream, streams, layers and MiB."""

    cells: int
    streams: int
    layers: int
    mib: LogFigure
    key_type: str
    value_type: str


@dataclass(frozen=True, kw_only=True)
class ServerLog:
    """One start of a server. figures are bytes ('..._bytes') or counts; settings are what the server says it was
    started with, in the engine's own job keys."""

    engine: str  # an id of core.engines.face
    version: str = ""  # '0.19.0'; empty where no line says it
    model: str = ""  # the repository or folder that it was started with, as printed
    figures: Mapping[str, LogFigure] = field(default_factory=dict)
    settings: Mapping[str, object] = field(default_factory=dict)
    caches: tuple[LoggedCache, ...] = ()

    def figure(self, name: str) -> LogFigure | None:
        return self.figures.get(name)
