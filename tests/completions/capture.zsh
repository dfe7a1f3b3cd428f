#!/usr/bin/env zsh
# tests/completions/capture.zsh DIR LINE: print what zsh, with DIR in fpath, offers at the end of LINE, one
# a line. A real interactive zsh runs in a pseudo-terminal; its compadd is replaced by one that prints.
emulate -L zsh
zmodload zsh/zpty
dir=$1 line=$2 rc=${TMPDIR:-/tmp}/zshrc.$$
cat >$rc <<'EOF'
PROMPT= RPROMPT=
unsetopt zle_bracketed_paste 2>/dev/null
autoload -U compinit
compinit -D -u
bindkey '^I' complete-word
zstyle ':completion:*' insert-tab false
zstyle ':completion:*' list-separator ''
null-line() { print -rn -- $'\0' }
compprefuncs=(null-line)
comppostfuncs=(null-line)
compadd() {
	if [[ ${@[1,(i)(-|--)]} == *-(O|A|D)\ * ]]; then
		builtin compadd "$@"
		return
	fi
	local -a hits
	builtin compadd -A hits "$@"
	local hit
	for hit in $hits; do print -r -- $hit; done
	builtin compadd "$@"
}
print -rn -- $'\1'
EOF
zpty z "stty -onlcr -echo 2>/dev/null; fpath=($dir \$fpath) exec zsh -f -i"
zpty -w z "fpath=($dir \$fpath); cd ${(q)PWD}; source $rc"
zpty -r z text $'*\1*' || exit 1
zpty -wn z "$line"$'\t'
# It lives until all is read: where it ends earlier, what zpty has not read yet is lost.
text=
zpty -r z text $'*\0*\0*'
rm -f $rc
text=${${text#*$'\0'}%$'\0'*}
print -r -- ${text//$'\r'/}
zpty -d z
