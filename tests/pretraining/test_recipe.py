"""Recipes come from files as they were written, or say what is wrong."""

from dataclasses import asdict

import pytest

from skysense_nb.errors import ParameterError
from skysense_nb.pretraining import CropPlan, Recipe, Terms, read_recipe
from skysense_nb.pretraining.recipe import make_recipe


def test_a_recipe_survives_its_plain_form():
    recipe = Recipe(steps=7, views=CropPlan(blur=(0, 0, 0.5)), terms=Terms(text=0.3), teacher_temperature=(0.05, 0.06))
    assert make_recipe(asdict(recipe)) == recipe


def test_a_file_gives_values_and_changes_win(tmp_path):
    path = tmp_path / "recipe.yaml"
    path.write_text("preset: skysense-v2-tiny\nsteps: 9\nterms: {alignment: 0, queries: 1}\nviews: {global_cells: 6}\n")
    recipe = read_recipe(path, steps=5)
    assert (recipe.preset, recipe.steps, recipe.terms.queries, recipe.views.global_cells) == (
        "skysense-v2-tiny", 5, 1.0, 6,
    )  # fmt: skip
    assert recipe.batch == Recipe().batch


@pytest.mark.parametrize(
    "text,message",
    [
        ("step: 3", "got step: Unexpected keyword argument"),
        ("views: {crop: 3}", "got views.crop: Unexpected keyword argument"),
        ("terms: {pixel: much}", "got terms.pixel: Input should be a valid number"),
        ("steps: [", "Expected YAML in"),
        ("- steps: 3", "Expected names with values in"),
    ],
)
def test_a_wrong_file_is_named(tmp_path, text, message):
    (tmp_path / "recipe.yaml").write_text(text)
    with pytest.raises(ParameterError) as error:
        read_recipe(tmp_path / "recipe.yaml")
    assert message in str(error.value)


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(ParameterError, match="got no such file"):
        read_recipe(tmp_path / "none.yaml")
    with pytest.raises(ParameterError, match="got is a directory"):
        read_recipe(tmp_path)
    (tmp_path / "picture.png").write_bytes(b"\x89PNG")
    with pytest.raises(ParameterError, match="got no text"):
        read_recipe(tmp_path / "picture.png")


@pytest.mark.parametrize(
    "values,message",
    [
        ({"steps": 0}, "got steps=0"),
        ({"batch": 3, "accumulate": 2}, "got 3 in 2 parts"),
        ({"precision": "int8"}, "Expected precision fp32 or bf16, got 'int8'"),
        ({"terms": Terms(0, 0, 0, 0)}, "Expected a term with a weight above 0"),
    ],
)
def test_impossible_recipes_are_refused(values, message):
    with pytest.raises(ParameterError) as error:
        Recipe(**values)
    assert message in str(error.value)
