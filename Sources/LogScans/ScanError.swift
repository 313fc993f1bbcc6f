public import Analyses
public import Ports

/// Why a scan has no answer.
public enum ScanError: Error, Hashable, Sendable {
  case log(LogError)
  case analysis(AnalysisError)
  case cancelled
  /// So many scans run or wait for their turn already.
  case tooMany(max: Int)
}

extension ScanError: CustomStringConvertible {
  public var description: String {
    switch self {
    case .log(.unavailable): "the log cannot be reached at the moment; try again shortly"
    case .log(.missing(let stream, let from, let to)):
      """
      frames \(from) to \(to) of \(stream) are not in the log any more, and no archive has them; ask about a \
      later time, or start with the archive that they were trimmed into
      """
    case .log(.wentBack(let stream, let wanted, let last)):
      "\(stream) ends at \(last), before frame \(wanted) that it had: the log went back in time"
    case .log(.refused(let reason)): "the log refuses to be read: \(reason)"
    case .analysis(let error): "\(error)"
    case .cancelled: "the scan was cancelled"
    case .tooMany(let max):
      "\(max) scans run or wait for their turn, as many as may; try again when one of them is done"
    }
  }
}
