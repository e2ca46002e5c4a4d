// Where the live connection is, seen from the page's own address.

/** `wss://host/api/v1/live` on an https page, `ws://` on a plain one; `ago` is how many seconds back to begin. */
export function liveAddress(page: Pick<Location, 'protocol' | 'host'>, ago: number): string {
  const scheme = page.protocol === 'https:' ? 'wss:' : 'ws:';
  return `${scheme}//${page.host}/api/v1/live?ago=${ago.toFixed(3)}`;
}
