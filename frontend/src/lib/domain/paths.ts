// Values in the path of an address. santa-proxy refuses an encoded slash, for others may read it as a real one.

/** Encodes everything in a value but its slashes. */
export const pathOf = (value: string) => value.split('/').map(encodeURIComponent).join('/');

/** Puts values into the `{name}` places of a path of the API. */
export function fillPath(path: string, values: Readonly<Record<string, unknown>>): string {
  return path.replaceAll(/\{(\w+)\}/g, (_, name: string) => pathOf(String(values[name])));
}
