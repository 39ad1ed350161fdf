// The page itself, when it is one exported file: everything is inside, nothing is fetched.

import { readMotion, readScene, type Motion, type Scene } from "./scene";
import type { CaptureInfo, Metrics, MotionInfo, Progress, RunInfo, Source } from "./source";

/** What the exporter puts into the element `avatar-embedded`; `scene` and `data` are gzip in base64. */
interface Embedded {
  readonly name: string;
  readonly scene: string;
  readonly motions: readonly { readonly name: string; readonly data: string }[];
  readonly metrics: Metrics[];
}

export class EmbeddedSource implements Source {
  readonly isLive = false;
  private readonly embedded: Embedded;
  private scenes: Promise<Scene> | null = null;
  private readonly opened = new Map<string, Promise<Motion>>();

  /** Throws an Error when the element holds something else. */
  constructor(element: HTMLElement) {
    this.embedded = JSON.parse(element.textContent ?? "") as Embedded;
  }

  async runs(): Promise<RunInfo[]> {
    const { splats } = await this.scene();
    const unknown = { recipe: null, capture: null, split: null, step: 0, isFitting: false, problem: null };
    return [{ ...unknown, name: this.embedded.name, kind: "hybrid", numGaussians: splats.count }];
  }

  scene(_run?: string, onProgress?: Progress): Promise<Scene> {
    this.scenes ??= unpacked(this.embedded.scene, onProgress).then(readScene);
    return this.scenes;
  }

  motions(): Promise<MotionInfo[]> {
    return Promise.all(
      this.embedded.motions.map(async ({ name }, id) => {
        const { timesS, frameRateHz } = await this.motion("", String(id));
        return { id: String(id), name, numFrames: timesS.length, frameRateHz };
      }),
    );
  }

  motion(_run: string, id: string): Promise<Motion> {
    const found = this.opened.get(id) ?? unpacked(this.embedded.motions[Number(id)].data).then(readMotion);
    this.opened.set(id, found);
    return found;
  }

  async retarget(_run: string, file: File): Promise<Motion> {
    const [motion, scene] = [await ownMotion(file), await this.scene()];
    if (motion.numJoints !== scene.jointNames.length) {
      throw new Error(`${file.name}: moves ${motion.numJoints} joints, but this avatar has ${scene.jointNames.length}`);
    }
    return motion;
  }

  capture(): Promise<CaptureInfo | null> {
    return Promise.resolve(null);
  }

  picture(): Promise<ImageBitmap> {
    return Promise.reject(new Error("This page holds no pictures of the capture"));
  }

  coverage(): Promise<Float32Array | null> {
    return Promise.resolve(null);
  }

  metrics(): Promise<Metrics[]> {
    return Promise.resolve(this.embedded.metrics);
  }

  events(): Promise<readonly Readonly<Record<string, number | string>>[]> {
    return Promise.resolve([]);
  }

  follow(): () => void {
    return () => undefined;
  }

  exportUrl(): null {
    return null;
  }
}

async function ownMotion(file: File): Promise<Motion> {
  try {
    return readMotion(await file.arrayBuffer());
  } catch {
    throw new Error(
      `${file.name}: this page alone cannot retarget motion files. Open the run with \`avatar view\`, or put the motion` +
        " into the page with `avatar export --format html --motion FILE`",
    );
  }
}

async function unpacked(text: string, onProgress?: Progress): Promise<ArrayBuffer> {
  const packed = Uint8Array.from(atob(text), (character) => character.charCodeAt(0));
  const stream = new Blob([packed]).stream().pipeThrough(new DecompressionStream("gzip"));
  const buffer = await new Response(stream).arrayBuffer();
  onProgress?.(packed.length, packed.length);
  return buffer;
}
