// Names of the domain for the generated schema: the only place that knows the names of the OpenAPI document.
import type { components, paths } from './schema.ts';

type Schemas = components['schemas'];

export type User = Schemas['User'];
export type Permission = Schemas['Permission'];
export type LoginMethods = Schemas['LoginMethods'];
export type LoginState = Schemas['LoginState'];
/** A user as those see it who manage users. */
export type UserAccount = Schemas['UserAccount'];
export type UserCreate = Schemas['UserCreate'];
export type UserUpdate = Schemas['UserUpdate'];
/** A role to give. */
export type RoleGrant = Schemas['RoleGrant'];
export type RoleInfo = Schemas['RoleInfo'];
export type RoleList = Schemas['RoleList'];
export type RoleCreate = Schemas['RoleCreate'];
export type RoleUpdate = Schemas['RoleUpdate'];
export type PermissionInfo = Schemas['PermissionInfo'];
/** What a user may do, and why. */
export type PermissionExplanation = Schemas['PermissionExplanation'];
export type PermissionReason = Schemas['Reason'];
export type Group = Schemas['Group'];
export type GroupCreate = Schemas['GroupCreate'];
export type GroupUpdate = Schemas['GroupUpdate'];
export type GroupMember = Schemas['GroupMember'];
export type EnvironmentRole = Schemas['EnvironmentRole'];
export type SetupLink = Schemas['SetupLink'];
export type SetupOffer = Schemas['SetupOffer'];
export type Session = Schemas['Session'];
/** The password is right, and the login goes on with a second factor. */
export type SecondFactorNeeded = Schemas['SecondFactorNeeded'];
export type SecondFactorState = Schemas['SecondFactorState'];
export type TotpEnrollment = Schemas['TotpEnrollment'];
export type Passkey = Schemas['Passkey'];
export type PasskeyList = Schemas['PasskeyList'];
export type AddedPasskey = Schemas['AddedPasskey'];
export type Token = Schemas['Token'];
export type TokenCreate = Schemas['TokenCreate'];
export type TokenSecret = Schemas['TokenSecret'];
export type ScimState = Schemas['ScimState'];
export type ScimToken = Schemas['ScimToken'];
export type ScimTokenCreate = Schemas['ScimTokenCreate'];
export type ScimTokenSecret = Schemas['ScimTokenSecret'];
export type BlockedProgram = Schemas['BlockedProgram'];
/** The contact for questions about a blocked program. */
export type Contact = Schemas['Contact'];
export type Overview = Schemas['Overview'];
export type ServerStatus = Schemas['ServerStatus'];
export type HourBucket = Schemas['Hour'];
export type Machine = Schemas['Machine'];
/** One machine as its own page has it. */
export type FleetAction = Schemas['FleetOrder']['action'];
export type FleetResult = Schemas['FleetResult'];
export type CredentialStep = Schemas['CredentialStep'];
export type MachineDetail = Schemas['MachineDetail'];
export type NoticeKind = Schemas['Notice']['kind'];
export type SyncState = Machine['sync_state'];
export type ClientMode = SyncSettings['client_mode'];
export type Rule = Schemas['Rule'];
export type RemovedRule = Schemas['RemovedRule'];
export type RuleType = Rule['rule_type'];
export type Policy = Rule['policy'];
export type RuleCreate = Schemas['RuleCreate'];
export type RuleUpdate = Schemas['RuleUpdate'];
/** What to confirm before a change is made. */
export type ConfirmQuestion = Schemas['ConfirmQuestion'];
/** A change of the policy, as the log of changes has it. */
export type LoggedChange = Schemas['LoggedChange'];
export type ChangeDetails = Schemas['ChangeDetails'];
export type RuleDifference = Schemas['RuleDifference'];
export type SettingDifference = Schemas['SettingDifference'];
export type RevertPlan = Schemas['RevertPlan'];
export type RevertConflict = Schemas['RevertConflict'];
export type ChangeRevert = Schemas['ChangeRevert'];
/** What someone has changed of an object. */
export type ChangeNote = Schemas['ChangeNote'];
export type RuleImport = Schemas['RuleImport'];
export type RuleFileFormat = 'json' | 'csv';
export type RecognizedFile = Schemas['RecognizedFile'];
export type FileNotes = Schemas['FileNotes'];
export type ImportPlan = Schemas['ImportPlan'];
export type ExecEvent = Schemas['Event'];
export type FileAccess = Schemas['FileAccess'];
export type AgentAudit = Schemas['AgentAudit'];
export type AuditedAct = Schemas['AuditedAct'];
export type AuditCheckpoint = Schemas['AuditCheckpoint'];
export type Program = Schemas['Program'];
export type Certificate = Schemas['SigningCertificate'];
export type SyncSettings = Schemas['SyncSettings'];
export type SettingKey = keyof SyncSettings;
/** The settings defined in one layer only. */
export interface LayerSettings {
  layer: string;
  values: Partial<SyncSettings>;
  locked: string[];
  etag: string;
}
export type LayerSettingsPatch = Omit<Schemas['LayerSettingsPatch'], 'reason'>;
export type SettingsExplanation = Schemas['SettingsExplanation'];
export type EffectiveRule = Schemas['EffectiveRule'];
export type Explanation = Schemas['Explanation'];
export type TargetExplanation = Schemas['TargetExplanation'];
export type MachineTag = Schemas['MachineTag'];
/** The policy of a machine at an earlier moment. */
export type MachinePolicyThen = Schemas['MachinePolicyThen'];
export type RuleThen = Schemas['RuleThen'];
export type SettingThen = Schemas['SettingThen'];
export type MediaPolicy = Schemas['MediaPolicy'];
export type Enrollment = Schemas['Enrollment'];
export type EnrollmentCreate = Schemas['EnrollmentCreate'];
export type EnrollmentCreated = Schemas['EnrollmentCreated'];
export type EnrollmentPatch = Schemas['EnrollmentPatch'];
export type EnrollmentState = Enrollment['state'];
export type EnrollmentSecret = Schemas['EnrollmentSecret'];
export type SecretRotate = Schemas['SecretRotate'];
export type SecretPatch = Schemas['SecretPatch'];
export type RefusalReason = Schemas['RefusedRequests']['last_reason'];
export type PayloadKind = ProfileRequest['payloads'][number];
export type ProfileOptions = Schemas['ProfileOptions'];
export type SerialList = Schemas['SerialList'];
export type Essential = Schemas['Essential'];
export type OwnEssential = Schemas['OwnEssential'];
export type EssentialCreate = Schemas['EssentialCreate'];
export type ProfileRequest = Schemas['ProfileRequest'];
export type Layer = Schemas['Layer'];
export type Tag = Schemas['Tag'];
/** What a tag is, and who its members are. */
export type TagContent = Omit<Schemas['TagUpdate'], 'reason'>;
/** The order of all tags, the lowest first. */
export type TagOrder = Schemas['PresentOrder'];
export type TagMember = Schemas['TagMember'];
export type MemberSource = TagMember['sources'][number];
export type TagOrderImpact = Schemas['TagOrderImpact'];
export type PredicateResult = Schemas['PredicateResult'];
export type CleanSyncKind = Schemas['CleanSync']['kind'];
/** One message of the live channel. */
export type LiveMessage = Schemas['LiveMessage'];
/** What a page says it shows. */
export type Watch = Schemas['Watch'];

