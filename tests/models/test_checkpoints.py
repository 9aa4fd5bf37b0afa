"""Every tensor is accounted for, in both forms of the published files and in our own."""

import copy
import dataclasses
import json
import pickle
import re
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from small_models import NARROW, make_sample

from skysense_nb.errors import CheckpointError
from skysense_nb.models import SkySense, checkpoints, load, save
from skysense_nb.models.geo_context import GeoContextConfig
from skysense_nb.models.matching import match
from skysense_nb.models.weight_files import recognise, rename

OFFICIAL = json.loads((Path(__file__).parents[1] / "data/parity/official_keys.json").read_text())
PREFIX = {"hr": "backbone_gep.", "s2": "backbone_s2.", "s1": "backbone_s1.", "fusion": "fusion."}
STEP = "Get the whole file; allow_missing=(…,) accepts a gap by name."


def official_keys(part):
    """Exactly the keys of a published file, its extras included."""
    name = (
        part.replace("head_s1", "head_s2")
        if part.startswith("head")
        else {"fusion": "fusion"}.get(part, f"backbone_{part}")
    )
    keys = list(OFFICIAL[f"skysense_model_{name}.pth"]["keys"])
    return keys + {"hr": ["backbone.mask_token"], "s2": ["ctpe"]}.get(part, [])


def ours(part, key):
    return rename(key, part)


@pytest.fixture(scope="module")
def source():
    torch.manual_seed(5)
    return SkySense(NARROW).eval()


@pytest.fixture(scope="module")
def separate(source):
    """Tensors of the six published files, by part, under their official keys."""
    state = source.state_dict() | {"encoders.hr.mask_token": torch.zeros(1, 1, 8)}
    parts = ("hr", "s2", "s1", "fusion", "head_s2", "head_s1")
    return {part: {key: state[ours(part, key)] for key in official_keys(part)} for part in parts}


@pytest.fixture(scope="module")
def combined(separate):
    """The same tensors in one dictionary with prefixes."""
    return {
        PREFIX.get(part, f"{part}.") + re.sub("^backbone\\.", "", key): value
        for part, tensors in separate.items()
        for key, value in tensors.items()
    }


def write(folder, separate):
    for part, tensors in separate.items():
        name = part if part.startswith("head") or part == "fusion" else f"backbone_{part}"
        torch.save(tensors, folder / f"skysense_model_{name}.pth")
    return folder


def same_output(one, other):
    with torch.no_grad():
        sample = make_sample(batch=1, cells=2)
        assert torch.allclose(one(sample).fused, other(sample).fused, rtol=1e-5, atol=1e-5)


def test_separate_files_load_whole(source, separate, tmp_path):
    model, receipt = load(NARROW, write(tmp_path, separate))
    same_output(model, source)
    assert len(receipt.matched) == len(source.state_dict()) - 48
    assert len(receipt.recomputed) == 48
    assert receipt.ignored == {"encoders.hr.mask_token": "used only by the pre-training of the published encoder"}
    assert {form for _, form, _ in receipt.files} == set(separate)
    assert "0 missing, 0 unexpected · float32 → float32" in str(receipt)


def test_combined_file_loads_whole(source, combined, tmp_path):
    torch.save({"state_dict": combined}, tmp_path / "skysense.pth")
    model, receipt = load(NARROW, tmp_path / "skysense.pth")
    same_output(model, source)
    assert receipt.files[0][1] == "combined"


def test_odd_prefixes_and_files_named_by_part(source, separate, tmp_path):
    write(tmp_path, separate)
    bare = {re.sub("^backbone\\.", "", key): value for key, value in separate["hr"].items()}
    torch.save({"model": {f"module.{key}": value for key, value in bare.items()}}, tmp_path / "any.pt")
    files = {part: tmp_path / f"skysense_model_{part}.pth" for part in ("fusion", "head_s2", "head_s1")}
    files |= {part: tmp_path / f"skysense_model_backbone_{part}.pth" for part in ("s2", "s1")}
    same_output(load(NARROW, files | {"hr": tmp_path / "any.pt"})[0], source)


