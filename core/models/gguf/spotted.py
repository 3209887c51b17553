"""Whether a text is what gguf-dump prints: asked of every file, so apart from the reader of such texts."""

LOOKED_AT = 400  # characters that give a dump away


def looks_like_dump(text: str) -> bool:
    """Whether gguf-dump wrote it: its first lines, or its JSON's keys."""
    start = text.lstrip()[:LOOKED_AT]
    return start.startswith(("* File is", "* Dumping", "INFO:gguf-dump")) or (
        start.startswith("{") and '"metadata"' in start and '"endian"' in start
    )
