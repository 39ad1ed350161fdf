// What tests and benchmarks hold on to in a page that is running: `globalThis.avatarStage`.

import { readMotion, readScene } from "./data/scene";
import { coefficientsOf } from "./pose/correctives";
import { jointRows } from "./pose/kinematics";
import type { StageApi } from "./stage";

export function exposeForTests(stage: StageApi): void {
  Object.assign(globalThis, { avatarStage: { stage, readScene, readMotion, jointRows, coefficientsOf } });
}