def test_files_without_position_buffers_load(source, separate, tmp_path):
    lean = {key: value for key, value in separate["hr"].items() if "relative_" not in key}
    same_output(load(NARROW, write(tmp_path, separate | {"hr": lean}))[0], source)


def test_dropping_any_single_tensor_raises_and_names_it(separate, combined):
    with torch.device("meta"):
        model = SkySense(NARROW)
    whole = {rename(key, part): value for part, tensors in separate.items() for key, value in tensors.items()}
    assert whole.keys() == {rename(key, "combined") for key in combined}
    del whole["encoders.hr.mask_token"]
    assert whole.keys() == model.state_dict().keys()
    for key in whole:
        with pytest.raises(CheckpointError) as error:
            match(model, {other: value for other, value in whole.items() if other != key})
        assert key in str(error.value), key


def test_a_missing_tensor_never_hides_what_a_file_is(separate, combined):
    for part, tensors in separate.items():
        path = Path(f"skysense_model_{part}.pth")
        for gap in tensors:
            assert recognise({key: value for key, value in tensors.items() if key != gap}, path) == part
    for gap in combined:
        assert recognise({key: value for key, value in combined.items() if key != gap}, Path("x.pth")) == "combined"


@pytest.mark.parametrize(
    "part,key",
    [
        ("hr", "backbone.stages.2.blocks.11.norm3.weight"),
        ("hr", "backbone.stages.0.blocks.1.attn.w_msa.relative_coords_table"),
        ("s2", "ctpe"),
        ("s2", "patch_embed.projection.weight"),
        ("s1", "layers.23.ln2.bias"),
        ("fusion", "porj_linear.weight"),
        ("head_s1", "decoder.0.bias"),
    ],
)
def test_load_names_the_missing_tensor(part, key, separate, tmp_path):
    damaged = {name: value for name, value in separate[part].items() if name != key}
    with pytest.raises(CheckpointError) as error:
        load(NARROW, write(tmp_path, separate | {part: damaged}))
    assert ours(part, key) in str(error.value)
    assert str(error.value).endswith(STEP)


def test_missing_date_table_word_for_word_and_its_remedy(separate, tmp_path):
    damaged = {key: value for key, value in separate["s2"].items() if key != "ctpe"}
    write(tmp_path, separate | {"s2": damaged})
    with pytest.raises(CheckpointError) as error:
        load(NARROW, tmp_path)
    assert str(error.value) == (
        "Expected every tensor of the model, got no dates.table (ctpe in the Sentinel-2 file). " + STEP
    )
    model, receipt = load(NARROW, tmp_path, allow_missing=("dates.table",))
    assert receipt.filled == ["dates.table"]
    assert model.dates.table.abs().max() == 0
    assert "zeros, as you allowed: dates.table" in str(receipt)


def test_one_tensor_too_many(separate, tmp_path):
    extra = separate["fusion"] | {"layers.24.ln1.weight": torch.zeros(16)}
    write(tmp_path, separate | {"fusion": extra})
    with pytest.raises(CheckpointError) as error:
        load(NARROW, tmp_path)
    assert str(error.value) == (
        "Expected only tensors of the model, got also layers.24.ln1.weight. Leave them out by name: ignore=(…,)."
    )
    receipt = load(NARROW, tmp_path, ignore=("layers.24.",))[1]
    assert receipt.ignored["fusion.layers.24.ln1.weight"] == "left out by the caller"


def test_wrong_shape(separate, tmp_path):
    wrong = separate["s1"] | {"pos_embed": torch.zeros(1, 65, 16)}
    with pytest.raises(CheckpointError) as error:
        load(NARROW, write(tmp_path, separate | {"s1": wrong}))
    assert str(error.value) == (
        "Expected shapes of the model, got pos_embed (1, 65, 16) instead of (1, 257, 16). "
        "Load the preset these weights belong to."
    )


def test_position_buffers_of_another_window_are_refused(separate, tmp_path):
    key = "backbone.stages.0.blocks.0.attn.w_msa.relative_coords_table"
    wrong = separate["hr"] | {key: separate["hr"][key] * 2}
    with pytest.raises(CheckpointError, match="Expected position buffers of this window size"):
        load(NARROW, write(tmp_path, separate | {"hr": wrong}))


