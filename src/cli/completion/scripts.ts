/**
 * What the shells read. They ask `srtctl __complete`, whose first line says what follows: `words`, one a line with a tab before
 * its description, or `files` or `directories`, which the shell completes itself. No word is evaluated: names and tags of
 * jobs come from recipes of other people, and `compgen -W` and `eval`, which generators of such scripts use, would run a
 * command substitution in them.
 */

const BASH = String.raw`# Completion of srtctl for bash 4 and later: source <(srtctl completion bash)
_srtctl() {
  local line value
  local -a out=()
  COMPREPLY=()
  while IFS= read -r line; do out+=("$line"); done < <(
    srtctl __complete -- "${'$'}{COMP_WORDS[@]:1:COMP_CWORD}" 2>/dev/null
  )
  case ${'$'}{out[0]-} in
    files) compopt -o default 2>/dev/null; return ;;
    directories) compopt -o dirnames 2>/dev/null; return ;;
  esac
  for line in "${'$'}{out[@]:1}"; do
    printf -v value %q "${'$'}{line%%$'\t'*}"
    COMPREPLY+=("$value")
  done
}
complete -o nosort -F _srtctl srtctl
`;

const ZSH = String.raw`#compdef srtctl
# Completion of srtctl for zsh: source <(srtctl completion zsh), after compinit
_srtctl() {
  local line
  local -a out values descriptions
  out=("${'$'}{(@f)$(srtctl __complete -- "${'$'}{(@)words[2,CURRENT]}" 2>/dev/null)}")
  case $out[1] in
    files) _files; return ;;
    directories) _files -/; return ;;
  esac
  for line in "${'$'}{(@)out[2,-1]}"; do
    values+=("${'$'}{line%%$'\t'*}")
    descriptions+=("${'$'}{line/$'\t'/  }")
  done
  compadd -l -V srtctl -d descriptions -a values
}
if [[ $funcstack[1] == _srtctl ]]; then _srtctl "$@"; else compdef _srtctl srtctl; fi
`;

const FISH = String.raw`# Completion of srtctl for fish: srtctl completion fish | source
function __srtctl_complete
    set -l current (commandline -ct)
    set -l words (commandline -opc) "$current"
    set -l out (srtctl __complete -- $words[2..-1] 2>/dev/null)
    switch "$out[1]"
        case files
            __fish_complete_path "$current"
        case directories
            __fish_complete_directories "$current" ''
        case '*'
            set -q out[2]; and printf '%s\n' $out[2..-1]
    end
end
complete -c srtctl -e
complete -c srtctl -f -k -a '(__srtctl_complete)'
`;

export const SHELLS = ['bash', 'zsh', 'fish'] as const;
export type Shell = (typeof SHELLS)[number];

export const scriptFor = (shell: Shell): string => ({ bash: BASH, zsh: ZSH, fish: FISH })[shell];
