# completions/ipcbox-functions.bash: the part of ipcbox.bash that is not made from the records.
# shellcheck shell=bash disable=SC2034,SC2207,SC2154

# The words before the cursor as a shell would see them: bash splits them at = and : too. Sets words,
# cword, cur, and prefix, which is what stands in front of the part that bash will replace.
_ipcbox_words() {
	local line=$COMP_LINE i part
	words=() cword=-1
	for ((i = 0; i <= COMP_CWORD; i++)); do
		part=${COMP_WORDS[i]}
		if [[ $i == 0 || $line == [[:blank:]]* ]]; then
			words[++cword]=
		fi
		line=${line#"${line%%[![:blank:]]*}"}
		line=${line#"$part"}
		prefix=${words[cword]}
		words[cword]+=$part
	done
	[[ ${COMP_WORDS[COMP_CWORD]} != [=:] ]] || prefix=${words[cword]}
	cur=${words[cword]}
}

# Offer those of the words given that begin with what was typed.
_ipcbox_reply() {
	local w
	for w in "$@"; do
		[[ $w != "$cur"* ]] || COMPREPLY+=("${w#"$prefix"}")
	done
}

_ipcbox_files() {
	local f
	compopt -o filenames 2>/dev/null
	while IFS= read -r f; do
		COMPREPLY+=("$f")
	done < <(compgen "${2--f}" -- "${cur#"$1"}")
}

# Offer what ACTION stands for. $2 is what of $cur is not part of the value (--option=).
_ipcbox_action() {
	local name box=ipcbox list
	case $1 in
	=*)
		IFS=, read -ra list <<<"${1#=}"
		_ipcbox_reply "${list[@]/#/${2-}}"
		;;
	+*)
		# What stands before the last comma stays, as does the + of "+COLUMN".
		local value=${cur#"${2-}"}
		IFS=, read -ra list <<<"${1#+}"
		compopt -o nospace 2>/dev/null
		_ipcbox_reply "${list[@]/#/${2-}${value%"${value##*[,+]}"}}"
		;;
	signal)
		read -ra list <<<"$_ipcbox_signals"
		_ipcbox_reply "${list[@]/#/${2-}}"
		;;
	user) COMPREPLY+=($(compgen -u -- "${cur#"${2-}"}")) ;;
	pid)
		list=(/proc/[0-9]*)
		_ipcbox_reply "${list[@]/#\/proc\//${2-}}"
		;;
	path) _ipcbox_files "${2-}" ;;
	command) COMPREPLY+=($(compgen -c -- "${cur#"${2-}"}")) ;;
	object)
		[[ ${words[0]} != */* ]] || box=${words[0]%/*}/ipcbox
		_ipcbox_files "${2-}"
		while IFS= read -r name; do
			_ipcbox_reply "${2-}$name"
		done < <("$box" --objects ${kind:+"$kind"} 2>/dev/null)
		;;
	esac
}

# The action of option $1 is put into action; false when it takes no value.
_ipcbox_valued() {
	local v
	for v in $valued; do
		[[ $v == "$1:"* ]] || continue
		action=${v#"$1:"}
		return 0
	done
	return 1
}

# Does the word $1, an option or letters, want the next word as its value? Sets action.
_ipcbox_wants() {
	local i
	if [[ $1 == --* ]]; then
		[[ $1 != *=* ]] && _ipcbox_valued "$1"
		return
	fi
	for ((i = 1; i < ${#1}; i++)); do
		if _ipcbox_valued "-${1:i:1}"; then
			((i == ${#1} - 1))
			return
		fi
	done
	return 1
}

# CMD from word $1 on: bash-completion completes it as a command line of its own where it is loaded.
_ipcbox_command() {
	if declare -F _command_offset >/dev/null; then
		local at=0 i
		for ((i = 0; i < COMP_CWORD; i++)); do
			[[ ${COMP_WORDS[i]} != -- ]] || at=$((i + 1))
		done
		_command_offset "$at"
	elif ((cword == $1)) && [[ $cur != */* ]]; then
		COMPREPLY=($(compgen -c -- "$cur"))
	else
		_ipcbox_files ""
	fi
}

# The options and operands of a verb, from word $1 on.
_ipcbox_verb() {
	local i=$1 n=0 ended='' w o action=none
	for (( ; i < cword; i++)); do
		w=${words[i]}
		if [[ $w == -- ]]; then
			if [[ -z $ended && $n == 0 && -n $operands ]]; then
				ended=1
				continue
			fi
			[[ -z $command ]] || _ipcbox_command $((i + 1))
			return
		elif [[ -n $ended || $n -gt 0 || $w != -?* ]]; then
			n=$((n + 1))
		elif _ipcbox_wants "$w"; then
			if ((i + 1 == cword)); then
				_ipcbox_action "$action"
				return
			fi
			i=$((i + 1))
		fi
	done
	if [[ $cur == -* && $n == 0 && -z $ended ]]; then
		if [[ $cur == --*=* ]] && _ipcbox_valued "${cur%%=*}"; then
			_ipcbox_action "$action" "${cur%%=*}="
			return
		fi
		_ipcbox_reply $flags
		for o in $valued; do
			_ipcbox_reply "${o%%:*}"
		done
	fi
	if [[ -n $command && ($n -gt 0 || -z $operands) && $cur == -* ]]; then
		_ipcbox_reply --
		return
	fi
	[[ $cur == -* ]] && return
	for o in $operands; do
		if [[ $n == 0 || $o == *\* ]]; then
			_ipcbox_action "${o%\*}"
			return
		fi
		n=$((n - 1))
	done
}

_ipcbox() {
	local words cword cur prefix verbs kind fallback command flags valued operands applet verb i=1
	COMPREPLY=()
	_ipcbox_words
	applet=${words[0]##*/}
	if [[ " $_ipcbox_applets " != *" $applet "* ]]; then
		if ((cword == 1)); then
			_ipcbox_reply $_ipcbox_applets help --list --install --spec --version --help
			return
		fi
		case ${words[1]} in
		help)
			if ((cword == 2)); then
				_ipcbox_reply $_ipcbox_applets
			elif ((cword == 3)) && _ipcbox_applet "ipc-${words[2]#ipc-}"; then
				_ipcbox_reply $verbs
			fi
			return
			;;
		--install)
			if [[ $cur == -* ]]; then _ipcbox_reply -s; else _ipcbox_files "" -d; fi
			return
			;;
		esac
		applet=ipc-${words[1]#ipc-}
		i=2
	fi
	_ipcbox_applet "$applet" || return
	[[ $kind != - ]] || kind=
	verb=-
	if [[ -n $verbs ]]; then
		if ((cword == i)); then
			_ipcbox_reply $verbs
			[[ $cur != -* ]] || _ipcbox_reply --help
			[[ -n $fallback && $cur != -* ]] && _ipcbox_record "$applet $fallback" && _ipcbox_verb $i
			return
		fi
		verb=${words[i]}
		if [[ " $verbs " == *" $verb "* ]]; then
			i=$((i + 1))
		else
			verb=${fallback:-none}
		fi
	fi
	_ipcbox_record "$applet $verb" && _ipcbox_verb $i
}