def test_a_whole_file_missing_says_which_and_how_to_go_on(separate, tmp_path):
    write(tmp_path, {part: tensors for part, tensors in separate.items() if part != "head_s1"})
    with pytest.raises(CheckpointError) as error:
        load(NARROW, tmp_path)
    assert str(error.value).endswith("Add the files of head_s1, or load fewer parts=(…).")
    model, receipt = load(NARROW, tmp_path, parts=("hr", "s2", "fusion"))
    assert model.modalities == ("hr", "s2")
    assert "s1 was not asked for" in receipt.ignored.values()


class Mischief:
    def __reduce__(self):
        return (print, ("this must never be printed",))


def test_a_pickle_of_code_is_refused_and_not_run(tmp_path, capsys):
    torch.save({"weight": Mischief()}, tmp_path / "zip.pth")
    (tmp_path / "plain.pth").write_bytes(pickle.dumps({"weight": Mischief()}))
    for name in ("zip.pth", "plain.pth"):
        with pytest.raises(CheckpointError) as error:
            load(NARROW, tmp_path / name)
        assert str(error.value) == (
            f"Expected tensors only in {name}, got an object that would run code when opened. "
            "Download the file again from the source you trust."
        )
    assert "never be printed" not in capsys.readouterr().out


def test_truncated_files(separate, tmp_path):
    torch.save(separate["fusion"], tmp_path / "whole.pth")
    save_file(separate["fusion"], tmp_path / "whole.safetensors")
    for name, kind in (("cut.pth", "torch"), ("cut.safetensors", "safetensors")):
        whole = (tmp_path / f"whole{Path(name).suffix}").read_bytes()
        for share in (0.01, 0.5, 0.999):
            (tmp_path / name).write_bytes(whole[: int(len(whole) * share)])
            with pytest.raises(CheckpointError) as error:
                load(NARROW, tmp_path / name)
            assert str(error.value).startswith(f"Expected a whole {kind} file at {name}, got "), str(error.value)


def test_empty_and_foreign_files(tmp_path):
    with pytest.raises(CheckpointError, match="got no such file. Check the path."):
        load(NARROW, tmp_path / "none.pth")
    with pytest.raises(CheckpointError, match="Expected weights files in .*, got none."):
        load(NARROW, tmp_path)
    torch.save({"conv.weight": torch.zeros(2)}, tmp_path / "foreign.pth")
    with pytest.raises(CheckpointError, match=r"Expected keys of a SkySense file, got 1 others \(conv.weight, …\)"):
        load(NARROW, tmp_path / "foreign.pth")


def test_hub_without_network(monkeypatch):
    import huggingface_hub.constants

    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)
    with pytest.raises(CheckpointError) as error:
        load(NARROW, "nobody/nothing-like-this")
    assert str(error.value) == (
        "Expected the repository nobody/nothing-like-this, got no network and no earlier download. "
        "Check the name, or pass a local path."
    )


def test_hub_folder_is_used(monkeypatch, source, separate, tmp_path):
    import huggingface_hub

    monkeypatch.setattr(huggingface_hub, "snapshot_download", lambda repository, **_: write(tmp_path, separate))
    same_output(load(NARROW, "somebody/weights")[0], source)


def test_our_own_file_carries_its_configuration(source, tmp_path):
    path = save(source, tmp_path / "mine.safetensors")
    model, receipt = load(weights=path)
    assert model.config == NARROW
    same_output(model, source)
    assert receipt.files[0][1] == "skysense-nb"
    assert model.weights == receipt.files[0][2][:12]
    with pytest.raises(CheckpointError, match="Expected weights of skysense-tiny, got weights of another size"):
        load("skysense-tiny", path)


def test_a_large_file_is_opened_at_once_and_looked_at_on_first_use(source, tmp_path, monkeypatch):
    monkeypatch.setattr(checkpoints, "LARGE", 0)
    path, sample = save(source, tmp_path / "mine.safetensors"), make_sample(batch=1, cells=2)
    model, receipt = load(weights=path)
    assert model.first_use is not None and "sha256" not in receipt.origins[0].__dict__
    model.features(sample)
    assert model.first_use is None
    same_output(load(weights=path)[0].for_inference(quiet=True), source)


