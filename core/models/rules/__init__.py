"""The rules that turn a config.json into layers: one file per concern, `reader` puts them together."""
