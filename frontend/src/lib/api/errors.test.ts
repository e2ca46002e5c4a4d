import { describe, expect, it } from 'vitest';
import { ApiError, asApiError, errorFromResponse } from './errors.ts';

describe('an API error', () => {
  it('says what the server explained, in a problem document', () => {
    const error = errorFromResponse(409, {
      title: 'Conflict',
      status: 409,
      detail: 'There is a rule for this target already',
    });
    expect(error.message).toBe('There is a rule for this target already');
    expect(error.status).toBe(409);
  });

  it('names the first error of each field', () => {
    const error = errorFromResponse(422, {
      title: 'Unprocessable Content',
      detail: 'wrong values',
      errors: [
        { field: 'identifier', message: 'too short' },
        { field: 'identifier', message: 'not hexadecimal' },
        { field: '', message: 'about the whole' },
        'noise',
      ],
    });
    expect(error.fields).toEqual({ identifier: 'too short' });
  });

  it.each([undefined, '', '<html>bad gateway</html>', [], null])(
    'gives advice when the body is %j',
    (body) => {
      const error = errorFromResponse(502, body);
      expect(error.title).toBe('The backend is not available');
      expect(error.message).toContain('try again');
    },
  );

  it('shows a status it does not know', () => {
    expect(errorFromResponse(418, null).message).toContain('418');
  });

  it('is status 0 when there was no answer', () => {
    expect(asApiError(new TypeError('Failed to fetch'))).toMatchObject({ status: 0 });
  });

  it('stays itself', () => {
    const error = new ApiError(404, 'Not found');
    expect(asApiError(error)).toBe(error);
  });
});
