import * as z from 'zod';

/**
 * An environment variable's value. Recipes write numbers and booleans too; the reference implementation passes a
 * boolean as Python spells it, and recipes rely on that.
 */
export const envValueSchema = z
  .union([z.string(), z.number(), z.boolean()])
  .transform((value) => (typeof value === 'boolean' ? (value ? 'True' : 'False') : String(value)));

export const envSchema = z.record(z.string(), envValueSchema).default({});

const flagScalarSchema = z.union([z.string(), z.number(), z.boolean(), z.null()]);

/** A command-line option's value: true = the bare option, false and null = left out, a map = JSON. */
export const flagValueSchema = z.union([
  flagScalarSchema,
  z.array(flagScalarSchema),
  z.record(z.string(), z.unknown()),
]);
export type FlagValue = z.infer<typeof flagValueSchema>;

export const flagsSchema = z.record(z.string(), flagValueSchema);
export type Flags = z.infer<typeof flagsSchema>;

export const countSchema = z.number().int().min(0);
export const positiveSchema = z.number().int().positive();
