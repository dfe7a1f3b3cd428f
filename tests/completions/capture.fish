#!/usr/bin/env fish
# tests/completions/capture.fish DIR LINE: print what fish offers at the end of LINE, one a line, without
# the descriptions.
source $argv[1]/ipcbox.fish
complete -C $argv[2] | string replace -r '\t.*' ''
true
