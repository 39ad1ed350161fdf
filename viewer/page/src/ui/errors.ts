// How far a picture is from the truth, and its colours.

export interface Comparison {
  /** PSNR in dB over all pixels, and over those of the mask; null without any. */
  readonly whole: number;
  readonly mask: number | null;
  /** Of every pixel: the mean absolute difference of its three colours, 0 to 1. */
  readonly errors: Float32Array;
}

const MAX_DB = 100;

function decibels(squares: number, count: number): number {
  return Math.min(MAX_DB, -10 * Math.log10(squares / (3 * count)));
}

/** Both pictures opaque and of one size; `mask` is 255 where the person is. */
export function compared(ours: ImageData, truth: ImageData, mask: Uint8Array): Comparison {
  const [a, b] = [ours.data, truth.data];
  const errors = new Float32Array(mask.length);
  let [squares, maskSquares, maskCount] = [0, 0, 0];
  for (let i = 0; i < mask.length; i++) {
    let square = 0;
    for (let channel = 0; channel < 3; channel++) {
      const difference = Math.abs(a[4 * i + channel] - b[4 * i + channel]) / 255;
      errors[i] += difference / 3;
      square += difference * difference;
    }
    squares += square;
    if (mask[i] > 127) {
      maskSquares += square;
      maskCount += 1;
    }
  }
  return {
    whole: decibels(squares, mask.length),
    mask: maskCount ? decibels(maskSquares, maskCount) : null,
    errors,
  };
}

/** The error at the bright end of the colours. */
export const WORST_ERROR = 0.25;
const KNOTS = [
  [10, 10, 18],
  [72, 20, 105],
  [166, 44, 96],
  [232, 103, 52],
  [250, 178, 53],
  [252, 253, 191],
];

/** Dark where nothing is wrong, then purple, orange and pale yellow. */
export function errorColor(error: number): readonly number[] {
  const place = Math.min(1, error / WORST_ERROR) * (KNOTS.length - 1);
  const knot = Math.min(KNOTS.length - 2, Math.floor(place));
  return KNOTS[knot].map((value, i) => value + (place - knot) * (KNOTS[knot + 1][i] - value));
}

export function errorPicture(errors: Float32Array, width: number, height: number): ImageData {
  const picture = new ImageData(width, height);
  errors.forEach((error, i) => picture.data.set([...errorColor(error), 255], 4 * i));
  return picture;
}
