import type { Service } from '../../recipe/schema/services.ts';
import type { ServiceFinding } from './protocol.ts';

const SETTINGS = ['command', 'container', 'preamble', 'source', 'build_command'] as const;

/** A finding for each setting of a service that srtctl starts in its own way. `also`: further such settings. */
export const settingsWithoutEffect = (
  service: Service,
  text: string,
  also: readonly ('args' | 'env')[] = [],
): ServiceFinding[] =>
  [...SETTINGS, ...also].flatMap((key) => {
    const value = service[key];
    const isGiven = value != null && (typeof value !== 'object' || Object.keys(value).length > 0);
    return isGiven ? [{ path: [key], text }] : [];
  });
