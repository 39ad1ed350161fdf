// The proportions of the body.

import { button, section, slider } from "../dom";
import type { Session } from "../session";

export function shapePanel(session: Session): HTMLElement | null {
  const ranges = session.scene.shape;
  if (ranges.length === 0) return null;
  const sliders = ranges.map(({ name, value, low, high }, i) => {
    const label = name.charAt(0).toUpperCase() + name.slice(1).replaceAll("_", " ");
    const range = { low, high, step: (high - low) / 100 || 0.01, value, text: (shown: number) => shown.toFixed(2) };
    return slider(label, range, (changed) => session.setShape(session.shape.with(i, changed)));
  });
  const reset = button("Reset the shape", () => session.setShape(ranges.map(({ value }) => value)), { class: "wide" });
  reset.disabled = true;
  session.on("shape", () => {
    sliders.forEach((control, i) => control.show(session.shape[i]));
    reset.disabled = ranges.every(({ value }, i) => session.shape[i] === value);
  });
  return section("Shape", false, ...sliders.map(({ element }) => element), reset);
}
