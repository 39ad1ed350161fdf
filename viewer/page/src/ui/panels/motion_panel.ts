// Which motion plays, and new ones from files.

import { zipped } from "../../data/zip";
import { button, el, section } from "../dom";
import type { Session } from "../session";

const FORMATS = ".bvh,.amc,.asf,.npz,.smpl,.glb,.gltf,.zip";

export function motionPanel(session: Session): HTMLElement {
  const list = el("div", { class: "list", role: "group", "aria-label": "Motions" });
  const notes = el("div", { class: "notes" });
  const picker = el("input", { type: "file", accept: FORMATS, multiple: true, class: "unseen", tabindex: -1 });
  picker.setAttribute("aria-label", "Motion files");
  picker.addEventListener("change", () => {
    void openMotionFiles(session, [...(picker.files ?? [])]);
    picker.value = "";
  });

  const showList = (): void => {
    const rows = session.motions.map(({ id, name, numFrames, frameRateHz }) => {
      const facts = `${numFrames} frames · ${Number(frameRateHz.toFixed(2))} Hz`;
      const choose = (): void =>
        void session.attempt(() => session.chooseMotion(id).then(() => session.setPlaying(true)));
      const row = button(name, choose, { class: "row", "data-motion": id });
      row.append(el("small", {}, facts));
      return row;
    });
    list.replaceChildren(...(rows.length ? rows : [el("p", { class: "hint" }, "No motion yet: drop a file.")]));
    showChosen();
  };
  const showChosen = (): void => {
    for (const row of list.querySelectorAll<HTMLElement>("[data-motion]")) {
      row.setAttribute("aria-pressed", String(row.dataset.motion === session.motionId));
    }
  };
  const showNotes = (): void => {
    const lines = session.player.motion?.notes ?? [];
    const items = lines.map((line) => el("li", {}, line));
    notes.replaceChildren(
      ...(items.length
        ? [el("h3", {}, "Retargeting"), el("ul", { tabindex: 0, "aria-label": "Retargeting" }, ...items)]
        : []),
    );
  };
  session.on("motions", showList);
  session.on("motion", showChosen);
  session.on("motion", showNotes);
  showList();

  const open = button("Open a motion file…", () => picker.click(), { class: "wide" });
  const formats = session.source.isLive
    ? "BVH, AMC with its ASF, AMASS or SMPL-X npz, glTF; or drop it anywhere"
    : "Or drop it anywhere";
  return section("Motion", true, list, open, el("p", { class: "hint" }, formats), picker, notes);
}

/** An ASF skeleton and its AMC motion come as two files and go on as one. */
export async function openMotionFiles(session: Session, files: readonly File[]): Promise<void> {
  const skeleton = files.find(({ name }) => /\.asf$/i.test(name));
  const others = files.filter((file) => file !== skeleton);
  if (skeleton && others.length === 0) {
    session.say(`${skeleton.name}: is a skeleton alone. Choose its .amc file together with it`, true);
  }
  for (const file of others) {
    await session.attempt(async () => {
      session.say(`Reads ${file.name}…`);
      const isPair = skeleton !== undefined && /\.amc$/i.test(file.name);
      await session.addMotion(isPair ? await zipped(`${file.name}.zip`, [skeleton, file]) : file);
      session.say(`Plays ${file.name}`);
    });
  }
}

/** Files dropped anywhere on the page. */
export function acceptDrops(session: Session, signal: AbortSignal): void {
  const veil = el("div", { class: "veil", hidden: true }, el("p", {}, "Drop a motion to play it"));
  document.body.append(veil);
  signal.addEventListener("abort", () => veil.remove());
  const hasFiles = (event: DragEvent): boolean => event.dataTransfer?.types.includes("Files") ?? false;
  const listen = (name: "dragover" | "dragleave" | "drop", act: (event: DragEvent) => void): void =>
    document.addEventListener(name, act, { signal });
  listen("dragover", (event) => {
    if (!hasFiles(event)) return;
    event.preventDefault();
    veil.hidden = false;
  });
  listen("dragleave", (event) => {
    if (event.relatedTarget === null) veil.hidden = true;
  });
  listen("drop", (event) => {
    veil.hidden = true;
    if (!hasFiles(event)) return;
    event.preventDefault();
    void openMotionFiles(session, [...event.dataTransfer!.files]);
  });
}
