// The page from its first moment: which run, how far it has loaded, what went wrong; then the viewer.

import type { RunInfo, Source } from "../data/source";
import type { StageApi } from "../stage";
import { readPlace, writePlace } from "./address";
import { button, el, icon } from "./dom";
import { Session, type Opened } from "./session";
import { applyTheme } from "./theme";
import { showViewer } from "./viewer";

const MEGABYTE = 1e6;

export class App {
  private close: (() => void) | null = null;
  private latest = 0; // of all attempts: what an earlier one still finds is not shown any more

  constructor(
    private readonly root: HTMLElement,
    private readonly source: Source,
    private readonly createStage: (canvas: HTMLCanvasElement) => StageApi,
  ) {
    addEventListener("hashchange", () => void this.start());
  }

  async start(): Promise<void> {
    applyTheme();
    if (!hasWebGl2()) {
      const what = "This browser has no WebGL 2, which draws the avatar.";
      this.fail(what, "Use a current Chrome, Edge, Firefox or Safari and switch on hardware acceleration.", null);
      return;
    }
    await this.attempt(async (isLatest) => {
      this.wait("Looks for runs…");
      const runs = await this.source.runs();
      if (!isLatest()) return;
      const asked = readPlace().run;
      const run = runs.find(({ name }) => name === asked) ?? (runs.length === 1 && asked === null ? runs[0] : null);
      if (run) await this.open(run, runs, isLatest);
      else this.choose(runs, asked);
    });
  }

  private async open(run: RunInfo, runs: readonly RunInfo[], isLatest: () => boolean): Promise<void> {
    if (run.problem !== null) {
      this.fail(`${run.name} cannot be shown.`, run.problem, ["All runs", () => this.choose(runs, null)]);
      return;
    }
    const opened = await this.load(run);
    if (!isLatest()) return;
    const canvas = el("canvas", {
      class: "stage",
      tabindex: 0,
      role: "img",
      "aria-label": `${run.name}, a person in 3D`,
    });
    this.leave();
    document.title = `${run.name} · avatar`;
    this.close = showViewer({
      root: this.root,
      canvas,
      makeSession: (say) => new Session(this.createStage(canvas), this.source, opened, say),
      toRuns: runs.length > 1 ? () => this.choose(runs, null) : null,
    });
  }

  private async load(run: RunInfo): Promise<Opened> {
    const bar = el("progress", { "aria-label": "Loaded" });
    const count = el("p", { class: "hint", role: "status" }, "Asks for the avatar…");
    this.card(el("h1", {}, run.name), bar, count);
    const megabytes = (bytes: number): string => (bytes / MEGABYTE).toFixed(1);
    const scene = await this.source.scene(run.name, (loaded, total) => {
      if (total) [bar.max, bar.value] = [total, loaded];
      count.textContent = `${megabytes(loaded)}${total ? ` of ${megabytes(total)}` : ""} MB`;
    });
    count.textContent = "Looks for motions and pictures…";
    const problems: string[] = [];
    const orNothing = async <T>(answer: Promise<T>, nothing: T): Promise<T> => {
      try {
        return await answer;
      } catch (error) {
        problems.push((error as Error).message);
        return nothing;
      }
    };
    const [motions, capture, metrics, events] = await Promise.all([
      orNothing(this.source.motions(run.name), []),
      orNothing(this.source.capture(run.name), null),
      orNothing(this.source.metrics(run.name), []),
      orNothing(this.source.events(run.name), []),
    ]);
    return { run, scene, motions, capture, metrics, events, problems };
  }

  private choose(runs: readonly RunInfo[], missing: string | null): void {
    writePlace({});
    const rows = runs.map((run) => {
      const facts = [run.capture, run.recipe, run.step ? `step ${run.step.toLocaleString("en")}` : null];
      const gaussians = run.numGaussians ? `${run.numGaussians.toLocaleString("en")} Gaussians` : null;
      const text = run.problem ?? [...facts, gaussians].filter(Boolean).join(" · ");
      const row = button("", () => void this.attempt((isLatest) => this.open(run, runs, isLatest)), { class: "row" });
      row.append(el("span", {}, run.name, run.isFitting ? el("span", { class: "badge" }, "fitting") : null));
      row.append(el("small", { class: run.problem ? "problem" : "" }, text));
      return row;
    });
    const none = el("p", {}, "No runs in this folder yet. Make one with ", el("code", {}, "avatar fit"), ".");
    const gone = missing ? el("p", { class: "problem" }, `There is no run called ${missing} here.`) : null;
    this.card(el("h1", {}, "Runs"), gone, rows.length ? el("div", { class: "list" }, ...rows) : none);
  }

  private async attempt(action: (isLatest: () => boolean) => Promise<void>): Promise<void> {
    const turn = ++this.latest;
    const isLatest = (): boolean => turn === this.latest;
    try {
      await action(isLatest);
    } catch (error) {
      if (!isLatest()) return;
      console.warn(error);
      const why = error instanceof Error ? error.message : String(error);
      this.fail("That did not work.", why, ["Try again", () => void this.start()]);
    }
  }

  private fail(what: string, why: string, way: readonly [string, () => void] | null): void {
    this.card(el("h1", {}, what), el("p", { role: "alert" }, why), way && button(...way, { class: "primary" }));
  }

  private wait(text: string): void {
    this.card(el("p", { class: "hint", role: "status" }, text));
  }

  private card(...children: (Node | null)[]): void {
    this.leave();
    document.title = "avatar";
    const brand = el("p", { class: "brand" }, icon("frame"), "avatar");
    this.root.replaceChildren(el("main", { class: "opening" }, brand, el("div", { class: "card" }, ...children)));
  }

  private leave(): void {
    this.close?.();
    this.close = null;
  }
}

function hasWebGl2(): boolean {
  const context = document.createElement("canvas").getContext("webgl2");
  context?.getExtension("WEBGL_lose_context")?.loseContext(); // browsers give a page only a few
  return context !== null;
}
