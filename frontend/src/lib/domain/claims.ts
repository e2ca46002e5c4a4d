// What Macs say of who signed a program, in plain words.
import type { Program } from '../api/types.ts';
import { count } from './format.ts';

type Claim = Program['claims'][number];

/** The server counts no further. */
const MANY = 20;

/** What is wrong when Macs do not agree; empty when they do. */
export function disagreement(program: Pick<Program, 'claims'>): string {
  return program.claims.length > 1
    ? 'Macs disagree about who signed this program. Check it before you make a rule.'
    : '';
}

/** One version of it, and how many Macs said so. */
export function describeClaim(claim: Claim): string {
  return `${macs(claim.macs)}: ${signer(claim)}`;
}

function macs(number: number): string {
  if (number >= MANY) return `${count(MANY)} or more Macs`;
  return number === 1 ? '1 Mac' : `${count(number)} Macs`;
}

function signer(claim: Claim): string {
  const parts = [
    claim.team_id && `team ${claim.team_id}`,
    claim.signing_id && `signing ID ${claim.signing_id}`,
    claim.cdhash && `CDHash ${claim.cdhash}`,
    claim.certificate_sha256 && `certificate ${claim.certificate_sha256}`,
  ].filter(Boolean);
  return parts.length > 0 ? parts.join(', ') : 'not signed';
}
