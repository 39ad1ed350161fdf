"""The user's files of the SMPL family: every form of them gives the same body, and nothing in them runs."""

import os
import pickletools
import random
from importlib import import_module
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.numpy import load_file

from avatar.body import add_body, body_path, installed_bodies, load_body


@pytest.mark.parametrize(("protocol", "is_python2"), [*((number, 0) for number in range(6)), (0, 1), (1, 1), (2, 1)])
def test_pickles_of_every_protocol_are_the_npz(
    cache: Path, small: SimpleNamespace, tmp_path: Path, protocol: int, is_python2: int
) -> None:
    arrays = small.arrays("smpl")
    expected = add_body(small.write_npz(tmp_path / "SMPL_NEUTRAL.npz", arrays))
    path = tmp_path / "basicmodel_m_lbs_10_207_0_v1.0.0.pkl"
    rig = add_body(small.write_pickle(path, arrays, protocol, bool(is_python2)))
    assert (expected, rig) == ("smpl_neutral", "smpl_male")
    assert set(installed_bodies()) == {"smpl_neutral", "smpl_male"}
    found = load_file(body_path(rig))
    for name, array in load_file(body_path(expected)).items():
        np.testing.assert_array_equal(found[name], array, err_msg=name)


def test_the_pickles_are_what_python_2_and_chumpy_wrote(small: SimpleNamespace, tmp_path: Path) -> None:
    """The files of the test above hold the opcodes and names of the published ones."""
    data = small.write_pickle(tmp_path / "a.pkl", small.arrays("smpl"), 0, True).read_bytes()
    opcodes = {data[at : at + 1] for at in (data.index(b"S'v_template'"), data.index(b"ccopy_reg\n_reconstructor\n"))}
    assert opcodes == {b"S", b"c"}
    for name in (b"cchumpy.ch\nCh\n", b"cchumpy.reordering\nSelect\n", b"cscipy.sparse.csc\ncsc_matrix\n"):
        assert name in data
    newer = small.write_pickle(tmp_path / "a.pkl", small.arrays("smpl"), 2, True).read_bytes()
    names = {argument for opcode, argument, _ in pickletools.genops(newer) if opcode.name == "GLOBAL"}
    assert names == {
        *("chumpy.ch Ch", "chumpy.reordering Select", "scipy.sparse.csc csc_matrix", "__builtin__ set"),
        *("numpy.core.multiarray _reconstruct", "numpy ndarray", "numpy dtype"),
    }


def test_the_verb_brings_and_lists(
    cache: Path, small: SimpleNamespace, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assets = import_module("avatar.tools.assets")
    assets.run(assets.AssetsCommand(action="list"))
    assert "none brought (avatar assets add-body FILE)" in capsys.readouterr().out
    file = small.write_npz(tmp_path / "SMPLX_FEMALE.npz", small.arrays("smplx"))
    assets.run(assets.AssetsCommand(action="add-body", name=str(file)))
    assert f"smplx_female: {body_path('smplx_female')}" in capsys.readouterr().out
    assets.run(assets.AssetsCommand(action="list"))
    assert f"bodies in {cache / 'bodies'}: smplx_female" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("name", "rig"),
    [
        ("SMPL_FEMALE.npz", "smpl_female"),
        ("basicModel_f_lbs_10_207_0_v1.0.0.npz", "smpl_female"),
        ("basicmodel_neutral_lbs_10_207_0_v1.0.0.npz", "smpl_neutral"),
        ("male/model.npz", "smpl_male"),
        ("female/male.npz", "smpl_male"),
    ],
)
def test_names_say_the_gender(cache: Path, small: SimpleNamespace, tmp_path: Path, name: str, rig: str) -> None:
    assert add_body(small.write_npz(tmp_path / name, small.arrays("smpl"))) == rig


def test_a_name_that_says_nothing_needs_the_gender(cache: Path, small: SimpleNamespace, tmp_path: Path) -> None:
    path = small.write_npz(tmp_path / "bodies" / "model.npz", small.arrays("smplx"))
    with pytest.raises(ValueError, match=r"model\.npz: expected a name with neutral, female or male .* --gender"):
        add_body(path)
    assert add_body(path, "female") == "smplx_female"