/** One page of a keyset-paged list; `next_cursor` is null on the last one. */
export interface Page<T> {
  items: T[];
  next_cursor: string | null;
}

/** Where in a list to read: the cursor of the page before (none = from the start) and how many rows. */
export interface Position {
  cursor?: string | undefined;
  limit: number;
}

export type MachineFilters = Omit<
  NonNullable<paths['/api/v1/machines']['get']['parameters']['query']>,
  'cursor' | 'limit'
>;
export type RuleFilters = Omit<
  NonNullable<paths['/api/v1/rules']['get']['parameters']['query']>,
  'cursor' | 'limit'
>;
export type EventFilters = Omit<
  NonNullable<paths['/api/v1/events']['get']['parameters']['query']>,
  'cursor' | 'limit'
>;
export type FileAccessFilters = Omit<
  NonNullable<paths['/api/v1/file-accesses']['get']['parameters']['query']>,
  'cursor' | 'limit'
>;
export type AuditFilters = Omit<
  NonNullable<paths['/api/v1/audit']['get']['parameters']['query']>,
  'cursor' | 'limit'
>;
export type ChangeFilters = Omit<
  NonNullable<paths['/api/v1/changes']['get']['parameters']['query']>,
  'cursor' | 'limit'
>;
export type ProgramFilters = Omit<
  NonNullable<paths['/api/v1/programs']['get']['parameters']['query']>,
  'cursor' | 'limit'
>;
