/* Tries to get out of a box, one attempt a line: "<name> <errno>", 0 for success, "-<n>" for death by signal n. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <netinet/in.h>
#include <arpa/inet.h>
#include <unistd.h>

#define TRY(name, call) do { errno = 0; long r_ = (long)(call); \
	printf("%s %d\n", name, r_ < 0 ? errno : 0); fflush(stdout); } while (0)

static int abstract_connect(const char *name) {
	struct sockaddr_un a = {.sun_family = AF_UNIX};
	int s = socket(AF_UNIX, SOCK_STREAM, 0);
	memcpy(a.sun_path + 1, name, strlen(name));
	return connect(s, (void *)&a, sizeof(sa_family_t) + 1 + strlen(name));
}

static int loopback_connect(int port) {
	struct sockaddr_in a = {.sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	return connect(socket(AF_INET, SOCK_STREAM, 0), (void *)&a, sizeof a);
}

struct handle { struct file_handle h; unsigned char bytes[128]; };

static int by_handle(void) {
	struct handle h = {.h.handle_bytes = 128};
	int id;
	name_to_handle_at(AT_FDCWD, "/", &h.h, &id, 0);
	return open_by_handle_at(open("/", O_RDONLY), &h.h, O_RDONLY);
}

static int died(void (*what)(void)) {
	int status;
	pid_t pid = fork();
	if (pid == 0) { what(); _exit(0); }
	waitpid(pid, &status, 0);
	return WIFSIGNALED(status) ? -WTERMSIG(status) : WEXITSTATUS(status);
}

#ifdef __x86_64__
static void x32(void) { _exit(syscall(0x40000000 | 39) < 0 ? errno : 0); }
static void other_abi(void) { long r; __asm__ volatile("int $0x80" : "=a"(r) : "a"(20)); }
#else
static void other_abi(void) { raise(SIGSYS); }
#endif

int main(int argc, char **argv) {
	char page[4096];
	long how[3] = {O_CREAT | O_WRONLY, 04755, 0};
	TRY("umount-proc", umount2("/proc", MNT_DETACH));
	TRY("umount-input", umount2("/in", MNT_DETACH));
	TRY("remount-root", mount(0, "/", 0, MS_REMOUNT | MS_BIND, 0));
	TRY("remount-sys-rw", mount(0, "/sys", 0, MS_REMOUNT | MS_BIND, 0));
	TRY("mount-tmpfs", mount("t", "/mnt", "tmpfs", 0, 0));
	TRY("fsopen", syscall(430, "tmpfs", 0));
	TRY("open_tree", syscall(428, AT_FDCWD, "/", 1));
	TRY("mount_setattr", syscall(442, AT_FDCWD, "/", 0, page, 32));
	TRY("pivot_root", syscall(SYS_pivot_root, "/", "/"));
	TRY("chroot", chroot("/"));
	TRY("mknod-null", mknod("/dev-null", S_IFCHR | 0666, 0x103));
	TRY("mknod-disk", mknod("/dev-disk", S_IFBLK | 0666, 0x800));
	TRY("mknod-whiteout", mknod("/whiteout", S_IFCHR | 0666, 0));
	TRY("mknod-setuid", mknod("/node-setuid", S_IFREG | 04755, 0));
	TRY("sethostname", sethostname("evil", 4));
	TRY("setuid", setuid(argc > 3 ? 0 : 1)); /* a third word: go on as root */
	TRY("unshare-user", unshare(CLONE_NEWUSER));
	TRY("unshare-mount", unshare(CLONE_NEWNS));
	TRY("clone-user", syscall(SYS_clone, CLONE_NEWUSER | SIGCHLD, 0, 0, 0, 0));
	TRY("clone3", syscall(435, page, 88));
	TRY("setns", setns(open("/proc/1/ns/mnt", O_RDONLY), 0));
	TRY("ptrace-init", ptrace(PTRACE_SEIZE, 1, 0, 0));
	TRY("ptrace-attach-init", ptrace(PTRACE_ATTACH, 1, 0, 0));
	TRY("tiocsti", ioctl(0, TIOCSTI, "x"));
	TRY("tiocsti-high-bits", syscall(SYS_ioctl, 0, 0xdead00000000UL | TIOCSTI, "x"));
	TRY("tioclinux", ioctl(0, 0x541C, "\2"));
	TRY("keyctl", syscall(SYS_keyctl, 0, -3, 0));
	TRY("add_key", syscall(SYS_add_key, "user", "k", "v", 1, -3));
	TRY("request_key", syscall(SYS_request_key, "user", "k", 0, 0));
	TRY("bpf", syscall(SYS_bpf, 0, page, 64));
	TRY("perf_event_open", syscall(SYS_perf_event_open, page, 0, -1, -1, 0));
	TRY("userfaultfd", syscall(SYS_userfaultfd, 0));
	TRY("io_uring_setup", syscall(425, 1, page));
	TRY("open_by_handle_at", by_handle());
	TRY("syslog", syscall(SYS_syslog, 3, page, sizeof page));
	TRY("personality", syscall(SYS_personality, 0x0040000));
	TRY("personality-query", syscall(SYS_personality, 0xffffffff));
	TRY("vsock", socket(40, SOCK_STREAM, 0));
	TRY("alg", socket(38, SOCK_SEQPACKET, 0));
	TRY("packet", socket(17, SOCK_RAW, 0));
	TRY("inet", socket(AF_INET, SOCK_STREAM, 0));
	TRY("abstract", argc > 1 ? abstract_connect(argv[1]) : -1);
	TRY("loopback", argc > 2 ? loopback_connect(atoi(argv[2])) : -1);
	close(open("/plain", O_CREAT | O_WRONLY, 0644));
	TRY("chmod", chmod("/plain", 0755));
	TRY("chmod-setuid", chmod("/plain", 04755));
	TRY("fchmod-setgid", fchmod(open("/plain", O_RDONLY), 02755));
	TRY("fchmodat-setuid", syscall(SYS_fchmodat, AT_FDCWD, "/plain", 04755));
	TRY("fchmodat2-setuid", syscall(452, AT_FDCWD, "/plain", 04755, 0));
	TRY("open-setuid", open("/made-setuid", O_CREAT | O_WRONLY, 04755));
	TRY("openat-setuid", openat(AT_FDCWD, "/made-setuid", O_CREAT | O_WRONLY, 04755));
	TRY("tmpfile-setuid", openat(AT_FDCWD, "/", O_TMPFILE | O_WRONLY, 04755));
	TRY("creat-setgid", creat("/made-setgid", 02755));
	TRY("openat2-setuid", syscall(437, AT_FDCWD, "/made-setuid", how, 24));
	TRY("open-not-creating", syscall(SYS_openat, AT_FDCWD, "/plain", O_RDONLY, 07777));
	TRY("core_pattern", open("/proc/sys/kernel/core_pattern", O_WRONLY));
	TRY("swappiness", open("/proc/sys/vm/swappiness", O_WRONLY));
	TRY("sysrq", open("/proc/sysrq-trigger", O_WRONLY));
	TRY("kcore", open("/proc/kcore", O_RDONLY));
	TRY("kmsg", open("/dev/kmsg", O_RDONLY));
	TRY("sys-write", open("/sys/x", O_CREAT | O_WRONLY, 0644));
	TRY("mkfifo", mkfifo("/fifo", 0644));
	printf("other-abi %d\n", died(other_abi));
#ifdef __x86_64__
	printf("x32 %d\n", died(x32));
#endif
	return 0;
}
