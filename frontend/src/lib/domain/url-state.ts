// Filters live in the address, so that a list can be shared and the back button works. Pure.

type Params = Pick<URLSearchParams, 'get'>;

/** The same page with some query parameters set; empty values are removed. Returns path, query and hash. */
export function withParams(
  url: Pick<URL, 'pathname' | 'search'>,
  changes: Readonly<Record<string, string | null | undefined>>,
): string {
  const params = new URLSearchParams(url.search);
  for (const [name, value] of Object.entries(changes)) {
    if (value) params.set(name, value);
    else params.delete(name);
  }
  const query = params.toString();
  return query ? `${url.pathname}?${query}` : url.pathname;
}

/** A free text parameter without surrounding space; undefined when empty. */
export function textParam(params: Params, name: string): string | undefined {
  return params.get(name)?.trim() || undefined;
}

/** A whole number from 1 on; undefined when absent or anything else. */
export function numberParam(params: Params, name: string): number | undefined {
  const text = params.get(name) ?? '';
  return /^[1-9]\d{0,15}$/.test(text) ? Number(text) : undefined;
}

/** A parameter that must be one of some words; anything else counts as absent. */
export function choiceParam<T extends string>(
  params: Params,
  name: string,
  choices: readonly T[],
): T | undefined {
  const value = params.get(name);
  return choices.find((choice) => choice === value);
}

/** Only addresses inside this console may be returned to after a log-in; all others become the overview. */
export function safeReturnPath(next: string | null): string {
  if (!next?.startsWith('/')) return '/';
  // Browsers drop tabs and line ends from an address and read a backslash as a slash, so this does too.
  const base = 'https://console.invalid';
  const target = URL.canParse(next, base) ? new URL(next, base) : null;
  if (
    target?.origin !== base ||
    target.pathname.startsWith('//') ||
    target.pathname.startsWith('/login')
  ) {
    return '/';
  }
  return target.pathname + target.search + target.hash;
}
