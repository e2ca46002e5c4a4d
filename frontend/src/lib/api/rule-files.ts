// Rules as files: export, dry run of an import, and the import.
import { api, unwrap } from './client.ts';
import type { ImportPlan, RuleFileFormat, RuleImport } from './types.ts';

export function exportRules(format: RuleFileFormat, layer?: string): Promise<Blob> {
  const params = { query: { format, layer } };
  return unwrap<Blob>(
    api.GET('/api/v1/rules/export', { params, parseAs: 'blob' }) as Promise<{
      data?: Blob;
      error?: unknown;
      response: Response;
    }>,
  );
}

export function importRules(file: RuleImport): Promise<ImportPlan> {
  return unwrap(api.POST('/api/v1/rules/import', { body: file }));
}
