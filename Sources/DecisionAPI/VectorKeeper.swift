import Cryptography
import Learning
import Logging
import Ports
import Statistics
import Synchronization
import Threads

/// Adds to what is known of contents' texts, beside the thread that learns: what a model says they mean, and a copy of all
/// vectors in a store.
///
///     learner ─texts▶ [ queue ] ─▶ store: is it known?  ──no──▶ endpoint ─▶ learner adopts the meaning
///                                        │ yes: the meaning that was said then       └─▶ store
///                                        ▼
///                                  learner adopts it
///
/// A text's digest names it and the model, so that a process that starts asks the endpoint for nothing again. Where the
/// endpoint is away, texts have their words alone until it answers; where the store is, vectors wait for it.
final class VectorKeeper: Sendable {
  static let queueMax = 50_000
  private static let idleMs = 1_000

  private struct Queue: Sendable {
    var texts: [ContentText] = []
    var readTo = ""
  }

  private let endpoint: EmbeddingEndpoint?
  private let store: (any ContentVectorStore)?
  private let metrics: VectorMetrics
  private let logger: Logger
  private let adopt: @Sendable (ContentText, [SIMD16<Float>]) -> Void
  private let queue = Mutex(Queue())
  private let bell = Bell()
  private let stopFlag = StopFlag()
  private let thread = Mutex<LoopThread?>(nil)

  /// - Parameter adopt: takes what the model says of a text, from a thread of its own.
  init(
    endpoint: EmbeddingEndpoint?, store: (any ContentVectorStore)?, metrics: VectorMetrics,
    logger: Logger, adopt: @escaping @Sendable (ContentText, [SIMD16<Float>]) -> Void
  ) {
    self.endpoint = endpoint
    self.store = store
    self.metrics = metrics
    self.logger = logger
    self.adopt = adopt
  }

  /// - Parameter readTo: the position that the log has been read to for these texts and all before.
  func take(_ texts: [ContentText], readTo: String) {
    let refused = queue.withLock { queue in
      let room = max(0, Self.queueMax - queue.texts.count)
      queue.texts += texts.prefix(room)
      queue.readTo = readTo
      return max(0, texts.count - room)
    }
    if refused > 0 { metrics.texts("refused", refused) }
    if !texts.isEmpty { bell.ring() }
  }

  func start() {
    let started = LoopThread(name: "vectors") { [self] in
      var work = VectorWork(
        endpoint: endpoint, store: store, metrics: metrics, logger: logger, adopt: adopt)
      while !stopFlag.isSet {
        let (texts, readTo, left) = next(work.canAsk)
        work.run(texts, readTo: left == 0 ? readTo : nil)
        metrics.waits(left + work.waitingCount)
        if texts.isEmpty { bell.wait(milliseconds: Self.idleMs) }
      }
    }
    thread.withLock { $0 = started }
  }

  func stop() {
    stopFlag.set()
    bell.ring()
    thread.withLock { $0 }?.join()
  }

  private func next(_ canAsk: Bool) -> (texts: [ContentText], readTo: String, left: Int) {
    queue.withLock { queue -> (texts: [ContentText], readTo: String, left: Int) in
      guard canAsk else { return ([], queue.readTo, queue.texts.count) }
      let texts = Array(queue.texts.prefix(EmbeddingClient.textsMax))
      queue.texts.removeFirst(texts.count)
      return (texts, queue.readTo, queue.texts.count)
    }
  }
}

/// What the thread of a ``VectorKeeper`` works with.
private struct VectorWork {
  private struct Row: Hashable {
    var site: String
    var content: String
  }

  private static let retryMs = 5_000
  private static let unsupportedMs = 600_000
  private static let progressMs = 5_000
  private static let askTimeoutMs = 10_000
  private static let rowsAtOnce = 64

  let endpoint: EmbeddingEndpoint?
  let store: (any ContentVectorStore)?
  let metrics: VectorMetrics
  let logger: Logger
  let adopt: @Sendable (ContentText, [SIMD16<Float>]) -> Void
  private var writer: (any ContentVectorWriter)?
  private var client: EmbeddingClient?
  /// Texts that the endpoint gave no answer for.
  private var unsaid: [ContentText] = []
  /// Vectors that wait for the store.
  private var unwritten: [Row: StoredContentVector] = [:]
  private var endpointBack: ContinuousClock.Instant?
  private var storeBack: ContinuousClock.Instant?
  private var isUnsupported = false
  private var progressAt: ContinuousClock.Instant?
  private var progressSaid = ""

  init(
    endpoint: EmbeddingEndpoint?, store: (any ContentVectorStore)?, metrics: VectorMetrics,
    logger: Logger, adopt: @escaping @Sendable (ContentText, [SIMD16<Float>]) -> Void
  ) {
    self.endpoint = endpoint
    self.store = store
    self.metrics = metrics
    self.logger = logger
    self.adopt = adopt
    writer = store?.writer()
  }

  var waitingCount: Int { unsaid.count + unwritten.count }

  /// New texts wait while too many old ones do.
  var canAsk: Bool { waitingCount < VectorKeeper.queueMax }

  private var isStoreAway: Bool { storeBack.map { ContinuousClock.now < $0 } ?? (writer == nil) }
  private var isEndpointAway: Bool { endpointBack.map { ContinuousClock.now < $0 } ?? false }

