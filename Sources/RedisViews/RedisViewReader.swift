public import Dataflow
import Events
public import Ports
public import RedisClient
public import SessionPool
import Views

/// Reads the hot copies of one pipeline.
///
/// A script finds out which windows there are; then one transaction per partition, mostly all of them in one round
/// trip, answers its header and rows together, so they belong to one moment. Where another window has come meanwhile it is asked
/// again. Rows go from hashes straight to the answer: through a script, a hundred thousand of them would
/// hold the server up for some 0.2 s, and the loops that write to it with it. A partition without a
/// complete copy of this pipeline's declaration is absent from the answer.
public final class RedisViewReader: HotViewReader {
  /// Rows of one partition in one answer; more is refused, since they are in memory on both sides.
  static let rowsPerPartition = 200_000
  /// Partitions are asked together as long as they have no more; the answers are in memory until all are there.
  private static let rowsPerTrip: Int64 = 20_000

  private let settings: RedisSettings
  private let keys: HotKeys
  private let pipelineHash: UInt64
  private let generation: UInt32
  private let pool: SessionPool<RedisConnection>

  /// - Parameters:
  ///   - generation: of the event streams whose copies are read.
  ///   - sessions: threads and Redis sessions, opened when first used.
  ///   - waitingMax: reads that may wait for a session before more are turned away.
  ///   - losses: of the server's sessions, shared by all of its readers.
  ///   - answerTimeoutMs: how long a read may take in the server, more than the settings give to a
  ///     loop's updates.
  public init(
    _ settings: RedisSettings, pipeline: PipelineSpec, generation: UInt32, sessions: Int = 2,
    waitingMax: Int = 256, answerTimeoutMs: Int = 1_000, losses: SessionLosses = SessionLosses()
  ) {
    var settings = settings
    settings.commandTimeoutMs = max(settings.commandTimeoutMs, answerTimeoutMs)
    self.settings = settings
    keys = HotKeys(pipeline)
    pipelineHash = pipeline.hash
    self.generation = generation
    pool = SessionPool(size: sessions, waitingMax: waitingMax, losses: losses)
  }

  private init(_ other: RedisViewReader, generation: UInt32) {
    settings = other.settings
    keys = other.keys
    pipelineHash = other.pipelineHash
    pool = other.pool
    self.generation = generation
  }

  public func of(generation: UInt32) -> any HotViewReader {
    generation == self.generation ? self : RedisViewReader(self, generation: generation)
  }

  public func headers(partitions: [Int]) async throws(ViewReadError) -> [Int: HotHeader] {
    let seams = Dictionary(partitions.map { ($0, Seams()) }) { first, _ in first }
    return try await read(segments: [], seams: seams, filter: .everything).headers
  }

  public func read(
    segments: [Segment], seams: [Int: Seams], filter: TupleFilter
  ) async throws(ViewReadError) -> HotAnswer {
    try await read(segments: segments, seams: seams, filter: filter, rowCountMax: .max)
  }

  public func read(
    segments: [Segment], seams: [Int: Seams], rowCountMax: Int
  ) async throws(ViewReadError) -> HotAnswer {
    try await read(
      segments: segments, seams: seams, filter: .everything, rowCountMax: Int64(rowCountMax))
  }

  private func read(
    segments: [Segment], seams: [Int: Seams], filter: TupleFilter, rowCountMax: Int64
  ) async throws(ViewReadError) -> HotAnswer {
    let questions = seams.keys.sorted().map { partition in
      HotQuestion(
        partition: partition,
        head: keys.head(generation: generation, partition: partition),
        segments: segments, seams: seams[partition] ?? Seams(), filter: filter)
    }
    let settings = settings
    let pipelineHash = pipelineHash
    return try await pool.run(orElse: ViewReadError.unavailable("too many reads are waiting")) {
      session throws(ViewReadError) in
      do throws(RedisError) {
        return try RedisViewReader.ask(
          questions, pipelineHash, rowCountMax, settings, &session)
      } catch {
        throw ViewReadError(error)
      }
    }
  }

  /// A session that was idle while the server restarted shows it now; the batch only reads, so it
  /// runs once more on a new one.
  private static func ask(
    _ questions: [HotQuestion], _ pipelineHash: UInt64, _ rowCountMax: Int64,
    _ settings: RedisSettings, _ session: inout RedisConnection?
  ) throws(RedisError) -> HotAnswer {
    let isReused = session?.isConnected ?? false
    let used: RedisConnection
    if let open = session, isReused {
      used = open
    } else {
      used = try HotSession.open(settings)
      session = used
    }
    do throws(RedisError) {
      return try ask(questions, pipelineHash, rowCountMax, used)
    } catch {
      if used.isConnected { throw error }
      session = nil
      guard isReused else { throw error }
      return try ask(questions, pipelineHash, rowCountMax, settings, &session)
    }
  }

  private static func ask(
    _ questions: [HotQuestion], _ pipelineHash: UInt64, _ rowCountMax: Int64,
    _ session: RedisConnection
  ) throws(RedisError) -> HotAnswer {
    var answer = HotAnswer(headers: [:], rows: [])
    var open = questions
    for _ in 0..<attemptCount where !open.isEmpty {
      let plans = try session.evaluate(
        HotScripts.plan,
        batch: open.map { question in
          RedisConnection.ScriptCall(
            keyCount: 1, argumentCount: question.argumentCount, arguments: question.append)
        })
      var changed: [HotQuestion] = []
      var asked: [(question: HotQuestion, plan: HotPlan)] = []
      var rowCount: Int64 = 0
      var rowCountOfAll = Int64(answer.rows.count)
      for (question, reply) in zip(open, plans) {
        guard let plan = try HotPlan(reply, pipelineHash, rowCountMax: rowsPerPartition) else {
          continue
        }
        rowCountOfAll += plan.rowCount
        guard rowCountOfAll <= rowCountMax else {
          throw .rejected(code: "TOOMANY", message: "there are more than \(rowCountMax) hot rows")
        }
        if plan.windows.isEmpty {
          answer.headers[question.partition] = plan.header
          continue
        }
        if rowCount + plan.rowCount > rowsPerTrip {
          changed += try HotQuestion.read(asked, pipelineHash, session, into: &answer)
          asked = []
          rowCount = 0
        }
        asked.append((question, plan))
        rowCount += plan.rowCount
      }
      changed += try HotQuestion.read(asked, pipelineHash, session, into: &answer)
      open = changed
    }
    guard open.isEmpty else {
      throw .unexpectedReply("the hot copy's windows changed \(attemptCount) times during a read")
    }
    return answer
  }

  /// Windows come and go every few seconds, a whole copy with a new owner.
  private static let attemptCount = 8
}
