import * as z from 'zod';

/** A number that is assignable to no counter of another name, so that the compiler finds the two mixed up. */
type Counter<Name extends string> = number & { readonly counts?: Name };

/** Which coordinator of a job decides: each successor has the next number, and agents obey only the highest. */
export type Epoch = Counter<'epochs'>;

/** Which desired state of the job it is: each change of what runs has the next number. */
export type Generation = Counter<'generations'>;

const count = z.number().int().nonnegative();
export const epochSchema: z.ZodType<Epoch, number> = count;
export const generationSchema: z.ZodType<Generation, number> = count;
