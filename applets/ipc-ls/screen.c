/* applets/ipc-ls/screen.c: --watch in a terminal: on the alternate screen, so that what stood there comes back, with
 * keys taken one by one when stdin is that terminal and we are in its foreground. ^Z gives all back before it stops. */
#define _GNU_SOURCE
#include "ls.h"

#include "fd.h"
#include "wait.h"

#include <errno.h>
#include <signal.h>
#include <string.h>
#include <unistd.h>

#define ENTER "\033[?1049h"
#define LEAVE "\033[?1049l"

static void put_all(const struct screen *s, const char *text)
{
	(void)fd_write(s->fd, text, strlen(text));
}

static void take_keys(struct screen *s)
{
	struct termios mode;
	s->keys = tcgetpgrp(0) == getpgrp() && tcgetattr(0, &s->mode) == 0;
	if (!s->keys)
		return;
	mode = s->mode;
	mode.c_lflag &= ~(tcflag_t)(ICANON | ECHO);
	mode.c_cc[VSUSP] = _POSIX_VDISABLE;
	mode.c_cc[VMIN] = 1;
	mode.c_cc[VTIME] = 0;
	(void)tcsetattr(0, TCSANOW, &mode);
}

void screen_enter(struct screen *s, int fd)
{
	if (s->on)
		return;
	*s = (struct screen){.fd = fd, .on = true};
	take_keys(s);
	put_all(s, ENTER);
}

void screen_leave(struct screen *s)
{
	int e = errno;
	if (s->on)
		put_all(s, LEAVE);
	if (s->on && s->keys && tcgetpgrp(0) == getpgrp())
		(void)tcsetattr(0, TCSANOW, &s->mode);
	s->on = s->keys = false;
	errno = e;
}

/* As the terminal would have done it: our whole group. */
static void suspend(struct screen *s)
{
	screen_leave(s);
	(void)kill(0, SIGTSTP);
	screen_enter(s, s->fd);
}

enum screen_key screen_wait(struct screen *s, int64_t deadline, const struct stop *stop)
{
	struct pollfd p = {.fd = s->keys ? 0 : -1, .events = POLLIN};
	char key;
	if (wait_poll(&p, 1, deadline, stop) <= 0)
		return errno == EINTR ? SCREEN_STOPPED : SCREEN_TIME;
	if (read(0, &key, 1) != 1) {
		s->keys = false; /* it hung up */
		return SCREEN_TIME;
	}
	if (key == 'Z' - '@')
		suspend(s);
	return key == 'q' || key == 'Q' ? SCREEN_QUIT : SCREEN_TIME;
}
