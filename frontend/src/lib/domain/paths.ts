// Values in the path of an address. santa-proxy refuses an encoded slash, because other software may decode it.

/** Machine ids that need no encoding in a path: no slash, no leading `~`, not `.` or `..`. */
const PLAIN = /^[A-Za-z0-9_:-][A-Za-z0-9_:.-]*$/;
const MARK = '~';

/** Writes a machine's id as one segment of a path: as it is, or as `~` and its base64url. */
export function machineSegment(id: string): string {
  return PLAIN.test(id) ? id : encoded(id);
}

/** Decodes the output of `machineSegment`, or an unencoded id. */
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
