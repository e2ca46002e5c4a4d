// Who may sync: enrollments, and the profiles that carry their secrets.
import { api, unwrap, type CallOptions } from './client.ts';
import type {
  Enrollment,
  EnrollmentCreate,
  EnrollmentCreated,
  Essential,
  Page,
  Position,
  ProfileRequest,
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

/** Adds and removes serial numbers; returns the whole list, null for any. */
export async function changeSerials(
  id: Enrollment['id'],
  change: { add?: string[]; remove?: string[] },
): Promise<string[] | null> {
  const params = { path: { enrollment_id: id } };
  const body = { add: change.add ?? [], remove: change.remove ?? [] };
  const answer = await unwrap(
    api.PATCH('/api/v1/enrollments/{enrollment_id}/serials', { params, body }),
  );
  return answer.serials;
}

/** Lets Macs of any serial number use the enrollment. */
export async function dropSerials(id: Enrollment['id']): Promise<void> {
  const params = { path: { enrollment_id: id } };
  await unwrap(api.DELETE('/api/v1/enrollments/{enrollment_id}/serials', { params }));
}
