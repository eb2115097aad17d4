// The limit of a load generator on one core: reads streams of completions with epoll, counts chunks and looks at the
// clock at each read. `client PORT STREAMS TOKENS REQUESTS` prints "<chunks> <CPU ms>" of the second half of the requests.
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

static int port, tokens, total, sent, done;
static long chunks, chunks_before;
static double cpu_before;
static volatile double last_at;

static double cpu_ms(void) {
  struct rusage use;
  getrusage(RUSAGE_SELF, &use);
  return (use.ru_utime.tv_sec + use.ru_stime.tv_sec) * 1e3 + (use.ru_utime.tv_usec + use.ru_stime.tv_usec) / 1e3;
}

static void begin(int epoll) {
  char body[200], request[500];
  int length = snprintf(body, sizeof body, "{\"prompt\":[%d,2,3],\"max_tokens\":%d,\"stream\":true}", sent++, tokens);
  int size = snprintf(request, sizeof request,
                      "POST /v1/completions HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-length: %d\r\n\r\n%s", length, body);
  struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
  int fd = socket(AF_INET, SOCK_STREAM, 0), on = 1;
  if (fd < 0 || connect(fd, (struct sockaddr *)&to, sizeof to) < 0) exit(1);
  setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  if (write(fd, request, size) != size) exit(1);
  struct epoll_event event = {.events = EPOLLIN, .data.fd = fd};
  epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event);
}

int main(int argc, char **argv) {
  if (argc < 5) return 2;
  port = atoi(argv[1]), tokens = atoi(argv[3]), total = atoi(argv[4]);
  int epoll = epoll_create1(0), streams = atoi(argv[2]);
  static char buffer[65536];
  static struct epoll_event events[1024];
  while (sent < streams) begin(epoll);
  while (done < total) {
    int ready = epoll_wait(epoll, events, 1024, -1);
    for (int i = 0; i < ready; i++) {
      int fd = events[i].data.fd;
      ssize_t got = read(fd, buffer, sizeof buffer);
      if (got <= 0) {
        close(fd);
        if (++done == total / 2) chunks_before = chunks, cpu_before = cpu_ms();
        if (sent < total) begin(epoll);
        continue;
      }
      struct timespec now;
      clock_gettime(CLOCK_MONOTONIC, &now);
      last_at = now.tv_sec * 1e3 + now.tv_nsec / 1e6;
      // A chunk whose begin is cut is missed, which does not matter here.
      for (char *at = buffer; (at = memmem(at, buffer + got - at, "data: {", 7)); at += 7) chunks++;
    }
  }
  printf("%ld %.1f\n", chunks - chunks_before, cpu_ms() - cpu_before);
}
