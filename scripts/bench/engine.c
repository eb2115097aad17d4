/* Stands in for python3 in bench:slurm: engines and router that are ready at once, so that what is measured is the
 * launching and not an engine's start. A Node process for each of 64 workers would be 3 GB and half a minute of CPU.
 * It tells when it began in a file of $BENCH_SPAWNED, listens on --port, and answers every request: the router with a
 * healthy worker for each of its --worker-urls. Without -m it is the real python3 ($BENCH_PYTHON). */
#include <arpa/inet.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

static int workers_of(int argc, char **argv)
{
	int count = 0, inside = 0;
	for (int i = 1; i < argc; i++) {
		if (argv[i][0] == '-')
			inside = strcmp(argv[i], "--worker-urls") == 0;
		else
			count += inside;
	}
	return count;
}

static const char *value_of(int argc, char **argv, const char *name)
{
	for (int i = 1; i + 1 < argc; i++)
		if (strcmp(argv[i], name) == 0)
			return argv[i + 1];
	return "0";
}

static void tell(int port)
{
	char path[4096], host[256] = "";
	struct timespec now;
	clock_gettime(CLOCK_REALTIME, &now);
	gethostname(host, sizeof host - 1);
	snprintf(path, sizeof path, "%s/%s-%d", getenv("BENCH_SPAWNED"), host, port);
	FILE *file = fopen(path, "w");
	if (file) {
		fprintf(file, "%lld\n", now.tv_sec * 1000LL + now.tv_nsec / 1000000);
		fclose(file);
	}
}

int main(int argc, char **argv)
{
	if (argc < 3 || strcmp(argv[1], "-m") != 0) {
		argv[0] = getenv("BENCH_PYTHON");
		execv(argv[0], argv);
		return 127;
	}
	int port = atoi(value_of(argc, argv, "--port")), one = 1, count = workers_of(argc, argv);
	tell(port);
	signal(SIGPIPE, SIG_IGN);
	char *answer = malloc(1024 + 64 * (size_t)count), body[256];
	size_t length = (size_t)sprintf(answer, "HTTP/1.0 200 OK\r\nContent-Type: application/json\r\n\r\n{\"workers\":[");
	for (int i = 0; i < count; i++)
		length += (size_t)sprintf(answer + length, "%s{\"worker_type\":\"regular\",\"is_healthy\":true}", i ? "," : "");
	length += (size_t)sprintf(answer + length, "]}");
	struct sockaddr_in address = { .sin_family = AF_INET, .sin_port = htons((unsigned short)port) };
	int server = socket(AF_INET, SOCK_STREAM, 0);
	setsockopt(server, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
	if (bind(server, (struct sockaddr *)&address, sizeof address) < 0 || listen(server, 128) < 0) {
		perror("bind");
		return 1;
	}
	for (;;) {
		int client = accept(server, NULL, NULL);
		if (client < 0)
			continue;
		if (read(client, body, sizeof body) > 0 && write(client, answer, length) < 0)
			perror("write");
		shutdown(client, SHUT_WR);
		while (read(client, body, sizeof body) > 0)
			;
		close(client);
	}
}
