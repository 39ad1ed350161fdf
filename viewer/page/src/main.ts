import { EmbeddedSource } from "./data/embedded_source";
import { ServerSource } from "./data/server_source";
import { createStage, type StageApi } from "./stage";
import { exposeForTests } from "./test_hook";
import { App } from "./ui/app";
import { el } from "./ui/dom";
import "./ui/style.css";

function stageOn(canvas: HTMLCanvasElement): StageApi {
  const stage = createStage(canvas);
  exposeForTests(stage);
  return stage;
}

const root = document.getElementById("app")!;
const embedded = document.getElementById("avatar-embedded");
if (location.hash === "#stage") {
  const canvas = el("canvas", { class: "stage" }); // nothing but the stage, for tests and benchmarks
  root.append(canvas);
  stageOn(canvas);
} else {
  void new App(root, embedded ? new EmbeddedSource(embedded) : new ServerSource(), stageOn).start();
}
