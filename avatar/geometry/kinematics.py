"""Forward kinematics of a tree of joints."""

from functools import lru_cache

import torch
from jaxtyping import Float
from torch import Tensor

from .rigid import rigid_from_parts, transform_directions
from .rotations import matrices_from_quats


def forward_kinematics(
    parents: tuple[int, ...],
    joints_rest: Float[Tensor, "*#b j 3"],
    local_quats: Float[Tensor, "*b j 4"],
    root_position_world: Float[Tensor, "*b 3"],
) -> Float[Tensor, "*b j 4 4"]:
    """``posed_from_rest`` of every joint: world metres from rest metres.

    With ``R_j`` the local rotation in model axes, ``G_j = G_parent R_j``; the head of ``j`` goes to the head of its
    parent plus ``G_parent (rest_j - rest_parent)``, the root's to ``root_position_world``;
    ``x -> G_j (x - rest_j) + head_j``.

    All joints advance together, each joining its chain to that of the ancestor where it ends, so chains double in
    length: a tree of depth 30 takes five batched products (Hillis and Steele 1986, on a tree).

    Args:
        parents: the parent of each joint, -1 for the root.
        joints_rest: joint positions at rest, metres.
        local_quats: unit ``wxyz``.
        root_position_world: where the root joint stands, metres.

    Raises:
        ValueError: if ``parents`` is not a single tree or does not fit ``joints_rest``.
    """
    if len(parents) != local_quats.shape[-2]:
        raise ValueError(f"parents: expected one for each of {local_quats.shape[-2]} joints, got {len(parents)}")
    parent_ids, rounds = _doubling_plan(parents, joints_rest.device)
    offsets = joints_rest - joints_rest.index_select(-2, parent_ids)
    is_root = (parent_ids == torch.arange(len(parents), device=parent_ids.device))[:, None]
    offsets = torch.where(is_root, root_position_world[..., None, :], offsets)
    posed = rigid_from_parts(matrices_from_quats(local_quats), offsets)
    for joints, ancestors in rounds:
        joined = posed.index_select(-3, ancestors) @ posed.index_select(-3, joints)
        posed = posed.index_copy(-3, joints, joined)
    heads = posed[..., :3, 3]
    return rigid_from_parts(posed[..., :3, :3], heads - transform_directions(posed, joints_rest))


@lru_cache(maxsize=64)
def _doubling_plan(parents: tuple[int, ...], device: torch.device) -> tuple[Tensor, tuple[tuple[Tensor, Tensor], ...]]:
    """Parent of each joint (the root its own), and round by round the joints to extend and the ancestors they join."""
    roots = [joint for joint, parent in enumerate(parents) if parent < 0]
    if len(roots) != 1 or max(parents) >= len(parents):
        raise ValueError(f"parents: expected one root (-1) and ids below {len(parents)}, got {parents}")
    rounds = []
    ancestors = dict(enumerate(parents))
    while live := [joint for joint, ancestor in ancestors.items() if ancestor >= 0]:
        rounds.append((live, [ancestors[joint] for joint in live]))
        if 2 ** len(rounds) > 2 * len(parents):
            raise ValueError(f"parents: expected a tree, got a cycle in {parents}")
        ancestors = {joint: ancestors[ancestor] if ancestor >= 0 else -1 for joint, ancestor in ancestors.items()}
    parent_ids = [joint if parent < 0 else parent for joint, parent in enumerate(parents)]
    with torch.inference_mode(False):  # the cached tensors must serve later calls that do need gradients
        tensors = [tuple(torch.tensor(ids, device=device) for ids in pair) for pair in rounds]
        return torch.tensor(parent_ids, device=device), tuple((joints, above) for joints, above in tensors)
