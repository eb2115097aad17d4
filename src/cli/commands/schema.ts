import type { Command } from 'commander';
import { writeExactly } from '../terminal/terminal.ts';

interface SchemaOptions {
  readonly json?: boolean;
  readonly cluster?: boolean;
}

const HOW_TO = `srtctl schema --json prints the JSON Schema of a recipe, with which editors complete and check it:

  srtctl schema --json > recipe.schema.json

and as the first line of a recipe, for editors with the YAML language server:

  # yaml-language-server: $schema=./recipe.schema.json

srtctl schema --json --cluster prints that of srtslurm.yaml. docs/reference/config.md says what each key means.
`;

export function registerSchema(program: Command): void {
  program
    .command('schema')
    .description('Print the JSON Schema of recipes, for editors.')
    .option('--json', 'the schema itself; without it, how to use it')
    .option('--cluster', 'the schema of srtslurm.yaml')
    .action(async (options: SchemaOptions) => {
      writeExactly(await text(options));
    });
}

async function text({ json, cluster }: SchemaOptions): Promise<string> {
  if (!json) return HOW_TO;
  const { clusterJsonSchema, recipeFileJsonSchema } = await import('../../recipe/json-schema.ts');
  return `${JSON.stringify(cluster ? clusterJsonSchema() : recipeFileJsonSchema(), null, 2)}\n`;
}