def test_old_names_and_other_orders_are_the_same_body(cache: Path, small: SimpleNamespace, tmp_path: Path) -> None:
    arrays = small.arrays("smpl")
    add_body(small.write_npz(tmp_path / "a_neutral.npz", arrays))
    old = {**arrays, "default_v": arrays.pop("v_template"), "weights": np.asfortranarray(arrays["weights"])}
    del old["v_template"]
    rig = add_body(small.write_npz(tmp_path / "a_male.npz", old))
    for name, array in load_file(body_path("smpl_neutral")).items():
        np.testing.assert_array_equal(load_file(body_path(rig))[name], array)


def test_expressions_begin_after_ten_betas_or_300(cache: Path, small: SimpleNamespace, tmp_path: Path) -> None:
    arrays = small.arrays("smplx")
    arrays["shapedirs"] = np.zeros((len(arrays["v_template"]), 3, 400))
    add_body(small.write_npz(tmp_path / "a_neutral.npz", arrays))
    names = load_body("smplx_neutral").shape_space.names
    assert (names[299], names[300], names[-1]) == ("beta_299", "expression_0", "expression_99")


def test_a_body_brought_again_is_read_again(cache: Path, small: SimpleNamespace, tmp_path: Path) -> None:
    arrays = small.arrays("smpl")
    add_body(small.write_npz(tmp_path / "a_neutral.npz", arrays))
    before = load_body("smpl_neutral")
    assert load_body("smpl_neutral") is before
    add_body(small.write_npz(tmp_path / "a_neutral.npz", {**arrays, "v_template": 2 * arrays["v_template"]}))
    os.utime(body_path("smpl_neutral"), ns=(0, 0))
    assert float(load_body("smpl_neutral").joints.base[0, 2]) == pytest.approx(-0.48, abs=1e-6)


def test_a_body_that_is_not_there_says_what_to_do(cache: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"smplx_male is not here; .* avatar assets add-body FILE"):
        load_body("smplx_male")
    with pytest.raises(ValueError, match="rig: expected one of anny, cmu_mb, smpl_neutral"):
        load_body("smpl")


BROKEN: dict[str, tuple[dict[str, Any], str]] = {
    "no template": ({"v_template": None}, "found no v_template; is it a body model"),
    "sixteen joints": ({"weights": np.ones((144, 16)) / 16}, r"weights: expected 24 \(SMPL\), 52"),
    "weights": ({"weights": np.ones((144, 24))}, "weights: expected rows of a sum of one, got sums from 24"),
    "vertices": ({"v_template": np.zeros((143, 3))}, r"shapedirs: expected numbers of shape \(143, 3, any\)"),
    "posedirs": ({"posedirs": np.zeros((144, 3, 206))}, r"posedirs: expected numbers of shape \(144, 3, 207\)"),
    "faces": ({"f": np.full((9, 3), 144)}, "f: expected indices below 144, got 144 to 144"),
    "real faces": ({"f": np.zeros((9, 3))}, "f: expected three indices a triangle, got float64"),
    "tree": ({"kintree_table": np.zeros((2, 24))}, "kintree_table: expected the parents of smpl"),
    "NaN": ({"J_regressor": np.full((24, 144), np.nan)}, "J_regressor: expected finite numbers"),
    "text": ({"shapedirs": np.array("x")}, "shapedirs: expected numbers of shape"),
    "objects": ({"shapedirs": np.array([None])}, "Python objects, which are not read"),
}


@pytest.mark.parametrize("name", BROKEN)
def test_what_is_no_body_model_is_refused(cache: Path, small: SimpleNamespace, tmp_path: Path, name: str) -> None:
    changes, problem = BROKEN[name]
    arrays = {key: array for key, array in {**small.arrays("smpl"), **changes}.items() if array is not None}
    with pytest.raises(ValueError, match=rf"SMPL_MALE\.npz: .*{problem}") as caught:
        add_body(small.write_npz(tmp_path / "SMPL_MALE.npz", arrays))
    assert "\n" not in str(caught.value)
    assert not installed_bodies()


