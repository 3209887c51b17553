"""Headroom's version, as the page, the exports and pyproject.toml say it."""

VERSION = "0.2.0"
