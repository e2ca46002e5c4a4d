// The message when the console itself fails; the browser's console has the details.
import type { HandleClientError } from '@sveltejs/kit/hooks';

/** Failures to load a part of the console, which Vite reports before it throws them. */
const unread = new WeakSet<Error>();
addEventListener('vite:preloadError', ({ payload }) => unread.add(payload));

export const handleError: HandleClientError = ({ error, kind }) => {
  if (error instanceof Error && unread.has(error)) {
    return {
      message: 'This page could not be loaded',
      hint: 'Check the connection to the server, then try again.',
    };
  }
  if (kind === 'unknown') {
    // eslint-disable-next-line no-console -- the one place where unexpected failures are logged
    console.error(error);
    return { message: 'Internal error in the console', hint: 'Reload the page to continue.' };
  }
};
