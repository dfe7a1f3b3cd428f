/* ring.pml: the protocol of ipc-ring, for spin(1). tests/model/run checks it.
 *
 * Writers put records, readers take them, through a ring of SLOTS records. All that changes together stands
 * twice, and one store (valid) says which copy is valid. A process may be killed before any of its
 * steps, KILLS times in all; the kernel then frees the lock it holds.
 *
 * Checked: a record is got at most once; one that was acknowledged is got, unless a reader was killed
 * that had taken it; what is got was put; no process is left waiting (invalid end states).
 * With KILLS, sleepers look again when nothing else can happen, as ipc-ring's do every second; without,
 * they do not, so that a lost wake-up shows as a deadlock.
 */
#ifndef KILLS
#define KILLS 0
#endif
#define SLOTS 1
#ifndef WRITERS
#define WRITERS 2
#define READERS 1
#define EACH 1 /* records per writer */
#endif
#define RECORDS (WRITERS * EACH)

byte data[SLOTS];         /* what the bytes hold; 0: garbage */
byte tail[2], head[2];    /* the two copies of the state */
bit valid;
byte lock;                /* 0: free, else owner + 1 */
bool closed;
byte bell[2], sleeps[2];  /* futexes: 0 data, 1 space */
bool asleep[8];           /* by process: sleeps on bell on[] */
byte on[8];
bool acked[RECORDS + 1], taken[RECORDS + 1];
byte got[RECORDS + 1];
byte kills;
byte writers_left = WRITERS;

/* Every step may be the last one. */
#if KILLS == 0
#define STEP skip
#else
#define STEP                                                                                                   \
	if                                                                                                     \
	:: kills < KILLS -> kills++; goto killed                                                               \
	:: true                                                                                                \
	fi
#endif

#define LOCK atomic { lock == 0 -> lock = me + 1 }
#define UNLOCK lock = 0

/* futex_wake(1) on B: one of those asleep. */
inline wake_one(b) {
	atomic {
		w = 0;
		do
		:: w < WRITERS + READERS && asleep[w] && on[w] == b -> asleep[w] = false; break
		:: w < WRITERS + READERS && !(asleep[w] && on[w] == b) -> w++
		:: w == WRITERS + READERS -> break
		od
	}
}
inline wake_all(b) {
	atomic {
		w = 0;
		do
		:: w < WRITERS + READERS ->
			if
			:: asleep[w] && on[w] == b -> asleep[w] = false
			:: else
			fi;
			w++
		:: else -> break
		od
	}
}
/* futex_wait: sleep only if the bell still says what was read under the lock. */
inline sleep_on(b, seen) {
	atomic {
		if
		:: bell[b] == seen -> asleep[me] = true; on[me] = b
		:: else
		fi
	};
	do
	:: !asleep[me] -> break
#if KILLS
	:: timeout -> atomic { asleep[me] = false }; break
#endif
	od
}

proctype writer(byte me) {
	byte n = 0, rec, s, seen, idle = 0, a, w;
	do
	:: n < EACH ->
		rec = me * EACH + n + 1;
		STEP;
again:		LOCK;
		STEP;
		s = valid;
		if
		:: tail[s] - head[s] == SLOTS -> /* full: wait for space */
			seen = bell[1];
			sleeps[1] = (sleeps[1] + 1) % 64;
			STEP;
			UNLOCK;
			STEP;
			sleep_on(1, seen);
			goto again
		:: else
		fi;
		data[tail[s] % SLOTS] = rec;
		STEP;
		tail[1 - s] = tail[s] + 1;
		STEP;
		head[1 - s] = head[s];
		STEP;
		valid = 1 - s; /* published */
		STEP;
		UNLOCK;
		STEP;
		a = sleeps[0];
		if
		:: a != idle ->
			STEP;
			bell[0] = (bell[0] + 1) % 64;
			STEP;
			wake_one(0);
			if
			:: w == WRITERS + READERS -> idle = a /* nobody was asleep */
			:: else
			fi
		:: else
		fi;
		STEP;
		acked[rec] = true;
		n++
	:: else -> break
	od;
	goto out;
killed:
	atomic {
		asleep[me] = false;
		if
		:: lock == me + 1 -> lock = 0
		:: else
		fi
	};
out:
	writers_left--
}

proctype reader(byte me) {
	byte s, rec, seen, w;
	bool left;
	do
	:: STEP;
		LOCK;
		STEP;
		s = valid;
		if
		:: tail[s] == head[s] && closed -> UNLOCK; break
		:: tail[s] == head[s] && !closed ->
			seen = bell[0];
			sleeps[0] = (sleeps[0] + 1) % 64;
			STEP;
			UNLOCK;
			STEP;
			sleep_on(0, seen)
		:: else ->
			rec = data[head[s] % SLOTS];
			STEP;
			head[1 - s] = head[s] + 1;
			STEP;
			tail[1 - s] = tail[s];
			STEP;
			/* Published, and from here on gone with us if we are killed before we write it out. */
			atomic { valid = 1 - s; taken[rec] = true };
			left = tail[valid] != head[valid];
			STEP;
			UNLOCK;
			STEP;
			bell[1] = (bell[1] + 1) % 64;
			wake_all(1);
			if
			:: left ->
				STEP;
				bell[0] = (bell[0] + 1) % 64;
				wake_one(0)
			:: else
			fi;
			STEP;
			atomic {
				assert(rec > 0);
				got[rec]++;
				assert(got[rec] == 1);
				rec = 0
			}
		fi
	od;
	goto out;
killed:
	atomic {
		asleep[me] = false;
		if
		:: lock == me + 1 -> lock = 0
		:: else
		fi
	};
out:
	skip
}

/* ipc-ring close, when all writers have ended; then what is left is drained, and all is counted. */
init {
	byte i, s;
	atomic {
		i = 0;
		do
		:: i < WRITERS -> run writer(i); i++
		:: i >= WRITERS && i < WRITERS + READERS -> run reader(i); i++
		:: i == WRITERS + READERS -> break
		od
	};
	writers_left == 0;
	atomic { lock == 0 -> lock = 99 };
	closed = true;
	lock = 0;
	atomic {
		byte w = 0;
		bell[0] = (bell[0] + 1) % 64;
		do
		:: w < WRITERS + READERS -> asleep[w] = false; w++
		:: else -> break
		od
	};
	_nr_pr == 1; /* all have ended */
	atomic {
		s = valid;
		do
		:: head[s] != tail[s] -> i = data[head[s] % SLOTS]; assert(!taken[i]); taken[i] = true; got[i]++; head[s]++
		:: else -> break
		od;
		i = 1;
		do
		:: i <= RECORDS ->
			assert(got[i] <= 1);
			assert(!acked[i] || taken[i]);
			assert(kills > 0 || got[i] == 1);
			i++
		:: else -> break
		od
	}
}
