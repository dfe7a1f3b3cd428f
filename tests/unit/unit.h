/* tests/unit/unit.h: the smallest harness: a check that fails says where, and the group goes on. */
#ifndef IPC_UNIT_H
#define IPC_UNIT_H

#include <stdbool.h>
#include <stddef.h>

void unit_check(bool good, const char *file, int line, const char *fmt, ...)
	__attribute__((format(printf, 4, 5)));
/* A file under the current directory with TEXT of LEN bytes, opened for reading; exits when it cannot. */
int unit_file(const char *text, size_t len);

#define OK(cond) unit_check((cond), __FILE__, __LINE__, "%s", #cond)
#define OKF(cond, ...) unit_check((cond), __FILE__, __LINE__, __VA_ARGS__)

void test_num(void);
void test_frame(void);
void test_object(void);
void test_out(void);
void test_call(void);
void test_args(void);
void test_fd(void);
void test_wait(void);
void test_addr(void);
void test_shared(void);
void test_task(void);
void test_blocked(void);

#endif
