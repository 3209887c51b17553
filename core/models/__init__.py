"""How a model attends: a config.json, or any file that says it, in, a ModelSpec out."""
