import Ports

/// Why the log could not be read, for commands that read archive and stream as one.
enum LogErrorText {
  static func of(_ error: LogError) -> String {
    switch error {
    case .unavailable(let reason): "NATS: \(reason)"
    case .missing(let stream, let from, let to):
      "frames \(from) to \(to) of \(stream) are neither in the stream nor in the archive; give the"
        + " folder that has them with --archive"
    case .wentBack(let stream, let wanted, let last):
      "\(stream) went back in time: frame \(wanted) was read or archived before, the log ends at"
        + " \(last) or holds another frame there; restore the log"
    case .refused(let reason): reason
    }
  }
}
