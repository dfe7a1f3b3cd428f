# tests/coverage.awk: what llvm-cov(1) says in lcov's format, as tests/coverage prints it and writes it to the files
# named in `files` and `uncovered`.
/^SF:/ {
	path = substr($0, 4)
	sub(/^\.\//, "", path)
	sub(/.*\/(lib|applets|main\.c)/, "&", path)
	if (match(path, /(^|\/)(lib\/|applets\/|main\.c$)/) && path !~ /tests\//)
		path = substr(path, path ~ /^(lib|applets|main)/ ? 1 : RSTART + 1)
	else
		path = ""
	last = first = 0
	next
}
path == "" { next }
/^DA:/ {
	split(substr($0, 4), field, ",")
	line = field[1]
	lines[path]++
	if (field[2] > 0) {
		run[path]++
		close_range()
	} else if (first == 0) {
		first = last = line
	} else {
		last = line
	}
	next
}
/^end_of_record/ { close_range() }

# Lines without code between two that did not run belong to the range.
function close_range() {
	if (first > 0)
		ranges[path] = ranges[path] " " first (last > first ? "-" last : "")
	first = last = 0
}

END {
	sort = "sort -k1,1n -k3 >'" files "'"
	rank = "sort -t '#' -k2,2nr >'" uncovered "'"
	for (path in lines) {
		all += lines[path]
		ran += run[path]
		missing = lines[path] - run[path]
		printf "%5.1f %d/%d %s\n", 100 * run[path] / lines[path], run[path], lines[path], path | sort
		if (missing > 0)
			printf "%s:%s  # %d\n", path, ranges[path], missing | rank
	}
	if (all == 0)
		exit 1
	close(sort)
	close(rank)
	total = sprintf("%.1f %% of the lines of applets/, lib/ and main.c: %d of %d", 100 * ran / all, ran, all)
	print total >>files
	print total
}
