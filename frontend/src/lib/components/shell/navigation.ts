// The pages of the console, in the order of the navigation.
import {
  enrollmentsLink,
  eventsLink,
  machinesLink,
  overviewLink,
  programsLink,
  rulesLink,
  settingsLink,
  tagsLink,
} from '../../links.ts';
import type { IconName } from '../../ui/icons.ts';

interface NavigationEntry {
  label: string;
  href: string;
  icon: IconName;
}

export const NAVIGATION: readonly NavigationEntry[] = [
  { label: 'Overview', href: overviewLink(), icon: 'overview' },
  { label: 'Machines', href: machinesLink(), icon: 'machine' },
  { label: 'Rules', href: rulesLink(), icon: 'rule' },
  { label: 'Tags', href: tagsLink(), icon: 'tag' },
  { label: 'Events', href: eventsLink(), icon: 'event' },
  { label: 'Programs', href: programsLink(), icon: 'program' },
  { label: 'Enrollments', href: enrollmentsLink(), icon: 'key' },
  { label: 'Settings', href: settingsLink(), icon: 'settings' },
];

/** Whether a page belongs to an entry: the overview only itself, the others also what lies below them. */
export function isCurrent(entry: Pick<NavigationEntry, 'href'>, pathname: string): boolean {
  return pathname === entry.href || (entry.href !== '/' && pathname.startsWith(`${entry.href}/`));
}
