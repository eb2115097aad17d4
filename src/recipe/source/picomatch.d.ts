/** The part of picomatch that is used here; the package has no types of its own. */
declare module 'picomatch' {
  export default function picomatch(
    glob: string,
    options: { readonly dot: boolean; readonly bash: boolean },
  ): (text: string) => boolean;
}
