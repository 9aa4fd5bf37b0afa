import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell, new_output

from skysense_nb.runs.alt_texts import add_alt_texts, words_before


@pytest.mark.parametrize(
    ("prose", "words"),
    [
        ("## Look\n\nThe *left* half is `water`. The right is not.", "The left half is water."),
        ("*Read it.* Bright cells are [alike](https://a.b). More.", "Bright cells are alike."),
        ("**Read it.** Bright cells\nare alike", "Bright cells are alike"),
        ("# Only a heading", "Only a heading"),
        ("## First\n\n## Second\n\n| a | b |\n|---|---|", "Second"),
        ("- one item. And more", "one item."),
        ("At 0.5 m a car is seen. So it is.", "At 0.5 m a car is seen."),
        ("![](a.png)", "made by this notebook"),
        ("***", "made by this notebook"),
        ("# Cloud\n\n***\n\nBright is cloud.", "Bright is cloud."),
    ],
)
def test_the_first_sentence_of_the_prose_before(prose, words):
    cells = [new_markdown_cell("Far away."), new_markdown_cell(prose), new_code_cell("a = 1"), new_code_cell("draw()")]
    assert words_before(cells, 3) == words


def test_a_notebook_without_prose_still_says_something():
    assert words_before([new_code_cell("draw()")], 0) == "made by this notebook"


def test_pictures_alone_get_a_text_and_keep_their_own():
    picture = new_output("display_data", {"image/png": "AA==", "text/plain": "x"}, metadata={"image/png": {"width": 5}})
    told = new_output("display_data", {"image/png": "AA=="}, metadata={"image/png": {"alt": "Mine."}})
    table = new_output("display_data", {"text/html": "<p>"})
    error = new_output("error", ename="E", evalue="", traceback=[])
    cells = [new_markdown_cell("Water."), new_code_cell("draw()", outputs=[picture, told, table, error])]
    add_alt_texts(cells)
    assert picture.metadata == {"image/png": {"width": 5, "alt": "Figure: Water."}}
    assert told.metadata == {"image/png": {"alt": "Mine."}} and table.metadata == {}
