import HTTPClient
import HTTPServer
import Learning
public import Logging
public import Metrics
public import Ports
import SessionPool
import Statistics

/// Contents near a text, or near another content's: by the vectors in memory, and by those of a store, which has
/// contents that memory has forgotten.
///
///     text ─▶ words, and what the endpoint says of them in time ─▶ memory ─┬─▶ the nearest of both
///                                                                └─▶ store ┘   (in time, else memory alone)
public final class SimilarContents: Sendable {
  /// As long as the endpoint may take for a text that is asked for.
  private static let askTimeoutMs = 500

  /// An answer, and how it was found.
  struct Found: Sendable {
    var entries: [SimilarAnswer.Entry]
    /// Where was looked.
    var indexes: [String]
    /// Whether a text's meaning had a say: not where no model is asked, or where it gave no answer in time.
    var hasMeaning: Bool
    /// The position up to which the store has vectors; nil where it was not asked or gave no answer.
    var storedTo: String?
    var progress: LearningProgress
  }

  private let learner: RecommendationLearner
  private let endpoint: EmbeddingEndpoint?
  private let store: (any ContentVectorStore)?
  private let metrics: VectorMetrics
  private let keeper: VectorKeeper?
  private let askers: SessionPool<EmbeddingClient>

  /// - Parameters:
  ///   - endpoint: nil: texts have their words alone.
  ///   - store: nil: what is in memory is all there is.
  public init(
    _ learner: RecommendationLearner, endpoint: EmbeddingEndpoint?,
    store: (any ContentVectorStore)?, registry: MetricRegistry, logger: Logger
  ) {
    self.learner = learner
    self.endpoint = endpoint
    self.store = store
    let metrics = VectorMetrics(registry)
    self.metrics = metrics
    askers = SessionPool(size: 1, waitingMax: 16)
    guard endpoint != nil || store != nil else {
      keeper = nil
      return
    }
    let keeper = VectorKeeper(
      endpoint: endpoint, store: store, metrics: metrics, logger: logger,
      adopt: { [learner] in learner.adopt($1, of: $0) })
    learner.keep(keeper)
    self.keeper = keeper
  }

  public func start() { keeper?.start() }

  public func stop() { keeper?.stop() }

  /// The name of what says what texts mean.
  var embedding: String { endpoint?.model ?? "hashed n-grams" }

  /// - Parameter text: nil: contents near the content of this name.
  /// - Returns: nil before anything was read, and where nothing is known of the site.
  func near(content: String?, text: String, site: String, count: Int) async -> Found? {
    var said: [SIMD16<Float>] = []
    let subject: SimilarQuestion.Subject
    if let content {
      subject = .content(content)
    } else {
      said = await meaning(of: text)
      subject = .text(text, meaning: said)
    }
    let question = SimilarQuestion(site: site, subject: subject, count: count)
    guard let (answer, progress) = learner.similar(question) else { return nil }
    metrics.searched(answer.way.rawValue)
    var found = Found(
      entries: answer.entries, indexes: [answer.way.rawValue], hasMeaning: !said.isEmpty,
      storedTo: nil, progress: progress)
    if content != nil {
      found.hasMeaning =
        answer.vector.count * SIMD16<Float>.scalarCount > HashedTextEmbedding.dimensions
    }
    if let stored = await stored(answer.vector, site: site, count: count + 1) {
      found.indexes.append("pgvector")
      found.storedTo = stored.readTo
      add(stored.contents, to: &found, but: content, site: site, count: count)
    }
    return found
  }

  private func meaning(of text: String) async -> [SIMD16<Float>] {
    guard let endpoint else { return [] }
    do throws(EmbeddingError) {
      let vectors = try await askers.run(orElse: EmbeddingError.busy) {
        (client: inout EmbeddingClient?) throws(EmbeddingError) -> [[Float]] in
        let present: EmbeddingClient
        if let client {
          present = client
        } else {
          present = try EmbeddingClient(endpoint, timeoutMs: Self.askTimeoutMs)
        }
        client = nil
        let vectors = try present.vectors(of: [text])
        client = present
        return vectors
      }
      return vectors.first.map { BlendedEmbedding.meaning($0) } ?? []
    } catch {
      // The answer says that words alone were looked for.
      metrics.texts("failed")
      return []
    }
  }

  private func stored(
    _ vector: [SIMD16<Float>], site: String, count: Int
  ) async -> NearestContents? {
    guard let store, !vector.isEmpty else { return nil }
    do throws(ContentVectorError) {
      let found = try await store.nearest(
        to: BlendedEmbedding.numbers(vector), site: site, count: count)
      metrics.searched("pgvector")
      return found
    } catch {
      // Memory has answered; the metric says how often it had to alone.
      metrics.searched("pgvector_away")
      return nil
    }
  }

  /// What memory has found stands: its vectors are newer.
  private func add(
    _ stored: [(content: String, similarity: Double)], to found: inout Found, but own: String?,
    site: String, count: Int
  ) {
    var known = Set(found.entries.map(\.content))
    if let own { known.insert(own) }
    let more = stored.filter { !known.contains($0.content) }
    let told = Dictionary(
      learner.entries(of: more, site: site).map { ($0.content, $0) }
    ) { first, _ in first }
    found.entries += more.map { content, similarity in
      told[content] ?? SimilarAnswer.Entry(content: content, similarity: similarity)
    }
    found.entries.sort { ($0.similarity, $1.content) > ($1.similarity, $0.content) }
    found.entries = Array(found.entries.prefix(count))
  }
}
