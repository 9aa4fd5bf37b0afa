"""A chart or image in the page that is drawn anew."""

from __future__ import annotations

import base64
import io
from html import escape

import ipywidgets as widgets
from matplotlib.figure import Figure

from skysense_nb.views import describe


class Picture(widgets.HTML):
    """Shows one matplotlib figure at a time, with its description for readers who do not see it."""

    def draw(self, figure: Figure, dots_per_inch: int = 80) -> None:
        """Puts a figure in place of the last one."""
        buffer = io.BytesIO()
        figure.savefig(buffer, format="png", dpi=dots_per_inch, facecolor="white")
        url = "data:image/png;base64," + base64.b64encode(buffer.getvalue()).decode()
        self.value = f'<img alt="{escape(describe(figure))}" src="{url}">'
