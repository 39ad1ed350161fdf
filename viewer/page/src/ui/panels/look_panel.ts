// What is drawn, and on what.

import type { Source } from "../../data/source";
import type { Mode, Skinning } from "../../stage";
import { choice, el, section, toggle } from "../dom";
import type { Color, Session } from "../session";

const MODES: readonly (readonly [Mode, string])[] = [
  ["splats", "Gaussians"],
  ["mesh", "Mesh"],
  ["normals", "Normals"],
  ["coverage", "Coverage"],
];
const SKINNINGS: readonly (readonly [Skinning, string])[] = [
  ["learned", "Learned"],
  ["lbs", "LBS"],
  ["dqs", "DQS"],
];
const BACKGROUNDS: Readonly<Record<string, Color>> = { black: [0, 0, 0], grey: [0.25, 0.26, 0.28], white: [1, 1, 1] };
const SHADES = [
  ["black", "Black"],
  ["grey", "Grey"],
  ["white", "White"],
  ["custom", "Custom"],
] as const;

/** What can be shown: a page alone does not know which cameras see what. */
export function modesOf(source: Source): typeof MODES {
  return source.isLive ? MODES : MODES.filter(([mode]) => mode !== "coverage");
}

export function lookPanel(session: Session): HTMLElement {
  const { look } = session;
  const mode = choice("Show", modesOf(session.source), look.mode, (value) => session.setLook({ mode: value }));
  const skinning = choice("Skinning", SKINNINGS, look.skinning, (value) => session.setLook({ skinning: value }));
  const skeleton = toggle("Skeleton", look.hasSkeleton, (value) => session.setLook({ hasSkeleton: value }), "S");
  const floor = toggle("Floor", look.hasFloor, (value) => session.setLook({ hasFloor: value }), "G");
  const legend = el(
    "div",
    { class: "legend", hidden: true },
    el("div", { class: "ramp coverage" }),
    el("div", { class: "ticks" }, el("span", {}, "in no picture"), el("span", {}, "in every picture")),
  );
  mode.element.classList.add("above");
  session.on("look", () => {
    mode.show(session.look.mode);
    skinning.show(session.look.skinning);
    skeleton.show(session.look.hasSkeleton);
    floor.show(session.look.hasFloor);
    legend.hidden = session.look.mode !== "coverage";
  });
  const switches = el("div", { class: "pair" }, skeleton.element, floor.element);
  return section("Look", true, mode.element, legend, skinning.element, switches, ...background(session));
}

function background(session: Session): Node[] {
  const picker = el("input", { type: "color", value: "#26303a", "aria-label": "Background colour", hidden: true });
  const channel = (at: number): number => parseInt(picker.value.slice(at, at + 2), 16) / 255;
  const choose = (shade: string): void => {
    picker.hidden = shade !== "custom";
    session.setLook({ background: BACKGROUNDS[shade] ?? [channel(1), channel(3), channel(5)] });
  };
  picker.addEventListener("input", () => choose("custom"));
  return [choice("Background", SHADES, "black", choose).element, picker];
}
