import pytest
import yaml

from skysense_nb.errors import ParameterError
from skysense_nb.runs.parameters import check_parameters, declared, parse

LISTED = (
    "seed: int = 0; rate: float = 0.5; preset: str = 'tiny#1'; bands: list[str] = ['B2', 'B3']; "
    "limit: float | None = None; flag: bool = True"
)


def test_declared_reads_types_defaults_and_comments(make_notebook):
    known = declared(make_notebook())
    assert "; ".join(map(str, known.values())) == LISTED
    assert known["rate"].help == "learning # rate"
    assert known["bands"].help == ""


def test_the_cell_is_parsed_and_never_executed(make_notebook, tmp_path):
    path = make_notebook(parameters=f"open({str(tmp_path / 'made')!r}, 'w')")
    with pytest.raises(ParameterError, match="only lines like `seed: int = 0`"):
        declared(path)
    assert not (tmp_path / "made").exists()


def test_an_annotation_beyond_literals_is_refused(make_notebook):
    with pytest.raises(ParameterError, match="got 'set\\[int\\]'"):
        parse(make_notebook(parameters="codes: set[int] = 0"), ["codes=1"])


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("seed=3", 3),
        ("rate=1e-3", 0.001),
        ("rate=2", 2.0),
        ("preset=7", "7"),
        ("preset=a=b", "a=b"),
        ("bands=[B4, B8]", ["B4", "B8"]),
        ("limit=none", None),
        ("limit=None", None),
        ("limit=0.25", 0.25),
        ("flag=false", False),
        ("flag=0", False),
    ],
)
def test_text_is_read_as_the_declared_type(make_notebook, text, value):
    (got,) = parse(make_notebook(), [text]).values()
    assert got == value
    assert type(got) is type(value)


@pytest.mark.parametrize(
    "text", ["seed=three", "seed=2024-02-30", "seed=1.5", "seed=true", "rate=high", "bands=B2", "flag=maybe", "seed=[1"]
)
def test_text_of_another_type_is_refused(make_notebook, text):
    name, value = text.split("=")
    with pytest.raises(ParameterError, match=f"^Expected {name} as .*, got '{value.replace('[', '.')}' "):
        parse(make_notebook(), [text])


def test_wrong_type_message(make_notebook):
    with pytest.raises(ParameterError) as caught:
        check_parameters(make_notebook(), {"seed": "3"})
    assert str(caught.value) == "Expected seed as int, got '3' (str). Its default is 0."


def test_a_flag_is_no_number(make_notebook):
    with pytest.raises(ParameterError, match="Expected seed as int, got True"):
        check_parameters(make_notebook(), {"seed": True})


def test_unknown_name_lists_what_exists(make_notebook):
    with pytest.raises(ParameterError) as caught:
        check_parameters(make_notebook(), {"sead": 3})
    assert str(caught.value) == f"Expected a parameter of 07_small ({LISTED}), got 'sead'. Did you mean 'seed'?"


def test_defaults_stay_where_nothing_is_given(make_notebook):
    complete = check_parameters(make_notebook(), {"seed": 4})
    assert complete == {
        "seed": 4,
        "rate": 0.5,
        "preset": "tiny#1",
        "bands": ["B2", "B3"],
        "limit": None,
        "flag": True,
    }


def test_a_whole_number_for_a_decimal_one_is_the_same_run(make_notebook):
    notebook = make_notebook()
    one, other = (check_parameters(notebook, {"rate": rate, "limit": rate}) for rate in (1, 1.0))
    assert repr(one) == repr(other)


@pytest.mark.parametrize(
    ("annotation", "text"),
    [
        ("list", "[2024-01-01]"),
        ("dict", "{1: 2, a: 3}"),
        ("float", "inf"),
        ("float", ".inf"),
        ("float | None", "nan"),
        ("list[float]", "[1.0, -.inf]"),
    ],
)
def test_what_a_record_cannot_hold_is_refused(make_notebook, annotation, text):
    notebook = make_notebook(parameters=f"when: {annotation} = None")
    with pytest.raises(ParameterError, match="Expected when as texts, finite numbers, .*which a record cannot hold"):
        parse(notebook, [f"when={text}"])
    given = declared(notebook)["when"].as_declared(yaml.safe_load(text), strict=False)
    with pytest.raises(ParameterError, match="which a record cannot hold"):
        check_parameters(notebook, {"when": given})


def test_yaml_file_and_command_line_where_the_latter_wins(make_notebook, tmp_path):
    (tmp_path / "p.yaml").write_text("seed: 1\nrate: 1e-4\nbands: [B8]\n")
    assert parse(make_notebook(), ["seed=2"], tmp_path / "p.yaml") == {"seed": 2, "rate": 0.0001, "bands": ["B8"]}


@pytest.mark.parametrize(
    ("content", "got"),
    [("- 1\n", "list"), ("", "NoneType"), ("a: [", "while parsing"), ("preset: 2024-02-30", "day .*")],
)
def test_a_yaml_file_that_is_no_mapping(make_notebook, tmp_path, content, got):
    (tmp_path / "p.yaml").write_text(content)
    with pytest.raises(ParameterError, match=f"p.yaml, got {got}"):
        parse(make_notebook(), [], tmp_path / "p.yaml")


def test_an_assignment_without_a_value(make_notebook):
    with pytest.raises(ParameterError) as caught:
        parse(make_notebook(), ["seed"])
    assert str(caught.value) == "Expected a parameter as name=value, got 'seed'. Write for example -p seed=1."
