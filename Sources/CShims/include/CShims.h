#pragma once

#include <stdint.h>
#include <sys/types.h>

// Small C functions for what Swift can't say itself: work between fork and exec, and Glibc names
// that are hidden behind _GNU_SOURCE. No state, no dependencies.

/// What a child process is started with. All memory belongs to the caller and must stay valid until
/// `smartcontent_spawn` returns.
struct smartcontent_spawn_request {
  /// Absolute path of the program; no search in PATH.
  const char *path;
  /// Ends with NULL; argv[0] by convention is the name of the program.
  char *const *argv;
  /// Ends with NULL: "NAME=value". The child gets nothing else.
  char *const *envp;
  /// Working folder of the child; NULL keeps that of the parent.
  const char *working_folder;
  /// Becomes the child's stdout and stderr. stdin reads /dev/null.
  int output_fd;
  /// Signal that the kernel sends to the child when the *thread* that called `smartcontent_spawn`
  /// ends (so also when its process is killed); 0 for none.
  int death_signal;
  /// Not 0: the child drops to `uid` and `gid` and leaves all other groups. Needs root.
  int drop_privileges;
  uid_t uid;
  gid_t gid;
};

/// The step of the child that failed; also tells what `error` below means.
enum smartcontent_spawn_step {
  SMARTCONTENT_SPAWN_FORK = 1,
  SMARTCONTENT_SPAWN_REDIRECT = 2,
  SMARTCONTENT_SPAWN_DROP_PRIVILEGES = 3,
  SMARTCONTENT_SPAWN_DEATH_SIGNAL = 4,
  SMARTCONTENT_SPAWN_WORKING_FOLDER = 5,
  SMARTCONTENT_SPAWN_EXEC = 6,
};

/// `error` is 0 and `pid` the running child, or `error` is the errno of `step` and no child is left.
struct smartcontent_spawn_result {
  pid_t pid;
  int error;
  int step;
};

/// Starts a child in a process group of its own, with default signal handling, an empty signal mask
/// and no inherited file descriptors beyond 0, 1 and 2. Returns once the program has been executed,
/// or with the reason why it could not be.
///
/// The death signal is tied to the calling thread, not to the process: call this only from a thread
/// that lives as long as the child shall (prctl(2), PR_SET_PDEATHSIG).
struct smartcontent_spawn_result smartcontent_spawn(
    const struct smartcontent_spawn_request *request);

/// Takes the exclusive advisory lock on an open file without waiting: 0, or errno (EWOULDBLOCK: held
/// by somebody else). The lock ends with the last copy of the descriptor, so with the process.
int smartcontent_try_lock(int fd);

/// Names the calling thread as `ps -L` and `top -H` show it; longer names are cut to 15 bytes.
void smartcontent_name_thread(const char *name);

/// A pipe that children don't inherit: 0 and `read_end`, `write_end`, or errno.
int smartcontent_pipe(int *read_end, int *write_end, int nonblocking);

/// Whether the kernel's clock is disciplined by a time service: 1 yes, 0 no, -1 not told.
int smartcontent_clock_is_synchronised(void);
