// Where the live connection is, seen from the page's own address.

/** `wss://host/api/v1/live` on an https page, `ws://` on a plain one. */
export function liveAddress(page: Pick<Location, 'protocol' | 'host'>): string {
  return `${page.protocol === 'https:' ? 'wss:' : 'ws:'}//${page.host}/api/v1/live`;
}
