import * as z from 'zod';
import { problemOfPattern } from '../../messages/spec/linear-pattern.ts';

/** A regular expression of a recipe, which is looked for in logs in linear time. */
export const patternSchema = z
  .string()
  .min(1)
  .superRefine((pattern, context) => {
    const problem = problemOfPattern(pattern);
    if (problem !== undefined) context.addIssue({ code: 'custom', message: problem });
  });
