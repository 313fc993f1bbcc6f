import Glibc

/// Ends a run on Ctrl-C or SIGTERM so that its numbers are still compared; a second one ends the
/// process at once.
///
/// A handler may do almost nothing, so it writes to a pipe that a thread reads.
enum InterruptSignals {
  /// Written once, before the handler is installed.
  nonisolated(unsafe) private static var writeEnd: Int32 = -1

  static func forward(to stopping: StopSignal, graceMicros: Int64) {
    var ends: [Int32] = [-1, -1]
    guard writeEnd < 0, pipe(&ends) == 0 else { return }
    let readEnd = ends[0]
    writeEnd = ends[1]
    for number in [SIGINT, SIGTERM] {
      signal(number) { _ in
        var byte: UInt8 = 1
        _ = write(InterruptSignals.writeEnd, &byte, 1)
      }
    }
    _ = WorkerThread {
      var byte: UInt8 = 0
      _ = read(readEnd, &byte, 1)
      stopping.stop(graceMicros: graceMicros)
      _ = read(readEnd, &byte, 1)
      _exit(130)
    }
  }
}
