// What the address remembers after its `#`, so that a view can be kept and sent on.

export interface Place {
  readonly run: string | null;
  readonly motion: string | null;
  readonly frame: number | null;
  readonly mode: string | null;
  /** How a camera of the capture is compared, and which one. */
  readonly compare: string | null;
  readonly camera: string | null;
}

export function readPlace(): Place {
  const found = new URLSearchParams(location.hash.slice(1));
  const frame = found.get("frame");
  return {
    run: found.get("run"),
    motion: found.get("motion"),
    frame: frame !== null && /^\d+$/.test(frame) ? Number(frame) : null,
    mode: found.get("mode"),
    compare: found.get("compare"),
    camera: found.get("camera"),
  };
}

/** Takes the place of the address without a new entry in the history. */
export function writePlace(place: Partial<Place>): void {
  const kept = Object.entries(place).filter(([, value]) => value !== null && value !== undefined);
  const hash = new URLSearchParams(kept.map(([name, value]) => [name, String(value)])).toString();
  if (location.hash.slice(1) !== hash) history.replaceState(null, "", `#${hash}`);
}
