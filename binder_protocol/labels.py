"""Labels of images, and of what runs of them, that one service writes and another reads."""

from __future__ import annotations

PREFIX = "org.binder."
"""Of every label of Binder's own; nobody else's may begin so."""

APPLICATION, TEMPLATE = "org.binder.application", "org.binder.template"
"""Of what runs: its application's id, and the name of the template."""

APP = "org.binder.app"
"""Of images, and of what runs: the kind of application, `JUPYTER` or `OTHER`."""

JUPYTER, OTHER = "jupyter", "other"
