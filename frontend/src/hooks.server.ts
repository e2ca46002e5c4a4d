// For prerendered pages only: nothing of the console runs on a server.
import type { Handle } from '@sveltejs/kit/hooks';

const GENERAL = '<title>SantaServer</title>';

/** Leaves out the general title of app.html where the page has its own, since browsers show the first. */
export const handle: Handle = ({ event, resolve }) =>
  resolve(event, {
    transformPageChunk: ({ html }) =>
      html.split('<title>').length > 2 ? html.replace(GENERAL, '') : html,
  });
