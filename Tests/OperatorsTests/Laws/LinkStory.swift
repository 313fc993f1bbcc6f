import Events
import Oracles

@testable import Operators

/// Links of anonymous persons under the laws.
final class LinkSubject: LawSubject {
  enum Input {
    case advance(Int64)
    case link(Int, user: Int)
    /// 0: whoever's it is.
    case unlink(Int, user: Int)
    case use(Int)
  }

  private var links: IdentityLinks

  init(_ links: consuming IdentityLinks) { self.links = links }

  static func person(_ number: Int) -> Key128 {
    Key128(low: UInt64(number % 3) | UInt64(number + 1) << 20, high: 1)
  }

  func take(_ input: Input, isSilent: Bool, into said: inout Said) {
    switch input {
    case .advance(let watermark): links.advance(watermark: watermark)
    case .link(let person, let user):
      let isNew = links.link(Self.person(person), to: Key128(low: UInt64(user), high: 2))
      said.decisions.append([Int64(person), isNew ? 1 : 0])
    case .unlink(let person, let user):
      links.unlink(
        Self.person(person), from: user == 0 ? .zero : Key128(low: UInt64(user), high: 2))
    case .use(let person):
      let user = links.user(of: Self.person(person)).map { Int64($0.low) } ?? -1
      said.decisions.append([Int64(person), user])
      said.set([Int64(person)], [user])
    }
  }

  func drain(into said: inout Said) {}

  func snapshot(_ scope: SnapshotScope, into writer: inout SnapshotWriter) {
    links.snapshot(isComplete: scope == .everything, into: &writer)
  }

  func restore(from reader: inout SnapshotReader) throws(SnapshotFormatError) {
    try links.restore(from: &reader, keeping: 0..<KeyGroup.count)
  }
}

struct LinkStory: LawStory {
  private static let keep = 5 * hour
  let inputs: [LinkSubject.Input]
  private let isForgetful: Bool

  init(seed: UInt64, law: OperatorLaw) {
    var random = SeededGenerator(seed: seed)
    let personCount = 1 + random.below(40)
    var watermark = noon
    inputs = (0..<80).map { index in
      switch random.below(7) {
      case _ where index == 0: return .advance(watermark)
      case 0:
        watermark += random.time(upTo: random.pick([hour, hour, 3 * Self.keep]))
        return .advance(watermark)
      case 1, 2: return .link(random.below(personCount), user: 1 + random.below(3))
      case 3: return .unlink(random.below(personCount), user: random.below(4))
      default: return .use(random.below(personCount))
      }
    }
    isForgetful = seed % 3 == 0
  }

  func make() -> LinkSubject {
    var links = IdentityLinks(keep: Self.keep, countMax: 1000)
    if isForgetful { links.keptCountMin = 3 }
    return LinkSubject(links)
  }

  func inputs(of isIncluded: (Int) -> Bool) -> [LinkSubject.Input] {
    inputs.filter {
      switch $0 {
      case .advance: true
      case .link(let person, _), .unlink(let person, _), .use(let person): isIncluded(person)
      }
    }
  }

  /// A person's inputs keep their order: the last link counts. Others may come in between.
  func permuted(_ random: inout SeededGenerator) -> [LinkSubject.Input] {
    var result: [LinkSubject.Input] = []
    var stretch: [(person: Int, input: LinkSubject.Input)] = []
    func settle() {
      let order = (0..<100).shuffled(using: &random)
      for person in order {
        result += stretch.filter { $0.person == person }.map(\.input)
      }
      stretch = []
    }
    for input in inputs {
      switch input {
      case .advance:
        settle()
        result.append(input)
      case .link(let person, _), .unlink(let person, _), .use(let person):
        stretch.append((person, input))
      }
    }
    settle()
    return result
  }

  var ending: [LinkSubject.Input] { [.advance(noon + 1000 * Self.keep)] }
}
