// Prerendered: readable without JavaScript, without a session and without the rest of the server.
export const ssr = true;
export const prerender = true;
// Each page is a folder with an index.html, which santa-proxy serves at the folder's path.
export const trailingSlash = 'always';
