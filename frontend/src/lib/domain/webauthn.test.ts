import { expect, it } from 'vitest';
import { bytesOf, creationOptions, requestOptions, textOf } from './webauthn.ts';

it('turns bytes into base64url and back', () => {
  for (const bytes of [[], [0], [255, 254], [251, 239, 190], [...Array(256).keys()]]) {
    const text = textOf(new Uint8Array(bytes));
    expect(text).toMatch(/^[A-Za-z0-9_-]*$/);
    expect([...bytesOf(text)]).toEqual(bytes);
  }
  expect(textOf(new Uint8Array([251, 255, 254]).buffer)).toBe('-__-');
});

it('gives browsers bytes where they want bytes, and leaves the rest', () => {
  const made = creationOptions({
    challenge: 'AQI',
    user: { id: 'Aw', name: 'ada', displayName: 'Ada' },
    excludeCredentials: [{ id: 'BA', type: 'public-key' }],
    ...{ rp: { id: 'localhost', name: 'SantaServer' }, timeout: 5 },
  });
  expect(made).toMatchObject({ rp: { id: 'localhost' }, timeout: 5 });
  expect(made.challenge).toEqual(new Uint8Array([1, 2]));
  expect(made.user).toEqual({ id: new Uint8Array([3]), name: 'ada', displayName: 'Ada' });
  expect(made.excludeCredentials).toEqual([{ id: new Uint8Array([4]), type: 'public-key' }]);
  const asked = requestOptions({ challenge: 'AQI', allowCredentials: null });
  expect(asked).toEqual({ challenge: new Uint8Array([1, 2]), allowCredentials: [] });
});
