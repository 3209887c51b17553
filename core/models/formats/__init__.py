"""Files of other tools that say how a model attends: one small module a format, each found by its own keys."""
