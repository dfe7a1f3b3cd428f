# completions/ipcbox-functions.fish: the part of ipcbox.fish that is not made from the records.

# Where the cursor is, as one line "PHASE VERB N": PHASE is verb, options (before the first operand),
# operand (N operands are complete), command (behind the -- that introduces CMD), or value.
function __ipcbox_where
    set -l words (commandline -opc)
    set -l applet (string replace -r '.*/' '' -- $words[1])
    set -e words[1]
    set -l verb -
    set -l verbs (__ipcbox_verbs $applet)
    if test "$verbs[1]" != -
        if test (count $words) = 0
            echo verb
            set verb (__ipcbox_fallback $applet)
            test -n "$verb"; and echo operand $verb 0
            return
        end
        set verb $words[1]
        if contains -- $verb $verbs
            set -e words[1]
        else
            set verb (__ipcbox_fallback $applet)
            test -n "$verb"; or return
        end
    end
    set -l valued (__ipcbox_valued "$applet $verb")
    set -l n 0
    set -l ended 0
    set -l value 0
    for w in $words
        if test $value = 1
            set value 0
        else if test "$w" = --
            if test $ended = 0 -a $n = 0; and __ipcbox_takes "$applet $verb"
                set ended 1
            else
                echo command $verb
                return
            end
        else if test $ended = 0 -a $n = 0; and string match -q -- '-?*' $w
            contains -- $w $valued; and set value 1
        else
            set n (math $n + 1)
        end
    end
    test $value = 1; and echo value $verb; and return
    test $ended = 0 -a $n = 0; and echo options $verb
    echo operand $verb $n
end

# __ipcbox_at PHASE [VERB [FIRST [LAST]]]: is the cursor there? An empty LAST is no limit. An option's
# value counts as options, since fish looks the option up itself.
function __ipcbox_at
    for line in (__ipcbox_where)
        set -l at (string split ' ' -- $line)
        test "$at[1]" = value; and set at[1] options
        test "$at[1]" = "$argv[1]"; or continue
        test (count $argv) -lt 2; and return 0
        test "$at[2]" = "$argv[2]"; or continue
        test "$at[1]" != operand; and return 0
        test $at[3] -ge $argv[3]; or continue
        test (count $argv) -lt 4; and return 0
        test $at[3] -le $argv[4]; and return 0
    end
    return 1
end

function __ipcbox_objects
    set -l box ipcbox
    set -l cmd (commandline -opc)[1]
    string match -q '*/*' -- $cmd; and set box (string replace -r '[^/]*$' '' -- $cmd)ipcbox
    $box --objects $argv 2>/dev/null
end

function __ipcbox_first
    test (count (commandline -opc)) = 1
end

# What stands behind the -- is a command line of its own.
function __ipcbox_command
    set -l words (commandline -opc)
    set -l i (contains -i -- -- $words[-1..1])
    set -l rest
    test $i -gt 1; and set rest (string escape -- $words[(math -- -$i + 1)..-1])
    complete -C (string join ' ' -- $rest (commandline -ct))
end

# ipcbox APPLET ... is completed as the applet itself.
function __ipcbox_delegate
    set -l words (commandline -opc)
    switch $words[2]
        case help
            test (count $words) = 2; and printf '%s\n' $__ipcbox_applets
            test (count $words) = 3; and __ipcbox_verbs ipc-(string replace -r '^ipc-' '' -- $words[3])
        case --install
            __fish_complete_directories (commandline -ct)
        case '*'
            set -l applet ipc-(string replace -r '^ipc-' '' -- $words[2])
            contains -- $applet $__ipcbox_applets; or return
            set -e words[1..2]
            complete -C (string join ' ' -- $applet (string escape -- $words) (commandline -ct))
    end
end
