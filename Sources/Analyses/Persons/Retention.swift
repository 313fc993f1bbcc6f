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
/// Told apart by dimensions, a person counts for the values of its beginning.
///
/// Cost: one pass over a person's touches; periods² / 2 numbers, for each value too.
public struct Retention: PersonFold {
  public struct Question: Hashable, Sendable {
    /// Rising edges of the periods, microseconds since the epoch: one more than there are periods.
    public var edges: [Int64]
    /// Bits of what begins and of what returns.
    public var beginning: UInt32
    public var returning: UInt32
    /// Whether cohorts are told apart by the values of beginnings.
    public var isByValue: Bool

    /// More would not fit a table that anyone reads.
    public static let periodCountMax = 400

    public init(
      edges: [Int64], beginning: UInt32 = 1, returning: UInt32 = 2, isByValue: Bool = false
    ) {
      precondition(edges.count >= 2 && edges.count <= Self.periodCountMax + 1, "there are periods")
      self.edges = edges
      self.beginning = beginning
      self.returning = returning
      self.isByValue = isByValue
    }

    /// Values for which there is room.
    public var valueCountMax: Int {
      let periods = edges.count - 1
      return max(1, 4_000_000 / (periods * (periods + 1) / 2))
    }
  }

  public struct Cohort: Hashable, Sendable {
    public internal(set) var persons: Int64 = 0
    /// Who came back, by periods since the cohort's own.
    public internal(set) var returned: [Int64]

    /// Nobody, over so many periods.
    public init(periods: Int) { returned = Array(repeating: 0, count: periods) }
  }

  public let question: Question
  /// One for each period, of all values together: each person counts once.
  public private(set) var cohorts: [Cohort]
  /// By value, where they are told apart; empty once there are more than ``Question/valueCountMax``.
  public private(set) var byValue: [UInt32: [Cohort]] = [:]
  /// Whether there was no room for the values.
  public private(set) var isFull = false

  public init(_ question: Question) {
    self.question = question
    cohorts = Self.nobody(question)
  }

  private static func nobody(_ question: Question) -> [Cohort] {
    let count = question.edges.count - 1
    return (0..<count).map { Cohort(periods: count - $0) }
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
    var periods: [Int] = []
    for touch in history.touches[(begin + 1)...]
    where touch.marks & question.returning != 0 && isWithin(touch) {
      let period = period(of: touch.time) - cohort
      // Touches are in order of time.
      if period > periods.last ?? -1 { periods.append(period) }
    }
    Self.count(cohort, periods, in: &cohorts)
    guard question.isByValue, !isFull else { return }
    for value in history.values(of: history.touches[begin]) {
      if byValue[value] == nil { byValue[value] = Self.nobody(question) }
      Self.count(cohort, periods, in: &byValue[value, default: []])
    }
    if byValue.count > question.valueCountMax {
      isFull = true
      byValue = [:]
    }
  }

  private static func count(_ cohort: Int, _ periods: [Int], in cohorts: inout [Cohort]) {
    cohorts[cohort].persons += 1
    for period in periods { cohorts[cohort].returned[period] += 1 }
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
