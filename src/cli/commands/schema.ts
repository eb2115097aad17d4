import type { Command } from 'commander';
import { SrtctlError } from '../../os/errors.ts';
import { writeExactly } from '../terminal/terminal.ts';

interface SchemaOptions {
  readonly json?: boolean;
  readonly cluster?: boolean;
  readonly bus?: boolean;
  readonly layout?: string;
}

const HOW_TO = `srtctl schema prints the JSON Schema of recipes of both layouts, with which editors complete and check them:

  srtctl schema > recipe.schema.json

and as the first line of a recipe, for editors with the YAML language server:

  # yaml-language-server: $schema=./recipe.schema.json

srtctl schema --layout 2 prints that of one layout, srtctl schema --cluster that of srtslurm.yaml, --bus that of
messages on the bus. docs/reference/config.md says what each key means.
`;

export function registerSchema(program: Command): void {
  program
    .command('schema')
    .description('Print the JSON Schema of recipes, for editors.')
    .option(
      '--json',
      'the schema itself, on a terminal too (without an option a terminal shows how to use it)',
    )
    .option('--layout <layout>', 'recipes of this layout alone: 1, or 2 (schema: 2)')
    .option('--cluster', 'the schema of srtslurm.yaml')
    .option('--bus', 'the schema of the messages on the bus of a job')
    .addHelpText(
      'after',
      `
Examples:
  srtctl schema > recipe.schema.json       recipes of both layouts
  srtctl schema --layout 2 --json          recipes of the second one
  srtctl schema --cluster > srtslurm.schema.json`,
    )
    .action(async (options: SchemaOptions) => {
      writeExactly(await text(options));
    });
}

async function text({ json, cluster, layout, bus }: SchemaOptions): Promise<string> {
  if (layout !== undefined && layout !== '1' && layout !== '2')
    throw new SrtctlError('usage', `--layout ${layout}: the layouts of recipes are 1 and 2`);
  if (bus) {
    const { busJsonSchema } = await import('../../messages/events/public-messages.ts');
    return `${JSON.stringify(busJsonSchema(), null, 2)}\n`;
  }
  if (!json && !cluster && layout === undefined && process.stdout.isTTY) return HOW_TO;
  const { clusterJsonSchema, recipeFileJsonSchema } = await import('../../recipe/json-schema.ts');
  const number = layout === undefined ? undefined : layout === '1' ? 1 : 2;
  const schemaOf = () => (cluster ? clusterJsonSchema() : recipeFileJsonSchema(number));
  return `${JSON.stringify(schemaOf(), null, 2)}\n`;
}
