#!/usr/bin/env bats
# -v: a verb that has to wait says once what it waits for; one that need not says nothing.
load helper

# said TEXT: the program in the background says TEXT on stderr (the file err) while it waits.
said() {
	until_true grep -qF "$1" err || { cat err; false; }
	[[ $(grep -c waiting err) == 1 ]]
}

@test "ipc-lock and ipc-sem say who holds what they wait for" {
	mkfifo up go
	local family what
	for family in both dotlock sem; do
		what=(ipc-lock run --family "$family" ./l)
		[[ $family != sem ]] || what=(ipc-sem run ./s)
		bg "${what[@]}" -- sh -c 'echo >up; read -r _ <go'
		local holder=$!
		read -r _ <up
		bg "${what[@]:0:2}" -v "${what[@]:2}" -- true 2>err
		local waiter=$!
		said "waiting for ./"
		grep -q "held by" err || { cat err; false; }
		echo >go
		wait $holder
		wait $waiter
		# Had at once, or not waited for: nothing.
		status 0 "${what[@]:0:2}" -v "${what[@]:2}" -- true
		[[ $stderr != *waiting* ]]
		rm -f l
	done
}

@test "ring, mq, event, fifo, barrier, spool and shm say what they wait for" {
	ipc-ring create -S 4K ./r
	bg ipc-ring get -v ./r 2>err
	said "waiting for a record in ./r"
	ipc-ring put ./r x
	wait $!
	local q
	q=$(ipc-mq create sysv:private)
	bg ipc-mq recv -v "$q" 2>err
	said "waiting for a message in"
	ipc-mq send "$q" x
	wait $!
	ipc-mq rm "$q"
	bg ipc-event wait -v ./e 2>err
	said "waiting for a set of ./e"
	ipc-event set ./e
	wait $!
	ipc-fifo create ./f
	bg ipc-fifo read -v ./f 2>err
	said "waiting for a writer of ./f"
	ipc-fifo write -v ./f x
	wait $!
	bg ipc-fifo write -v ./f x 2>err
	said "waiting for a reader of ./f"
	ipc-fifo read ./f
	wait $!
	bg ipc-barrier wait -v -c 2 ./b 2>err
	said "waiting at ./b: 1 of 2 came"
	ipc-barrier wait -c 2 ./b
	wait $!
	ipc-spool create ./q
	bg ipc-spool take -v --owner $$ ./q 2>err
	said "waiting for a job in"
	echo x | ipc-spool put ./q
	wait $!
	status 0 ipc-event wait -v ./e
	[[ $stderr != *waiting* ]]
}
