// Opened with a setup link: public. What follows # is read in the browser only.
import type { PageLoad } from './$types';

export const load: PageLoad = () => ({ title: 'Set up your account' });
