/* tests/bench/pingpong.c: `pingpong N` writes a byte and reads one back, N times; without N it returns
 * every byte it reads until end of file. */
#include <stdlib.h>
#include <unistd.h>

int main(int argc, char **argv)
{
	char c = 'x';
	if (argc == 1) {
		while (read(0, &c, 1) == 1)
			if (write(1, &c, 1) != 1)
				return 1;
		return 0;
	}
	for (long n = strtol(argv[1], NULL, 10); n > 0; n--)
		if (write(1, &c, 1) != 1 || read(0, &c, 1) != 1)
			return 1;
	return 0;
}
