import Oracles

@testable import Operators

/// An operator under the laws: what it takes in is its own affair, what it says is numbers.
///
/// The calls are those of ``Operator``, in their order; see there for what is expected of them.
protocol LawSubject: AnyObject {
  associatedtype Input

  /// - Parameter isSilent: the input is read again that was committed before, and what it makes the
  ///   operator say has been said.
  func take(_ input: Input, isSilent: Bool, into said: inout Said) throws
  /// Adds what there is to be said since the last time.
  func drain(into said: inout Said)
  func snapshot(_ scope: SnapshotScope, into writer: inout SnapshotWriter)
  func restore(from reader: inout SnapshotReader) throws(SnapshotFormatError)
}

/// What one seed gives an operator to take in, and the ways in which that could have come otherwise.
protocol LawStory: SendableMetatype {
  associatedtype Subject: LawSubject

  init(seed: UInt64, law: OperatorLaw)
  /// A new operator.
  func make() -> Subject
  var inputs: [Subject.Input] { get }
  /// Everything that belongs to the persons, and time, which passes for all.
  func inputs(of isIncluded: (Int) -> Bool) -> [Subject.Input]
  /// The inputs in another order that must not matter.
  func permuted(_ random: inout SeededGenerator) -> [Subject.Input]
  /// So much time that nothing is left to be remembered.
  var ending: [Subject.Input] { get }
  /// What is remembered for ever, in bytes of a snapshot.
  var lastingByteCount: Int { get }
}

extension LawStory {
  var lastingByteCount: Int { 0 }
}

/// What an operator has said.
struct Said: Equatable {
  /// What it comes to in the end, by key: no order of inputs and no draining changes it.
  var sums: [[Int64]: [Int64]] = [:]
  /// How often what was final has changed, by key.
  var revisions: [[Int64]: Int64] = [:]
  /// What it decided at once, input by input.
  var decisions: [[Int64]] = []
  /// What it said once, in order.
  var events: [[Int64]] = []

  mutating func set(_ key: [Int64], _ values: [Int64], revision: Int32 = 0) {
    sums[key] = values
    revisions[key] = Int64(revision)
  }

  mutating func add(_ key: [Int64], _ values: [Int64], revision: Int32 = 0) {
    sums[key] = zip(sums[key] ?? values.map { _ in 0 }, values).map { $0 + $1 }
    revisions[key, default: 0] += Int64(revision)
  }

  /// The sums, but for those of nothing.
  var total: [[Int64]: [Int64]] { sums.filter { $0.value.contains { $0 != 0 } } }

  static func == (a: Said, b: Said) -> Bool {
    a.total == b.total && a.decisions == b.decisions && a.events == b.events
      && a.revisions.filter { $0.value != 0 } == b.revisions.filter { $0.value != 0 }
  }
}
