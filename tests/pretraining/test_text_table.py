"""Vectors of names: alike when spelled alike, the same everywhere, and an encoder's when one is given."""

import json
import subprocess
import sys
import types

import pytest
import torch

from skysense_nb.errors import EnvironmentProblem, SampleError
from skysense_nb.pretraining.text_table import clip_text_encoder, text_table

RELATED = [
    ("building", "residential building"),
    ("broadleaf forest", "conifer forest"),
    ("shrub", "shrubland"),
    ("car park", "amenity=car_park"),
    ("runway", "runways"),
    ("industrial", "industrial area"),
]


def test_related_names_are_closer_than_any_unrelated_ones():
    names = [name for pair in RELATED for name in pair]
    likeness = text_table(names) @ text_table(names).T
    related = [float(likeness[2 * i, 2 * i + 1]) for i in range(len(RELATED))]
    unrelated = [float(likeness[i, j]) for i in range(len(names)) for j in range(len(names)) if i // 2 != j // 2]
    assert min(related) > 0.35 > max(unrelated)


def test_unrelated_names_are_nearly_orthogonal_and_all_have_length_one():
    names = ["water", "beach", "grassland", "orchard", "vineyard", "quay", "solar farm", "road", "building"]
    table = text_table(names)
    assert table.shape == (9, 512)
    assert torch.allclose(table.norm(dim=1), torch.ones(9))
    assert (table @ table.T - torch.eye(9)).abs().max() < 0.3


def test_a_long_word_does_not_drown_a_short_one():
    table = text_table(["road", "industrialisation", "road industrialisation"])
    assert table[2] @ table[0] > 0.6 and table[2] @ table[1] > 0.6


def test_a_name_has_one_vector_whatever_its_company_case_and_marks():
    alone = text_table(["car park"])[0]
    assert torch.allclose(text_table(["water", "Car_Park"])[1], alone)
    assert text_table(["car park"], width=64).shape == (1, 64)


def test_another_process_finds_the_same_vectors():
    statement = "print(text_table(['quay'])[0].nonzero().flatten().tolist())"
    program = f"from skysense_nb.pretraining.text_table import text_table; {statement}"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert json.loads(done.stdout) == text_table(["quay"])[0].nonzero().flatten().tolist()


def test_an_encoder_is_asked_once_and_its_vectors_are_normalised():
    asked = []
    table = text_table(["a", "b"], encoder=lambda names: asked.append(list(names)) or torch.tensor([[3.0, 4], [0, 2]]))
    assert asked == [["a", "b"]]
    assert torch.allclose(table, torch.tensor([[0.6, 0.8], [0.0, 1.0]]))


@pytest.mark.parametrize("vectors", [torch.ones(3, 4), torch.ones(2), torch.full((2, 4), torch.nan)])
def test_an_encoder_that_returns_something_else_is_refused(vectors):
    with pytest.raises(SampleError, match="2 finite vectors"):
        text_table(["a", "b"], encoder=lambda names: vectors)


def test_a_name_without_letters_is_refused():
    with pytest.raises(SampleError, match="got '= '"):
        text_table(["water", "= "])


def test_clip_without_transformers_says_what_to_do(monkeypatch):
    monkeypatch.setitem(sys.modules, "transformers", None)
    with pytest.raises(EnvironmentProblem, match="Install transformers"):
        clip_text_encoder("anything")


def test_clip_reads_sentences_about_the_names(monkeypatch):
    seen = []

    class Model:
        def eval(self):
            return self

        def __call__(self, input_ids):
            return types.SimpleNamespace(text_embeds=input_ids.float())

    def tokenizer(sentences, padding, return_tensors):
        seen.extend(sentences)
        return {"input_ids": torch.tensor([[len(sentence), 1] for sentence in sentences])}

    fake = types.SimpleNamespace(
        AutoTokenizer=types.SimpleNamespace(from_pretrained=lambda name: tokenizer),
        CLIPTextModelWithProjection=types.SimpleNamespace(from_pretrained=lambda name: Model()),
    )
    monkeypatch.setitem(sys.modules, "transformers", fake)
    table = text_table(["water", "road"], encoder=clip_text_encoder("folder"))
    assert seen == ["a satellite image of water", "a satellite image of road"]
    assert table.shape == (2, 2)
