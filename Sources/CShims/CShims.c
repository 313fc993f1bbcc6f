#define _GNU_SOURCE
#include "CShims.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <sys/file.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/timex.h>
#include <sys/wait.h>
#include <unistd.h>

#ifndef CLOSE_RANGE_CLOEXEC
#define CLOSE_RANGE_CLOEXEC (1U << 2)
#endif

// Everything the child does before exec is async-signal-safe: other threads of the parent may have
// held any lock (malloc's too) at the moment of the fork.

static void fail(int report, int step) {
  int message[2] = {errno, step};
  ssize_t written = write(report, message, sizeof message);
  (void)written;
  _exit(127);
}

static void close_all_on_exec(void) {
  if (syscall(SYS_close_range, 3U, ~0U, CLOSE_RANGE_CLOEXEC) == 0) return;
  // Before Linux 5.9, or forbidden by a sandbox.
  for (int fd = 3; fd < 4096; fd++) {
    int flags = fcntl(fd, F_GETFD);
    if (flags >= 0) fcntl(fd, F_SETFD, flags | FD_CLOEXEC);
  }
}

static void run_child(
    const struct smartcontent_spawn_request *request, pid_t parent, int report) {
  struct sigaction standard;
  memset(&standard, 0, sizeof standard);
  standard.sa_handler = SIG_DFL;
  for (int number = 1; number < NSIG; number++) sigaction(number, &standard, NULL);

  setpgid(0, 0);
  int nothing = open("/dev/null", O_RDONLY);
  if (nothing < 0 || dup2(nothing, 0) < 0 || dup2(request->output_fd, 1) < 0 ||
      dup2(request->output_fd, 2) < 0)
    fail(report, SMARTCONTENT_SPAWN_REDIRECT);
  close_all_on_exec();

  if (request->drop_privileges &&
      (setgroups(0, NULL) != 0 || setgid(request->gid) != 0 || setuid(request->uid) != 0))
    fail(report, SMARTCONTENT_SPAWN_DROP_PRIVILEGES);

  // After the change of user, which clears the death signal.
  if (request->death_signal) {
    if (prctl(PR_SET_PDEATHSIG, request->death_signal) != 0)
      fail(report, SMARTCONTENT_SPAWN_DEATH_SIGNAL);
    // The parent may have died before prctl: then no signal would ever come.
    if (getppid() != parent) _exit(127);
  }

  if (request->working_folder && chdir(request->working_folder) != 0)
    fail(report, SMARTCONTENT_SPAWN_WORKING_FOLDER);

  sigset_t none;
  sigemptyset(&none);
  sigprocmask(SIG_SETMASK, &none, NULL);
  execve(request->path, request->argv, request->envp);
  fail(report, SMARTCONTENT_SPAWN_EXEC);
}

struct smartcontent_spawn_result smartcontent_spawn(
    const struct smartcontent_spawn_request *request) {
  struct smartcontent_spawn_result result = {-1, 0, SMARTCONTENT_SPAWN_FORK};
  int report[2];
  if (pipe2(report, O_CLOEXEC) != 0) {
    result.error = errno;
    return result;
  }

  // No handler of the parent may run in the child: all signals wait until the dispositions are reset.
  sigset_t all, before;
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &before);
  pid_t parent = getpid();
  pid_t pid = fork();
  if (pid == 0) run_child(request, parent, report[1]);
  int fork_error = errno;
  pthread_sigmask(SIG_SETMASK, &before, NULL);

  close(report[1]);
  if (pid < 0) {
    close(report[0]);
    result.error = fork_error;
    return result;
  }

  int message[2];
  ssize_t count;
  do count = read(report[0], message, sizeof message);
  while (count < 0 && errno == EINTR);
  close(report[0]);
  if (count != (ssize_t)sizeof message) {
    result.pid = pid;
    return result;
  }
  while (waitpid(pid, NULL, 0) < 0 && errno == EINTR) {}
  result.error = message[0];
  result.step = message[1];
  return result;
}

int smartcontent_try_lock(int fd) {
  int status;
  do status = flock(fd, LOCK_EX | LOCK_NB);
  while (status != 0 && errno == EINTR);
  return status == 0 ? 0 : errno;
}

void smartcontent_name_thread(const char *name) {
  char cut[16];
  strncpy(cut, name, sizeof cut - 1);
  cut[sizeof cut - 1] = 0;
  pthread_setname_np(pthread_self(), cut);
}

int smartcontent_pipe(int *read_end, int *write_end, int nonblocking) {
  int ends[2];
  if (pipe2(ends, O_CLOEXEC | (nonblocking ? O_NONBLOCK : 0)) != 0) return errno;
  *read_end = ends[0];
  *write_end = ends[1];
  return 0;
}

int smartcontent_clock_is_synchronised(void) {
  struct timex clock;
  memset(&clock, 0, sizeof clock);
  int state = adjtimex(&clock);
  if (state < 0) return -1;
  return state != TIME_ERROR && !(clock.status & STA_UNSYNC);
}
