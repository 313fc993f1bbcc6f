/// The lengths of tumbling windows that are kept. The raw value is part of snapshots.
public enum WindowLevel: Int, CaseIterable, Sendable {
  case tenSeconds = 0
  case minute
  case hour
  case day

  /// Length in microseconds.
  @inlinable public var length: Int64 {
    switch self {
    case .tenSeconds: 10_000_000
    case .minute: 60_000_000
    case .hour: 3_600_000_000
    case .day: 86_400_000_000
    }
  }

  /// The start of the window that contains `time`; windows are aligned to the Unix epoch (UTC).
  @inlinable public func start(of time: Int64) -> Int64 {
    let remainder = time % length
    return remainder < 0 ? time &- remainder &- length : time &- remainder
  }

  /// How long rows are kept, in microseconds, counted in log time; nil for ever.
  ///
  /// Events older than this correct only coarser rows.
  public var retention: Int64? {
    switch self {
    case .tenSeconds: 48 * 3_600_000_000
    case .minute: 90 * 86_400_000_000
    case .hour, .day: nil
    }
  }

  /// Hour and day rows are written while they are open, at most every five seconds; 10 s and 1 min
  /// rows only when they are final or corrected.
  public var isCoarse: Bool { self == .hour || self == .day }

  /// As in table and key names.
  public var name: String {
    switch self {
    case .tenSeconds: "10s"
    case .minute: "1m"
    case .hour: "1h"
    case .day: "1d"
    }
  }
}
