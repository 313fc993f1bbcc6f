/// How a process ended.
public enum ProcessEnding: Sendable, Equatable, CustomStringConvertible {
  case exited(Int32)
  case killed(signal: Int32)
  /// Somebody else reaped it.
  case unknown

  init(waitStatus: Int32) {
    let signal = waitStatus & 0x7f
    self = signal == 0 ? .exited((waitStatus >> 8) & 0xff) : .killed(signal: signal)
  }

  public var description: String {
    switch self {
    case .exited(let code): "exited with status \(code)"
    case .killed(let signal): "killed by signal \(signal)"
    case .unknown: "ended"
    }
  }
}
