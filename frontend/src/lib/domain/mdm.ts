// How a configuration profile gets to Macs, by MDM. Pure.

export interface Mdm {
  id: string;
  name: string;
  /** The file that it takes. */
  file: string;
  /** Whether a signed profile is better or worse there. */
  signature: 'signed' | 'unsigned' | 'either';
  steps: readonly string[];
  /** What goes wrong most often. */
  traps: readonly string[];
}

export const MDMS: readonly Mdm[] = [
  {
    id: 'jamf',
    name: 'Jamf Pro',
    file: '.mobileconfig, signed if possible',
    signature: 'signed',
    steps: [
      'Open Computers > Configuration Profiles and choose Upload.',
      'Select the file, set the level to Computer Level and the distribution to Install Automatically.',
      'On the Scope tab add a smart group with a few Macs first, then save.',
    ],
    traps: [
      'Jamf Pro rewrites an unsigned profile when you save it, and keys that it does not know can get lost. A signed profile stays read-only and is delivered unaltered.',
      '$VARIABLES such as $SERIALNUMBER are replaced in unsigned profiles only, and their names are case-sensitive.',
      'Deliver the approvals before Santa’s package: put the profile into the PreStage enrollment, or into an earlier policy.',
    ],
  },
  {
    id: 'intune',
    name: 'Microsoft Intune',
    file: '.mobileconfig or .xml',
    signature: 'either',
    steps: [
      'Open Devices > macOS > Configuration, choose Create > New policy, and take the profile type Templates > Custom.',
      'Enter a name, choose the deployment channel Device channel, and select the file.',
      'Assign it to a device group, then review and create it.',
    ],
    traps: [
      'On the user channel macOS refuses the approvals; the channel cannot be changed later.',
      'Everyone who may read the policy can read the secret in it: limit that role, or use client certificates too.',
      'Do not set Santa’s system extension or full disk access in the settings catalog as well: of two profiles with the same setting, either may win.',
    ],
  },
  {
    id: 'kandji',
    name: 'Kandji (Iru)',
    file: '.mobileconfig',
    signature: 'either',
    steps: [
      'Open Library > Add New and choose Custom Profile.',
      'Enter a name, limit it to Mac, and select the file.',
      'Assign it to a blueprint with a few Macs and save.',
    ],
    traps: [
      'Variables such as $SERIAL_NUMBER are replaced in unsigned profiles only.',
      'If Santa is in the same blueprint, make its library item depend on the profile, so that the approvals come first.',
    ],
  },
  {
    id: 'mosyle',
    name: 'Mosyle',
    file: '.mobileconfig',
    signature: 'either',
    steps: [
      'Open Management, choose macOS, and activate the profile type Custom Profiles if it is not listed.',
      'Choose Add new profile, enter a name, and select the file.',
      'Set the profile scope to System, assign it to a device group, and save.',
    ],
    traps: [
      'Assigned to users instead of devices it is installed in the user scope, where macOS refuses the approvals.',
      'Variables such as %SerialNumber% are replaced in unsigned profiles only.',
    ],
  },
  {
    id: 'workspace-one',
    name: 'Workspace ONE',
    file: '.mobileconfig for Upload; for Custom Settings the text of one payload',
    signature: 'either',
    steps: [
      'Open Resources > Profiles & Baselines > Profiles and choose Add > Upload Profile.',
      'Choose macOS, then Device, and select the file.',
      'Assign a smart group with a few Macs, then save and publish.',
    ],
    traps: [
      'With Custom Settings instead of Upload, download the profile unsigned and paste one payload: from its <dict> in PayloadContent to the matching </dict>, and each payload into a custom setting of its own.',
      'A user profile does not reach Santa: it has to be a device profile.',
    ],
  },
  {
    id: 'other',
    name: 'Another MDM',
    file: '.mobileconfig',
    signature: 'either',
    steps: [
      'Upload the file as a custom profile for devices, not for users.',
      'Assign it to a few Macs first.',
    ],
    traps: [
      'macOS accepts the approvals from an MDM only: a profile that someone installs by double-click does not approve anything.',
    ],
  },
];

export const EVERYWHERE: readonly string[] = [
  'Deploy Santa’s package to the same Macs after the profile.',
  'Check one Mac: `santactl status` shows this server, `sudo santactl sync` syncs at once, `santactl doctor` says what is missing.',
];
