import Glibc

/// Blocks the thread; a signal may end it early.
func pause(milliseconds: Int) {
  var time = timespec(
    tv_sec: milliseconds / 1_000, tv_nsec: milliseconds % 1_000 * 1_000_000)
  nanosleep(&time, nil)
}
