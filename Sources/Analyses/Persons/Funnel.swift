public import Statistics

/// How many persons go through steps in order, within a time limit.
///
///     steps  impression → (view) → click → conversion, within 1 h of the first
///
///     i ── v ── c ─────────── (1 h over) ── c'      reaches: impression, view, click
///
/// A person counts once. Of all ways through the steps that begin in the question's times, the one that goes
/// furthest counts; of those the one that is there first; of those the one that began last. Steps may be
/// optional: such a one need not be done, and counts where it is done between the step that must come before
/// it and the next one that the person reaches, or else before the time is over. The first and the last step
/// must be done. A touch is at most one step; touches at one time come in the order of the steps.
///
/// A person's time may not be over yet: who is under way when the log ends is `open`, and may still go
/// further. Times between steps are from the last step before that must be done, in a sketch with a relative
/// error of 1 %.
///
/// Cost: touches × steps² at most for a person, usually touches × steps.
public struct Funnel: GroupedFold {
  public struct Question: Hashable, Sendable {
    /// For each step whether it may be left out. Step i is what bit i marks.
    public var isOptional: [Bool]
    /// From the first step to the last, microseconds.
    public var within: Int64
    /// Of first steps, microseconds since the epoch.
    public var times: Range<Int64>
    /// The log's time: who began less than ``within`` before it is not over.
    public var watermark: Int64

    public static let stepCounts = 2...10

    public init(isOptional: [Bool], within: Int64, times: Range<Int64>, watermark: Int64 = .max) {
      precondition(Self.stepCounts.contains(isOptional.count), "a funnel has 2 to 10 steps")
      precondition(
        isOptional.first == false && isOptional.last == false,
        "the first and the last step must be done")
      self.isOptional = isOptional
      self.within = within
      self.times = times
      self.watermark = watermark
    }
  }

  public struct Step: Sendable {
    public internal(set) var persons: Int64 = 0
    /// Seconds from the step before; empty of the first one.
    public internal(set) var seconds = Funnel.noSeconds
  }

  public struct Counts: Sendable {
    public internal(set) var steps: [Step]
    /// Persons who may still go further.
    public internal(set) var open: Int64 = 0

    /// Of nobody.
    public init(steps: Int) { self.steps = (0..<steps).map { _ in Step() } }
  }

  public let question: Question
  /// By value of the first step.
  public private(set) var counts: [UInt32: Counts] = [:]

  public static let groupCountMax = PersonQuestion.valueCountMax
  public var groupCount: Int { counts.count }

  static let noSeconds: DDSketch = {
    do throws(SketchError) {
      return try DDSketch()
    } catch {
      preconditionFailure("the defaults of a sketch are allowed: \(error)")
    }
  }()

  private let required: [Int]

  public init(_ question: Question) {
    self.question = question
    required = question.isOptional.indices.filter { !question.isOptional[$0] }
  }

  public mutating func add(_ history: PersonHistory) {
    let all = UInt32(1) << UInt32(question.isOptional.count) - 1
    let touches = history.touches.filter { $0.marks & all != 0 }.sorted { a, b in
      if a.time != b.time { return a.time < b.time }
      let (x, y) = ((a.marks & all).trailingZeroBitCount, (b.marks & all).trailingZeroBitCount)
      return x != y ? x < y : a.key < b.key
    }
    let way = furthest(touches)
    guard let first = way.first else { return }
    let start = touches[first].time
    for value in history.values(of: touches[first]) {
      count(way, touches, from: start, as: value)
    }
  }

  private mutating func count(
    _ way: [Int], _ touches: [PersonTouch], from start: Int64, as value: UInt32
  ) {
    var counts = self.counts[value] ?? Counts(steps: question.isOptional.count)
    for (place, index) in way.enumerated() {
      reach(
        required[place], touches[index].time - touches[way[max(0, place - 1)]].time, &counts)
      countOptional(after: place, of: way, touches, &counts)
    }
    let isOver = start + question.within < question.watermark
    if way.count < required.count && !isOver { counts.open += 1 }
    self.counts[value] = counts
  }

  /// The touches of the required steps that a person reaches.
  private func furthest(_ touches: [PersonTouch]) -> [Int] {
    // By the last step of a way: the one that began last.
    var ways: [[Int]] = Array(repeating: [], count: required.count)
    var best: [Int] = []
    for (index, touch) in touches.enumerated() {
      // From the last step back, so that no touch is two steps of a way.
      for place in stride(from: required.count - 1, through: 0, by: -1)
      where touch.marks & (1 << UInt32(required[place])) != 0 {
        var way: [Int] = []
        if place == 0 {
          guard question.times.contains(touch.time) else { continue }
        } else {
          way = ways[place - 1]
          guard let first = way.first, touch.time - touches[first].time <= question.within else {
            continue
          }
        }
        if let known = ways[place].first, let first = way.first, first <= known { continue }
        way.append(index)
        ways[place] = way
        if way.count > best.count { best = way }
      }
      if best.count == required.count { break }
    }
    return best
  }

  /// Counts the optional steps between a required one and the next.
  private func countOptional(
    after place: Int, of way: [Int], _ touches: [PersonTouch], _ counts: inout Counts
  ) {
    let next = place + 1 < required.count ? required[place + 1] : required[place] + 1
    guard next > required[place] + 1 else { return }
    let end = place + 1 < way.count ? way[place + 1] : touches.count
    let limit = touches[way[0]].time + question.within
    var from = way[place] + 1
    for step in required[place] + 1..<next {
      let found = touches[from..<end].firstIndex { $0.marks & (1 << UInt32(step)) != 0 }
      guard let found, touches[found].time <= limit else { continue }
      reach(step, touches[found].time - touches[way[place]].time, &counts)
      from = found + 1
    }
  }

  private func reach(_ step: Int, _ micros: Int64, _ counts: inout Counts) {
    counts.steps[step].persons += 1
    guard step > 0 else { return }
    do throws(SketchError) {
      try counts.steps[step].seconds.insert(Double(micros) / 1_000_000)
    } catch {
      preconditionFailure("steps are in order of time: \(error)")
    }
  }
}