@pytest.mark.parametrize("use", [lambda m, s: m.features(s), lambda m, s: m.for_inference(quiet=True)])
def test_a_damaged_large_file_is_refused_on_first_use(source, tmp_path, monkeypatch, use):
    monkeypatch.setattr(checkpoints, "LARGE", 0)
    broken = copy.deepcopy(source)
    with torch.no_grad():
        broken.fusion.cls_token[..., 3] = float("nan")
    model, _ = load(weights=save(broken, tmp_path / "broken.safetensors"))
    for _ in range(2):
        with pytest.raises(CheckpointError, match="Expected dense, finite numbers, got fusion.cls_token"):
            use(model, make_sample(batch=1, cells=2))


def test_a_checksum_of_a_file_that_is_gone_is_one_error(source, tmp_path, monkeypatch):
    monkeypatch.setattr(checkpoints, "LARGE", 0)
    path = save(source, tmp_path / "mine.safetensors")
    model, _ = load(weights=path)
    path.unlink()
    with pytest.raises(CheckpointError, match="Keep it as long as its model is used"):
        _ = model.weights


def test_saving_to_an_unwritable_place_leaves_nothing(source, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(CheckpointError, match="Expected a writable folder"):
        save(source, tmp_path / "file" / "mine.safetensors")
    assert sorted(p.name for p in tmp_path.iterdir()) == ["file"]


def test_rgb_weights_widen_to_near_infrared(source, separate, tmp_path):
    model, receipt = load(NARROW, write(tmp_path, separate), near_infrared=True)
    weight = model.encoders["hr"].patch_embed.projection.weight
    assert weight.shape[1] == 4
    assert torch.equal(weight[:, 3], weight[:, 0])
    assert receipt.widened == ["encoders.hr.patch_embed.projection.weight"]
    rgb = make_sample(batch=1, cells=2)["hr"]
    silent = torch.cat((rgb, torch.zeros_like(rgb[:, :, :1])), dim=2)
    with torch.no_grad():
        wide = model.encoders["hr"](silent[0])[-1]
        plain = source.encoders["hr"](rgb[0])[-1]
    assert torch.allclose(wide, plain, atol=1e-5)


def test_random_weights_repeat_with_the_seed_and_leave_the_generator_alone():
    torch.manual_seed(1)
    before = torch.random.get_rng_state()
    one, receipt = load("skysense-tiny", "random", seed=4)
    assert torch.equal(torch.random.get_rng_state(), before)
    assert all(
        torch.equal(a, b)
        for a, b in zip(one.parameters(), load("skysense-tiny", None, seed=4)[0].parameters(), strict=True)
    )
    assert str(receipt).startswith("Random weights, seed 4: nothing was loaded.")


def test_half_precision_file_becomes_the_dtype_asked_for(source, separate, tmp_path):
    half = {part: {k: v.half() if v.is_floating_point() else v for k, v in t.items()} for part, t in separate.items()}
    model, receipt = load(NARROW, write(tmp_path, half), dtype=torch.bfloat16)
    assert {p.dtype for p in model.parameters()} == {torch.bfloat16}
    assert receipt.dtypes == ["float16"]
    assert receipt.dtype == "bfloat16"


MEMORY = """
import sys
from skysense_nb.models import load

def held(field):
    return next(int(line.split()[1]) / 1024 for line in open("/proc/self/status") if line.startswith(field))

load("skysense-tiny", sys.argv[2])  # whatever torch imports on first use
before = held("VmRSS")
model, _ = load("skysense-small", sys.argv[1])
sum(float(p.detach().sum()) for p in model.parameters())  # touches every page
print(held("VmHWM") - before, sum(p.numel() * 4 for p in model.parameters()) / 2**20)
"""


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="reads memory figures from /proc")
def test_loading_never_holds_two_copies(tmp_path):
    paths = [save(load(name)[0], tmp_path / f"{name}.safetensors") for name in ("skysense-small", "skysense-tiny")]
    command = [sys.executable, "-c", MEMORY, *map(str, paths)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    grown, size = map(float, done.stdout.split())
    assert size > 300
    assert size * 0.9 < grown < size * 1.35


def test_a_model_in_bf16_comes_back(tmp_path):
    model, _ = load("skysense-tiny", None, seed=1, dtype=torch.bfloat16)
    back, receipt = load(weights=save(model, tmp_path / "half.safetensors"), dtype=torch.bfloat16)
    assert receipt.dtypes == ["bfloat16"]
    assert all(torch.equal(a, b) for a, b in zip(model.parameters(), back.parameters(), strict=True))


def test_geo_context_added_to_weights_without_it_knows_no_region(source, separate, tmp_path):
    config = dataclasses.replace(NARROW, context=GeoContextConfig(3, 2, 16))
    gaps = ("context.bank", "context.region_ids")
    model, receipt = load(config, write(tmp_path, separate), allow_missing=gaps)
    assert receipt.filled == list(gaps)
    assert model.context.region_ids.tolist() == [-1, -1, -1]
    assert model.context.known_regions == 0


def test_foreign_metadata_does_not_matter(source, tmp_path):
    save_file(source.state_dict(), tmp_path / "hub.safetensors", {"format": "pt"})
    assert load(NARROW, tmp_path / "hub.safetensors")[0].name == "custom"


def test_two_keys_for_one_place(separate, tmp_path):
    twice = separate["fusion"] | {"module.cls_token": separate["fusion"]["cls_token"] + 7}
    with pytest.raises(CheckpointError) as error:
        load(NARROW, write(tmp_path, separate | {"fusion": twice}))
    assert "got two for one place, cls_token and module.cls_token." in str(error.value)


@pytest.mark.parametrize(
    "change",
    [
        lambda t: t * float("nan"),
        lambda t: t.index_fill(0, torch.tensor([3]), float("inf")),
        lambda t: t.to(torch.int8),
        lambda t: t.to(torch.complex64),
        lambda t: t.to_sparse(),
    ],
    ids=["NaN", "infinity", "whole numbers", "complex", "sparse"],
)
def test_numbers_that_are_none_are_refused(change, separate, tmp_path):
    broken = separate["s1"] | {"layers.3.ln1.weight": change(separate["s1"]["layers.3.ln1.weight"])}
    with pytest.raises(CheckpointError) as error:
        load(NARROW, write(tmp_path, separate | {"s1": broken}))
    assert str(error.value) == (
        "Expected dense, finite numbers, got layers.3.ln1.weight. The file is damaged; get it again."
    )


def test_allowed_gaps_are_names_not_fragments(separate, tmp_path):
    write(tmp_path, separate | {"s2": {k: v for k, v in separate["s2"].items() if k != "ctpe"}})
    assert load(NARROW, tmp_path, allow_missing="dates.table")[1].filled == ["dates.table"]
    with pytest.raises(CheckpointError, match="Expected names of the model in allow_missing, got my dates.table note"):
        load(NARROW, tmp_path, allow_missing="my dates.table note")


def test_a_web_page_is_not_called_dangerous(tmp_path):
    (tmp_path / "missing.pth").write_text("<!DOCTYPE html><p>404")
    with pytest.raises(CheckpointError) as error:
        load(NARROW, tmp_path / "missing.pth")
    assert str(error.value).startswith("Expected tensors only in missing.pth, got something that torch did not write.")


def test_a_missing_folder_is_no_repository(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "files").mkdir()
    with pytest.raises(CheckpointError, match="Expected weights at files/none, got no such file or folder"):
        load(NARROW, "files/none")
    for path in ("./weights", "weights/"):
        with pytest.raises(CheckpointError, match="no such file"):
            load(NARROW, path)


def test_combined_file_with_the_prefix_of_the_separate_one(source, combined, tmp_path):
    renamed = {key.replace("backbone_gep.", "backbone."): value for key, value in combined.items()}
    torch.save({f"_orig_mod.module.{key}": value for key, value in renamed.items()}, tmp_path / "c.pth")
    model, receipt = load(NARROW, tmp_path / "c.pth")
    same_output(model, source)
    assert receipt.files[0][1] == "combined"


def test_near_infrared_weights_come_back_by_preset(tmp_path):
    model, _ = load("skysense-tiny", near_infrared=True)
    path = save(model, tmp_path / "nir.safetensors")
    assert load("skysense-tiny", path, near_infrared=True)[0].config.hr.in_channels == 4
