#!/usr/bin/env bash
# tests/completions/capture.bash DIR LINE: print what bash offers at the end of LINE, one a line: the
# function that `complete -F` names is called with the words as readline would split them.
# shellcheck source=/dev/null
source "$1/ipcbox.bash"
COMP_LINE=$2 COMP_POINT=${#2}
read -ra COMP_WORDS <<<"$(sed -E 's/([=:])/ \1 /g' <<<"$2")"
[[ $2 != *[\ =:] ]] || COMP_WORDS+=("")
COMP_CWORD=$((${#COMP_WORDS[@]} - 1))
f=$(complete -p "${COMP_WORDS[0]##*/}" | sed 's/.* -F \([^ ]*\).*/\1/')
COMPREPLY=()
"$f" 2>/dev/null
[[ ${#COMPREPLY[@]} == 0 ]] || printf '%s\n' "${COMPREPLY[@]}"
