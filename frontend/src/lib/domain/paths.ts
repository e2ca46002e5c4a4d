// Values in the path of an address. santa-proxy refuses an encoded slash, for others may read it as a real one.

/** Machine ids that can be read back from a path as they are: no slash, no mark, not `.` or `..`. */
const PLAIN = /^[A-Za-z0-9_:-][A-Za-z0-9_:.-]*$/;
const MARK = '~';

/** Writes a machine's id as one segment of a path: as it is, or as `~` and its base64url. */
export function machineSegment(id: string): string {
  return PLAIN.test(id) ? id : encoded(id);
}

/** Reads what `machineSegment` wrote, or an id that somebody wrote as it is. */
export function machineIdOf(segment: string): string {
  if (!segment.startsWith(MARK)) return segment;
  try {
    const binary = atob(segment.slice(1).replaceAll('-', '+').replaceAll('_', '/'));
    const bytes = Uint8Array.from(binary, (char) => char.charCodeAt(0));
    const id = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes);
    return encoded(id) === segment ? id : segment;
  } catch {
    return segment;
  }
}

function encoded(id: string): string {
  const binary = Array.from(new TextEncoder().encode(id), (byte) => String.fromCharCode(byte));
  const base64 = btoa(binary.join('')).replaceAll('+', '-').replaceAll('/', '_');
  return MARK + base64.replace(/=+$/, '');
}

/** Puts values into the `{name}` places of a path of the API. */
export function fillPath(path: string, values: Readonly<Record<string, unknown>>): string {
  return path.replaceAll(/\{(\w+)\}/g, (_, name: string) => {
    const value = String(values[name]);
    return name === 'machine_id' ? machineSegment(value) : encodeURIComponent(value);
  });
}
