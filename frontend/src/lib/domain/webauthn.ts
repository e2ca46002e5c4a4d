// WebAuthn's options and responses between their JSON form and what browsers take. Pure.

/** Bytes of base64url. */
export function bytesOf(text: string): Uint8Array<ArrayBuffer> {
  const binary = atob(text.replaceAll('-', '+').replaceAll('_', '/'));
  return Uint8Array.from(binary, (char) => char.charCodeAt(0));
}

/** Base64url without padding. */
export function textOf(bytes: ArrayBuffer | Uint8Array): string {
  const binary = Array.from(new Uint8Array(bytes), (byte) => String.fromCharCode(byte)).join('');
  return btoa(binary).replaceAll('+', '-').replaceAll('/', '_').replace(/=+$/, '');
}

interface Descriptor {
  id: string;
  type: 'public-key';
}

/** `PublicKeyCredentialCreationOptionsJSON`, as far as the server uses it. */
export interface CreationJson {
  challenge: string;
  user: { id: string; name: string; displayName: string };
  excludeCredentials?: Descriptor[] | null;
}

/** `PublicKeyCredentialRequestOptionsJSON`, as far as the server uses it. */
export interface RequestJson {
  challenge: string;
  allowCredentials?: Descriptor[] | null;
}

const described = (known: Descriptor[] | null | undefined) =>
  (known ?? []).map(({ id, type }) => ({ id: bytesOf(id), type }));

export function creationOptions(json: CreationJson): PublicKeyCredentialCreationOptions {
  return {
    ...(json as unknown as PublicKeyCredentialCreationOptions),
    challenge: bytesOf(json.challenge),
    user: { ...json.user, id: bytesOf(json.user.id) },
    excludeCredentials: described(json.excludeCredentials),
  };
}

export function requestOptions(json: RequestJson): PublicKeyCredentialRequestOptions {
  return {
    ...(json as unknown as PublicKeyCredentialRequestOptions),
    challenge: bytesOf(json.challenge),
    allowCredentials: described(json.allowCredentials),
  };
}
