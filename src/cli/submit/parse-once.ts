import * as z from 'zod';

// zod compiles each schema to a function on first use, which only pays off from the second use on. A command
// that reads one recipe and ends has no second use. The setting must precede every schema, so it is a module
// of its own, imported first.
z.config({ jitless: true });
