/** The last part of a model's path or of `hf:org/name`: the name of a model without another one. */
export const baseName = (path: string): string => path.replace(/\/+$/, '').split('/').at(-1) ?? path;
