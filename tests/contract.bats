#!/usr/bin/env bats
# The contract: no verb leaves anything behind in the process it ran in, none exits, and neither applets nor
# the library hold state or reach for what would end a host.
load helper

local_setup() {
	OBJ=$IPCBOX_BUILD/obj
	HOST=$IPCBOX_BUILD/contract
	mapfile -t objects < <(find "$OBJ/applets" "$OBJ/lib" -name '*.o' | sort)
	[[ ${#objects[@]} -gt 10 ]]
}

# host ARG: run the contract host and show what was not ok.
host() {
	local s=0
	timeout 300 "$HOST" "$1" >"$T/report" 2>"$T/report.err" 3>&- 4>&- || s=$?
	awk '/^ok/ { show = 0 } /^not ok/ { show = 1 } show' "$T/report" | head -n 200
	tail -n 5 "$T/report.err"
	[[ $s == 0 ]] && grep -q '^1\.\.' "$T/report"
}

@test "the records are whole, and help and wrong options leave nothing behind" {
	host --verbs
}

@test "verbs called twice in one process, well and badly, leave nothing behind" {
	host "$ROOT/tests/contract/cases"
}

# starve PART: the verbs of every fourth applet, in a process that is refused each of its requests for memory.
starve() {
	need python3
	[[ -z ${IPCBOX_AGAIN-} ]] || skip "done with another build already"
	local s=0 i names chosen=()
	mapfile -t names < <(ipcbox --list)
	for ((i = $1; i < ${#names[@]}; i += 4)); do chosen+=(-a "${names[i]}"); done
	timeout 600 "$ROOT/tests/faults/run" -q -w memory "${chosen[@]}" >report 2>&1 </dev/null 3>&- 4>&- || s=$?
	grep '^   ' report | head -n 40
	tail -n 1 report
	[[ $s == 0 ]]
}

@test "verbs that are refused memory end with a status and a message, and leave nothing behind (1 of 4)" {
	starve 0
}

@test "verbs that are refused memory ... (2 of 4)" {
	starve 1
}

@test "verbs that are refused memory ... (3 of 4)" {
	starve 2
}

@test "verbs that are refused memory ... (4 of 4)" {
	starve 3
}

@test "every verb has a case that works and one that fails" {
	awk '!/^(#|setup |in |$)/ { split($1, s, ","); a = $2; sub(/^ipc-/, "", a)
		print "ipc-" a "\t" $3 "\t" s[1] }' "$ROOT/tests/contract/cases" >have
	ipcbox --spec | awk -F'\t' '$1 == "verb" && $4 !~ /fallback|hidden/ { print $2 "\t" $3 }' >want
	awk -F'\t' 'NR == FNR { n[$1, $2]++; n[$1, "-"]++; if ($3 >= 64 || $3 == 1) bad[$1, $2] = bad[$1, "-"] = 1; next }
		n[$1, $2] < 2 || !bad[$1, $2] { print "tests/contract/cases lacks one of: " $1 " " $2; miss++ }
		END { exit miss > 0 }' have want
}

@test "the host notices what is left behind" {
	need gcc
	[[ -z ${IPCBOX_SANITIZE-} ]] || skip "the leaks are on purpose"
	cat >leaky.c <<-'EOF'
		#define _GNU_SOURCE
		#include "call.h"
		#include <fcntl.h>
		#include <signal.h>
		#include <stdlib.h>
		#include <string.h>
		#include <sys/mman.h>
		#include <sys/stat.h>
		#include <unistd.h>
		static void nothing(int sig) { (void)sig; }
		static int run(struct call *c)
		{
			const char *what = c->args[0].str;
			sigset_t set;
			if (strcmp(what, "fd") == 0) open("/dev/null", O_RDONLY | O_CLOEXEC);
			if (strcmp(what, "mask") == 0) { sigemptyset(&set); sigaddset(&set, SIGUSR1); sigprocmask(SIG_BLOCK, &set, NULL); }
			if (strcmp(what, "handler") == 0) signal(SIGUSR2, nothing);
			if (strcmp(what, "umask") == 0) umask(umask(0) ^ 1);
			if (strcmp(what, "cwd") == 0) chdir("/");
			if (strcmp(what, "env") == 0) setenv("LEFT", "x", 1);
			if (strcmp(what, "child") == 0 && fork() == 0) _exit(0);
			if (strcmp(what, "alarm") == 0) alarm(100);
			if (strcmp(what, "map") == 0) mmap(NULL, 1, PROT_READ, MAP_PRIVATE, open("/etc/passwd", O_RDONLY), 0);
			if (strcmp(what, "flag") == 0) fcntl(0, F_SETFL, O_NONBLOCK);
			return 0;
		}
		static const struct operand ops[] = {{.name = "X", .min = 1, .max = 1}, {0}};
		static const struct verb verbs[] = {{.name = "do", .summary = "x", .operands = ops, .run = run}};
		static const struct applet leaky = {.name = "ipc-leaky", .summary = "x", VERBS(verbs)};
		const struct applet *const applets[] = {&leaky, NULL};
	EOF
	mapfile -t libs < <(find "$OBJ/lib" -name '*.o')
	local cc link=()
	read -r cc _ <"$IPCBOX_BUILD/flags"
	[[ $(<"$IPCBOX_BUILD/flags") != *-static* ]] || link=(-static -no-pie)
	[[ -z ${IPCBOX_COVERAGE-} ]] || link+=(-fprofile-instr-generate)
	same_word || { cc=peer_gcc && link+=(-D_FILE_OFFSET_BITS=64 -D_TIME_BITS=64); }
	"$cc" -I"$ROOT/lib" "${link[@]}" -o leaky leaky.c "$OBJ"/tests/contract/{contract,state}.o "${libs[@]}"
	for what in fd mask handler umask cwd env child alarm map flag; do
		echo "0 ipc-leaky do $what" >case
		! ./leaky case >out 2>&1
		grep -q '^not ok 1 ' out || { echo "$what was not noticed"; cat out; false; }
	done
	echo "0 ipc-leaky do nothing" >case
	./leaky case
}

# Symbols that no object may refer to, with or without fortify's __..._chk.
forbidden='exit|_exit|_Exit|quick_exit|abort|atexit|on_exit|__assert_fail|getopt|getopt_long|getopt_long_only|opt(ind|arg|err|opt)|
signal|__sysv_signal|bsd_signal|sigset|setenv|putenv|unsetenv|clearenv|chdir|fchdir|umask|system|popen|pclose|
v?printf|v?fprintf|v?dprintf|puts|putchar|putc|fputs|fputc|putc_unlocked|fwrite|fread|f?getc|fgets|getline|getdelim|fopen|fdopen|freopen|
fclose|fflush|setvbuf|open_memstream|stdin|stdout|stderr|_IO_2_1_.*|perror|psignal|v?errx?|v?warnx?|v?error|setlocale|
s?rand|srandom|random|strtok|longjmp|_longjmp|siglongjmp|alarm|setitimer|sleep|usleep|pthread_create|thrd_create|
getpwnam|getpwuid|getgrnam|getgrgid|setuid|setgid|setrlimit'

@test "no object refers to what would end or change its host" {
	need nm
	local pattern=${forbidden//$'\n'/} o sym
	for o in "${objects[@]}"; do
		nm -u "$o" | awk '{ print $2 }' | sed -E 's/@.*//; s/^__(.*)_chk$/\1/' |
			grep -xE "$pattern" | while read -r sym; do
			# The two places that start processes, and the child that holds a lock for a shell, end children.
			case ${o#"$OBJ/"}:$sym in
			lib/spawn.o:_exit | lib/apart.o:_exit | lib/keeper.o:_exit) ;;
			*) echo "${o#"$OBJ/"}: $sym" ;;
			esac
		done
	done >bad
	cat bad
	[[ ! -s bad ]]
}

@test "no object has writable data" {
	need size
	[[ -z ${IPCBOX_SANITIZE-}${IPCBOX_COVERAGE-} ]] || skip "instrumented objects hold counters"
	for o in "${objects[@]}"; do
		# Tables of pointers are relocated in position-independent code: .data.rel.ro, read-only when it runs.
		size -A "$o" | awk -v o="${o#"$OBJ/"}" '
			$1 ~ /^\.(data|bss|tdata|tbss)/ && $1 !~ /^\.data\.rel\.ro/ && $2 > 0 { print o ": " $1 " " $2 " bytes" }'
	done >bad
	nm "${objects[@]}" | awk '$2 == "C" || $2 == "c" { print "common: " $3 }' >>bad
	cat bad
	[[ ! -s bad ]]
}

@test "only the process host catches signals for good and exits" {
	status 1 grep -nE '\b(exit|_exit|abort|atexit)\(' "$ROOT"/main.c
}
