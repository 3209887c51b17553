"""The reader under its first name; core.api has the public names, core.models.spec the code."""

from core.models.spec import (
    DeclaredHeads,
    ModelDimensions,
    ModelSpec,
    Provenance,
    UnsupportedConfig,
    deciding_lines,
    load_config,
    read_config,
)

__all__ = [
    "DeclaredHeads",
    "ModelDimensions",
    "ModelSpec",
    "Provenance",
    "UnsupportedConfig",
    "deciding_lines",
    "load_config",
    "read_config",
]
