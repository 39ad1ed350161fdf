// Safetensors: eight bytes of length, a JSON header, then the tensors. https://github.com/huggingface/safetensors

export type Values = Float32Array | Int32Array | Uint8Array | Uint16Array;

/** A tensor of the file, without a copy where its place allows; `F16` becomes single precision. */
export interface Tensor<V extends Values = Values> {
  readonly shape: readonly number[];
  readonly values: V;
}

export interface TensorFile {
  /** The JSON that the writer put beside the tensors. */
  readonly description: Record<string, unknown>;
  readonly tensors: ReadonlyMap<string, Tensor>;
}

interface Entry {
  dtype: string;
  shape: number[];
  data_offsets: [number, number];
}

const BYTES: Record<string, number> = { F32: 4, F16: 2, I32: 4, U8: 1 };

/** Reads a file that `avatar.export.web_scene` wrote. Throws an Error that says what is wrong with it. */
export function readTensors(buffer: ArrayBuffer): TensorFile {
  if (buffer.byteLength < 8) throw new Error("not a scene: the file is empty");
  const length = Number(new DataView(buffer).getBigUint64(0, true));
  if (length > buffer.byteLength - 8) throw new Error("not a scene: its header is longer than the file");
  const header = JSON.parse(new TextDecoder().decode(new Uint8Array(buffer, 8, length))) as Record<string, Entry>;
  const { __metadata__: metadata, ...entries } = header as Record<string, Entry> & { __metadata__?: unknown };
  const tensors = new Map<string, Tensor>();
  for (const [name, entry] of Object.entries(entries)) tensors.set(name, tensorOf(name, entry, buffer, 8 + length));
  const text = (metadata as { avatar?: string } | undefined)?.avatar;
  return { description: text ? (JSON.parse(text) as Record<string, unknown>) : {}, tensors };
}

function tensorOf(name: string, entry: Entry, buffer: ArrayBuffer, start: number): Tensor {
  const [from, to] = entry.data_offsets;
  const count = entry.shape.reduce((product, size) => product * size, 1);
  if (!(entry.dtype in BYTES) || to - from !== count * BYTES[entry.dtype] || start + to > buffer.byteLength) {
    throw new Error(`not a scene: the tensor ${name} does not fit the file`);
  }
  const aligned = (start + from) % 4 === 0 ? buffer : buffer.slice(start + from, start + to);
  const place = aligned === buffer ? start + from : 0;
  return { shape: entry.shape, values: valuesOf(entry.dtype, aligned, place, count) };
}

function valuesOf(dtype: string, buffer: ArrayBuffer, place: number, count: number): Values {
  switch (dtype) {
    case "F32":
      return new Float32Array(buffer, place, count);
    case "I32":
      return new Int32Array(buffer, place, count);
    case "U8":
      return new Uint8Array(buffer, place, count);
    default:
      return Float32Array.from(new Uint16Array(buffer, place, count), singleOf);
  }
}

/** IEEE half precision to a number. */
function singleOf(half: number): number {
  const sign = half & 0x8000 ? -1 : 1;
  const exponent = (half >> 10) & 31;
  const fraction = half & 1023;
  if (exponent === 0) return sign * fraction * 2 ** -24;
  if (exponent === 31) return fraction ? NaN : sign * Infinity;
  return sign * (1 + fraction / 1024) * 2 ** (exponent - 15);
}
