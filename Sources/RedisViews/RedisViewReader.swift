public import Dataflow
import Events
public import Ports
public import RedisClient
import SessionPool
import Views

/// Reads the hot copies of one pipeline.
///
/// One script per partition answers its header and rows together, so they belong to one moment; the
/// scripts of all partitions go to the server in one batch. A partition without a complete copy of
/// this pipeline's declaration is absent from the answer.
public final class RedisViewReader: HotViewReader {
  /// Rows of one partition in one answer; more is refused, since the server builds it in memory.
  static let rowsPerPartition = 200_000

  private let settings: RedisSettings
  private let keys: HotKeys
  private let pipelineHash: UInt64
  private let generation: UInt32
  private let pool: SessionPool<RedisConnection>

  /// - Parameters:
  ///   - generation: of the event streams whose copies are read.
  ///   - sessions: threads and Redis sessions, opened when first used.
  ///   - waitingMax: reads that may wait for a session before more are turned away.
  ///   - answerTimeoutMs: how long a read may take in the server, more than the settings give to a
  ///     loop's updates: a hundred thousand rows take some 0.2 s.
  public init(
    _ settings: RedisSettings, pipeline: PipelineSpec, generation: UInt32, sessions: Int = 2,
    waitingMax: Int = 256, answerTimeoutMs: Int = 1_000
  ) {
    var settings = settings
    settings.commandTimeoutMs = max(settings.commandTimeoutMs, answerTimeoutMs)
    self.settings = settings
    keys = HotKeys(pipeline)
    pipelineHash = pipeline.hash
    self.generation = generation
    pool = SessionPool(size: sessions, waitingMax: waitingMax)
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
    return try await read(segments: [], seams: seams).headers
  }

  public func read(
    segments: [Segment], seams: [Int: Seams]
  ) async throws(ViewReadError) -> HotAnswer {
    let questions = seams.keys.sorted().map { partition in
      HotQuestion(
        partition: partition,
        head: keys.head(generation: generation, partition: partition),
        segments: segments, seams: seams[partition] ?? Seams())
    }
    let settings = settings
    let pipelineHash = pipelineHash
    return try await pool.run(orElse: ViewReadError.unavailable("too many reads are waiting")) {
      session throws(ViewReadError) in
      do throws(RedisError) {
        return try RedisViewReader.ask(questions, pipelineHash, settings, &session)
      } catch .rejected("TOOMANY", _) {
        throw .refused(
          "a partition has more than \(RedisViewReader.rowsPerPartition) hot rows for this range:"
            + " ask for a coarser granularity")
      } catch {
        throw ViewReadError(error)
      }
    }
  }

  /// A session that was idle while the server restarted shows it now; the batch only reads, so it
  /// runs once more on a new one.
  private static func ask(
    _ questions: [HotQuestion], _ pipelineHash: UInt64, _ settings: RedisSettings,
    _ session: inout RedisConnection?
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
      return try ask(questions, pipelineHash, used)
    } catch {
      if used.isConnected { throw error }
      session = nil
      guard isReused else { throw error }
      return try ask(questions, pipelineHash, settings, &session)
    }
  }

  private static func ask(
    _ questions: [HotQuestion], _ pipelineHash: UInt64, _ session: RedisConnection
  ) throws(RedisError) -> HotAnswer {
    var answer = HotAnswer(headers: [:], rows: [])
    guard !questions.isEmpty else { return answer }
    let replies = try session.evaluate(
      HotScripts.read,
      batch: questions.map { question in
        RedisConnection.ScriptCall(
          keyCount: 1, argumentCount: question.argumentCount, arguments: question.append)
      })
    for (question, reply) in zip(questions, replies) {
      try question.read(reply, pipelineHash, into: &answer)
    }
    return answer
  }
}

/// What one partition is asked, and how its answer reads.
struct HotQuestion: Sendable {
  let partition: Int
  let head: String
  /// Stretches that are left after the seam: level, first start and end in seconds.
  private let stretches: [(level: WindowLevel, from: Int64, to: Int64)]

  init(partition: Int, head: String, segments: [Segment], seams: Seams) {
    self.partition = partition
    self.head = head
    stretches = segments.compactMap { segment in
      let from = max(segment.from, seams[segment.level])
      guard from < segment.to else { return nil }
      return (
        segment.level, HotKeys.seconds(from) ?? HotKeys.secondsMin,
        HotKeys.seconds(segment.to) ?? HotKeys.secondsMin
      )
    }
  }

  var argumentCount: Int { 2 + 3 * stretches.count }

  func append(to commands: inout RedisCommands) {
    commands.argument(head)
    commands.argument(Int64(RedisViewReader.rowsPerPartition))
    for stretch in stretches {
      commands.argument(stretch.level.name)
      commands.argument(stretch.from)
      commands.argument(stretch.to)
    }
  }

  func read(
    _ reply: RedisReply, _ pipelineHash: UInt64, into answer: inout HotAnswer
  ) throws(RedisError) {
    let reply = try reply.get()
    if case .null = reply { return }
    guard let parts = reply.array, let stamp = parts.first?.text else {
      throw .unexpectedReply("the hot copy's script gave no stamp")
    }
    // A copy of another declaration is none.
    guard let header = HotStamp.decode(stamp, pipeline: pipelineHash) else { return }
    answer.headers[partition] = header
    for part in parts.dropFirst() {
      guard let window = part.array, window.count == 3,
        let level = WindowLevel.allCases.first(where: { $0.name == window[0].text }),
        let seconds = window[1].integer, let rows = window[2].array, rows.count % 2 == 0
      else { throw .unexpectedReply("a window of the hot copy can't be read") }
      for index in stride(from: 0, to: rows.count, by: 2) {
        guard let tuple = rows[index].bytes, let text = rows[index + 1].bytes,
          var row = HotRowText.decode(text, level: level, start: seconds * 1_000_000)
        else { throw .unexpectedReply("a row of the hot copy can't be read") }
        row.dimensionID = tuple.withUnsafeBytes { DimensionTuple.identifier(encoded: $0) }
        answer.rows.append(HotRow(row: row, tuple: tuple))
      }
    }
  }
}
