// What the evaluation of the run found.

import type { Metrics } from "../../data/source";
import { el, section } from "../dom";
import type { Session } from "../session";

/** Names as in avatar/evaluate, in the order of rows: title and digits. */
const ROWS: Readonly<Record<string, readonly [string, number]>> = {
  psnr: ["PSNR, dB ↑", 2],
  psnr_box: ["PSNR box ↑", 2],
  psnr_mask: ["PSNR mask ↑", 2],
  ssim: ["SSIM ↑", 4],
  ms_ssim: ["MS-SSIM ↑", 4],
  flip: ["FLIP ↓", 4],
  lpips_alex: ["LPIPS AlexNet ↓", 4],
  lpips_vgg: ["LPIPS VGG ↓", 4],
};

export function metricsPanel(session: Session): HTMLElement | null {
  if (session.metrics.length === 0 && !session.source.isLive) return null;
  const hint = el("p", { class: "hint" }, "Not evaluated yet: ", el("code", {}, "avatar evaluate --run …"));
  return section("Metrics", false, session.metrics.length ? table(session.metrics) : hint);
}

function table(metrics: readonly Metrics[]): HTMLElement {
  const known = [...new Set(metrics.flatMap(({ means }) => Object.keys(means)))];
  const names = [
    ...Object.keys(ROWS).filter((name) => known.includes(name)),
    ...known.filter((name) => !(name in ROWS)),
  ];
  const heads = metrics.map(({ split, numImages }) => {
    const title = el("th", { scope: "col" }, split.replaceAll("_", " "));
    title.append(el("small", {}, `${numImages} images`));
    return title;
  });
  const rows = names
    .filter((name) => metrics.some(({ means }) => typeof means[name] === "number"))
    .map((name) => {
      const [title, digits] = ROWS[name] ?? [name.replaceAll("_", " "), 4];
      const cells = metrics.map(({ means }) => el("td", {}, means[name]?.toFixed(digits) ?? "–"));
      return el("tr", {}, el("th", { scope: "row" }, title), ...cells);
    });
  const head = el("tr", {}, el("td"), ...heads);
  return el("div", { class: "scroll" }, el("table", {}, el("thead", {}, head), el("tbody", {}, ...rows)));
}
