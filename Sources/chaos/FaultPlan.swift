import DemoTraffic

/// The faults of a run, drawn from its seed: the same seed gives the same faults in the same order.
struct FaultPlan {
  struct Shape {
    var collectors = 2
    var processors = 3
    var nodes: [String]
    var hasSmallDisks: Bool
    /// Only these, where any are named.
    var only: Set<Fault.Kind> = []
    /// The longest freeze of something that there is only one of, and of one of several.
    var freezeSecondsMax = 60.0
    /// How likely it is that another fault comes at once, for each of the first two.
    var togetherShare = 0.12
  }

  /// How often each kind comes; every kind comes once before any comes twice.
  private static let weights: [Fault.Kind: Double] = [
    .killCollect: 6, .killProcess: 12, .killServe: 4, .killNATS: 5, .killRedis: 5,
    .killPostgres: 5, .rollingRestart: 2, .freezeCollect: 4, .freezeProcess: 8, .freezeServe: 3,
    .freezeNATS: 3, .freezeRedis: 3, .freezePostgres: 3, .flushRedis: 6, .oldRedis: 4,
    .immediatePostgres: 5, .killBackend: 6, .fullLogDisk: 3, .fullStateDisk: 3,
    .fullTableDisk: 3, .fullRedis: 3, .cut: 8,
    .halfOpen: 6, .silent: 4, .slow: 3, .copies: 3,
  ]

  private let shape: Shape
  private let kinds: [Fault.Kind]
  private var random: SplitMix64
  private var round: [Fault.Kind] = []
  private var number = 0

  init(seed: UInt64, shape: Shape) {
    self.shape = shape
    random = SplitMix64(seed: seed)
    kinds = Fault.Kind.allCases.filter { kind in
      (shape.only.isEmpty || shape.only.contains(kind))
        && (shape.hasSmallDisks || !Fault.fullDisks.contains(kind))
    }
    round = kinds.shuffled(using: &random)
  }

  /// The next fault, or now and then several at once.
  mutating func next() -> [Fault] {
    var faults = [one()]
    while faults.count < 3, random.happens(shape.togetherShare) {
      faults.append(one())
      faults[faults.count - 1].isJoined = true
    }
    return faults
  }

  private mutating func one() -> Fault {
    number += 1
    let kind: Fault.Kind
    if let first = round.popLast() {
      kind = first
    } else {
      kind = kinds[random.index(weights: kinds.map { Self.weights[$0] ?? 1 })]
    }
    var fault = Fault(number: number, kind: kind)
    switch kind {
    case .killCollect, .freezeCollect: fault.index = random.index(below: shape.collectors)
    case .killProcess, .freezeProcess: fault.index = random.index(below: shape.processors)
    default: break
    }
    switch kind {
    case .freezeCollect, .freezeProcess:
      fault.seconds = seconds(from: 1, often: 8, to: shape.freezeSecondsMax)
    case .freezeServe, .freezeNATS, .freezeRedis, .freezePostgres:
      fault.seconds = seconds(from: 1, often: 2.5, to: shape.freezeSecondsMax)
    case .silent: fault.seconds = seconds(from: 0.5, often: 2.5, to: 10)
    case .slow:
      fault.seconds = seconds(from: 1, often: 3, to: 10)
      fault.delayMs = 5 + random.index(below: 60)
    case .fullLogDisk, .fullStateDisk, .fullTableDisk, .fullRedis:
      fault.seconds = seconds(from: 1, often: 3, to: 8)
    default: break
    }
    switch kind {
    case .cut, .halfOpen, .silent, .slow:
      if random.happens(0.85) { fault.store = random.element(Line.Store.allCases) }
      if random.happens(0.6) { fault.node = random.element(shape.nodes) }
      // Collectors know only the log, and the query API does not.
      if fault.node?.hasPrefix("collect") ?? false { fault.store = .nats }
      if fault.node == "serve", fault.store == .nats { fault.store = .postgres }
    default: break
    }
    return fault
  }

  /// How long to wait before the next fault.
  mutating func gapMs() -> Int { 100 + random.index(below: 700) }

  /// Mostly short; one in thirty up to `to`.
  private mutating func seconds(from: Double, often: Double, to: Double) -> Double {
    let end = random.happens(1.0 / 30) ? to : min(often, to)
    return ((from + random.fraction() * max(0, end - from)) * 10).rounded() / 10
  }
}
