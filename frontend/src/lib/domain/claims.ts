// Texts about contradicting reports of Macs about a program.
import type { Certificate, Program } from '../api/types.ts';
import { count } from './format.ts';

type Claim = Program['claims'][number];
type CertificateClaim = Certificate['claims'][number];
type BundleClaim = Program['bundle_claims'][number];

/** One property with contradicting reports: a warning, and each value. */
export interface Contradiction {
  warning: string;
  claims: string[];
}

/** The server's maximum count. */
const MANY = 20;

/** All contradictions about a program. */
export function contradictions(
  program: Pick<Program, 'claims' | 'certificate_claims' | 'bundle_claims'>,
): Contradiction[] {
  return [
    {
      warning: 'Macs disagree about who signed this program. Check it before you create a rule.',
      claims: program.claims.map(describeClaim),
    },
    ...certificateContradictions(program.certificate_claims),
    {
      warning: 'Macs report this program in different apps.',
      claims: bundleClaims(program.bundle_claims),
    },
  ].filter(({ claims }) => claims.length > 1);
}

/** The names of a certificate never change, so a contradiction means that a Mac reports false ones. */
export function certificateContradictions(claims: CertificateClaim[]): Contradiction[] {
  return claims.length > 1
    ? [
        {
          warning: 'Macs disagree about this certificate: some report a false name.',
          claims: claims.map(
            (claim) => `${macs(claim.macs)}: ${listed([claim.cn, claim.org, claim.ou], 'no name')}`,
          ),
        },
      ]
    : [];
}

/** Each app once: versions differ wherever a program is part of several releases. */
function bundleClaims(claims: BundleClaim[]): string[] {
  const apps = claims.map((claim) => listed([claim.bundle_name, claim.bundle_id], 'no app'));
  return [...new Set(apps)];
}

/** One signature, and how many Macs report it. */
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
  ];
  return listed(parts, 'not signed');
}

function listed(parts: string[], none: string): string {
  return parts.filter(Boolean).join(', ') || none;
}
