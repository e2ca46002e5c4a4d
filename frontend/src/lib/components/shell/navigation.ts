// The pages of the console, in the order of the navigation.
import {
  auditLink,
  changesLink,
  enrollmentsLink,
  essentialsLink,
  eventsLink,
  machinesLink,
  overviewLink,
  peopleLink,
  programsLink,
  rulesLink,
  settingsLink,
  statusLink,
  tagsLink,
} from '../../links.ts';
import type { Permission, User } from '../../api/types.ts';
import { may } from '../../state/permissions.ts';
import type { IconName } from '../../ui/icons.ts';

interface NavigationEntry {
  label: string;
  href: string;
  icon: IconName;
  /** What reading the page needs. */
  needs: Permission;
}

export const NAVIGATION: readonly NavigationEntry[] = [
  { label: 'Overview', href: overviewLink(), icon: 'overview', needs: 'overview:read' },
  { label: 'Machines', href: machinesLink(), icon: 'machine', needs: 'machine:read' },
  { label: 'Rules', href: rulesLink(), icon: 'rule', needs: 'rule:read' },
  { label: 'Tags', href: tagsLink(), icon: 'tag', needs: 'tag:read' },
  { label: 'Changes', href: changesLink(), icon: 'history', needs: 'rule:read' },
  { label: 'Events', href: eventsLink(), icon: 'event', needs: 'event:read' },
  { label: 'Programs', href: programsLink(), icon: 'program', needs: 'program:read' },
  { label: 'Enrollments', href: enrollmentsLink(), icon: 'key', needs: 'enrollment:read' },
  { label: 'Essentials', href: essentialsLink(), icon: 'lock', needs: 'essential:read' },
  { label: 'People', href: peopleLink(), icon: 'people', needs: 'user:read' },
  { label: 'Audit log', href: auditLink(), icon: 'log', needs: 'audit:read' },
  { label: 'Status', href: statusLink(), icon: 'system', needs: 'status:read' },
  { label: 'Settings', href: settingsLink(), icon: 'settings', needs: 'settings:read' },
];

/** The pages that a user may open. */
export function pagesOf(user: Pick<User, 'permissions' | 'scopes'>): NavigationEntry[] {
  return NAVIGATION.filter((entry) => may(user, entry.needs));
}

/** Whether a page belongs to an entry: the overview only itself, the others also what lies below them. */
export function isCurrent(entry: Pick<NavigationEntry, 'href'>, pathname: string): boolean {
  return pathname === entry.href || (entry.href !== '/' && pathname.startsWith(`${entry.href}/`));
}
