// Our own line icons on a 24 by 24 grid: one path each, drawn with round ends.
export const ICONS = {
  overview: 'M4 13h6V4H4zM14 20h6V10h-6zM4 20h6v-3.5H4zM14 6.5h6V4h-6z',
  machine: 'M5 5h14a1 1 0 0 1 1 1v9H4V6a1 1 0 0 1 1-1zM2.5 18.5h19M10 15.5h4',
  rule: 'M12 3.5 19 6v5.6c0 4-2.7 6.9-7 8.9-4.3-2-7-4.9-7-8.9V6zM9 12l2.2 2.2L15.2 10',
  event: 'M3 12.5h4l2.5-7 4.5 13 2.5-6H21',
  settings:
    'M4 7h9M17 7h3M4 17h3M11 17h9M13 7a2 2 0 1 0 4 0 2 2 0 1 0-4 0M7 17a2 2 0 1 0 4 0 2 2 0 1 0-4 0',
  key: 'M8 10.500a4.500 4.500 0 1 0 0 .1M12.300 11.800H21v3.500M17.500 11.800v2.500',
  download: 'M12 4v10.500M7.500 10.500 12 15l4.500-4.500M4.500 19.500h15',
  menu: 'M4 7h16M4 12h16M4 17h16',
  close: 'M6 6l12 12M18 6 6 18',
  search: 'M10.5 4a6.5 6.5 0 1 0 0 13 6.5 6.5 0 0 0 0-13zM15.5 15.5 20 20',
  plus: 'M12 5v14M5 12h14',
  trash: 'M4.5 7h15M10 7V4.5h4V7M6.5 7l.8 12.5h9.4L17.5 7M10.2 11v5M13.8 11v5',
  edit: 'M4.5 19.500l1-4L16 5l3 3L8.5 18.500zM14 7l3 3',
  copy: 'M9 9h10v10H9zM6 15H5V5h10v1',
  check: 'M5 12.5 10 17.5 19 7.5',
  alert: 'M12 4.5 21 19.500H3zM12 10v4.500M12 17.200v.1',
  info: 'M12 4a8 8 0 1 0 0 16 8 8 0 0 0 0-16zM12 11v5M12 8.200v.1',
  refresh: 'M19.5 12a7.5 7.5 0 1 1-2.2-5.300L19.5 9M19.5 4.500V9H15',
  logout: 'M14 4.500H6v15h8M10.5 12H20M16.5 8.5 20 12l-3.5 3.5',
  sun: 'M12 8a4 4 0 1 0 0 8 4 4 0 0 0 0-8zM12 2.800v2M12 19.200v2M2.8 12h2M19.2 12h2M5.5 5.500l1.4 1.400M17.1 17.100l1.4 1.400M18.5 5.500l-1.4 1.400M6.9 17.100l-1.4 1.4',
  moon: 'M19.5 14.500A8 8 0 0 1 9.5 4.500a8 8 0 1 0 10 10z',
  system: 'M4 5h16v10.500H4zM9 19.500h6M12 15.500v4',
  chevron: 'M9 6l6 6-6 6',
  back: 'M15 6l-6 6 6 6',
  empty: 'M4 8.5 6.5 5h11L20 8.500V19H4zM4 8.500h16M10 12h4',
} as const;

export type IconName = keyof typeof ICONS;
