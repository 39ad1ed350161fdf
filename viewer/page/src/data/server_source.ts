// The server of `avatar view`.

import { readMotion, readScene, type Motion, type Scene } from "./scene";
import type { CaptureInfo, LiveMessage, Metrics, MotionInfo, Progress, RunInfo, Source } from "./source";
import { readTensors } from "./tensors";

const LONGEST_WAIT_MS = 15_000;

export class ServerSource implements Source {
  readonly isLive = true;

  runs(): Promise<RunInfo[]> {
    return json("api/runs");
  }

  async scene(run: string, onProgress?: Progress): Promise<Scene> {
    return readScene(await bytes(`${api(run)}/scene`, onProgress));
  }

  motions(run: string): Promise<MotionInfo[]> {
    return json(`${api(run)}/motions`);
  }

  async motion(run: string, id: string, onProgress?: Progress): Promise<Motion> {
    return readMotion(await bytes(`${api(run)}/motions/${encodeURIComponent(id)}`, onProgress));
  }

  async retarget(run: string, file: File): Promise<Motion> {
    const answer = await asked(`${api(run)}/motions?name=${encodeURIComponent(file.name)}`, {
      method: "POST",
      headers: { "content-type": "application/octet-stream" },
      body: file,
    });
    return readMotion(await answer.arrayBuffer());
  }

  async capture(run: string): Promise<CaptureInfo | null> {
    const answer = await found(`${api(run)}/capture`);
    return answer && ((await answer.json()) as CaptureInfo);
  }

  async picture(run: string, camera: string, frame: number): Promise<ImageBitmap> {
    const answer = await asked(`${api(run)}/capture/${encodeURIComponent(camera)}/${frame}.png`);
    return createImageBitmap(await answer.blob(), { premultiplyAlpha: "none", colorSpaceConversion: "none" });
  }

  async coverage(run: string): Promise<Float32Array | null> {
    const answer = await found(`${api(run)}/coverage`);
    if (!answer) return null;
    return (readTensors(await answer.arrayBuffer()).tensors.get("coverage")?.values ?? null) as Float32Array | null;
  }

  metrics(run: string): Promise<Metrics[]> {
    return json(`${api(run)}/metrics`);
  }

  events(run: string): Promise<readonly Readonly<Record<string, number | string>>[]> {
    return json(`${api(run)}/events`);
  }

  follow(run: string, onMessage: (message: LiveMessage) => void): () => void {
    const address = new URL(`${api(run)}/live`, location.href);
    address.protocol = address.protocol === "https:" ? "wss:" : "ws:";
    address.hash = "";
    let [socket, timer, waitMs, isOver]: [WebSocket | null, number, number, boolean] = [null, 0, 1000, false];
    const connect = (): void => {
      socket = new WebSocket(address);
      socket.onopen = () => (waitMs = 1000);
      socket.onmessage = (event) => onMessage(JSON.parse(String(event.data)) as LiveMessage);
      socket.onclose = () => {
        if (isOver) return;
        timer = window.setTimeout(connect, waitMs);
        waitMs = Math.min(2 * waitMs, LONGEST_WAIT_MS);
      };
    };
    connect();
    return () => {
      isOver = true;
      clearTimeout(timer);
      socket?.close();
    };
  }

  exportUrl(run: string): string {
    return `${api(run)}/page.html`;
  }
}

const api = (run: string): string => `api/runs/${encodeURIComponent(run)}`;

/** An answer that is fine; otherwise an Error with what the server says. */
async function asked(path: string, request?: RequestInit): Promise<Response> {
  const answer = await reached(path, request);
  if (!answer.ok) throw new Error(await complaint(answer));
  return answer;
}

/** null where the server has nothing of the kind. */
async function found(path: string): Promise<Response | null> {
  const answer = await reached(path);
  if (answer.status === 404) return null;
  if (!answer.ok) throw new Error(await complaint(answer));
  return answer;
}

async function reached(path: string, request?: RequestInit): Promise<Response> {
  try {
    return await fetch(path, request);
  } catch {
    throw new Error("The server does not answer. Is `avatar view` still running?");
  }
}

async function complaint(answer: Response): Promise<string> {
  const text = await answer.text();
  try {
    const { detail } = JSON.parse(text) as { detail?: unknown };
    if (typeof detail === "string") return detail;
  } catch {
    // Not an answer of our server: its status has to do.
  }
  return `The server answers ${answer.status} ${answer.statusText}`.trim();
}

async function json<T>(path: string): Promise<T> {
  return (await (await asked(path)).json()) as T;
}

async function bytes(path: string, onProgress?: Progress): Promise<ArrayBuffer> {
  const answer = await asked(path);
  if (!onProgress || !answer.body) return answer.arrayBuffer();
  const total = Number(answer.headers.get("content-encoding") ? 0 : answer.headers.get("content-length"));
  const parts: Uint8Array<ArrayBuffer>[] = [];
  let loaded = 0;
  for (const reader = answer.body.getReader(); ; ) {
    const { done, value } = await reader.read();
    if (done) break;
    parts.push(value);
    onProgress((loaded += value.byteLength), total);
  }
  return new Blob(parts).arrayBuffer();
}
