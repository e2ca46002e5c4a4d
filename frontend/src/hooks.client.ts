// What a visitor is told when the console itself fails; the browser's console has the details.
import type { HandleClientError } from '@sveltejs/kit/hooks';

export const handleError: HandleClientError = ({ error, kind }) => {
  if (kind === 'unknown') {
    // eslint-disable-next-line no-console -- the one place where an unexpected failure is written down
    console.error(error);
    return { message: 'The console made a mistake', hint: 'Reload the page to go on.' };
  }
};
