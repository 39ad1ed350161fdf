// The curves of the fit, which grow while it runs.

import { el, section } from "../dom";
import type { Event, Session } from "../session";

interface Curve {
  readonly key: string;
  readonly title: string;
  readonly isLog: boolean;
  readonly text: (value: number) => string;
}

const CURVES: readonly Curve[] = [
  { key: "psnr", title: "PSNR, dB", isLog: false, text: (value) => value.toFixed(2) },
  { key: "loss", title: "Loss", isLog: true, text: (value) => value.toPrecision(3) },
  { key: "num_gaussians", title: "Gaussians", isLog: false, text: (value) => Math.round(value).toLocaleString("en") },
];
const [WIDTH, HEIGHT, MOST_POINTS] = [300, 90, 300];

export function trainingPanel(session: Session): HTMLElement | null {
  if (!session.source.isLive) return null;
  const charts = el("div", { class: "charts" });
  const badge = el("p", { class: "hint" });
  const show = (): void => {
    const drawn = CURVES.map((curve) => chart(curve, session.events)).filter((figure) => figure !== null);
    const none = el("p", { class: "hint" }, "This run has no training log.");
    charts.replaceChildren(...(drawn.length ? drawn : [none]));
    const { step, isFitting } = session.run;
    badge.textContent = `Shown: the checkpoint of step ${step.toLocaleString("en")}${isFitting ? "; the fit is running" : ""}`;
  };
  session.on("events", show);
  session.on("scene", show);
  session.on("fitting", show);
  show();
  return section("Training", session.run.isFitting, badge, charts);
}

/** Points of a curve: the mean over stretches, so that many events stay readable. */
function points(key: string, events: readonly Event[]): [number, number][] {
  const found = events.flatMap((event): [number, number][] => {
    const [x, y] = [event.seconds, event[key]];
    return typeof x === "number" && typeof y === "number" ? [[x, y]] : [];
  });
  const size = Math.ceil(found.length / MOST_POINTS);
  const mean = (values: readonly number[]): number => values.reduce((sum, value) => sum + value, 0) / values.length;
  const means: [number, number][] = [];
  for (let at = 0; at < found.length; at += size) {
    const stretch = found.slice(at, at + size);
    means.push([mean(stretch.map(([x]) => x)), mean(stretch.map(([, y]) => y))]);
  }
  return means;
}

function chart(curve: Curve, events: readonly Event[]): HTMLElement | null {
  const found = points(curve.key, events);
  if (found.length < 2) return null;
  const ys = found.map(([, y]) => y);
  const [low, high, last] = [Math.min(...ys), Math.max(...ys), ys[ys.length - 1]];
  const scaled = (y: number): number => (curve.isLog ? Math.log(Math.max(y, 1e-12)) : y);
  const span = scaled(high) - scaled(low) || 1;
  const end = found[found.length - 1][0] || 1;
  const place = ([x, y]: [number, number]): string =>
    `${((x / end) * WIDTH).toFixed(1)},${(HEIGHT - 4 - ((scaled(y) - scaled(low)) / span) * (HEIGHT - 8)).toFixed(1)}`;
  const picture = `<svg viewBox="0 0 ${WIDTH} ${HEIGHT}" preserveAspectRatio="none" role="img"
    aria-label="${curve.title}: now ${curve.text(last)}, from ${curve.text(low)} to ${curve.text(high)}">
    <path class="grid" d="M0 4H${WIDTH}M0 ${HEIGHT / 2}H${WIDTH}M0 ${HEIGHT - 4}H${WIDTH}"/>
    <polyline points="${found.map(place).join(" ")}"/></svg>`;
  const plot = el("div", { class: "plot" });
  plot.innerHTML = picture;
  plot.append(el("span", { class: "high" }, curve.text(high)), el("span", { class: "low" }, curve.text(low)));
  const title = el("figcaption", {}, curve.title, el("strong", {}, curve.text(last)));
  const ticks = el("div", { class: "ticks" }, el("span", {}, "0 s"), el("span", {}, `${end.toFixed(0)} s`));
  return el("figure", { class: "chart" }, title, plot, ticks);
}
