// Which camera and frame of the capture are looked at, and how.

import type { Compare, How } from "../compare";
import { choice, el, iconButton, section, select, slider, toggle, type Control } from "../dom";
import type { Session } from "../session";

const WAYS: readonly (readonly [How, string])[] = [
  ["off", "Off"],
  ["live", "Live"],
  ["wipe", "Wipe"],
  ["side", "Side"],
  ["error", "Error"],
];

export function comparePanel(session: Session, compare: Compare | null): HTMLElement | null {
  if (!session.source.isLive) return null;
  if (!compare) {
    const hint = "The capture of this run is not here: start the viewer with --capture FOLDER.";
    return section("Compare", false, el("p", { class: "hint" }, hint));
  }
  const way = choice("View", WAYS, compare.how, (how) => compare.setHow(how));
  const splits = select("Split", (split) => compare.setSplit(split));
  splits.options(Object.keys(compare.capture.splits).map((name) => [name, name.replaceAll("_", " ")] as const));
  const camera = select("Camera", (value) => compare.setCamera(Number(value)));
  camera.element.append(
    iconButton("previous", "Previous camera", () => compare.stepCamera(-1), "↑"),
    iconButton("next", "Next camera", () => compare.stepCamera(1), "↓"),
  );
  const frame = el("div");
  let [shownSplit, frames]: [string | null, Control<number> | null] = [null, null];
  const crop = toggle("Crop to the person", compare.isCropped, (value) => compare.setCropped(value));
  const show = (): void => {
    way.show(compare.how);
    splits.show(compare.split);
    if (shownSplit !== compare.split) {
      shownSplit = compare.split;
      camera.options(compare.cameraIds.map((id) => [String(id), compare.capture.cameras[id].name] as const));
      frames = frameSlider(compare);
      frame.replaceChildren(frames.element);
    }
    camera.show(String(compare.cameraId));
    frames?.show(compare.frameIds.indexOf(compare.frame));
  };
  show();
  const part = section("Compare", false, way.element, splits.element, camera.element, frame, crop.element);
  compare.onChange(() => {
    show();
    part.open ||= compare.how !== "off";
  });
  return part;
}

function frameSlider(compare: Compare): Control<number> {
  const { frameIds } = compare;
  const range = { low: 0, high: frameIds.length - 1, step: 1, value: 0, text: (row: number) => String(frameIds[row]) };
  return slider("Frame", range, (row) => compare.setFrame(frameIds[row]));
}
