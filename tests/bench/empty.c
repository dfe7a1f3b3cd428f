/* tests/bench/empty.c: the limit of how fast a program can start. */
int main(void)
{
	return 0;
}
