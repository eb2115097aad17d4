/** The last part of a model's path or of `hf:org/name`: what a model is called that has no other name. */
export const baseName = (path: string): string => path.replace(/\/+$/, '').split('/').at(-1) ?? path;
