/// How many of those who began in a period come back in the periods after it.
///
///     period     0        1        2
///     cohort  |·b··r···|········|···r····|     one person: began in 0, came back in 0 and 2
///                      |·b······|····r···|     another one: began in 1, came back in its period 1
///
/// A person's cohort is the period of its first beginning within the question's periods; whether it had begun
/// before them is not looked at. It has come back in a period in which it has a returning event after that
/// first one, which itself is no return. Each person counts once in each period. The last periods of young
/// cohorts are not there yet, so the table is a triangle.
///
/// Cost: one pass over a person's touches; periods² / 2 numbers.
public struct Retention: Sendable {
  public struct Question: Hashable, Sendable {
    /// Rising edges of the periods, microseconds since the epoch: one more than there are periods.
    public var edges: [Int64]
    /// Bits of what begins and of what returns.
    public var beginning: UInt32
    public var returning: UInt32

    /// More would not fit a table that anyone reads.
    public static let periodCountMax = 400

    public init(edges: [Int64], beginning: UInt32 = 1, returning: UInt32 = 2) {
      precondition(edges.count >= 2 && edges.count <= Self.periodCountMax + 1, "there are periods")
      self.edges = edges
      self.beginning = beginning
      self.returning = returning
    }
  }

  public struct Cohort: Hashable, Sendable {
    public internal(set) var persons: Int64 = 0
    /// Who came back, by periods since the cohort's own.
    public internal(set) var returned: [Int64]
  }

  public let question: Question
  /// One for each period.
  public private(set) var cohorts: [Cohort]

  public init(_ question: Question) {
    self.question = question
    let count = question.edges.count - 1
    cohorts = (0..<count).map {
      Cohort(returned: Array(repeating: 0, count: count - $0))
    }
  }

  public mutating func add(_ history: PersonHistory) {
    let (first, last) = (question.edges[0], question.edges[question.edges.count - 1])
    let isWithin: (PersonTouch) -> Bool = { $0.time >= first && $0.time < last }
    guard
      let begin = history.touches.firstIndex(where: {
        $0.marks & question.beginning != 0 && isWithin($0)
      })
    else { return }
    let cohort = period(of: history.touches[begin].time)
    cohorts[cohort].persons += 1
    var counted = -1
    for touch in history.touches[(begin + 1)...]
    where touch.marks & question.returning != 0 && isWithin(touch) {
      let period = period(of: touch.time) - cohort
      // Touches are in order of time.
      guard period > counted else { continue }
      cohorts[cohort].returned[period] += 1
      counted = period
    }
  }

  /// The last one that begins at or before the time.
  private func period(of time: Int64) -> Int {
    var (low, high) = (0, question.edges.count)
    while low < high {
      let middle = (low + high) / 2
      if question.edges[middle] <= time { low = middle + 1 } else { high = middle }
    }
    return low - 1
  }
}
