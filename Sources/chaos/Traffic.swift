import DemoTraffic
import HTTPClient
import Synchronization

/// Clients that send for the whole run, as SDKs do: a batch again and again, to one collector after
/// the other, until it is acknowledged.
///
/// Each has one batch on its way, so an outage stops them and nothing piles up.
final class Traffic: Sendable {
  struct Settings: Sendable {
    var seed: UInt64
    /// Over all senders.
    var eventsPerSecond: Double
    var senders = 4
    /// See ``Wire/contents``.
    var contents: Int
  }

  private let settings: Settings
  private let collectors: [String]
  private let ledger: Ledger
  private let shallStop = Atomic(false)
  /// Batches to be sent again by each sender, for a fault of copies.
  private let copies = Atomic<Int>(0)
  private let threads = Mutex<[WorkerThread]>([])

  private static let keptMax = 50

  init(_ settings: Settings, collectors: [String], ledger: Ledger) {
    self.settings = settings
    self.collectors = collectors
    self.ledger = ledger
  }

  func start() {
    for sender in 0..<settings.senders {
      let worker = WorkerThread { [self] in send(sender) }
      threads.withLock { $0.append(worker) }
    }
  }

  /// Returns when every sender has had its last batch acknowledged, or given it up.
  func stop() {
    shallStop.store(true, ordering: .releasing)
    for thread in threads.withLock({ $0 }) { thread.join() }
  }

  /// Lets each sender repeat its last batches so many times.
  func repeatBatches(_ count: Int) { copies.store(count, ordering: .relaxed) }

  /// Sends events with many different contents at once, and returns when they are acknowledged.
  func load(contents: Int) {
    var wire = Wire(sender: settings.senders, seed: settings.seed &+ 99, contents: contents)
    guard let client = client() else { return }
    var sent = 0
    while sent < 2 * contents {
      var target = 0
      deliver(wire.batch(now: Clock.wall(), count: 500), client, &target)
      sent += 500
    }
  }

  private func client() -> HTTPClient? {
    do {
      return try HTTPClient(HTTPClientSettings(connectTimeoutMs: 500, timeoutMs: 3000))
    } catch {
      ledger.surprised("no HTTP client: \(error)")
      return nil
    }
  }

  private func send(_ sender: Int) {
    var wire = Wire(sender: sender, seed: settings.seed, contents: settings.contents)
    var random = SplitMix64(seed: settings.seed &+ 1000 &+ UInt64(sender))
    guard let client = client() else { return }
    let interval = Int64(
      Double(Wire.batchSize * settings.senders) / settings.eventsPerSecond * 1_000_000)
    var target = sender
    var kept: [Wire.Batch] = []
    var due = Clock.steady()
    while !shallStop.load(ordering: .acquiring) {
      due = max(due + interval, Clock.steady() - interval)
      let batch = wire.batch(now: Clock.wall())
      deliver(batch, client, &target)
      kept.append(batch)
      if kept.count > Self.keptMax { kept.removeFirst() }
      if random.happens(0.06) { copy(random.element(kept), 1 + random.index(below: 3), client) }
      if random.happens(0.002) { copy(batch, 100, client) }
      if copies.load(ordering: .relaxed) > 0 {
        copies.subtract(1, ordering: .relaxed)
        for old in kept.suffix(10) { copy(old, 2, client) }
      }
      Clock.pause(ms: Int(max(0, due - Clock.steady()) / 1000))
    }
  }

  /// Until it is acknowledged; a run that ends gives up after a while.
  private func deliver(_ batch: Wire.Batch, _ client: HTTPClient, _ target: inout Int) {
    var attempts = 0
    while attempts < 400 || !shallStop.load(ordering: .acquiring) {
      attempts += 1
      do {
        let url = collectors[target % collectors.count] + "/v1/batch"
        let answer = try client.post(url, headers: batch.headers, body: batch.body)
        switch answer.status {
        case 200: return ledger.acknowledged(batch.entry, malformed: batch.malformed)
        case 429, 503: ledger.refused("\(answer.status)")
        default:
          return ledger.surprised("a batch got \(answer.status): \(answer.text.prefix(200))")
        }
      } catch {
        ledger.refused(Self.name(error))
      }
      target += 1
      Clock.pause(ms: 50)
    }
  }

  /// Sends what was sent before; nobody waits for the answer.
  private func copy(_ batch: Wire.Batch, _ count: Int, _ client: HTTPClient) {
    for index in 0..<count {
      do {
        let url = collectors[index % collectors.count] + "/v1/batch"
        let answer = try client.post(url, headers: batch.headers, body: batch.body)
        guard answer.status == 200 else { return }
        ledger.copied(batch.entry.numbers.count)
      } catch {
        return ledger.refused("copy: \(Self.name(error))")
      }
    }
  }

  private static func name(_ error: HTTPClientError) -> String {
    switch error {
    case .cannotConnect: "cannot connect"
    case .timedOut: "timed out"
    case .connectionLost: "connection lost"
    default: "\(error)"
    }
  }
}
