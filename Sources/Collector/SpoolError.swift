/// Why a spool cannot be used. Names files, never what is in them.
public enum SpoolError: Error, Hashable, Sendable, CustomStringConvertible {
  case file(operation: String, path: String, reason: String)
  /// Another process has it open.
  case inUse(folder: String)
  case bytesMax(value: Int, allowed: ClosedRange<Int>)

  public var description: String {
    switch self {
    case .file(let operation, let path, let reason):
      "spool: cannot \(operation) \(path): \(reason)"
    case .inUse(let folder):
      "spool: other collectors use the folder \(folder); give each its own"
    case .bytesMax(let value, let allowed):
      "spool: its limit is \(value) bytes; allowed is \(allowed.lowerBound) to"
        + " \(allowed.upperBound)"
    }
  }
}
