"""An executed notebook as one HTML file that needs no network: pictures inside, scripts of others left out."""

from __future__ import annotations

import copy
from pathlib import Path

import nbformat
from nbconvert import HTMLExporter

from skysense_nb.runs.alt_texts import add_alt_texts

WIDGET = "application/vnd.jupyter.widget-view+json"
WIDGET_NOTE = "*Interactive in JupyterLab; the still picture beside it shows the same.*"

PAGE = r"""
{%- extends 'lab/index.html.j2' -%}
{%- block html_head_js -%}{%- endblock -%}
{%- block jupyter_widgets -%}{%- endblock -%}
{%- block html_head_js_mermaidjs -%}{%- endblock -%}
{%- block html_head_js_mathjax -%}
{%- if resources.mathjax_url -%}
<script type="text/x-mathjax-config">
MathJax.Hub.Config({tex2jax: {inlineMath: [["$", "$"]], processEscapes: true}, messageStyle: "none"});
</script>
<script async src="{{ resources.mathjax_url }}"></script>
{%- endif -%}
{%- endblock -%}
{%- block input_group -%}
{%- if (cell.metadata.jupyter or {}).source_hidden -%}
<details>
<summary style="margin-left: var(--jp-cell-prompt-width)" class="jp-RenderedHTMLCommon">Show the code</summary>
{{ super() }}
</details>
{%- else -%}
{{ super() }}
{%- endif -%}
{%- endblock -%}
{%- macro described(picture, output, mime) -%}
{{ picture | replace("<img ", '<img alt="' ~ (output.metadata[mime].alt | escape_html) ~ '" ', 1) }}
{%- endmacro -%}
{%- block data_png -%}{{ described(super(), output, "image/png") }}{%- endblock -%}
{%- block data_jpg -%}{{ described(super(), output, "image/jpeg") }}{%- endblock -%}
{%- block data_svg -%}{{ described(super(), output, "image/svg+xml") }}{%- endblock -%}
"""

MATHJAX = HTMLExporter.mathjax_url.default_value


def write_page(notebook: nbformat.NotebookNode, path: Path) -> None:
    """Writes the HTML copy of an executed notebook.

    Widgets need their kernel and scripts from elsewhere, so a line of text stands for each. Formulas are
    set by MathJax where a network exists and stay readable as TeX where none does. Folded cells stay folded.
    Every picture says in words what it shows.
    """
    exporter = HTMLExporter(raw_template=PAGE, embed_images=True)
    exporter.mathjax_url = MATHJAX if has_formulas(notebook) else ""
    still = without_widgets(notebook)
    add_alt_texts(still.cells)
    body, _ = exporter.from_notebook_node(still, {"metadata": {"name": path.stem}})
    path.write_text(body, encoding="utf-8")


def has_formulas(notebook: nbformat.NotebookNode) -> bool:
    """Whether any text of the notebook contains TeX."""
    return any("$" in cell.source for cell in notebook.cells if cell.cell_type == "markdown")


def without_widgets(notebook: nbformat.NotebookNode) -> nbformat.NotebookNode:
    """A copy in which every widget output is the line that says where it lives."""
    still = copy.deepcopy(notebook)
    still.metadata.pop("widgets", None)
    for cell in still.cells:
        for output in cell.get("outputs", []):
            if WIDGET in output.get("data", {}):
                output.data = nbformat.from_dict({"text/markdown": WIDGET_NOTE})
    return still
