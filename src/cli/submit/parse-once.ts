import * as z from 'zod';

// zod compiles each schema to a function when it is first used, which pays off from the second use on. A command
// that reads one recipe and ends has none. It must be said before any schema is made: a module of its own, first.
z.config({ jitless: true });
