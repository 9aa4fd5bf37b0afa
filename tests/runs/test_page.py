import re

import nbformat
from bs4 import BeautifulSoup
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output

from skysense_nb.runs.page import WIDGET, WIDGET_NOTE, write_page

ASKS_ELSEWHERE = r"<(?:script|img|link|iframe)[^>]+(?:src|href)=[\"']?(?:https?:)?//[^\"'> ]+"


def page(tmp_path, *cells, **metadata) -> str:
    write_page(new_notebook(cells=list(cells), metadata=metadata), tmp_path / "page.html")
    return (tmp_path / "page.html").read_text()


def test_a_page_without_formulas_asks_nobody_for_anything(tmp_path):
    html = page(tmp_path, new_markdown_cell("# Title"), new_code_cell("1"))
    assert not re.findall(ASKS_ELSEWHERE, html)
    assert 'src=""' not in html


def test_formulas_bring_one_script_that_does_not_hold_the_page_up(tmp_path):
    html = page(tmp_path, new_markdown_cell("The loss is $a^2$."))
    assert len(re.findall(ASKS_ELSEWHERE, html)) == 1
    assert re.search(r"<script async(=\"\")? src=\"https://[^\"]+mathjax", html)
    assert "$a^2$" in html


def test_pictures_beside_the_notebook_move_into_the_page(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "dot.png").write_bytes(b"\x89PNG\r\n\x1a\n")
    html = page(tmp_path, new_markdown_cell("![dot](dot.png)"))
    assert 'src="data:image/png;base64,' in html and 'src="dot.png"' not in html


def test_a_widget_becomes_a_line_and_the_notebook_keeps_it(tmp_path):
    view = new_output("display_data", data={WIDGET: {"model_id": "0"}, "text/plain": "IntSlider()"})
    cell = new_code_cell("slider", outputs=[view])
    notebook = new_notebook(cells=[cell], metadata={"widgets": {"state": {}}})
    before = nbformat.writes(notebook)
    write_page(notebook, tmp_path / "page.html")
    html = (tmp_path / "page.html").read_text()
    assert WIDGET_NOTE.strip("*") in html
    assert "IntSlider()" not in html and WIDGET not in html
    assert nbformat.writes(notebook) == before


def test_every_picture_says_what_it_shows(tmp_path):
    """The figure's own text first, else the prose before it; whatever it holds stays text."""
    told = new_output("display_data", {"image/png": "AA=="}, metadata={"image/png": {"alt": 'Water "<b>" left.'}})
    silent = [new_output("display_data", {mime: "AA=="}) for mime in ("image/png", "image/jpeg", "image/svg+xml")]
    cells = [new_markdown_cell("Fields *turn* green. Then brown."), new_code_cell("draw()", outputs=[told, *silent])]
    notebook = new_notebook(cells=cells)
    before = nbformat.writes(notebook)
    write_page(notebook, tmp_path / "page.html")
    images = BeautifulSoup((tmp_path / "page.html").read_text(), "html.parser").select("img")
    assert [image["alt"] for image in images] == ['Water "<b>" left.', *["Figure: Fields turn green."] * 3]
    assert nbformat.writes(notebook) == before


def test_folded_cells_stay_folded_and_show_their_result(tmp_path):
    result = new_output("execute_result", data={"text/plain": "42"})
    folded = new_code_cell("6 * 7", metadata={"jupyter": {"source_hidden": True}}, outputs=[result])
    html = page(tmp_path, new_code_cell("1"), folded)
    assert html.count("<details>") == 1
    assert "42" not in html[html.index("<details>") : html.index("</details>")]
    assert html.index("42", html.index("</details>")) > 0
