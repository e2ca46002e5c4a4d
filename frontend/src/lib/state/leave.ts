// Asks before unsaved changes are lost.
import { beforeNavigate } from '$app/navigation';

/** To be called while a component is set up. */
export function askBeforeLeaving(form: { readonly changed: boolean }): void {
  beforeNavigate(({ cancel, type, to }) => {
    if (!form.changed || to?.route.id === '/login') return;
    if (type === 'leave' || !confirm('Leave without saving?')) cancel();
  });
}
