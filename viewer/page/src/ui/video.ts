// Pictures to an MP4 file with the encoder of the browser.

import { ArrayBufferTarget, Muxer } from "mp4-muxer";

export interface Clip {
  /** Even. */
  readonly width: number;
  readonly height: number;
  readonly framesPerSecond: number;
  readonly numFrames: number;
  picture(index: number): Promise<ImageData>;
}

/** The most compatible first: names of the encoder and of the container. */
const CODECS = [
  ["avc1.640028", "avc"],
  ["avc1.4d0028", "avc"],
  ["avc1.42e028", "avc"],
  ["vp09.00.40.08", "vp9"],
  ["av01.0.08M.08", "av1"],
] as const;
const BITS_PER_PIXEL = 0.15;
const KEY_FRAME_EVERY = 60;
const MOST_IN_QUEUE = 4;

async function supported(clip: Clip): Promise<{ config: VideoEncoderConfig; codec: "avc" | "vp9" | "av1" }> {
  if (!("VideoEncoder" in globalThis)) {
    throw new Error(
      "This browser cannot encode video: use a current Chrome, Edge, Firefox or Safari, or `avatar export --format mp4`",
    );
  }
  const { width, height, framesPerSecond } = clip;
  const bitrate = Math.max(1e6, width * height * framesPerSecond * BITS_PER_PIXEL);
  for (const [name, codec] of CODECS) {
    const config = { codec: name, width, height, bitrate, framerate: framesPerSecond };
    const answer = await VideoEncoder.isConfigSupported(config).catch(() => null);
    if (answer?.supported) return { config, codec };
  }
  throw new Error(`This browser encodes no video of ${width} × ${height}: use \`avatar export --format mp4\``);
}

/** Stops with an AbortError when the signal says so. */
export async function encodeMp4(clip: Clip, onProgress: (done: number) => void, signal: AbortSignal): Promise<Blob> {
  const { config, codec } = await supported(clip);
  const target = new ArrayBufferTarget();
  const video = { codec, width: clip.width, height: clip.height, frameRate: clip.framesPerSecond };
  const muxer = new Muxer({ target, video, fastStart: "in-memory" });
  let failure: Error | null = null;
  const encoder = new VideoEncoder({
    output: (chunk, meta) => muxer.addVideoChunk(chunk, meta),
    error: (error) => (failure = error),
  });
  try {
    encoder.configure(config);
    for (let index = 0; index < clip.numFrames; index++) {
      signal.throwIfAborted();
      const picture = await clip.picture(index);
      if (failure) throw failure;
      encode(encoder, picture, index, clip.framesPerSecond);
      onProgress(index + 1);
      do
        await new Promise((resolve) => setTimeout(resolve)); // the page shows how far it is, and hears a cancel
      while (encoder.encodeQueueSize > MOST_IN_QUEUE);
    }
    await encoder.flush();
  } finally {
    if (encoder.state !== "closed") encoder.close();
  }
  muxer.finalize();
  return new Blob([target.buffer], { type: "video/mp4" });
}

function encode(encoder: VideoEncoder, picture: ImageData, index: number, framesPerSecond: number): void {
  const frame = new VideoFrame(picture.data, {
    format: "RGBA",
    codedWidth: picture.width,
    codedHeight: picture.height,
    timestamp: (index * 1e6) / framesPerSecond,
    duration: 1e6 / framesPerSecond,
  });
  encoder.encode(frame, { keyFrame: index % KEY_FRAME_EVERY === 0 });
  frame.close();
}
