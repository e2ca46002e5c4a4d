import { describe, expect, it } from 'vitest';
import { deviceName } from './device.ts';

const MAC = 'Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7)';
const WEBKIT = 'AppleWebKit/537.36 (KHTML, like Gecko)';
const IPHONE =
  'Mozilla/5.0 (iPhone; CPU iPhone OS 26_1 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko)';

describe('deviceName', () => {
  it.each([
    [
      `${MAC} AppleWebKit/605.1.15 (KHTML, like Gecko) Version/26.1 Safari/605.1.15`,
      'Safari on Mac',
    ],
    [`${MAC} ${WEBKIT} Chrome/142.0.0.0 Safari/537.36`, 'Chrome on Mac'],
    [
      `Mozilla/5.0 (Windows NT 10.0; Win64; x64) ${WEBKIT} Chrome/142.0.0.0 Safari/537.36 Edg/142.0.0.0`,
      'Edge on Windows',
    ],
    ['Mozilla/5.0 (X11; Linux x86_64; rv:145.0) Gecko/20100101 Firefox/145.0', 'Firefox on Linux'],
    [
      `Mozilla/5.0 (X11; Linux x86_64) ${WEBKIT} HeadlessChrome/142.0.0.0 Safari/537.36`,
      'Chrome on Linux',
    ],
    [`${IPHONE} CriOS/142.0.0.0 Mobile/15E148 Safari/604.1`, 'Chrome on iPhone'],
    [`${IPHONE} Version/26.1 Mobile/15E148 Safari/604.1`, 'Safari on iPhone'],
    [
      `Mozilla/5.0 (Linux; Android 16) ${WEBKIT} Chrome/142.0.0.0 Mobile Safari/537.36`,
      'Chrome on Android',
    ],
  ])('names the browser and the system of %s', (userAgent, name) => {
    expect(deviceName(userAgent)).toBe(name);
  });

  it('shows others as they are', () => {
    expect(deviceName('curl/8.16.0')).toBe('curl/8.16.0');
    expect(deviceName('')).toBe('Unknown device');
  });
});
