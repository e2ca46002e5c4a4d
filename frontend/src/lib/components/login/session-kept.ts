// A session that the browser dropped looks like no login.
import { loginState } from '../../api/auth.ts';
import { ApiError } from '../../api/errors.ts';
import { plainHttpHelp } from '../../domain/plain-http.ts';

/** Throws an error with the reason when the browser did not keep the session. */
export async function checkKept(): Promise<void> {
  const state = await loginState();
  if (state.user) return;
  const cookies = 'The browser rejected the session cookie. Allow cookies for this site.';
  const help = state.https_only && location.protocol === 'http:';
  throw new ApiError(0, 'You are not logged in', help ? plainHttpHelp(state, location) : cookies);
}
