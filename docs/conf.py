"""Sphinx settings: Markdown pages, the furo theme; `make docs` treats every warning as an error."""

from __future__ import annotations

project = "potrio"
extensions = ["myst_parser"]
html_theme = "furo"
html_title = "potrio"
exclude_patterns = ["_build"]
nitpicky = True
myst_heading_anchors = 3
