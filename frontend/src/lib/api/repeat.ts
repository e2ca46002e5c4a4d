// Repeats a change with the answer to the server's question. Next: confirm.ts.
import type { Ask } from './confirm.ts';
import type { ConfirmQuestion } from './types.ts';

interface With {
  ask: Ask;
  fetch: (request: Request) => Promise<Response>;
}

/** The last response: of the change as it was confirmed, or the question that was answered with no. */
export async function repeat(
  change: Request,
  first: Response,
  { ask, fetch }: With,
): Promise<Response> {
  let response = first;
  let question = await questionIn(response);
  if (!question) return response;
  const body = await change.text();
  while (question && (await ask(question))) {
    const address = new URL(change.url);
    address.searchParams.set('confirm', question.token);
    response = await fetch(
      new Request(address.href, {
        method: change.method,
        headers: change.headers,
        credentials: change.credentials,
        ...(body ? { body } : {}),
      }),
    );
    question = await questionIn(response); // asked again when the numbers have changed
  }
  return response;
}

async function questionIn(response: Response): Promise<ConfirmQuestion | null> {
  if (response.status !== 409) return null;
  const body = (await response
    .clone()
    .json()
    .catch(() => null)) as { confirm?: ConfirmQuestion } | null;
  return body?.confirm ?? null;
}
