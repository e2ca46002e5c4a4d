// Opened by Santa's dialog: public, for any address below /blocked/.
import { blockedContact, blockedProgram } from '#lib/api/blocked.ts';
import { fingerprintIn } from '#lib/domain/blocked.ts';
import { textParam } from '#lib/domain/url-state.ts';
import type { PageLoad } from './$types';

export const load: PageLoad = async ({ params, url, fetch }) => {
  const fingerprint = fingerprintIn(params.rest);
  const machine = textParam(url.searchParams, 'machine_id');
  // Without a response the page still shows what to do.
  const [program, contact] = await Promise.all([
    fingerprint ? blockedProgram(fingerprint, machine, { fetch }).catch(() => null) : null,
    blockedContact({ fetch }).catch(() => null),
  ]);
  return { title: 'Blocked program', fingerprint, program, contact };
};
