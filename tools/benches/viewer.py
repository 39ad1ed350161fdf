"""What the web viewer costs the page that it lives in: the main thread's work for a frame, and sorting beside it."""

import statistics
from typing import Any

from avatar.body import load_body
from avatar.canonical import HybridConfig
from avatar.export import web_motion, web_scene
from avatar.model import HybridAvatar, HybridAvatarConfig
from avatar.structs import Motion

from .animate import NUM_FRAMES, swaying
from .browser import stage_page
from .clock import Row, verdict

ROUNDS, FIRST = 60, 5  # frames; the first ones, which compile shaders, do not count
GOALS_MS = {20_000: 3.0, 100_000: 10.0}
LOAD = """async () => {
  const bytes = async (name) => (await fetch(name)).arrayBuffer();
  globalThis.motion = avatarStage.readMotion(await bytes("motion"));
  avatarStage.stage.onStats((stats) => told.push(stats));
  avatarStage.stage.setScene(avatarStage.readScene(await bytes("scene")));
}"""
PLAY = """async (frames) => {
  globalThis.told = [];
  for (let frame = 0; frame < frames || told.length === 0; frame++) {
    const at = frame % motion.frameIds.length, size = 4 * motion.numJoints;
    avatarStage.stage.setPose({
      localQuats: motion.localQuats.subarray(size * at, size * (at + 1)),
      rootPosition: motion.rootPositions.subarray(3 * at, 3 * at + 3),
      coefficients: null,
    });
    await new Promise(requestAnimationFrame);
  }
  return told;
}"""


def measure_viewer(rounds: int | None) -> list[Row]:
    """An avatar that takes a new pose every frame, whose correctives the page works out itself.

    Wall times say little where the processor draws too: the verdict is about the processor time of the main thread.
    """
    rows, files, frames = [], {}, rounds or ROUNDS
    with stage_page(files) as page:
        metrics = page.context.new_cdp_session(page)
        metrics.send("Performance.enable", {"timeDomain": "threadTicks"})
        for count, goal_ms in GOALS_MS.items():
            files |= _files(count)
            page.evaluate(LOAD)
            page.evaluate(PLAY, FIRST)
            before = _script_ms(metrics)
            stats: list[dict[str, float]] = page.evaluate(PLAY, frames)
            cpu_ms = (_script_ms(metrics) - before) / frames
            rows.append(_row(count, "main thread, a frame", frames, [each["frameMs"] for each in stats]))
            rows[-1] |= {"cpu_ms": round(cpu_ms, 2), "goal_ms": goal_ms, "verdict": verdict(cpu_ms, goal_ms, None)}
            rows.append(_row(count, "worker, sorting", frames, [each["sortMs"] for each in stats]))
    return rows


def _script_ms(metrics: Any) -> float:
    found = metrics.send("Performance.getMetrics")["metrics"]
    return 1e3 * next(each["value"] for each in found if each["name"] == "ScriptDuration")


def _files(count: int) -> dict[str, bytes]:
    poses, ids = swaying(NUM_FRAMES), range(NUM_FRAMES)
    config = HybridAvatarConfig(canonical=HybridConfig(num_gaussians=count))
    avatar = HybridAvatar(shape=load_body().default_shape(), poses=poses, frame_ids=ids, config=config).eval()
    motion = Motion(poses=poses, frame_ids=tuple(ids), frame_rate_hz=30.0, is_own=False)
    return {"scene": web_scene(avatar, "bench"), "motion": web_motion(avatar, motion, "sway")}


def _row(count: int, passes: str, frames: int, times_ms: list[float]) -> Row:
    return {
        "scene": f"{count // 1000}k",
        "passes": passes,
        "rounds": frames,
        "median_ms": round(statistics.median(times_ms), 2),
        "min_ms": round(min(times_ms), 2),
        "cpu_ms": None,
        "goal_ms": None,
        "verdict": None,
    }
