// The address of the live connection, from the page's own address.

/** `wss://host/api/v1/live` on an https page, `ws://` on a plain one; `ago` is the number of seconds to replay. */
export function liveAddress(page: Pick<Location, 'protocol' | 'host'>, ago: number): string {
  const scheme = page.protocol === 'https:' ? 'wss:' : 'ws:';
  return `${scheme}//${page.host}/api/v1/live?ago=${ago.toFixed(3)}`;
}
