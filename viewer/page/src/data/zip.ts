// A ZIP archive without compression. PKWARE's APPNOTE, sections 4.3.7, 4.3.12 and 4.3.16.

const VERSION = 20;
const UTF8_NAMES = 1 << 11;

/** Files into one archive called `name`. */
export async function zipped(name: string, files: readonly File[]): Promise<File> {
  const parts: BlobPart[] = [];
  const directory: BlobPart[] = [];
  let [at, directorySize] = [0, 0];
  for (const file of files) {
    const content = new Uint8Array(await file.arrayBuffer());
    const title = new TextEncoder().encode(file.name);
    const size = content.length;
    // From "version needed" to "extra field length", which both headers have.
    const shared = fields(
      [2, VERSION],
      [2, UTF8_NAMES],
      [2, 0],
      [4, 0],
      [4, crc32(content)],
      [4, size],
      [4, size],
      [2, title.length],
      [2, 0],
    );
    const local = [fields([4, 0x04034b50]), shared, title, content];
    const central = [
      fields([4, 0x02014b50], [2, VERSION]),
      shared,
      fields([2, 0], [2, 0], [2, 0], [4, 0], [4, at]),
      title,
    ];
    parts.push(...local);
    directory.push(...central);
    at += sizeOf(local);
    directorySize += sizeOf(central);
  }
  const count = files.length;
  const end = fields([4, 0x06054b50], [2, 0], [2, 0], [2, count], [2, count], [4, directorySize], [4, at], [2, 0]);
  return new File([...parts, ...directory, end], name, { type: "application/zip" });
}

type Bytes = Uint8Array<ArrayBuffer>;

/** Numbers of so many bytes each, the lowest byte first. */
function fields(...values: readonly (readonly [2 | 4, number])[]): Bytes {
  const view = new DataView(new ArrayBuffer(values.reduce((sum, [size]) => sum + size, 0)));
  let at = 0;
  for (const [size, value] of values) {
    if (size === 2) view.setUint16(at, value, true);
    else view.setUint32(at, value, true);
    at += size;
  }
  return new Uint8Array(view.buffer);
}

const sizeOf = (parts: readonly Bytes[]): number => parts.reduce((sum, part) => sum + part.length, 0);

/** ISO 3309, as ZIP has it. */
function crc32(content: Bytes): number {
  let crc = ~0;
  for (const byte of content) {
    crc ^= byte;
    for (let bit = 0; bit < 8; bit++) crc = (crc >>> 1) ^ (crc & 1 ? 0xedb88320 : 0);
  }
  return ~crc >>> 0;
}
