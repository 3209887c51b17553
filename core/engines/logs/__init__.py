"""What a server printed at its start: figures by name, read from a pasted log of vLLM, SGLang or llama.cpp.

Only known lines are looked for, by a word of theirs that is found at C speed, so a log of 10 MB takes what a short one
does; every other line is ignored, and nothing is kept.
"""

from core.engines.logs.figures import LogError, LogFigure, ServerLog
from core.engines.logs.reader import MOST_CHARACTERS, read_log

__all__ = ["MOST_CHARACTERS", "LogError", "LogFigure", "ServerLog", "read_log"]
