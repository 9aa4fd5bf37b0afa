import base64
import io

import numpy as np
import pytest
from PIL import Image

from skysense_nb.runs.thumbnail import EDGE, LIMIT, shrink, thumbnail


def stored(picture: Image.Image, form: str = "PNG") -> str:
    file = io.BytesIO()
    picture.save(file, form)
    return base64.b64encode(file.getvalue()).decode()


def cell(**data) -> dict:
    outputs = [{"data": {mime.replace("_", "/"): content}} for mime, content in data.items()]
    return {"cell_type": "code", "source": "", "outputs": outputs}


@pytest.mark.parametrize(("size", "small"), [((960, 240), (480, 120)), ((300, 1200), (120, 480)), ((40, 30), (40, 30))])
def test_shape_is_kept_and_nothing_grows(size, small):
    jpeg, found = shrink(Image.new("RGB", size))
    assert found == small == Image.open(io.BytesIO(jpeg)).size and max(small) <= EDGE


def test_noise_stays_below_the_limit_and_a_plain_figure_is_sharp():
    noise = np.random.default_rng(0).integers(0, 256, (600, 600, 3), np.uint8)
    assert len(shrink(Image.fromarray(noise))[0]) <= LIMIT
    line = np.full((100, 100, 3), 255, np.uint8)
    line[50] = 0
    kept = np.asarray(Image.open(io.BytesIO(shrink(Image.fromarray(line))[0])).convert("L"))
    assert kept[50].max() < 40 and kept[40].min() > 215


def test_what_is_transparent_becomes_white():
    jpeg, _ = shrink(Image.new("RGBA", (20, 20), (0, 0, 0, 0)))
    assert np.asarray(Image.open(io.BytesIO(jpeg))).min() > 250


def test_the_first_picture_that_can_be_read():
    red, blue = stored(Image.new("RGB", (9, 9), "red"), "JPEG"), stored(Image.new("RGB", (9, 9), "blue"))
    prose = {"cell_type": "markdown", "source": "Look."}
    found = thumbnail([prose, cell(text_plain="1", image_png="AA=="), cell(image_jpeg=red), cell(image_png=blue)])
    pixel = Image.open(io.BytesIO(base64.b64decode(found.url.partition(",")[2]))).getpixel((4, 4))
    assert pixel[0] > 240 > 20 > pixel[2] and found.alt == "Figure: Look."
    assert thumbnail([prose, cell(text_plain="1", image_png="AA==")]) is None
