/* ask SOCKET WORDS: says the words there, and writes what is answered. */
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

int main(int argc, char **argv) {
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	char answer[100];
	int fd = socket(AF_UNIX, SOCK_STREAM, 0);
	strncpy(address.sun_path, argv[1], sizeof address.sun_path - 1);
	if (connect(fd, (struct sockaddr *)&address, sizeof address) || write(fd, argv[2], strlen(argv[2])) < 0) {
		perror(argv[1]);
		return 1;
	}
	ssize_t length = read(fd, answer, sizeof answer);
	return length <= 0 || write(1, answer, length) != length;
}