def test_pickles_that_want_to_run_code_are_refused(
    cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "SMPL_MALE.pkl"
    for program in (
        b"cos\nsystem\n(S'touch marker'\ntR.",
        b"(dS'v_template'\ncbuiltins\neval\n(S'open(\"marker\", \"w\")'\ntRs.",
        b"\x80\x02}U\x0av_templatecchumpy.ch\nCh\n)\x81}(U\x01xcos\nsystem\nU\x0ctouch marker\x85Rubs.",
        b"\x80\x04}\x8c\x01f\x8c\x08chumpy.c\x8c\x09os.system\x93s.",
    ):
        path.write_bytes(program)
        with pytest.raises(ValueError, match=r"SMPL_MALE\.pkl: is neither .* which could run code"):
            add_body(path)
    assert os.listdir(tmp_path) == ["SMPL_MALE.pkl"]


def test_objects_that_do_not_fit_are_refused(cache: Path, tmp_path: Path) -> None:
    path = tmp_path / "SMPL_MALE.pkl"
    for held, problem in {
        b"cchumpy.ch\nCh\n)\x81": "expected an array, got chumpy.ch Ch",
        b"cchumpy.ch\nCh\n)\x81q\x07}U\x01xh\x07sb": "expected an array, got chumpy.ch Ch",
        b"cchumpy.reordering\nTranspose\n)\x81": "got chumpy.reordering Transpose, which is not read",
        b"cscipy.sparse.csc\ncsc_matrix\n)\x81": "expected a sparse matrix of known size",
        b"cscipy.sparse.csc\ncsc_matrix\n)\x81}U\x06_shapeJ\xff\xff\xff\x7fJ\xff\xff\xff\x7f\x86sb": "of known size",
        b"cscipy.sparse.csc\ncsc_matrix\n)\x81}U\x06_shapeK\x03K\x04\x86sb": "parts that do not fit together",
        b"K\x01": "expected an array, got int",
    }.items():
        path.write_bytes(b"\x80\x02}U\x01f" + held + b"s.")
        with pytest.raises(ValueError, match=f"SMPL_MALE.pkl: .*{problem}"):
            add_body(path)


@pytest.mark.parametrize("form", ["npz", "pkl0", "pkl2"])
def test_damaged_files_end_in_one_line_or_in_a_body(
    cache: Path, small: SimpleNamespace, tmp_path: Path, form: str
) -> None:
    arrays = small.arrays("smpl")
    arrays["posedirs"], arrays["shapedirs"] = np.round(arrays["posedirs"], 1), arrays["shapedirs"][..., :2]
    path = tmp_path / f"SMPL_MALE.{form[:3]}"
    small.write_npz(path, arrays) if form == "npz" else small.write_pickle(path, arrays, int(form[3]), True)
    whole, chance = path.read_bytes(), random.Random(0)
    for _ in range(70):
        damaged = bytearray(whole)
        for _ in range(chance.choice((1, 3, 30))):
            at = chance.randrange(len(damaged)) if chance.random() < 0.5 else chance.randrange(min(3000, len(damaged)))
            damaged[at] = chance.choice((0, 0x2E, 0x52, 0xFF, chance.randrange(256)))
        path.write_bytes(damaged[: chance.choice((len(damaged), chance.randrange(len(damaged))))])
        problem = problem_of(path)
        assert problem is None or (problem.startswith(f"{path}: ") and "\n" not in problem)


def problem_of(path: Path) -> str | None:
    """What is said of a file, if anything."""
    try:
        add_body(path)
    except ValueError as error:
        return str(error)
    return None


def test_every_triangle_has_texture_of_its_own(cache: Path, small: SimpleNamespace, tmp_path: Path) -> None:
    """Where the file has no texture coordinates, as SMPL's have none: no point of the texture is in two triangles."""
    add_body(small.write_npz(tmp_path / "a_neutral.npz", small.arrays("smpl")))
    rig = load_body("smpl_neutral").rig
    triangles = rig.uv[rig.uv_faces]
    assert triangles.shape == (len(rig.faces), 3, 2)
    assert float(rig.uv.min()) > 0
    assert float(rig.uv.max()) < 1
    first, second, third = triangles.unbind(1)
    along, across = second - first, third - first
    areas = along[:, 0] * across[:, 1] - along[:, 1] * across[:, 0]
    assert float(areas.min()) > 0, "none is mirrored"
    places = torch.rand(2000, 2, generator=torch.Generator().manual_seed(0))
    corners = triangles[:, None], triangles.roll(-1, 1)[:, None]
    edges, to_places = corners[1] - corners[0], places[None, :, None] - corners[0]
    is_inside = (edges[..., 0] * to_places[..., 1] - edges[..., 1] * to_places[..., 0] > 0).all(-1)
    assert int(is_inside.sum(0).max()) == 1
    assert 0.5 < float(is_inside.any(0).float().mean()) < 0.8
