"""Files that avatar may not ship and fetches once, on request, into the user's cache: nothing is believed before its
SHA-256 has matched the one written here."""

from .cache import cache_folder
from .demo import DEMO_FILES, demo_path, fetch_demo
from .lpips import LPIPS_PICKLES, LpipsNet, fetch_lpips, lpips_path
from .pose import POSE_FILES, PoseModel, fetch_pose, pose_path

__all__ = [
    "DEMO_FILES",
    "LPIPS_PICKLES",
    "POSE_FILES",
    "LpipsNet",
    "PoseModel",
    "cache_folder",
    "demo_path",
    "fetch_demo",
    "fetch_lpips",
    "fetch_pose",
    "lpips_path",
    "pose_path",
]