  /// - Parameter readTo: where the log has been read to, if nothing else waits; else nil.
  mutating func run(_ texts: [ContentText], readTo: String?) {
    var texts = texts
    if texts.isEmpty, !unsaid.isEmpty, !isEndpointAway {
      texts = Array(unsaid.prefix(EmbeddingClient.textsMax))
      unsaid.removeFirst(texts.count)
    }
    let bySite = Dictionary(grouping: texts, by: \.site)
    for (site, texts) in bySite.sorted(by: { $0.key < $1.key }) { take(texts, of: site) }
    write(readTo: unsaid.isEmpty ? readTo : nil)
  }

  private mutating func take(_ texts: [ContentText], of site: String) {
    let known = known(texts, of: site)
    var rest: [ContentText] = []
    for text in texts {
      let digest = Self.digest(text.text, endpoint?.model)
      guard let row = known[text.content], row.digest == digest else {
        rest.append(text)
        continue
      }
      metrics.texts("known")
      let meaning = BlendedEmbedding.meaning(in: row.vector)
      if !meaning.isEmpty { adopt(text, meaning) }
    }
    guard !rest.isEmpty else { return }
    guard endpoint != nil else {
      metrics.texts("words", rest.count)
      for text in rest { keep(text, [], Self.digest(text.text, nil)) }
      return
    }
    if let meanings = meanings(of: rest) {
      for (text, meaning) in zip(rest, meanings) {
        if !meaning.isEmpty { adopt(text, meaning) }
        keep(text, meaning, Self.digest(text.text, endpoint?.model))
      }
    } else {
      unsaid += rest
      for text in rest where known[text.content] == nil {
        keep(text, [], Self.digest(text.text, nil))
      }
    }
  }

  private mutating func keep(_ text: ContentText, _ meaning: [SIMD16<Float>], _ digest: String) {
    guard writer != nil, !(isUnsupported && isStoreAway) else { return }
    let vector = BlendedEmbedding.blend(words: text.words, meaning: meaning)
    unwritten[Row(site: text.site, content: text.content)] = StoredContentVector(
      site: text.site, content: text.content, digest: digest,
      vector: BlendedEmbedding.numbers(vector))
  }

  private static func digest(_ text: String, _ model: String?) -> String {
    var hash = SHA256()
    hash.update(Array("\(model ?? "")\u{0}\(text)".utf8))
    return hash.finish().prefix(16).map { byte in
      let hex = String(byte, radix: 16)
      return hex.count == 1 ? "0" + hex : hex
    }.joined()
  }

  // MARK: The endpoint

  private mutating func meanings(of texts: [ContentText]) -> [[SIMD16<Float>]]? {
    guard let endpoint, !isEndpointAway else { return nil }
    do throws(EmbeddingError) {
      if client == nil {
        client = try EmbeddingClient(endpoint, timeoutMs: Self.askTimeoutMs)
      }
      let vectors = try client?.vectors(of: texts.map(\.text)) ?? []
      metrics.texts("embedded", texts.count)
      if endpointBack != nil { logger.notice("the embedding endpoint answers again") }
      endpointBack = nil
      return vectors.map { BlendedEmbedding.meaning($0) }
    } catch {
      metrics.texts("failed", texts.count)
      if endpointBack == nil {
        logger.warning(
          "texts have their words alone until the embedding endpoint answers",
          metadata: ["reason": "\(error)"])
      }
      client = nil
      endpointBack = ContinuousClock.now + .milliseconds(Self.retryMs)
      return nil
    }
  }

  // MARK: The store

  private mutating func known(
    _ texts: [ContentText], of site: String
  ) -> [String: StoredContentVector] {
    guard let writer, !isStoreAway else { return [:] }
    do throws(ContentVectorError) {
      let rows = try writer.stored(texts.map(\.content), of: site)
      return Dictionary(rows.map { ($0.content, $0) }) { first, _ in first }
    } catch {
      note(error)
      return [:]
    }
  }

  private mutating func write(readTo: String?) {
    guard let writer, !isStoreAway else { return }
    let isProgressDue =
      readTo.map { $0 != progressSaid } ?? false
      && progressAt.map { ContinuousClock.now >= $0 } ?? true
    guard !unwritten.isEmpty || isProgressDue else { return }
    do throws(ContentVectorError) {
      var isLast = false
      while !isLast {
        let rows = Array(unwritten.prefix(Self.rowsAtOnce))
        isLast = rows.count == unwritten.count
        try writer.write(rows.map(\.value), readTo: isLast ? readTo : nil)
        for row in rows { unwritten[row.key] = nil }
        metrics.wrote(rows.count)
      }
      if let readTo { progressSaid = readTo }
      progressAt = ContinuousClock.now + .milliseconds(Self.progressMs)
      if storeBack != nil { logger.notice("vectors of contents are stored again") }
      (storeBack, isUnsupported) = (nil, false)
    } catch {
      note(error)
    }
  }

  private mutating func note(_ error: ContentVectorError) {
    let isFirst = storeBack == nil
    switch error {
    case .unsupported:
      // Nothing waits for a server that has no index; contents whose texts change later are tried again.
      (unwritten, isUnsupported) = ([:], true)
      storeBack = ContinuousClock.now + .milliseconds(Self.unsupportedMs)
      if isFirst {
        logger.notice(
          "contents are found by vectors in memory alone", metadata: ["reason": "\(error)"])
      }
    case .unavailable:
      storeBack = ContinuousClock.now + .milliseconds(Self.retryMs)
      if isFirst {
        logger.warning(
          "vectors of contents wait for their store", metadata: ["reason": "\(error)"])
      }
    }
  }
}
