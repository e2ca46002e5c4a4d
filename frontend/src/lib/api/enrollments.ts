// Who may sync: enrollments, and the profiles that carry their secrets.
import { api, ifMatch, unwrap, type CallOptions } from './client.ts';
import type {
  Enrollment,
  EnrollmentCreate,
  EnrollmentCreated,
  EnrollmentPatch,
  Essential,
  Page,
  Position,
  EnrollmentSecret,
  ProfileOptions,
  ProfileRequest,
  SecretPatch,
  SecretRotate,
  SerialList,
} from './types.ts';

export function listEnrollments(
  position: Position,
  options: CallOptions = {},
): Promise<Page<Enrollment>> {
  return unwrap(api.GET('/api/v1/enrollments', { params: { query: position }, ...options }));
}

export function createEnrollment(wanted: EnrollmentCreate): Promise<EnrollmentCreated> {
  return unwrap(api.POST('/api/v1/enrollments', { body: wanted }));
}

export function revokeEnrollment(id: Enrollment['id']): Promise<Enrollment> {
  const params = { path: { enrollment_id: id } };
  return unwrap(api.POST('/api/v1/enrollments/{enrollment_id}/revoke', { params }));
}

export function listEssentials(): Promise<Essential[]> {
  return unwrap(api.GET('/api/v1/enrollments/essentials'));
}

/** Where Macs would sync, and who signs profiles. */
export function readProfileOptions(): Promise<ProfileOptions> {
  return unwrap(api.GET('/api/v1/enrollments/profile-options'));
}

/** The configuration profile as a file. */
export function makeProfile(id: Enrollment['id'], wanted: ProfileRequest): Promise<Blob> {
  const params = { path: { enrollment_id: id } };
  return unwrap<Blob>(
    api.POST('/api/v1/enrollments/{enrollment_id}/profile', {
      params,
      body: wanted,
      parseAs: 'blob',
    }) as Promise<{ data?: Blob; error?: unknown; response: Response }>,
  );
}

type EnrollmentVersion = Pick<Enrollment, 'id' | 'etag'>;

export function changeEnrollment(
  enrollment: EnrollmentVersion,
  patch: EnrollmentPatch,
): Promise<Enrollment> {
  const params = { path: { enrollment_id: enrollment.id }, header: ifMatch(enrollment) };
  return unwrap(api.PATCH('/api/v1/enrollments/{enrollment_id}', { params, body: patch }));
}

/** Makes another secret, which only the response contains. */
export function rotateSecret(
  enrollment: EnrollmentVersion,
  wanted: SecretRotate,
): Promise<EnrollmentCreated> {
  const params = { path: { enrollment_id: enrollment.id }, header: ifMatch(enrollment) };
  return unwrap(api.POST('/api/v1/enrollments/{enrollment_id}/secrets', { params, body: wanted }));
}

export function changeSecret(
  enrollment: EnrollmentVersion,
  secret: EnrollmentSecret['id'],
  patch: SecretPatch,
): Promise<Enrollment> {
  const path = { enrollment_id: enrollment.id, secret_id: secret };
  const params = { path, header: ifMatch(enrollment) };
  return unwrap(
    api.PATCH('/api/v1/enrollments/{enrollment_id}/secrets/{secret_id}', { params, body: patch }),
  );
}

/** Ends a previous secret now. */
export function endSecret(
  enrollment: EnrollmentVersion,
  secret: EnrollmentSecret['id'],
): Promise<Enrollment> {
  const path = { enrollment_id: enrollment.id, secret_id: secret };
  const params = { path, header: ifMatch(enrollment) };
  return unwrap(api.DELETE('/api/v1/enrollments/{enrollment_id}/secrets/{secret_id}', { params }));
}

/** Adds and removes serial numbers; returns the whole list, null for any. */
export function changeSerials(
  enrollment: EnrollmentVersion,
  change: { add?: string[]; remove?: string[] },
): Promise<SerialList> {
  const params = { path: { enrollment_id: enrollment.id }, header: ifMatch(enrollment) };
  const body = { add: change.add ?? [], remove: change.remove ?? [] };
  return unwrap(api.PATCH('/api/v1/enrollments/{enrollment_id}/serials', { params, body }));
}

/** Lets Macs of any serial number use the enrollment. */
export async function dropSerials(enrollment: EnrollmentVersion): Promise<SerialList> {
  const path = { enrollment_id: enrollment.id };
  const params = { path, header: ifMatch(enrollment) };
  await unwrap(api.DELETE('/api/v1/enrollments/{enrollment_id}/serials', { params }));
  return unwrap(api.GET('/api/v1/enrollments/{enrollment_id}/serials', { params: { path } }));
}
